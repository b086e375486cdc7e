/**
 * A message on its way to the client: finds its end, takes the stuffed dots off for the file, and remembers where they were (RFC 1939
 * §3). A line is one that ends in CRLF. A lone dot between other line ends is where readers differ: it is told as `ambiguous`, and ends
 * the message only when the server's own status line ended in a bare LF.
 */
import { Buffer } from 'node:buffer';
import type { Edit, FileStream } from '../../src/core/file.js';
import type { Unit } from '../../src/core/flow.js';
import { CR, LF } from '../../src/core/lines.js';
import { statusAt } from './replies.js';

const DOT = 0x2e;
const LF_DOT = Buffer.from('\n.');

/** A message with more stuffed dots than this cannot have a part exchanged; it is replaced whole. Eight bytes are kept for each. */
const STUFFED_DOTS = 1_000_000;

export class Message {
  readonly file: FileStream;
  /** Holds the status line and the stuffed message. */
  readonly unit: Unit;
  /** The end was found. */
  ended = false;
  /** What comes next is a lone dot between other line ends than CRLF. Reading goes on behind it after `tolerate`. */
  ambiguous = false;
  /** Bytes are missing, and then came what looks like the next answer. */
  overrun = false;
  /** Bytes of it are missing. */
  gapped = false;
  /** Bytes of the file so far: the message without stuffed dots and final line. */
  length = 0;

  /** The status line, for a message that replaces this one. */
  readonly #status: Buffer;
  readonly #lenient: boolean;
  /** Offsets in the file of the bytes that had a stuffed dot in front; undefined when nobody will ask, or there were too many. */
  #stuffed: number[] | undefined;
  /** The next byte begins a line: after CRLF, or after a bare LF. */
  #lineStart: 'no' | 'exact' | 'bare';
  #endsInCr = false;
  #tolerated = false;

  /** `status`: the line that announced it, kept. */
  constructor(file: FileStream, unit: Unit, status: Buffer, passive: boolean) {
    this.file = file;
    this.unit = unit;
    this.#status = status;
    this.#lenient = status.at(-1) === LF && status.at(-2) !== CR;
    this.#lineStart = this.#lenient ? 'bare' : 'exact';
    this.#stuffed = passive ? undefined : [];
  }

  gap(length: number): void {
    this.file.gap(length);
    this.gapped = true;
    this.#lineStart = 'no';
    this.#endsInCr = false;
  }

  tolerate(): void {
    this.ambiguous = false;
    this.#tolerated = true;
  }

  /** Reads on from `at`, writing to the file. How far it got: what is behind it is untaken, or the next answer's. */
  read(chunk: Buffer, at: number): number {
    let from = at;
    let next = at;
    for (;;) {
      if (this.#lineStart !== 'no') {
        const step = this.#atLineStart(chunk, next);
        if (step !== 'plain') {
          this.#write(chunk, from, next);
          if (step === 'wait') return next;
          if (step !== 'stuffed') {
            this.ended = true;
            return step;
          }
          this.#noteStuffed();
          next += 1;
          from = next;
        }
        this.#lineStart = 'no';
      }
      // Where bytes are missing each line is looked at, for it may be the next answer.
      const lineFeed = chunk.indexOf(this.gapped ? LF : LF_DOT, next);
      if (lineFeed < 0) {
        this.#write(chunk, from, chunk.length);
        if (chunk.length > next && chunk[chunk.length - 1] === LF)
          this.#lineStart = this.#kind(chunk, chunk.length - 1);
        if (chunk.length > at) this.#endsInCr = chunk[chunk.length - 1] === CR;
        return chunk.length;
      }
      this.#lineStart = this.#kind(chunk, lineFeed);
      next = lineFeed + 1;
    }
  }

  #kind(chunk: Buffer, lineFeed: number): 'exact' | 'bare' {
    const before = lineFeed > 0 ? chunk[lineFeed - 1] === CR : this.#endsInCr;
    return before ? 'exact' : 'bare';
  }

  /** What the line at `at` is: plain, with a stuffed dot, not yet to be told, or the last one (then the index behind it). */
  #atLineStart(chunk: Buffer, at: number): 'plain' | 'stuffed' | 'wait' | number {
    if (at >= chunk.length) return 'wait';
    if (this.gapped) {
      const status = statusAt(chunk, at);
      if (status === 'partial') return 'wait';
      if (status === 'ok' || status === 'err') {
        this.overrun = true;
        return 'wait';
      }
    }
    if (chunk[at] !== DOT) return 'plain';
    const exact = this.#lineStart === 'exact';
    const second = chunk[at + 1];
    if (second === undefined) return 'wait';
    const unstuffed = exact || this.#lenient ? 'stuffed' : 'plain';
    let after = at + 2;
    if (second === CR) {
      const third = chunk[at + 2];
      if (third === undefined) return 'wait';
      if (third !== LF) return unstuffed;
      if (exact) return at + 3;
      after = at + 3;
    } else if (second !== LF) return unstuffed;
    if (!this.#tolerated) {
      this.ambiguous = true;
      return 'wait';
    }
    this.#tolerated = false;
    return this.#lenient ? after : unstuffed;
  }

  #write(chunk: Buffer, from: number, to: number): void {
    if (to <= from) return;
    this.file.write(chunk, from, to);
    this.length += to - from;
  }

  #noteStuffed(): void {
    if (this.#stuffed === undefined) return;
    if (this.#stuffed.length < STUFFED_DOTS) this.#stuffed.push(this.length);
    else this.#stuffed = undefined;
  }

  /** Exchange parts of the message in its unit. False when it is no longer known where they lie. */
  strip(edits: readonly Edit[]): boolean {
    const stuffed = this.#stuffed;
    if (stuffed === undefined) return false;
    for (const edit of edits)
      this.unit.edit(this.#inUnit(stuffed, edit.start), this.#inUnit(stuffed, edit.end), stuff(edit.instead));
    return true;
  }

  /** Where the file's byte `offset` lies in the unit; a stuffed dot in front of it goes with it. */
  #inUnit(stuffed: readonly number[], offset: number): number {
    let low = 0;
    let high = stuffed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((stuffed[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return this.#status.length + offset + low;
  }

  /** A whole reply in place of this one, as long as was announced, with `text` as its message. */
  replacement(text: string): Buffer {
    return Buffer.concat([this.#status, stuff(messageOfLength(text, this.length)), Buffer.from('.\r\n')]);
  }
}

const HEADER = 'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: Message blocked\r\n\r\n';
/** Padding lines, within what RFC 5322 §2.1.1 recommends. */
const PADDING = Buffer.from(`${' '.repeat(76)}\r\n`);

/** A message of exactly `length` bytes that says `text`: padded with blank lines, or as much of it as there is room for. */
export function messageOfLength(text: string, length: number): Buffer {
  const lines = text.replace(/\r?\n/g, '\r\n');
  const long = Buffer.from(`${HEADER}${lines}\r\n`);
  const short = Buffer.from(`\r\n${lines}`);
  const said = long.length <= length - 2 ? long : short;
  const message = Buffer.alloc(length, PADDING);
  said.copy(message, 0, 0, Math.min(said.length, Math.max(0, length - 2)));
  message.write('\r\n', Math.max(0, length - 2), 'latin1');
  return message;
}

/** A dot in front of each line that begins with one. */
function stuff(bytes: Buffer): Buffer {
  if (bytes[0] !== DOT && !bytes.includes(LF_DOT)) return bytes;
  return Buffer.from(bytes.toString('latin1').replace(/(^|\n)\./g, '$1..'), 'latin1');
}
