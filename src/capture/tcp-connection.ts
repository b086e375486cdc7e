/** The state of one TCP connection in a capture. Plain fields, all set at once, so that V8 has one shape for the packet path. */
import type { Buffer } from 'node:buffer';
import { CLIENT, type Side } from '../core/flow.js';
import type { ConnectionSink } from './connection.js';

/** A segment that waits for bytes before it. */
export interface Held {
  sequence: number;
  /** Where its bytes are: the arena while its block is being read, then a copy of its own. */
  bytes: Buffer;
  start: number;
  end: number;
}

/** What one side has sent. Sequence numbers are signed 32-bit words: only differences `(a - b) | 0` mean anything. */
export class Half {
  /** Is `next` known? */
  known = false;
  /** The sequence number of the SYN, where one was seen. */
  isn = 0;
  /** The next byte to be delivered. */
  next = 0;
  /** Up to where the other side has acknowledged, once it has acknowledged anything (`heard`). */
  acked = 0;
  heard = false;
  /** Where its FIN is, once one came. */
  finSeen = false;
  fin = 0;
  /** Its end was told. */
  ended = false;
  /** Out of order, ascending, disjoint. */
  readonly held: Held[] = [];
  /** Packets of the connection to wait until bytes that were acknowledged but not seen are given up. 0: none are missing. */
  patience = 0;
  /** The last sequence number that was too far away to be believed, and how many such agreed. */
  strange = 0;
  strangeCount = 0;
  /** Its last entry in the table of what was delivered in this block. */
  lastRange = -1;
  rangeBlock = -1;
  /** Number of its last range in the ring of what was delivered before. */
  lastKept = -1;
}

/** Asked for and wanted. */
export const OPEN = 0;
/** Its sink was told `close`, or is being told. */
export const CLOSED = 1;
/** Nobody wants it. */
export const SKIPPED = 2;

/** A SYN of other sequence numbers on a connection that is not over: a new connection, should the other side agree. */
export interface Candidate {
  readonly side: Side;
  readonly isn: number;
  readonly packet: number;
  readonly seconds: number;
  readonly nanoseconds: number;
}

export class TcpConnection {
  readonly client = new Half();
  readonly server = new Half();
  state = OPEN;
  sink: ConnectionSink | undefined = undefined;
  /** The side of the endpoint that comes first in the flow table's key. */
  readonly firstSide: Side;
  readonly slot: number;
  /** Index of its first packet. */
  readonly packet: number;
  lastPacket: number;
  lastSeconds: number;
  /** What its waiting segments cost. */
  heldCost = 0;
  /** A RST was seen, of `resetBy`, in packet `resetPacket` (-1: none). It is believed once nothing contradicts it for a while. */
  resetPacket = -1;
  resetBy: Side = CLIENT;
  resetSeconds = 0;
  resetNanoseconds = 0;
  candidate: Candidate | undefined = undefined;
  /** It is over by FIN, so that what still comes is late and not new. */
  finished = false;

  constructor(firstSide: Side, slot: number, packet: number, seconds: number) {
    this.firstSide = firstSide;
    this.slot = slot;
    this.packet = packet;
    this.lastPacket = packet;
    this.lastSeconds = seconds;
  }

  half(side: Side): Half {
    return side === CLIENT ? this.client : this.server;
  }
}
