/**
 * What the process that keeps the pool and the process that runs 7-Zip say to each other. To the child over node's own channel; from it in
 * frames on its standard output, which it writes synchronously: 7-Zip does not yield, and so waits when its reader is slow.
 */
import type { Buffer } from 'node:buffer';

export type ToChild =
  | {
      readonly kind: 'job';
      readonly length: number;
      readonly format: string | undefined;
      readonly maxBytes: number;
      readonly maxFiles: number;
    }
  /** The container's next bytes; `length` of them in all start the work. */
  | { readonly kind: 'bytes'; readonly bytes: Buffer };

/** A frame: one byte of kind, four of length (little-endian), and so many bytes. */
export const FRAME_HEADER = 5;
/** JSON, MemberFrame. */
export const MEMBER = 1;
/** Bytes of the member. */
export const BYTES = 2;
/** Nothing: the member has ended. */
export const MEMBER_END = 3;
/** JSON, Outcome: the job has ended. */
export const OUTCOME = 4;
/** A frame of JSON is no longer than this. */
export const JSON_LIMIT = 64 * 1024;

export interface MemberFrame {
  readonly name: string;
}

export interface Outcome {
  /** 7-Zip's exit code; -1 when it died of an error of its own. */
  readonly status: number;
  /** A bound of the job was crossed. */
  readonly over: 'bytes' | 'files' | undefined;
  /** Members that were given out, all of them or some. */
  readonly members: number;
  /** A member was not written from front to back: only a part of it was given out. */
  readonly scattered: boolean;
  /** What 7-Zip printed about errors and warnings, shortened. */
  readonly complaint: string;
  readonly encrypted: boolean;
  readonly volumes: boolean;
  /** It has worked long enough, and is to be replaced. */
  readonly retiring: boolean;
}
