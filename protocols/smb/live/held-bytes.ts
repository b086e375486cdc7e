/**
 * The bytes of a file that is written or was read, at their places, in pages: what is judged as a whole. Where nothing lies are zeros. What was
 * written and has not gone to the server yet is known by its stretches.
 */
import { Buffer } from 'node:buffer';
import type { FileStream } from '../../../src/core/file.js';
import { PAGE, type Spares } from '../spares.js';
import type { Payload } from './message.js';

const NOTHING = Buffer.alloc(PAGE);
/** So many bytes of a hole are inspected as zeros; a larger one is a gap. */
const MOST_ZEROS = 1024 * PAGE;

export class HeldBytes {
  /** One past the last byte. */
  size = 0;
  readonly #pages = new Map<number, Buffer>();
  readonly #grown: (page: Buffer) => void;
  readonly #spares: Spares;
  /** Stretches that are the server's to get: start, end, start, end, … ascending, apart from each other. */
  #owed: number[] = [];

  /** `grown` is told of each page, which comes from `spares`. */
  constructor(grown: (page: Buffer) => void, spares: Spares) {
    this.#grown = grown;
    this.#spares = spares;
  }

  /** Nobody needs it any more, nor any of its pages. */
  release(): void {
    for (const page of this.#pages.values()) this.#spares.give(page);
    this.#pages.clear();
    this.size = 0;
    this.#owed = [];
  }

  get memory(): number {
    return this.#pages.size * PAGE;
  }

  /** Stretches that the server has not got. */
  get stretches(): number {
    return this.#owed.length / 2;
  }

  /** `chunk[start, end)` lies at `at`; `owed`: the server is to get it. */
  put(at: number, chunk: Buffer, start: number, end: number, owed: boolean): void {
    if (end <= start) return;
    for (let from = start; from < end; ) {
      const place = at + from - start;
      const within = place % PAGE;
      const to = Math.min(end, from + PAGE - within);
      chunk.copy(this.#page(Math.floor(place / PAGE), within, within + to - from), within, from, to);
      from = to;
    }
    this.size = Math.max(this.size, at + end - start);
    if (owed) this.#owe(at, at + end - start);
  }

  /** Like `put`, for what lay there before: it does not cover what is owed. */
  putUnder(at: number, chunk: Buffer, start: number, end: number): void {
    let from = at;
    const last = at + end - start;
    for (let i = 0; i < this.#owed.length && from < last; i += 2) {
      const [low, high] = [this.#owed[i] ?? 0, this.#owed[i + 1] ?? 0];
      if (high <= from) continue;
      if (low > from) this.put(from, chunk, start + from - at, start + Math.min(low, last) - at, false);
      from = Math.max(from, high);
    }
    if (from < last) this.put(from, chunk, start + from - at, end, false);
    this.size = Math.max(this.size, last);
  }

  /** The file ends at `size` now: it was cut, or goes on with zeros. */
  setSize(size: number): void {
    if (size < this.size) {
      for (const [index, page] of this.#pages) {
        if (index * PAGE >= size) page.fill(0);
        else if ((index + 1) * PAGE > size) page.fill(0, size - index * PAGE);
      }
      this.#owed = this.#owed.map((edge) => Math.min(edge, size));
      while (this.#owed.length > 0 && this.#owed.at(-1) === this.#owed.at(-2)) this.#owed.splice(-2);
    }
    this.size = size;
  }

  /** Up to `length` bytes from `at`, as they are when they are copied. */
  slice(at: number, length: number): Payload {
    const most = Math.max(0, Math.min(length, this.size - at));
    return { length: most, copyTo: (into, from) => this.#copy(at, most, into, from) };
  }

  /** The first stretch that is owed, up to `most` bytes; undefined: none. It is owed no more. */
  takeOwed(most: number): { readonly at: number; readonly data: Payload } | undefined {
    const [start, end] = this.#owed;
    if (start === undefined || end === undefined) return undefined;
    const to = Math.min(end, start + most);
    if (to === end) this.#owed.splice(0, 2);
    else this.#owed[0] = to;
    return { at: start, data: this.slice(start, to - start) };
  }

  /** Nothing is owed any more. */
  forgive(): void {
    this.#owed = [];
  }

  /** Gives all of it to inspection, from its first byte to its last. */
  tell(file: FileStream): void {
    let hole = 0;
    const pages = Math.ceil(this.size / PAGE);
    const indexes = [...this.#pages.keys()].filter((index) => index < pages).sort((a, b) => a - b);
    let next = 0;
    const skipTo = (index: number): void => {
      const zeros = Math.min(index * PAGE, this.size) - next * PAGE;
      if (zeros <= 0) return;
      if (hole + zeros > MOST_ZEROS) file.gap(zeros);
      else for (let left = zeros; left > 0; left -= PAGE) file.write(NOTHING, 0, Math.min(left, PAGE));
      hole += zeros;
    };
    for (const index of indexes) {
      skipTo(index);
      const page = this.#pages.get(index);
      if (page !== undefined) file.write(page, 0, Math.min(PAGE, this.size - index * PAGE));
      next = index + 1;
    }
    skipTo(pages);
  }

  #copy(at: number, length: number, into: Buffer, from: number): void {
    for (let done = 0; done < length; ) {
      const place = at + done;
      const within = place % PAGE;
      const count = Math.min(length - done, PAGE - within);
      const page = this.#pages.get(Math.floor(place / PAGE)) ?? NOTHING;
      page.copy(into, from + done, within, within + count);
      done += count;
    }
  }

  /** The page of that number, whose bytes [start, end) are written next. */
  #page(index: number, start: number, end: number): Buffer {
    const known = this.#pages.get(index);
    if (known !== undefined) return known;
    const page = this.#spares.take(PAGE);
    page.fill(0, 0, start).fill(0, end);
    this.#pages.set(index, page);
    this.#grown(page);
    return page;
  }

  #owe(start: number, end: number): void {
    const owed = this.#owed;
    const last = owed.length - 1;
    // In order, as nearly always.
    if (last < 0 || start > (owed[last] ?? 0)) {
      owed.push(start, end);
      return;
    }
    let low = 0;
    let high = owed.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((owed[2 * middle + 1] ?? 0) < start) low = middle + 1;
      else high = middle;
    }
    let to = low;
    let [from, until] = [start, end];
    while (2 * to < owed.length && (owed[2 * to] ?? 0) <= end) {
      from = Math.min(from, owed[2 * to] ?? from);
      until = Math.max(until, owed[2 * to + 1] ?? until);
      to++;
    }
    owed.splice(2 * low, 2 * (to - low), from, until);
  }
}
