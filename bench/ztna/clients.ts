/** All clients of the revocation bench: opens the sessions, and says of an endpoint's when their last byte came and when they were closed. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import process from 'node:process';
import { openForwarding } from '../../src/live/access/forwarding-client.js';
import type { FromClients, ToClients, Work } from './messages.js';

interface Seen {
  lastByte: number;
  closed: number | undefined;
}

const AT_ONCE = 24;
const seen: Seen[][] = [];
let wanted: number | undefined;

const tell = (message: FromClients): void => void process.send?.(message);

function watch(socket: Socket, endpoint: number): Promise<void> {
  const own: Seen = { lastByte: 0, closed: undefined };
  seen[endpoint]?.push(own);
  socket.on('error', () => {});
  socket.on('data', () => {
    own.lastByte = Number(process.hrtime.bigint());
  });
  socket.once('end', () => socket.destroy());
  socket.once('close', () => {
    own.closed = Number(process.hrtime.bigint());
    report();
  });
  return new Promise((resolve) => {
    socket.once('data', () => resolve());
    socket.once('close', () => resolve());
    socket.resume();
    // As RDP begins.
    socket.write(Buffer.from(`\x03\x00${endpoint}\r\n`, 'latin1'));
  });
}

function report(): void {
  const own = seen[wanted ?? -1];
  if (own === undefined || own.some(({ closed }) => closed === undefined)) return;
  wanted = undefined;
  const last = (times: readonly number[]): number => Math.max(0, ...times);
  tell({
    kind: 'ended',
    lastByte: last(own.map(({ lastByte }) => lastByte)),
    lastClose: last(own.map(({ closed }) => closed ?? 0)),
    sessions: own.length,
  });
}

async function open(work: Work): Promise<number> {
  const places = work.endpoints.flatMap(({ sessions }, endpoint) => Array.from({ length: sessions }, () => endpoint));
  for (const [endpoint] of work.endpoints.entries()) seen[endpoint] = [];
  let failed = 0;
  const opener = async (): Promise<void> => {
    for (let endpoint = places.shift(); endpoint !== undefined; endpoint = places.shift()) {
      const { certificate = '', key = '' } = work.endpoints[endpoint] ?? {};
      try {
        const socket = await openForwarding({
          gateway: { address: '127.0.0.1', port: work.gateway },
          to: { address: '127.0.0.1', port: work.server },
          authorities: work.authorities,
          certificate,
          key,
          encrypted: false,
          patience: 60_000,
        });
        await watch(socket, endpoint);
      } catch {
        failed++;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, opener));
  return failed;
}

process.on('message', (message: ToClients) => {
  if (message.kind === 'open') void open(message.work).then((failed) => tell({ kind: 'opened', failed }));
  else {
    wanted = message.endpoint;
    report();
  }
});
process.on('disconnect', () => process.exit(0));
