/** MODE B (RFC 959 §3.4.2): data in blocks of a descriptor, a count of two bytes, and as many bytes. Restart markers are no data. */
import type { Buffer } from 'node:buffer';

const HEADER = 3;
const END_OF_FILE = 0x40;
const MARKER = 0x10;
const RESERVED = 0x0f;

export interface BlockSink {
  write(chunk: Buffer, start: number, end: number): void;
  /** The file is complete; another may follow on the same connection. */
  endOfFile(): void;
}

export class BlockMode {
  readonly #sink: BlockSink;
  /** Bytes of the present block still to come. */
  #left = 0;
  #descriptor = 0;

  constructor(sink: BlockSink) {
    this.#sink = sink;
  }

  /** Reads what it can of `chunk` from `at` on: where it stopped, or -1 when this is no block. */
  read(chunk: Buffer, at: number): number {
    let from = at;
    for (;;) {
      if (this.#left > 0) {
        const end = Math.min(chunk.length, from + this.#left);
        if ((this.#descriptor & MARKER) === 0) this.#sink.write(chunk, from, end);
        this.#left -= end - from;
        from = end;
        if (this.#left > 0) return from;
        this.#blockEnds();
      }
      if (chunk.length - from < HEADER) return from;
      this.#descriptor = chunk[from] ?? 0;
      if ((this.#descriptor & RESERVED) !== 0) return -1;
      this.#left = chunk.readUInt16BE(from + 1);
      from += HEADER;
      if (this.#left === 0) this.#blockEnds();
    }
  }

  #blockEnds(): void {
    if ((this.#descriptor & END_OF_FILE) !== 0) this.#sink.endOfFile();
    this.#descriptor = 0;
  }
}
