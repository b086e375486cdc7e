/** What is agreed on between those who submit inputs and those who scan them, through BullMQ's queue in Redis. */
import type { InputReport } from '../capture/scan-thread.js';

export const DEFAULT_QUEUE = 'inspectd';

/** One input. Plain data. */
export interface JobData {
  /** Where every worker finds it: an absolute path on storage that all of them have. */
  readonly path: string;
  readonly kind: 'capture' | 'message' | 'file';
  /** Bytes. */
  readonly size: number | undefined;
  /** The configuration's text and where it came from; undefined: the built-in one. */
  readonly config: { readonly text: string; readonly name: string } | undefined;
  readonly hashMessages: boolean;
}

export interface JobResult {
  /** Where the events lie: a Redis list of JSON arrays, in order. */
  readonly events: string;
  readonly report: InputReport;
}

/** Seconds that results wait for who submitted. */
export const RESULTS_LIFE = 3_600;
/** Characters of events of one input at most. */
export const MOST_RESULTS: number = 1024 * 1024 * 1024;
/** Of one piece of them. */
export const PIECE: number = 512 * 1024;

/** `token` is that of one attempt: one that was given up must not mix with the next. */
export function eventsKey(queue: string, job: string, token: string): string {
  return `${queue}:events:${job}:${token}`;
}
