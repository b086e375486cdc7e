/** Files of the benchmark: noise, as compressed documents are, so that no engine can take a short cut. */
import { Buffer } from 'node:buffer';
import type { SeededRandom } from '../src/testing/random.js';

export const SMALLEST: number = 16 * 1024;

export function noise(size: number, random: SeededRandom): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = random.below(2 ** 32 - 1) + 1;
  for (let index = 0; index < words.length; index++) {
    // xorshift32: a call of `random` a word would take most of the generator's time.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer, 0, size);
}

/** As many of each order of magnitude: most files are small, most bytes are in large ones. */
export function sizeUpTo(largest: number, random: SeededRandom): number {
  return Math.floor(SMALLEST * (largest / SMALLEST) ** (random.below(10_000) / 10_000));
}
