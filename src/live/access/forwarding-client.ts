/** The client's side of TCP forwarding through an access proxy: what FortiClient's connection rules do. */
import { Buffer } from 'node:buffer';
import { connect, isIP, type Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { SourceError } from '../../core/errors.js';
import { type Endpoint, endpointText } from '../../core/session.js';
import { Head } from '../front/head.js';
import { TlsShell } from './tls-shell.js';

export interface ForwardingOptions {
  /** The access proxy, by name or address. */
  readonly gateway: Endpoint;
  /** PEM: of the endpoint, its key, and the authorities that the access proxy's own certificate is judged by. */
  readonly certificate?: string;
  readonly key?: string;
  readonly authorities?: string;
  /** The real server, by name or address. */
  readonly to: Endpoint;
  /** The stream stays inside TLS. */
  readonly encrypted: boolean;
  readonly user?: { readonly name: string; readonly password: string };
  /** Milliseconds until it is given up. */
  readonly patience: number;
}

/** The answer was no. */
export class ForwardingRefused extends SourceError {
  /** `HTTP/1.1 403 Forbidden` */
  readonly status: string;
  readonly page: string;

  constructor(status: string, page: string) {
    const code = /Error code: (\d{3})/.exec(page)?.[1];
    super(`the access proxy refuses: ${status}${code === undefined ? '' : ` (code ${code})`}`);
    this.status = status;
    this.page = page;
  }
}

/** Longest answer that is read. */
const MOST = 65_536;

/** The stream to the real server, paused. Rejects with ForwardingRefused or SourceError. */
export async function openForwarding(options: ForwardingOptions): Promise<Socket | TLSSocket> {
  const { gateway } = options;
  const socket = connect({ host: gateway.address, port: gateway.port, allowHalfOpen: true, noDelay: true });
  const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), options.patience);
  try {
    await happens(socket, 'connect');
    socket.pause();
    return await forwarded(socket, options);
  } catch (cause) {
    socket.destroy();
    if (cause instanceof SourceError) throw cause;
    throw new SourceError(`${endpointText(gateway)}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

async function forwarded(socket: Socket, options: ForwardingOptions): Promise<Socket | TLSSocket> {
  const { gateway, certificate, key, authorities } = options;
  const shell = new TlsShell(socket);
  const tls = tlsConnect({
    socket: shell,
    host: gateway.address,
    ...(isIP(gateway.address) === 0 ? { servername: gateway.address } : {}),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(authorities === undefined ? {} : { ca: authorities }),
    ALPNProtocols: ['http/1.1'],
  });
  shell.watch(tls);
  await happens(tls, 'secureConnect');
  tls.on('error', () => {});
  tls.write(requestFor(options));
  const head = new Head(tls, MOST);
  const answer = (await head.until(Buffer.from('\r\n\r\n')))?.toString('latin1');
  if (answer === undefined) throw new Error('the access proxy ended the connection');
  const status = answer.slice(0, answer.indexOf('\r\n'));
  if (!/^HTTP\/1\.1 101 /.test(status)) {
    const length = Number(/^content-length: *(\d{1,5})\r$/im.exec(answer)?.[1] ?? 0);
    const page = (await head.take(length))?.toString('utf8') ?? '';
    throw new ForwardingRefused(status, page);
  }
  if (options.encrypted) {
    const rest = head.rest();
    shell.open();
    if (rest.length > 0) tls.unshift(rest);
    return tls;
  }
  // What follows is no TLS any more.
  shell.hold();
  if (head.rest().length > 0) throw new Error('the access proxy said more than it may');
  const plain = shell.takeOff();
  tls.destroy();
  return plain;
}

function requestFor({ gateway, to, encrypted, user }: ForwardingOptions): string {
  const at = to.address.includes(':') ? `[${to.address}]` : to.address;
  const credentials =
    user === undefined ? '' : ` ${Buffer.from(`${user.name}:${user.password}`, 'utf8').toString('base64')}`;
  // Fields and their order are FortiClient's.
  return [
    `GET /tcp?address=${at}&port=${to.port}&tls=${encrypted ? 1 : 0} HTTP/1.1`,
    `Host: ${endpointText(gateway)}`,
    'User-Agent: inspectd',
    'Accept: */*',
    'Upgrade: tcp-forwarding/1.0',
    'Connection: Upgrade',
    'Cookie:',
    `Authorization: Basic${credentials}`,
    '\r\n',
  ].join('\r\n');
}

function happens(socket: Socket | TLSSocket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}
