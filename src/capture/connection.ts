/** What TCP reassembly tells of one connection, and to whom. */
import type { Side } from '../core/flow.js';
import type { Endpoint } from '../core/session.js';

/** Why nothing more comes of a connection. */
export const CLOSE_CAUSES = ['fin', 'reset', 'idle', 'reuse', 'capture-end', 'limit'] as const;
export type CloseCause = (typeof CLOSE_CAUSES)[number];

export interface ConnectionStart {
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** Index in its capture, from 0, of its first packet: orders connections whoever reassembles them. */
  readonly packet: number;
  /** Of its first packet, in nanoseconds since 1970. */
  readonly time: bigint;
  /** Its first packet was no SYN: the capture began in the middle, and which end is the client is a guess by port. */
  readonly midstream: boolean;
}

/** Takes the bytes of one connection in order. */
export interface ConnectionSink {
  /** The next bytes of `side`, valid for this call only: they lie in the arena and will be overwritten. */
  data(side: Side, chunk: Buffer): void;
  /** `length` bytes of `side` are missing here. */
  gap(side: Side, length: number): void;
  /** Two different contents were seen for the same bytes of `side`. */
  overlap(side: Side): void;
  /** FIN of `side`; all before it was delivered. */
  end(side: Side): void;
  /** The last call. */
  close(cause: CloseCause): void;
}

/** Asked at a connection's first packet; `undefined`: not wanted (another worker's), and its packets are skipped cheaply. */
export type OpenConnection = (start: ConnectionStart) => ConnectionSink | undefined;

/** The packet being handled, or the last of a run of packets being delivered. Read by whoever needs flow time. */
export interface PacketClock {
  /** Index of the packet in its capture, from 0. */
  packet: number;
  /** Its time, in whole seconds since 1970 and nanoseconds. */
  seconds: number;
  nanoseconds: number;
}
