/** HTTP CONNECT (RFC 9110 §9.3.6, RFC 9112 §3.2.3): the request and its header, of which nothing but the target matters. 200 comes when the server was reached. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Endpoint } from '../../core/session.js';
import { Head } from './head.js';
import type { Wanted } from './wanted.js';

const MOST = 16_384;
const MOST_LINES = 100;

/** Undefined: it is none, and was answered. */
export async function readConnect(socket: Socket): Promise<Wanted | undefined> {
  const head = new Head(socket, MOST);
  const request = await head.line();
  const complete = request !== undefined && (await pastHeader(head));
  const ahead = head.rest();
  if (!complete) {
    socket.write(answer(request === undefined ? '400 Bad Request' : '431 Request Header Fields Too Large'));
    return undefined;
  }
  const to = /^CONNECT /.test(request) ? target(request) : undefined;
  if (to === undefined) {
    socket.write(answer(/^[A-Z]+ \S+ HTTP\/1\.[01]$/.test(request) ? '405 Method Not Allowed' : '400 Bad Request'));
    return undefined;
  }
  return {
    to,
    ahead,
    accept: Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'),
    unreachable: answer('502 Bad Gateway'),
  };
}

/** Up to the empty line. */
async function pastHeader(head: Head): Promise<boolean> {
  for (let lines = 0; lines <= MOST_LINES; lines++) {
    const line = await head.line();
    if (line === undefined) return false;
    if (line === '') return true;
  }
  return false;
}

function target(request: string): Endpoint | undefined {
  const found = /^CONNECT (?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([1-9]\d{0,4}) HTTP\/1\.[01]$/.exec(request);
  const port = Number(found?.[3]);
  return found !== null && port <= 65_535 ? { address: found[1] ?? found[2] ?? '', port } : undefined;
}

function answer(status: string): Buffer {
  const allow = status.startsWith('405') ? 'Allow: CONNECT\r\n' : '';
  return Buffer.from(`HTTP/1.1 ${status}\r\n${allow}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}
