/**
 * HAProxy's PROXY protocol, versions 1 and 2: a proxy in front says whose connection it is, and where that client wanted to go. Only who is trusted
 * may say so. What it says of itself (LOCAL, UNKNOWN: its health checks) is a client of its own address.
 */
import type { Buffer } from 'node:buffer';
import { isIP, type Socket } from 'node:net';
import type { Endpoint } from '../../core/session.js';
import { plainAddress } from '../addresses.js';
import { Head } from './head.js';

/** Who it is said to be, and what it dialled; undefined: the sender itself. */
export interface Presented {
  readonly client: Endpoint | undefined;
  readonly dialled: Endpoint | undefined;
  readonly ahead: Buffer;
}

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
/** Version 1 ends within this. */
const LINE = 107;
/** Addresses and TLVs of version 2. */
const MOST = 4_096;

/** Undefined: it is none, or was cut. */
export async function readProxyHeader(socket: Socket): Promise<Presented | undefined> {
  const head = new Head(socket, 16 + MOST);
  const first = await head.take(6);
  const found =
    first === undefined
      ? undefined
      : first.toString('latin1') === 'PROXY '
        ? await versionOne(head)
        : await versionTwo(head, first);
  const ahead = head.rest();
  return found === undefined ? undefined : { ...found, ahead };
}

type Said = Omit<Presented, 'ahead'>;
const ITSELF: Said = { client: undefined, dialled: undefined };

async function versionOne(head: Head): Promise<Said | undefined> {
  const line = await head.line();
  if (line === undefined || line.length + 8 > LINE) return undefined;
  const [family, from = '', to = '', fromPort, toPort, extra] = line.split(' ');
  if (family === 'UNKNOWN') return ITSELF;
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : undefined;
  const ports = [port(fromPort), port(toPort)] as const;
  if (version === undefined || isIP(from) !== version || isIP(to) !== version || extra !== undefined) return undefined;
  if (ports[0] === undefined || ports[1] === undefined) return undefined;
  return {
    client: { address: plainAddress(from), port: ports[0] },
    dialled: { address: plainAddress(to), port: ports[1] },
  };
}

/** Decimal without leading zeros. */
function port(text: string | undefined): number | undefined {
  return text !== undefined && /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

async function versionTwo(head: Head, first: Buffer): Promise<Said | undefined> {
  const more = await head.take(10);
  if (more === undefined || first.toString('latin1') + more.toString('latin1', 0, 6) !== SIGNATURE) return undefined;
  const [command = 0, family = 0] = [more[6], more[7]];
  const body = await head.take(more.readUInt16BE(8));
  if (body === undefined || command >> 4 !== 2) return undefined;
  if ((command & 15) === 0) return ITSELF;
  if ((command & 15) !== 1) return undefined;
  // AF_INET or AF_INET6 over TCP; of other families the sender knows no address that means anything here.
  if (family === 0x11 && body.length >= 12)
    return {
      client: { address: v4(body, 0), port: body.readUInt16BE(8) },
      dialled: { address: v4(body, 4), port: body.readUInt16BE(10) },
    };
  if (family === 0x21 && body.length >= 36)
    return {
      client: { address: v6(body, 0), port: body.readUInt16BE(32) },
      dialled: { address: v6(body, 16), port: body.readUInt16BE(34) },
    };
  return family === 0 ? ITSELF : undefined;
}

export function v4(bytes: Buffer, at: number): string {
  return [...bytes.subarray(at, at + 4)].join('.');
}

/** In its usual form, IPv4 within it as IPv4. */
export function v6(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + 2 * index).toString(16));
  return plainAddress(new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1));
}
