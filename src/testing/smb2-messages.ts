/** SMB 2 messages as a client and a server write them ([MS-SMB2] 2.2), with their length in front: enough of them to move files. */
import { Buffer } from 'node:buffer';

const HEADER = 64;
const SESSION = 0x1122_3344;
const TREE = 5;

/** Fields of a header that are to be others than those of an ordinary session. */
export interface Smb2Header {
  readonly status?: number;
  readonly tree?: number;
  /** 0: there is none yet. */
  readonly session?: number;
  /** The flag alone. */
  readonly signed?: boolean;
}

export function message(command: number, id: number, response: boolean, body: Buffer, header: Smb2Header = {}): Buffer {
  const bytes = Buffer.alloc(4 + HEADER + body.length);
  bytes.writeUIntBE(HEADER + body.length, 1, 3);
  bytes.writeUInt32BE(0xfe53_4d42, 4);
  bytes.writeUInt16LE(HEADER, 8);
  bytes.writeUInt32LE(header.status ?? 0, 12);
  bytes.writeUInt16LE(command, 16);
  bytes.writeUInt32LE((response ? 1 : 0) + (header.signed === true ? 8 : 0), 20);
  bytes.writeUInt32LE(id, 28);
  bytes.writeUInt32LE(header.tree ?? TREE, 40);
  bytes.writeUInt32LE(header.session ?? SESSION, 44);
  body.copy(bytes, 4 + HEADER);
  return bytes;
}

function fileId(body: Buffer, at: number, file: number): void {
  body.writeUInt32LE(file, at);
  body.writeUInt32LE(file, at + 8);
}

export function treeConnect(id: number, share: string): Buffer {
  const path = Buffer.from(share, 'utf16le');
  const body = Buffer.alloc(8 + path.length);
  body.writeUInt16LE(9, 0);
  body.writeUInt16LE(HEADER + 8, 4);
  body.writeUInt16LE(path.length, 6);
  path.copy(body, 8);
  return message(3, id, false, body);
}

/** `type`: 1 a disk, 2 pipes, 3 a printer. */
export function treeConnected(id: number, type = 1): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt16LE(16, 0);
  body[2] = type;
  return message(3, id, true, body);
}

/** `access`: 1 to read, 2 to write, 0x10000 to delete or rename. `options`: 1 a directory, 0x1000 to delete it on close. */
export function create(id: number, name: string | Buffer, access: number, options = 0): Buffer {
  const path = typeof name === 'string' ? Buffer.from(name, 'utf16le') : name;
  const body = Buffer.alloc(56 + path.length);
  body.writeUInt16LE(57, 0);
  body.writeUInt32LE(access, 24);
  body.writeUInt32LE(options, 40);
  body.writeUInt16LE(HEADER + 56, 44);
  body.writeUInt16LE(path.length, 46);
  path.copy(body, 56);
  return message(5, id, false, body);
}

export function created(id: number, file: number, size: number, fresh: boolean, directory = false): Buffer {
  const body = Buffer.alloc(88);
  body.writeUInt16LE(89, 0);
  body.writeUInt32LE(fresh ? 2 : 1, 4);
  body.writeUInt32LE(size, 48);
  body.writeUInt32LE(directory ? 0x10 : 0, 56);
  fileId(body, 64, file);
  return message(5, id, true, body);
}

export function write(id: number, file: number, at: number, data: Buffer): Buffer {
  const body = Buffer.alloc(48 + data.length);
  body.writeUInt16LE(49, 0);
  body.writeUInt16LE(HEADER + 48, 2);
  body.writeUInt32LE(data.length, 4);
  body.writeUInt32LE(at % 2 ** 32, 8);
  body.writeUInt32LE(Math.floor(at / 2 ** 32), 12);
  fileId(body, 16, file);
  data.copy(body, 48);
  return message(9, id, false, body);
}

