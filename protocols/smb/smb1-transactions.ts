/**
 * Transactions of SMB 1 that concern files ([MS-CIFS] 2.2.5 to 2.2.7, 2.2.8.4; [MS-SMB] 2.2.6, 2.2.7): put together from a primary and
 * its secondary messages (3.2.4.1.5, 3.3.5.58), then read as the request that they amount to. TRANSACTION itself speaks to pipes and
 * mailslots only: it tells which FIDs are no files. Searches, attributes, quotas and DFS are left alone.
 */
import { Buffer } from 'node:buffer';
import {
  NT_TRANSACT,
  NT_TRANSACT_SECONDARY,
  TRANSACTION,
  TRANSACTION_SECONDARY,
  TRANSACTION2,
  TRANSACTION2_SECONDARY,
} from './smb1-commands.js';
import { type Block, Message } from './smb1-message.js';
import { isFresh, type Opened } from './smb1-replies.js';
import { accessOf, modeOf, type Request } from './smb1-requests.js';
import { readText } from './smb1-strings.js';

interface Piece {
  readonly count: number;
  /** Where it lies in this message, and in the whole. */
  readonly at: number;
  readonly displacement: number;
}

/** What one message brings of a transaction. */
export interface Part {
  readonly totalParameters: number;
  readonly totalData: number;
  readonly parameters: Piece;
  readonly data: Piece;
  /** The subcommand; 0 in what is no primary request. */
  readonly function: number;
  /** Its setup words: place and number. */
  readonly setup: number;
  readonly setupCount: number;
}

/** Undefined: the block is no part of a transaction (an interim answer, an error). */
export function parsePart(message: Message, block: Block, reply: boolean): Part | undefined {
  const { command, words, wordCount } = block;
  const short = (at: number) => message.u16(words + at);
  const long = (at: number) => message.u32(words + at);
  const nt = command === NT_TRANSACT || command === NT_TRANSACT_SECONDARY;
  if (nt && !reply && command === NT_TRANSACT) {
    if (wordCount < 19) return undefined;
    return {
      totalParameters: long(3),
      totalData: long(7),
      parameters: { count: long(19), at: long(23), displacement: 0 },
      data: { count: long(27), at: long(31), displacement: 0 },
      function: short(36),
      setup: words + 38,
      setupCount: message.u8(words + 35),
    };
  }
  if (nt) {
    if (wordCount < 18) return undefined;
    return {
      totalParameters: long(3),
      totalData: long(7),
      parameters: { count: long(11), at: long(15), displacement: long(19) },
      data: { count: long(23), at: long(27), displacement: long(31) },
      function: 0,
      setup: words + 36,
      setupCount: reply ? message.u8(words + 35) : 0,
    };
  }
  if (reply) {
    if (wordCount < 10) return undefined;
    return {
      totalParameters: short(0),
      totalData: short(2),
      parameters: { count: short(6), at: short(8), displacement: short(10) },
      data: { count: short(12), at: short(14), displacement: short(16) },
      function: 0,
      setup: words + 20,
      setupCount: message.u8(words + 18),
    };
  }
  if (command === TRANSACTION_SECONDARY || command === TRANSACTION2_SECONDARY) {
    if (wordCount < 8) return undefined;
    return {
      totalParameters: short(0),
      totalData: short(2),
      parameters: { count: short(4), at: short(6), displacement: short(8) },
      data: { count: short(10), at: short(12), displacement: short(14) },
      function: 0,
      setup: words,
      setupCount: 0,
    };
  }
  if (wordCount < 14) return undefined;
  return {
    totalParameters: short(0),
    totalData: short(2),
    parameters: { count: short(18), at: short(20), displacement: 0 },
    data: { count: short(22), at: short(24), displacement: 0 },
    function: wordCount > 14 ? short(28) : 0,
    setup: words + 28,
    setupCount: message.u8(words + 26),
  };
}

const TRANS2_OPEN2 = 0x00;
const TRANS2_SET_PATH_INFORMATION = 0x06;
const TRANS2_SET_FILE_INFORMATION = 0x08;
const NT_TRANSACT_CREATE = 0x01;
const NT_TRANSACT_IOCTL = 0x02;
const NT_TRANSACT_RENAME = 0x05;

/** Is it one whose parameters and data matter? */
export function matters(command: number, subcommand: number): boolean {
  if (command === TRANSACTION2)
    return (
      subcommand === TRANS2_OPEN2 ||
      subcommand === TRANS2_SET_PATH_INFORMATION ||
      subcommand === TRANS2_SET_FILE_INFORMATION
    );
  if (command === NT_TRANSACT)
    return subcommand === NT_TRANSACT_CREATE || subcommand === NT_TRANSACT_IOCTL || subcommand === NT_TRANSACT_RENAME;
  return false;
}

