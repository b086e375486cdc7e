/**
 * Calls that an EMS still has to hear, quarantine and release, the oldest first. They outlive a restart, and any node may make them. A later call
 * about the same endpoint takes the place of an earlier one that was not made yet.
 */
import { isIP } from 'node:net';
import type { ReplicatedMap } from '../shared/replicated-map.js';
import { EMS_SERIAL, isRecord } from './reply.js';

export interface OutgoingCall {
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
/** A call that EMS did not hear for a day is given up, in milliseconds. */
export const CALL_AGE = 24 * 3600 * 1000;

export class CallQueue {
  readonly #map: ReplicatedMap;

  constructor(map: ReplicatedMap) {
    this.#map = map;
  }

  get size(): number {
    return this.#map.size;
  }

  /** False: there is no room. When it settles, the call outlives a restart. */
  async put(call: OutgoingCall): Promise<boolean> {
    const room = this.#map.set(keyOf(call), JSON.stringify(call));
    await this.#map.saved();
    return room;
  }

  /** Settles when what waits outlives a restart. */
  saved(): Promise<void> {
    return this.#map.saved();
  }

  /** The one that is next for this EMS, until it is `done`. */
  first(ems: string): OutgoingCall | undefined {
    return this.values().find((call) => call.ems === ems);
  }

  has(id: string): boolean {
    return this.values().some((call) => call.id === id);
  }

  /** It was made, unless a later one took its place meanwhile. */
  done(call: OutgoingCall): void {
    if (parseCall(this.#map.get(keyOf(call)) ?? '')?.id === call.id) this.#map.delete(keyOf(call));
  }

  values(): OutgoingCall[] {
    const calls = [...this.#map.entries()].flatMap(([, value]) => parseCall(value) ?? []);
    return calls.sort((a, b) => a.at - b.at);
  }

  /** Something is new, or done. */
  onChange(listener: () => void): () => void {
    return this.#map.onChange(() => listener());
  }
}

function keyOf({ ems, uid }: OutgoingCall): string {
  return `${ems}/${uid}`;
}

/** Undefined: it is none. It may come from a file, or from another node. */
export function parseCall(text: string): OutgoingCall | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { id, kind, ems, address, uid, at } = value;
  return typeof id === 'string' &&
    /^[0-9a-f-]{1,64}$/.test(id) &&
    (kind === 'quarantine' || kind === 'unquarantine') &&
    typeof ems === 'string' &&
    EMS_SERIAL.test(ems) &&
    typeof address === 'string' &&
    isIP(address) !== 0 &&
    typeof uid === 'string' &&
    /^[0-9A-F]{32}$/.test(uid) &&
    typeof at === 'number'
    ? { id, kind, ems, address, uid, at }
    : undefined;
}
