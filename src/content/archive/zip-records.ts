/**
 * The records of a zip file (APPNOTE 6.3.10 §4.3) as they stand in the bytes: local headers, directory entries, the end record with its
 * zip64 part. A record that contradicts itself is returned with `odd`; what the records mean together is zip.ts's business.
 */
import type { Content } from '../../core/file.js';
import { lasting } from '../pieces.js';
import { crc32 } from './crc32.js';
import { asCp437, asUtf8 } from './names.js';

export const LOCAL = 0x04034b50;
export const ENTRY = 0x02014b50;
export const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
export const DESCRIPTOR = 0x08074b50;

export const STORED = 0;
export const DEFLATE = 8;
const FLAG_ENCRYPTED = 0x0001;
/** Sizes and CRC follow the data. */
export const FLAG_DESCRIPTOR = 0x0008;
const FLAG_STRONG = 0x0040;
const FLAG_UTF8 = 0x0800;
const FLAG_MASKED = 0x2000;
const METHOD_AES = 99;
/** Enough for any comment (64 KiB) and the records around it. */
const TAIL = 65_535 + 22;
const METHODS = new Set([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 16, 18, 19, 20, 93, 94, 95, 96, 97, 98, 99]);

/** What a local header or a directory entry says of a member. */
export interface Record {
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  /** NaN where it does not fit 53 bits. */
  readonly packed: number;
  readonly size: number;
  readonly rawName: Buffer;
  readonly name: string;
  /** Other readings of the name. */
  readonly otherNames: readonly string[];
  /** It contradicts itself, by this code. */
  readonly odd: string | undefined;
  readonly encrypted: boolean;
}
export interface Local extends Record {
  readonly at: number;
  /** Where its data begins. */
  readonly data: number;
}
export interface Entry extends Record {
  /** Of its local header, as the directory says it. */
  readonly offset: number;
  readonly disk: number;
  /** Its length in the directory. */
  readonly length: number;
}

/** An end record, and where its directory lies. */
export interface End {
  readonly at: number;
  /** One past its comment. */
  readonly end: number;
  readonly commentLength: number;
  readonly count: number;
  readonly directorySize: number;
  readonly directoryOffset: number;
  /** First byte of the zip64 records, or of this one: the directory should end here. */
  readonly before: number;
  readonly disks: boolean;
  readonly odd: string | undefined;
}

export function readLocal(content: Content, at: number): Local | undefined {
  const fixed = content.read(at, 30);
  if (fixed.length < 30 || fixed.readUInt32LE(0) !== LOCAL) return undefined;
  const nameLength = fixed.readUInt16LE(26);
  const extraLength = fixed.readUInt16LE(28);
  const bytes = content.read(at, 30 + nameLength + extraLength);
  if (bytes.length < 30 + nameLength + extraLength) return undefined;
  const record = readRecord(bytes, 6, 30, nameLength, extraLength, false);
  return { ...record, at, data: at + 30 + nameLength + extraLength };
}

/** A local header that stands where nothing points to: more than the four bytes must fit. */
export function plausibleLocal(local: Local, length: number): boolean {
  return (
    METHODS.has(local.method) &&
    local.rawName.length > 0 &&
    local.rawName.length <= 4096 &&
    !local.rawName.includes(0) &&
    (local.flags & 0x9000) === 0 &&
    local.data <= length
  );
}

export function readEntry(content: Content, at: number): Entry | undefined {
  const fixed = content.read(at, 46);
  if (fixed.length < 46 || fixed.readUInt32LE(0) !== ENTRY) return undefined;
  const nameLength = fixed.readUInt16LE(28);
  const extraLength = fixed.readUInt16LE(30);
  const length = 46 + nameLength + extraLength + fixed.readUInt16LE(32);
  const bytes = content.read(at, length);
  if (bytes.length < length) return undefined;
  const record = readRecord(bytes, 8, 46, nameLength, extraLength, true);
  return { ...record, disk: bytes.readUInt16LE(34), length };
}

