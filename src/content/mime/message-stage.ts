/**
 * One message as it comes: header blocks, the multiparts that they open, and the bodies between delimiters, each handed to a child file.
 * Four states and one substate are the whole machine:
 *
 *   HEADERS ──empty line──> TEXT or BASE64 ──delimiter──> HEADERS (a part) or TEXT (after a close delimiter) ...
 *                              └─`-` at the beginning of a line─> the substate: may it be a delimiter?
 *
 * In TEXT the body is searched for a line that begins with `--`; a body's last line end is held back, since it belongs to the delimiter
 * that may follow. In BASE64 the decoder itself stops there. An attached message is a child like any other: its own stage takes it apart.
 * Not done here: message/partial is not joined, and what has several readings gets the most plausible one and a note (anomalies.ts).
 */
import { Buffer } from 'node:buffer';
import type { ChildMeta, Container, Stage } from '../../core/file.js';
import type { Limits } from '../../core/limits.js';
import { CR, LF } from '../../core/lines.js';
import { SAW_BARE_LF, SAW_CRLF } from '../../kernels/base64-registers.js';
import type { MimeAnomaly, Notes } from './anomalies.js';
import { Base64Body } from './base64-body.js';
import type { Base64Scratch } from './base64-scratch.js';
import type { Body } from './body.js';
import { DELIMITER_LINE, Delimiters } from './delimiters.js';
import { HeaderBlock } from './header-block.js';
import { mailHeaders } from './mail-headers.js';
import { OutsideText } from './outside-text.js';
import { type PartHeader, readPartHeader } from './part-header.js';
import { OUTPUT, QuotedPrintableBody } from './quoted-printable-body.js';
import { UuencodeBody } from './uuencode-body.js';

const HEADERS = 0;
const TEXT = 1;
const BASE64 = 2;
/** The rest of a delimiter line that was too long to look at. */
const DELIMITER_REST = 3;
/** Past a limit: nothing more is taken apart. */
const PAST = 4;

/** A line end that is held back, as how many bytes of CRLF or LF it has. */
const NONE = 0;
const HELD_LF = 1;
const HELD_CRLF = 2;
const HELD_CR = 3;

const DASH = 0x2d;
const DASHES = Buffer.from('\n--', 'latin1');
const CR_DASHES = Buffer.from('\r--', 'latin1');
const CRLF_BYTES = Buffer.from('\r\n', 'latin1');
const LF_BYTE = Buffer.from('\n', 'latin1');

export class MessageStage implements Stage, Notes {
  readonly #container: Container;
  readonly #limits: Limits;
  readonly #scratch: Base64Scratch;
  readonly #delimiters: Delimiters;
  readonly #block: HeaderBlock;
  readonly #noted = new Set<string>();

  #state: typeof HEADERS | typeof TEXT | typeof BASE64 | typeof DELIMITER_REST | typeof PAST = HEADERS;
  /** The offset in the message of the first byte of the present chunk, were the chunk's index 0 its first. */
  #base = 0;
  #offset = 0;
  #parts = 0;
  #top = true;
  /** Where the present part's header block and body begin. */
  #partStart = 0;
  #bodyStart = 0;

  /** TEXT: where its bytes go. */
  #body: Body | undefined;
  #lineStart = false;
  #held: typeof NONE | typeof HELD_LF | typeof HELD_CRLF | typeof HELD_CR = NONE;
  /** BASE64: likewise. */
  #base64: Base64Body | undefined;
  /** Where the delimiter being skipped in DELIMITER_REST leads. */
  #partFollows = false;

  /** A line that may be a delimiter is being looked at; what earlier chunks had of it. */
  #suspecting = false;
  #suspect: Buffer | undefined;
  #suspectLength = 0;

  /** How much of a CR and two dashes ended the text so far. */
  #crDashes = 0;
  #sawCrlf = false;
  #sawBareLf = false;
  /** Lent to quoted-printable bodies. */
  #output: Buffer | undefined;

