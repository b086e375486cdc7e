/**
 * The bytes of one file while they come: in a slot of the arena up to `limits.slot`, beyond that, or where no slot is to be had, in a
 * spool file that is hashed as it grows. What is cut, and what that means, is for its user to say: a call that could not keep its
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
import type { Slot, SlotPool } from './slots.js';
import type { Spool, SpoolFile } from './spool.js';

/** What of a slot stays as the write buffer of a spooled file: as much as a capture is read at once, within a core's own cache. */
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
  /** All of the file, or the tail of a spooled one. */
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
    const length = end - start;
    if (this.#bare) {
      if (length > this.#storage.spare.left || !this.#room(this.size + length)) return NOTHING_TO_SPARE;
      this.#storage.spare.left -= length;
    }
    if (this.#file === undefined) {
      if (this.#room(this.size + length)) {
        this.#copy(this.#slot!.at + this.size, chunk, start, end);
        this.grew(length);
        return undefined;
      }
      const failure = this.#spill();
      if (failure !== undefined) return failure;
    }
    return this.#appendSpooled(chunk, start, end);
  }

  /** Puts `chunk[start, end)` at `at`, over what is there; bytes between the end and `at` become zeros. */
  place(at: number, chunk: Buffer, start: number, end: number): Failure | undefined {
    if (at === this.size) return this.append(chunk, start, end);
    const beyond = at + end - start;
    if (this.#file === undefined) {
      if (this.#room(Math.max(this.size, beyond))) {
        const slot = this.#slot!;
        // A slot is used again without being cleaned: what nobody wrote would be another file's bytes.
        if (at > this.size) this.#storage.arena.clear(slot.at + this.size, slot.at + at);
        this.#copy(slot.at + at, chunk, start, end);
        this.#unhash(at);
        if (beyond > this.size) this.grew(beyond - this.size);
        return undefined;
      }
      const failure = this.#spill();
      if (failure !== undefined) return failure;
    }
    const failure = this.#flush() ?? this.#store(at, chunk, start, end);
    if (failure !== undefined) return failure;
    this.#forgetDigest();
    this.size = Math.max(this.size, beyond);
    this.#tailAt = this.size;
    return undefined;
  }

  /** The offset in the arena where `length` more bytes may be put, to be counted with `grew`; -1 when there is no such place. */
  reserve(length: number): number {
    if (this.#file === undefined) {
      if (this.#room(this.size + length)) return this.#slot!.at + this.size;
      if (this.size === 0 || this.#spill() !== undefined) return -1;
    }
    const slot = this.#slot;
    if (slot === undefined || length > slot.room) return -1;
    if (slot.used + length > slot.room && this.#flush() !== undefined) return -1;
    return slot.at + slot.used;
  }

  grew(length: number): void {
    this.size += length;
    const slot = this.#slot!;
    slot.used += length;
    if (this.#file === undefined && this.size - this.#hashed >= this.#storage.digests.block && !this.#rewritten)
      this.#hashSlot(slot);
  }

  /**
   * No more bytes: the whole of it, and its SHA-256. To be given back with `release`. Where the spool fails here, the digest is of
   * what can be read of it and the failure is told.
   */
  seal(): { content: Content; digest: Digested | PendingDigest; failure: Failure | undefined } {
    const file = this.#file;
    if (file === undefined) {
      const slot = this.#slot;
      if (slot !== undefined) this.#storage.slots.seal(slot);
      const bytes = slot === undefined ? EMPTY : this.#storage.arena.bytes.subarray(slot.at, slot.at + this.size);
      const content = new MemoryContent(bytes);
      if (this.#bare) return { content, digest: NO_DIGEST, failure: undefined };
      const digest = this.#digest ?? this.#storage.digests.begin();
      this.#digest = undefined;
      return { content, digest: digest.end(content, bytes, this.#hashed, this.size), failure: undefined };
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

  /** Makes the slot hold a file of `size` bytes; false when it cannot. */
  #room(size: number): boolean {
    if (size > this.#storage.slotLimit) return false;
    this.#slot ??= this.#storage.slots.open();
    if (this.#slot === undefined || this.#slot.room >= size) return this.#slot !== undefined;
    return this.#storage.slots.grow(this.#slot, size);
  }

  #copy(to: number, chunk: Buffer, start: number, end: number): void {
    const { arena } = this.#storage;
    // Within the arena a move costs a third of Buffer.copy, which makes two views first.
    if (arena.holds(chunk)) arena.move(to, chunk.byteOffset + start, chunk.byteOffset + end);
    else chunk.copy(arena.bytes, to, start, end);
  }

  /** Goes on in a spool file; the slot, or a buffer of its own, becomes the tail. */
  #spill(): Failure | undefined {
    const slot = this.#slot;
    let file: SpoolFile | undefined;
    try {
      file = this.#storage.spool.open();
      if (slot !== undefined && !file.write(0, this.#storage.arena.bytes, slot.at, slot.at + this.size)) {
        file.close();
        return SPOOL_FULL;
      }
    } catch (error) {
      file?.close();
      return failed(error);
    }
    this.#file = file;
    this.#tailAt = this.size;
    if (slot !== undefined) {
      this.#hashStored(this.#storage.arena.bytes, slot.at + this.#hashed, slot.at + this.size);
      this.#digest?.settle();
      slot.used = 0;
      if (slot.room >= DIGEST_BLOCK) {
        this.#storage.slots.shrink(slot, TAIL);
        return undefined;
      }
      this.#storage.slots.close(slot);
      this.#slot = undefined;
    } else this.#hashStored(EMPTY, 0, 0);
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

  /** Brings the digest up to the end of what the slot holds. */
  #hashSlot(slot: Slot): void {
    if (this.#bare) return;
    this.#digest ??= this.#storage.digests.begin();
    slot.beforeMove ??= () => this.#digest?.settle();
    this.#digest.update(this.#storage.arena.bytes, slot.at + this.#hashed, slot.at + this.size);
    this.#hashed = this.size;
  }

  /** The next bytes of the digest, which are in the file by now. */
  #hashStored(bytes: Buffer, start: number, end: number): void {
    if (this.#file === undefined) return;
    this.#digest ??= this.#storage.digests.begin();
    this.#digest.stored(this.#file, bytes, start, end);
    this.#hashed += end - start;
  }

  /** Bytes from `at` on are others now. */
  #unhash(at: number): void {
    if (at < this.#hashed) this.#forgetDigest();
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
    if (this.#slot !== undefined) this.#storage.slots.close(this.#slot);
    this.#slot = undefined;
    this.#tail = undefined;
  }
}

/** Bytes that lie in memory. */
export class MemoryContent implements Content {
  readonly length: number;
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.length = bytes.length;
    this.bytes = bytes;
  }

  read(at: number, length: number): Buffer {
    return this.bytes.subarray(at, at + length);
  }
}

class SpoolContent implements Content {
  readonly length: number;
  readonly bytes = undefined;
  readonly #file: SpoolFile;
  /** Kept from read to read: a window is read again and again. */
  #window = EMPTY;

  constructor(file: SpoolFile, length: number) {
    this.#file = file;
    this.length = length;
  }

  /** Throws what the file system says; whoever runs scanners and unpackers states that as `engine-error`. */
  read(at: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.length - at));
    if (this.#window.length < wanted) this.#window = Buffer.allocUnsafeSlow(wanted);
    const got = this.#file.read(at, this.#window, wanted);
    return this.#window.subarray(0, got);
  }
}

function failed(error: unknown): Failure {
  return { reason: 'engine-error', detail: `spool: ${error instanceof Error ? error.message : String(error)}` };
}
