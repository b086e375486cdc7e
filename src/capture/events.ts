/**
 * What scanning a capture yields, in plain objects that cross threads. Each event is placed in its capture (`packet`, then `flow`), so
 * that whoever found it, and however many threads share the work, the same events come out in the same order.
 */
import type { FileId, FileState, Finding } from '../core/file.js';
import type { Endpoint, SessionInfo, TlsFacts } from '../core/session.js';
import type { FileVerdict, Outcome } from '../policy/outcome.js';

/** Where an event belongs: the packet that caused it, then the connection (by the index of its first packet), then its turn. */
export interface Place {
  readonly packet: number;
  readonly flow: number;
  readonly turn: number;
}

/** Seconds since 1970 and nanoseconds, of a packet. */
export interface PacketTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export const FLOW_STATES = ['decoded', 'opaque', 'ignored'] as const;

export interface FlowStarted extends Place {
  readonly kind: 'flow-started';
}

export interface FlowEnded extends Place {
  readonly kind: 'flow-ended';
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly service: string | undefined;
  readonly start: PacketTime;
  readonly end: PacketTime;
  /** Bytes of TCP payload from each side, gaps not counted. */
  readonly clientBytes: number;
  readonly serverBytes: number;
  readonly state: (typeof FLOW_STATES)[number];
  readonly reason: string | null;
  readonly tls: TlsFacts | undefined;
  /** Oddities by code, with how often. */
  readonly anomalies: Readonly<Record<string, number>>;
}

/** One file of a tree, as a row shows it. */
export interface FileSeen {
  readonly id: FileId;
  readonly parent: FileId | undefined;
  readonly name: string | undefined;
  readonly path: string | undefined;
  readonly transfer: 'upload' | 'download';
  readonly size: number;
  readonly sha256: string | undefined;
  readonly type: string;
  readonly state: FileState;
  readonly verdict: FileVerdict;
  /** Where it was asked for. */
  readonly detail?: FileDetail;
}

/** What else is known of a file. */
export interface FileDetail {
  readonly types: readonly string[];
  readonly findings: readonly Finding[];
  readonly otherNames: readonly string[];
  /** A reading of an ambiguous message, in words. */
  readonly reading: string | undefined;
}

/** The mail that a tree's files came in. */
export interface MailSeen {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
  readonly subject: string | undefined;
}

/** A message or file that ended, with everything that came out of it. */
export interface TreeInspected extends Place {
  readonly kind: 'tree';
  readonly time: PacketTime;
  /** `id` is 0: the number of the connection is known to whoever orders the events. */
  readonly session: SessionInfo;
  readonly files: readonly FileSeen[];
  readonly mail: MailSeen | undefined;
  readonly outcomes: readonly Outcome[];
  /** Policy would strip or block it. */
  readonly refused: boolean;
}

export type ScanEvent = FlowStarted | FlowEnded | TreeInspected;

/** Orders events that are complete up to some packet. */
export function byPlace(a: Place, b: Place): number {
  return a.packet - b.packet || a.flow - b.flow || a.turn - b.turn;
}
