/** `inspectd ztna connect`: a port of this machine that leads through an access proxy to a server behind it. */
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { ConfigError, SourceError } from '../core/errors.js';
import { LIVE_LIMITS } from '../core/limits.js';
import { type Endpoint, endpointText } from '../core/session.js';
import { type ForwardingOptions, openForwarding } from '../live/access/forwarding-client.js';

export interface ConnectOptions {
  readonly gateway: string;
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
  readonly listen: string;
  readonly to: string;
  readonly encrypt?: boolean;
  /** `NAME:PASSWORD`, in the environment. */
  readonly user?: string;
}

/** Listens until the program is ended. Rejects with ConfigError or SourceError. */
export async function connect(options: ConnectOptions): Promise<number> {
  const listen = placeOf(options.listen.includes(':') ? options.listen : `127.0.0.1:${options.listen}`, 'listen', 0);
  const forwarding: ForwardingOptions = {
    gateway: placeOf(options.gateway, 'gateway'),
    to: placeOf(options.to, 'to'),
    encrypted: options.encrypt === true,
    patience: LIVE_LIMITS.dialTime,
    ...(options.cert === undefined ? {} : { certificate: read(options.cert) }),
    ...(options.key === undefined ? {} : { key: read(options.key) }),
    ...(options.ca === undefined ? {} : { authorities: read(options.ca) }),
    ...credentials(options.user),
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    openForwarding(forwarding).then(
      (stream) => join(socket, stream),
      (error: unknown) => {
        process.stderr.write(`inspectd: ${error instanceof SourceError ? error.message : String(error)}\n`);
        socket.resetAndDestroy();
      },
    );
  });
  await listening(server, listen);
  const at = server.address();
  const port = typeof at === 'object' && at !== null ? at.port : listen.port;
  process.stderr.write(`inspectd: ready: ${endpointText({ ...listen, port })} leads to ${options.to}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  server.close();
  return 0;
}

/** What one end says goes to the other; how one ends, the other ends. */
function join(local: Socket, remote: Awaited<ReturnType<typeof openForwarding>>): void {
  if (local.destroyed) {
    remote.destroy();
    return;
  }
  for (const [from, to] of [
    [local, remote],
    [remote, local],
  ] as const) {
    from.on('error', () => {});
    from.on('close', () => {
      if (to.destroyed) return;
      // Cut off: the other end must not take it for an orderly end.
      if (from.readableEnded) to.end();
      else to.destroy();
    });
    from.pipe(to);
  }
}

function listening(server: Server, at: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new SourceError(`cannot listen on ${endpointText(at)}: ${cause.message}`, { cause })),
    );
    server.listen({ host: at.address, port: at.port }, resolve);
  });
}

function placeOf(text: string, option: string, least = 1): Endpoint {
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3] ?? Number.NaN);
  if (found === null || port > 65_535 || port < least) throw new ConfigError(`--${option} ${text}: give HOST:PORT`);
  return { address: found[1] ?? found[2] ?? '', port };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read: ${cause instanceof Error ? cause.message : ''}`, { cause });
  }
}

/** A password on a command line is everybody's: only its name is there, and the environment has it. */
function credentials(name: string | undefined): Pick<ForwardingOptions, 'user'> {
  if (name === undefined) return {};
  const password = process.env['INSPECTD_ZTNA_PASSWORD'];
  if (password === undefined) throw new ConfigError('--user: put the password into INSPECTD_ZTNA_PASSWORD');
  return { user: { name, password } };
}
