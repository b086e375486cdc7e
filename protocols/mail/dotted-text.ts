/**
 * The text of a message as SMTP's DATA and POP3's RETR carry it: where it ends, and where dots were stuffed (RFC 5321 sections 4.1.1.4
 * and 4.5.2, RFC 1939 section 3), over whole chunks.
 *
 * Only CRLF.CRLF ends a text. A lone dot between other line ends (LF.LF, CR.CRLF, CRLF.CR, CRLF NUL .CRLF, …) ends it for some readers
 * and not for others, which is how mails are smuggled: what it means is the sink's to say. Every dot that any of them takes for the first
 * byte of a line is looked at, found with needles over the whole chunk: there is no work per line.
 */
import { Buffer } from 'node:buffer';
import { CR, LF } from '../../src/core/lines.js';

/** Where the text goes. Called while `read` runs, in the order of the bytes. */
export interface TextSink {
  /** Bytes of the message, `chunk[start, end)`. */
  write(chunk: Buffer, start: number, end: number): void;
  /** Here the bytes on the wire have a dot that the message does not have. */
  stuffedDot(): void;
  /** A lone dot stands at `dot`, between line ends that only some readers take for such. True: the text goes on behind it. */
  loneDot(chunk: Buffer, dot: number): boolean;
}

/** The chunk is used up; what cannot be told yet, from `at` on, is to be left untaken. */
export const MORE = 0;
/** `at` is one past CRLF.CRLF. */
export const END = 1;
/** `at` is a lone dot behind which the sink does not go on. */
export const LONE_DOT = 2;
export type Stop = typeof MORE | typeof END | typeof LONE_DOT;

// What a dot is that may be the first byte of a line.
const PLAIN = 0;
/** Its line goes on: the sender put it there. */
const STUFFED = 1;
const LAST_LINE = 2;
const AMBIGUOUS = 3;
/** That lies behind the end of the chunk. */
const UNKNOWN = 4;
type DotKind = typeof PLAIN | typeof STUFFED | typeof LAST_LINE | typeof AMBIGUOUS | typeof UNKNOWN;

const DOT = 0x2e;
const NUL = 0x00;
const LF_DOT = Buffer.from('\n.');
const CR_DOT = Buffer.from('\r.');
const NUL_DOT = Buffer.from('\0.');

/** A text of short dotted lines would cost up to three searches a line; behind one that was this near, the next is found without. */
const NEAR = 32;

export class DottedText {
  /** Where the last `read` stopped. */
  at = 0;
  readonly #sink: TextSink;
  /** Lines begin behind a bare LF too. */
  readonly #bareLf: boolean;
  /** Did the first line end in a bare LF? Who wrote that (Python's smtplib, given such bytes) stuffs dots behind them; undefined before it ended. */
  #firstBareLf: boolean | undefined = undefined;
  /** The two bytes before the first one of the chunk that is being read. */
  #before1 = LF;
  #before2 = CR;
  #from = 0;
  /** Where the needles are found next in this chunk; before the place of search when not yet looked for. */
  #lf = -1;
  #cr = -1;
  #nul = -1;

  /** `bareLf`: who sends the text ends its lines in a bare LF, so that dots are stuffed behind those. */
  constructor(sink: TextSink, bareLf = false) {
    this.#sink = sink;
    this.#bareLf = bareLf;
  }

  /** A text begins: its first byte starts a line. */
  restart(): void {
    this.#before1 = LF;
    this.#before2 = CR;
    this.#firstBareLf = undefined;
  }

  /** Bytes are missing before what comes: no line start is known. */
  gap(): void {
    this.#before1 = DOT;
    this.#before2 = DOT;
  }

  /** The last byte read was an LF, or nothing was read. */
  get behindLf(): boolean {
    return this.#before1 === LF;
  }

