/** Writes RAR and LHA archives with members that are stored, for tests: no program here packs them. After unRAR's and LHA's published headers. */
import { Buffer } from 'node:buffer';
import { crc32 } from '../content/archive/crc32.js';

export interface StoredMember {
  readonly name: string;
  readonly data: Buffer;
}

/** RAR 1.5 to 4: blocks with a checksum of 16 bits of the CRC-32. */
export function rar4Of(members: readonly StoredMember[], volume = false): Buffer {
  const block = (type: number, flags: number, rest: Buffer, data: Buffer = NOTHING): Buffer => {
    const head = Buffer.alloc(7);
    head[2] = type;
    head.writeUInt16LE(flags, 3);
    head.writeUInt16LE(7 + rest.length, 5);
    const whole = Buffer.concat([head, rest]);
    whole.writeUInt16LE(crc32(whole, 2, whole.length) & 0xffff, 0);
    return Buffer.concat([whole, data]);
  };
  const files = members.map(({ name, data }) => {
    const rest = Buffer.alloc(25);
    rest.writeUInt32LE(data.length, 0);
    rest.writeUInt32LE(data.length, 4);
    rest[8] = 3;
    rest.writeUInt32LE(crc32(data, 0, data.length), 9);
    rest.writeUInt32LE(0x5a21_0000, 13);
    rest[17] = 20;
    // Stored.
    rest[18] = 0x30;
    rest.writeUInt16LE(name.length, 19);
    rest.writeUInt32LE(0x20, 21);
    return block(0x74, 0x8000 | (volume ? 2 : 0), Buffer.concat([rest, Buffer.from(name, 'latin1')]), data);
  });
  const main = block(0x73, volume ? 1 : 0, Buffer.alloc(6));
  const end = block(0x7b, 0x4000 | (volume ? 1 : 0), NOTHING);
  return Buffer.concat([Buffer.from('526172211a0700', 'hex'), main, ...files, end]);
}

/** RAR 5: numbers of seven bits a byte, a whole CRC-32. */
export function rar5Of(members: readonly StoredMember[]): Buffer {
  const block = (...fields: (number | Buffer)[]): Buffer => {
    const body = Buffer.concat(fields.map((field) => (typeof field === 'number' ? variable(field) : field)));
    const sized = Buffer.concat([variable(body.length), body]);
    const check = Buffer.alloc(4);
    check.writeUInt32LE(crc32(sized, 0, sized.length));
    return Buffer.concat([check, sized]);
  };
  const files = members.map(({ name, data }) => {
    const check = Buffer.alloc(4);
    check.writeUInt32LE(crc32(data, 0, data.length));
    // Type, flags (data follows), its length; file flags (checksum), size, attributes, checksum, no compression, Unix, name.
    return Buffer.concat([
      block(2, 2, data.length, 4, data.length, 0o100644, check, 0, 1, name.length, Buffer.from(name, 'utf8')),
      data,
    ]);
  });
  return Buffer.concat([Buffer.from('526172211a070100', 'hex'), block(1, 0, 0), ...files, block(5, 0, 0)]);
}

/** LHA, level 0, `-lh0-`. */
export function lzhOf(members: readonly StoredMember[]): Buffer {
  const all = members.map(({ name, data }) => {
    const head = Buffer.alloc(22 + name.length + 2);
    head[0] = head.length - 2;
    head.write('-lh0-', 2, 'latin1');
    head.writeUInt32LE(data.length, 7);
    head.writeUInt32LE(data.length, 11);
    head.writeUInt32LE(0x5a21_0000, 15);
    head[19] = 0x20;
    head[21] = name.length;
    head.write(name, 22, 'latin1');
    head.writeUInt16LE(crc16(data), 22 + name.length);
    head[1] = head.subarray(2).reduce((sum, byte) => sum + byte, 0) & 0xff;
    return Buffer.concat([head, data]);
  });
  return Buffer.concat([...all, Buffer.of(0)]);
}

const NOTHING = Buffer.alloc(0);

function variable(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    const more = left >= 128;
    bytes.push((left & 127) | (more ? 128 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.from(bytes);
}

function crc16(data: Buffer): number {
  let crc = 0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}
