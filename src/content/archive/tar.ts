/**
 * tar: V7, ustar and pax (POSIX.1-2017 pax §4), GNU long names and base-256 numbers. What readers are known to disagree on (a pax size
 * against the header's, a pax header across a long name, a link with data, blocks behind the end) is named as malformed, and the walk
 * goes on at every place where some reader would find the next header (ARC-030 to ARC-035).
 * Not done: sparse files are given as they are stored (`unhandled`), volumes of one archive are not joined (`multipart`).
 */
import type { Container, Content, Unpacker } from '../../core/file.js';
import { asUtf8, decodeName } from './names.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';

const BLOCK = 512;
const PIECE = 64 * 1024;
/** One long name, or one set of pax records. */
const EXTENSION = 1024 * 1024;
const SPACE = 0x20;

export function tarUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'tar',
    accepts: (types) => types.includes('tar'),
    unpack(content, container) {
      new TarReading(content, container, limits).unpack();
    },
  };
}

/** A V7 header has no magic: its checksum, and numbers where numbers belong, are all there is. */
export function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK || block[0] === 0) return false;
  return checksumHolds(block) && parseNumber(block, 124, 12) !== undefined && parseNumber(block, 100, 8) !== undefined;
}

function checksumHolds(block: Buffer): boolean {
  const stated = parseNumber(block, 148, 8);
  if (stated === undefined) return false;
  let sum = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? SPACE : block[i]!;
    sum += byte;
    // Some old writers summed signed characters.
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  return stated === sum || stated === signed;
}

/** Octal digits among spaces, ended by NUL or space; or base-256 with the first bit set. Undefined when it is neither. */
function parseNumber(block: Buffer, at: number, length: number): number | undefined {
  if (block[at] === 0x80) {
    let value = 0;
    for (let i = at + 1; i < at + length; i++) {
      value = value * 256 + block[i]!;
      if (value > Number.MAX_SAFE_INTEGER) return undefined;
    }
    return value;
  }
  let i = at;
  const end = at + length;
  while (i < end && block[i] === SPACE) i++;
  let value = 0;
  for (; i < end && block[i]! >= 0x30 && block[i]! <= 0x37; i++) value = value * 8 + block[i]! - 0x30;
  for (; i < end; i++) if (block[i] !== 0 && block[i] !== SPACE) return undefined;
  return value;
}

/** What extended headers said of the next member. */
interface Extended {
  path?: string;
  size?: number;
  sparse?: boolean;
}

class TarReading {
  readonly #content: Content;
  readonly #unpacking: Unpacking;
  /** Places where some reader finds a header; walked one after another. */
  readonly #starts: number[] = [0];
  /** Headers seen: no place is read twice, so disagreeing readers cost no more than one. */
  readonly #seen = new Set<number>();
  /** pax `g` records hold for all that follows. */
  #global: Extended = {};

  constructor(content: Content, container: Container, limits: ArchiveLimits) {
    this.#content = content;
    this.#unpacking = new Unpacking(container, content.length, limits);
  }

