/** What requests of SMB 2 ask, read out of their bodies ([MS-SMB2] 2.2): `at` is the header's first byte, `end` one past the message. */
import { Buffer } from 'node:buffer';
import type { Opening } from './opened-file.js';
import { bytesAt, fileIdAt, HEADER, number64, textAt } from './smb2-message.js';

const BODY = HEADER;

export interface CreateRequest {
  readonly path: string | undefined;
  readonly directory: boolean;
  readonly reads: boolean;
  readonly writes: boolean;
}

const READ_DATA = 0x9000_0001;
const WRITE_DATA = 0x5000_0006;
const DIRECTORY_FILE = 0x1;

/** 2.2.13. A path begins without a backslash; one is put in front. */
export function parseCreate(chunk: Buffer, at: number, end: number): CreateRequest | undefined {
  if (end - at < BODY + 56) return undefined;
  const access = chunk.readUInt32LE(at + BODY + 24);
  const name = textAt(chunk, at, end, chunk.readUInt16LE(at + BODY + 44), chunk.readUInt16LE(at + BODY + 46));
  return {
    path: name === undefined ? undefined : `\\${name.replace(/^\\+/, '')}`,
    directory: (chunk.readUInt32LE(at + BODY + 40) & DIRECTORY_FILE) !== 0,
    reads: (access & READ_DATA) !== 0,
    writes: (access & WRITE_DATA) !== 0,
  };
}

export interface Created {
  readonly id: string;
  readonly size: number;
  readonly directory: boolean;
  readonly fresh: Opening['fresh'];
}

const OPENED = 1;
const DIRECTORY = 0x10;

/** 2.2.14. */
export function parseCreated(chunk: Buffer, at: number, end: number): Created | undefined {
  if (end - at < BODY + 80) return undefined;
  return {
    id: fileIdAt(chunk, at + BODY + 64),
    size: number64(chunk, at + BODY + 48),
    directory: (chunk.readUInt32LE(at + BODY + 56) & DIRECTORY) !== 0,
    fresh: chunk.readUInt32LE(at + BODY + 4) !== OPENED,
  };
}

export type SetInfo =
  | { readonly kind: 'size'; readonly size: number }
  | { readonly kind: 'allocation'; readonly size: number }
  /** Also a hard link: one more name. */
  | { readonly kind: 'rename'; readonly path: string }
  | { readonly kind: 'other' };

const FILE = 1;
const ALLOCATION = 19;
const END_OF_FILE = 20;
/** FileRenameInformation, FileLinkInformation and their newer forms: all have the name in the same place. */
const NAMING: readonly number[] = [10, 11, 65, 72];

/** 2.2.39, [MS-FSCC] 2.4. */
export function parseSetInfo(chunk: Buffer, at: number, end: number): { id: string; info: SetInfo } | undefined {
  if (end - at < BODY + 32) return undefined;
  const id = fileIdAt(chunk, at + BODY + 16);
  const data = bytesAt(chunk, at, end, chunk.readUInt16LE(at + BODY + 8), chunk.readUInt32LE(at + BODY + 4));
  if (chunk[at + BODY + 2] !== FILE || data === undefined) return { id, info: { kind: 'other' } };
  const what = chunk[at + BODY + 3] ?? 0;
  if (what === ALLOCATION && data.length >= 8) return { id, info: { kind: 'allocation', size: number64(data, 0) } };
  if (what === END_OF_FILE && data.length >= 8) return { id, info: { kind: 'size', size: number64(data, 0) } };
  if (NAMING.includes(what) && data.length >= 20) {
    const name = textAt(data, 0, data.length, 20, data.readUInt32LE(16));
    if (name !== undefined) return { id, info: { kind: 'rename', path: `\\${name.replace(/^\\+/, '')}` } };
  }
  return { id, info: { kind: 'other' } };
}

export type Control =
  | { readonly kind: 'zero'; readonly from: number; readonly to: number }
  /** The server puts bytes into this file that do not cross the connection. */
  | { readonly kind: 'copy' }
  /** What the client says that it offered (2.2.31.4). */
  | { readonly kind: 'validate'; readonly said: Buffer | undefined }
  | { readonly kind: 'other' };

