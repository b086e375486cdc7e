/** What the process that keeps the pool and the process that runs 7-Zip say to each other, over node's own channel between them. */
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

export type FromChild =
  | { readonly kind: 'member'; readonly name: string; readonly size: number; readonly encrypted: boolean }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  | Outcome;

/** How a job ended. */
export interface Outcome {
  readonly kind: 'done';
  /** 7-Zip's exit code; -1 when it died of an error of its own. */
  readonly status: number;
  /** A bound of the job was crossed. */
  readonly over: 'bytes' | 'files' | undefined;
  /** Members were written, all of them or some. */
  readonly members: number;
  /** What 7-Zip printed about errors and warnings, shortened. */
  readonly complaint: string;
  readonly encrypted: boolean;
  readonly volumes: boolean;
}
