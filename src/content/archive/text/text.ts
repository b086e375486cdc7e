/**
 * A text in which files are looked for: searches over a file's bytes, in memory or spooled. Each search looks at a byte once, so that a
 * text costs what its size says, times the number of formats; nothing is read back further than a line.
 */
import { Buffer } from 'node:buffer';
import { SourceError } from '../../../core/errors.js';
import type { Content } from '../../../core/file.js';
import { CR, LF } from '../../../core/lines.js';
import { lasting } from '../../pieces.js';

/** What is read of a line that may begin or end a file. */
const LINE = 1024;
/** A file that does not lie in one piece is read in blocks, and so much of the next one with each, so that what a search looks at lies in one. */
const BLOCK = 64 * 1024;
const OVERLAP = 4 * LINE;
/** Blocks of a spooled file that are kept: more than searches that go on side by side. Those in memory are, but for a few, no copies, and all kept. */
const BLOCKS = 16;
/** No NUL in so many bytes is a text. */
const HEAD = 4096;

export class Text {
  readonly content: Content;
  readonly types: readonly string[];
  /** By number, the one that was used last at the end. */
  readonly #blocks = new Map<number, Buffer>();

  /** `types`: what the file is by its content. */
  constructor(content: Content, types: readonly string[]) {
    this.content = content;
    this.types = types;
  }

  /** Are these bytes text? NULs say no, but for a few at the very beginning, which readers skip. */
  static is(content: Content): boolean {
    const head = content.read(0, HEAD);
    let start = 0;
    while (start < LEADING && head[start] === 0) start++;
    return head.length > start && !head.includes(0, start);
  }

  get length(): number {
    return this.content.length;
  }

  /** Where `needle` next stands, from `from` on; -1 when it does not. */
  find(needle: Buffer, from: number): number {
    for (let at = from; at < this.length; at = this.#blockEnd(at)) {
      const base = this.#blockStart(at);
      const found = this.#block(at).indexOf(needle, at - base);
      if (found >= 0) return base + found;
    }
    return -1;
  }

  /** Where `needle` next begins a line. */
  findLine(needle: Buffer, from: number): number {
    for (let at = this.find(needle, from); at >= 0; at = this.find(needle, at + 1)) if (this.beginsLine(at)) return at;
    return -1;
  }

  /** Where so many members of a set of bytes (1 in `set`) next stand in a row; -1 when they do not. Steps over most of what has none. */
  findRun(set: Uint8Array, least: number, from: number): number {
    for (let at = from; at + least <= this.length; ) {
      const base = this.#blockStart(at);
      const bytes = this.#block(at);
      let start = at - base;
      /** All between `start` and here are members. */
      let checked = start;
      for (let end = start + least; end <= bytes.length; end = start + least) {
        let i = end - 1;
        while (i >= checked && set[bytes[i]!] === 1) i--;
        if (i < checked) return base + start;
        start = i + 1;
        checked = end;
      }
      if (base + start === at) return -1;
      at = base + start;
    }
    return -1;
  }

  /** One past the last of the members of `set` that stand in a row from `from` on. */
  runEnd(set: Uint8Array, from: number): number {
    let end = from;
    this.pieces(from, this.length, (piece) => {
      let i = 0;
      while (i < piece.length && set[piece[i]!] === 1) i++;
      end += i;
      return i === piece.length;
    });
    return end;
  }

  byte(at: number): number | undefined {
    return at < 0 || at >= this.length ? undefined : this.#block(at)[at - this.#blockStart(at)];
  }

  beginsLine(at: number): boolean {
    const before = this.byte(at - 1);
    return before === undefined || before === LF || before === CR || before === 0;
  }

  /** `[start, end)` in Latin-1, at most a line's worth of it. */
  slice(start: number, end = start + LINE): string {
    const from = Math.max(0, start);
    if (from >= this.length) return '';
    const base = this.#blockStart(from);
    return this.#block(from).toString('latin1', from - base, Math.min(end, from + LINE, this.length) - base);
  }

