/**
 * Commands of SMB 2 as the proxy takes them out of messages, and those that it makes itself: requests to the server and answers to the client
 * ([MS-SMB2] 2.2). Each is one command without a compound around it; credits and message ids are put in when it goes (`window.ts`).
 */
import { Buffer } from 'node:buffer';
import { COMMAND, HEADER, type Header, readHeader } from '../smb2-message.js';

/** One command as it came. */
export interface Command {
  /** From its header on, to its end. */
  readonly bytes: Buffer;
  readonly header: Header;
  readonly sealed: boolean;
  /** As it lay on the wire, with its length in front, when it came alone: what can go on untouched. */
  readonly wire: Buffer | undefined;
}

/** What goes behind the header of a command, put into `into` from `at` when the command is made. */
export interface Payload {
  readonly length: number;
  copyTo(into: Buffer, at: number): void;
}

/** Answers that the proxy gives in the server's place ([MS-ERREF] 2.3). */
export const REFUSAL = {
  accessDenied: 0xc000_0022,
  notSupported: 0xc000_00bb,
  invalidDeviceRequest: 0xc000_0010,
  invalidParameter: 0xc000_000d,
  objectNameNotFound: 0xc000_0034,
  fileClosed: 0xc000_0128,
  insufficientResources: 0xc000_009a,
  internalError: 0xc000_00e5,
  sessionDeleted: 0xc000_0203,
  virusInfected: 0xc000_0906,
} as const;

/** What lies in front of a message. */
const LENGTH = 4;
/** Bytes of a command that are worth memory of their own. */
const LARGE = 4096;
const MARK = 0xfe53_4d42;
const RESPONSE = 0x1;
const RELATED = 0x4;
export const SIGNED = 0x8;
const OF = { charge: 6, status: 8, command: 12, credits: 14, flags: 16, next: 20, id: 24, session: 40, signature: 48 };

/** The commands of a message; undefined when they do not lie in it as they should. `message` is the proxy's to keep. */
export function commandsIn(message: Buffer, sealed: boolean, wire: Buffer | undefined): Command[] | undefined {
  const commands: Command[] = [];
  for (let at = 0; ; ) {
    if (message.length - at < HEADER + 2 || message.readUInt32BE(at) !== MARK) return undefined;
    const header = readHeader(message, at);
    if (header.next === 0) {
      commands.push({ bytes: message.subarray(at), header, sealed, wire: at === 0 ? wire : undefined });
      return commands;
    }
    if (header.next < HEADER + 2 || (header.next & 7) !== 0 || at + header.next > message.length) return undefined;
    commands.push({ bytes: message.subarray(at, at + header.next), header, sealed, wire: undefined });
    at += header.next;
  }
}

/** A copy of a command for the other end: alone, under another id, with other bytes where `body` is given. */
export function readdressed({ bytes }: Command, id: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(0, OF.next);
  copy.writeUInt32LE((copy.readUInt32LE(OF.flags) & ~RELATED) >>> 0, OF.flags);
  setId(copy, id);
  return copy;
}

export function setId(bytes: Buffer, id: number): void {
  bytes.writeUInt32LE(id % 2 ** 32, OF.id);
  bytes.writeUInt32LE(Math.floor(id / 2 ** 32), OF.id + 4);
}

/** How many ids a request takes. */
export function chargeOf(bytes: Buffer): number {
  return Math.max(1, bytes.readUInt16LE(OF.charge));
}

export function creditsOf(bytes: Buffer): number {
  return bytes.readUInt16LE(OF.credits);
}

export function setStatus(bytes: Buffer, status: number): void {
  bytes.writeUInt32LE(status, OF.status);
}

/** A request of the proxy's own in the session and tree of `like`; it asks for `credits` more than it takes. */
export function ownRequest(
  like: Buffer,
  command: number,
  body: Buffer | Payload,
  charge: number,
  credits: number,
): Buffer {
  const bytes = withBody(body);
  like.copy(bytes, 0, 0, 6);
  bytes.writeUInt16LE(charge, OF.charge);
  bytes.writeUInt16LE(command, OF.command);
  bytes.writeUInt16LE(Math.min(0xffff, Math.max(1, charge) + credits), OF.credits);
  like.copy(bytes, OF.session - 4, OF.session - 4, OF.signature);
  return bytes;
}

/** An answer of the proxy's own to a request; it gives back the credits that this took. */
export function ownAnswer(request: Command, status: number, body: Buffer | Payload): Buffer {
  const bytes = withBody(body);
  request.bytes.copy(bytes, 0, 0, HEADER);
  bytes.fill(0, OF.signature, HEADER);
  bytes.writeUInt32LE(status, OF.status);
  bytes.writeUInt16LE(chargeOf(request.bytes), OF.credits);
  bytes.writeUInt32LE(RESPONSE | (request.bytes.readUInt32LE(OF.flags) & SIGNED), OF.flags);
  bytes.writeUInt32LE(0, OF.next);
  return bytes;
}

export function errorBody(): Buffer {
  const body = Buffer.alloc(9);
  body.writeUInt16LE(9, 0);
  return body;
}

