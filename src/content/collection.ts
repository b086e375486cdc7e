/**
 * The bytes of one file while they come: in pieces of the arena up to `limits.slot`, beyond that, or where no piece is to be had, in a
 * spool file. They are hashed as they come. What is cut, and what that means, is for its user to say: a call that could not keep its
 * bytes answers with the failure, and what was kept before stays readable.
 */
import { Buffer } from 'node:buffer';
import type { Arena } from '../core/arena.js';
import type { Content } from '../core/file.js';
import {
  DIGEST_BLOCK,
  type Digested,
  type Digests,
  digestOf,
  type Failure,
  type PendingDigest,
  type RunningDigest,
} from './digest.js';
import { MemoryContent, PiecedContent, pieceOf, SpoolContent } from './kept-content.js';
import type { Slot, SlotPool } from './slots.js';
import type { Spool, SpoolFile } from './spool.js';

/** What of a piece stays as the write buffer of a spooled file: as much as a capture is read at once, within a core's own cache. */
const TAIL = 262_144;

/** What a thread collects files in. */
export interface Storage {
  readonly arena: Arena;
  readonly slots: SlotPool;
  readonly spool: Spool;
  /** Who hashes them. */
  digests: Digests;
  /** A file is spooled beyond this. */
  readonly slotLimit: number;
  /** Answers of others that files wait for: they come by the event loop. */
  promised: number;
  /** Bytes that may still be kept of what is only kept in case it is needed (`bare` collections). */
  readonly spare: { left: number };
}

const SPOOL_FULL: Failure = { reason: 'limit', detail: 'spool' };
const NOTHING_TO_SPARE: Failure = { reason: 'limit', detail: 'readingMemory' };
const EMPTY = Buffer.alloc(0);
const NO_DIGEST: Digested = { sha256: '', searched: false };

export class Collection {
  /** One past the last byte kept. */
  size = 0;
  readonly #storage: Storage;
  /** Where it lies in memory, in order; the tail of a spooled file. */
  readonly #pieces: Slot[] = [];
  /** The last of them. */
  #slot: Slot | undefined;
  #file: SpoolFile | undefined;
  /** The tail of a spooled file that has no slot. */
  #tail: Buffer | undefined;
  /** Where the tail starts: what comes before it is in the file. */
  #tailAt = 0;
  #digest: RunningDigest | undefined;
  /** The digest covers the file up to here. */
  #hashed = 0;
  /** Bytes that were hashed already have been written over: the rest waits for the end, or hashing again and again would be quadratic. */
  #rewritten = false;
  readonly #bare: boolean;

  /** `bare`: it is kept in case it is needed, without a digest, in what memory is to spare, and never spooled: what it fails to keep is lost. */
  constructor(storage: Storage, bare = false) {
    this.#storage = storage;
    this.#bare = bare;
  }

