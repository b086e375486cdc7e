/**
 * Compressed messages ([MS-SMB2] 2.2.42, 3.1.4.4): one stretch behind a clear beginning, or a chain of payloads. All sizes are checked before
 * anything is made, and the message must have exactly the size that was told.
 */
import { Buffer } from 'node:buffer';
import { type Decompress, lz4, lz77, lz77Huffman, lznt1 } from './decompress.js';

const HEADER = 16;
const CHAIN_HEADER = 8;
const CHAINED = 1;
const ALGORITHM = { none: 0, lznt1: 1, lz77: 2, lz77Huffman: 3, pattern: 4, lz4: 5 } as const;
const DECOMPRESS: ReadonlyMap<number, Decompress> = new Map([
  [ALGORITHM.lznt1, lznt1],
  [ALGORITHM.lz77, lz77],
  [ALGORITHM.lz77Huffman, lz77Huffman],
  [ALGORITHM.lz4, lz4],
]);

/** The message that this one holds; undefined when it is damaged, or would be larger than `limit` bytes. */
export function decompressed(message: Buffer, limit: number): Buffer | undefined {
  if (message.length < HEADER) return undefined;
  const size = message.readUInt32LE(4);
  if (size > limit) return undefined;
  return message.readUInt16LE(10) === CHAINED ? chained(message, size) : single(message, size, limit);
}

function single(message: Buffer, size: number, limit: number): Buffer | undefined {
  const offset = message.readUInt32LE(12);
  // A number that is added to another and overflows was the hole of SMBGhost.
  if (offset > message.length - HEADER || offset + size > limit) return undefined;
  const rest = message.subarray(HEADER + offset);
  const algorithm = message.readUInt16LE(8);
  const plain = algorithm === ALGORITHM.none ? sized(rest, size) : DECOMPRESS.get(algorithm)?.(rest, size);
  return plain === undefined ? undefined : Buffer.concat([message.subarray(HEADER, HEADER + offset), plain]);
}

function chained(message: Buffer, size: number): Buffer | undefined {
  const parts: Buffer[] = [];
  let made = 0;
  for (let at = CHAIN_HEADER; at < message.length; ) {
    if (at + CHAIN_HEADER > message.length) return undefined;
    const algorithm = message.readUInt16LE(at);
    const length = message.readUInt32LE(at + 4);
    const start = at + CHAIN_HEADER;
    const end = start + length;
    if (end > message.length) return undefined;
    const part = payload(algorithm, message.subarray(start, end), size - made);
    if (part === undefined) return undefined;
    parts.push(part);
    made += part.length;
    at = end;
  }
  return made === size ? Buffer.concat(parts) : undefined;
}

/** One payload of a chain, of which at most `room` bytes may come. */
function payload(algorithm: number, data: Buffer, room: number): Buffer | undefined {
  if (algorithm === ALGORITHM.none) return data.length <= room ? data : undefined;
  if (algorithm === ALGORITHM.pattern) {
    const times = data.length === 8 ? data.readUInt32LE(4) : room + 1;
    return times <= room ? Buffer.alloc(times, data[0]) : undefined;
  }
  const size = data.length < 4 ? room + 1 : data.readUInt32LE(0);
  return size <= room ? DECOMPRESS.get(algorithm)?.(data.subarray(4), size) : undefined;
}

function sized(data: Buffer, size: number): Buffer | undefined {
  return data.length === size ? data : undefined;
}
