/**
 * A mail server in a process of its own, so that its descriptors are not the clients': says yes, counts mails and those with EICAR in them.
 * `--tls KEY CERT`: behind TLS. Tells its port first, and its counts when asked.
 */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { EICAR_MARK } from './mails.js';

export interface SinkCounts {
  readonly mails: number;
  readonly infected: number;
  readonly open: number;
}

const [key, cert] = process.argv.slice(2);
const END = Buffer.from('\r\n.\r\n');
let mails = 0;
let infected = 0;
let open = 0;

function serve(socket: Socket): void {
  open++;
  socket.on('close', () => open--);
  socket.on('error', () => {});
  socket.write('220 sink\r\n');
  let inMail = false;
  let bad = false;
  /** The end of what came before: marks lie across chunks. */
  let tail: Buffer = Buffer.alloc(0);
  let line = '';
  socket.on('data', (chunk: Buffer) => {
    if (inMail) {
      const text = Buffer.concat([tail, chunk]);
      bad ||= text.includes(EICAR_MARK);
      if (!text.subarray(-END.length).equals(END)) {
        tail = text.subarray(-64);
        return;
      }
      mails++;
      if (bad) infected++;
      inMail = false;
      socket.write('250 yes\r\n');
      return;
    }
    line += chunk.toString('latin1');
    for (let end = line.indexOf('\r\n'); end >= 0; end = line.indexOf('\r\n')) {
      const verb = line.slice(0, 4).toUpperCase();
      line = line.slice(end + 2);
      if (verb === 'DATA') {
        inMail = true;
        bad = false;
        tail = Buffer.alloc(0);
        socket.write('354 go on\r\n');
      } else socket.write('250 yes\r\n');
      if (verb === 'QUIT') socket.end();
    }
  });
}

const server =
  key === undefined || cert === undefined
    ? createServer({ noDelay: true }, serve)
    : createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, serve);
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  process.send?.({ port: (server.address() as AddressInfo).port }),
);
process.on('message', () => process.send?.({ mails, infected, open }));
process.on('disconnect', () => process.exit(0));
