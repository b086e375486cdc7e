/**
 * zip (APPNOTE 6.3.10): what any reader could take out of it. Readers go by the directory, or by the local headers from the front, or
 * from the end record to one of two places; so the union of all is unpacked, and each way in which they disagree is named as malformed
 * (ARC-001 to ARC-024). In process: stored and deflate. Other methods are 7-Zip's, or `unhandled`.
 *
 * A member that needs a password is opened and ended empty, so that its name is judged, and the container is `encrypted`.
 * Not done: members over several volumes; streaming readers that find the end of stored data by its descriptor.
 */
import type { ChildMeta, Container, Content, Unpacker } from '../../core/file.js';
import { crc32 } from './crc32.js';
import { Inflate } from './inflate.js';
import type { SevenZip } from './seven-zip.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';
import {
  DEFLATE,
  DESCRIPTOR,
  directoriesOf,
  END,
  ENTRY,
  type End,
  type Entry,
  FLAG_DESCRIPTOR,
  findEnd,
  LOCAL,
  type Local,
  plausibleLocal,
  type Record,
  readEnd,
  readEntry,
  readLocal,
  STORED,
} from './zip-records.js';

const PIECE = 64 * 1024;
/** A few jar writers share two bytes between members. */
const TOLERATED_OVERLAP = 2;
/** End records whose directories are read. More are malformed all the same. */
const DIRECTORIES = 16;
/** Types that are zip files by construction. */
const ZIP_TYPES = ['zip', 'msofficex', 'crx', 'hwp'];

/** `sevenZip`: takes the members that are packed in ways not known here. */
export function zipUnpacker(limits: ArchiveLimits, sevenZip?: SevenZip): Unpacker {
  return {
    name: 'zip',
    accepts: (types, content) =>
      types.some((type) => ZIP_TYPES.includes(type)) &&
      (!types.includes('hwp') || content.read(0, 2).toString('latin1') === 'PK'),
    unpack(content, container) {
      return new ZipReading(content, container, limits, sevenZip).unpack();
    },
  };
}

/** A member as the directory and its local header have it; one of the two may be missing. */
interface Found {
  readonly entry: Entry | undefined;
  readonly local: Local;
}

class ZipReading {
  readonly #content: Content;
  readonly #unpacking: Unpacking;
  readonly #sevenZip: SevenZip | undefined;
  readonly #found: Found[] = [];
  /** Local headers that a directory led to. */
  readonly #reached = new Set<number>();
  /** Pairs of offsets that records occupy, in any order. */
  readonly #covered: [number, number][] = [];
  /** End records whose directories were read. */
  readonly #ends = new Set<number>();
  /** Names of members that only 7-Zip can unpack. */
  readonly #foreign = new Set<string>();
  /** Names of members that were dealt with here. */
  readonly #own = new Set<string>();
  readonly #container: Container;

  constructor(content: Content, container: Container, limits: ArchiveLimits, sevenZip: SevenZip | undefined) {
    this.#content = content;
    this.#container = container;
    this.#sevenZip = sevenZip;
    this.#unpacking = new Unpacking(container, content.length, limits);
  }