  unpack(): void {
    if (!this.#unpacking.mayBegin()) return;
    for (let start = this.#starts.shift(); start !== undefined; start = this.#starts.shift()) {
      if (this.#unpacking.stopped) return;
      this.#walk(start);
    }
  }

  #walk(start: number): void {
    let at = start;
    let extended: Extended = {};
    /** A pax header with a size came last: a long-name header must not take it for its own (ARC-030). */
    let longName: string | undefined;
    while (at < this.#content.length && this.#unpacking.mayGoOn()) {
      if (this.#seen.has(at)) return;
      this.#seen.add(at);
      // Kept while the member's bytes are read.
      const block = Buffer.from(this.#content.read(at, BLOCK));
      if (block.length < BLOCK) {
        if (!isZero(block)) this.#unpacking.malformed('tar-trailing-data');
        return;
      }
      if (isZero(block)) {
        at = this.#afterZeros(at);
        continue;
      }
      if (!checksumHolds(block)) {
        this.#unpacking.malformed('tar-checksum');
        at = this.#nextHeader(at + BLOCK);
        continue;
      }
      const stated = parseNumber(block, 124, 12);
      if (stated === undefined) {
        this.#unpacking.malformed('tar-number');
        this.#unpacking.unscannable('corrupted', 'tar size that is no number');
        at = this.#nextHeader(at + BLOCK);
        continue;
      }
      const type = String.fromCharCode(block[156]!);
      const data = at + BLOCK;
      if (type === 'L' || type === 'K') {
        if (extended.size !== undefined) {
          this.#unpacking.malformed('tar-pax-before-long-name');
          this.#starts.push(data + padded(extended.size));
        }
        const bytes = this.#extension(data, stated);
        if (bytes === undefined) return;
        if (type === 'L') longName = decodeName(untilZero(bytes));
        at = data + padded(stated);
        continue;
      }
      if (type === 'x' || type === 'X' || type === 'g') {
        const bytes = this.#extension(data, stated);
        if (bytes === undefined) return;
        const records = this.#readRecords(bytes);
        if (type === 'g') {
          if (records.size !== undefined) this.#unpacking.malformed('tar-pax-global-size');
          this.#global = { ...this.#global, ...records };
        } else {
          // Two in a row: some readers keep the first, some the last.
          if (Object.keys(extended).length > 0) this.#unpacking.malformed('tar-pax-twice');
          if (extended.size !== undefined && records.size !== undefined && extended.size !== records.size)
            this.#starts.push(data + padded(stated) + BLOCK + padded(extended.size));
          extended = { ...extended, ...records };
        }
        at = data + padded(stated);
        continue;
      }
      at = this.#member(block, type, data, stated, { ...this.#global, ...extended }, longName);
      extended = {};
      longName = undefined;
    }
  }

  /** Gives the member out and returns where the next header is. */
  #member(
    block: Buffer,
    type: string,
    data: number,
    stated: number,
    extended: Extended,
    longName: string | undefined,
  ): number {
    const name = longName ?? extended.path ?? headerName(block);
    if (longName !== undefined && extended.path !== undefined && longName !== extended.path)
      this.#unpacking.malformed('tar-names-differ');
    if (`/${name}/`.includes('/../')) this.#unpacking.malformed('tar-name-traversal');
    let size = extended.size ?? stated;
    if (extended.size !== undefined && extended.size !== stated) {
      // A writer uses the record where the field is too small, and then leaves zero or the lower bits in it.
      if (stated !== 0 || extended.size < 8 * 1024 ** 3) this.#unpacking.malformed('tar-sizes-differ');
      this.#starts.push(data + padded(stated));
      if (stated > size) this.#starts.push(data + padded(size));
      size = Math.max(size, stated);
    }
    if ('123456'.includes(type) && size > 0) {
      // Links and devices have no data for some readers and have it for others.
      if (type !== '5') this.#unpacking.malformed('tar-link-with-data');
      this.#starts.push(data);
    }
    if (type === 'M') this.#unpacking.unscannable('multipart', 'tar of several volumes');
    if (type === 'S' || extended.sparse === true) this.#unpacking.unscannable('unhandled', `sparse tar member ${name}`);
    let from = data;
    if (type === 'S') {
      // The map goes on in further blocks while this flag stands.
      let more = block[482] === 1;
      while (more && from < this.#content.length && this.#unpacking.mayGoOn()) {
        more = this.#content.read(from, BLOCK)[504] === 1;
        from += BLOCK;
      }
    }
    if (!'\u00000123456 7SMVDNA'.includes(type) && !/[A-Z]/.test(type)) this.#unpacking.malformed('tar-type');
    const isFile = type === '\0' || type === '0' || type === '7' || type === ' ';
    const isDirectory = size === 0 && (type === '5' || name.endsWith('/'));
    if (!isDirectory && (isFile || size > 0)) this.#copy(name, from, size);
    return from + padded(size);
  }

  #copy(name: string, from: number, size: number): void {
    const member: Member | undefined = this.#unpacking.open({ name, declaredSize: size });
    if (member === undefined) return;
    const end = Math.min(this.#content.length, from + size);
    let at = from;
    while (at < end) {
      const piece = this.#content.read(at, Math.min(PIECE, end - at));
      if (piece.length === 0 || !member.write(piece, 0, piece.length)) break;
      at += piece.length;
    }
    if (at === from + size) member.end();
    else {
      if (!this.#unpacking.stopped) this.#unpacking.unscannable('corrupted', `tar member ${name} is cut short`);
      member.cut();
    }
  }

  /** The data of an extended header, or undefined when it is longer than any writer's or cut short. */
  #extension(at: number, size: number): Buffer | undefined {
    if (size > EXTENSION) {
      this.#unpacking.malformed('tar-extension-size');
      this.#unpacking.unscannable('limit', `tar extended header of more than ${EXTENSION} bytes`);
      return undefined;
    }
    const bytes = this.#content.read(at, size);
    if (bytes.length === size) return Buffer.from(bytes);
    this.#unpacking.unscannable('corrupted', 'tar extended header is cut short');
    return undefined;
  }

  /** pax: `length SPACE key=value LF`, the length counting itself. */
  #readRecords(bytes: Buffer): Extended {
    const records: Extended = {};
    let at = 0;
    while (at < bytes.length && bytes[at] !== 0) {
      const space = bytes.indexOf(SPACE, at);
      const digits = space < 0 || space - at > 10 ? '' : bytes.toString('latin1', at, space);
      const end = at + Number(digits);
      const equals = bytes.indexOf(0x3d, space);
      if (
        !/^[1-9][0-9]*$/.test(digits) ||
        end > bytes.length ||
        bytes[end - 1] !== 0x0a ||
        equals < 0 ||
        equals >= end
      ) {
        this.#unpacking.malformed('tar-pax-record');
        break;
      }
      const key = bytes.toString('latin1', space + 1, equals);
      const value = bytes.subarray(equals + 1, end - 1);
      if (key === 'path' || key === 'GNU.sparse.name') {
        // The one name of a sparse member; otherwise twice is two readings.
        if (key === 'path' && records.path !== undefined && records.sparse !== true)
          this.#unpacking.malformed('tar-pax-twice');
        if (value.includes(0) || asUtf8(value) === undefined) this.#unpacking.malformed('tar-pax-record');
        records.path = decodeName(untilZero(value));
      } else if (key === 'size') {
        const text = value.toString('latin1');
        const size = /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
        if (size === undefined || (records.size !== undefined && records.size !== size))
          this.#unpacking.malformed('tar-pax-record');
        if (size !== undefined) records.size = size;
      }
      if (key.startsWith('GNU.sparse.')) records.sparse = true;
      at = end;
    }
    return records;
  }

  /** Past the blocks of zeros at `at`. Two are the end; what stands behind them is another archive to readers that ignore zeros. */
  #afterZeros(at: number): number {
    let next = at;
    while (next < this.#content.length && this.#unpacking.mayGoOn()) {
      const piece = this.#content.read(next, PIECE);
      let i = 0;
      while (i < piece.length && piece[i] === 0) i++;
      next += i;
      if (i < piece.length || piece.length === 0) break;
    }
    if (next >= this.#content.length) return next;
    const block = next - ((next - at) % BLOCK);
    if (block - at < 2 * BLOCK) this.#unpacking.malformed('tar-zero-block');
    else this.#unpacking.malformed('tar-data-after-end');
    return block;
  }

  /** The next block at or after `from` that can be a header, or the end. */
  #nextHeader(from: number): number {
    let at = from;
    while (at < this.#content.length && this.#unpacking.mayGoOn()) {
      const piece = this.#content.read(at, PIECE);
      for (let i = 0; i + BLOCK <= piece.length; i += BLOCK)
        if (piece[i] !== 0 && isTarHeader(piece.subarray(i, i + BLOCK))) return at + i;
      if (piece.length < BLOCK) break;
      at += piece.length - (piece.length % BLOCK);
    }
    return this.#content.length;
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function isZero(block: Buffer): boolean {
  for (const byte of block) if (byte !== 0) return false;
  return true;
}

function untilZero(bytes: Buffer): Buffer {
  const zero = bytes.indexOf(0);
  return zero < 0 ? bytes : bytes.subarray(0, zero);
}

function headerName(block: Buffer): string {
  const name = decodeName(untilZero(block.subarray(0, 100)));
  // POSIX has a prefix; in GNU's own format these bytes are other things.
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const prefix = decodeName(untilZero(block.subarray(345, 500)));
  return prefix === '' ? name : `${prefix}/${name}`;
}
