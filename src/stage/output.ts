/** What a connection of the stage asks of whoever feeds it. All calls are synchronous and return at once; the I/O is the caller's. */
import type { Buffer } from 'node:buffer';
import type { BypassReason, Related, Side } from '../core/flow.js';
import type { Endpoint } from '../core/session.js';
import type { Outcome } from '../policy/outcome.js';

export interface ConnectionOutput {
  /** Send `bytes` to the end `toward`, in the order of the calls. They are yours: the stage keeps no reference. */
  write(toward: Side, bytes: Buffer): void;
  /** Nothing more will come for `toward`: send FIN behind what was written. */
  finish(toward: Side): void;
  /** Abort the connection with the end `only`, or with both (RST where the transport has it). Nothing follows for what was aborted. */
  reset(reason: string, only: Side | undefined): void;
  /** Read no more from the end `side` (true), or go on (false). Bytes that are handed over all the same are kept. */
  pause(side: Side, paused: boolean): void;
  /**
   * Both ends agreed to begin TLS behind what was written (STARTTLS, STLS, AUTH TLS). Terminate it toward both, call `tlsReady`, then hand
   * over what lies inside. Until then hand over nothing. Left out: such a connection is reset (`no-tls`).
   */
  startTls?(): void;
  /**
   * The connection announced another (FTP data). Listen for it and call `ready` with the place that the dialling side is to be sent to,
   * within seconds, or `undefined` if there is none; when it comes, hand it to `StagedConnection.related`. Left out: none can be opened.
   */
  expect?(related: Related, ready: (at: Endpoint | undefined) => void): void;
  /** What happened, for counters and displays. Never ask the connection for anything from inside it. */
  event?(event: StageEvent): void;
}

/** What the stage tells of a connection, beside its log records. */
export type StageEvent =
  | { readonly kind: 'detected'; readonly service: string }
  | { readonly kind: 'anomaly'; readonly code: string; readonly side: Side }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'judged'; readonly action: 'pass' | 'monitor' | 'strip' | 'block' }
  /** It goes on uninspected, as policy allows, or it was reset because policy does not (`allowed` false). */
  | { readonly kind: 'bypassed'; readonly reason: BypassReason; readonly allowed: boolean }
  /** Our own bug, or a log that cannot be written: the connection was ended. */
  | { readonly kind: 'failed'; readonly error: unknown };