  /** Adds `chunk[start, end)`. */
  append(chunk: Buffer, start: number, end: number): Failure | undefined {
    let at = start;
    if (this.#bare && end - start > this.#storage.spare.left) return NOTHING_TO_SPARE;
    if (this.#file === undefined) {
      if (this.size + end - start <= this.#storage.slotLimit) at = this.#collect(chunk, start, end);
      if (at === end) return undefined;
      if (this.#bare) return NOTHING_TO_SPARE;
      const failure = this.#spill();
      if (failure !== undefined) return failure;
    }
    return this.#appendSpooled(chunk, at, end);
  }

  /** Puts `chunk[start, end)` at `at`, over what is there; bytes between the end and `at` become zeros. */
  place(at: number, chunk: Buffer, start: number, end: number): Failure | undefined {
    if (at === this.size) return this.append(chunk, start, end);
    if (this.#file === undefined) {
      if (at + end - start <= this.#storage.slotLimit) {
        const over = Math.min(end, start + Math.max(0, this.size - at));
        if (over > start) this.#overwrite(at, chunk, start, over);
        if (at < this.size && over === end) return undefined;
        if (this.#zeros(at)) return this.append(chunk, over, end);
      }
      const failure = this.#spill();
      if (failure !== undefined) return failure;
    }
    const failure = this.#flush() ?? this.#store(at, chunk, start, end);
    if (failure !== undefined) return failure;
    this.#forgetDigest();
    this.size = Math.max(this.size, at + end - start);
    this.#tailAt = this.size;
    return undefined;
  }

  /** The offset in the arena where `length` more bytes may be put, to be counted with `grew`; -1 when there is no such place. */
  reserve(length: number): number {
    if (this.#file === undefined) {
      if (this.size + length <= this.#storage.slotLimit) {
        const piece = this.#piece(length);
        return piece === undefined ? -1 : piece.at + piece.used;
      }
      if (this.size === 0 || this.#spill() !== undefined) return -1;
    }
    const slot = this.#slot;
    if (slot === undefined || length > slot.room) return -1;
    if (slot.used + length > slot.room && this.#flush() !== undefined) return -1;
    return slot.at + slot.used;
  }

  grew(length: number): void {
    this.size += length;
    this.#slot!.used += length;
    if (this.#file !== undefined || this.#bare || this.#rewritten) return;
    if (this.size - this.#hashed >= this.#storage.digests.block) this.#hashPieces(this.#pieces.length);
  }

  /**
   * No more bytes: the whole of it, and its SHA-256. To be given back with `release`. Where the spool fails here, the digest is of
   * what can be read of it and the failure is told.
   */
  seal(): { content: Content; digest: Digested | PendingDigest; failure: Failure | undefined } {
    const file = this.#file;
    if (file === undefined) {
      const { slots } = this.#storage;
      for (const piece of this.#pieces) slots.seal(piece);
      const views = this.#pieces.map((piece) => this.#view(piece));
      const content =
        views.length > 1
          ? new PiecedContent(views, [...this.#pieces], this.size)
          : new MemoryContent(views[0] ?? EMPTY);
      if (this.#bare) return { content, digest: NO_DIGEST, failure: undefined };
      // The end is told with the last piece.
      this.#hashPieces(this.#pieces.length - 1);
      const digest = this.#digest ?? this.#storage.digests.begin();
      this.#digest = undefined;
      const last = views.at(-1) ?? EMPTY;
      const hashed = this.#hashed - (this.size - last.length);
      return { content, digest: digest.end(content, last, hashed, last.length), failure: undefined };
    }
    const failure = this.#flush();
    const content = new SpoolContent(file, this.size);
    const running = this.#digest;
    this.#digest = undefined;
    this.#dropTail();
    const digest = running === undefined ? digestOf(content) : running.end(content, EMPTY, 0, 0);
    return { content, digest, failure };
  }

  /** Gives its memory and its file back; `seal`'s content ends with it. */
  release(): void {
    if (this.#bare) this.#storage.spare.left += this.size;
    this.#digest?.drop();
    this.#digest = undefined;
    this.#dropTail();
    this.#file?.close();
    this.#file = undefined;
  }

  /** Puts what there is memory for of `chunk[start, end)` into it; where the first byte is that there is none for. */
  #collect(chunk: Buffer, start: number, end: number): number {
    for (let at = start; at < end; ) {
      const piece = this.#piece(1);
      if (piece === undefined) return at;
      const length = Math.min(piece.room - piece.used, end - at);
      this.#copy(piece.at + piece.used, chunk, at, at + length);
      if (this.#bare) this.#storage.spare.left -= length;
      this.grew(length);
      at += length;
    }
    return end;
  }

  /** The piece that the next `length` bytes go to; undefined: there is none to be had. */
  #piece(length: number): Slot | undefined {
    const last = this.#slot;
    if (last !== undefined && last.room - last.used >= length) return last;
    const { slots } = this.#storage;
    const piece = slots.open();
    if (piece === undefined) return undefined;
    if (piece.room < length) {
      slots.close(piece);
      return undefined;
    }
    piece.from = this.size;
    this.#pieces.push(piece);
    this.#slot = piece;
    return piece;
  }

  #view({ at, used }: Slot): Buffer {
    return this.#storage.arena.bytes.subarray(at, at + used);
  }

  /** Puts `chunk[start, end)` over bytes that are there. */
  #overwrite(at: number, chunk: Buffer, start: number, end: number): void {
    let index = pieceOf(this.#pieces, at);
    for (let next = start; next < end; index++) {
      const piece = this.#pieces[index]!;
      const into = at + next - start - piece.from;
      const length = Math.min(piece.used - into, end - next);
      this.#copy(piece.at + into, chunk, next, next + length);
      next += length;
    }
    if (at < this.#hashed) this.#forgetDigest();
  }

  /** Zeros up to `at`, as memory is used again without being cleaned: what nobody wrote would be another file's bytes. False: there is no memory for them. */
  #zeros(at: number): boolean {
    while (this.size < at) {
      const piece = this.#piece(1);
      if (piece === undefined) return false;
      const length = Math.min(piece.room - piece.used, at - this.size);
      this.#storage.arena.clear(piece.at + piece.used, piece.at + piece.used + length);
      this.grew(length);
    }
    return true;
  }

  #copy(to: number, chunk: Buffer, start: number, end: number): void {
    const { arena } = this.#storage;
    // Within the arena a move costs a third of Buffer.copy, which makes two views first.
    if (arena.holds(chunk)) arena.move(to, chunk.byteOffset + start, chunk.byteOffset + end);
    else chunk.copy(arena.bytes, to, start, end);
  }

  /** Goes on in a spool file; the last piece, or a buffer of its own, becomes the tail. */
  #spill(): Failure | undefined {
    const { arena, slots } = this.#storage;
    let file: SpoolFile | undefined;
    try {
      file = this.#storage.spool.open();
      for (const { at, from, used } of this.#pieces)
        if (!file.write(from, arena.bytes, at, at + used)) {
          file.close();
          return SPOOL_FULL;
        }
    } catch (error) {
      file?.close();
      return failed(error);
    }
    this.#file = file;
    this.#tailAt = this.size;
    this.#hashStored(EMPTY, 0, 0);
    for (let index = pieceOf(this.#pieces, this.#hashed); index < this.#pieces.length; index++) {
      const { at, from, used } = this.#pieces[index]!;
      this.#hashStored(arena.bytes, at + this.#hashed - from, at + used);
    }
    this.#digest?.settle();
    const last = this.#pieces.pop();
    this.#dropPieces();
    if (last !== undefined) {
      if (last.room >= DIGEST_BLOCK) {
        last.used = 0;
        slots.shrink(last, TAIL);
        this.#pieces.push(last);
        this.#slot = last;
        return undefined;
      }
      slots.close(last);
    }
    this.#tail = Buffer.allocUnsafeSlow(DIGEST_BLOCK);
    return undefined;
  }

  #appendSpooled(chunk: Buffer, start: number, end: number): Failure | undefined {
    if (this.size === this.#tailAt && end - start >= DIGEST_BLOCK) return this.#appendWhole(chunk, start, end);
    const slot = this.#slot;
    const room = slot === undefined ? this.#tail!.length : slot.room;
    for (let at = start; at < end; ) {
      const filled = this.size - this.#tailAt;
      const length = Math.min(room - filled, end - at);
      if (slot === undefined) chunk.copy(this.#tail!, filled, at, at + length);
      else {
        this.#copy(slot.at + filled, chunk, at, at + length);
        slot.used += length;
      }
      this.size += length;
      at += length;
      if (filled + length === room) {
        const failure = this.#flush();
        if (failure !== undefined) return failure;
      }
    }
    return undefined;
  }

  /** A piece that is large enough by itself goes to the file without being copied first. */
  #appendWhole(chunk: Buffer, start: number, end: number): Failure | undefined {
    const failure = this.#store(this.size, chunk, start, end);
    if (failure !== undefined) return failure;
    if (this.#digest !== undefined) this.#hashStored(chunk, start, end);
    this.size += end - start;
    this.#tailAt = this.size;
    return undefined;
  }

  /** Writes the tail out. When that fails the file ends before it. */
  #flush(): Failure | undefined {
    const length = this.size - this.#tailAt;
    if (length === 0) return undefined;
    const slot = this.#slot;
    const bytes = slot === undefined ? this.#tail! : this.#storage.arena.bytes;
    const start = slot === undefined ? 0 : slot.at;
    if (slot !== undefined) slot.used = 0;
    const failure = this.#store(this.#tailAt, bytes, start, start + length);
    if (failure !== undefined) {
      this.size = this.#tailAt;
      return failure;
    }
    if (this.#digest !== undefined) this.#hashStored(bytes, start, start + length);
    this.#tailAt = this.size;
    return undefined;
  }

  /** Brings the digest up to the end of what the first `count` pieces hold. */
  #hashPieces(count: number): void {
    for (let index = pieceOf(this.#pieces, this.#hashed); index < count; index++) {
      const { at, from, used } = this.#pieces[index]!;
      if (from + used === this.#hashed) continue;
      this.#digest ??= this.#storage.digests.begin();
      this.#digest.update(this.#storage.arena.bytes, at + this.#hashed - from, at + used);
      this.#hashed = from + used;
    }
  }

  /** The next bytes of the digest, which are in the file by now. */
  #hashStored(bytes: Buffer, start: number, end: number): void {
    if (this.#file === undefined) return;
    this.#digest ??= this.#storage.digests.begin();
    this.#digest.stored(this.#file, bytes, start, end);
    this.#hashed += end - start;
  }

  /** The digest is made anew at the end. */
  #forgetDigest(): void {
    this.#digest?.drop();
    this.#digest = undefined;
    this.#hashed = 0;
    this.#rewritten = true;
  }

  #store(at: number, bytes: Buffer, start: number, end: number): Failure | undefined {
    try {
      return this.#file!.write(at, bytes, start, end) ? undefined : SPOOL_FULL;
    } catch (error) {
      return failed(error);
    }
  }

  #dropTail(): void {
    this.#dropPieces();
    this.#tail = undefined;
  }

  #dropPieces(): void {
    for (const piece of this.#pieces) this.#storage.slots.close(piece);
    this.#pieces.length = 0;
    this.#slot = undefined;
  }
}

function failed(error: unknown): Failure {
  return { reason: 'engine-error', detail: `spool: ${error instanceof Error ? error.message : String(error)}` };
}
