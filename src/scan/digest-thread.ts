/**
 * A second thread that hashes files and searches them for literal signatures, while the first reads on. Nothing is copied: bytes stay where they
 * were collected, in the arena, which both share, until the second is done with them. It only says whether there is something to be found: what it is,
 * the scanners of the first thread find out. Where it fails or does not answer, the first does its work.
 */
import { Buffer } from 'node:buffer';
import { Worker } from 'node:worker_threads';
import {
  type Digested,
  type Digests,
  digestOf,
  type PendingDigest,
  type RunningDigest,
  sha256,
} from '../content/digest.js';
import type { SpoolFile } from '../content/spool.js';
import type { Arena } from '../core/arena.js';
import { InternalError } from '../core/errors.js';
import type { Content } from '../core/file.js';
import { KiB } from '../core/limits.js';
import {
  AT,
  CLEAN,
  type DigestThreadSetup,
  DONE,
  DROP,
  END,
  FILE,
  FOUND,
  GIVEN,
  JOBS,
  jobAt,
  KIND,
  LENGTH,
  MORE,
  RESULT,
  RING_BYTES,
  SHA256,
  STORED,
} from './digest-ring.js';

/** A file of this size is hashed sooner than it is told of. */
const SMALL = 4 * KiB;
const MORE_AT_ONCE = 256 * KiB;

export interface DigestThreadOptions {
  /** Milliseconds without a job being done, until the thread is given up. */
  readonly patience: number;
  /** What it runs. */
  readonly program: URL;
}
const USUAL: DigestThreadOptions = {
  patience: 20_000,
  program: new URL('./digest-thread-main.js', import.meta.url),
};
/** Milliseconds that the event loop is kept from turning while nothing is done. */
const NAP = 1;

export class DigestThread implements Digests {
  readonly block = MORE_AT_ONCE;
  readonly #words: Int32Array;
  readonly #ring: Buffer;
  readonly #worker: Worker;
  readonly #patience: number;
  #alive = true;
  #given = 0;
  /** Jobs whose results were taken out of the ring. */
  #taken = 0;
  #files = 0;
  /** In the order in which they were given. */
  readonly #pending: Pending[] = [];
  #watched = false;

  /** `arena` must be shared. */
  constructor(arena: Arena, literals: readonly Buffer[], { patience, program }: DigestThreadOptions = USUAL) {
    this.#patience = patience;
    const buffer: unknown = arena.memory.buffer;
    if (!(buffer instanceof SharedArrayBuffer)) throw new InternalError('an arena of one thread has no digest thread');
    const ring = new SharedArrayBuffer(RING_BYTES);
    this.#words = new Int32Array(ring);
    this.#ring = Buffer.from(ring);
    const workerData: DigestThreadSetup = { arena: buffer, ring, literals };
    this.#worker = new Worker(program, { workerData });
    this.#worker.unref();
    this.#worker.on('error', () => this.#giveUp());
    this.#worker.on('exit', () => this.#giveUp());
  }

  begin(): RunningDigest {
    return new DigestThere(this, this.#files++);
  }

  collect(): void {
    this.#harvest();
    while (this.#pending[0]?.result !== undefined) this.#pending.shift()!.hand();
  }

  next(): boolean {
    const [oldest] = this.#pending;
    if (oldest === undefined) return false;
    this.waitFor(oldest.count);
    this.collect();
    return true;
  }

  close(): void {
    this.#giveUp();
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** How many jobs were given before this one. */
  give(kind: number, file: number, at: number, length: number): number {
    const count = this.#given;
    if (((count - this.#taken) | 0) >= JOBS) {
      this.waitFor((count - JOBS) | 0);
      this.#harvest();
    }
    const words = this.#words;
    const job = jobAt(count);
    words[job + KIND] = kind;
    words[job + FILE] = file;
    words[job + AT] = at;
    words[job + LENGTH] = length;
    words[job + RESULT] = 0;
    this.#given = (count + 1) | 0;
    Atomics.store(words, GIVEN, this.#given);
    Atomics.notify(words, GIVEN);
    return count;
  }

  await(pending: Pending): void {
    this.#pending.push(pending);
    this.#watch();
  }

  /** Waits until the job before which `count` were given is done, or the thread is given up. */
  waitFor(count: number): void {
    while (this.#alive) {
      const done = Atomics.load(this.#words, DONE);
      if (((done - count) | 0) > 0) return;
      if (Atomics.wait(this.#words, DONE, done, this.#patience) === 'timed-out') this.#giveUp();
    }
  }

  /** Takes results out of the ring. */
  #harvest(): void {
    const words = this.#words;
    const done = Atomics.load(words, DONE);
    for (const pending of this.#pending) {
      if (((done - pending.count) | 0) <= 0) break;
      if (pending.result !== undefined) continue;
      const job = jobAt(pending.count);
      const result = words[job + RESULT];
      const at = (job + SHA256) * 4;
      pending.result =
        result === CLEAN || result === FOUND
          ? { sha256: this.#ring.toString('hex', at, at + 32), searched: result === CLEAN }
          : digestOf(pending.content);
    }
    this.#taken = done;
  }

  /** Those who wait are answered all the same. */
  #giveUp(): void {
    if (!this.#alive) return;
    this.#alive = false;
    void this.#worker.terminate();
    this.#harvest();
    for (const pending of this.#pending) pending.result ??= digestOf(pending.content);
  }

  /** Who does not collect is handed what is done by the event loop. */
  #watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    setImmediate(() => {
      this.#watched = false;
      this.collect();
      if (this.#pending.length === 0) return;
      const done = Atomics.load(this.#words, DONE);
      if (done === this.#taken) Atomics.wait(this.#words, DONE, done, NAP);
      this.#watch();
    });
  }
}

/** A file that the thread has all of. */
class Pending implements PendingDigest {
  /** Of its last job. */
  readonly count: number;
  readonly content: Content;
  result: Digested | undefined;
  #take: ((digested: Digested) => void) | undefined;

  constructor(count: number, content: Content) {
    this.count = count;
    this.content = content;
  }

  whenDone(take: (digested: Digested) => void): void {
    this.#take = take;
  }

  hand(): void {
    if (this.result !== undefined) this.#take?.(this.result);
  }
}

class DigestThere implements RunningDigest {
  readonly #thread: DigestThread;
  readonly #file: number;
  /** Its last job. */
  #last: number | undefined;

  constructor(thread: DigestThread, file: number) {
    this.#thread = thread;
    this.#file = file;
  }

  update(bytes: Buffer, start: number, end: number): void {
    this.#last = this.#thread.give(MORE, this.#file, bytes.byteOffset + start, end - start);
  }

  stored(file: SpoolFile, _bytes: Buffer, start: number, end: number): void {
    if (end > start) this.#last = this.#thread.give(STORED, this.#file, file.fd, end - start);
  }

  settle(): void {
    if (this.#last !== undefined) this.#thread.waitFor(this.#last);
  }

  end(content: Content, bytes: Buffer, start: number, end: number): Digested | PendingDigest {
    if (!this.#thread.alive) return digestOf(content);
    if (this.#last === undefined && end - start < SMALL)
      return { sha256: sha256(bytes.subarray(start, end)), searched: false };
    const count = this.#thread.give(END, this.#file, bytes.byteOffset + start, end - start);
    const pending = new Pending(count, content);
    this.#thread.await(pending);
    return pending;
  }

  drop(): void {
    if (this.#last !== undefined) this.#thread.give(DROP, this.#file, 0, 0);
  }
}