  /** Reads on from `from`. Why it stopped; where is `at`. */
  read(chunk: Buffer, from: number): Stop {
    this.#begin(chunk, from);
    let unwritten = from;
    let dense = false;
    for (let search = from; ; ) {
      const dot: number = dense ? this.#nearby(chunk, search) : this.#next(chunk, search);
      dense = dot - search < NEAR;
      const kind = dot === chunk.length ? UNKNOWN : this.#kind(chunk, dot);
      search = dot + 1;
      if (kind === PLAIN) continue;
      if (unwritten < dot) this.#sink.write(chunk, unwritten, dot);
      unwritten = dot;
      if (kind === UNKNOWN) return this.#stop(chunk, dot, MORE);
      if (kind === LAST_LINE) return this.#stop(chunk, dot + 3, END);
      if (kind === AMBIGUOUS) {
        if (!this.#sink.loneDot(chunk, dot)) return this.#stop(chunk, dot, LONE_DOT);
        // Read on, its line goes on too, and where that is one the dot was stuffed.
        if (!this.startsLine(chunk, dot)) continue;
      }
      this.#sink.stuffedDot();
      unwritten = dot + 1;
    }
  }

  /** For the sink, within `read`: does `at` start a line as the sender ends them? */
  startsLine(chunk: Buffer, at: number): boolean {
    return this.#byte(chunk, at - 1) === LF && (this.#bareLf || this.#byte(chunk, at - 2) === CR);
  }

  #begin(chunk: Buffer, from: number): void {
    this.#from = from;
    if (this.#firstBareLf === undefined) {
      const lf = chunk.indexOf(LF, from);
      if (lf >= 0) this.#firstBareLf = this.#byte(chunk, lf - 1) !== CR;
    }
    // One pass for a byte that base64 does not have saves three.
    const none = chunk.indexOf(DOT, from) < 0 ? chunk.length : -1;
    this.#lf = none;
    this.#cr = none;
    this.#nul = none;
  }

  #stop(chunk: Buffer, at: number, why: Stop): Stop {
    const before1 = this.#byte(chunk, at - 1);
    this.#before2 = this.#byte(chunk, at - 2);
    this.#before1 = before1;
    this.at = at;
    return why;
  }

  /** The next dot from `at` on that follows a CR, LF or NUL; the chunk's length when there is none. */
  #next(chunk: Buffer, at: number): number {
    const length = chunk.length;
    if (at >= length || (at === this.#from && chunk[at] === DOT && endsLine(this.#before1))) return at;
    // A dot at `at` may have its line end in front of it.
    const from = Math.max(at - 1, this.#from);
    if (this.#lf < at) this.#lf = behind(chunk.indexOf(LF_DOT, from), length);
    if (this.#cr < at) this.#cr = behind(chunk.indexOf(CR_DOT, from), length);
    if (this.#nul < at) this.#nul = behind(chunk.indexOf(NUL_DOT, from), length);
    return Math.min(this.#lf, this.#cr, this.#nul);
  }

  /** The same, where it is likely to be near. Never called for the first byte of a chunk. */
  #nearby(chunk: Buffer, at: number): number {
    const near = Math.min(at + NEAR, chunk.length);
    for (let dot = at; dot < near; dot++) if (chunk[dot] === DOT && endsLine(chunk[dot - 1] as number)) return dot;
    return this.#next(chunk, at);
  }

  /** What the dot at `dot`, found by `#next`, is. */
  #kind(chunk: Buffer, dot: number): DotKind {
    const next = chunk[dot + 1];
    if (next === undefined) return UNKNOWN;
    if (next === LF) return AMBIGUOUS;
    if (next !== CR) {
      const behindBareLf = this.#firstBareLf === true && this.#byte(chunk, dot - 1) === LF;
      return behindBareLf || this.startsLine(chunk, dot) ? STUFFED : PLAIN;
    }
    if (dot + 2 >= chunk.length) return UNKNOWN;
    const exact = this.#byte(chunk, dot - 1) === LF && this.#byte(chunk, dot - 2) === CR;
    return exact && chunk[dot + 2] === LF ? LAST_LINE : AMBIGUOUS;
  }

  #byte(chunk: Buffer, at: number): number {
    if (at >= this.#from) return chunk[at] as number;
    return at === this.#from - 1 ? this.#before1 : this.#before2;
  }
}

/** One past the line of the lone dot at `dot`, for a reader that takes it for the end. */
export function behindLoneDot(chunk: Buffer, dot: number): number {
  return dot + (chunk[dot + 1] === CR && chunk[dot + 2] === LF ? 3 : 2);
}

function endsLine(byte: number): boolean {
  return byte === LF || byte === CR || byte === NUL;
}

function behind(found: number, length: number): number {
  return found < 0 ? length : found + 1;
}
