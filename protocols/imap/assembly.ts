/**
 * A message or part that is put together: slices in any order (`BODY[]<o.n>`), or content whose header comes behind it. It is written as the
 * message that it would be by itself, a header in front. Where the header is not known yet, room is left for it, and what the room has too
 * much is filled with a field that says nothing. Nothing is kept here but where bytes have come, and the first few of them, by
 * which an encoding is guessed when nobody ever tells it.
 */
import { Buffer } from 'node:buffer';
import type { FileStream } from '../../src/core/file.js';

/** For a header that comes later: what a part needs, with a long name in it, fits. */
const ROOM = 8192;
const FILLER = 'X-Filler: ';
/** Bytes of content that tell what it looks like. */
export const LOOK = 512;
const BASE64_TEXT = /^[A-Za-z0-9+/]{60,}(?:\r?\n|$)|^[A-Za-z0-9+/]{2,}={1,2}\s*$|^(?:[A-Za-z0-9+/]{4}){4,}\s*$/;
const QUOTED_TEXT = /=(?:[0-9A-F]{2}|[ \t]*\r?\n)/;

/** The header that content without one is read with: the encoding that it looks like, else none. */
export function guessedHeader(look: Buffer): string {
  const text = look.toString('latin1', 0, LOOK);
  const encoding = BASE64_TEXT.test(text) ? 'base64' : QUOTED_TEXT.test(text) ? 'quoted-printable' : undefined;
  return encoding === undefined ? '\r\n' : `Content-Transfer-Encoding: ${encoding}\r\n\r\n`;
}

export class Assembly {
  readonly file: FileStream;
  /** Bytes of the content in all, once known. */
  total: number | undefined;
  /** The longest slice that came. */
  longest = 0;
  /** Bytes in front of the content in the file. */
  readonly #front: number;
  #headed: boolean;
  /** Where bytes have come, ascending, apart from each other. */
  readonly #ranges: { start: number; end: number }[] = [];
  readonly #look = Buffer.alloc(LOOK);

  /** `header`, where it is known, ends with an empty line. */
  constructor(file: FileStream, header: string | undefined) {
    this.file = file;
    this.#headed = header !== undefined;
    const bytes = header === undefined ? undefined : Buffer.from(header, 'latin1');
    this.#front = bytes?.length ?? ROOM;
    if (bytes !== undefined) file.writeAt(0, bytes, 0, bytes.length);
  }

  /** Its header is there. */
  get headed(): boolean {
    return this.#headed;
  }

  write(at: number, chunk: Buffer, start: number, end: number): void {
    this.file.writeAt(this.#front + at, chunk, start, end);
    if (at < LOOK) chunk.copy(this.#look, at, start, Math.min(end, start + LOOK - at));
  }

  /** Content [start, end) is there. False: it came in more pieces apart than `limit`. */
  cover(start: number, end: number, limit: number): boolean {
    if (end <= start) return true;
    this.longest = Math.max(this.longest, end - start);
    const ranges = this.#ranges;
    let from = 0;
    while (from < ranges.length && ranges[from]!.end < start) from++;
    let to = from;
    const merged = { start, end };
    while (to < ranges.length && ranges[to]!.start <= end) {
      merged.start = Math.min(merged.start, ranges[to]!.start);
      merged.end = Math.max(merged.end, ranges[to]!.end);
      to++;
    }
    ranges.splice(from, to - from, merged);
    return ranges.length <= limit;
  }

  /** The header became known. False: there is no room for it. */
  head(header: string): boolean {
    const length = ROOM - header.length;
    if (length < 2 + FILLER.length) return false;
    // A line of the filler is folded as headers are: one that is too long would be noted as odd.
    let filler = FILLER;
    for (let left = length - FILLER.length - 2; left > 0; ) {
      const piece = Math.min(left, 70);
      filler += '.'.repeat(piece);
      left -= piece;
      if (left > 3) {
        filler += '\r\n ';
        left -= 3;
      }
    }
    const bytes = Buffer.from(`${filler}\r\n${header}`, 'latin1');
    this.file.writeAt(0, bytes, 0, bytes.length);
    this.#headed = true;
    return true;
  }

  /** Nobody will tell its header. */
  guess(): void {
    this.head(guessedHeader(this.#look.subarray(0, Math.min(LOOK, this.reach))));
  }

  /** Up to where it is there without a hole. */
  get reach(): number {
    const [first] = this.#ranges;
    return first?.start === 0 ? first.end : 0;
  }

  /** All of the content is there. */
  get whole(): boolean {
    return this.total !== undefined && this.reach >= this.total;
  }
}
