/**
 * SMB2 messages as they lie in bytes ([MS-SMB2] 2.2): where the fields of headers and of the commands that matter are. Fields are read where they
 * are wanted; a file id is a text of its 16 bytes. 64-bit numbers that count bytes are read as doubles, exact up to 2^53, and beyond that nobody
 * means a place in a file.
 */
import type { Buffer } from 'node:buffer';

export const HEADER = 64;
export const COMMAND = {
  negotiate: 0x00,
  sessionSetup: 0x01,
  logoff: 0x02,
  treeConnect: 0x03,
  treeDisconnect: 0x04,
  create: 0x05,
  close: 0x06,
  flush: 0x07,
  read: 0x08,
  write: 0x09,
  lock: 0x0a,
  ioctl: 0x0b,
  cancel: 0x0c,
  echo: 0x0d,
  queryDirectory: 0x0e,
  changeNotify: 0x0f,
  queryInfo: 0x10,
  setInfo: 0x11,
  oplockBreak: 0x12,
} as const;

export const STATUS = {
  success: 0,
  pending: 0x0000_0103,
  bufferOverflow: 0x8000_0005,
  endOfFile: 0xc000_0011,
  moreProcessing: 0xc000_0016,
} as const;

const RESPONSE = 0x1;
const ASYNC = 0x2;
const RELATED = 0x4;
const SIGNED = 0x8;

export interface Header {
  readonly status: number;
  readonly command: number;
  readonly response: boolean;
  readonly async: boolean;
  readonly related: boolean;
  readonly signed: boolean;
  /** Bytes to the next command of the compound; 0: it is the last. */
  readonly next: number;
  readonly messageId: number;
  readonly treeId: number;
  readonly sessionHigh: number;
  readonly sessionLow: number;
}

/** The header at `at`; all of it must be there. */
export function readHeader(chunk: Buffer, at: number): Header {
  const flags = chunk.readUInt32LE(at + 16);
  return {
    status: chunk.readUInt32LE(at + 8),
    command: chunk.readUInt16LE(at + 12),
    response: (flags & RESPONSE) !== 0,
    async: (flags & ASYNC) !== 0,
    related: (flags & RELATED) !== 0,
    signed: (flags & SIGNED) !== 0,
    next: chunk.readUInt32LE(at + 20),
    messageId: number64(chunk, at + 24),
    treeId: chunk.readUInt32LE(at + 36),
    sessionLow: chunk.readUInt32LE(at + 40),
    sessionHigh: chunk.readUInt32LE(at + 44),
  };
}

/** A 64-bit number; past 2^53 it is not exact, and no place that anything has. */
export function number64(chunk: Buffer, at: number): number {
  return chunk.readUInt32LE(at) + chunk.readUInt32LE(at + 4) * 2 ** 32;
}

/** A file id: persistent and volatile part. */
export function fileIdAt(chunk: Buffer, at: number): string {
  return chunk.toString('latin1', at, at + 16);
}

/** What stands for the file id of the command before, in a related compound. */
export const SAME_FILE = '\xff'.repeat(16);

/** Text of `length` bytes from `offset` on of the message at `at`; undefined when it lies outside of [at, end). */
export function textAt(chunk: Buffer, at: number, end: number, offset: number, length: number): string | undefined {
  const start = at + offset;
  if (length === 0) return '';
  if (start < at || start + length > end) return undefined;
  return chunk.toString('utf16le', start, start + (length & ~1));
}

/** Bytes likewise. */
export function bytesAt(chunk: Buffer, at: number, end: number, offset: number, length: number): Buffer | undefined {
  const start = at + offset;
  return start < at || start + length > end ? undefined : chunk.subarray(start, start + length);
}
