/**
 * gzip (RFC 1952). The members after one another are one file, as every reader gives it. Where readers part (zeros between members,
 * bytes behind the last one) each member that follows is a file of its own too, and the oddity is named. Header CRC, CRC and ISIZE are checked.
 * Not done: a search of the trailing bytes beyond the first bytes that look like a member's header, as often as the budget allows.
 */

import type { Container, Content, Unpacker } from '../../core/file.js';
import { crc32 } from './crc32.js';
import { Inflate } from './inflate.js';
import { decodeName } from './names.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';

const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;
const RESERVED = 0xe0;
/** A header longer than this is not a writer's: its name or comment is there to hide something. */
const HEADER = 64 * 1024;
const PIECE = 64 * 1024;
const MAGIC = Buffer.from([0x1f, 0x8b, 0x08]);

export function gzipUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'gzip',
    accepts: (types) => types.includes('gzip'),
    unpack(content, container) {
      unpackGzip(content, container, limits);
    },
  };
}

function unpackGzip(content: Content, container: Container, limits: ArchiveLimits): void {
  const unpacking = new Unpacking(container, content.length, limits);
  if (!unpacking.mayBegin()) return;
  const first = readHeader(content, 0);
  if (first === undefined) {
    unpacking.unscannable('corrupted', 'gzip header cut short or not of RFC 1952');
    return;
  }
  const whole = unpacking.open({ name: first.name });
  if (whole === undefined) return;
  /** Members that some readers leave out: given once more, alone. */
  const apart: Header[] = [];
  let header: Header | undefined = first;
  let clean = true;
  while (header !== undefined) {
    if (header.odd) unpacking.malformed('gzip-header');
    const end = inflateMember(content, header, unpacking, whole);
    if (end === undefined) {
      whole.cut();
      clean = false;
      break;
    }
    const next = skipZeros(content, end, unpacking);
    if (next >= content.length) break;
    header = readHeader(content, next);
    if (header === undefined) {
      unpacking.malformed('gzip-trailing-data');
      header = searchHeader(content, next, unpacking);
      if (header !== undefined) apart.push(header);
    } else if (next > end) {
      // Some readers stop at the zeros without a word, others go on.
      unpacking.malformed('gzip-members-apart');
      apart.push(header);
    } else if (header.name !== undefined && header.name !== first.name) apart.push(header);
  }
  if (clean) whole.end();
  for (const alone of apart) {
    if (unpacking.stopped) return;
    const member = unpacking.open({ name: alone.name });
    if (member === undefined) return;
    if (inflateMember(content, alone, unpacking, member) === undefined) member.cut();
    else member.end();
  }
}

interface Header {
  /** Where its deflate stream begins. */
  readonly data: number;
  readonly name: string | undefined;
  readonly odd: boolean;
}

/** The member header at `at`, or undefined when there is none that a reader would take. */
function readHeader(content: Content, at: number): Header | undefined {
  // Kept past the next read: a header is small.
  const bytes = Buffer.from(content.read(at, HEADER + 2));
  if (bytes.length < 18 || !bytes.subarray(0, 3).equals(MAGIC)) return undefined;
  const flags = bytes[3]!;
  let odd = (flags & RESERVED) !== 0;
  let end = 10;
  if ((flags & FEXTRA) !== 0) {
    end += 2 + bytes.readUInt16LE(10);
    if (end > bytes.length) return undefined;
  }
  let name: string | undefined;
  if ((flags & FNAME) !== 0) {
    const zero = bytes.indexOf(0, end);
    if (zero < 0) return undefined;
    name = decodeName(bytes.subarray(end, zero));
    end = zero + 1;
  }
  if ((flags & FCOMMENT) !== 0) {
    const zero = bytes.indexOf(0, end);
    if (zero < 0) return undefined;
    end = zero + 1;
  }
  if ((flags & FHCRC) !== 0) {
    if (end + 2 > bytes.length) return undefined;
    if ((crc32(bytes, 0, end) & 0xffff) !== bytes.readUInt16LE(end)) odd = true;
    end += 2;
  }
  return { data: at + end, name: name === '' ? undefined : name, odd };
}

/** Writes one member out; returns where the next begins, or undefined when it could not be read to its end (which was reported). */
function inflateMember(content: Content, header: Header, unpacking: Unpacking, member: Member): number | undefined {
  const inflate = Inflate.start();
  try {
    let crc = 0;
    const sink = (chunk: Buffer, start: number, end: number): boolean => {
      crc = crc32(chunk, start, end, crc);
      return member.write(chunk, start, end);
    };
    let at = header.data;
    for (;;) {
      const piece = content.read(at, PIECE);
      const state = piece.length === 0 ? inflate.end() : inflate.push(piece, 0, piece.length, sink);
      if (inflate.stopped) return undefined;
      if (state === 'ended') break;
      if (state === 'damaged') {
        if (piece.length === 0) unpacking.unscannable('corrupted', 'gzip stream cut short');
        else unpacking.unscannable('corrupted', 'gzip stream is not deflate');
        return undefined;
      }
      if (!unpacking.mayGoOn()) return undefined;
      at += piece.length;
    }
    const end = header.data + inflate.taken;
    const trailer = content.read(end, 8);
    if (trailer.length < 8) {
      unpacking.unscannable('corrupted', 'gzip trailer cut short');
      return undefined;
    }
    if (trailer.readUInt32LE(0) !== crc) unpacking.unscannable('corrupted', 'gzip CRC does not match');
    else if (trailer.readUInt32LE(4) !== inflate.produced % 0x1_0000_0000)
      unpacking.unscannable('corrupted', 'gzip size does not match');
    return end + 8;
  } finally {
    inflate.done();
  }
}

/** Tapes and some writers pad with zeros. */
function skipZeros(content: Content, from: number, unpacking: Unpacking): number {
  let at = from;
  for (;;) {
    const piece = content.read(at, PIECE);
    for (let i = 0; i < piece.length; i++) if (piece[i] !== 0) return at + i;
    at += piece.length;
    if (piece.length === 0 || !unpacking.mayGoOn()) return content.length;
  }
}

/** The first member header in bytes that are none. */
function searchHeader(content: Content, from: number, unpacking: Unpacking): Header | undefined {
  let at = from;
  while (at < content.length && unpacking.mayGoOn()) {
    const piece = content.read(at, PIECE);
    const found = piece.indexOf(MAGIC);
    const length = piece.length;
    if (found >= 0) {
      const header = readHeader(content, at + found);
      if (header !== undefined) return header;
      at += found + 1;
    } else if (at + length >= content.length) return undefined;
    // A header may lie across two pieces.
    else at += length - MAGIC.length + 1;
  }
  return undefined;
}
