/**
 * Which packet brought which byte of the run that is being delivered. Segments are delivered in runs, and where a run ends depends on how
 * the capture was cut into blocks; the time of a verdict must not. The columns lie in the arena, where the kernel of header prediction writes them, too.
 */
import type { Arena } from '../core/arena.js';
import type { PacketClock } from './connection.js';

/** Packets of a run. A block of usual size has fewer; a run that has as many ends. */
const ROOM = 8192;

export class RunMarks {
  /** How many packets there are. */
  count = 0;
  readonly room = ROOM;
  /** Index of the run's first packet. */
  first = 0;
  /** Where the columns lie in the arena. Of each packet of the run: one past its last byte and its index, both counted from the run's first; its time. */
  readonly packetsAt: number;
  readonly secondsAt: number;
  readonly nanosecondsAt: number;
  readonly endsAt: number;
  readonly #packets: Int32Array;
  readonly #seconds: Float64Array;
  readonly #nanoseconds: Float64Array;
  readonly #ends: Int32Array;

  constructor(arena: Arena) {
    this.secondsAt = arena.claim(ROOM * 2 * (8 + 4));
    this.nanosecondsAt = this.secondsAt + ROOM * 8;
    this.packetsAt = this.nanosecondsAt + ROOM * 8;
    this.endsAt = this.packetsAt + ROOM * 4;
    const { buffer } = arena.memory;
    this.#packets = new Int32Array(buffer, this.packetsAt, ROOM);
    this.#seconds = new Float64Array(buffer, this.secondsAt, ROOM);
    this.#nanoseconds = new Float64Array(buffer, this.nanosecondsAt, ROOM);
    this.#ends = new Int32Array(buffer, this.endsAt, ROOM);
  }

  /** A run begins. */
  clear(): void {
    this.count = 0;
  }

  /** The packet that `clock` is set to brought the run's bytes up to `end`. There must be room. */
  add(end: number, clock: PacketClock): void {
    const at = this.count++;
    if (at === 0) this.first = clock.packet;
    this.#ends[at] = end;
    this.#packets[at] = clock.packet - this.first;
    this.#seconds[at] = clock.seconds;
    this.#nanoseconds[at] = clock.nanoseconds;
  }

  /** Sets `clock` to the last packet of the run. */
  last(clock: PacketClock): void {
    const at = this.count - 1;
    clock.packet = this.first + this.#packets[at]!;
    clock.seconds = this.#seconds[at]!;
    clock.nanoseconds = this.#nanoseconds[at]!;
  }

  /** Index, time of the packet that brought byte `offset` of the run; the nearest, where the run has no such byte. */
  packetOf(offset: number): PacketClock | undefined {
    if (this.count === 0) return undefined;
    const at = this.#indexOf(offset);
    return {
      packet: this.first + (this.#packets[at] ?? 0),
      seconds: this.#seconds[at] ?? 0,
      nanoseconds: this.#nanoseconds[at] ?? 0,
    };
  }

  /** One past the last byte that came with byte `offset` of the run. */
  endOf(offset: number): number {
    const end = this.count === 0 ? undefined : this.#ends[this.#indexOf(offset)];
    return end === undefined || end <= offset ? Number.POSITIVE_INFINITY : end;
  }

  #indexOf(offset: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
