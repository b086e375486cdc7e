/**
 * Collects one header block line by line, up to a limit, and says of each line what it is; then yields the few fields that matter (RFC
 * 5322 §2.2). What is past the limit is dropped by whole lines, but the end of the block is still found.
 */
import { Buffer } from 'node:buffer';
import { CR, LF } from '../../core/lines.js';
import type { Notes } from './anomalies.js';

/** As they are looked up: lower case. The rest of a block is not kept. */
const WANTED = [
  'content-type',
  'content-transfer-encoding',
  'content-disposition',
  'from',
  'to',
  'cc',
  'subject',
] as const;
export type FieldName = (typeof WANTED)[number];
const STRUCTURAL: readonly FieldName[] = ['content-type', 'content-transfer-encoding', 'content-disposition'];

/** Unfolded values in Latin-1, so that every byte is a character; without the blank after the colon. */
export type Fields = ReadonlyMap<FieldName, readonly string[]>;

/** The values of one field that are kept; more of a structural one is noted anyway. */
const SAME = 16;

/**
 * A continuation that reads as a field of its own. The value must fit too: signatures list the names of fields, with colons between, in
 * lines of just this look.
 */
const HIDDEN =
  /^[ \t]+content-(?:type[ \t]*:[ \t]*[a-z]+\/|transfer-encoding[ \t]*:[ \t]*(?:base64|quoted-|[78]bit|binary|(?:x-)?uu)|disposition[ \t]*:[ \t]*(?:attachment|inline)\b)/i;
const HIDDEN_READ = 256;

const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;

export type LineKind = 'blank' | 'field' | 'fold' | 'junk';

export class HeaderBlock {
  readonly #limit: number;
  readonly #notes: Notes;
  #bytes = Buffer.allocUnsafeSlow(2048);
  #length = 0;
  /** Where the present line begins. */
  #line = 0;
  /** Bytes of the block, kept or not. */
  #seen = 0;
  #lines = 0;
  #last = 0;
  #beforeLast = 0;

  constructor(limit: number, notes: Notes) {
    this.#limit = limit;
    this.#notes = notes;
  }

  reset(): void {
    this.#length = 0;
    this.#line = 0;
    this.#seen = 0;
    this.#lines = 0;
    this.#last = 0;
  }

  get over(): boolean {
    return this.#seen > this.#limit;
  }

  get empty(): boolean {
    return this.#seen === 0;
  }

  /** No line of it has ended. */
  get first(): boolean {
    return this.#lines === 0;
  }

  /** The present line, which has ended, ended with CRLF. */
  get crlf(): boolean {
    return this.#beforeLast === CR;
  }

  /** The present line's bytes, valid until the next call. */
  get line(): Buffer {
    return this.#bytes.subarray(this.#line, this.#length);
  }

  /** Bytes of the present line, not past its LF. */
  append(chunk: Buffer, start: number, end: number): void {
    this.#seen += end - start;
    this.#beforeLast = end - start > 1 ? chunk[end - 2]! : this.#last;
    this.#last = chunk[end - 1]!;
    // A line that alone is past the limit is kept up to the limit: enough to say what it is.
    const kept = Math.min(end - start, this.#line + this.#limit - this.#length);
    if (kept <= 0) return;
    if (this.#length + kept > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + kept));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#length, start, start + kept);
    this.#length += kept;
  }

  /** What the present line is; it ended with LF or with the message. */
  kind(): LineKind {
    const bytes = this.#bytes;
    const start = this.#line;
    let end = this.#length;
    if (end > start && bytes[end - 1] === LF) end--;
    if (end > start && bytes[end - 1] === CR) end--;
    if (end === start) return 'blank';
    const first = bytes[start]!;
    if (first === SPACE || first === TAB) return this.#lines === 0 ? 'junk' : 'fold';
    const colon = bytes.subarray(start, end).indexOf(COLON);
    return colon > 0 ? 'field' : 'junk';
  }

  /** Keep the present line as part of the block, and begin the next. */
  keepLine(): void {
    this.#lines++;
    if (this.over) this.#length = this.#line;
    else this.#line = this.#length;
  }

  /** Forget the present line and begin the next. */
  dropLine(): void {
    this.#lines++;
    this.#length = this.#line;
  }

  /** The fields of all kept lines; notes what is wrong with them. */
  fields(): Fields {
    const bytes = this.#bytes;
    const end = this.#line;
    const found = new Map<FieldName, string[]>();
    let at = 0;
    while (at < end) {
      let next = lineAfter(bytes, at, end);
      // A continuation of blanks only is part of the field, and suspicious.
      while (next < end && (bytes[next] === SPACE || bytes[next] === TAB)) {
        const after = lineAfter(bytes, next, end);
        if (isBlank(bytes, next, after)) this.#notes.note('mime-header-blank-fold');
        else if (HIDDEN.test(bytes.toString('latin1', next, Math.min(after, next + HIDDEN_READ))))
          this.#notes.note('mime-header-hidden');
        next = after;
      }
      this.#field(found, at, next);
      at = next;
    }
    for (const name of STRUCTURAL) if ((found.get(name)?.length ?? 0) > 1) this.#notes.note('mime-header-duplicate');
    return found;
  }

  #field(found: Map<FieldName, string[]>, start: number, end: number): void {
    const bytes = this.#bytes;
    let colon = start;
    let clean = true;
    for (; colon < end && bytes[colon] !== COLON; colon++) {
      const c = bytes[colon]!;
      if (c <= SPACE || c >= 0x7f) clean = false;
    }
    if (!clean) this.#notes.note('mime-header-name');
    this.#controls(colon, end);
    // No field that is wanted has a longer name, nor a broken one with much in it.
    if (colon - start > 64) return;
    const written = bytes.toString('latin1', start, colon).toLowerCase();
    const name = WANTED.find((wanted) => wanted === (clean ? written : written.replace(/[^!-~]/g, '')));
    if (name === undefined) return;
    const value = bytes
      .toString('latin1', colon + 1, end)
      .replace(/\r?\n(?=[ \t])/g, '')
      .replace(/\r?\n$/, '')
      .replace(/^[ \t]+/, '');
    const values = found.get(name);
    if (values === undefined) found.set(name, [value]);
    else if (values.length < SAME) values.push(value);
  }

  #controls(start: number, end: number): void {
    const bytes = this.#bytes;
    for (let at = start; at < end; at++) {
      const c = bytes[at]!;
      if (c >= SPACE || c === TAB || c === LF) continue;
      if (c !== CR) this.#notes.note('mime-header-control');
      else if (bytes[at + 1] !== LF || at + 1 >= end) this.#notes.note('mime-bare-cr');
    }
  }
}

function lineAfter(bytes: Buffer, at: number, end: number): number {
  const lf = bytes.indexOf(LF, at);
  return lf < 0 || lf >= end ? end : lf + 1;
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const c = bytes[at]!;
    if (c !== SPACE && c !== TAB && c !== CR && c !== LF) return false;
  }
  return true;
}
