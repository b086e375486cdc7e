/**
 * How many descriptors are left. A system hands out the lowest number that is free, so that of a connection just accepted tells how many are in
 * use. Some are kept for what sessions need once they are let in: their servers, data connections, files, processes that take archives apart.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** Kept at the most, and as a part of all. */
const RESERVE = 64;
const RESERVED_PART = 1 / 4;
/** Milliseconds after which the limit is read again: it can be changed from outside. */
const FRESH = 1_000;

export class Descriptors {
  readonly #now: () => number;
  #most = Number.POSITIVE_INFINITY;
  #readAt = Number.NEGATIVE_INFINITY;

  /** `now`: milliseconds of a clock that only goes forward. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Is there none left for a session of the client that was just accepted? */
  scarceFor(socket: Socket): boolean {
    // Node has no public name for it; where it has none at all, the system itself is the bound.
    const fd = (socket as { _handle?: { fd?: number } })._handle?.fd ?? -1;
    if (this.#now() - this.#readAt > FRESH) {
      this.#most = limit();
      this.#readAt = this.#now();
    }
    return fd >= this.#most - Math.min(RESERVE, Math.floor(this.#most * RESERVED_PART));
  }
}

/** The soft limit of this process; Infinity where it cannot be read. */
function limit(): number {
  try {
    const said = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return said === undefined ? Number.POSITIVE_INFINITY : Number(said);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