/** 2.2.20. */
export function readAnswerBody(data: Payload): Payload {
  const body = Buffer.alloc(16);
  body.writeUInt16LE(17, 0);
  body[2] = HEADER + 16;
  body.writeUInt32LE(data.length, 4);
  return behind(body, data);
}

/** 2.2.22. */
export function writeAnswerBody(count: number): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt16LE(17, 0);
  body.writeUInt32LE(count, 4);
  return body;
}

/** 2.2.40. */
export function setInfoAnswerBody(): Buffer {
  const body = Buffer.alloc(2);
  body.writeUInt16LE(2, 0);
  return body;
}

/** 2.2.19. */
export function readBody(file: Buffer, at: number, length: number): Buffer {
  const body = Buffer.alloc(49);
  body.writeUInt16LE(49, 0);
  body[2] = HEADER + 16;
  body.writeUInt32LE(length, 4);
  place(body, 8, at);
  file.copy(body, 16);
  return body;
}

/** 2.2.21. */
export function writeBody(file: Buffer, at: number, data: Payload): Payload {
  const body = Buffer.alloc(48);
  body.writeUInt16LE(49, 0);
  body.writeUInt16LE(HEADER + 48, 2);
  body.writeUInt32LE(data.length, 4);
  place(body, 8, at);
  file.copy(body, 16);
  return behind(body, data);
}

/** 2.2.39: FileEndOfFileInformation. */
export function setSizeBody(file: Buffer, size: number): Buffer {
  const body = Buffer.alloc(40);
  body.writeUInt16LE(33, 0);
  body[2] = 1;
  body[3] = 20;
  body.writeUInt32LE(8, 4);
  body.writeUInt16LE(HEADER + 32, 8);
  file.copy(body, 16);
  place(body, 32, size);
  return body;
}

/** 2.2.15. */
export function closeBody(file: Buffer): Buffer {
  const body = Buffer.alloc(24);
  body.writeUInt16LE(24, 0);
  file.copy(body, 8);
  return body;
}

const SHARE_ALL = 7;
const OPEN = 1;
const NO_DIRECTORY = 0x40;
const DELETE_ON_CLOSE = 0x1000;
const ACCESS = { read: 0x81, delete: 0x1_0080 };

/** 2.2.13: opens a file that there is, to read it or to have it gone when it is closed. */
export function openBody(path: string, to: 'read' | 'delete'): Buffer {
  const name = Buffer.from(path.replace(/^\\+/, ''), 'utf16le');
  const body = Buffer.alloc(56 + Math.max(1, name.length));
  body.writeUInt16LE(57, 0);
  body.writeUInt32LE(2, 4);
  body.writeUInt32LE(ACCESS[to], 24);
  body.writeUInt32LE(SHARE_ALL, 32);
  body.writeUInt32LE(OPEN, 36);
  body.writeUInt32LE(to === 'delete' ? NO_DIRECTORY | DELETE_ON_CLOSE : NO_DIRECTORY, 40);
  body.writeUInt16LE(HEADER + 56, 44);
  body.writeUInt16LE(name.length, 46);
  name.copy(body, 56);
  return body;
}

/** 2.2.28; it asks for `credits`. */
export function echo(charge: number, credits = charge): Buffer {
  const bytes = Buffer.alloc(HEADER + 4);
  bytes.writeUInt32BE(MARK, 0);
  bytes.writeUInt16LE(HEADER, 4);
  bytes.writeUInt16LE(charge, OF.charge);
  bytes.writeUInt16LE(COMMAND.echo, OF.command);
  bytes.writeUInt16LE(Math.max(1, credits), OF.credits);
  bytes.writeUInt16LE(4, HEADER);
  return bytes;
}

function behind(fixed: Buffer, data: Payload): Payload {
  return {
    length: fixed.length + data.length,
    copyTo(into, at) {
      fixed.copy(into, at);
      data.copyTo(into, at + fixed.length);
    },
  };
}

/** A command of an empty header and `body`; a large one has room for its length in front (`framed`), so that its data is copied once. */
function withBody(body: Buffer | Payload): Buffer {
  const length = HEADER + body.length;
  const bytes = length < LARGE ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(LENGTH + length).subarray(LENGTH);
  bytes.fill(0, 0, HEADER);
  if (Buffer.isBuffer(body)) body.copy(bytes, HEADER);
  else body.copyTo(bytes, HEADER);
  return bytes;
}

/** With its length in front ([MS-SMB2] 2.1, direct TCP). `bytes` are the proxy's own. */
export function framed(bytes: Buffer): Buffer {
  const roomy = bytes.byteOffset === LENGTH && bytes.buffer.byteLength === LENGTH + bytes.length;
  const out = roomy ? Buffer.from(bytes.buffer) : Buffer.allocUnsafe(LENGTH + bytes.length);
  out.writeUInt32BE(bytes.length, 0);
  if (!roomy) bytes.copy(out, LENGTH);
  return out;
}

function place(body: Buffer, at: number, value: number): void {
  body.writeUInt32LE(value % 2 ** 32, at);
  body.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}
