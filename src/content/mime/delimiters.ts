/**
 * The multiparts that are open, outermost first, and what a line that begins with `--` is to them (RFC 2046 §5.1.1). A delimiter is a
 * whole line: `--`, the boundary, `--` when it closes, blanks. Readers that go by the beginning of a line alone see more delimiters; a
 * line that only they would take is noted.
 */
import type { Buffer } from 'node:buffer';
import { CR, LF } from '../../core/lines.js';
import type { Notes } from './anomalies.js';

/** Of a line this much is looked at: the longest boundary, and more blanks than anybody writes. */
export const DELIMITER_LINE = 8192;

const DASH = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;

interface Level {
  /** `--` and the boundary. */
  readonly delimiter: Buffer;
  readonly digest: boolean;
  /** A delimiter of it came. */
  begun: boolean;
}

export class Delimiters {
  readonly #notes: Notes;
  readonly #levels: Level[] = [];
  /** What the last line that matched is. */
  #level = -1;
  #close = false;

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  get depth(): number {
    return this.#levels.length;
  }

  /** The parts of the innermost multipart are messages unless they say otherwise. */
  get digest(): boolean {
    return this.#levels.at(-1)?.digest ?? false;
  }

  push(delimiter: Buffer, digest: boolean): void {
    // One that only begins with an outer one is in common use and, where whole lines are compared, unambiguous.
    if (this.#levels.some((level) => level.delimiter.equals(delimiter))) this.#notes.note('mime-boundary-reused');
    this.#levels.push({ delimiter, digest, begun: false });
  }

  /** Is the line `bytes[start, end)`, its line end included where it was seen, a delimiter? Then `take` acts on it. */
  matches(bytes: Buffer, start: number, end: number): boolean {
    let to = end;
    if (to > start && bytes[to - 1] === LF) to--;
    if (to > start && bytes[to - 1] === CR) to--;
    const written = to;
    while (to > start && (bytes[to - 1] === SPACE || bytes[to - 1] === TAB)) to--;
    let prefix = false;
    for (let level = this.#levels.length - 1; level >= 0; level--) {
      const { delimiter } = this.#levels[level]!;
      const rest = to - start - delimiter.length;
      if (rest < 0 || bytes.compare(delimiter, 0, delimiter.length, start, start + delimiter.length) !== 0) continue;
      const close = rest === 2 && bytes[to - 1] === DASH && bytes[to - 2] === DASH;
      if (rest === 0 || close) {
        this.#level = level;
        this.#close = close;
        if (written - to > 64) this.#notes.note('mime-delimiter-long');
        return true;
      }
      prefix = true;
    }
    if (prefix) this.#notes.note('mime-delimiter-prefix');
    return false;
  }

  /** Act on the delimiter that `matches` found: what lies inside its multipart has ended. True when a part begins. */
  take(): boolean {
    while (this.#levels.length - 1 > this.#level) {
      this.#levels.pop();
      this.#notes.note('mime-missing-close');
    }
    const level = this.#levels[this.#level]!;
    if (this.#close && !level.begun) this.#notes.note('mime-multipart-empty');
    level.begun = true;
    if (this.#close) this.#levels.pop();
    return !this.#close;
  }

  /** The message ended, completely: whatever is open was not closed. */
  finish(): void {
    for (const level of this.#levels) this.#notes.note(level.begun ? 'mime-missing-close' : 'mime-multipart-empty');
    this.forget();
  }

  /** Nothing more is taken apart. */
  forget(): void {
    this.#levels.length = 0;
  }
}
