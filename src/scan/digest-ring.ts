/** How a thread tells its digest thread what to do: a ring of jobs in shared memory, worked off in order. Positions in 32-bit words. */

/** Jobs that were given, and that are done; they go on behind 2^31. */
export const GIVEN = 0;
export const DONE = 1;
/** Where the jobs begin, and how many words each has. */
export const FIRST = 16;
export const JOB_WORDS = 16;
export const JOBS = 1024;
export const RING_BYTES = (FIRST + JOBS * JOB_WORDS) * 4;

// Of a job.
export const KIND = 0;
/** Number of the file. */
export const FILE = 1;
/** Bytes [AT, AT + LENGTH) of the arena are the next of the file; of kind STORED: as many bytes of the descriptor AT. */
export const AT = 2;
export const LENGTH = 3;
/** Of a job of kind END that is done. */
export const RESULT = 4;
/** 32 bytes. */
export const SHA256 = 8;

// Kinds: more of a file, the same out of the file that it is spooled to, its last bytes, and that nobody wants to know any more.
export const MORE = 1;
export const STORED = 2;
export const END = 3;
export const DROP = 4;

// Results: it has no literal of the list; it has one; it could not be worked on.
export const CLEAN = 1;
export const FOUND = 2;
export const FAILED = 3;

/** Where the words of a job are; `count`: how many were given before it. */
export function jobAt(count: number): number {
  return FIRST + (count & (JOBS - 1)) * JOB_WORDS;
}

/** What the thread begins with; crosses threads. */
export interface DigestThreadSetup {
  readonly arena: SharedArrayBuffer;
  readonly ring: SharedArrayBuffer;
  readonly literals: readonly Uint8Array[];
}
