/**
 * Sources of macros ([MS-OVBA] 2.4.1): compressed behind the code that they were compiled to, at a place that another stream tells. They are
 * looked for by how they begin, which is always an attribute, so that a directory that lies hides nothing.
 */
import { Buffer } from 'node:buffer';

const BEGINNING = Buffer.from('\0Attribut', 'latin1');
/** In front of it: the signature of the container, and the header of its first chunk. */
const BEFORE = 3;
const SIGNATURE = 0x01;
const CHUNK = 4096;

/** Each source in a stream. */
export function vbaSources(stream: Buffer): Buffer[] {
  const sources: Buffer[] = [];
  for (let at = stream.indexOf(BEGINNING); at >= 0; at = stream.indexOf(BEGINNING, at + BEGINNING.length))
    if (at >= BEFORE && stream[at - BEFORE] === SIGNATURE) sources.push(decompressed(stream, at - BEFORE + 1));
  return sources;
}

/** The chunks from `at` on, as many as are whole. */
function decompressed(stream: Buffer, from: number): Buffer {
  const chunks: Buffer[] = [];
  for (let at = from; at + 2 <= stream.length; ) {
    const header = stream.readUInt16LE(at);
    // 011 in the three bits above the size.
    if ((header & 0x7000) !== 0x3000) break;
    const end = Math.min(stream.length, at + (header & 0x0fff) + 3);
    chunks.push((header & 0x8000) === 0 ? stream.subarray(at + 2, end) : unpackedChunk(stream.subarray(at + 2, end)));
    at = end;
  }
  return Buffer.concat(chunks);
}

function unpackedChunk(data: Buffer): Buffer {
  const out = Buffer.alloc(CHUNK);
  let to = 0;
  for (let at = 0; at < data.length && to < CHUNK; ) {
    const flags = data[at++]!;
    for (let bit = 0; bit < 8 && at < data.length && to < CHUNK; bit++) {
      if ((flags & (1 << bit)) === 0) {
        out[to++] = data[at++]!;
        continue;
      }
      if (at + 2 > data.length) return out.subarray(0, to);
      const token = data.readUInt16LE(at);
      at += 2;
      // The further it has come, the more bits say how far back.
      const offsetBits = Math.max(4, Math.ceil(Math.log2(to)));
      const length = (token & (0xffff >> offsetBits)) + 3;
      const offset = (token >> (16 - offsetBits)) + 1;
      if (offset > to) return out.subarray(0, to);
      for (let i = 0; i < length && to < CHUNK; i++, to++) out[to] = out[to - offset]!;
    }
  }
  return out.subarray(0, to);
}
