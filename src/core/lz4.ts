/** The block format of LZ4 (lz4_Block_format.md): SMB has it in messages, lz4 files in frames. Hostile input: every step makes output or ends. */
import type { Buffer } from 'node:buffer';

/**
 * Decodes a block into `out` from `from` on; matches may reach back into what lies before that. Where the output ends, or -1 when the
 * block is damaged or makes more than there is room for.
 */
export function decodeLz4Block(data: Buffer, out: Buffer, from: number): number {
  let to = from;
  let at = 0;
  const room = out.length;
  /** Four bits say how much, or 15 and then as many bytes as say 255, and one more. More than can come out: none of it fits. */
  const lengthOf = (bits: number): number => {
    let length = bits;
    for (let more = bits === 15; more; ) {
      const byte = data[at++];
      if (byte === undefined || length > room) return room + 1;
      length += byte;
      more = byte === 255;
    }
    return length;
  };
  while (at < data.length) {
    const token = data[at++]!;
    const literals = lengthOf(token >> 4);
    if (literals > room - to || literals > data.length - at) return -1;
    to += data.copy(out, to, at, at + literals);
    at += literals;
    if (at === data.length) return to;
    if (at + 2 > data.length) return -1;
    const offset = data.readUInt16LE(at);
    at += 2;
    const length = lengthOf(token & 15) + 4;
    if (offset === 0 || offset > to || length > room - to) return -1;
    // A match may lap over itself.
    if (offset >= length) out.copyWithin(to, to - offset, to - offset + length);
    else for (let i = 0; i < length; i++) out[to + i] = out[to + i - offset]!;
    to += length;
  }
  return -1;
}
