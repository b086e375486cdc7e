/**
 * The endpoints of one EMS on disk, so that a daemon that starts anew enforces what was last known. When they were last confirmed is the file's
 * time: confirming, every few seconds, writes nothing.
 */
import { closeSync, openSync, readFileSync, renameSync, statSync, utimesSync, writeSync } from 'node:fs';
import type { Endpoint } from '../ztna/endpoint.js';
import { EMS_SERIAL, isRecord } from './reply.js';

export interface Kept {
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly syncedAt: number;
  readonly endpoints: readonly Endpoint[];
}

/** The file is written at most so often, in milliseconds; so many endpoints at a time, so that nobody waits for it. */
const PAUSE = 2_000;
const PIECE = 500;

interface Waiting {
  readonly serial: string;
  syncedAt: number;
  readonly endpoints: () => readonly Endpoint[];
}

export class KeptEndpoints {
  readonly #path: string;
  readonly #problem: (what: string) => void;
  #waiting: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;
  #written = true;
  #writing = false;
  #drafts = 0;

  /** `problem`: it cannot be written; the daemon goes on without. */
  constructor(path: string, problem: (what: string) => void) {
    this.#path = path;
    this.#problem = problem;
  }

  /** Undefined: nothing is there, or nothing that can be read. */
  load(): Kept | undefined {
    try {
      const { mtimeMs } = statSync(this.#path);
      const [first = '', ...lines] = readFileSync(this.#path, 'utf8').split('\n');
      const head: unknown = JSON.parse(first);
      const serial = isRecord(head) ? head['serial'] : undefined;
      // The last line is empty: the file is whole.
      if (typeof serial !== 'string' || !EMS_SERIAL.test(serial) || lines.pop() !== '') return undefined;
      // We wrote it, and nobody else can.
      const endpoints = lines.map((line) => restoredEndpoint(JSON.parse(line) as Endpoint));
      return { serial, syncedAt: Math.floor(mtimeMs), endpoints };
    } catch {
      return undefined;
    }
  }

  keep(kept: Waiting): void {
    this.#waiting = { ...kept };
    if (this.#writing) return;
    this.#timer ??= setTimeout(() => this.#begin(), PAUSE).unref();
  }

  confirm(syncedAt: number): void {
    if (this.#waiting !== undefined) this.#waiting.syncedAt = syncedAt;
    else if (this.#written && !this.#writing) this.#touch(syncedAt);
  }

  /** What waits is written now, all of it. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pieces = this.#pieces();
    while (pieces?.next().done === false);
  }

  #begin(): void {
    this.#timer = undefined;
    const pieces = this.#pieces();
    if (pieces === undefined) return;
    this.#writing = true;
    const go = (): void => {
      if (pieces.next().done === false) {
        setImmediate(go);
        return;
      }
      this.#writing = false;
      if (this.#waiting !== undefined) this.#timer ??= setTimeout(() => this.#begin(), PAUSE).unref();
    };
    go();
  }

  /** Writes what waits, a piece at each step; undefined: nothing does. */
  #pieces(): Generator<void> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting === undefined ? undefined : this.#steps(waiting);
  }

  *#steps({ serial, syncedAt, endpoints }: Waiting): Generator<void> {
    const draft = `${this.#path}.draft${++this.#drafts}`;
    try {
      const file = openSync(draft, 'w', 0o600);
      try {
        writeSync(file, `${JSON.stringify({ serial })}\n`);
        const all = endpoints();
        for (let at = 0; at < all.length; at += PIECE) {
          const lines = all.slice(at, at + PIECE).map((endpoint) => `${JSON.stringify(endpoint)}\n`);
          writeSync(file, lines.join(''));
          yield;
        }
      } finally {
        closeSync(file);
      }
      renameSync(draft, this.#path);
      this.#written = true;
      this.#touch(syncedAt);
    } catch (error) {
      this.#written = false;
      this.#problem(`${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #touch(at: number): void {
    try {
      utimesSync(this.#path, at / 1000, at / 1000);
    } catch {
      // It was taken away: the next change writes it.
      this.#written = false;
    }
  }
}

/** JSON leaves out what is undefined. */
export function restoredEndpoint(endpoint: Endpoint): Endpoint {
  const { certificateSerial, domain, user, owner } = endpoint;
  return { ...endpoint, certificateSerial, domain, user, owner };
}
