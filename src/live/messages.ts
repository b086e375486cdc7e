/** What the primary process and its workers say to each other. Plain data: it crosses processes. */
import type { ToldRecord } from '../automation/incident.js';
import type { SessionEntry } from '../session/session-table.js';
import type { Endpoint } from '../ztna/endpoint.js';
import type { PinholeEvent } from './pinholes.js';

/** What a worker starts with, and what it is given when the configuration changes. */
export interface WorkerSetup {
  /** The configuration's text and where it came from. */
  readonly config: string;
  readonly path: string;
  /** Signature files and directories beside the built-in ones. */
  readonly signatures: readonly string[];
  readonly stateDirectory: string;
}

/** Totals of a session: from its client, to it. */
export type Count = readonly [id: number, sent: number, received: number];

/** What policy makes of a live session: it is to be asked again, it allows it, it allows it no more. */
export type SessionMark = 'dirty' | 'clean' | 'blocked';

export type ToPrimary =
  /** It listens to its primary: what is sent before is lost. */
  | { readonly kind: 'awake' }
  | { readonly kind: 'ready'; readonly doors: readonly string[] }
  /** It cannot start: why, in lines for the user. */
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'want-ids' }
  | { readonly kind: 'opened'; readonly session: SessionEntry }
  | { readonly kind: 'counts'; readonly counts: readonly Count[]; readonly totals: Totals }
  | { readonly kind: 'closed'; readonly count: Count }
  | { readonly kind: 'marked'; readonly id: number; readonly as: SessionMark }
  | { readonly kind: 'pinhole'; readonly event: PinholeEvent }
  /** One that was written and that a stitch may want. */
  | { readonly kind: 'record'; readonly record: ToldRecord }
  | { readonly kind: 'reloaded'; readonly error?: string };

export type ToWorker =
  | {
      readonly kind: 'start';
      readonly setup: WorkerSetup;
      readonly firstId: number;
      readonly ids: number;
      /** Addresses that get no session. */
      readonly refused: readonly string[];
      readonly endpoints: readonly Endpoint[];
    }
  /** Addresses whose sessions end and that get none, and those that get some again. */
  | { readonly kind: 'refused'; readonly added: readonly string[]; readonly removed: readonly string[] }
  | { readonly kind: 'endpoints'; readonly updated: readonly Endpoint[]; readonly removed: readonly string[] }
  | { readonly kind: 'ids'; readonly firstId: number; readonly ids: number }
  | { readonly kind: 'reload'; readonly setup: WorkerSetup }
  | { readonly kind: 'clear'; readonly ids: readonly number[] }
  | { readonly kind: 'reopen-log' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'end' };

/** Totals of one worker. `open` and `held` go up and down, all else only grows. */
export interface Totals {
  readonly open: number;
  /** Bytes that wait for verdicts. */
  readonly held: number;
  readonly sessions: number;
  readonly denied: number;
  readonly sent: number;
  readonly received: number;
  /** Files by what was done about them. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Records by kind. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly anomalies: Readonly<Record<string, number>>;
  /** Sessions by how they ended. */
  readonly ended: Readonly<Record<string, number>>;
}
