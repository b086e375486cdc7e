/**
 * Which packet brought which byte of the run that is being delivered. Segments are delivered in runs, and where a run ends depends on how
 * the capture was cut into blocks; the time of a verdict must not.
 */
import type { PacketClock } from './connection.js';

export class RunMarks {
  #count = 0;
  /** Of each packet of the run: one past its last byte, counted from the run's first; its index and time. */
  #ends = new Int32Array(256);
  #packets = new Float64Array(256);
  #seconds = new Float64Array(256);
  #nanoseconds = new Int32Array(256);

  /** A run begins. */
  clear(): void {
    this.#count = 0;
  }

  /** The packet that `clock` is set to brought the run's bytes up to `end`. */
  add(end: number, clock: PacketClock): void {
    const at = this.#count++;
    if (at === this.#ends.length) this.#grow();
    this.#ends[at] = end;
    this.#packets[at] = clock.packet;
    this.#seconds[at] = clock.seconds;
    this.#nanoseconds[at] = clock.nanoseconds;
  }

  /** Index, time of the packet that brought byte `offset` of the run; the nearest, where the run has no such byte. */
  packetOf(offset: number): PacketClock | undefined {
    if (this.#count === 0) return undefined;
    const at = this.#indexOf(offset);
    return {
      packet: this.#packets[at] ?? 0,
      seconds: this.#seconds[at] ?? 0,
      nanoseconds: this.#nanoseconds[at] ?? 0,
    };
  }

  /** One past the last byte that came with byte `offset` of the run. */
  endOf(offset: number): number {
    const end = this.#count === 0 ? undefined : this.#ends[this.#indexOf(offset)];
    return end === undefined || end <= offset ? Number.POSITIVE_INFINITY : end;
  }

  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #grow(): void {
    const size = this.#ends.length * 2;
    const ends = new Int32Array(size);
    ends.set(this.#ends);
    this.#ends = ends;
    const packets = new Float64Array(size);
    packets.set(this.#packets);
    this.#packets = packets;
    const seconds = new Float64Array(size);
    seconds.set(this.#seconds);
    this.#seconds = seconds;
    const nanoseconds = new Int32Array(size);
    nanoseconds.set(this.#nanoseconds);
    this.#nanoseconds = nanoseconds;
  }
}
