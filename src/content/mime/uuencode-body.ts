/**
 * uuencode as a transfer encoding (`x-uuencode` and its other spellings): the `begin` line, lines of a length character and quads, the
 * empty line, `end`; bare lines without `begin` and `end` too. The file is opened when its first line has come, because the `begin` line
 * may be the only one to name it. `begin-base64` is not read.
 */
import { Buffer } from 'node:buffer';
import type { AbortReason, ChildStream } from '../../core/file.js';
import { CR, LF } from '../../core/lines.js';
import type { Notes } from './anomalies.js';
import type { Body } from './body.js';

/** A data line has at most 61 characters and perhaps a check character; a `begin` line a name. */
const LINE = 1024;
const BEGIN = /^begin [0-7]{3,4} (.+)$/;

const BEFORE = 0;
const DATA = 1;
/** The empty line or `end` came. */
const AFTER = 2;

export class UuencodeBody implements Body {
  readonly #open: (name: string | undefined) => ChildStream;
  readonly #notes: Notes;
  readonly #line = Buffer.alloc(LINE);
  readonly #decoded = Buffer.alloc(64);
  #length = 0;
  #overlong = false;
  #state = BEFORE;
  #begun = false;
  #child: ChildStream | undefined;

  constructor(open: (name: string | undefined) => ChildStream, notes: Notes) {
    this.#open = open;
    this.#notes = notes;
  }

  write(chunk: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at++) {
      const c = chunk[at]!;
      if (c === LF) this.#lineEnded();
      else if (this.#length < LINE) this.#line[this.#length++] = c;
      else this.#overlong = true;
    }
  }

  gap(): void {
    // The line that the gap begins in is lost; the one that it ends in cannot be told from a whole one and shows as junk.
    this.#length = 0;
    this.#overlong = false;
    this.#opened(undefined).gap(0);
  }

  end(spanEnd?: number): void {
    if (this.#length > 0) this.#lineEnded();
    if (this.#begun && this.#state !== AFTER) this.#notes.note('mime-uu-unfinished');
    this.#opened(undefined).end(spanEnd);
  }

  abort(reason: AbortReason): void {
    if (this.#length > 0) this.#lineEnded();
    this.#opened(undefined).abort(reason);
  }

  #lineEnded(): void {
    let length = this.#length;
    if (length > 0 && this.#line[length - 1] === CR) length--;
    this.#length = 0;
    if (this.#overlong) {
      this.#overlong = false;
      this.#notes.note('mime-uu-junk');
      return;
    }
    if (length === 0) return;
    const first = this.#line[0]!;
    // The words of the frame; `e` and `b` cannot begin a data line.
    if (first === 0x65 && length === 3 && this.#line.toString('latin1', 0, length) === 'end') {
      if (this.#state === BEFORE) this.#notes.note('mime-uu-junk');
      this.#state = AFTER;
      return;
    }
    if (first === 0x62) {
      const begin = BEGIN.exec(this.#line.toString('latin1', 0, length));
      if (begin === null) {
        this.#notes.note('mime-uu-junk');
        return;
      }
      // A second file in one part: its bytes go on behind the first's.
      if (this.#begun) this.#notes.note('mime-uu-junk');
      this.#begun = true;
      this.#state = DATA;
      this.#opened(begin[1]);
      return;
    }
    this.#data(length);
  }

  #data(length: number): void {
    const bytes = (this.#line[0]! - 0x20) & 0x3f;
    const groups = Math.ceil(bytes / 3);
    const first = this.#line[0]!;
    // Blanks at the end of a line may have been lost on the way; one check character may follow.
    if (first < 0x20 || first > 0x60 || length - 1 > groups * 4 + 1 || this.#state === AFTER) {
      if (!(this.#state === AFTER && this.#blank(length))) this.#notes.note('mime-uu-junk');
      return;
    }
    if (bytes === 0) {
      if (this.#state === DATA) this.#state = AFTER;
      return;
    }
    this.#state = DATA;
    for (let at = 1; at < length; at++)
      if (this.#line[at]! < 0x20 || this.#line[at]! > 0x60) this.#notes.note('mime-uu-junk');
    // What is missing counts as blanks.
    this.#line.fill(0x20, length, Math.max(length, 1 + groups * 4));
    for (let group = 0; group < groups; group++) {
      const at = 1 + group * 4;
      const joined = (this.#six(at) << 18) | (this.#six(at + 1) << 12) | (this.#six(at + 2) << 6) | this.#six(at + 3);
      this.#decoded[group * 3] = joined >> 16;
      this.#decoded[group * 3 + 1] = joined >> 8;
      this.#decoded[group * 3 + 2] = joined;
    }
    this.#opened(undefined).write(this.#decoded, 0, bytes);
  }

  #six(at: number): number {
    return (this.#line[at]! - 0x20) & 0x3f;
  }

  #blank(length: number): boolean {
    return this.#line.toString('latin1', 0, length).trim() === '';
  }

  #opened(name: string | undefined): ChildStream {
    this.#child ??= this.#open(name);
    return this.#child;
  }
}
