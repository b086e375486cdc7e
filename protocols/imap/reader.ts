/**
 * One side of an IMAP connection as texts: lines joined over their literals. Small literals are put into the text as strings; those that are
 * content are handed on as they come. A text is kept up to the limit `responseText`, and joined once, when it is complete: a text of
 * very many literals costs no more than its length. Takes no byte of a line by itself: whoever owns it says where lines go.
 */
import type { Buffer } from 'node:buffer';
import type { Flow, Side, Unit } from '../../src/core/flow.js';
import { LF, lineEnd, TOO_LONG, textEnd } from '../../src/core/lines.js';
import type { ImapEvent } from './events.js';
import { type LiteralMark, literalAt } from './literals.js';
import { LITERAL_MARK, listsOpen, quoted } from './syntax.js';

/** What a literal is: part of the text, content, or none (what looks like its mark is text). Undefined: nothing is to be read now; the line comes again. */
export type LiteralUse = 'text' | 'content' | 'none' | undefined;

/** A line on its way: `chunk[start, end)`, not taken yet. */
export interface Line {
  readonly chunk: Buffer;
  readonly start: number;
  readonly end: number;
}

/** A text up to a literal in it. */
export interface Beginning {
  /** Its first line. */
  readonly head: string;
  /** Its present line. */
  readonly line: string;
  /** What stands before the literal, as far as it is looked back. */
  readonly tail: string;
  /** How many lists are open there. */
  readonly depth: number;
  /** The present line is the first. */
  readonly first: boolean;
  /** So many characters of a literal may still be put into it. */
  readonly room: number;
}

export interface ReaderOwner {
  /** A text is complete. `last`: what follows its last literal. False: nothing more is to be read now. */
  complete(text: string, line: Line, last: string): boolean;
  /** A literal follows the line. */
  literal(text: Beginning, mark: LiteralMark, line: Line): LiteralUse;
  /** Bytes of content, to be passed into `unit`. */
  content(chunk: Buffer, start: number, end: number): void;
  contentGap(length: number): void;
  contentEnded(): void;
  /** A literal that is text is complete. */
  textEnded(text: string): void;
  /** The unit that content, or a text's literal, is put into. */
  unit(): Unit | undefined;
}

/** How far a text is looked back before a literal: a section that names header fields may be long. */
const LOOK_BACK = 8192;

export class TextReader {
  readonly #flow: Flow;
  readonly #side: Side;
  readonly #owner: ReaderOwner;
  #pieces: string[] = [];
  #length = 0;
  #tail = '';
  #depth = 0;
  /** Bytes of the present literal still to come. */
  #left = 0;
  #use: 'text' | 'content' | 'skipped' | undefined;
  #collected: string[] = [];
  /** The rest of a line is gone past. */
  #skipping = false;
  #tooLong = false;
  /** The beginning of the text was not seen: nobody is told of its end. */
  #headless = false;
  #halted = false;

  constructor(flow: Flow, side: Side, owner: ReaderOwner) {
    this.#flow = flow;
    this.#side = side;
    this.#owner = owner;
  }

  /** Nothing of a text was read yet. */
  get between(): boolean {
    return this.#use === undefined && this.#pieces.length === 0 && !this.#skipping && !this.#headless;
  }

  /** Within content. */
  get inContent(): boolean {
    return this.#use === 'content';
  }

