/** Files written as text, for tests: our own encoders, straight from the formats' descriptions. */
import { Buffer } from 'node:buffer';

/** uuencode, or xxencode with its letters. Lines of 45 bytes. */
export function uuOf(bytes: Buffer, name = 'a.com', eol = '\r\n', letters?: string): string {
  const six = (value: number): string => letters?.[value] ?? String.fromCharCode(value === 0 ? 0x60 : value + 0x20);
  const lines = [`begin 644 ${name}`];
  for (let at = 0; at < bytes.length; at += 45) {
    const part = bytes.subarray(at, at + 45);
    let line = six(part.length);
    for (let i = 0; i < part.length; i += 3) {
      const joined = (part[i]! << 16) | ((part[i + 1] ?? 0) << 8) | (part[i + 2] ?? 0);
      line += six(joined >> 18) + six((joined >> 12) & 63) + six((joined >> 6) & 63) + six(joined & 63);
    }
    lines.push(line);
  }
  return [...lines, six(0), 'end', ''].join(eol);
}

export const XX_LETTERS = '+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export interface BinHexFile {
  readonly name?: string;
  readonly data?: Buffer;
  readonly resource?: Buffer;
  /** What is added to the CRC of the header, the data and the resource fork. */
  readonly wrong?: readonly [number, number, number];
}

/** BinHex 4.0, runs packed, lines of 64 characters. */
export function binHexOf({ name = 'a.com', data, resource, wrong = [0, 0, 0] }: BinHexFile, eol = '\r\n'): string {
  const forks = [data ?? Buffer.alloc(0), resource ?? Buffer.alloc(0)] as const;
  const fixed = Buffer.alloc(19);
  fixed.write('TEXTttxt', 1, 'latin1');
  fixed.writeUInt32BE(forks[0].length, 11);
  fixed.writeUInt32BE(forks[1].length, 15);
  const header = Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1'), fixed]);
  const raw = Buffer.concat([header, ...forks].flatMap((piece, i) => [piece, crcOf(piece, wrong[i]!)]));
  const packed: number[] = [];
  for (let at = 0; at < raw.length; ) {
    const byte = raw[at]!;
    let run = 1;
    while (run < 255 && raw[at + run] === byte) run++;
    packed.push(byte);
    if (byte === 0x90) packed.push(0);
    if (run > 3) packed.push(0x90, run);
    at += run > 3 ? run : 1;
  }
  let text = '';
  for (let i = 0; i < packed.length; i += 3) {
    const joined = (packed[i]! << 16) | ((packed[i + 1] ?? 0) << 8) | (packed[i + 2] ?? 0);
    for (let c = 0; c < Math.min(4, packed.length - i + 1); c++) text += BINHEX[(joined >> (18 - 6 * c)) & 63];
  }
  const lines = `:${text}:`.replace(/.{64}/g, `$&${eol}`);
  return `(This file must be converted with BinHex 4.0)${eol}${eol}${lines}${eol}`;
}

const BINHEX = '!"#$%&\'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr';

/** CRC-16 of CCITT, bit by bit. */
function crcOf(bytes: Buffer, wrong: number): Buffer {
  let crc = 0;
  // As it is described: the two bytes of the CRC count as zeros.
  for (const byte of [...bytes, 0, 0])
    for (let bit = 7; bit >= 0; bit--) {
      const carry = crc & 0x8000;
      crc = ((crc << 1) & 0xffff) | ((byte >> bit) & 1);
      if (carry !== 0) crc ^= 0x1021;
    }
  const out = Buffer.alloc(2);
  out.writeUInt16BE((crc + wrong) & 0xffff);
  return out;
}

/** Ascii85 without its frame: a last group of n bytes is n + 1 letters. */
export function ascii85Of(bytes: Buffer, whole = false): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    const part = bytes.subarray(at, at + 4);
    const padded = Buffer.alloc(4);
    part.copy(padded);
    let value = padded.readUInt32BE();
    if (value === 0 && (part.length === 4 || whole)) {
      text += 'z';
      continue;
    }
    let group = '';
    for (let i = 0; i < 5; i++) {
      group = String.fromCharCode(0x21 + (value % 85)) + group;
      value = Math.floor(value / 85);
    }
    text += whole ? group : group.slice(0, part.length + 1);
  }
  return text;
}

/** A btoa block; its checksums are not ours to judge. */
export function btoaOf(bytes: Buffer, eol = '\n', size = bytes.length): string {
  const lines = ascii85Of(bytes, true).replace(/.{78}/g, `$&${eol}`);
  return `xbtoa Begin${eol}${lines}${eol}xbtoa End N ${size} ${size.toString(16)} E 0 S 0 R 0${eol}`;
}
