/** The server behind the access proxy: sends each session a little every two seconds, and the sessions of one endpoint a KiB each millisecond. */
import { Buffer } from 'node:buffer';
import { createServer, type Socket } from 'node:net';
import process from 'node:process';
import type { FromServer, ToServer } from './messages.js';

const EVERY = 2_000;
const LITTLE = Buffer.alloc(64, 'x');
const MUCH = Buffer.alloc(1_024, 'y');

/** What no protocol that is looked into begins with, so that nobody waits to know it. */
const RDP = '\x03\x00';
/** Who says this gets everything back: what the machine itself takes. */
const PING = 'ping';

const sessions = new Map<number, Set<Socket>>();
let hot: number | undefined;

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  // Its first bytes say whose it is.
  socket.once('data', (chunk) => {
    if (chunk.toString('latin1') === PING) {
      socket.write(PING);
      socket.pipe(socket);
      return;
    }
    const endpoint = Number(chunk.toString('latin1', RDP.length));
    const own = sessions.get(endpoint) ?? new Set();
    sessions.set(endpoint, own);
    own.add(socket);
    socket.on('close', () => own.delete(socket));
    const timer = setInterval(() => socket.write(LITTLE), EVERY);
    socket.on('close', () => clearInterval(timer));
    socket.resume();
    socket.write(LITTLE);
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  process.send?.({ kind: 'listening', port } satisfies FromServer);
});
setInterval(() => {
  for (const socket of sessions.get(hot ?? -1) ?? []) if (socket.writableLength < 65_536) socket.write(MUCH);
}, 1);
process.on('message', (message: ToServer) => {
  hot = message.endpoint;
});
process.on('disconnect', () => process.exit(0));
