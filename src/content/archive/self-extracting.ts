/**
 * Programs that carry a 7z or RAR archive behind themselves (and zips, which zip.ts finds by their end): the archive is looked for by its
 * signature, and believed only when the checksum of its first header is right, since every program that reads such archives has
 * the signature in it.
 */
import { Buffer } from 'node:buffer';
import type { Content, Unpacker } from '../../core/file.js';
import { crc32 } from './crc32.js';
import type { SevenZip } from './seven-zip.js';
import { Text } from './text/text.js';
import { type ArchiveLimits, Unpacking } from './unpacking.js';

const PROGRAMS = ['exe', 'dll', 'elf', 'mach-o'];
const SEVEN = Buffer.from('7z\xbc\xaf\x27\x1c', 'latin1');
const RAR = Buffer.from('Rar!\x1a\x07', 'latin1');
/** Signatures of each kind that are looked at in one program. */
const LOOKED = 100;
/** What a first header of RAR may take. */
const HEADER = 4096;

export function selfExtractingUnpacker(limits: ArchiveLimits, sevenZip: SevenZip): Unpacker {
  const found = new WeakMap<Content, number>();
  return {
    name: 'self-extracting',
    accepts(types, content) {
      if (!types.some((type) => PROGRAMS.includes(type))) return false;
      const at = archiveIn(content);
      if (at !== undefined) found.set(content, at);
      return at !== undefined;
    },
    async unpack(content, container) {
      const at = found.get(content);
      if (at === undefined) return;
      const unpacking = new Unpacking(container, content.length, limits);
      if (unpacking.mayBegin()) await sevenZip.unpack(behind(content, at), unpacking, undefined);
    },
  };
}

/** Where an archive begins that is one. */
function archiveIn(content: Content): number | undefined {
  const text = new Text(content, []);
  for (const [signature, isOne] of [
    [SEVEN, is7z],
    [RAR, isRar],
  ] as const) {
    let at = text.find(signature, 1);
    for (let looked = 0; at >= 0 && looked < LOOKED; looked++) {
      if (isOne(Buffer.from(content.read(at, HEADER)))) return at;
      at = text.find(signature, at + 1);
    }
  }
  return undefined;
}

/** The checksum of where the header is (7zFormat.txt, SignatureHeader). */
function is7z(head: Buffer): boolean {
  return head.length >= 32 && head.readUInt32LE(8) === crc32(head, 12, 32);
}

/** The checksum of the first block: 32 bits in RAR 5, 16 in older ones. */
function isRar(head: Buffer): boolean {
  if (head[6] === 0x01 && head[7] === 0x00 && head.length > 13) {
    const size = head[12]!;
    const end = 13 + size;
    return size < 128 && end <= head.length && head.readUInt32LE(8) === crc32(head, 12, end);
  }
  if (head[6] !== 0x00 || head.length < 14) return false;
  const size = head.readUInt16LE(12);
  const end = 7 + size;
  return size >= 7 && end <= head.length && head.readUInt16LE(7) === (crc32(head, 9, end) & 0xffff);
}

/** A content from `at` on. */
function behind(content: Content, at: number): Content {
  return {
    length: content.length - at,
    bytes: content.bytes?.subarray(at),
    read: (from, length) => content.read(at + from, length),
  };
}
