/**
 * OLE2 compound files ([MS-CFB]): a directory of streams, each a chain of sectors, the small ones within a stream of their own. Each stream
 * is given as a Content, so that whoever reads one need not know of sectors. A chain is walked once, no sector belongs to two chains, and
 * one that leads out of the file or to a sector that is taken ends there: its stream is not whole.
 */
import { Buffer } from 'node:buffer';
import type { Content } from '../../../core/file.js';

const MAGIC = Buffer.from('d0cf11e0a1b11ae1', 'hex');
const HEADER = 512;
const ENTRY = 128;
const MINI_SECTOR = 64;
/** Streams below this lie in the mini stream; the specification has no other value. */
const MINI_CUTOFF = 4096;
/** Sectors of the allocation table that the header names itself. */
const HEADER_TABLE = 109;
const LAST_SECTOR = 0xfffffffa;
const NONE = 0xffffffff;
/** Entries that are looked at. */
const ENTRIES = 65_536;
/** A file of more has no chains that memory holds. */
const SIZE = 2 * 1024 ** 3;

const STORAGE = 1;
const STREAM = 2;
const ROOT = 5;

export interface CompoundEntry {
  /** The storages that it lies in, from the root; without the root. */
  readonly storages: readonly string[];
  readonly name: string;
  readonly size: number;
  readonly start: number;
}

/** A stream's bytes. */
export interface CompoundStream extends Content {
  /** All that its entry promises is there. */
  readonly whole: boolean;
}

export function isCompoundFile(content: Content): boolean {
  return content.length >= HEADER && content.read(0, 8).equals(MAGIC);
}

export class CompoundFile {
  readonly streams: readonly CompoundEntry[];
  /** Why not all of it can be read, if so. */
  readonly fault: 'corrupted' | 'limit' | undefined;
  readonly #content: Content;
  readonly #sectorSize: number;
  readonly #sectors: Sectors;
  readonly #miniStream: CompoundStream;
  readonly #miniSectors: Sectors;

  private constructor(content: Content, header: Buffer, sectorSize: number) {
    this.#content = content;
    this.#sectorSize = sectorSize;
    const table = allocationTable(content, header, sectorSize);
    this.#sectors = new Sectors(Math.ceil(content.length / sectorSize) - 1, sectorSize / 4, (index) =>
      index < table.length ? content.read((table[index]! + 1) * sectorSize, sectorSize) : NOTHING,
    );
    const directory = this.#chain(header.readUInt32LE(48), Number.POSITIVE_INFINITY);
    const read = readDirectory(directory, sectorSize === HEADER);
    this.streams = read.streams;
    this.#miniStream = this.#chain(read.rootStart, read.rootSize);
    const miniTable = this.#chain(header.readUInt32LE(60), Number.POSITIVE_INFINITY);
    this.#miniSectors = new Sectors(Math.floor(this.#miniStream.length / MINI_SECTOR), sectorSize / 4, (index) =>
      miniTable.read(index * sectorSize, sectorSize),
    );
    if (read.limited) this.fault = 'limit';
    else if (!read.sound || !this.#miniStream.whole) this.fault = 'corrupted';
  }

  /** Undefined when it has no header that can be followed. */
  static open(content: Content): CompoundFile | undefined {
    // Kept while more is read.
    const header = Buffer.from(content.read(0, HEADER));
    const shift = header.readUInt16LE(30);
    if ((shift !== 9 && shift !== 12) || content.length > SIZE || header.readUInt32LE(56) !== MINI_CUTOFF)
      return undefined;
    return new CompoundFile(content, header, 1 << shift);
  }

  /** Each stream once: its sectors are then taken. */
  stream(entry: CompoundEntry): CompoundStream {
    if (entry.size >= MINI_CUTOFF) return this.#chain(entry.start, entry.size);
    const { runs, whole } = this.#miniSectors.take(entry.start, entry.size, MINI_SECTOR);
    return new Chain(this.#miniStream, 0, MINI_SECTOR, runs, entry.size, whole);
  }

  /** `size` is infinite where the chain's length is all that says it. */
  #chain(start: number, size: number): CompoundStream {
    const { runs, whole } = this.#sectors.take(start, size, this.#sectorSize);
    return new Chain(this.#content, this.#sectorSize, this.#sectorSize, runs, size, whole);
  }
}

/** Sectors of one allocation table, each of which is taken once. */
class Sectors {
  readonly #count: number;
  readonly #perTable: number;
  readonly #table: (index: number) => Buffer;
  readonly #taken: Uint8Array;
  /** The piece of the table that was read last, kept: chains mostly go on in the same one. */
  #cachedIndex = -1;
  #cached: Buffer = NOTHING;

  constructor(count: number, perTable: number, table: (index: number) => Buffer) {
    this.#count = Math.max(0, count);
    this.#perTable = perTable;
    this.#table = table;
    this.#taken = new Uint8Array(Math.ceil(this.#count / 8));
  }

