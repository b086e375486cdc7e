/**
 * What was delivered and not yet acknowledged, so that a retransmission with other bytes is seen: until then the receiver may have taken either.
 * The bytes themselves are kept, which costs less than a checksum of all and compares ranges however they are cut: within a block they still lie where they
 * were read, and what is unacknowledged at its end (about a window a connection) is copied into a ring. The ring's size bounds all of it: what it
 * has overwritten is forgotten. A side whose peer was never heard (a one-sided capture) keeps its last `UNHEARD` bytes of a block only.
 */
import type { Buffer } from 'node:buffer';
import type { Arena } from '../core/arena.js';
import { KiB, MiB } from '../core/limits.js';
import type { Half } from './tcp-connection.js';

export const RING = 16 * MiB;
const UNHEARD = 64 * KiB;

/** How many ranges the ring remembers. */
const RANGES = 16 * KiB;

export class DeliveredBytes {
  readonly #arena: Arena;
  readonly #bytes: Buffer;
  readonly #ring: number;
  /** All bytes that ever went into the ring, and all ranges: a range's place in the columns below is its number modulo RANGES. */
  #position = 0;
  #ranges = 0;
  readonly #sequences = new Int32Array(RANGES);
  readonly #lengths = new Int32Array(RANGES);
  readonly #positions = new Float64Array(RANGES);
  /** The number of the same half's range before. */
  readonly #before = new Float64Array(RANGES);
  readonly #halves = new Array<Half | undefined>(RANGES).fill(undefined);
  /** No range before this one is needed any more. */
  #oldest = 0;
  // The runs delivered out of this block: four words each (sequence, start, end, index of the same half's run before).
  #runs = new Int32Array(4 * 1024);
  #count = 0;
  readonly #owners: Half[] = [];
  #block = 0;

  /** `ring` is a region of RING bytes in the arena. */
  constructor(arena: Arena, ring: number) {
    this.#arena = arena;
    this.#bytes = arena.bytes;
    this.#ring = ring;
  }

  /** `arena[start, end)`, which stays until `settle`, was delivered as the bytes from `sequence`. */
  note(half: Half, sequence: number, start: number, end: number): void {
    const at = this.#count * 4;
    if (at === this.#runs.length) {
      const larger = new Int32Array(at * 2);
      larger.set(this.#runs);
      this.#runs = larger;
    }
    this.#runs[at] = sequence;
    this.#runs[at + 1] = start;
    this.#runs[at + 2] = end;
    this.#runs[at + 3] = half.rangeBlock === this.#block ? half.lastRange : -1;
    half.lastRange = this.#count;
    half.rangeBlock = this.#block;
    this.#owners[this.#count++] = half;
  }

  /** Keeps a range that will not stay where it is. */
  keep(half: Half, sequence: number, from: Buffer, start: number, end: number): void {
    const length = end - start;
    const into = this.#position % RING;
    // A range lies in one piece: where it does not fit before the end of the ring it starts at its front.
    if (into + length > RING) this.#position += RING - into;
    const at = this.#ring + (this.#position % RING);
    // Within the arena this is the faster of the two.
    if (from === this.#bytes) this.#arena.move(at, start, end);
    else from.copy(this.#bytes, at, start, end);
    const index = this.#ranges % RANGES;
    this.#sequences[index] = sequence;
    this.#lengths[index] = length;
    this.#positions[index] = this.#position;
    this.#before[index] = half.lastKept;
    this.#halves[index] = half;
    half.lastKept = this.#ranges++;
    this.#position += length;
  }

  /** The block will be overwritten: what of it is not acknowledged goes into the ring. */
  settle(): void {
    this.#rewind();
    for (let index = 0; index < this.#count; index++) {
      const half = this.#owners[index]!;
      const sequence = this.#runs[index * 4]!;
      const end = this.#runs[index * 4 + 2]!;
      let start = this.#runs[index * 4 + 1]!;
      if (half.ended) continue;
      if (half.heard) {
        const acknowledged = (half.acked - sequence) | 0;
        if (acknowledged > 0) start += acknowledged;
      } else if (end - start > UNHEARD) start = end - UNHEARD;
      if (end - start > RING) start = end - RING;
      if (start >= end) continue;
      this.keep(half, (sequence + start - this.#runs[index * 4 + 1]!) | 0, this.#bytes, start, end);
    }
    this.#owners.length = 0;
    this.#count = 0;
    this.#block++;
  }

  /** Where nothing in the ring is needed any more, it begins at its front again: memory that was never touched costs more than any other. */
  #rewind(): void {
    this.#oldest = Math.max(this.#oldest, this.#ranges - RANGES);
    while (this.#oldest < this.#ranges) {
      const index = this.#oldest % RANGES;
      const half = this.#halves[index];
      const end = this.#sequences[index]! + this.#lengths[index]!;
      if (half !== undefined && !half.ended && !(half.heard && ((half.acked - end) | 0) >= 0)) return;
      this.#halves[index] = undefined;
      this.#oldest++;
    }
    this.#position = Math.ceil(this.#position / RING) * RING;
  }

  /** Do the bytes from `sequence`, `from[start, end)`, differ from what was delivered there and is not acknowledged? */
  differs(half: Half, sequence: number, from: Buffer, start: number, end: number): boolean {
    const acknowledged = half.heard ? (half.acked - sequence) | 0 : 0;
    const skip = Math.max(acknowledged, 0);
    if (skip >= end - start) return false;
    const first = (sequence + skip) | 0;
    const at = start + skip;
    if (half.rangeBlock === this.#block)
      for (let index = half.lastRange; index >= 0; index = this.#runs[index * 4 + 3]!) {
        const run = index * 4;
        const length = this.#runs[run + 2]! - this.#runs[run + 1]!;
        if (this.#differ(first, from, at, end, this.#runs[run]!, this.#runs[run + 1]!, length)) return true;
      }
    // From the newest to older ones, which have lower sequence numbers, up to what is acknowledged or was overwritten.
    for (let range = half.lastKept; range >= 0 && this.#ranges - range <= RANGES; ) {
      const index = range % RANGES;
      const known = this.#sequences[index]!;
      const length = this.#lengths[index]!;
      if (((known + length - first) | 0) <= 0) break;
      if (((known - first) | 0) >= end - at) {
        range = this.#before[index]!;
        continue;
      }
      const position = this.#positions[index]!;
      if (this.#position - position > RING || (half.heard && ((half.acked - known - length) | 0) >= 0)) break;
      if (this.#differ(first, from, at, end, known, this.#ring + (position % RING), length)) return true;
      range = this.#before[index]!;
    }
    return false;
  }

  /** Compares where the range [sequence, …) of `from[start, end)` and a remembered one overlap. */
  #differ(
    sequence: number,
    from: Buffer,
    start: number,
    end: number,
    known: number,
    knownAt: number,
    knownLength: number,
  ): boolean {
    const ahead = (known - sequence) | 0;
    const low = Math.max(ahead, 0);
    const high = Math.min(end - start, ahead + knownLength);
    if (low >= high) return false;
    const other = knownAt - ahead;
    return this.#bytes.compare(from, start + low, start + high, other + low, other + high) !== 0;
  }
}
