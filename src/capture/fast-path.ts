/**
 * The fast path of captures, after the header prediction of TCP receivers: while a run is under way, most packets are its next bytes or bare
 * acknowledgements of its connection. A kernel takes those (kernels/assembly/header-prediction.ts), all layers at once and without warming up. Whatever
 * else comes goes the long way, link-layer.ts to tcp.ts, and so does everything where there is no WebAssembly: the result is the same.
 */
import type { HeaderPrediction } from '../kernels/header-prediction.js';
import {
  CAPTURED,
  FRACTION,
  LINK_HEADER,
  MAX_PACKET,
  PACKET,
  SECONDS,
  TAKEN,
  TYPE_AT,
  UNIT,
} from '../kernels/header-prediction-registers.js';
import type { PacketClock } from './connection.js';
import { type LinkHeader, linkHeaderOf } from './link-types.js';
import type { CaptureStatistics } from './statistics.js';
import type { TcpReassembly } from './tcp.js';

/** A record's header, and the shortest packet of TCP. */
const SHORTEST = 16 + 40;

export class FastPath {
  readonly #kernel: HeaderPrediction;
  readonly #tcp: TcpReassembly;
  readonly #statistics: CaptureStatistics;
  readonly #clock: PacketClock;
  readonly #maxPacket: number;
  #linkType = -1;
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

  /** Takes records of a little-endian pcap from [at, end) of the arena; their time counts in units of `unit` nanoseconds. Where the first that is left begins. */
  take(linkType: number, unit: number, at: number, end: number): number {
    if (end - at < SHORTEST) return at;
    const { registers, numbers } = this.#kernel;
    if (!this.#tcp.predict(registers)) return at;
    if (linkType !== this.#linkType) {
      this.#linkType = linkType;
      this.#header = linkHeaderOf(linkType);
    }
    if (this.#header === undefined) return at;
    registers[TYPE_AT] = this.#header.typeAt;
    registers[LINK_HEADER] = this.#header.length;
    registers[UNIT] = unit;
    registers[MAX_PACKET] = this.#maxPacket;
    numbers[PACKET] = this.#clock.packet;
    const next = this.#kernel.take(at, end);
    const taken = registers[TAKEN]!;
    if (taken === 0) return at;
    const clock = this.#clock;
    clock.packet = numbers[PACKET]!;
    clock.seconds = registers[SECONDS]! >>> 0;
    clock.nanoseconds = (registers[FRACTION]! >>> 0) * unit;
    this.#statistics.packets += taken;
    this.#statistics.bytes += registers[CAPTURED]!;
    this.#tcp.predicted(registers);
    return next;
  }
}
