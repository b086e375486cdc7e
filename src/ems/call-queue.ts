/**
 * Calls that an EMS still has to hear, quarantine and release, in order. They outlive a restart: the file is written before a call is tried. A
 * later call about the same address takes the place of an earlier one that was not made yet.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { EMS_SERIAL, isRecord } from './reply.js';

export interface EmsCallOut {
  readonly id: string;
  readonly kind: 'quarantine' | 'unquarantine';
  /** The serial number of the EMS that is to hear it. */
  readonly ems: string;
  readonly address: string;
  readonly uid: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Calls that wait at most; more are refused. */
export const MOST_CALLS = 10_000;
/** A call that EMS did not hear for a day is given up. */
export const CALL_AGE = 24 * 3600 * 1000;

export interface CallQueue {
  /** False: there is no room. When it settles, the call outlives a restart. */
  put(call: EmsCallOut): Promise<boolean>;
  /** The first for this EMS, until `done`. */
  first(ems: string): EmsCallOut | undefined;
  done(id: string): void;
  readonly size: number;
  values(): Iterable<EmsCallOut>;
}

/** In a file. `problem`: it cannot be written; the calls are made all the same. */
export class CallFile implements CallQueue {
  readonly #path: string;
  readonly #problem: (what: string) => void;
  #calls: EmsCallOut[] = [];

  constructor(path: string, problem: (what: string) => void) {
    this.#path = path;
    this.#problem = problem;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      return;
    }
    const calls = parseCalls(text);
    if (calls === undefined) problem(`${path}: cannot be read, calls in it are lost`);
    else this.#calls = calls;
  }

  get size(): number {
    return this.#calls.length;
  }

  put(call: EmsCallOut): Promise<boolean> {
    const others = this.#calls.filter(({ ems, uid }) => ems !== call.ems || uid !== call.uid);
    if (others.length >= MOST_CALLS) return Promise.resolve(false);
    this.#calls = [...others, call];
    this.#save();
    return Promise.resolve(true);
  }

  first(ems: string): EmsCallOut | undefined {
    return this.#calls.find((call) => call.ems === ems);
  }

  done(id: string): void {
    const left = this.#calls.filter((call) => call.id !== id);
    if (left.length === this.#calls.length) return;
    this.#calls = left;
    this.#save();
  }

  values(): Iterable<EmsCallOut> {
    return this.#calls;
  }

  #save(): void {
    try {
      writeFileSync(`${this.#path}.draft`, JSON.stringify(this.#calls), { mode: 0o600, flush: true });
      renameSync(`${this.#path}.draft`, this.#path);
    } catch (error) {
      this.#problem(`${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Undefined: it is no list of calls. */
export function parseCalls(text: string): EmsCallOut[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.length <= MOST_CALLS && value.every(isCall) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isCall(value: unknown): value is EmsCallOut {
  if (!isRecord(value)) return false;
  const { id, kind, ems, address, uid, at } = value;
  return (
    typeof id === 'string' &&
    /^[0-9a-f-]{1,64}$/.test(id) &&
    (kind === 'quarantine' || kind === 'unquarantine') &&
    typeof ems === 'string' &&
    EMS_SERIAL.test(ems) &&
    typeof address === 'string' &&
    isIP(address) !== 0 &&
    typeof uid === 'string' &&
    /^[0-9A-F]{32}$/.test(uid) &&
    typeof at === 'number'
  );
}
