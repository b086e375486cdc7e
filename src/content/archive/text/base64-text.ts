/**
 * Base64 as it stands in texts and scripts: both alphabets (RFC 4648 §4, §5), blanks and line ends within, padding or none. It ends at the
 * first byte that is none of these, and whoever asked decides what that means. Mail bodies have a decoder of their own (mime/base64-body.ts).
 */
import type { Buffer } from 'node:buffer';
import type { TextChild } from './text-child.js';

const SKIP = 64;
const PAD = 65;
const STOP = 66;

const VALUES = new Uint8Array(256).fill(STOP);
for (const [index, c] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  VALUES[c.charCodeAt(0)] = index;
VALUES[0x2d] = 62;
VALUES[0x5f] = 63;
VALUES[0x3d] = PAD;
for (const blank of [0x09, 0x0a, 0x0c, 0x0d, 0x20]) VALUES[blank] = SKIP;

const STRICT = VALUES.map((value) => (value === SKIP ? STOP : value));

export class Base64Text {
  readonly #child: TextChild;
  readonly #values: Uint8Array;
  #bits = 0;
  #count = 0;

  /** `blanks`: they end it, too, unless they are skipped. */
  constructor(child: TextChild, blanks: 'skip' | 'stop' = 'skip') {
    this.#child = child;
    this.#values = blanks === 'skip' ? VALUES : STRICT;
  }

  /** Decodes `piece[start, end)` up to a byte that is no base64; its index, or `end`. */
  decode(piece: Buffer, start: number, end: number): number {
    const values = this.#values;
    for (let at = start; at < end; at++) {
      const value = values[piece[at]!]!;
      if (value === STOP) return at;
      this.#take(value);
    }
    return end;
  }

  /** One character that was written otherwise (percent, an escape); false when it is no base64. */
  put(byte: number): boolean {
    const value = this.#values[byte]!;
    if (value !== STOP) this.#take(value);
    return value !== STOP;
  }

  #take(value: number): void {
    if (value < SKIP) {
      this.#bits = ((this.#bits << 6) | value) & 0xffff;
      this.#count += 6;
      if (this.#count >= 8) {
        this.#count -= 8;
        this.#child.put((this.#bits >> this.#count) & 0xff);
      }
    } else if (value === PAD) {
      // What follows padding begins anew.
      this.#bits = 0;
      this.#count = 0;
    }
  }
}