/** Both records have flags, method, time, date, CRC and sizes in a row. */
function readRecord(
  bytes: Buffer,
  flagsAt: number,
  nameAt: number,
  nameLength: number,
  extraLength: number,
  isEntry: boolean,
): Record & { readonly offset: number } {
  const flags = bytes.readUInt16LE(flagsAt);
  let packed = bytes.readUInt32LE(flagsAt + 12);
  let size = bytes.readUInt32LE(flagsAt + 16);
  let offset = isEntry ? bytes.readUInt32LE(42) : 0;
  const rawName = Buffer.from(bytes.subarray(nameAt, nameAt + nameLength));
  let odd: string | undefined;
  let unicodeName: string | undefined;
  let at = nameAt + nameLength;
  const extraEnd = at + extraLength;
  let seen64 = false;
  while (at + 4 <= extraEnd) {
    const id = bytes.readUInt16LE(at);
    const end = at + 4 + bytes.readUInt16LE(at + 2);
    // Padding that is no field is common (zipalign); a field that runs out is where readers stop.
    if (end > extraEnd) break;
    let value = at + 4;
    if (id === 0x0001) {
      if (seen64) odd = 'zip64-twice';
      seen64 = true;
      const next = (): number => {
        if (value + 8 > end) {
          odd = 'zip64-short';
          return Number.NaN;
        }
        const number = bytes.readBigUInt64LE(value);
        value += 8;
        return number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : Number.NaN;
      };
      // In this order, and only those that did not fit (§4.5.3).
      if (size === 0xffffffff) size = next();
      if (packed === 0xffffffff) packed = next();
      if (isEntry && offset === 0xffffffff) offset = next();
    } else if (id === 0x7075) {
      // Info-ZIP Unicode Path: version 1, CRC of the header's name, name (§4.6.9).
      const right =
        end - value >= 5 && bytes[value] === 1 && bytes.readUInt32LE(value + 1) === crc32(rawName, 0, rawName.length);
      const text = end - value >= 5 ? asUtf8(bytes.subarray(value + 5, end)) : undefined;
      if (!right || text === undefined || unicodeName !== undefined) odd = 'zip-unicode-path';
      unicodeName = text ?? unicodeName;
    }
    at = end;
  }
  const plain =
    (flags & FLAG_UTF8) !== 0 ? (asUtf8(rawName) ?? asCp437(rawName)) : (asUtf8(rawName) ?? asCp437(rawName));
  if ((flags & FLAG_UTF8) !== 0 && asUtf8(rawName) === undefined) odd ??= 'zip-name-not-utf8';
  if (unicodeName !== undefined && (flags & FLAG_UTF8) !== 0 && unicodeName !== plain) odd ??= 'zip-unicode-path';
  if (rawName.includes(0)) odd ??= 'zip-name-nul';
  const name = unicodeName ?? plain;
  return {
    flags,
    method: bytes.readUInt16LE(flagsAt + 2),
    crc: bytes.readUInt32LE(flagsAt + 8),
    packed,
    size,
    offset,
    rawName,
    name,
    otherNames: unicodeName !== undefined && unicodeName !== plain ? [plain] : [],
    odd,
    encrypted:
      (flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED)) !== 0 || bytes.readUInt16LE(flagsAt + 2) === METHOD_AES,
  };
}

