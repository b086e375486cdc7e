/** `begin-base64`, POSIX's other form of uuencode: base64 lines up to `====`. `begin-base64-encoded` has its name in base64 as well. */
import { Buffer } from 'node:buffer';
import { decodeName } from '../names.js';
import { Base64Text } from './base64-text.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';

const BEGIN = Buffer.from('begin-base64', 'latin1');
const END = Buffer.from('\n====', 'latin1');

export const beginBase64: TextFormat = {
  find: (text, from) => text.findLine(BEGIN, from),
  read(text, at, unpacking) {
    const [line, following] = text.lines(at);
    const begin = /^begin-base64(-encoded)? [0-7]{3,4} (\S.*)/.exec(line);
    if (begin === null || !/^[A-Za-z0-9+/]{2,}={0,2}$/.test(following.trimEnd())) return at;
    const written = begin[2]!.trimEnd();
    const name = begin[1] === undefined ? written : decodeName(Buffer.from(written, 'base64'));
    const closing = text.closing(at, END, /^====[ \t]*\r?(\n|$)/);
    if (closing === undefined) unpacking.malformed('begin-base64-unfinished');
    const child = new TextChild(unpacking, { name });
    const base64 = new Base64Text(child);
    text.pieces(at + line.length, closing?.start ?? text.length, (piece) => {
      for (let i = base64.decode(piece, 0, piece.length); i < piece.length; ) {
        unpacking.malformed('begin-base64-junk');
        i = base64.decode(piece, i + 1, piece.length);
      }
      return child.going;
    });
    child.end();
    return closing?.end ?? text.length;
  },
};
