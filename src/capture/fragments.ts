/**
 * IP fragments put together (RFC 791, RFC 8200 section 4.5). Where two say different things of the same bytes the first is kept and the datagram is
 * marked, whatever a particular host would have made of it. Memory is bounded; the datagram that waits longest is given up first.
 */
import { Buffer } from 'node:buffer';
import type { FragmentStatistics } from './statistics.js';

/** The largest payload that fragments can make. */
export const MAX_DATAGRAM = 65_535;
/** Fragments count in units of eight bytes. */
const UNIT = 8;
/** What a datagram costs beside its bytes, roughly. */
const OVERHEAD = 256;
/** Seconds after which the rest will not come, and the same id is another datagram (RFC 8200: 60). */
const PATIENCE = 60;

class Datagram {
  bytes = Buffer.alloc(0);
  /** One byte a unit: was it seen? */
  seen = new Uint8Array(0);
  units = 0;
  /** Known from the last fragment; -1 before. */
  length = -1;
  conflicting = false;
  /** IPv6: the header that follows the fragment header, of the first fragment. */
  next = 0;
  readonly since: number;

  constructor(since: number) {
    this.since = since;
  }

  get cost(): number {
    return OVERHEAD + this.bytes.length + this.seen.length;
  }
}

/** A whole payload; its bytes are the receiver's. */
export interface WholeDatagram {
  readonly bytes: Buffer;
  readonly conflicting: boolean;
  readonly next: number;
}

export class FragmentReassembly {
  readonly #limit: number;
  readonly #statistics: FragmentStatistics;
  readonly #waiting = new Map<string, Datagram>();
  #cost = 0;

  constructor(limit: number, statistics: FragmentStatistics) {
    this.#limit = limit;
    this.#statistics = statistics;
  }

  /** One fragment: `from[start, end)` lies at `offset` of the payload of the datagram that `key` names. The datagram when that makes it whole. */
  add(
    key: string,
    offset: number,
    more: boolean,
    next: number,
    from: Buffer,
    start: number,
    end: number,
    seconds: number,
  ): WholeDatagram | undefined {
    this.#statistics.packets++;
    const length = end - start;
    const last = offset + length;
    if (length <= 0 || last > MAX_DATAGRAM || (more && length % UNIT !== 0)) return undefined;
    const datagram = this.#datagram(key, seconds);
    this.#cost -= datagram.cost;
    this.#place(datagram, offset, more, from, start, end);
    if (offset === 0) datagram.next = next;
    this.#cost += datagram.cost;
    if (datagram.length >= 0 && datagram.units === Math.ceil(datagram.length / UNIT)) {
      this.#remove(key, datagram);
      this.#statistics.datagrams++;
      if (datagram.conflicting) this.#statistics.conflicting++;
      return {
        bytes: datagram.bytes.subarray(0, datagram.length),
        conflicting: datagram.conflicting,
        next: datagram.next,
      };
    }
    for (const [oldest, waiting] of this.#waiting) {
      if (this.#cost <= this.#limit) break;
      this.#remove(oldest, waiting);
      this.#statistics.incomplete++;
    }
    return undefined;
  }

  /** No more will come. */
  finish(): void {
    this.#statistics.incomplete += this.#waiting.size;
    this.#waiting.clear();
    this.#cost = 0;
  }

  #datagram(key: string, seconds: number): Datagram {
    const known = this.#waiting.get(key);
    if (known !== undefined) {
      if (Math.abs(seconds - known.since) <= PATIENCE) return known;
      this.#remove(key, known);
      this.#statistics.incomplete++;
    }
    const datagram = new Datagram(seconds);
    this.#waiting.set(key, datagram);
    this.#cost += datagram.cost;
    return datagram;
  }

  #remove(key: string, datagram: Datagram): void {
    this.#waiting.delete(key);
    this.#cost -= datagram.cost;
  }

  #place(datagram: Datagram, offset: number, more: boolean, from: Buffer, start: number, end: number): void {
    const last = offset + end - start;
    if (!more) {
      // A second end that is elsewhere, or an end before what was seen already: two readings.
      const seenEnd = datagram.seen.lastIndexOf(1) * UNIT;
      if (datagram.length >= 0 ? datagram.length !== last : seenEnd >= last) datagram.conflicting = true;
      if (datagram.length < 0 && seenEnd < last) datagram.length = last;
    }
    if (datagram.length >= 0 && last > datagram.length) datagram.conflicting = true;
    const limit = datagram.length >= 0 ? Math.min(last, datagram.length) : last;
    if (limit > datagram.bytes.length) grow(datagram, limit);
    for (let at = offset; at < limit; at += UNIT) {
      const unitEnd = Math.min(at + UNIT, limit);
      const source = start + at - offset;
      if (datagram.seen[at / UNIT] === 0) {
        from.copy(datagram.bytes, at, source, source + unitEnd - at);
        datagram.seen[at / UNIT] = 1;
        datagram.units++;
      } else if (from.compare(datagram.bytes, at, unitEnd, source, source + unitEnd - at) !== 0)
        datagram.conflicting = true;
    }
  }
}

/** To the next power of two, so that many small fragments do not copy it each time. */
function grow(datagram: Datagram, length: number): void {
  const size = Math.min(2 ** Math.ceil(Math.log2(Math.max(length, 2048))), MAX_DATAGRAM + 1);
  const bytes = Buffer.alloc(size);
  datagram.bytes.copy(bytes);
  const seen = new Uint8Array(size / UNIT);
  seen.set(datagram.seen);
  datagram.bytes = bytes;
  datagram.seen = seen;
}
