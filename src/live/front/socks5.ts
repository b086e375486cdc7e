/** SOCKS 5 (RFC 1928): CONNECT to an address or name, without signing in. The answer is given when the server was reached, or could not be. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Endpoint } from '../../core/session.js';
import { Head } from './head.js';
import { v4, v6 } from './proxy-protocol.js';
import type { Wanted } from './wanted.js';

const VERSION = 5;
const MOST = 600;
const REPLY = { done: 0, failed: 1, unreachable: 4, commandUnknown: 7, familyUnknown: 8 } as const;

/** Undefined: it is none, or asks for something else, and was told so. */
export async function readSocks(socket: Socket): Promise<Wanted | undefined> {
  const head = new Head(socket, MOST);
  const wanted = await talk(head, socket);
  const ahead = head.rest();
  if (wanted === undefined) return undefined;
  return { to: wanted, ahead, accept: answer(REPLY.done), unreachable: answer(REPLY.unreachable) };
}

async function talk(head: Head, socket: Socket): Promise<Endpoint | undefined> {
  const greeting = await head.take(2);
  const methods = greeting?.[0] === VERSION ? await head.take(greeting[1] ?? 0) : undefined;
  if (methods === undefined) return undefined;
  if (!methods.includes(0)) {
    socket.write(Buffer.from([VERSION, 0xff]));
    return undefined;
  }
  socket.write(Buffer.from([VERSION, 0]));
  const request = await head.take(4);
  if (request?.[0] !== VERSION) return undefined;
  if (request[1] !== 1) {
    socket.write(answer(REPLY.commandUnknown));
    return undefined;
  }
  const address = await addressOf(head, request[3] ?? 0);
  const port = await head.take(2);
  if (address === undefined || port === undefined) {
    socket.write(answer(address === undefined ? REPLY.familyUnknown : REPLY.failed));
    return undefined;
  }
  return { address, port: port.readUInt16BE(0) };
}

async function addressOf(head: Head, kind: number): Promise<string | undefined> {
  if (kind === 1) {
    const bytes = await head.take(4);
    return bytes === undefined ? undefined : v4(bytes, 0);
  }
  if (kind === 4) {
    const bytes = await head.take(16);
    return bytes === undefined ? undefined : v6(bytes, 0);
  }
  if (kind !== 3) return undefined;
  const length = await head.take(1);
  const name = length === undefined ? undefined : await head.take(length[0] ?? 0);
  return name?.toString('latin1');
}

function answer(code: number): Buffer {
  return Buffer.from([VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]);
}
