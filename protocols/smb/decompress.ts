/**
 * The compression of SMB 3.1.1 ([MS-XCA]): plain LZ77 (2.4), LZ77 with Huffman codes (2.2), LZNT1 (2.5); and LZ4's blocks. Hostile input: the size that
 * must come out is known and bounded beforehand, every step makes output or ends, and whatever does not fit gives nothing.
 */
import { Buffer } from 'node:buffer';
import { decodeLz4Block } from '../../src/core/lz4.js';

/** `size` bytes out of `data`; undefined when that is not what it holds. */
export type Decompress = (data: Buffer, size: number) => Buffer | undefined;

/** [MS-XCA] 2.4.4. */
export const lz77: Decompress = (data, size) => {
  const out = Buffer.alloc(size);
  let to = 0;
  let at = 0;
  let flags = 0;
  let count = 0;
  /** Where the byte lies whose upper half is the next long length; -1: none. */
  let half = -1;
  while (to < size) {
    if (count === 0) {
      if (at + 4 > data.length) return undefined;
      flags = data.readUInt32LE(at);
      at += 4;
      count = 32;
    }
    count--;
    if (((flags >>> count) & 1) === 0) {
      if (at >= data.length) return undefined;
      out[to++] = data[at++]!;
      continue;
    }
    if (at + 2 > data.length) return undefined;
    const match = data.readUInt16LE(at);
    at += 2;
    let length = match & 7;
    if (length === 7) {
      if (half < 0) {
        if (at >= data.length) return undefined;
        half = at;
        length = data[at++]! & 15;
      } else {
        length = data[half]! >> 4;
        half = -1;
      }
      if (length === 15) {
        if (at >= data.length) return undefined;
        length = data[at++]!;
        if (length === 255) {
          if (at + 2 > data.length) return undefined;
          length = data.readUInt16LE(at);
          at += 2;
          if (length === 0) {
            if (at + 4 > data.length) return undefined;
            length = data.readUInt32LE(at);
            at += 4;
          }
          if (length < 22) return undefined;
          length -= 22;
        }
        length += 15;
      }
      length += 7;
    }
    to = copied(out, to, (match >> 3) + 1, length + 3);
    if (to < 0) return undefined;
  }
  return out;
};

const SYMBOLS = 512;
const TABLE = 256;
const BLOCK = 65_536;
const CODE_BITS = 15;

/** [MS-XCA] 2.2.4: blocks of 64 KiB, each with a table of its own. */
export const lz77Huffman: Decompress = (data, size) => {
  const out = Buffer.alloc(size);
  const table = new Uint16Array(1 << CODE_BITS);
  const lengths = new Uint8Array(SYMBOLS);
  let to = 0;
  let at = 0;
  while (to < size) {
    if (at + TABLE + 4 > data.length || !fillTable(data, at, table, lengths)) return undefined;
    at += TABLE;
    let bits = ((data.readUInt16LE(at) << 16) | data.readUInt16LE(at + 2)) >>> 0;
    at += 4;
    let extra = 16;
    const end = Math.min(size, to + BLOCK);
    const shift = (by: number): void => {
      bits = by === 0 ? bits : (bits << by) >>> 0;
      extra -= by;
      if (extra >= 0) return;
      // Past the end zeros come: what they decode to is found out by the size.
      if (at + 2 <= data.length) bits = (bits | (data.readUInt16LE(at) << -extra)) >>> 0;
      at += 2;
      extra += 16;
    };
    while (to < end) {
      if (at > data.length + 4) return undefined;
      const symbol = table[bits >>> (32 - CODE_BITS)]!;
      const codeLength = lengths[symbol]!;
      if (codeLength === 0) return undefined;
      shift(codeLength);
      if (symbol < 256) {
        out[to++] = symbol;
        continue;
      }
      let length = (symbol - 256) & 15;
      const offsetBits = (symbol - 256) >> 4;
      if (length === 15) {
        if (at >= data.length) return undefined;
        length = data[at++]!;
        if (length === 255) {
          if (at + 2 > data.length) return undefined;
          length = data.readUInt16LE(at);
          at += 2;
          if (length === 0) {
            if (at + 4 > data.length) return undefined;
            length = data.readUInt32LE(at);
            at += 4;
          }
          if (length < 15) return undefined;
          length -= 15;
        }
        length += 15;
      }
      const offset = (offsetBits === 0 ? 0 : bits >>> (32 - offsetBits)) + (1 << offsetBits);
      shift(offsetBits);
      to = copied(out, to, offset, length + 3);
      if (to < 0) return undefined;
    }
  }
  return out;
};

/** Canonical codes out of 4-bit lengths; false when they are no complete code. */
function fillTable(data: Buffer, at: number, table: Uint16Array, lengths: Uint8Array): boolean {
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    const byte = data[at + (symbol >> 1)]!;
    lengths[symbol] = (symbol & 1) === 0 ? byte & 15 : byte >> 4;
  }
  let next = 0;
  for (let length = 1; length <= CODE_BITS; length++)
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      if (lengths[symbol] !== length) continue;
      const entries = 1 << (CODE_BITS - length);
      if (next + entries > table.length) return false;
      table.fill(symbol, next, next + entries);
      next += entries;
    }
  return next === table.length;
}

const CHUNK = 4096;

/** [MS-XCA] 2.5.1: chunks of up to 4096 bytes, within which a match lies. */
export const lznt1: Decompress = (data, size) => {
  const out = Buffer.alloc(size);
  let to = 0;
  let at = 0;
  while (to < size) {
    if (at + 2 > data.length) return undefined;
    const header = data.readUInt16LE(at);
    at += 2;
    const end = at + (header & 0x0fff) + 1;
    if (header === 0 || end > data.length) return undefined;
    const first = to;
    if ((header & 0x8000) === 0) {
      to += data.copy(out, to, at, end);
      at = end;
      if (to - first > CHUNK) return undefined;
      continue;
    }
    while (at < end && to < size) {
      const flags = data[at++]!;
      for (let bit = 0; bit < 8 && at < end && to < size; bit++) {
        if (((flags >> bit) & 1) === 0) {
          out[to++] = data[at++]!;
          continue;
        }
        if (at + 2 > end) return undefined;
        const tuple = data.readUInt16LE(at);
        at += 2;
        // The farther into the chunk, the more bits tell how far back.
        let lengthBits = 12;
        for (let position = to - first - 1; position >= 16; position >>= 1) lengthBits--;
        const offset = (tuple >> lengthBits) + 1;
        if (offset > to - first) return undefined;
        to = copied(out, to, offset, (tuple & ((1 << lengthBits) - 1)) + 3);
        if (to < 0) return undefined;
      }
    }
    if (to - first > CHUNK) return undefined;
    at = end;
  }
  return out;
};

/** LZ4's block format: literals and matches by turns; the last are literals, and behind them nothing comes. */
export const lz4: Decompress = (data, size) => {
  const out = Buffer.alloc(size);
  return decodeLz4Block(data, out, 0) === size ? out : undefined;
};

/** `length` bytes from `offset` back: a match may lap over itself. Where the output ends then, or -1. */
function copied(out: Buffer, to: number, offset: number, length: number): number {
  if (offset > to || to + length > out.length) return -1;
  if (offset >= length) out.copyWithin(to, to - offset, to - offset + length);
  else for (let i = 0; i < length; i++) out[to + i] = out[to + i - offset]!;
  return to + length;
}