export function read(id: number, file: number, at: number, length: number): Buffer {
  const body = Buffer.alloc(49);
  body.writeUInt16LE(49, 0);
  body.writeUInt32LE(length, 4);
  body.writeUInt32LE(at, 8);
  fileId(body, 16, file);
  return message(8, id, false, body);
}

export function readAnswer(id: number, data: Buffer): Buffer {
  const body = Buffer.alloc(16 + data.length);
  body.writeUInt16LE(17, 0);
  body[2] = HEADER + 16;
  body.writeUInt32LE(data.length, 4);
  data.copy(body, 16);
  return message(8, id, true, body);
}

export function close(id: number, file: number): Buffer {
  const body = Buffer.alloc(24);
  body.writeUInt16LE(24, 0);
  fileId(body, 8, file);
  return message(6, id, false, body);
}

const ANSWERS = { write: [9, 17], close: [6, 60], setInfo: [17, 2] } as const;

/** That a WRITE, CLOSE or SET_INFO was done. */
export function done(command: keyof typeof ANSWERS, id: number): Buffer {
  const [number, length] = ANSWERS[command];
  return message(number, id, true, Buffer.alloc(length));
}

/** SET_INFO of a file: a class of [MS-FSCC] 2.4, and what it takes. */
export function setInfo(id: number, file: number, kind: number, data: Buffer): Buffer {
  const body = Buffer.alloc(32 + data.length);
  body.writeUInt16LE(33, 0);
  body[2] = 1;
  body[3] = kind;
  body.writeUInt32LE(data.length, 4);
  body.writeUInt16LE(HEADER + 32, 8);
  fileId(body, 16, file);
  data.copy(body, 32);
  return message(17, id, false, body);
}

/** A rename (10) or a hard link (11). */
export function renameTo(id: number, file: number, path: string, kind = 10): Buffer {
  const name = Buffer.from(path, 'utf16le');
  const data = Buffer.alloc(20 + name.length);
  data.writeUInt32LE(name.length, 16);
  name.copy(data, 20);
  return setInfo(id, file, kind, data);
}

/** Its end (20) or the room for it (19). */
export function sizeTo(id: number, file: number, size: number, kind = 20): Buffer {
  const data = Buffer.alloc(8);
  data.writeBigUInt64LE(BigInt(size));
  return setInfo(id, file, kind, data);
}

/** `file` undefined: one about no file. */
export function control(id: number, code: number, file?: number, input: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.alloc(56 + input.length);
  body.writeUInt16LE(57, 0);
  body.writeUInt32LE(code, 4);
  if (file === undefined) body.fill(0xff, 8, 24);
  else fileId(body, 8, file);
  body.writeUInt32LE(HEADER + 56, 24);
  body.writeUInt32LE(input.length, 28);
  input.copy(body, 56);
  return message(11, id, false, body);
}

export function controlled(id: number, output: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.alloc(48 + output.length);
  body.writeUInt16LE(49, 0);
  body.writeUInt32LE(HEADER + 48, 32);
  body.writeUInt32LE(output.length, 36);
  output.copy(body, 48);
  return message(11, id, true, body);
}

/** NTLMSSP ([MS-NLMP] 2.2.1), as much as gives a key: the server's challenge of 8 bytes. */
export function ntlmChallenge(challenge: Buffer): Buffer {
  const message = Buffer.alloc(32);
  message.write('NTLMSSP\0', 'latin1');
  message.writeUInt32LE(2, 8);
  challenge.copy(message, 24);
  return message;
}

const KEY_EXCHANGE = 0x4000_0001;

