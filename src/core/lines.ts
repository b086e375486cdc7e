/** Finding lines in bytes that come in pieces. */
import type { Buffer } from 'node:buffer';

export const CR = 0x0d;
export const LF = 0x0a;

/** There is no line end yet: leave the bytes untaken and wait for more. */
export const INCOMPLETE = -1;
/** No line end within `limit` bytes: the line is too long for its protocol. */
export const TOO_LONG = -2;

/** The index one past the LF of the line that starts at `from`, or INCOMPLETE, or TOO_LONG. */
export function lineEnd(chunk: Buffer, from: number, limit: number): number {
  const at = chunk.indexOf(LF, from);
  if (at < 0) return chunk.length - from > limit ? TOO_LONG : INCOMPLETE;
  return at + 1 - from > limit ? TOO_LONG : at + 1;
}

/** The end of the line's text: without its CRLF or bare LF. `end` is what `lineEnd` gave. */
export function textEnd(chunk: Buffer, from: number, end: number): number {
  const beforeLf = end - 1;
  return beforeLf > from && chunk[beforeLf - 1] === CR ? beforeLf - 1 : beforeLf;
}
