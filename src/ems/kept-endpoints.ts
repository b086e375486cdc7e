/**
 * The endpoints of one EMS on disk, so that a daemon that starts anew enforces what was last known. When they were last confirmed is the file's
 * time: confirming, every few seconds, writes nothing.
 */
import { readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import type { Endpoint } from '../ztna/endpoint.js';
import { EMS_SERIAL, isRecord } from './reply.js';

export interface Kept {
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly syncedAt: number;
  readonly endpoints: readonly Endpoint[];
}

/** The file is written at most so often, in milliseconds. */
const PAUSE = 2_000;

export class KeptEndpoints {
  readonly #path: string;
  readonly #problem: (what: string) => void;
  #waiting: { readonly serial: string; syncedAt: number; readonly endpoints: () => readonly Endpoint[] } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #written: boolean;

  /** `problem`: it cannot be written; the daemon goes on without. */
  constructor(path: string, problem: (what: string) => void) {
    this.#path = path;
    this.#problem = problem;
    this.#written = true;
  }

  /** Undefined: nothing is there, or nothing that can be read. */
  load(): Kept | undefined {
    try {
      const { mtimeMs } = statSync(this.#path);
      const value: unknown = JSON.parse(readFileSync(this.#path, 'utf8'));
      if (!isRecord(value) || !Array.isArray(value['endpoints'])) return undefined;
      const { serial } = value;
      if (typeof serial !== 'string' || !EMS_SERIAL.test(serial)) return undefined;
      // We wrote it, and nobody else can.
      return {
        serial,
        syncedAt: Math.floor(mtimeMs),
        endpoints: (value['endpoints'] as Endpoint[]).map(restoredEndpoint),
      };
    } catch {
      return undefined;
    }
  }

  keep(kept: {
    readonly serial: string;
    readonly syncedAt: number;
    readonly endpoints: () => readonly Endpoint[];
  }): void {
    this.#waiting = { ...kept };
    this.#timer ??= setTimeout(() => this.flush(), PAUSE).unref();
  }

  confirm(syncedAt: number): void {
    if (this.#waiting !== undefined) this.#waiting.syncedAt = syncedAt;
    else if (this.#written) this.#touch(syncedAt);
  }

  /** What waits is written now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    try {
      const draft = `${this.#path}.draft`;
      const body = JSON.stringify({ serial: waiting.serial, endpoints: waiting.endpoints() });
      writeFileSync(draft, body, { mode: 0o600 });
      renameSync(draft, this.#path);
      this.#written = true;
      this.#touch(waiting.syncedAt);
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
