/**
 * The least SMB 2 that moves files ([MS-SMB2]): a server that keeps nothing and a client that looks at nothing but how much comes. Neither is signed
 * or sealed. The client has several requests under way, as real ones do.
 */
import { Buffer } from 'node:buffer';
import { createServer, type Server, type Socket } from 'node:net';
import type { Moved } from '../../src/testing/file-sessions.js';
import { COMMAND } from '../../src/testing/smb-server.js';
import * as m from '../../src/testing/smb2-messages.js';

const FRAME = 4;
const HEADER = 64;
const BODY = FRAME + HEADER;
/** What is kept of a message: all but the data of large ones. */
const KEPT = 4096;
const PIECE = 1024 * 1024;
const UNDER_WAY = 4;
const DIALECT = 0x0302;
/** Requests may be of more than 64 KiB; each such costs a credit and a number for every 64 KiB ([MS-SMB2] 3.1.5.2). */
const LARGE_MTU = 4;
const CREDIT = 65_536;
const CREDITS = 64;
const END_OF_FILE = 0xc000_0011;
const NOT_HERE = 0xc000_0002;
const PENDING = 0x103;

/** Takes messages out of a stream: `take` is given the first KEPT bytes of each, valid during the call, and its length. */
function eachMessage(socket: Socket, take: (head: Buffer, length: number) => void): void {
  const head = Buffer.alloc(KEPT);
  let got = 0;
  let length = 0;
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const end = Math.min(chunk.length, at + (got < FRAME ? FRAME : FRAME + length) - got);
      if (got < KEPT) chunk.copy(head, got, at, end);
      got += end - at;
      at = end;
      if (got === FRAME) length = head.readUIntBE(1, 3);
      if (got < FRAME + length || got < FRAME) continue;
      got = 0;
      take(head, FRAME + length);
    }
  });
}

/** Serves `files` by name; what is written is thrown away, but for how long it is. */
export function smbServer(files: ReadonlyMap<string, Buffer>): Server {
  let sessions = 0;
  return createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    const session = ++sessions;
    const opened = new Map<number, { name: string; size: number }>();
    let last = 0;
    const say = (answer: Buffer): void => {
      answer.writeUInt16LE(CREDITS, FRAME + 14);
      socket.write(answer);
    };
    eachMessage(socket, (head) => {
      const command = head.readUInt16LE(FRAME + 12);
      const id = head.readUInt32LE(FRAME + 24);
      const fails = (status: number): void =>
        say(m.message(command, id, true, Buffer.from([9, ...Buffer.alloc(8)]), { session, status }));
      switch (command) {
        case COMMAND.negotiate: {
          const answer = m.negotiated(id, DIALECT);
          answer.writeUInt32LE(LARGE_MTU, BODY + 24);
          for (const at of [28, 32, 36]) answer.writeUInt32LE(PIECE, BODY + at);
          return say(answer);
        }
        case COMMAND.sessionSetup:
          return say(m.sessionSetUp(id, Buffer.alloc(0), { session }, 1));
        case COMMAND.create: {
          const at = FRAME + head.readUInt16LE(BODY + 44);
          const name = head.toString('utf16le', at, at + head.readUInt16LE(BODY + 46));
          const size = files.get(name)?.length ?? 0;
          opened.set(++last, { name, size });
          return say(m.created(id, last, size, size === 0));
        }
        case COMMAND.read: {
          const from = head.readUInt32LE(BODY + 8);
          const data = files
            .get(opened.get(head.readUInt32LE(BODY + 16))?.name ?? '')
            ?.subarray(from, from + head.readUInt32LE(BODY + 4));
          if (data === undefined || data.length === 0) return fails(END_OF_FILE);
          const answer = m.readAnswer(id, Buffer.alloc(0));
          answer.writeUIntBE(answer.length - FRAME + data.length, 1, 3);
          answer.writeUInt32LE(data.length, BODY + 4);
          say(answer);
          socket.write(data);
          return undefined;
        }
        case COMMAND.write: {
          const answer = m.done('write', id);
          answer.writeUInt32LE(head.readUInt32LE(BODY + 4), BODY + 4);
          return say(answer);
        }
        case COMMAND.treeConnect:
          return say(m.treeConnected(id));
        case COMMAND.close:
          opened.delete(head.readUInt32LE(BODY + 8));
          return say(m.done('close', id));
        case COMMAND.setInfo:
          return say(m.done('setInfo', id));
        case COMMAND.echo:
          return say(m.message(COMMAND.echo, id, true, Buffer.from([4, 0, 0, 0])));
        default:
          return fails(NOT_HERE);
      }
    });
  });
}

/** Moves `files` one after another; settles when the last is there. Rejects on an answer that is no success. */
export async function smbClient(socket: Socket, files: readonly Moved[]): Promise<void> {
  let id = 0;
  let session = 0;
  let gone = false;
  const waiting = new Map<number, (head: Buffer | undefined) => void>();
  socket.on('error', () => {});
  socket.on('close', () => {
    gone = true;
    for (const tell of waiting.values()) tell(undefined);
  });
  eachMessage(socket, (head) => {
    if (head.readUInt32LE(FRAME + 8) === PENDING) return;
    const answered = head.readUInt32LE(FRAME + 24);
    const tell = waiting.get(answered);
    waiting.delete(answered);
    tell?.(head);
  });
  /** What `read` makes of the answer to the next request. */
  const ask = <T>(make: (id: number) => Buffer, read: (head: Buffer) => T, data = 1): Promise<T> =>
    new Promise((resolve, reject) => {
      const request = make(id);
      const charge = Math.ceil(data / CREDIT);
      request.writeUInt16LE(charge, FRAME + 6);
      if (session !== 0) request.writeUInt32LE(session, FRAME + 40);
      waiting.set(id, (head) => {
        const status = head?.readUInt32LE(FRAME + 8);
        if (head === undefined || status !== 0)
          reject(new Error(`SMB: ${head === undefined ? 'the connection ended' : `status ${status?.toString(16)}`}`));
        else resolve(read(head));
      });
      if (gone) waiting.get(id)?.(undefined);
      else socket.write(request);
      id += charge;
    });
  const nothing = (): void => undefined;
  await ask((each) => m.negotiate(each, [0x0202, 0x0210, 0x0300, DIALECT]), nothing);
  session = await ask(
    (each) => m.sessionSetup(each, Buffer.alloc(0)),
    (head) => head.readUInt32LE(FRAME + 40),
  );
  await ask((each) => m.treeConnect(each, '\\\\172.16.200.55\\share'), nothing);
  for (const { name, bytes, upload } of files) {
    const file = await ask(
      (each) => m.create(each, name, upload ? 2 : 1),
      (head) => head.readUInt32LE(BODY + 64),
    );
    let at = 0;
    let moved = 0;
    await Promise.all(
      Array.from({ length: UNDER_WAY }, async () => {
        while (at < bytes.length) {
          const from = at;
          at += PIECE;
          const length = Math.min(PIECE, bytes.length - from);
          const count = await ask(
            (each) =>
              upload
                ? m.write(each, file, from, bytes.subarray(from, from + length))
                : m.read(each, file, from, length),
            (head) => head.readUInt32LE(BODY + 4),
            length,
          );
          moved += count;
        }
      }),
    );
    await ask((each) => m.close(each, file), nothing);
    if (moved !== bytes.length) throw new Error(`${name}: ${moved} of ${bytes.length} bytes were moved`);
  }
  socket.end();
}