  constructor(container: Container, limits: Limits, scratch: Base64Scratch) {
    this.#container = container;
    this.#limits = limits;
    this.#scratch = scratch;
    this.#delimiters = new Delimiters(this);
    this.#block = new HeaderBlock(limits.mimeHeaders, this);
    if (container.depth > limits.mimeDepth) this.#exceed('mime-depth');
  }

  write(chunk: Buffer, start: number, end: number): void {
    if (start >= end) return;
    // Searches have no end of their own: on a view that ends where the bytes end they cannot run past it.
    const view = end === chunk.length ? chunk : chunk.subarray(0, end);
    this.#consume(view, start, end, this.#offset - start);
    this.#offset += end - start;
  }

  gap(length: number): void {
    if (this.#state === HEADERS) {
      // The body is taken to begin behind the gap, as what the lines before the gap say.
      this.#report('gap', 'mime-headers');
      this.#block.dropLine();
      this.#headersEnded(this.#offset);
    }
    if (this.#suspecting && this.#suspectLength > 0) {
      const kept = this.#suspectLength;
      this.#clearSuspect();
      this.#acquitKept(this.#suspect!, kept, this.#offset - kept);
    }
    this.#offset += length;
    if (this.#state === TEXT) {
      this.#releaseHeld();
      this.#body?.gap(length);
      // A line may begin just behind the gap, and it may be a delimiter.
      this.#lineStart = true;
    } else if (this.#state === BASE64) {
      this.#base64?.gap();
    }
  }

