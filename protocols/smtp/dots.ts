/**
 * The text of a message behind DATA: where it ends and where dots were stuffed (RFC 5321 sections 4.1.1.4 and 4.5.2), over whole chunks.
 *
 * Only CRLF.CRLF ends a message. A lone dot between other line ends (LF.LF, CR.CRLF, CRLF.CR, CRLF NUL .CRLF, …) ends it for some
 * servers and not for others: SMTP smuggling. Every dot that any of them takes for the first byte of a line is looked at, found with
 * needles over the whole chunk: there is no work per line.
 */
import { Buffer } from 'node:buffer';
import { CR, LF } from '../../src/core/lines.js';

/** What a dot at the start of a line is. */
export const PLAIN = 0;
/** Its line goes on: the sender put it there, and the message does not have it. */
export const STUFFED = 1;
/** CRLF.CRLF: the message ended before it. */
export const END = 2;
/** A lone dot, but between line ends that only some readers take for such. */
export const AMBIGUOUS = 3;
/** What it is lies behind the end of the chunk: leave it untaken. */
export const WAIT = 4;
export type DotKind = typeof PLAIN | typeof STUFFED | typeof END | typeof AMBIGUOUS | typeof WAIT;

const DOT = 0x2e;
const NUL = 0x00;
const LF_DOT = Buffer.from('\n.');
const CR_DOT = Buffer.from('\r.');
const NUL_DOT = Buffer.from('\0.');

export class DotReader {
  /** The two bytes before the first one of the chunk that is being read. */
  #before1 = LF;
  #before2 = CR;
  #from = 0;
  /** Did the first line end in a bare LF? Its writer has no other line ends, and stuffs dots behind them (Python's smtplib); undefined before it ended. */
  #bareLf: boolean | undefined = undefined;
  /** Where the needles are found next in this chunk; before the place of search when not yet looked for. */
  #lf = -1;
  #cr = -1;
  #nul = -1;

  /** A message begins: its first byte starts a line. */
  restart(): void {
    this.#before1 = LF;
    this.#before2 = CR;
    this.#bareLf = undefined;
  }

  /** Bytes are missing before what comes: no line start is known. */
  gap(): void {
    this.#before1 = DOT;
    this.#before2 = DOT;
  }

  /** Reading goes on at `from` of this chunk. */
  begin(chunk: Buffer, from: number): void {
    this.#from = from;
    if (this.#bareLf === undefined) {
      const lf = chunk.indexOf(LF, from);
      if (lf >= 0) this.#bareLf = this.#byte(chunk, lf - 1) !== CR;
    }
    // One pass for a byte that base64 does not have saves three.
    const none = chunk.indexOf(DOT, from) < 0 ? chunk.length : -1;
    this.#lf = none;
    this.#cr = none;
    this.#nul = none;
  }

  /** Reading stops before `to` of this chunk, for now. */
  leave(chunk: Buffer, to: number): void {
    const before1 = this.#byte(chunk, to - 1);
    this.#before2 = this.#byte(chunk, to - 2);
    this.#before1 = before1;
  }

  /** The next dot from `at` on that follows a CR, LF or NUL; the chunk's length when there is none. */
  next(chunk: Buffer, at: number): number {
    const length = chunk.length;
    if (at >= length) return length;
    if (at === this.#from && chunk[at] === DOT) {
      const before = this.#before1;
      if (before === LF || before === CR || before === NUL) return at;
    }
    if (this.#lf < at) this.#lf = after(chunk.indexOf(LF_DOT, at), length);
    if (this.#cr < at) this.#cr = after(chunk.indexOf(CR_DOT, at), length);
    if (this.#nul < at) this.#nul = after(chunk.indexOf(NUL_DOT, at), length);
    return Math.min(this.#lf, this.#cr, this.#nul);
  }

  /** What the dot at `dot`, found by `next`, is. */
  kind(chunk: Buffer, dot: number): DotKind {
    const atLine = this.atLine(chunk, dot);
    if (dot + 1 >= chunk.length) return WAIT;
    const next = chunk[dot + 1];
    if (next === LF) return AMBIGUOUS;
    if (next !== CR) return atLine || (this.#bareLf === true && this.#byte(chunk, dot - 1) === LF) ? STUFFED : PLAIN;
    if (dot + 2 >= chunk.length) return WAIT;
    return atLine && chunk[dot + 2] === LF ? END : AMBIGUOUS;
  }

  /** Does a line start at `at`, after a CRLF? */
  atLine(chunk: Buffer, at: number): boolean {
    return this.#byte(chunk, at - 1) === LF && this.#byte(chunk, at - 2) === CR;
  }

  #byte(chunk: Buffer, at: number): number {
    if (at >= this.#from) return chunk[at] as number;
    return at === this.#from - 1 ? this.#before1 : this.#before2;
  }
}

function after(found: number, length: number): number {
  return found < 0 ? length : found + 1;
}
