/**
 * A message of SMB 1 as far as it has come: its header ([MS-CIFS] 2.2.3.1), and its blocks of words and bytes (2.2.3.2, 2.2.3.3) along the
 * AndX chain (2.2.3.4). Places are counted from the header's first byte, as the protocol counts them.
 *
 * A read past what is there gives 0 and is remembered in `short`: parsers read on and ask once.
 */
import { Buffer } from 'node:buffer';
import { isAndX, NO_ANDX } from './smb1-commands.js';

export const HEADER = 32;

const REPLY = 0x80;
const FLAGS2_SIGNED = 0x0004;
const FLAGS2_NT_STATUS = 0x4000;
const FLAGS2_UNICODE = 0x8000;

export class Message {
  bytes: Buffer = Buffer.alloc(0);
  /** Index in `bytes` of the header's first byte; negative when that has gone. */
  origin = 0;
  /** From where to where the message is there, and how long it is. */
  from = 0;
  have = 0;
  length = 0;
  short = false;
  /** A string was longer than may be. */
  cut = false;
  /** The longest string that is read, in bytes. */
  readonly longest: number;

  constructor(longest: number) {
    this.longest = longest;
  }

  /** Of a message of `length` whose first byte lies, or lay, at `origin`, the bytes [from, have) are there. */
  at(bytes: Buffer, origin: number, from: number, have: number, length: number): this {
    this.bytes = bytes;
    this.origin = origin;
    this.from = from;
    this.have = have;
    this.length = length;
    this.short = false;
    return this;
  }

  u8(at: number): number {
    if (!this.#has(at, 1)) return 0;
    return this.bytes[this.origin + at] ?? 0;
  }
  u16(at: number): number {
    if (!this.#has(at, 2)) return 0;
    return this.bytes.readUInt16LE(this.origin + at);
  }
  u32(at: number): number {
    if (!this.#has(at, 4)) return 0;
    return this.bytes.readUInt32LE(this.origin + at);
  }
  /** Inexact past 2^53, where nothing lies. */
  u64(at: number): number {
    return this.u32(at) + this.u32(at + 4) * 2 ** 32;
  }

  #has(at: number, length: number): boolean {
    if (at >= this.from && at + length <= this.have) return true;
    this.short = true;
    return false;
  }

  /** A copy of [start, end). */
  copy(start: number, end: number): Buffer {
    if (end <= start || !this.#has(start, end - start)) return Buffer.alloc(0);
    return Buffer.from(this.bytes.subarray(this.origin + start, this.origin + end));
  }
}

/** The fields of a header that matter here. */
export interface Header {
  readonly command: number;
  readonly reply: boolean;
  /** An error: NT status or DOS class and code. Warnings (more processing, buffer overflow) bring answers and are none. */
  readonly failed: boolean;
  readonly status: number;
  readonly unicode: boolean;
  readonly signed: boolean;
  readonly tid: number;
  readonly uid: number;
  readonly mid: number;
  /** What pairs an answer with its request: MID and the low half of PID. */
  readonly exchange: number;
}

export const MORE_PROCESSING_REQUIRED = 0xc0000016;

export function readHeader(message: Message): Header {
  const flags2 = message.u16(10);
  const status = message.u32(5);
  const ntStatus = (flags2 & FLAGS2_NT_STATUS) !== 0;
  // DOS: class 1, a reserved byte, code 2. ERRDOS ERRmoredata (234) is a warning.
  const dosError = (status & 0xff) !== 0 && !((status & 0xff) === 1 && status >>> 16 === 234);
  const ntError = status >>> 30 === 3 && status !== MORE_PROCESSING_REQUIRED;
  const mid = message.u16(30);
  return {
    command: message.u8(4),
    reply: (message.u8(9) & REPLY) !== 0,
    failed: ntStatus ? ntError : dosError,
    status,
    unicode: (flags2 & FLAGS2_UNICODE) !== 0,
    signed: (flags2 & FLAGS2_SIGNED) !== 0,
    tid: message.u16(24),
    uid: message.u16(28),
    mid,
    exchange: mid + message.u16(26) * 0x10000,
  };
}

/** One command of a message. */
export interface Block {
  readonly command: number;
  readonly wordCount: number;
  /** Where its first word and its first byte lie, and where its bytes end as they claim. */
  readonly words: number;
  readonly data: number;
  readonly end: number;
  /** The command of the next block and where it begins; NO_ANDX without one. */
  readonly next: number;
  readonly nextAt: number;
}

/** `more`: it is not all here yet. `cut`: the message ends inside it. */
export type BlockError = 'more' | 'cut';

/** The block at `at`. Its words and its byte count are there; its bytes need not be. */
export function readBlock(message: Message, command: number, at: number): Block | BlockError {
  if (at + 3 > message.length) return 'cut';
  if (at + 1 > message.have) return 'more';
  const wordCount = message.u8(at);
  const words = at + 1;
  const data = words + 2 * wordCount + 2;
  if (data > message.length) return 'cut';
  if (data > message.have) return 'more';
  const chained = isAndX(command) && wordCount >= 2;
  return {
    command,
    wordCount,
    words,
    data,
    end: data + message.u16(data - 2),
    next: chained ? message.u8(words) : NO_ANDX,
    nextAt: chained ? message.u16(words + 2) : 0,
  };
}