  finish(complete: boolean): void {
    if (this.#suspecting && this.#suspectLength > 0) this.#suspectEnded(complete);
    if (this.#state === HEADERS && this.#offset > 0) this.#finishHeaders(complete);
    if (this.#state === TEXT) {
      this.#releaseHeld();
      if (complete) this.#body?.end(this.#offset);
      else this.#body?.abort('reset');
    } else if (this.#state === BASE64) {
      if (complete) this.#base64?.end(this.#offset);
      else this.#base64?.abort('reset');
      this.#takeLineEnds();
    } else if (this.#state === DELIMITER_REST) {
      this.#delimiterEnded(this.#offset);
    }
    this.#body = undefined;
    this.#base64 = undefined;
    if (complete) this.#delimiters.finish();
    this.#state = PAST;
  }

  /** Once a message for each code: a hostile one could repeat it for every byte. */
  note(code: MimeAnomaly): void {
    if (this.#noted.has(code)) return;
    this.#noted.add(code);
    this.#container.report({ kind: 'malformed', code });
  }

  /** `bytes[start, end)` go through the machine; their index 0 is at `base` in the message. */
  #consume(bytes: Buffer, start: number, end: number, base: number): void {
    const before = this.#base;
    this.#base = base;
    let at = start;
    /** Where CR and two dashes next stand in `bytes`; -2 when it was not looked for yet. */
    let crDashes = -2;
    while (at < end) {
      if (this.#suspecting) at = this.#suspectStep(bytes, at, end);
      else if (this.#state === BASE64) at = this.#base64Step(bytes, at, end);
      else if (this.#state === TEXT) {
        const inside = this.#delimiters.depth > 0;
        const next = this.#textStep(bytes, at, end);
        if (inside && !this.#noted.has('mime-bare-cr')) {
          if (crDashes === -2 || (crDashes >= 0 && crDashes < at)) crDashes = bytes.indexOf(CR_DASHES, at);
          if ((crDashes >= 0 && crDashes + 3 <= next) || this.#crDashesAcross(bytes, at, next))
            this.note('mime-bare-cr');
        }
        at = next;
      } else if (this.#state === HEADERS) at = this.#headerStep(bytes, at, end);
      else if (this.#state === DELIMITER_REST) at = this.#restStep(bytes, at, end);
      else at = end;
    }
    // Kept bytes are consumed in the middle of a chunk.
    this.#base = before;
  }

  /** A delimiter behind a bare CR is one to readers that take it for a line end: was one cut by the pieces in which the text comes? */
  #crDashesAcross(bytes: Buffer, start: number, end: number): boolean {
    let at = start;
    while (this.#crDashes > 0 && at < end) {
      this.#crDashes = bytes[at++] === DASH ? this.#crDashes + 1 : 0;
      if (this.#crDashes === 3) return true;
    }
    if (at < end || this.#crDashes === 0) {
      if (bytes[end - 1] === CR) this.#crDashes = 1;
      else this.#crDashes = end - start > 1 && bytes[end - 1] === DASH && bytes[end - 2] === CR ? 2 : 0;
    }
    return false;
  }

  /** The state, for who has just called what may change it. */
  get #past(): boolean {
    return this.#state === PAST;
  }

  // Headers

  #headerStep(view: Buffer, start: number, end: number): number {
    const lf = view.indexOf(LF, start);
    const stop = lf < 0 ? end : lf + 1;
    this.#block.append(view, start, stop);
    if (this.#block.over) this.#report('limit', 'mime-headers');
    if (lf < 0) return end;
    const line = this.#block.line;
    const kind = this.#block.kind();
    const crlf = this.#block.crlf;
    if (this.#delimiters.depth > 0 && line[0] === DASH && this.#delimiters.matches(line, 0, line.length)) {
      // The part has no body; its line end is its own.
      const lineStart = this.#base + stop - line.length;
      this.note('mime-header-delimiter');
      this.#block.dropLine();
      this.#headersEnded(lineStart);
      if (this.#past) return stop;
      this.#bodyEnded(lineStart);
      this.#countLineEnd(crlf);
      this.#delimiterTaken(this.#base + stop);
      return stop;
    }
    this.#countLineEnd(crlf);
    if (kind === 'blank') {
      this.#block.dropLine();
      this.#headersEnded(this.#base + stop);
    } else if (this.#top && this.#block.first && line.subarray(0, 5).equals(FROM_LINE)) {
      // A mailbox file's separator, which a message saved out of one may still have.
      this.#block.dropLine();
    } else if (kind !== 'junk') {
      this.#block.keepLine();
    } else if (this.#block.over) {
      this.#block.dropLine();
    } else {
      this.#junkLine(line, stop);
    }
    return stop;
  }

  /** No field and no continuation: the empty line is missing, as most readers see it, and this is the body's first line. */
  #junkLine(line: Buffer, stop: number): void {
    this.note('mime-header-junk');
    if (line[0] === 0x3a || isBlankByte(line[0]!)) {
      this.#block.dropLine();
      return;
    }
    const bytes = Buffer.from(line);
    const lineStart = this.#base + stop - bytes.length;
    this.#block.dropLine();
    this.#headersEnded(lineStart);
    this.#consume(bytes, 0, bytes.length, lineStart);
  }

  #finishHeaders(complete: boolean): void {
    const line = this.#block.line;
    if (this.#delimiters.depth > 0 && line[0] === DASH && this.#delimiters.matches(line, 0, line.length)) {
      const lineStart = this.#offset - line.length;
      this.note('mime-header-delimiter');
      this.#block.dropLine();
      this.#headersEnded(lineStart);
      if (this.#past) return;
      this.#bodyEnded(lineStart);
      this.#delimiterTaken(this.#offset);
      // What begins at the very end is no part.
      if (this.#state === HEADERS) this.#state = PAST;
      return;
    }
    if (!this.#top && complete) this.note('mime-header-unfinished');
    // A part whose first header byte never came is none.
    if (!this.#top && this.#block.empty) {
      this.#state = PAST;
      return;
    }
    const kind = this.#block.kind();
    if (kind === 'junk' && !this.#block.over) {
      this.#junkLine(line, this.#offset - this.#base);
      // Blanks or a lone colon are no body.
      if (this.#state !== HEADERS) return;
    }
    if (kind === 'field' || kind === 'fold') this.#block.keepLine();
    else this.#block.dropLine();
    this.#headersEnded(this.#offset);
  }

  /** The block is whole; the body begins at `bodyStart`. */
  #headersEnded(bodyStart: number): void {
    const fields = this.#block.fields();
    if (this.#top) this.#container.headers(mailHeaders(fields));
    this.#top = false;
    const header = readPartHeader(fields, this.#delimiters.digest ? 'message/rfc822' : 'text/plain', this);
    this.#block.reset();
    this.#bodyStart = bodyStart;
    if (header.encrypted) this.#report('encrypted', header.type);
    if (header.type === 'message/partial') this.#report('fragmented', header.type);
    if (header.delimiter === undefined) {
      this.#beginLeaf(header);
    } else if (this.#container.depth + this.#delimiters.depth >= this.#limits.mimeDepth) {
      // It is not taken apart but looked at as it is.
      this.#report('limit', 'mime-depth');
      this.#beginLeaf({ ...header, encoding: 'identity' });
    } else {
      this.#delimiters.push(header.delimiter, header.type === 'multipart/digest');
      this.#beginText(new OutsideText('mime-preamble-content', this));
    }
  }

  #beginLeaf(header: PartHeader): void {
    if (this.#container.budget.filesLeft <= 0) {
      this.#exceed('unpacked-files');
      return;
    }
    const meta: ChildMeta = {
      name: header.name,
      otherNames: header.otherNames,
      declaredType: header.type,
      ...(header.charset !== undefined && { charset: header.charset }),
      span: { start: this.#partStart, body: this.#bodyStart },
      attachment: header.attachment,
    };
    if (header.encoding === 'base64') {
      this.#base64 = new Base64Body(this.#container.open(meta), this, this.#delimiters, this.#scratch);
      this.#state = BASE64;
    } else if (header.encoding === 'uuencode') {
      const open = (name: string | undefined): ReturnType<Container['open']> =>
        this.#container.open(meta.name === undefined && name !== undefined ? { ...meta, name } : meta);
      this.#beginText(new UuencodeBody(open, this));
    } else if (header.encoding === 'quoted-printable') {
      this.#output ??= Buffer.allocUnsafeSlow(OUTPUT);
      this.#beginText(new QuotedPrintableBody(this.#container.open(meta), this, this.#output));
    } else {
      this.#beginText(this.#container.open(meta));
    }
  }

  #beginText(body: Body): void {
    this.#body = body;
    this.#state = TEXT;
    this.#lineStart = true;
    this.#held = NONE;
  }

  // Bodies

  #base64Step(view: Buffer, start: number, end: number): number {
    const at = this.#base64!.decode(view, start, end);
    // It stopped at a `-` that begins a line.
    if (at < end) this.#suspecting = true;
    return at;
  }

  #textStep(view: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#held === HELD_CR) {
      if (view[at] === LF) {
        this.#held = HELD_CRLF;
        this.#lineStart = true;
        at++;
        if (at === end) return end;
      } else {
        this.#releaseHeld();
      }
    }
    if (this.#lineStart) {
      if (view[at] === DASH && this.#delimiters.possible(view, at, end)) {
        this.#suspecting = true;
        return at;
      }
      this.#releaseHeld();
      this.#lineStart = false;
    }
    if (this.#delimiters.depth === 0) {
      this.#body!.write(view, at, end);
      return end;
    }
    let found = view.indexOf(DASHES, at);
    while (found >= 0 && !this.#suspicious(view, found + 1, end)) found = view.indexOf(DASHES, found + 1);
    if (found >= 0) {
      this.#holdLine(view, at, found + 1);
      return found + 1;
    }
    // The end of the chunk may be the beginning of a line end and a delimiter.
    const last = view[end - 1]!;
    if (last === LF) this.#holdLine(view, at, end);
    else if (last === CR) {
      if (end - 1 > at) this.#body!.write(view, at, end - 1);
      this.#held = HELD_CR;
    } else if (last === DASH && end - 2 >= at && view[end - 2] === LF) {
      this.#holdLine(view, at, end - 1);
      return end - 1;
    } else this.#body!.write(view, at, end);
    return end;
  }

  /** May a delimiter begin at `at`? Lines that are here as a whole are judged at once, so that a body full of dashes stays in one piece. */
  #suspicious(view: Buffer, at: number, end: number): boolean {
    if (!this.#delimiters.possible(view, at, end)) return false;
    const lf = view.indexOf(LF, at);
    return lf < 0 || lf - at >= DELIMITER_LINE || this.#delimiters.matches(view, at, lf + 1);
  }

  /** Hand on `view[start, lineEnd)` but for its line end, which is held. */
  #holdLine(view: Buffer, start: number, lineEnd: number): void {
    const crlf = lineEnd - 2 >= start && view[lineEnd - 2] === CR;
    const to = lineEnd - (crlf ? 2 : 1);
    if (to > start) this.#body!.write(view, start, to);
    this.#held = crlf ? HELD_CRLF : HELD_LF;
    this.#lineStart = true;
  }

  #releaseHeld(): void {
    const held = this.#held;
    this.#held = NONE;
    if (held === HELD_LF) this.#body!.write(LF_BYTE, 0, 1);
    else if (held !== NONE) this.#body!.write(CRLF_BYTES, 0, held === HELD_CRLF ? 2 : 1);
  }

  /** The body, whatever it is, ended before the delimiter at `offset`. */
  #bodyEnded(offset: number): void {
    if (this.#base64 !== undefined) {
      this.#base64.end(Math.max(this.#bodyStart, offset - this.#base64.lineEnd));
      this.#takeLineEnds();
      this.#base64 = undefined;
    } else if (this.#body !== undefined) {
      const held = this.#held === HELD_CRLF ? 2 : this.#held === HELD_LF ? 1 : 0;
      if (held > 0) this.#countLineEnd(held === 2);
      this.#body.end(Math.max(this.#bodyStart, offset - held));
      this.#body = undefined;
      this.#held = NONE;
    }
  }

  // A line that may be a delimiter

  #suspectStep(view: Buffer, start: number, end: number): number {
    if (this.#suspectLength === 0) {
      // Nearly always the whole line is here, or its second byte already says no.
      if (!this.#delimiters.possible(view, start, end)) {
        this.#acquit();
        return start;
      }
      const lf = view.indexOf(LF, start);
      if (lf >= 0 || end - start >= DELIMITER_LINE) {
        const lineEnd = lf >= 0 && lf < start + DELIMITER_LINE ? lf + 1 : start + DELIMITER_LINE;
        if (this.#delimiters.matches(view, start, lineEnd)) {
          this.#suspecting = false;
          this.#convict(this.#base + start, this.#base + lineEnd, view, lineEnd);
          return lineEnd;
        }
        this.#acquit();
        return start;
      }
    }
    const lf = view.indexOf(LF, start);
    const stop = Math.min(lf < 0 ? end : lf + 1, start + DELIMITER_LINE - this.#suspectLength);
    this.#suspect ??= Buffer.allocUnsafeSlow(DELIMITER_LINE);
    view.copy(this.#suspect, this.#suspectLength, start, stop);
    this.#suspectLength += stop - start;
    const length = this.#suspectLength;
    const line = this.#suspect;
    const no = !this.#delimiters.possible(line, 0, length);
    if (!no && line[length - 1] !== LF && length < DELIMITER_LINE) return stop;
    if (!no && this.#delimiters.matches(line, 0, length)) {
      this.#clearSuspect();
      this.#convict(this.#base + stop - length, this.#base + stop, line, length);
    } else {
      this.#clearSuspect();
      this.#acquitKept(line, length, this.#base + stop - length);
    }
    return stop;
  }

  /** The message ended within the line. */
  #suspectEnded(complete: boolean): void {
    const line = this.#suspect!;
    const length = this.#suspectLength;
    this.#clearSuspect();
    if (this.#delimiters.matches(line, 0, length)) {
      // A part that begins at the very end is none, unless the message was cut there.
      this.#bodyEnded(this.#offset - length);
      const partFollows = this.#delimiters.take();
      this.#state = PAST;
      if (partFollows && complete) this.note('mime-header-unfinished');
    } else {
      this.#acquitKept(line, length, this.#offset - length);
    }
  }

  #clearSuspect(): void {
    this.#suspecting = false;
    this.#suspectLength = 0;
  }

  /** The line is none; it is still to be read from its `-` on. */
  #acquit(): void {
    this.#suspecting = false;
    if (this.#state === BASE64) this.#base64!.midLine();
    else {
      this.#releaseHeld();
      this.#lineStart = false;
    }
  }

  #acquitKept(line: Buffer, length: number, offset: number): void {
    this.#acquit();
    // A copy: the line may end in the beginning of another suspect, which is kept in the same place.
    this.#consume(Buffer.from(line.subarray(0, length)), 0, length, offset);
  }

  /** It is one: `[offset, after)` of the message, and `bytes` up to `end` is where it is seen. */
  #convict(offset: number, after: number, bytes: Buffer, end: number): void {
    this.#bodyEnded(offset);
    if (bytes[end - 1] === LF) {
      this.#countLineEnd(bytes[end - 2] === CR);
      this.#delimiterTaken(after);
      return;
    }
    this.note('mime-delimiter-long');
    this.#partFollows = this.#delimiters.take();
    this.#state = DELIMITER_REST;
  }

  #delimiterTaken(after: number): void {
    this.#partFollows = this.#delimiters.take();
    this.#delimiterEnded(after);
  }