/** The client's answer, with the session key that it chose, sealed. */
export function ntlmAuthenticate(user: string, ntResponse: Buffer, sealedKey: Buffer): Buffer {
  const head = Buffer.alloc(64);
  head.write('NTLMSSP\0', 'latin1');
  head.writeUInt32LE(3, 8);
  head.writeUInt32LE(KEY_EXCHANGE, 60);
  const fields = [
    Buffer.alloc(24),
    ntResponse,
    Buffer.alloc(0),
    Buffer.from(user, 'utf16le'),
    Buffer.alloc(0),
    sealedKey,
  ];
  let offset = head.length;
  for (const [index, field] of fields.entries()) {
    head.writeUInt16LE(field.length, 12 + 8 * index);
    head.writeUInt32LE(offset, 16 + 8 * index);
    offset += field.length;
  }
  return Buffer.concat([head, ...fields]);
}

/** What both ends are in these tests: GUIDs, and no capabilities. */
const CLIENT_GUID = Buffer.alloc(16, 0xc1);
const SERVER_GUID = Buffer.alloc(16, 0x5e);
/** SecurityMode: signing is possible, or required. */
export const MAY_SIGN = 1;
export const MUST_SIGN = 3;

export function negotiate(id: number, dialects: readonly number[], mode = MAY_SIGN): Buffer {
  const body = Buffer.alloc(36 + 2 * dialects.length);
  body.writeUInt16LE(36, 0);
  body.writeUInt16LE(dialects.length, 2);
  body.writeUInt16LE(mode, 4);
  CLIENT_GUID.copy(body, 12);
  for (const [at, dialect] of dialects.entries()) body.writeUInt16LE(dialect, 36 + 2 * at);
  return message(0, id, false, body, { tree: 0, session: 0 });
}

export function negotiated(id: number, dialect: number, mode = MAY_SIGN): Buffer {
  const body = Buffer.alloc(64);
  body.writeUInt16LE(65, 0);
  body.writeUInt16LE(mode, 2);
  body.writeUInt16LE(dialect, 4);
  SERVER_GUID.copy(body, 8);
  return message(0, id, true, body, { tree: 0, session: 0 });
}

const VALIDATE_NEGOTIATE = 0x0014_0204;

/** FSCTL_VALIDATE_NEGOTIATE_INFO: what the client offered. */
export function validate(id: number, dialects: readonly number[], mode = MAY_SIGN): Buffer {
  const input = Buffer.alloc(24 + 2 * dialects.length);
  CLIENT_GUID.copy(input, 4);
  input.writeUInt16LE(mode, 20);
  input.writeUInt16LE(dialects.length, 22);
  for (const [at, dialect] of dialects.entries()) input.writeUInt16LE(dialect, 24 + 2 * at);
  return control(id, VALIDATE_NEGOTIATE, undefined, input);
}

export function validated(id: number, dialect: number, mode = MAY_SIGN): Buffer {
  const output = Buffer.alloc(24);
  SERVER_GUID.copy(output, 4);
  output.writeUInt16LE(mode, 20);
  output.writeUInt16LE(dialect, 22);
  return controlled(id, output);
}

/** SESSION_SETUP; `flags` 1 binds a channel. */
export function sessionSetup(id: number, blob: Buffer, header: Smb2Header = {}, flags = 0, mode = MAY_SIGN): Buffer {
  const body = Buffer.alloc(24 + blob.length);
  body.writeUInt16LE(25, 0);
  body[2] = flags;
  body[3] = mode;
  body.writeUInt16LE(HEADER + 24, 12);
  body.writeUInt16LE(blob.length, 14);
  blob.copy(body, 24);
  return message(1, id, false, body, { tree: 0, ...header });
}

/** `flags` 1: as a guest. */
export function sessionSetUp(id: number, blob: Buffer, header: Smb2Header = {}, flags = 0): Buffer {
  const body = Buffer.alloc(8 + blob.length);
  body.writeUInt16LE(9, 0);
  body.writeUInt16LE(flags, 2);
  body.writeUInt16LE(HEADER + 8, 4);
  body.writeUInt16LE(blob.length, 6);
  blob.copy(body, 8);
  return message(1, id, true, body, { tree: 0, ...header });
}
