/**
 * Behind SSLproxy (its README, "SSLproxy header line"): connections come decrypted, their first line says where SSLproxy takes the other half,
 * who the client is and where it wanted to go: `SSLproxy: [127.0.0.1]:34649,[192.168.3.24]:47286,[192.168.111.130]:443,s`. We answer to
 * the first of these, so that SSLproxy encrypts again toward the server.
 */
import type { Buffer } from 'node:buffer';
import { isIP, type Socket } from 'node:net';
import type { Endpoint } from '../../core/session.js';
import { plainAddress } from '../addresses.js';
import { Head } from './head.js';

export interface FromSslProxy {
  /** Where SSLproxy awaits the other half. */
  readonly back: Endpoint;
  readonly client: Endpoint;
  readonly dialled: Endpoint;
  /** It was TLS on the wire. */
  readonly tls: boolean;
  readonly ahead: Buffer;
}

const MOST = 1_024;
const PLACE = String.raw`\[([0-9A-Fa-f:.]+)\]:(\d{1,5})`;
const LINE = new RegExp(`^SSLproxy: ${PLACE},${PLACE},${PLACE},([sp])(?:,.*)?$`);

/** Undefined: it is none. */
export async function readSslProxy(socket: Socket): Promise<FromSslProxy | undefined> {
  const head = new Head(socket, MOST);
  const line = await head.line();
  const ahead = head.rest();
  const found = line === undefined ? null : LINE.exec(line);
  if (found === null) return undefined;
  const [back, client, dialled] = [place(found, 1), place(found, 3), place(found, 5)];
  if (back === undefined || client === undefined || dialled === undefined) return undefined;
  return { back, client, dialled, tls: found[7] === 's', ahead };
}

function place(found: RegExpExecArray, at: number): Endpoint | undefined {
  const [address = '', port] = [found[at], Number(found[at + 1])];
  return isIP(address) !== 0 && port <= 65_535 ? { address: plainAddress(address), port } : undefined;
}