const NOTHING = Buffer.alloc(0);

/** A transaction being put together; its bytes are kept. */
export class Transaction {
  readonly command: number;
  readonly function: number;
  /** Setup words of the primary request, kept. */
  readonly setup: Buffer;
  readonly size: number;
  parameters: Buffer;
  data: Buffer;
  #parametersLeft: number;
  #dataLeft: number;

  constructor(command: number, part: Part, setup: Buffer) {
    this.command = command;
    this.function = part.function;
    this.setup = setup;
    this.size = part.totalParameters + part.totalData;
    this.parameters = Buffer.alloc(part.totalParameters);
    this.data = Buffer.alloc(part.totalData);
    this.#parametersLeft = part.totalParameters;
    this.#dataLeft = part.totalData;
  }

  /** Everything that it announced has come. */
  get whole(): boolean {
    return this.#parametersLeft <= 0 && this.#dataLeft <= 0;
  }

  /** It has been read. */
  release(): void {
    this.parameters = NOTHING;
    this.data = NOTHING;
  }

  /** False when it brings what does not fit. */
  add(message: Message, part: Part): boolean {
    const parameters = fill(this.parameters, message, part.parameters);
    const data = fill(this.data, message, part.data);
    this.#parametersLeft -= part.parameters.count;
    this.#dataLeft -= part.data.count;
    return parameters && data;
  }
}

function fill(whole: Buffer, message: Message, { count, at, displacement }: Piece): boolean {
  if (count === 0) return true;
  if (displacement + count > whole.length || at + count > message.length) return false;
  message.copy(at, at + count).copy(whole, displacement);
  return true;
}

const SMB_SET_FILE_DISPOSITION_INFO = 0x0102;
const SMB_SET_FILE_END_OF_FILE_INFO = 0x0104;
const SMB_SET_FILE_UNIX_BASIC = 0x0200;
const SMB_SET_FILE_UNIX_HLINK = 0x0203;
const SMB_POSIX_PATH_OPEN = 0x0209;
/** [MS-SMB] 2.2.2.3.5: classes of [MS-FSCC] 2.4 are passed through above this. */
const PASS_THROUGH = 1000;
/** With their newer forms. */
const FILE_RENAME_INFORMATION = [PASS_THROUGH + 10, PASS_THROUGH + 65] as const;
const FILE_LINK_INFORMATION = [PASS_THROUGH + 11, PASS_THROUGH + 72] as const;
const FILE_DISPOSITION_INFORMATION = PASS_THROUGH + 13;
const FILE_END_OF_FILE_INFORMATION = PASS_THROUGH + 20;
const FSCTL_SET_ZERO_DATA = 0x000980c8;
const FSCTL_SRV_COPYCHUNK = 0x001440f2;
const FILE_DIRECTORY_FILE = 0x01;
const SMB_O_TRUNC = 0x40;
const SMB_O_DIRECTORY = 0x200;

const OTHER: Request = { kind: 'other' };

/** What a whole transaction asks. */
export function parseTransaction(whole: Transaction, unicode: boolean, longest: number): Request {
  const parameters = viewOf(whole.parameters, longest);
  const data = viewOf(whole.data, longest);
  const name = (at: number) => readText(parameters, at, parameters.length, unicode).text;
  if (whole.command === NT_TRANSACT) {
    switch (whole.function) {
      case NT_TRANSACT_CREATE: {
        const from = unicode ? 54 : 53;
        const { text } = readText(parameters, from, from + parameters.u32(44), unicode);
        const directory = (parameters.u32(32) & FILE_DIRECTORY_FILE) !== 0;
        return {
          kind: 'open',
          path: text,
          root: parameters.u32(4),
          directory,
          ...accessOf(parameters.u32(8), parameters.u32(28)),
        };
      }
      case NT_TRANSACT_IOCTL: {
        if (whole.setup.length < 6) return OTHER;
        const fid = whole.setup.readUInt16LE(4);
        const control = whole.setup.readUInt32LE(0);
        if (control === FSCTL_SET_ZERO_DATA) return { kind: 'zero', fid, from: data.u64(0), to: data.u64(8) };
        return control === FSCTL_SRV_COPYCHUNK ? { kind: 'copy', fid } : OTHER;
      }
      case NT_TRANSACT_RENAME:
        return { kind: 'rename-handle', fid: parameters.u16(0), to: name(4), link: false };
      default:
        return OTHER;
    }
  }
  switch (whole.function) {
    case TRANS2_OPEN2:
      return {
        kind: 'open',
        path: name(28),
        root: 0,
        directory: false,
        ...modeOf(parameters.u16(2), parameters.u16(12)),
      };
    case TRANS2_SET_FILE_INFORMATION: {
      const fid = parameters.u16(0);
      switch (parameters.u16(2)) {
        case SMB_SET_FILE_END_OF_FILE_INFO:
        case FILE_END_OF_FILE_INFORMATION:
          return { kind: 'set-size', fid, size: data.u64(0) };
        case SMB_SET_FILE_UNIX_BASIC:
          // All ones: it stays as it is.
          return data.u32(4) === 0xffffffff ? OTHER : { kind: 'set-size', fid, size: data.u64(0) };
        case SMB_SET_FILE_DISPOSITION_INFO:
        case FILE_DISPOSITION_INFORMATION:
          return data.u8(0) === 0 ? OTHER : { kind: 'delete-handle', fid };
        case FILE_RENAME_INFORMATION[0]:
        case FILE_RENAME_INFORMATION[1]:
          return { kind: 'rename-handle', fid, to: renamed(data), link: false };
        case FILE_LINK_INFORMATION[0]:
        case FILE_LINK_INFORMATION[1]:
          return { kind: 'rename-handle', fid, to: renamed(data), link: true };
        default:
          return OTHER;
      }
    }
    case TRANS2_SET_PATH_INFORMATION: {
      const path = name(6);
      switch (parameters.u16(0)) {
        case FILE_RENAME_INFORMATION[0]:
        case FILE_RENAME_INFORMATION[1]:
          return { kind: 'rename', from: path, to: renamed(data), link: false };
        case FILE_LINK_INFORMATION[0]:
        case FILE_LINK_INFORMATION[1]:
          return { kind: 'rename', from: path, to: renamed(data), link: true };
        case SMB_SET_FILE_UNIX_HLINK:
          return { kind: 'rename', from: readText(data, 0, data.length, unicode).text, to: path, link: true };
        case SMB_POSIX_PATH_OPEN:
          return posixOpen(path, data.u32(4));
        default:
          return OTHER;
      }
    }
    default:
      return OTHER;
  }
}

