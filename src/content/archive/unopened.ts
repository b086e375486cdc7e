/** Archives that are known and not opened: each is named, since what is in it was not seen. 7-Zip does not read them either. */
import { Buffer } from 'node:buffer';
import type { Content, Unpacker } from '../../core/file.js';
import { type ArchiveLimits, Unpacking } from './unpacking.js';

interface Unopened {
  readonly name: string;
  readonly at: number;
  readonly magic: Buffer;
}

const UNOPENED: readonly Unopened[] = [
  { name: 'lzip', at: 0, magic: Buffer.from('LZIP', 'latin1') },
  { name: 'ACE', at: 7, magic: Buffer.from('**ACE**', 'latin1') },
  { name: 'Outlook store', at: 0, magic: Buffer.from('!BDN', 'latin1') },
];
const HEAD = 16;

export function unopenedUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'unopened',
    accepts: (_types, content) => unopenedIn(content) !== undefined,
    unpack(content, container) {
      const found = unopenedIn(content);
      if (found !== undefined)
        new Unpacking(container, content.length, limits).unscannable('unhandled', `${found.name} is not opened`);
    },
  };
}

function unopenedIn(content: Content): Unopened | undefined {
  const head = content.read(0, HEAD);
  return UNOPENED.find(({ at, magic }) => head.subarray(at, at + magic.length).equals(magic));
}
