/**
 * Which thread has a connection, where several share a capture: each reads all of it and asks this of every connection. Connections of the
 * same two hosts fall to one thread, so that what they have in common (FTP's control and data, a resumed transfer) meets there. SMB's
 * channels may lie between any addresses of two hosts, so that one thread has all of SMB.
 */
import type { ConnectionStart } from './connection.js';
import { finish } from './ip-address.js';

/** A thread among those that share a capture. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

const SMB_PORTS: readonly number[] = [445, 139];

/** The index of the thread that has the connection; the same whoever asks. */
export function ownerOf({ client, server }: ConnectionStart, count: number): number {
  if (count === 1) return 0;
  if (SMB_PORTS.includes(server.port)) return count - 1;
  return ((hashOf(client.address) ^ hashOf(server.address)) >>> 0) % count;
}

/** Of hosts that differ in one digit, every bit may differ: the two of a connection are told apart by nothing else. */
function hashOf(address: string): number {
  let hash = 0;
  for (let i = 0; i < address.length; i++) hash = (Math.imul(hash, 31) + address.charCodeAt(i)) | 0;
  return finish(hash);
}
