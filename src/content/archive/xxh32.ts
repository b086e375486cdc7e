/** xxHash, 32 bits (xxhash_spec.md), with the seed 0: what lz4 checks itself with. */
import { Buffer } from 'node:buffer';

const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;
const STRIPE = 16;

export class Xxh32 {
  #lanes = Int32Array.of(P1 + P2, P2, 0, -P1);
  readonly #held = Buffer.alloc(STRIPE);
  #count = 0;
  #length = 0;

  update(chunk: Buffer, start: number, end: number): void {
    this.#length += end - start;
    let at = start;
    if (this.#count > 0) {
      const taken = Math.min(STRIPE - this.#count, end - at);
      chunk.copy(this.#held, this.#count, at, at + taken);
      this.#count += taken;
      at += taken;
      if (this.#count < STRIPE) return;
      this.#stripe(this.#held, 0);
      this.#count = 0;
    }
    for (; at + STRIPE <= end; at += STRIPE) this.#stripe(chunk, at);
    this.#count = chunk.copy(this.#held, 0, at, end);
  }

  /** 32 bits, unsigned. */
  digest(): number {
    const [a, b, c, d] = this.#lanes as unknown as [number, number, number, number];
    let hash = this.#length >= STRIPE ? (rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)) | 0 : P5 | 0;
    hash = (hash + this.#length) | 0;
    let at = 0;
    for (; at + 4 <= this.#count; at += 4)
      hash = Math.imul(rotated((hash + Math.imul(this.#held.readInt32LE(at), P3)) | 0, 17), P4);
    for (; at < this.#count; at++) hash = Math.imul(rotated((hash + Math.imul(this.#held[at]!, P5)) | 0, 11), P1);
    hash = Math.imul(hash ^ (hash >>> 15), P2);
    hash = Math.imul(hash ^ (hash >>> 13), P3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #stripe(bytes: Buffer, at: number): void {
    for (let lane = 0; lane < 4; lane++) {
      const sum = (this.#lanes[lane]! + Math.imul(bytes.readInt32LE(at + 4 * lane), P2)) | 0;
      this.#lanes[lane] = Math.imul(rotated(sum, 13), P1);
    }
  }
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