const SET_ZERO_DATA = 0x0009_80c8;
const VALIDATE_NEGOTIATE_INFO = 0x0014_0204;
/** FSCTL_SRV_COPYCHUNK, its WRITE form, OFFLOAD_WRITE, DUPLICATE_EXTENTS and its newer form. */
const COPIES: readonly number[] = [0x0014_40f2, 0x0014_80f2, 0x0009_8268, 0x0009_8344, 0x0009_83e8];

/** 2.2.31. */
export function parseControl(chunk: Buffer, at: number, end: number): { id: string; control: Control } | undefined {
  if (end - at < BODY + 56) return undefined;
  const id = fileIdAt(chunk, at + BODY + 8);
  const code = chunk.readUInt32LE(at + BODY + 4);
  if (COPIES.includes(code)) return { id, control: { kind: 'copy' } };
  const input = bytesAt(chunk, at, end, chunk.readUInt32LE(at + BODY + 24), chunk.readUInt32LE(at + BODY + 28));
  if (code === VALIDATE_NEGOTIATE_INFO) return { id, control: { kind: 'validate', said: input } };
  if (code === SET_ZERO_DATA && input !== undefined && input.length >= 16)
    return { id, control: { kind: 'zero', from: number64(input, 0), to: number64(input, 8) } };
  return { id, control: { kind: 'other' } };
}

/** 2.2.32.6: what the server says that it understood and answered. */
export function parseValidated(chunk: Buffer, at: number, end: number): Buffer | undefined {
  if (end - at < BODY + 48) return undefined;
  return bytesAt(chunk, at, end, chunk.readUInt32LE(at + BODY + 32), chunk.readUInt32LE(at + BODY + 36));
}

/** What VALIDATE_NEGOTIATE_INFO says of a NEGOTIATE request, or of its answer: capabilities, GUID, security mode, dialects. */
export function toValidate(chunk: Buffer, at: number, end: number, response: boolean): Buffer | undefined {
  if (end - at < BODY + 36) return undefined;
  const body = chunk.subarray(at + BODY, end);
  if (response) return Buffer.concat([body.subarray(24, 28), body.subarray(8, 24), body.subarray(2, 6)]);
  const dialects = body.subarray(36, 36 + 2 * body.readUInt16LE(2));
  return Buffer.concat([body.subarray(8, 28), body.subarray(4, 6), body.subarray(2, 4), dialects]);
}

/** 2.2.9: `\\server\share`. */
export function parseTreeConnect(chunk: Buffer, at: number, end: number): string | undefined {
  if (end - at < BODY + 8) return undefined;
  return textAt(chunk, at, end, chunk.readUInt16LE(at + BODY + 4), chunk.readUInt16LE(at + BODY + 6));
}

/** The security blob of SESSION_SETUP: of a request (2.2.5), or of a response (2.2.6). */
export function securityBlob(chunk: Buffer, at: number, end: number, response: boolean): Buffer | undefined {
  const field = at + BODY + (response ? 4 : 12);
  if (end < field + 4) return undefined;
  return bytesAt(chunk, at, end, chunk.readUInt16LE(field), chunk.readUInt16LE(field + 2));
}

/** What NEGOTIATE settled (2.2.4). */
export function parseNegotiated(
  chunk: Buffer,
  at: number,
  end: number,
): { dialect: number; cipher: number; signing: number; mustSign: boolean } | undefined {
  if (end - at < BODY + 64) return undefined;
  const dialect = chunk.readUInt16LE(at + BODY + 4);
  let cipher = 1;
  let signing = dialect < 0x0300 ? 0 : 1;
  if (dialect === 0x0311) {
    let from = at + chunk.readUInt32LE(at + BODY + 60);
    for (let count = chunk.readUInt16LE(at + BODY + 6); count > 0 && from + 8 <= end; count--) {
      const length = chunk.readUInt16LE(from + 2);
      const data = from + 8;
      if (data + length > end) break;
      const type = chunk.readUInt16LE(from);
      if (type === 2 && length >= 4) cipher = chunk.readUInt16LE(data + 2);
      else if (type === 8 && length >= 4) signing = chunk.readUInt16LE(data + 2);
      from = data + ((length + 7) & ~7);
    }
  }
  return { dialect, cipher, signing, mustSign: ((chunk[at + BODY + 2] ?? 0) & 2) !== 0 };
}
