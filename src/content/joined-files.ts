/**
 * Files that come in stretches: a transfer that was cut and is resumed, segments fetched in parallel, a file that is appended to. What was seen
 * of each is kept, out of order and on whatever connection it came, until together it is the whole, or until there is too much of it.
 */
import { Buffer } from 'node:buffer';
import type { Content } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import { Collection, type Storage } from './collection.js';
import { MemoryContent } from './kept-content.js';
import { eachPiece } from './pieces.js';

type Bounds = Pick<Limits, 'joinedBytes' | 'joinedMemory' | 'joinedWhole' | 'joinedParts'>;
/** What a stretch costs beside its bytes: even empty ones cannot be kept without end. */
const OVERHEAD = 512;

/** A stretch as it ended. */
export interface Stretch {
  /** What it is a stretch of; the same for all of one file. */
  readonly of: string;
  /** Undefined: where what is known ends. */
  readonly at: number | undefined;
  readonly content: Content;
  /** It went on to the end of the file. */
  readonly last: boolean;
  /** More may be appended to it later (an upload). */
  readonly grows: boolean;
}

/** The whole, in pieces that are valid during the call. */
export interface Whole {
  readonly length: number;
  /** Stretches overlap, and differ where they do. */
  readonly contradicted: boolean;
  each(take: (piece: Buffer) => void): void;
}

interface Kept {
  readonly at: number;
  readonly content: Content;
  /** In memory of its own where undefined. */
  readonly collection: Collection | undefined;
}

interface Parts {
  /** Ascending by their beginning. */
  readonly kept: Kept[];
  /** Where the file ends, when a stretch that went on to its end was seen. */
  end: number | undefined;
}

export class JoinedFiles {
  readonly #storage: Storage;
  readonly #limits: Bounds;
  /** The one that was touched last comes last. */
  readonly #files = new Map<string, Parts>();
  #bytes = 0;
  /** Bytes of those that are in memory of their own. */
  #inMemory = 0;

  constructor(storage: Storage, limits: Bounds) {
    // What is kept for long must not take the slots of files that are under way.
    this.#storage = { ...storage, slotLimit: 0 };
    this.#limits = limits;
  }

  /** Takes a stretch that ended. `joined` is called when it makes the whole together with what was kept, and is not the whole by itself. */
  add(stretch: Stretch, joined: (whole: Whole) => void): void {
    const { of, content, last, grows } = stretch;
    const before = this.#files.get(of);
    const at = stretch.at ?? (before === undefined ? undefined : coverage(before.kept));
    if (at === undefined) return;
    // A new beginning: what was kept is of another transfer, unless that was cut as well.
    if (at === 0 && last) this.#drop(of);
    if (at === 0 && last && (!grows || content.length > this.#limits.joinedWhole)) return;
    const parts = this.#files.get(of) ?? { kept: [], end: undefined };
    this.#files.delete(of);
    this.#files.set(of, parts);
    if (!this.#keep(parts, at, content)) return;
    if (last) parts.end = at + content.length;
    if (parts.kept.length > 1 && parts.end !== undefined && coverage(parts.kept) >= parts.end) {
      joined(wholeOf(parts.kept, parts.end));
      if (!grows) this.#drop(of);
    }
    this.#bound(of);
  }

  #keep(parts: Parts, at: number, content: Content): boolean {
    if (parts.kept.length >= this.#limits.joinedParts || content.length > this.#limits.joinedBytes) return false;
    const kept = this.#inOwnMemory(at, content) ?? this.#spooled(at, content);
    if (kept === undefined) return false;
    const index = parts.kept.findIndex((one) => one.at > at);
    parts.kept.splice(index < 0 ? parts.kept.length : index, 0, kept);
    this.#bytes += content.length + OVERHEAD;
    return true;
  }

  #inOwnMemory(at: number, content: Content): Kept | undefined {
    if (this.#inMemory + content.length > this.#limits.joinedMemory) return undefined;
    const bytes = Buffer.allocUnsafeSlow(content.length);
    let filled = 0;
    eachPiece(content, (piece) => {
      filled += piece.copy(bytes, filled);
    });
    this.#inMemory += content.length;
    return { at, content: new MemoryContent(bytes), collection: undefined };
  }

  #spooled(at: number, content: Content): Kept | undefined {
    const collection = new Collection(this.#storage);
    let failed = false;
    eachPiece(content, (piece) => {
      failed ||= collection.append(piece, 0, piece.length) !== undefined;
    });
    if (!failed) return { at, content: collection.seal().content, collection };
    collection.release();
    return undefined;
  }

  /** Forgets what was touched longest ago, and never what was touched last. */
  #bound(newest: string): void {
    for (const of of this.#files.keys()) {
      if (this.#bytes <= this.#limits.joinedBytes) return;
      if (of !== newest) this.#drop(of);
    }
  }

  #drop(of: string): void {
    const parts = this.#files.get(of);
    if (parts === undefined) return;
    this.#files.delete(of);
    for (const { content, collection } of parts.kept) {
      this.#bytes -= content.length + OVERHEAD;
      if (collection === undefined) this.#inMemory -= content.length;
      else collection.release();
    }
  }
}

/** Up to where the file is known from its first byte on. */
function coverage(kept: readonly Kept[]): number {
  let end = 0;
  for (const { at, content } of kept) {
    if (at > end) break;
    end = Math.max(end, at + content.length);
  }
  return end;
}

function wholeOf(kept: readonly Kept[], end: number): Whole {
  return {
    length: end,
    contradicted: kept.some((one, index) => index > 0 && contradicts(kept[index - 1]!, one)),
    each(take) {
      let known = 0;
      for (const { at, content } of kept) {
        let position = at;
        eachPiece(content, (piece) => {
          const from = Math.max(0, known - position);
          const to = Math.min(piece.length, end - position);
          if (from < to) take(piece.subarray(from, to));
          position += piece.length;
          known = Math.max(known, Math.min(position, end));
        });
      }
    },
  };
}

/** Do two that follow each other say different things of the bytes that both have? */
function contradicts(one: Kept, next: Kept): boolean {
  const length = Math.min(one.at + one.content.length, next.at + next.content.length) - next.at;
  const STEP = 65_536;
  for (let done = 0; done < length; done += STEP) {
    const size = Math.min(STEP, length - done);
    if (!one.content.read(next.at - one.at + done, size).equals(next.content.read(done, size))) return true;
  }
  return false;
}
