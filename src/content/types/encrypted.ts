/** Whether the headers of a PDF, a 7-Zip or a RAR file say that a password is needed. What is only said inside packed headers is not seen. */
import type { Content } from '../../core/file.js';

const PIECE = 64 * 1024;
/** AES-256 with SHA-256, as 7-Zip names its methods. */
const AES_7Z = Buffer.from([0x24, 0x06, 0xf1, 0x07, 0x01]);
/** Headers that are walked. */
const BLOCKS = 1_000;

/** Trailers stand at the end, those of a linearized file at the start too; between them only in updates. */
export function isEncryptedPdf(content: Content): boolean {
  const starts = content.length <= 2 * PIECE ? [0] : [0, content.length - PIECE];
  return starts.some((start) => {
    const text = content.read(start, content.length <= 2 * PIECE ? content.length : PIECE).toString('latin1');
    return /\/Encrypt\s{0,8}(\d{1,10}\s{1,8}\d{1,5}\s{1,8}R|<<)/.test(text);
  });
}

export function isEncrypted7z(content: Content, head: Buffer): boolean {
  if (head.length < 32) return false;
  const offset = head.readBigUInt64LE(12);
  const size = head.readBigUInt64LE(20);
  if (offset + size + 32n > BigInt(content.length) || size > BigInt(PIECE)) return false;
  return content.read(32 + Number(offset), Number(size)).includes(AES_7Z);
}

export function isEncryptedRar(content: Content, head: Buffer): boolean {
  return head[6] === 0x01 ? isEncryptedRar5(content) : head[6] === 0x00 && isEncryptedRar4(content);
}

function isEncryptedRar4(content: Content): boolean {
  let at = 7;
  for (let block = 0; block < BLOCKS; block++) {
    const bytes = content.read(at, 11);
    if (bytes.length < 7) return false;
    const type = bytes[2];
    const flags = bytes.readUInt16LE(3);
    const size = bytes.readUInt16LE(5);
    if (size < 7 || type === 0x7b) return false;
    if ((type === 0x73 && (flags & 0x0080) !== 0) || (type === 0x74 && (flags & 0x0004) !== 0)) return true;
    at += size + ((flags & 0x8000) !== 0 && bytes.length === 11 ? bytes.readUInt32LE(7) : 0);
  }
  return false;
}

function isEncryptedRar5(content: Content): boolean {
  let at = 8;
  for (let block = 0; block < BLOCKS; block++) {
    const bytes = content.read(at + 4, 4096);
    const reader = new Vints(bytes);
    const size = reader.next();
    const start = reader.at;
    const type = reader.next();
    const flags = reader.next();
    const extra = (flags & 1) !== 0 ? reader.next() : 0;
    const data = (flags & 2) !== 0 ? reader.next() : 0;
    if (Number.isNaN(size + type + flags + extra + data) || type === 5) return false;
    if (type === 4) return true;
    // The extra area is the header's end: records of size, type, data; type 1 of a file is encryption.
    if ((type === 2 || type === 3) && extra > 0 && start + size <= bytes.length) {
      const records = new Vints(bytes, start + size - extra);
      while (records.at < start + size) {
        const length = records.next();
        const from = records.at;
        if (records.next() === 1) return true;
        if (Number.isNaN(length) || length === 0) break;
        records.at = from + length;
      }
    }
    at += 4 + start + size + data;
  }
  return false;
}

/** RAR 5 numbers: seven bits a byte, the lowest first. */
class Vints {
  readonly #bytes: Buffer;
  at: number;
  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }
  /** NaN when there is none. */
  next(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 50; scale *= 128) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  }
}
