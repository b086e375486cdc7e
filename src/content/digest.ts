/** SHA-256 in as few calls as possible: its speed is reached from 64 KiB a call on (1.45 GB/s; 1.1 at a segment's size, 0.26 at 64 bytes). */
import { Buffer } from 'node:buffer';
import * as crypto from 'node:crypto';

/** Bytes that a running digest takes at once, at the least. */
export const DIGEST_BLOCK = 65_536;

/** Of bytes that are all there, in lower-case hex. The one-shot call costs half of a hash object's, but Node has it from 20.12 on only. */
export const sha256: (bytes: Buffer) => string =
  typeof crypto.hash === 'function'
    ? (bytes) => crypto.hash('sha256', bytes)
    : (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

/** Pieces smaller than this are joined first: a quarter of DIGEST_BLOCK costs little speed, and a thousand messages at once wait in 16 MiB instead of 64. */
const JOINED = 16_384;

/** Of bytes that come in pieces of any size and are not kept. */
export class RunningSha256 {
  readonly #hash = crypto.createHash('sha256');
  #waiting: Buffer | undefined;
  #filled = 0;

  update(chunk: Buffer, start: number, end: number): void {
    if (this.#filled === 0 && end - start >= JOINED) {
      this.#hash.update(chunk.subarray(start, end));
      return;
    }
    this.#waiting ??= Buffer.allocUnsafeSlow(JOINED);
    for (let at = start; at < end; ) {
      const copied = chunk.copy(this.#waiting, this.#filled, at, end);
      this.#filled += copied;
      at += copied;
      if (this.#filled === JOINED) this.#flush();
    }
  }

  digest(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    if (this.#waiting !== undefined) this.#hash.update(this.#waiting.subarray(0, this.#filled));
    this.#filled = 0;
  }
}
