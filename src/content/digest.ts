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

/** Of bytes that come in pieces of any size and are not kept. */
export class RunningSha256 {
  readonly #hash = crypto.createHash('sha256');
  #waiting: Buffer | undefined;
  #filled = 0;

  update(chunk: Buffer, start: number, end: number): void {
    if (this.#filled === 0 && end - start >= DIGEST_BLOCK) {
      this.#hash.update(chunk.subarray(start, end));
      return;
    }
    this.#waiting ??= Buffer.allocUnsafeSlow(DIGEST_BLOCK);
    for (let at = start; at < end; ) {
      const copied = chunk.copy(this.#waiting, this.#filled, at, end);
      this.#filled += copied;
      at += copied;
      if (this.#filled === DIGEST_BLOCK) this.#flush();
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
