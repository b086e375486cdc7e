/** Archives for tests, byte by byte, with every field open to lies. */
import { Buffer } from 'node:buffer';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { crc32 } from '../content/archive/crc32.js';

/** The test file that every scanner knows, put together at run time so that no file of ours is flagged. */
export const EICAR = Buffer.from(
  ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS', '-TEST-FILE!$H+H*'].join(''),
);

/** One of the two records of a member: what is not given is what is true. */
export interface ZipFields {
  readonly name?: string | Buffer;
  readonly method?: number;
  readonly flags?: number;
  readonly crc?: number;
  readonly packed?: number;
  readonly size?: number;
  readonly extra?: Buffer;
}
export interface ZipMember extends ZipFields {
  readonly data?: Buffer | string;
  /** The bytes in the file; packed by `method` where not given. */
  readonly raw?: Buffer;
  readonly local?: ZipFields;
  readonly entry?: ZipFields & { readonly offset?: number };
  /** Put behind the data. */
  readonly descriptor?: Buffer;
  /** No entry in the directory. */
  readonly hidden?: boolean;
  /** No local header and no data. */
  readonly missing?: boolean;
}
export interface ZipOptions {
  readonly before?: Buffer;
  readonly comment?: Buffer;
  readonly count?: number;
  readonly directoryOffset?: number;
  readonly directorySize?: number;
  readonly disk?: number;
  readonly noEnd?: boolean;
  /** Between the last member and the directory. */
  readonly gap?: Buffer;
}

export function zipOf(members: readonly ZipMember[], options: ZipOptions = {}): Buffer {
  const before = options.before ?? Buffer.alloc(0);
  const parts: Buffer[] = [];
  const entries: Buffer[] = [];
  let at = 0;
  for (const member of members) {
    const data = Buffer.from(member.data ?? '');
    const method = member.method ?? 8;
    const raw = member.raw ?? (method === 8 ? deflateRawSync(data) : data);
    const truth = {
      name: 'file',
      method,
      flags: 0,
      crc: crc32(data, 0, data.length),
      packed: raw.length,
      size: data.length,
      extra: Buffer.alloc(0),
    };
    const local = { ...truth, ...fields(member), ...member.local };
    const entry = { ...truth, ...fields(member), ...member.entry };
    if (member.hidden !== true) entries.push(entryOf(entry, member.entry?.offset ?? at));
    if (member.missing === true) continue;
    const bytes = Buffer.concat([localOf(local), raw, member.descriptor ?? Buffer.alloc(0)]);
    parts.push(bytes);
    at += bytes.length;
  }
  const gap = options.gap ?? Buffer.alloc(0);
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(options.disk ?? 0, 4);
  end.writeUInt16LE(options.count ?? entries.length, 8);
  end.writeUInt16LE(options.count ?? entries.length, 10);
  end.writeUInt32LE(options.directorySize ?? directory.length, 12);
  end.writeUInt32LE(options.directoryOffset ?? at + gap.length, 16);
  const comment = options.comment ?? Buffer.alloc(0);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([before, ...parts, gap, ...(options.noEnd === true ? [] : [directory, end, comment])]);
}

function fields(member: ZipMember): ZipFields {
  const { name, method, flags, crc, packed, size, extra } = member;
  return Object.fromEntries(
    Object.entries({ name, method, flags, crc, packed, size, extra }).filter(([, value]) => value !== undefined),
  );
}

function localOf(fields: Required<ZipFields>): Buffer {
  const name = Buffer.from(fields.name);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(20, 4);
  writeShared(head, 6, fields);
  head.writeUInt16LE(name.length, 26);
  head.writeUInt16LE(fields.extra.length, 28);
  return Buffer.concat([head, name, fields.extra]);
}

function entryOf(fields: Required<ZipFields>, offset: number): Buffer {
  const name = Buffer.from(fields.name);
  const head = Buffer.alloc(46);
  head.writeUInt32LE(0x02014b50, 0);
  head.writeUInt16LE(20, 4);
  head.writeUInt16LE(20, 6);
  writeShared(head, 8, fields);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt16LE(fields.extra.length, 30);
  head.writeUInt32LE(offset, 42);
  return Buffer.concat([head, name, fields.extra]);
}

function writeShared(head: Buffer, at: number, fields: Required<ZipFields>): void {
  head.writeUInt16LE(fields.flags, at);
  head.writeUInt16LE(fields.method, at + 2);
  head.writeUInt32LE(fields.crc, at + 8);
  head.writeUInt32LE(fields.packed, at + 12);
  head.writeUInt32LE(fields.size, at + 16);
}

/** An extra field. */
export function extraOf(id: number, data: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(data.length, 2);
  return Buffer.concat([head, data]);
}

export interface TarMember {
  readonly name?: string;
  readonly type?: string;
  readonly data?: Buffer | string;
  /** What the size field says; a Buffer is put there as it is. */
  readonly size?: number | Buffer;
  readonly badChecksum?: boolean;
  readonly v7?: boolean;
  readonly gnu?: boolean;
  readonly prefix?: string;
}

/** Headers and data, without the end. */
export function tarMembers(...members: readonly TarMember[]): Buffer {
  return Buffer.concat(
    members.flatMap((member) => {
      const data = Buffer.from(member.data ?? '');
      const head = Buffer.alloc(512);
      head.write(member.name ?? 'file', 0, 100);
      head.write('0000644\0', 100);
      head.write('0000000\0', 108);
      head.write('0000000\0', 116);
      const size = member.size ?? data.length;
      if (typeof size === 'number') head.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
      else size.copy(head, 124);
      head.write('00000000000\0', 136);
      head.write(member.type ?? '0', 156);
      if (member.v7 !== true) head.write(member.gnu === true ? 'ustar  \0' : 'ustar\x0000', 257);
      head.write(member.prefix ?? '', 345);
      head.fill(' ', 148, 156);
      let sum = member.badChecksum === true ? 1 : 0;
      for (const byte of head) sum += byte;
      head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      return [head, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
    }),
  );
}

export const TAR_END = Buffer.alloc(1024);

export function tarOf(...members: readonly TarMember[]): Buffer {
  return Buffer.concat([tarMembers(...members), TAR_END]);
}

/** One pax record, its length counting itself. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + 1;
  while (`${length}`.length + bytes !== length) length++;
  return `${length}${rest}`;
}

/** A gzip member of our own making. */
export function gzipOf(
  data: Buffer | string,
  options: { readonly name?: string; readonly flags?: number; readonly optional?: Buffer } = {},
): Buffer {
  const whole = gzipSync(Buffer.from(data));
  const header = Buffer.from(whole.subarray(0, 10));
  const optional = Buffer.concat([
    options.optional ?? Buffer.alloc(0),
    options.name === undefined ? Buffer.alloc(0) : Buffer.from(`${options.name}\0`),
  ]);
  header[3] = (options.flags ?? 0) | (options.name === undefined ? 0 : 0x08);
  return Buffer.concat([header, optional, whole.subarray(10)]);
}

/** A deflate stream of `times` 16 MiB of zeros, without making them. */
export function zerosDeflated(times: number): Buffer {
  const piece = deflateRawSync(Buffer.alloc(16 * 1024 * 1024), { finishFlush: 3 });
  return Buffer.concat([...Array.from({ length: times }, () => piece), Buffer.from([0x03, 0x00])]);
}