  unpack(): void | Promise<void> {
    if (!this.#unpacking.mayBegin()) return undefined;
    const end = findEnd(this.#content);
    if (end === undefined) this.#unpacking.unscannable('corrupted', 'zip without an end record');
    else this.#readDirectories(end);
    if (!this.#overlaps()) {
      for (const found of this.#found) {
        if (this.#unpacking.stopped) return undefined;
        this.#unpackMember(found);
      }
      this.#searchGaps(end === undefined);
    }
    if (this.#foreign.size === 0 || this.#unpacking.stopped) return undefined;
    if (this.#sevenZip === undefined) {
      this.#unpacking.unscannable('unhandled', `zip method of ${[...this.#foreign][0] ?? 'a member'}`);
      return undefined;
    }
    return this.#unpackForeign(this.#sevenZip);
  }

  /** 7-Zip takes the whole file; what it gives out that was not unpacked here is given on. It renames the second member of a name. */
  async #unpackForeign(sevenZip: SevenZip): Promise<void> {
    const missing = new Set(this.#foreign);
    await sevenZip.unpack(this.#content, this.#unpacking, 'zip', (name) => {
      missing.delete(name);
      return this.#foreign.has(name) || !this.#own.has(name);
    });
    const [name] = missing;
    if (name !== undefined) this.#unpacking.unscannable('unhandled', `zip method of ${name}`);
  }

  #readDirectories(end: End): void {
    this.#ends.add(end.at);
    // The comment is searched with the gaps: whole members were hidden in there.
    this.#covered.push([end.before, end.at + 22]);
    if (end.odd !== undefined) this.#unpacking.malformed(end.odd);
    if (end.disks) this.#unpacking.unscannable('multipart', 'zip of several volumes');
    const places = directoriesOf(this.#content, end);
    if (places.length === 0 && (end.count > 0 || end.directorySize > 0)) {
      this.#unpacking.malformed('zip-directory-missing');
      this.#unpacking.unscannable('corrupted', 'zip directory is not where its end record says');
    }
    if (places.length > 1) this.#unpacking.malformed('zip-directories');
    for (const place of places) {
      const count = this.#readDirectory(place.at, place.base, end.before);
      if (count === undefined) return;
      if (count !== end.count) this.#unpacking.malformed('zip-entry-count');
    }
  }

  /** Returns how many entries there are, or undefined when a limit was crossed. */
  #readDirectory(start: number, base: number, before: number): number | undefined {
    /** Local headers that this directory led to. */
    const reached = new Set<number>();
    let at = start;
    let count = 0;
    for (;;) {
      const entry = at < before ? readEntry(this.#content, at) : undefined;
      if (entry === undefined) break;
      if (!this.#unpacking.mayGoOn()) return undefined;
      if (this.#found.length > this.#container.budget.filesLeft) {
        // Directories open no child, so the guard does not see them: a million of them is the same bomb.
        this.#unpacking.stop('limit', 'more zip entries than files may be unpacked');
        return undefined;
      }
      at += entry.length;
      count++;
      this.#locate(entry, base, reached);
    }
    if (at < before && this.#signature(at) !== 0x05054b50) this.#unpacking.malformed('zip-directory-size');
    this.#covered.push([start, at]);
    return count;
  }

  #locate(entry: Entry, base: number, reached: Set<number>): void {
    if (entry.odd !== undefined) this.#unpacking.malformed(entry.odd);
    const local =
      (Number.isNaN(entry.offset) ? undefined : readLocal(this.#content, entry.offset + base)) ??
      (base !== 0 && !Number.isNaN(entry.offset) ? readLocal(this.#content, entry.offset) : undefined);
    if (local === undefined) {
      this.#unpacking.malformed('zip-member-missing');
      return;
    }
    if (local.odd !== undefined) this.#unpacking.malformed(local.odd);
    if (differ(entry, local)) this.#unpacking.malformed('zip-headers-differ');
    // Two directories that lead to one member are named already; one that leads there twice is another matter.
    if (this.#reached.has(local.at) && !reached.has(local.at)) return;
    reached.add(local.at);
    this.#reached.add(local.at);
    this.#found.push({ entry, local });
  }

  /** Members that share bytes: nobody writes that but for a bomb (BMB-001). */
  #overlaps(): boolean {
    const spans = this.#found
      .map(({ entry, local }) => [local.at, local.data + finite(entry?.packed ?? local.packed)] as const)
      .sort((a, b) => a[0] - b[0]);
    let last = 0;
    for (const [start, end] of spans) {
      if (start < last - TOLERATED_OVERLAP) {
        this.#unpacking.stop('mailbomb', 'zip members overlap');
        return true;
      }
      last = Math.max(last, end);
    }
    return false;
  }

  #unpackMember({ entry, local }: Found): void {
    const record: Record = entry ?? local;
    const names = new Set([record.name, ...record.otherNames, local.name, ...local.otherNames]);
    names.delete(record.name);
    const meta: ChildMeta = {
      name: record.name,
      ...(names.size > 0 ? { otherNames: [...names] } : {}),
      ...(Number.isNaN(record.size) ? {} : { declaredSize: record.size }),
    };
    if (`/${record.name}/`.includes('/../')) this.#unpacking.malformed('zip-name-traversal');
    if (record.encrypted || local.encrypted) {
      this.#unpacking.unscannable('encrypted', `zip member ${record.name}`);
      this.#unpacking.open(meta)?.end();
      this.#own.add(record.name);
      this.#cover(local, record, finite(record.packed));
      return;
    }
    // Two bytes of deflate are the empty stream: some writers deflate their directories.
    const empty = record.packed === 0 || (record.packed === 2 && record.method === DEFLATE);
    if (record.size === 0 && empty && /[/\\]$/.test(record.name)) {
      this.#cover(local, record, record.packed);
      return;
    }
    const methods = new Set([record.method, local.method]);
    let taken = 0;
    for (const method of methods) {
      if (method === DEFLATE || method === STORED) this.#own.add(record.name);
      if (method === DEFLATE) taken = Math.max(taken, this.#inflate(record, local, meta, methods.size > 1));
      else if (method === STORED) taken = Math.max(taken, this.#copy(record, local, meta, methods.size > 1));
      else {
        this.#foreign.add(record.name);
        taken = Math.max(taken, finite(record.packed));
      }
      if (this.#unpacking.stopped) return;
    }
    this.#cover(local, record, taken);
  }

  /** Returns how many bytes of the file the stream took. `ambiguous`: the headers disagree, so failing is no finding of its own. */
  #inflate(record: Record, local: Local, meta: ChildMeta, ambiguous: boolean): number {
    const member = this.#unpacking.open(meta);
    if (member === undefined) return 0;
    const done = this.#inflateInto(member, local.data);
    if (done.state === 'stopped') {
      member.cut();
      return done.taken;
    }
    if (done.state === 'damaged') {
      member.cut();
      if (!ambiguous) {
        this.#unpacking.unscannable('partiallycorrupted', `zip member ${record.name} is not deflate`);
        // The header may lie about the method: what it holds as it stands is a reading too.
        this.#raw(record, local, meta);
      }
      return finite(record.packed);
    }
    member.end();
    const sizes = this.#sizes(record, local, done.taken);
    if (done.taken !== sizes.packed || member.size !== sizes.size) this.#unpacking.malformed('zip-sizes');
    if (done.crc !== sizes.crc) this.#unpacking.unscannable('partiallycorrupted', `CRC of zip member ${record.name}`);
    return done.taken;
  }

  #copy(record: Record, local: Local, meta: ChildMeta, ambiguous: boolean): number {
    const length = this.#storedLength(record, local);
    const member = this.#unpacking.open(meta);
    if (member === undefined) return 0;
    let crc = 0;
    let at = local.data;
    const end = Math.min(this.#content.length, local.data + length);
    while (at < end) {
      const piece = this.#content.read(at, Math.min(PIECE, end - at));
      if (piece.length === 0) break;
      crc = crc32(piece, 0, piece.length, crc);
      if (!member.write(piece, 0, piece.length)) {
        member.cut();
        return length;
      }
      at += piece.length;
    }
    if (at < local.data + length) {
      this.#unpacking.unscannable('corrupted', `zip member ${record.name} is cut short`);
      member.cut();
    } else member.end();
    const sizes = this.#sizes(record, local, length);
    if (sizes.packed !== sizes.size || sizes.packed !== length) this.#unpacking.malformed('zip-sizes');
    if (crc !== sizes.crc && !ambiguous && !this.#probe(record, local, meta))
      this.#unpacking.unscannable('partiallycorrupted', `CRC of zip member ${record.name}`);
    return length;
  }

  /** "Stored" data whose CRC is wrong may be deflate that a lenient reader inflates (ARC-002). True when it was. */
  #probe(record: Record, local: Local, meta: ChildMeta): boolean {
    const inflate = Inflate.start();
    let produced = false;
    try {
      const piece = this.#content.read(local.data, Math.min(PIECE, finite(record.packed)));
      const state = inflate.push(piece, 0, piece.length, () => false);
      produced = state !== 'damaged' && (inflate.produced > 0 || state === 'ended');
    } finally {
      inflate.done();
    }
    if (!produced) return false;
    const member = this.#unpacking.open(meta);
    if (member === undefined) return true;
    const done = this.#inflateInto(member, local.data);
    if (done.state === 'ended') member.end();
    else member.cut();
    if (done.state === 'ended') this.#unpacking.malformed('zip-stored-deflate');
    else this.#unpacking.unscannable('partiallycorrupted', `CRC of zip member ${record.name}`);
    return true;
  }

  /** The member's bytes as they stand. */
  #raw(record: Record, local: Local, meta: ChildMeta): void {
    const member = this.#unpacking.open(meta);
    if (member === undefined) return;
    const end = Math.min(this.#content.length, local.data + this.#storedLength(record, local));
    for (let at = local.data; at < end; ) {
      const piece = this.#content.read(at, Math.min(PIECE, end - at));
      if (piece.length === 0) break;
      if (!member.write(piece, 0, piece.length)) break;
      at += piece.length;
    }
    if (this.#unpacking.stopped) member.cut();
    else member.end();
  }

  #inflateInto(
    member: Member,
    start: number,
  ): { readonly state: 'ended' | 'damaged' | 'stopped'; readonly taken: number; readonly crc: number } {
    const inflate = Inflate.start();
    let crc = 0;
    const sink = (chunk: Buffer, from: number, to: number): boolean => {
      crc = crc32(chunk, from, to, crc);
      return member.write(chunk, from, to);
    };
    try {
      let at = start;
      for (;;) {
        const piece = this.#content.read(at, PIECE);
        const state = piece.length === 0 ? inflate.end() : inflate.push(piece, 0, piece.length, sink);
        if (inflate.stopped || !this.#unpacking.mayGoOn()) return { state: 'stopped', taken: inflate.taken, crc };
        if (state !== 'more') return { state, taken: inflate.taken, crc };
        at += piece.length;
      }
    } finally {
      inflate.done();
    }
  }

  /** CRC and sizes that hold: the directory's, or those of the descriptor behind the data. */
  #sizes(
    record: Record,
    local: Local,
    taken: number,
  ): { readonly packed: number; readonly size: number; readonly crc: number } {
    // A member without an entry whose header has none either: the descriptor is all there is.
    if (record === local && (record.flags & FLAG_DESCRIPTOR) !== 0) {
      const bytes = this.#content.read(local.data + taken, 24);
      const skip = bytes.length >= 4 && bytes.readUInt32LE(0) === DESCRIPTOR ? 4 : 0;
      if (bytes.length >= skip + 12)
        return {
          crc: bytes.readUInt32LE(skip),
          packed: bytes.readUInt32LE(skip + 4),
          size: bytes.readUInt32LE(skip + 8),
        };
    }
    return record;
  }

  /** The length of stored data; searched for where only a descriptor would say it. */
  #storedLength(record: Record, local: Local): number {
    if (record !== local)
      return Math.max(finite(record.packed), (local.flags & FLAG_DESCRIPTOR) === 0 ? finite(local.packed) : 0);
    if ((local.flags & FLAG_DESCRIPTOR) === 0 || local.packed > 0) return finite(local.packed);
    const next = this.#findSignature(local.data, this.#content.length, true);
    return (next ?? this.#content.length) - local.data;
  }

  #cover(local: Local, record: Record, taken: number): void {
    let end = local.data + taken;
    if ((local.flags & FLAG_DESCRIPTOR) !== 0 || (record.flags & FLAG_DESCRIPTOR) !== 0) {
      const signed = this.#signature(end) === DESCRIPTOR;
      end += signed ? 16 : 12;
    }
    this.#covered.push([local.at, Math.min(end, this.#content.length)]);
  }

  /** Looks where no record lies, for members that some readers find (ARC-011, ARC-013) and for other directories. */
  #searchGaps(expected: boolean): void {
    this.#covered.sort((a, b) => a[0] - b[0]);
    const gaps: [number, number][] = [];
    let at = 0;
    for (const [start, end] of this.#covered) {
      if (start > at) gaps.push([at, start]);
      at = Math.max(at, end);
    }
    if (at < this.#content.length) gaps.push([at, this.#content.length]);
    for (const [start, end] of gaps) this.#searchGap(start, end, expected);
  }

  #searchGap(start: number, end: number, expected: boolean): void {
    let from = start;
    while (from < end && this.#unpacking.mayGoOn()) {
      const at = this.#findSignature(from, end, false);
      if (at === undefined) return;
      from = at + 4;
      const signature = this.#signature(at);
      if (signature === LOCAL) {
        const local = readLocal(this.#content, at);
        if (local === undefined || !plausibleLocal(local, this.#content.length)) continue;
        if (!expected) this.#unpacking.malformed('zip-hidden-member');
        const before = this.#covered.length;
        this.#unpackMember({ entry: undefined, local });
        from = Math.max(from, this.#covered[before]?.[1] ?? from);
      } else if (signature === END && !this.#ends.has(at)) {
        const other = readEnd(this.#content, at);
        const places = other === undefined ? [] : directoriesOf(this.#content, other);
        if (other === undefined || (places.length === 0 && other.directorySize > 0)) continue;
        this.#unpacking.malformed('zip-directories');
        // A thousand end records may all lead to one long directory.
        if (this.#ends.size >= DIRECTORIES) continue;
        this.#ends.add(at);
        const known = this.#found.length;
        for (const place of places) this.#readDirectory(place.at, place.base, other.before);
        for (const found of this.#found.slice(known)) if (!this.#unpacking.stopped) this.#unpackMember(found);
      }
    }
  }

  /** The next local header or end record (or, with `any`, any record) in `[from, end)`. */
  #findSignature(from: number, end: number, any: boolean): number | undefined {
    let at = from;
    while (at + 4 <= end) {
      const piece = this.#content.read(at, Math.min(PIECE, end - at));
      if (piece.length < 4) return undefined;
      for (let i = piece.indexOf(PK); i >= 0 && i + 4 <= piece.length; i = piece.indexOf(PK, i + 1)) {
        const signature = piece.readUInt32LE(i);
        if (signature === LOCAL || signature === END || (any && (signature === DESCRIPTOR || signature === ENTRY)))
          return at + i;
      }
      // A signature may lie across two pieces.
      at += piece.length - 3;
      if (!this.#unpacking.mayGoOn()) return undefined;
    }
    return undefined;
  }

  #signature(at: number): number {
    const bytes = this.#content.read(at, 4);
    return bytes.length === 4 ? bytes.readUInt32LE(0) : 0;
  }
}

const PK = Buffer.from('PK', 'latin1');

/** Whether two readers, one for each record, would unpack different things. */
function differ(entry: Entry, local: Local): boolean {
  if (!entry.rawName.equals(local.rawName) || entry.name !== local.name) return true;
  if (entry.method !== local.method || entry.encrypted !== local.encrypted) return true;
  const same = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));
  const alike = same(entry.crc, local.crc) && same(entry.packed, local.packed) && same(entry.size, local.size);
  if (alike) return false;
  // With a descriptor the local header has zeros; some writers put the sizes there all the same.
  const zero = (a: number, b: number): boolean => b === 0 || same(a, b);
  return !(
    (local.flags & FLAG_DESCRIPTOR) !== 0 &&
    zero(entry.crc, local.crc) &&
    zero(entry.packed, local.packed) &&
    zero(entry.size, local.size)
  );
}

/** A size that fits no number is not a size: the file's end bounds it. */
function finite(size: number): number {
  return Number.isNaN(size) ? Number.MAX_SAFE_INTEGER / 4 : size;
}
