/** OpenPGP messages in ASCII armour (RFC 4880 §6.2): named, since what they hold needs a key. Signed text is text, and a signature or key has nothing in it. */
import { Buffer } from 'node:buffer';
import type { TextFormat } from './text-format.js';

const BEGIN = Buffer.from('-----BEGIN PGP MESSAGE', 'latin1');

export const openPgp: TextFormat = {
  find: (text, from) => text.findLine(BEGIN, from),
  read(_text, at, unpacking) {
    unpacking.unscannable('encrypted', 'OpenPGP message');
    return at;
  },
};