/** The end record at `at`, with its zip64 part, or undefined when it cannot be one. */
export function readEnd(content: Content, at: number): End | undefined {
  const bytes = content.read(at, 22);
  if (bytes.length < 22 || bytes.readUInt32LE(0) !== END) return undefined;
  const commentLength = bytes.readUInt16LE(20);
  let count = bytes.readUInt16LE(10);
  let directorySize = bytes.readUInt32LE(12);
  let directoryOffset = bytes.readUInt32LE(16);
  let disks = bytes.readUInt16LE(4) !== 0 || bytes.readUInt16LE(6) !== 0 || bytes.readUInt16LE(8) !== count;
  let odd: string | undefined;
  let before = at;
  // Views end with the next reading.
  const diskNumbers = [bytes.readUInt16LE(4), bytes.readUInt16LE(6)];
  if (at >= 20 && content.read(at - 20, 4).readUInt32LE(0) === LOCATOR64) {
    // Where prepended bytes moved everything, the record is still right before the locator.
    const claimed = content.read(at - 20, 20).readBigUInt64LE(8);
    const places = [at - 20 - 56];
    if (claimed < BigInt(content.length)) places.push(Number(claimed));
    const found = places.find((place) => {
      const signature = place >= 0 ? content.read(place, 56) : undefined;
      return signature?.length === 56 && signature.readUInt32LE(0) === END64;
    });
    if (found === undefined) odd = 'zip64-end-missing';
    else {
      const record = content.read(found, 56);
      const wide = (offset: number): number => {
        const value = record.readBigUInt64LE(offset);
        return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.NaN;
      };
      if (
        (count !== 0xffff && count !== wide(32)) ||
        (directorySize !== 0xffffffff && directorySize !== wide(40)) ||
        (directoryOffset !== 0xffffffff && directoryOffset !== wide(48))
      )
        odd = 'zip64-end-differs';
      // A reader that finds another record than the one the locator names sees another directory.
      if (
        Number(claimed) !== found &&
        places.length === 2 &&
        content.read(Number(claimed), 4).readUInt32LE(0) === END64
      )
        odd = 'zip64-end-differs';
      count = wide(32);
      directorySize = wide(40);
      directoryOffset = wide(48);
      disks =
        record.readUInt32LE(16) !== 0 ||
        record.readUInt32LE(20) !== 0 ||
        diskNumbers.some((n) => n !== 0 && n !== 0xffff);
      before = found;
    }
  }
  return {
    at,
    end: Math.min(content.length, at + 22 + commentLength),
    commentLength,
    count,
    directorySize,
    directoryOffset,
    before,
    disks,
    odd,
  };
}

/**
 * The end record that a reader finds which looks from the end: the last one whose comment reaches exactly the end of the file, else the
 * last one of all (something was appended). Undefined when there is none within reach of a comment.
 */
export function findEnd(content: Content): End | undefined {
  const from = Math.max(0, content.length - TAIL - 64 * 1024);
  // Kept while other records are read.
  const tail = lasting(content, from, content.length - from);
  let last: End | undefined;
  for (let at = lastEnd(tail, tail.length); at >= 0; at = lastEnd(tail, at - 1)) {
    const end = readEnd(content, from + at);
    if (end === undefined) continue;
    if (end.at + 22 + end.commentLength === content.length) return end;
    last ??= end;
  }
  return last;
}

const END_BYTES = Buffer.from([0x50, 0x4b, 0x05, 0x06]);
function lastEnd(tail: Buffer, before: number): number {
  return before < 0 ? -1 : tail.lastIndexOf(END_BYTES, before);
}

/** Where an end record's directory may begin: next to it, and where it says; one or two places that hold an entry. */
export function directoriesOf(content: Content, end: End): { readonly at: number; readonly base: number }[] {
  const places: { at: number; base: number }[] = [];
  const adjacent = end.before - end.directorySize;
  const holds = (at: number): boolean => {
    const bytes = at >= 0 ? content.read(at, 4) : undefined;
    return bytes?.length === 4 && bytes.readUInt32LE(0) === ENTRY;
  };
  if (holds(adjacent)) places.push({ at: adjacent, base: adjacent - end.directoryOffset });
  if (end.directoryOffset !== adjacent && holds(end.directoryOffset)) places.push({ at: end.directoryOffset, base: 0 });
  return places;
}
