/** CRC-32 as zip, gzip and 7z use it (ISO 3309, polynomial 0xedb88320 reflected). `node:zlib` has one from 20.15 on; older ones get a table. */
import * as zlib from 'node:zlib';

type Native = (data: Buffer, value?: number) => number;
const native = (zlib as unknown as { readonly crc32?: Native }).crc32;

let table: Uint32Array | undefined;

function fillTable(): Uint32Array {
  const entries = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    entries[i] = value >>> 0;
  }
  return entries;
}

/** Of `bytes[start, end)`, going on from `value`; unsigned. */
export function crc32(bytes: Buffer, start: number, end: number, value = 0): number {
  if (native !== undefined)
    return native(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), value);
  table ??= fillTable();
  let crc = ~value;
  for (let i = start; i < end; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
