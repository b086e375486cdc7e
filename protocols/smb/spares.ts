/** Buffers that were used and are free again: memory that was just in use costs much less than what the system gives anew. */
import { Buffer } from 'node:buffer';

/** Held bytes lie in pages of this. */
export const PAGE = 64 * 1024;

export class Spares {
  readonly #free: Buffer[] = [];
  readonly #most: number;
  readonly #least: number;
  readonly #largest: number;

  /** Keeps `most` buffers at a time, of `least` to `largest` bytes. Smaller ones are parts of what Node shares out, and nobody's to keep. */
  constructor(most: number, least: number, largest: number) {
    this.#most = most;
    this.#least = least;
    this.#largest = largest;
  }

  /** `size` bytes; what is in them is anything. */
  take(size: number): Buffer {
    if (size < this.#least) return Buffer.allocUnsafe(size);
    const last = this.#free.pop();
    if (last === undefined || last.length < size) return Buffer.allocUnsafeSlow(size);
    return last.length === size ? last : last.subarray(0, size);
  }

  /** What was taken here is used by nobody any more. */
  give(bytes: Buffer): void {
    if (this.#free.length >= this.#most || bytes.length < this.#least || bytes.length > this.#largest) return;
    this.#free.push(Buffer.from(bytes.buffer));
  }
}
