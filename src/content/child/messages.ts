/**
 * What the process that keeps a pool of children and such a child say to each other. To the child over node's own channel; from it in
 * frames on its standard output, which it writes synchronously: what runs there need not yield, and waits when its reader is slow.
 */
import type { Buffer } from 'node:buffer';
import type { ChildMeta } from '../../core/file.js';

export interface Job {
  readonly kind: 'job';
  /** Bytes of the content. */
  readonly length: number;
  /** What to do with it; the child's own matter. JSON. */
  readonly task: unknown;
  /** What may come out of it. */
  readonly maxBytes: number;
  readonly maxFiles: number;
}

export type ToChild =
  | Job
  /** The content's next bytes; `length` of them in all start the work. */
  | { readonly kind: 'bytes'; readonly bytes: Buffer };

/** A frame: one byte of kind, four of length (little-endian), and so many bytes. */
export const FRAME_HEADER = 5;
/** JSON, MemberFrame. */
export const MEMBER = 1;
/** Bytes of the member. */
export const BYTES = 2;
/** Nothing: the member has ended. */
export const MEMBER_END = 3;
/** JSON, what the job ended with. */
export const OUTCOME = 4;
/** A frame of JSON is no longer than this. */
export const JSON_LIMIT = 64 * 1024;

export type MemberFrame = Pick<ChildMeta, 'otherNames' | 'declaredType' | 'reading'> & {
  readonly name: string | undefined;
};

/** What every job ends with. */
export interface JobOutcome {
  /** The child has worked long enough, and is to be replaced. */
  readonly retiring: boolean;
}
