/**
 * What stands before the first delimiter of a multipart and after its last: nobody shows it, so it may be a short plain text and nothing
 * else. What is longer, holds control characters or looks like a part of its own is noted.
 */
import type { Buffer } from 'node:buffer';
import { CR, LF } from '../../core/lines.js';
import type { MimeAnomaly, Notes } from './anomalies.js';
import type { Body } from './body.js';

const SHORT = 2048;
const TAB = 0x09;
/** Begins an ISO-2022 sequence: a Japanese preamble. */
const ESC = 0x1b;
/** How a hidden part, header or encoded file begins. */
const HIDDEN = /^(--|content-|begin |begin-base64 |=ybegin )/i;
const LONGEST = 16;

export class OutsideText implements Body {
  readonly #code: MimeAnomaly;
  readonly #notes: Notes;
  #length = 0;
  /** The head of the present line. */
  #head = '';
  #noted = false;

  constructor(code: MimeAnomaly, notes: Notes) {
    this.#code = code;
    this.#notes = notes;
  }

  write(chunk: Buffer, start: number, end: number): void {
    for (let at = start; at < end && !this.#noted; at++) {
      const c = chunk[at]!;
      if (++this.#length > SHORT || (c < 0x20 && c !== CR && c !== LF && c !== TAB && c !== ESC)) this.#note();
      else if (c === LF) this.#lineEnded();
      else if (this.#head.length < LONGEST) this.#head += String.fromCharCode(c);
    }
  }

  gap(): void {
    this.#head = '';
  }

  end(): void {
    this.#lineEnded();
  }

  abort(): void {
    this.#lineEnded();
  }

  #lineEnded(): void {
    if (HIDDEN.test(this.#head)) this.#note();
    this.#head = '';
  }

  #note(): void {
    if (!this.#noted) this.#notes.note(this.#code);
    this.#noted = true;
  }
}
