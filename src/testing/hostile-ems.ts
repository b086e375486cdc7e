/** An EMS that answers as a test says: with a certificate that is good, and whatever bytes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { SimulatedAuthority } from '../ems/simulator/authority.js';
import { EMS_SERIAL } from './ems.js';
import { scratch } from './peers/peers.js';

export interface HostileEms {
  readonly port: number;
  /** PEM of the authority that signed its certificate. */
  readonly authority: string;
  /** Requests so far, by path without query. */
  readonly requests: Map<string, number>;
  /** Headers and body of the last request of a path. */
  readonly last: Map<string, { readonly headers: IncomingMessage['headers']; readonly body: string }>;
}

/** `answers` returns true when it has answered; otherwise a well-behaved EMS without endpoints does. */
export async function startHostileEms(
  context: TestContext,
  answers: (path: string, request: IncomingMessage, response: ServerResponse) => boolean,
): Promise<HostileEms> {
  const authority = new SimulatedAuthority(scratch(context, 'hostile-ems'), EMS_SERIAL);
  const { key, certificate } = authority.server(['127.0.0.1']);
  const requests = new Map<string, number>();
  const last: HostileEms['last'] = new Map();
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const path = (request.url ?? '').replace(/\?.*/, '');
    requests.set(path, (requests.get(path) ?? 0) + 1);
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      last.set(path, { headers: request.headers, body });
      if (answers(path, request, response)) return;
      if (path.endsWith('/signin'))
        response.setHeader('set-cookie', ['csrftoken=abc; Secure', 'sessionid=def; HttpOnly']);
      const data = path.endsWith('serial_number') ? { serial_number: EMS_SERIAL } : report({});
      response.end(envelope(data));
    });
  });
  server.on('clientError', (_, socket) => socket.destroy());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, authority: authority.certificate, requests, last };
}

export function envelope(data: unknown, retval: unknown = 1): string {
  return JSON.stringify({ result: { retval, message: 'so' }, data });
}

/** A tag report, with what the test wants otherwise. */
export function report(more: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { boot: 'b1', revision: 1, full: true, more: false, endpoints: [], removed: [], ...more };
}

/** An endpoint as EMS describes it, with what the test wants otherwise. */
export function described(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    uid: `${'0'.repeat(31)}A`,
    certificate_sn: '1626C2C10E6AD97D71FA9E2D9C314C1F5C03D68B',
    revoked: false,
    online: true,
    domain: '',
    user: 'u',
    owner: '',
    ip: ['10.0.0.1'],
    mac: [],
    tags: ['Low'],
    quarantined: false,
    ...more,
  };
}
