/**
 * Quoted-printable (RFC 2045 §6.7), as it comes. Blanks at the end of a line were added on the way and go. Hex digits of either case are
 * taken; an escape that is none stays as it is written, which is noted. Line ends stay as they are.
 */
import { Buffer } from 'node:buffer';
import type { AbortReason, ChildStream } from '../../core/file.js';
import { CR, LF } from '../../core/lines.js';
import type { Notes } from './anomalies.js';
import type { Body } from './body.js';

const EQUALS = 0x3d;
const SPACE = 0x20;
const TAB = 0x09;

/** Blanks that wait for what follows them: more than a line of mail can have (RFC 5322 §2.1.1) go through as they are. */
const BLANKS = 1024;
/** Decoded bytes that are handed on at once. */
export const OUTPUT = 16 * 1024;

const TEXT = 0;
/** Blanks wait. */
const BLANK = 1;
/** After `=`. */
const ESCAPE = 2;
/** After `=` and blanks, which wait. */
const ESCAPE_BLANK = 3;
/** After `=` and a hex digit. */
const ESCAPE_HEX = 4;
/** After `=`, perhaps blanks, and a CR. */
const ESCAPE_CR = 5;

const HEX = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

export class QuotedPrintableBody implements Body {
  readonly #child: ChildStream;
  readonly #notes: Notes;
  /** Lent by the stage: one body of it is open at a time. */
  readonly #out: Buffer;
  #length = 0;
  #state = TEXT;
  #digit = 0;
  readonly #blanks = Buffer.alloc(BLANKS);
  #blankCount = 0;

  constructor(child: ChildStream, notes: Notes, output: Buffer) {
    this.#child = child;
    this.#notes = notes;
    this.#out = output;
  }

  write(chunk: Buffer, start: number, end: number): void {
    const out = this.#out;
    for (let at = start; at < end; at++) {
      // Room for all that one byte can set free.
      if (this.#length > OUTPUT - BLANKS - 4) this.#flush();
      const c = chunk[at]!;
      switch (this.#state) {
        case ESCAPE:
          if (HEX[c]! >= 0) {
            this.#digit = c;
            this.#state = ESCAPE_HEX;
            continue;
          }
          if (c === SPACE || c === TAB) {
            this.#state = ESCAPE_BLANK;
            this.#blanks[0] = c;
            this.#blankCount = 1;
            continue;
          }
          if (this.#softBreak(c)) continue;
          this.#broken();
          break;
        case ESCAPE_HEX:
          if (HEX[c]! >= 0) {
            out[this.#length++] = (HEX[this.#digit]! << 4) | HEX[c]!;
            this.#state = TEXT;
            continue;
          }
          this.#broken();
          break;
        case ESCAPE_BLANK:
          if ((c === SPACE || c === TAB) && this.#blankCount < BLANKS) {
            this.#blanks[this.#blankCount++] = c;
            continue;
          }
          if (this.#softBreak(c)) continue;
          this.#broken();
          break;
        case ESCAPE_CR:
          this.#state = TEXT;
          this.#blankCount = 0;
          if (c === LF) continue;
          this.#notes.note('mime-qp-escape');
          break;
        case BLANK:
          if ((c === SPACE || c === TAB) && this.#blankCount < BLANKS) {
            this.#blanks[this.#blankCount++] = c;
            continue;
          }
          if (c !== CR && c !== LF) this.#releaseBlanks();
          this.#blankCount = 0;
          this.#state = TEXT;
          break;
        default:
      }
      // The state is TEXT here.
      if (c === EQUALS) {
        this.#state = ESCAPE;
      } else if (c === SPACE || c === TAB) {
        this.#blanks[0] = c;
        this.#blankCount = 1;
        this.#state = BLANK;
      } else {
        out[this.#length++] = c;
      }
    }
    this.#flush();
  }

  gap(): void {
    this.#settle();
    // How many bytes the missing ones stood for is not known.
    this.#child.gap(0);
  }

  end(spanEnd?: number): void {
    this.#settle();
    this.#child.end(spanEnd);
  }

  abort(reason: AbortReason): void {
    this.#settle();
    this.#child.abort(reason);
  }

  #softBreak(c: number): boolean {
    if (c !== CR && c !== LF) return false;
    this.#state = c === CR ? ESCAPE_CR : TEXT;
    this.#blankCount = 0;
    return true;
  }

  /** What was taken for an escape is none. */
  #broken(): void {
    this.#notes.note('mime-qp-escape');
    this.#out[this.#length++] = EQUALS;
    if (this.#state === ESCAPE_HEX) this.#out[this.#length++] = this.#digit;
    if (this.#state === ESCAPE_BLANK) this.#releaseBlanks();
    this.#state = TEXT;
  }

  #releaseBlanks(): void {
    this.#blanks.copy(this.#out, this.#length, 0, this.#blankCount);
    this.#length += this.#blankCount;
    this.#blankCount = 0;
  }

  /** No more bytes belong to what was begun. A `=` at the very end is a soft break before nothing, which readers take differently. */
  #settle(): void {
    if (this.#state === ESCAPE_HEX) this.#broken();
    else if (this.#state >= ESCAPE) this.#notes.note('mime-qp-escape');
    this.#state = TEXT;
    this.#blankCount = 0;
    this.#flush();
  }

  #flush(): void {
    if (this.#length === 0) return;
    const length = this.#length;
    this.#length = 0;
    this.#child.write(this.#out, 0, length);
  }
}