/** Flags of SMB_POSIX_PATH_OPEN: read 1, write 2, both 4; truncate 0x40. */
function posixOpen(path: string, flags: number): Request {
  const directory = (flags & SMB_O_DIRECTORY) !== 0;
  const empties = (flags & SMB_O_TRUNC) !== 0;
  return { kind: 'open', path, root: 0, directory, reads: (flags & 5) !== 0, writes: (flags & 6) !== 0, empties };
}

function viewOf(bytes: Buffer, longest: number): Message {
  return new Message(longest).at(bytes, 0, 0, bytes.length, bytes.length);
}

/** [MS-FSCC] 2.4.42.1: flag 1, reserved 3, root directory 4, length 4, name in UTF-16. */
function renamed(data: Message): string {
  return readText(data, 12, 12 + data.u32(8), true).text;
}

/** What the answer to an opening transaction says; undefined when it opens nothing. */
export function parseOpenedByTransaction(
  message: Message,
  block: Block,
  asked: Pick<Transaction, 'command' | 'function'>,
): Opened | undefined {
  const part = parsePart(message, block, true);
  if (part === undefined) return undefined;
  const { at, count } = part.parameters;
  if (asked.command === NT_TRANSACT && asked.function === NT_TRANSACT_CREATE) {
    if (count < 69) return undefined;
    const file = message.u16(at + 64) === 0 && message.u8(at + 68) === 0;
    return { fid: message.u16(at + 2), size: message.u64(at + 56), fresh: isFresh(message.u32(at + 4)), file };
  }
  if (asked.command !== TRANSACTION2) return undefined;
  if (asked.function === TRANS2_OPEN2)
    return count < 20
      ? undefined
      : {
          fid: message.u16(at),
          size: message.u32(at + 8),
          fresh: isFresh(message.u16(at + 18)),
          file: message.u16(at + 14) === 0,
        };
  // POSIX open: oplock 2, FID 2, action 4, level 2, padding 2, then the basic information, the size first.
  const { at: data, count: length } = part.data;
  if (asked.function !== TRANS2_SET_PATH_INFORMATION || length < 4) return undefined;
  const size = length >= 20 ? message.u64(data + 12) : undefined;
  return { fid: message.u16(data + 2), size, fresh: isFresh(message.u32(data + 4)), file: true };
}

/** The FID of a transaction on a named pipe ([MS-CIFS] 2.2.5): with the open ones it is the second setup word. */
export function pipeOf(message: Message, block: Block, part: Part): number | undefined {
  if (block.command !== TRANSACTION || part.setupCount < 2 || !PIPE_FUNCTIONS.has(part.function)) return undefined;
  return message.u16(part.setup + 2);
}

/** Those with a FID: not CALL_NMPIPE and WAIT_NMPIPE, which have a priority in its place, and no mailslot. */
const PIPE_FUNCTIONS: ReadonlySet<number> = new Set([0x01, 0x11, 0x21, 0x22, 0x23, 0x26, 0x31, 0x36]);
