/**
 * One HTTPS request to an EMS, bounded in every way: time in all, bytes of headers and body. The server's certificate is verified before a byte of
 * the request is sent; there are no redirects, no compression, and nothing of a reply is in an error's text.
 */
import { Buffer } from 'node:buffer';
import { request as httpRequest } from 'node:http';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { SourceError } from '../core/errors.js';
import { EmsReplyError } from './reply.js';

/** Where it is and who vouches for it. */
export interface EmsAddress {
  readonly host: string;
  readonly port: number;
  /** PEM of the authority; undefined: those that the system trusts. */
  readonly authority: string | undefined;
  /** SHA-256 of the certificate that was accepted by hand (`AA:BB:…`): it alone counts then. */
  readonly fingerprint: string | undefined;
}

export interface EmsRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds until the whole reply is there. */
  readonly time: number;
  /** Bytes of the reply's body. */
  readonly most: number;
  readonly signal: AbortSignal;
}

export interface EmsReply {
  readonly status: number;
  readonly cookies: readonly string[];
  readonly body: string;
}

const HEADERS = 16_384;

/** Rejects with SourceError (it cannot be reached, or is not who it should be) or EmsReplyError (what came is no reply). */
export async function emsRequest(ems: EmsAddress, wanted: EmsRequest): Promise<EmsReply> {
  const deadline = performance.now() + wanted.time;
  const socket = await verified(ems, wanted.time, wanted.signal);
  return new Promise((resolve, reject) => {
    const left = Math.max(1, deadline - performance.now());
    const timer = setTimeout(() => fail(new SourceError(`no whole reply within ${wanted.time / 1000} s`)), left);
    const stop = (): void => fail(new SourceError('stopped'));
    wanted.signal.addEventListener('abort', stop);
    const settle = (): void => {
      clearTimeout(timer);
      wanted.signal.removeEventListener('abort', stop);
      socket.destroy();
    };
    const fail = (error: Error): void => {
      settle();
      reject(error);
    };
    const request = httpRequest({
      createConnection: () => socket,
      method: wanted.method,
      path: wanted.path,
      maxHeaderSize: HEADERS,
      headers: {
        host: authorityText(ems),
        accept: 'application/json',
        connection: 'close',
        ...(wanted.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...wanted.headers,
      },
    });
    request.on('error', (cause: NodeJS.ErrnoException) =>
      fail(
        cause.code?.startsWith('HPE_') === true
          ? new EmsReplyError(`the reply is not HTTP (${cause.code})`)
          : new SourceError(`the connection failed: ${cause.code ?? cause.message}`, { cause }),
      ),
    );
    request.on('upgrade', () => fail(new EmsReplyError('it changes the protocol')));
    request.on('response', (response) => {
      const encoding = response.headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity') {
        fail(new EmsReplyError('the reply is encoded'));
        return;
      }
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > wanted.most) fail(new EmsReplyError(`the reply is longer than ${wanted.most} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', () => fail(new SourceError('the reply was cut off')));
      response.on('aborted', () => fail(new SourceError('the reply was cut off')));
      response.on('end', () => {
        if (!response.complete) {
          fail(new SourceError('the reply was cut off'));
          return;
        }
        try {
          const body = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks, length));
          settle();
          resolve({ status: response.statusCode ?? 0, cookies: response.headers['set-cookie'] ?? [], body });
        } catch {
          fail(new EmsReplyError('the reply is not UTF-8'));
        }
      });
    });
    request.end(wanted.body);
  });
}

/** What its certificate is: for a person who is to accept it. Rejects with SourceError. */
export async function presentedCertificate(
  ems: EmsAddress,
  time: number,
  signal: AbortSignal,
): Promise<{ subject: string; issuer: string; validTo: string; fingerprint: string }> {
  const socket = await secured(ems, time, signal);
  const { subject, issuer, valid_to: validTo, fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  // A field that stands there twice is a list.
  const cn = (name: { CN?: string | string[] } | undefined): string => shown(String(name?.CN ?? ''));
  return { subject: cn(subject), issuer: cn(issuer), validTo: shown(validTo), fingerprint: fingerprint256 };
}

async function verified(ems: EmsAddress, time: number, signal: AbortSignal): Promise<TLSSocket> {
  const socket = await secured(ems, time, signal);
  const wrong = wrongWith(socket, ems);
  if (wrong === undefined) return socket;
  socket.destroy();
  throw new SourceError(`its certificate is not accepted: ${wrong}`);
}

/** The handshake is done; nothing is verified yet. */
function secured(ems: EmsAddress, time: number, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: ems.host,
      port: ems.port,
      ...(isIP(ems.host) === 0 ? { servername: ems.host } : {}),
      ...(ems.authority === undefined ? {} : { ca: ems.authority }),
      minVersion: 'TLSv1.2',
      // Judged below: Node's own refusal says less.
      rejectUnauthorized: false,
    });
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    };
    const fail = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new SourceError(`no connection within ${time / 1000} s`)), time);
    const stop = (): void => fail(new SourceError('stopped'));
    if (signal.aborted) {
      stop();
      return;
    }
    signal.addEventListener('abort', stop);
    socket.once('error', (cause: NodeJS.ErrnoException) =>
      fail(new SourceError(`it cannot be reached: ${cause.code ?? shown(cause.message)}`, { cause })),
    );
    socket.once('secureConnect', () => {
      settle();
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function wrongWith(socket: TLSSocket, ems: EmsAddress): string | undefined {
  const presented = socket.getPeerX509Certificate();
  if (presented === undefined) return 'there is none';
  if (ems.fingerprint !== undefined)
    return presented.fingerprint256 === ems.fingerprint ? undefined : 'it is not the one that was accepted';
  if (!socket.authorized) return shown(String(socket.authorizationError));
  const named = isIP(ems.host) === 0 ? presented.checkHost(ems.host) : presented.checkIP(ems.host);
  return named === undefined ? `it is not for ${ems.host}` : undefined;
}

function authorityText({ host, port }: EmsAddress): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}${port === 443 ? '' : `:${port}`}`;
}

function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
