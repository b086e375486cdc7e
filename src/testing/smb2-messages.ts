/** SMB 2 messages as a client and a server write them ([MS-SMB2] 2.2), with their length in front: enough of them to move files. */
import { Buffer } from 'node:buffer';

const HEADER = 64;
const SESSION = 0x1122_3344;
const TREE = 5;

function message(command: number, id: number, response: boolean, body: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + HEADER + body.length);
  bytes.writeUIntBE(HEADER + body.length, 1, 3);
  bytes.writeUInt32BE(0xfe53_4d42, 4);
  bytes.writeUInt16LE(HEADER, 8);
  bytes.writeUInt16LE(command, 16);
  bytes.writeUInt32LE(response ? 1 : 0, 20);
  bytes.writeUInt32LE(id, 28);
  bytes.writeUInt32LE(TREE, 40);
  bytes.writeUInt32LE(SESSION, 44);
  body.copy(bytes, 4 + HEADER);
  return bytes;
}

function fileId(body: Buffer, at: number, file: number): void {
  body.writeUInt32LE(file, at);
  body.writeUInt32LE(file, at + 8);
}

/** Offers 3.0.2 and what is older. */
export function negotiate(id: number): Buffer {
  const dialects = [0x0202, 0x0210, 0x0300, 0x0302];
  const body = Buffer.alloc(36 + 2 * dialects.length);
  body.writeUInt16LE(36, 0);
  body.writeUInt16LE(dialects.length, 2);
  body.writeUInt16LE(1, 4);
  for (const [at, dialect] of dialects.entries()) body.writeUInt16LE(dialect, 36 + 2 * at);
  return message(0, id, false, body);
}

/** Takes 3.0.2. */
export function negotiated(id: number): Buffer {
  const body = Buffer.alloc(64);
  body.writeUInt16LE(65, 0);
  body.writeUInt16LE(1, 2);
  body.writeUInt16LE(0x0302, 4);
  for (const at of [28, 32, 36]) body.writeUInt32LE(8 * 1024 * 1024, at);
  body.writeUInt16LE(HEADER + 64, 56);
  return message(0, id, true, body);
}

/** Without a token: a guest. */
export function sessionSetup(id: number): Buffer {
  const body = Buffer.alloc(24);
  body.writeUInt16LE(25, 0);
  body.writeUInt16LE(HEADER + 24, 12);
  return message(1, id, false, body);
}

export function sessionSet(id: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(9, 0);
  body.writeUInt16LE(HEADER + 8, 4);
  return message(1, id, true, body);
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

export function treeConnected(id: number): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt16LE(16, 0);
  body[2] = 1;
  return message(3, id, true, body);
}

/** `access`: 1 to read, 2 to write. */
export function create(id: number, name: string, access: number): Buffer {
  const path = Buffer.from(name, 'utf16le');
  const body = Buffer.alloc(56 + path.length);
  body.writeUInt16LE(57, 0);
  body.writeUInt32LE(access, 24);
  body.writeUInt16LE(HEADER + 56, 44);
  body.writeUInt16LE(path.length, 46);
  path.copy(body, 56);
  return message(5, id, false, body);
}

export function created(id: number, file: number, size: number, fresh: boolean): Buffer {
  const body = Buffer.alloc(88);
  body.writeUInt16LE(89, 0);
  body.writeUInt32LE(fresh ? 2 : 1, 4);
  body.writeUInt32LE(size, 48);
  fileId(body, 64, file);
  return message(5, id, true, body);
}

export function write(id: number, file: number, at: number, data: Buffer): Buffer {
  const body = Buffer.alloc(48 + data.length);
  body.writeUInt16LE(49, 0);
  body.writeUInt16LE(HEADER + 48, 2);
  body.writeUInt32LE(data.length, 4);
  body.writeUInt32LE(at, 8);
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

/** That a WRITE or CLOSE was done. */
export function done(command: 'write' | 'close', id: number): Buffer {
  return message(command === 'write' ? 9 : 6, id, true, Buffer.alloc(command === 'write' ? 17 : 60));
}
