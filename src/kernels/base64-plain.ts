/**
 * The base64 kernel in plain TypeScript, for runtimes without WebAssembly SIMD and for bytes outside the arena. It says byte by byte what
 * assembly/base64.ts says; a test holds the two equal.
 */
import type { Buffer } from 'node:buffer';
import {
  ACCUMULATOR,
  AFTER_PADDING,
  BAD_PADDING,
  COUNT,
  FLAGS,
  HALF_PADDED,
  JUNK,
  LAST,
  LAST_CR,
  LAST_CRLF,
  LAST_LF,
  OUT,
  PADDED,
  RAGGED,
  SAW_BARE_CR,
  SAW_BARE_LF,
  SAW_CRLF,
} from './base64-registers.js';

const VALUES = new Int8Array(256).fill(-1);
for (const [value, char] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  VALUES[char.charCodeAt(0)] = value;

/**
 * Decodes `source[at, to)` to `target` from `out` on. Strict: stops at the first byte that is neither of the alphabet nor a line end.
 * Lenient: skips what is neither, takes padding, notes both in the flags, and stops only at a `-` that begins a line. Returns where it
 * stopped. `source` and `target` may be the same memory as long as the stretches do not overlap.
 */
export function decodePlainly(
  registers: Int32Array,
  source: Buffer,
  at: number,
  to: number,
  target: Buffer,
  out: number,
  lenient: boolean,
): number {
  let acc = registers[ACCUMULATOR]!;
  let n = registers[COUNT]!;
  let flags = registers[FLAGS]!;
  let from = at;
  let end = out;

  while (from < to) {
    const c = source[from]!;
    const value = VALUES[c]!;
    if (value >= 0) {
      if ((flags & LAST_CR) !== 0) flags |= SAW_BARE_CR;
      if ((flags & PADDED) !== 0 && n === 0) flags |= AFTER_PADDING;
      if ((flags & HALF_PADDED) !== 0) flags = (flags | BAD_PADDING) & ~HALF_PADDED;
      flags &= ~LAST;
      acc = (acc << 6) | value;
      from++;
      if (++n === 4) {
        target[end] = acc >> 16;
        target[end + 1] = acc >> 8;
        target[end + 2] = acc;
        end += 3;
        acc = 0;
        n = 0;
      }
      continue;
    }
    if (c === 0x0d) {
      if ((flags & LAST_CR) !== 0) flags |= SAW_BARE_CR;
      flags = (flags & ~LAST) | LAST_CR;
      from++;
      continue;
    }
    if (c === 0x0a) {
      if (n !== 0) flags |= RAGGED;
      flags = (flags & ~LAST) | LAST_LF | ((flags & LAST_CR) !== 0 ? LAST_CRLF | SAW_CRLF : SAW_BARE_LF);
      from++;
      continue;
    }
    if (!lenient || (c === 0x2d && (flags & LAST_LF) !== 0)) break;
    if ((flags & LAST_CR) !== 0) flags |= SAW_BARE_CR;
    flags &= ~LAST;
    from++;
    if (c !== 0x3d) {
      flags |= JUNK;
    } else if (n === 3) {
      target[end] = acc >> 10;
      target[end + 1] = acc >> 2;
      end += 2;
      acc = 0;
      n = 0;
      flags |= PADDED;
    } else if (n === 2 && (flags & HALF_PADDED) !== 0) {
      target[end] = acc >> 4;
      end++;
      acc = 0;
      n = 0;
      flags = (flags | PADDED) & ~HALF_PADDED;
    } else if (n === 2) {
      flags |= HALF_PADDED;
    } else {
      flags |= BAD_PADDING;
    }
  }

  registers[ACCUMULATOR] = acc;
  registers[COUNT] = n;
  registers[FLAGS] = flags;
  registers[OUT] = end;
  return from;
}
