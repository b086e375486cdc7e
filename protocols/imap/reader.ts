/**
 * One side of an IMAP connection as texts: lines joined over their literals. Small literals are put into the text as strings; those that are
 * messages are handed on as they come. Takes no byte by itself: whoever reads says where bytes go.
 */
import type { Buffer } from 'node:buffer';
import type { Flow, Side, Unit } from '../../src/core/flow.js';
import { LF, lineEnd, TOO_LONG, textEnd } from '../../src/core/lines.js';
import type { ImapEvent } from './events.js';
import { type LiteralMark, literalAt } from './literals.js';
import { LITERAL_MARK, quoted } from './syntax.js';

/** What is done with a literal: it is part of the text, it is a message, or nobody may read on before the other side has spoken. */
export type LiteralUse = 'text' | 'body';

export interface ReaderOwner {
  /** A text is complete; its last line is `chunk[start, end)`, not taken yet. False: nothing more is to be read now. */
  complete(text: string, chunk: Buffer, start: number, end: number): boolean;
  /** A literal follows the line `chunk[start, end)`, not taken yet. Undefined: nothing more is to be read now, and the line comes again. */
  literal(text: string, mark: LiteralMark, chunk: Buffer, start: number, end: number): LiteralUse | undefined;
  /** Bytes of a literal that is a message, to be passed into `unit`. */
  body(chunk: Buffer, start: number, end: number): void;
  bodyGap(length: number): void;
  bodyEnded(): void;
  /** The unit that a message's bytes are put into. */
  unit(): Unit | undefined;
}

export class TextReader {
  readonly #flow: Flow;
  readonly #side: Side;
  readonly #owner: ReaderOwner;
  #text = '';
  /** Bytes of the present literal still to come. */
  #left = 0;
  #use: LiteralUse | 'skipped' | undefined;
  #collected = '';
  /** The rest of a line is gone past. */
  #skipping = false;
  #tooLong = false;

  constructor(flow: Flow, side: Side, owner: ReaderOwner) {
    this.#flow = flow;
    this.#side = side;
    this.#owner = owner;
  }

  /** Nothing of a text was read yet. */
  get between(): boolean {
    return this.#use === undefined && this.#text === '' && !this.#skipping;
  }

  /** Reads what it can. */
  read(chunk: Buffer): void {
    for (let at = 0; at >= 0 && at < chunk.length; )
      at = this.#use === undefined ? this.#line(chunk, at) : this.#literal(chunk, at);
  }

  /** Missing bytes: within a literal they are counted, in a text it is given up. */
  gap(length: number): void {
    if (this.#use !== undefined && length > 0 && length <= this.#left) {
      this.#left -= length;
      if (this.#use === 'body') this.#owner.bodyGap(length);
      if (this.#left === 0) this.#literalEnded();
      return;
    }
    if (this.#use === 'body') {
      this.#owner.bodyGap(0);
      this.#owner.bodyEnded();
    }
    this.reset();
    this.#skipping = true;
  }

  /** The next byte begins a text. */
  reset(): void {
    this.#use = undefined;
    this.#text = '';
    this.#left = 0;
    this.#collected = '';
    this.#skipping = false;
    this.#tooLong = false;
  }

  #line(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, this.#flow.limits.line);
    if (this.#skipping || end === TOO_LONG) return this.#skip(chunk, at);
    if (end < 0) return -1;
    const line = chunk.toString('latin1', at, textEnd(chunk, at, end));
    const mark = literalAt(line);
    if (mark === undefined) {
      const text = this.#text + line;
      this.#text = '';
      this.#tooLong = false;
      return this.#owner.complete(text, chunk, at, end) ? end : -1;
    }
    if (mark === 'bad') {
      this.#odd('imap-bad-literal');
      if (!this.#flow.passive) {
        this.#flow.reset('imap-bad-literal' satisfies ImapEvent);
        return -1;
      }
      // A size that readers take differently, or none: text, to those who do not see a literal in it.
      this.#flow.pass(end);
      this.#text = '';
      return end;
    }
    const text = this.#text + mark.before;
    const use = this.#owner.literal(text, mark, chunk, at, end);
    if (use === undefined) return -1;
    const { line: most, responseText } = this.#flow.limits;
    const fits = use === 'body' || (mark.size <= most && text.length + mark.size <= responseText);
    if (!fits && !this.#tooLong) {
      this.#tooLong = true;
      this.#odd('imap-response-too-long');
    }
    this.#text = text.length > responseText ? text.slice(0, 200) : text;
    this.#left = mark.size;
    this.#use = fits ? use : 'skipped';
    if (mark.size === 0) this.#literalEnded();
    return end;
  }

  #literal(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    if (this.#use === 'body') this.#owner.body(chunk, at, end);
    else if (this.#use === 'text') this.#collected += chunk.toString('latin1', at, end);
    this.#flow.pass(end, this.#use === 'body' ? this.#owner.unit() : undefined);
    this.#left -= end - at;
    if (this.#left === 0) this.#literalEnded();
    return end;
  }

  #literalEnded(): void {
    const use = this.#use;
    this.#use = undefined;
    this.#text += use === 'text' ? quoted(this.#collected) : LITERAL_MARK;
    this.#collected = '';
    if (use === 'body') this.#owner.bodyEnded();
  }

  #skip(chunk: Buffer, at: number): number {
    if (!this.#skipping) {
      this.#odd('imap-line-too-long');
      if (!this.#flow.passive) {
        this.#flow.reset('imap-line-too-long' satisfies ImapEvent);
        return -1;
      }
      this.#skipping = true;
    }
    const next = chunk.indexOf(LF, at) + 1;
    this.#flow.pass(next === 0 ? chunk.length : next);
    if (next === 0) return -1;
    this.#skipping = false;
    this.#text = '';
    return next;
  }

  #odd(event: ImapEvent): void {
    this.#flow.anomaly(event, this.#side);
  }
}
