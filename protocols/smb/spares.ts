/** Buffers that were used and are free again: memory that was just in use costs much less than what the system gives anew. */
import { Buffer } from 'node:buffer';

/** Held bytes lie in pages of this. */
export const PAGE = 64 * 1024;

export class Spares {
  readonly #free: Buffer[] = [];
  readonly #most: number;
  readonly #largest: number;

  /** Keeps `most` buffers at a time, of at most `largest` bytes. */
  constructor(most: number, largest: number) {
    this.#most = most;
    this.#largest = largest;
  }

  /** `size` bytes; what is in them is anything. */
  take(size: number): Buffer {
    const last = this.#free.pop();
    if (last === undefined || last.length < size) return Buffer.allocUnsafeSlow(size);
    return last.length === size ? last : last.subarray(0, size);
  }

  /** Nobody uses it any more. */
  give(bytes: Buffer): void {
    if (this.#free.length >= this.#most || bytes.buffer.byteLength > this.#largest) return;
    this.#free.push(bytes.byteOffset === 0 ? Buffer.from(bytes.buffer) : bytes);
  }
}
