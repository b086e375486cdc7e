/** Has the other end of a connection on loopback read what was sent to it? The kernel's queues tell (proc_net_tcp(5)). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until nothing of what `socket` sent lies anywhere on the way: its peer has all of it. */
export async function taken(socket: Socket): Promise<void> {
  for (let tries = 0; tries < 3_000; tries++) {
    if (socket.destroyed || (socket.writableLength === 0 && queued(socket.localPort, socket.remotePort) === 0)) return;
    await sleep(10);
  }
  assert.fail('the other end does not read');
}

/** Bytes on their way from the port `from` to `to`: not acknowledged by the one kernel end, or not read at the other. */
export function queued(from: number | undefined, to: number | undefined): number {
  let bytes = 0;
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local = '', remote = '', , queues = ''] = line.trim().split(/\s+/);
    const [near, far] = [portOf(local), portOf(remote)];
    const [sending = '', unread = ''] = queues.split(':');
    if (near === from && far === to) bytes += Number.parseInt(sending, 16);
    if (near === to && far === from) bytes += Number.parseInt(unread, 16);
  }
  return bytes;
}

function portOf(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}