  /** Reads what it can, from `at` on. */
  read(chunk: Buffer): void {
    this.#halted = false;
    for (let at = 0; at >= 0 && at < chunk.length && !this.#halted; )
      at = this.#use === undefined ? this.#line(chunk, at) : this.#literal(chunk, at);
  }

  /** Reads nothing more of the present chunk. */
  halt(): void {
    this.#halted = true;
  }

  /** Missing bytes: within a literal they are counted, in a text it is given up. `length` 0: unknown how many. */
  gap(length: number): void {
    if (this.#use !== undefined && length > 0 && length <= this.#left) {
      this.#left -= length;
      if (this.#use === 'content') this.#owner.contentGap(length);
      if (this.#left === 0) this.#literalEnded();
      return;
    }
    if (this.#use === 'content') {
      this.#owner.contentGap(this.#left);
      this.#owner.contentEnded();
    }
    this.reset();
    this.#skipping = true;
  }

  /** The next byte begins a text. */
  reset(): void {
    this.#use = undefined;
    this.#left = 0;
    this.#collected = [];
    this.#skipping = false;
    this.#forget();
  }

  #forget(): void {
    this.#pieces = [];
    this.#length = 0;
    this.#tail = '';
    this.#depth = 0;
    this.#tooLong = false;
    this.#headless = false;
  }

  #line(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, this.#flow.limits.line);
    if (this.#skipping || end === TOO_LONG) return this.#skip(chunk, at);
    if (end < 0) return -1;
    const line = chunk.toString('latin1', at, textEnd(chunk, at, end));
    const mark = literalAt(line);
    if (mark === undefined) return this.#complete(line, { chunk, start: at, end });
    if (mark === 'bad' || mark.odd) {
      this.#odd('imap-literal-size');
      if (!this.#flow.passive) return this.#failed('imap-literal-size');
      // To those who see no literal in it, it is text.
      if (mark === 'bad') return this.#complete(line, { chunk, start: at, end });
    }
    return this.#begin(line, mark, { chunk, start: at, end });
  }

  #complete(last: string, line: Line): number {
    this.#add(last);
    const text = this.#pieces.length === 1 ? last : this.#pieces.join('');
    const headless = this.#headless;
    this.#forget();
    if (headless) {
      this.#flow.pass(line.end);
      return line.end;
    }
    return this.#owner.complete(text, line, last) ? line.end : -1;
  }

  #begin(written: string, mark: LiteralMark, line: Line): number {
    const first = this.#pieces.length === 0;
    const { before } = mark;
    const depth = listsOpen(before, this.#depth);
    const tail = first ? before : (this.#tail + before).slice(-LOOK_BACK);
    const head = first ? before : (this.#pieces[0] ?? '');
    const room = this.#flow.limits.responseText - this.#length - before.length;
    const use = this.#owner.literal({ head, line: before, tail, depth, first, room }, mark, line);
    if (use === undefined) return -1;
    if (use === 'none') return this.#complete(written, line);
    this.#tail = tail;
    this.#depth = depth;
    this.#add(before);
    const { line: most, responseText } = this.#flow.limits;
    const fits = use === 'content' || (mark.size <= most && this.#length + mark.size <= responseText);
    if (!fits) this.#over();
    this.#left = mark.size;
    this.#use = fits ? use : 'skipped';
    if (mark.size === 0) this.#literalEnded();
    return line.end;
  }

  #literal(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    if (this.#use === 'content') this.#owner.content(chunk, at, end);
    else if (this.#use === 'text') this.#collected.push(chunk.toString('latin1', at, end));
    this.#flow.pass(end, this.#owner.unit());
    this.#left -= end - at;
    if (this.#left === 0) this.#literalEnded();
    return end;
  }

  #literalEnded(): void {
    const use = this.#use;
    this.#use = undefined;
    const text = this.#collected.join('');
    const piece = use === 'text' ? quoted(text) : LITERAL_MARK;
    this.#collected = [];
    this.#add(piece);
    this.#tail = (this.#tail + piece).slice(-LOOK_BACK);
    if (use === 'content') this.#owner.contentEnded();
    if (use === 'text') this.#owner.textEnded(text);
  }

  #add(piece: string): void {
    if (this.#length + piece.length > this.#flow.limits.responseText) {
      this.#over();
      return;
    }
    this.#length += piece.length;
    this.#pieces.push(piece);
  }

  #over(): void {
    if (!this.#tooLong) this.#odd('imap-text-too-long');
    this.#tooLong = true;
  }

  /** Goes past what is left of a line that is too long, or that was cut; a literal may be announced at its end. */
  #skip(chunk: Buffer, at: number): number {
    if (!this.#skipping) {
      this.#odd('imap-line-too-long');
      if (!this.#flow.passive) return this.#failed('imap-line-too-long');
      this.#skipping = true;
    }
    const end = chunk.indexOf(LF, at) + 1;
    if (end === 0) {
      this.#flow.pass(Math.max(at, chunk.length - LONGEST_MARK));
      return -1;
    }
    const start = Math.max(at, end - LONGEST_MARK);
    const line = chunk.toString('latin1', start, textEnd(chunk, start, end));
    const mark = literalAt(line);
    if (mark === undefined || mark === 'bad') {
      this.#flow.pass(end);
      this.reset();
      return end;
    }
    this.#flow.pass(start);
    const text = { head: '', line: mark.before, tail: mark.before, depth: 1, first: false, room: 0 };
    const use = this.#owner.literal(text, mark, { chunk, start, end });
    if (use === undefined) return -1;
    this.reset();
    if (use === 'none') {
      this.#flow.pass(end);
      return end;
    }
    this.#headless = true;
    this.#left = mark.size;
    this.#use = use === 'content' ? use : 'skipped';
    if (mark.size === 0) this.#literalEnded();
    return end;
  }

  #failed(event: ImapEvent): number {
    this.#flow.reset(event);
    return -1;
  }

  #odd(event: ImapEvent): void {
    this.#flow.anomaly(event, this.#side);
  }
}

/** `~{`, digits, `+}`, a line end. */
const LONGEST_MARK = 36;
