/**
 * The process in the middle: for each server it is told of, a plain relay and an inspecting one, so that both have the same Node, the same
 * memory and the same warmth. Without policy the stage has antivirus on for everything, with the built-in signatures.
 */
import type { Buffer } from 'node:buffer';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import type { Endpoint, TlsFacts } from '../../src/core/session.js';
import { Pinholes } from '../../src/live/pinholes.js';
import { InspectionStage } from '../../src/stage/stage.js';
import { JoinedStreams } from '../../src/stage/streams.js';
import { peakRssMb } from '../peak.js';

export type ToProxy =
  | {
      readonly kind: 'open';
      readonly server: number;
      readonly service: number;
      readonly tls?: { key: string; cert: string };
    }
  | { readonly kind: 'memory' };
export type FromProxy =
  | { readonly kind: 'awake' }
  | { readonly kind: 'ports'; readonly relay: number; readonly inspected: number }
  | { readonly kind: 'memory'; readonly peakRssMb: number };

const ADDRESS = '127.0.0.1';
const FTP = 21;
const DECRYPTED: TlsFacts = { version: 'TLS 1.3', cipher: undefined, sni: undefined, decrypted: true };

const stage = await InspectionStage.start();
const pinholes = new Pinholes({ limits: DEFAULT_LIMITS, event: () => {} });
let sessions = 0;

process.on('message', (message: ToProxy) => {
  if (message.kind === 'memory') say({ kind: 'memory', peakRssMb: peakRssMb() });
  else void open(message);
});
process.on('disconnect', () => process.exit(0));
say({ kind: 'awake' });

async function open({ server, service, tls }: Extract<ToProxy, { kind: 'open' }>): Promise<void> {
  const context = tls === undefined ? undefined : createSecureContext(tls);
  const relay = await listen((client) => withServer(client, server, context, service === FTP ? pipeFtp : pipe));
  const inspected = await listen((client) =>
    withServer(client, server, context, (one, other, raw) => inspect(one, other, raw, server, service, context)),
  );
  say({ kind: 'ports', relay: portOf(relay), inspected: portOf(inspected) });
}

function withServer(
  client: Socket,
  port: number,
  context: SecureContext | undefined,
  join: (client: Duplex, server: Duplex, raw: Socket) => void,
): void {
  const server = connect({ host: ADDRESS, port, allowHalfOpen: true, noDelay: true });
  for (const each of [client, server]) each.on('error', () => {});
  server.once('connect', () => {
    server.pause();
    if (context === undefined) return join(client, server, client);
    const outer = new TLSSocket(client, { isServer: true, secureContext: context });
    const inner = tlsConnect({ socket: server, rejectUnauthorized: false });
    for (const each of [outer, inner]) each.on('error', () => {});
    let ready = 0;
    const secure = (): void => {
      if (++ready === 2) join(outer, inner, client);
    };
    outer.once('secure', secure);
    inner.once('secureConnect', secure);
  });
}

function pipe(client: Duplex, server: Duplex): void {
  client.pipe(server);
  server.pipe(client);
}

/** Leads the announced data connections through itself as well: what is compared is the same way of every byte. */
function pipeFtp(client: Duplex, server: Duplex): void {
  client.pipe(server);
  server.on('data', (chunk: Buffer) => {
    const line = chunk.toString('latin1');
    const port = Number(/^229 .*\(\|\|\|(\d+)\|\)\r\n$/.exec(line)?.[1] ?? 0);
    if (port === 0) client.write(chunk);
    else
      void listen((data) => withServer(data, port, undefined, pipe)).then((door) => {
        door.once('connection', () => door.close());
        client.write(line.replace(String(port), String(portOf(door))));
      });
  });
  server.on('end', () => client.end());
  server.resume();
}

function inspect(
  client: Duplex,
  server: Duplex,
  raw: Socket,
  port: number,
  service: number,
  context: SecureContext | undefined,
): void {
  const id = ++sessions;
  const ends: Record<'client' | 'server' | 'dialled', Endpoint> = {
    client: { address: ADDRESS, port: raw.remotePort ?? 0 },
    server: { address: ADDRESS, port },
    dialled: { address: ADDRESS, port: raw.localPort ?? 0 },
  };
  const joined = new JoinedStreams(
    client,
    server,
    (output) =>
      stage.open({ id, ...ends, port: service, ...(context === undefined ? {} : { tls: DECRYPTED }) }, output),
    {
      expect: (related, ready) =>
        pinholes.open({ id, ...ends, toServer: ADDRESS }, related, ready, (one, other, announced) => {
          new JoinedStreams(one, other, (output) => joined.connection.related(announced, {}, output));
        }),
    },
  );
  void joined.ended.then(() => pinholes.sessionEnded(id));
}

function listen(arrived: (client: Socket) => void): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, arrived);
    server.listen(0, ADDRESS, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function say(message: FromProxy): void {
  process.send?.(message);
}