  /** The line at `at` and the one after it, with their ends. */
  lines(at: number): [string, string] {
    const text = this.slice(at);
    const lf = text.indexOf('\n');
    if (lf < 0) return [text, ''];
    const end = text.indexOf('\n', lf + 1);
    return [text.slice(0, lf + 1), end < 0 ? text.slice(lf + 1) : text.slice(lf + 1, end + 1)];
  }

  /** The next line, from `from` on, that `needle` (a line feed first) begins and `pattern` fits: where it begins and where it ends. */
  closing(from: number, needle: Buffer, pattern: RegExp): { readonly start: number; readonly end: number } | undefined {
    for (let at = this.find(needle, from); at >= 0; at = this.find(needle, at + 1)) {
      const [line] = this.lines(at + 1);
      if (pattern.test(line)) return { start: at + 1, end: at + 1 + line.length };
    }
    return undefined;
  }

  /** Hands over `[from, end)` in order, until `take` wants no more. */
  pieces(from: number, end: number, take: (piece: Buffer) => boolean): void {
    for (let at = from; at < end; at = this.#blockEnd(at)) {
      const base = this.#blockStart(at);
      if (!take(this.#block(at).subarray(at - base, Math.min(end, this.#blockEnd(at)) - base))) return;
    }
  }

  /** The same, a line at a time without its end; of an overlong line nothing but that it was one (undefined). Lines are valid during the call. */
  eachLine(from: number, end: number, take: (line: Buffer | undefined) => boolean): void {
    const kept = Buffer.allocUnsafe(LINE);
    let length = 0;
    let going = true;
    const ended = (): boolean => {
      const whole = length <= LINE;
      while (whole && length > 0 && (kept[length - 1] === CR || kept[length - 1] === LF)) length--;
      const line = whole ? kept.subarray(0, length) : undefined;
      length = 0;
      return take(line);
    };
    this.pieces(from, end, (piece) => {
      for (let at = 0; going && at < piece.length; ) {
        const lf = piece.indexOf(LF, at);
        const stop = lf < 0 ? piece.length : lf + 1;
        if (length + stop - at <= LINE) piece.copy(kept, length, at, stop);
        length += stop - at;
        at = stop;
        if (lf >= 0) going = ended();
      }
      return going;
    });
    if (going && length > 0) ended();
  }

  // Blocks: of a file in one piece of memory there is one.

  #blockStart(at: number): number {
    return this.content.bytes === undefined ? at - (at % BLOCK) : 0;
  }

  #blockEnd(at: number): number {
    return this.content.bytes === undefined ? Math.min(this.length, at - (at % BLOCK) + BLOCK) : this.length;
  }

  /** The block that `at` lies in, and what follows it. */
  #block(at: number): Buffer {
    const { content } = this;
    if (content.bytes !== undefined) return content.bytes;
    const number = Math.floor(at / BLOCK);
    let block = this.#blocks.get(number);
    if (block === undefined) {
      block = lasting(content, number * BLOCK, BLOCK + OVERLAP);
      // A spool file that is shorter than it was must not pass for one that was read to its end.
      if (block.length < Math.min(BLOCK + OVERLAP, content.length - number * BLOCK))
        throw new SourceError(`spool: the file ends at ${number * BLOCK + block.length} of ${content.length} bytes`);
      if (content.pieces === undefined && this.#blocks.size === BLOCKS)
        this.#blocks.delete(this.#blocks.keys().next().value!);
    } else if (content.pieces !== undefined) return block;
    else this.#blocks.delete(number);
    this.#blocks.set(number, block);
    return block;
  }
}

/** NULs that may stand before a text. */
const LEADING = 64;

/** The members of a set of bytes, for `findRun`. */
export function bytesOf(characters: string): Uint8Array {
  const set = new Uint8Array(256);
  for (const byte of Buffer.from(characters, 'latin1')) set[byte] = 1;
  return set;
}
