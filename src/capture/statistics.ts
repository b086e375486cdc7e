/**
 * What a pass over a capture counted. Counts of `CaptureStatistics` itself are the same in every worker that shares a capture, since each reads all
 * of it; those of `TcpStatistics` and of `fragments` are of a worker's own share and add up.
 */

/** Where and how a capture stopped being readable. Everything before it was delivered. */
export interface CaptureDamage {
  readonly message: string;
  /** Byte offset in the capture (of the unpacked bytes where it is gzipped) of what cannot be read. */
  readonly offset: number;
  /** How many packets were read before. */
  readonly packet: number;
}

export interface TcpStatistics {
  /** Packets that were handed to reassembly. */
  packets: number;
  connections: number;
  /** Connections closed early because there were too many. */
  evicted: number;
  /** Segments with nothing but bytes that were seen before, or that had been given up as lost. */
  repeated: number;
  /** Segments or acknowledgements too far from where the connection is to be true. */
  outOfWindow: number;
  /** Packets that belong to no connection: nothing to decode, or after its end. */
  stray: number;
  gaps: number;
  gapBytes: number;
  overlaps: number;
}

export interface FragmentStatistics {
  packets: number;
  datagrams: number;
  /** Datagrams given up: never complete, or too many at a time. */
  incomplete: number;
  /** Datagrams whose fragments said different things of the same bytes. */
  conflicting: number;
}

export interface CaptureStatistics {
  packets: number;
  /** Captured bytes of them, without the file's own headers. */
  bytes: number;
  /** Packets that were captured in part only (snaplen). */
  cut: number;
  /** Packets that hold no TCP that could be read: by reason, or by IP protocol. */
  readonly ignored: Map<string, number>;
  readonly tcp: TcpStatistics;
  readonly fragments: FragmentStatistics;
  damage: CaptureDamage | undefined;
}

export function emptyStatistics(): CaptureStatistics {
  return {
    packets: 0,
    bytes: 0,
    cut: 0,
    ignored: new Map(),
    tcp: {
      packets: 0,
      connections: 0,
      evicted: 0,
      repeated: 0,
      outOfWindow: 0,
      stray: 0,
      gaps: 0,
      gapBytes: 0,
      overlaps: 0,
    },
    fragments: { packets: 0, datagrams: 0, incomplete: 0, conflicting: 0 },
    damage: undefined,
  };
}
