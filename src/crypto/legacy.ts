/** What OpenSSL 3 has no longer by default, and NTLM still needs: MD4 (RFC 1320) and RC4. For keys that others made this way, and nothing else. */
import { Buffer } from 'node:buffer';

export function md4(data: Buffer): Buffer {
  const length = data.length;
  const padded = Buffer.alloc(((length + 8) >> 6) * 64 + 64);
  data.copy(padded);
  padded[length] = 0x80;
  padded.writeUInt32LE((length << 3) >>> 0, padded.length - 8);
  padded.writeUInt32LE(Math.floor(length / 0x2000_0000), padded.length - 4);
  let [a, b, c, d] = [0x6745_2301, 0xefcd_ab89 | 0, 0x98ba_dcfe | 0, 0x1032_5476];
  const x = new Int32Array(16);
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i++) x[i] = padded.readInt32LE(at + 4 * i);
    const before = [a, b, c, d] as const;
    for (let step = 0; step < 48; step++) {
      const round = step >> 4;
      const i = step & 15;
      const mixed = round === 0 ? (b & c) | (~b & d) : round === 1 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      const index = round === 0 ? i : round === 1 ? ((i & 3) << 2) | (i >> 2) : REVERSED[i]!;
      const sum = (a + mixed + x[index]! + ADDED[round]!) | 0;
      const shift = SHIFTS[round]![i & 3]!;
      [a, b, c, d] = [d, (sum << shift) | (sum >>> (32 - shift)), b, c];
    }
    a = (a + before[0]) | 0;
    b = (b + before[1]) | 0;
    c = (c + before[2]) | 0;
    d = (d + before[3]) | 0;
  }
  const digest = Buffer.alloc(16);
  for (const [i, word] of [a, b, c, d].entries()) digest.writeInt32LE(word, 4 * i);
  return digest;
}

const ADDED = [0, 0x5a82_7999, 0x6ed9_eba1];
const SHIFTS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
];
/** The order of the third round: indexes with their bits reversed. */
const REVERSED = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/** The same both ways. */
export function rc4(key: Buffer, data: Buffer): Buffer {
  const state = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + state[i]! + key[i % key.length]!) & 255;
    [state[i], state[j]] = [state[j]!, state[i]!];
  }
  const out = Buffer.alloc(data.length);
  for (let at = 0, i = 0, j = 0; at < data.length; at++) {
    i = (i + 1) & 255;
    j = (j + state[i]!) & 255;
    [state[i], state[j]] = [state[j]!, state[i]!];
    out[at] = data[at]! ^ state[(state[i]! + state[j]!) & 255]!;
  }
  return out;
}