  #restStep(view: Buffer, start: number, end: number): number {
    const lf = view.indexOf(LF, start);
    if (lf < 0) return end;
    this.#delimiterEnded(this.#base + lf + 1);
    return lf + 1;
  }

  #delimiterEnded(after: number): void {
    if (!this.#partFollows) {
      this.#beginText(new OutsideText('mime-epilogue-content', this));
    } else if (++this.#parts > this.#limits.mimeParts) {
      this.#exceed('mime-parts');
    } else {
      this.#block.reset();
      this.#partStart = after;
      this.#state = HEADERS;
    }
  }

  // What is said of the message

  /** Nothing more is taken apart, and that is said. */
  #exceed(limit: string): void {
    this.#report('limit', limit);
    this.#delimiters.forget();
    this.#state = PAST;
  }

  #report(reason: 'limit' | 'gap' | 'encrypted' | 'fragmented', detail: string): void {
    if (this.#noted.has(`${reason} ${detail}`)) return;
    this.#noted.add(`${reason} ${detail}`);
    this.#container.report({ kind: 'unscannable', reason, detail });
  }

  #takeLineEnds(): void {
    const flags = this.#base64!.flags;
    if ((flags & SAW_CRLF) !== 0) this.#countLineEnd(true);
    if ((flags & SAW_BARE_LF) !== 0) this.#countLineEnd(false);
  }

  /** Bare LF throughout is how messages lie on a disk, and every reader takes it alike; a mixture is not. */
  #countLineEnd(crlf: boolean): void {
    if (crlf) this.#sawCrlf = true;
    else this.#sawBareLf = true;
    if (this.#sawCrlf && this.#sawBareLf) this.note('mime-mixed-line-ends');
  }
}

const FROM_LINE = Buffer.from('From ', 'latin1');

function isBlankByte(c: number): boolean {
  return c === 0x20 || c === 0x09;
}