  /** Runs of sectors, as pairs of first and count, until `size` bytes or the chain's end. */
  take(start: number, size: number, sectorSize: number): { readonly runs: number[]; readonly whole: boolean } {
    const runs: number[] = [];
    let left = size;
    for (let sector = start; left > 0 && sector < LAST_SECTOR; sector = this.#next(sector)) {
      if (sector >= this.#count || !this.#take(sector)) return { runs, whole: false };
      const last = runs.length - 2;
      if (last >= 0 && runs[last]! + runs[last + 1]! === sector) runs[last + 1]!++;
      else runs.push(sector, 1);
      left -= sectorSize;
    }
    return { runs, whole: left <= 0 || size === Number.POSITIVE_INFINITY };
  }

  #take(sector: number): boolean {
    const bit = 1 << (sector & 7);
    if ((this.#taken[sector >> 3]! & bit) !== 0) return false;
    this.#taken[sector >> 3]! |= bit;
    return true;
  }

  #next(sector: number): number {
    const index = Math.floor(sector / this.#perTable);
    if (index !== this.#cachedIndex) {
      this.#cached = Buffer.from(this.#table(index));
      this.#cachedIndex = index;
    }
    const at = (sector % this.#perTable) * 4;
    // A table that is cut leads nowhere: to a sector that does not exist.
    return at + 4 <= this.#cached.length ? this.#cached.readUInt32LE(at) : this.#count;
  }
}

const NOTHING = Buffer.alloc(0);

/** Runs of sectors in another content, one after another. */
class Chain implements CompoundStream {
  readonly bytes = undefined;
  readonly length: number;
  readonly whole: boolean;
  readonly #source: Content;
  readonly #base: number;
  readonly #unit: number;
  readonly #runs: readonly number[];
  /** The run that was read last and where it begins: reading mostly goes on from there. */
  #run = 0;
  #runAt = 0;

  constructor(source: Content, base: number, unit: number, runs: readonly number[], size: number, whole: boolean) {
    this.#source = source;
    this.#base = base;
    this.#unit = unit;
    this.#runs = runs;
    let length = 0;
    for (let i = 0; i < runs.length; i += 2) {
      const at = base + runs[i]! * unit;
      length += Math.max(0, Math.min(runs[i + 1]! * unit, source.length - at));
    }
    this.length = Math.min(length, size);
    this.whole = whole && (size === Number.POSITIVE_INFINITY || this.length === size);
  }

  read(at: number, length: number): Buffer {
    const end = Math.min(this.length, at + length);
    const pieces: Buffer[] = [];
    if (at < this.#runAt) this.#run = this.#runAt = 0;
    for (let next = at; next < end; ) {
      const run = this.#runs[this.#run + 1]! * this.#unit;
      if (next >= this.#runAt + run) {
        this.#runAt += run;
        this.#run += 2;
        continue;
      }
      const from = this.#base + this.#runs[this.#run]! * this.#unit + next - this.#runAt;
      const piece = this.#source.read(from, Math.min(end, this.#runAt + run) - next);
      if (piece.length === 0) break;
      next += piece.length;
      if (next >= end && pieces.length === 0) return piece;
      pieces.push(Buffer.from(piece));
    }
    return Buffer.concat(pieces);
  }
}

/** Numbers of the sectors that hold the allocation table: 109 in the header, the rest in a chain of sectors of their own. */
function allocationTable(content: Content, header: Buffer, sectorSize: number): number[] {
  const table: number[] = [];
  const most = Math.ceil(content.length / sectorSize);
  const add = (bytes: Buffer, from: number, to: number): void => {
    for (let at = from; at < to && table.length < most; at += 4) {
      const sector = bytes.readUInt32LE(at);
      if (sector >= LAST_SECTOR) return;
      table.push(sector);
    }
  };
  add(header, 76, 76 + 4 * HEADER_TABLE);
  let next = header.readUInt32LE(68);
  for (let count = 0; next < LAST_SECTOR && count < most; count++) {
    const bytes = content.read((next + 1) * sectorSize, sectorSize);
    if (bytes.length < sectorSize) break;
    add(bytes, 0, sectorSize - 4);
    next = bytes.readUInt32LE(sectorSize - 4);
  }
  return table;
}

interface Directory {
  readonly streams: readonly CompoundEntry[];
  readonly rootStart: number;
  readonly rootSize: number;
  readonly sound: boolean;
  readonly limited: boolean;
}

/** `narrow`: the upper half of a size means nothing (version 3). */
function readDirectory(directory: CompoundStream, narrow: boolean): Directory {
  const count = Math.min(ENTRIES, Math.floor(directory.length / ENTRY));
  const entries = Array.from({ length: count }, (_, index) => readEntry(directory.read(index * ENTRY, ENTRY), narrow));
  const root = entries[0];
  const parents = new Map<number, number>();
  // Storages whose members are still to be found. Siblings are a tree of their own.
  const open: [number, number][] = root === undefined ? [] : [[root.child, 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [index, parent] = next;
    const entry = entries[index];
    if (entry === undefined || index === 0 || parents.has(index)) continue;
    parents.set(index, parent);
    open.push([entry.left, parent], [entry.right, parent]);
    if (entry.type === STORAGE) open.push([entry.child, index]);
  }
  const storagesOf = (index: number): string[] => {
    const storages: string[] = [];
    for (let parent = parents.get(index) ?? 0; parent !== 0; parent = parents.get(parent) ?? 0)
      storages.unshift(entries[parent]!.name);
    return storages;
  };
  // Streams that no storage leads to are there for readers that go through the directory from front to back.
  const streams = entries.flatMap(({ type, name, size, start }, index) =>
    type === STREAM ? [{ storages: storagesOf(index), name, size, start }] : [],
  );
  return {
    streams,
    rootStart: root?.start ?? NONE,
    rootSize: root?.size ?? 0,
    sound: directory.whole && root?.type === ROOT,
    limited: directory.length > ENTRIES * ENTRY,
  };
}

function readEntry(bytes: Buffer, narrow: boolean) {
  const length = bytes.readUInt16LE(64);
  return {
    name: length < 2 || length > 64 ? '' : bytes.toString('utf16le', 0, length - 2),
    type: bytes[66]!,
    left: bytes.readUInt32LE(68),
    right: bytes.readUInt32LE(72),
    child: bytes.readUInt32LE(76),
    start: bytes.readUInt32LE(116),
    size: bytes.readUInt32LE(120) + (narrow ? 0 : bytes.readUInt32LE(124) * 2 ** 32),
  };
}
