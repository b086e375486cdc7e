/**
 * Where in a message something may lie that some reader takes for a part: all of it, and each stretch between two lines that begin with
 * dashes, whatever boundary anybody believes in. And where in such a stretch its body may begin.
 */
import type { Buffer } from 'node:buffer';
import { CR, LF } from '../../../core/lines.js';

const DASH = 0x2d;
const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;
const VT = 0x0b;
/** Lines at the beginning of a stretch that are looked at for the end of its header. */
const HEADER_LINES = 60;

export interface Region {
  readonly start: number;
  readonly end: number;
}

/** The stretches between lines that begin with `--`, ascending; undefined when there are more than `most`. None where no line does. */
export function stretches(bytes: Buffer, most: number): Region[] | undefined {
  const found: Region[] = [];
  let start = 0;
  let lines = 0;
  for (let at = 0; at < bytes.length; at = afterLine(bytes, at, bytes.length)) {
    let first = at;
    while (first < bytes.length && isBlank(bytes[first]!)) first++;
    if (bytes[first] !== DASH || bytes[first + 1] !== DASH) continue;
    if (++lines > most) return undefined;
    if (at > start) found.push({ start, end: at });
    start = afterLine(bytes, at, bytes.length);
  }
  if (lines === 0) return [];
  if (start < bytes.length) found.push({ start, end: bytes.length });
  return found;
}

/**
 * Places in a stretch where a body may begin, ascending and each once: behind the first empty line, behind the second, and where the first
 * line stands that is no header field. Not its own beginning.
 */
export function bodyStarts(bytes: Buffer, { start, end }: Region): number[] {
  const starts = new Set<number>();
  let empty = 0;
  let junk = false;
  let at = start;
  for (let line = 0; line < HEADER_LINES && at < end; line++) {
    const next = afterLine(bytes, at, end);
    if (isEmptyLine(bytes, at, next)) {
      // What follows an empty line at once is empty as well: the body begins behind all of them.
      if (!isEmptyLine(bytes, next, afterLine(bytes, next, end)) && ++empty <= 2) starts.add(next);
    } else if (!junk && !isBlank(bytes[at]!) && !isField(bytes, at, next)) {
      junk = true;
      starts.add(at);
    }
    at = next;
  }
  starts.delete(start);
  starts.delete(end);
  return [...starts].sort((a, b) => a - b);
}

/** One past the line at `at` with its end: LF, CRLF or CR alone. */
export function afterLine(bytes: Buffer, at: number, end: number): number {
  let next = at;
  while (next < end && bytes[next] !== LF && bytes[next] !== CR) next++;
  if (bytes[next] === CR && bytes[next + 1] === LF) next++;
  return Math.min(end, next + 1);
}

function isEmptyLine(bytes: Buffer, start: number, end: number): boolean {
  if (start >= end) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte !== LF && byte !== CR && !isBlank(byte)) return false;
  }
  return true;
}

/** A name of printable characters, and a colon. */
function isField(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === COLON) return at > start;
    if (byte < 0x21 || byte > 0x7e) return false;
  }
  return false;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === VT;
}
