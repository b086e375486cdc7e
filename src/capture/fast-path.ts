/**
 * The fast path of captures, after the header prediction of TCP receivers: while a run is under way, most packets are its next bytes or bare
 * acknowledgements of its connection. A kernel takes those (kernels/assembly/header-prediction.ts), all layers at once and without warming up. Whatever
 * else comes goes the long way, link-layer.ts to tcp.ts, and so does everything where there is no WebAssembly: the result is the same.
 */
import type { HeaderPrediction } from '../kernels/header-prediction.js';
import {
  BLOCKS,
  CAPTURED,
  INTERFACE,
  LINK_HEADER,
  MAX_PACKET,
  NANOSECONDS,
  OFFSET,
  SECONDS,
  TAKEN,
  TYPE_AT,
  UNIT,
} from '../kernels/header-prediction-registers.js';
import type { PacketClock } from './connection.js';
import { type LinkHeader, linkHeaderOf } from './link-types.js';
import type { CaptureStatistics } from './statistics.js';
import type { TcpReassembly } from './tcp.js';

/** How the records of a capture are to be read. */
export interface RecordShape {
  readonly linkType: number;
  /** Nanoseconds of one unit of its clock; a second is a whole number of them. */
  readonly unit: number;
  /** Of an enhanced packet block; undefined: these are records of a pcap. */
  readonly interface: number | undefined;
  /** Seconds that are added to all times. */
  readonly offset: number;
}

/** A record's header, and the shortest packet of TCP. */
const SHORTEST = 16 + 40;

export class FastPath {
  readonly #kernel: HeaderPrediction;
  readonly #tcp: TcpReassembly;
  readonly #statistics: CaptureStatistics;
  readonly #clock: PacketClock;
  readonly #maxPacket: number;
  #shape: RecordShape | undefined;
  #header: LinkHeader | undefined;

  constructor(
    kernel: HeaderPrediction,
    tcp: TcpReassembly,
    statistics: CaptureStatistics,
    clock: PacketClock,
    maxPacket: number,
  ) {
    this.#kernel = kernel;
    this.#tcp = tcp;
    this.#statistics = statistics;
    this.#clock = clock;
    this.#maxPacket = maxPacket;
  }

  /** Takes little-endian records from [at, end) of the arena. Where the first that is left begins. */
  take(shape: RecordShape, at: number, end: number): number {
    if (end - at < SHORTEST) return at;
    const { registers, numbers } = this.#kernel;
    if (!this.#tcp.predict(registers)) return at;
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#header = linkHeaderOf(shape.linkType);
    }
    if (this.#header === undefined) return at;
    const clock = this.#clock;
    registers[TYPE_AT] = this.#header.typeAt;
    registers[LINK_HEADER] = this.#header.length;
    registers[BLOCKS] = shape.interface === undefined ? 0 : 1;
    registers[INTERFACE] = shape.interface ?? 0;
    registers[UNIT] = shape.unit;
    registers[MAX_PACKET] = this.#maxPacket;
    numbers[OFFSET] = shape.offset;
    const next = this.#kernel.take(at, end);
    const taken = registers[TAKEN]!;
    if (taken === 0) return at;
    // Packets stay small integers: what counts them would be compiled twice otherwise.
    clock.packet += taken;
    clock.seconds = numbers[SECONDS]!;
    clock.nanoseconds = numbers[NANOSECONDS]!;
    this.#statistics.packets += taken;
    this.#statistics.bytes += registers[CAPTURED]!;
    this.#tcp.predicted(registers);
    return next;
  }
}
