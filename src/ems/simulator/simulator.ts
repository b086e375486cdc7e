/**
 * A simulator of FortiClient EMS, for trying out and for tests: HTTPS with an authority of its own, endpoints whose state a person or a call
 * changes, and the requests of `EMS_API`. It is no EMS: what it answers beyond what public clients show is our own.
 */
import { Buffer } from 'node:buffer';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { SourceError } from '../../core/errors.js';
import { type Endpoint, endpointText } from '../../core/session.js';
import { EMS_API, PAGE, RETVAL } from '../api.js';
import { SimulatedAuthority } from './authority.js';
import { type SimulatedEndpoint, SimulatedEndpoints, tagsOf } from './endpoints.js';
import { page, SWITCHES, type Switch } from './page.js';

export interface SimulatorOptions {
  /** Keys, certificates and endpoints are kept here. */
  readonly directory: string;
  readonly serial: string;
  readonly username: string;
  readonly password: string;
  readonly listen: Endpoint;
  /** Names and addresses that its certificate is good for, beside localhost, 127.0.0.1 and the address that it listens on. */
  readonly names?: readonly string[];
}

interface SignedIn {
  readonly csrf: string;
}

/** Bytes of a request that are read; milliseconds that a client may be made to wait for a change. */
const REQUEST = 65_536;
const LONGEST_WAIT = 120_000;
const SESSIONS = 1_000;

export class EmsSimulator {
  readonly endpoints: SimulatedEndpoints;
  readonly authority: SimulatedAuthority;
  readonly #options: SimulatorOptions;
  readonly #server: Server;
  readonly #sessions = new Map<string, SignedIn>();
  #port = 0;
  readonly #pageToken = randomBytes(16).toString('hex');
  /** Requests so far, by path: for tests. */
  readonly requests = new Map<string, number>();

  /** Listens when it settles. Rejects with SourceError. */
  static async start(options: SimulatorOptions): Promise<EmsSimulator> {
    const simulator = new EmsSimulator(options);
    const { address, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      simulator.#server.once('error', (cause) =>
        reject(new SourceError(`cannot listen on ${endpointText(options.listen)}: ${cause.message}`, { cause })),
      );
      simulator.#server.listen(port, address, resolve);
    });
    simulator.#server.on('error', () => {});
    simulator.#port = (simulator.#server.address() as AddressInfo).port;
    return simulator;
  }

  private constructor(options: SimulatorOptions) {
    this.#options = options;
    this.authority = new SimulatedAuthority(options.directory, options.serial);
    this.endpoints = new SimulatedEndpoints(join(options.directory, 'endpoints.json'));
    const names = new Set(['localhost', '127.0.0.1', ...(options.names ?? [])]);
    if (!/^(0\.0\.0\.0|::)$/.test(options.listen.address)) names.add(options.listen.address);
    const { key, certificate } = this.authority.server([...names]);
    this.#server = createServer({ key, cert: certificate + this.authority.certificate }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.maxConnections = 256;
  }

  get directory(): string {
    return this.#options.directory;
  }

  get port(): number {
    return this.#port;
  }

  /** Adds an endpoint, with a certificate of its own; one that is known keeps what it has. */
  register(given: Partial<SimulatedEndpoint> & { readonly addresses: readonly string[] }): SimulatedEndpoint {
    const uid = given.uid ?? randomBytes(16).toString('hex').toUpperCase();
    const known = this.endpoints.get(uid);
    if (known !== undefined) {
      if (given.addresses.join() !== known.addresses.join()) this.endpoints.change(uid, { addresses: given.addresses });
      return this.endpoints.get(uid) ?? known;
    }
    const endpoint: SimulatedEndpoint = {
      hostname: 'PC',
      user: 'user',
      os: 'windows',
      macs: [],
      antivirus: true,
      lowRisk: true,
      online: true,
      revoked: false,
      quarantined: false,
      ...given,
      uid,
      certificateSerial: this.authority.endpoint(uid).serial,
    };
    this.endpoints.put(endpoint);
    return endpoint;
  }

  /** Every sign-in is forgotten. */
  expireSessions(): void {
    this.#sessions.clear();
  }

  async close(): Promise<void> {
    this.endpoints.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://ems');
    const { pathname } = url;
    this.requests.set(pathname, (this.requests.get(pathname) ?? 0) + 1);
    if (pathname === '/' && request.method === 'GET') {
      const body = page(this.#options.serial, this.endpoints.values(), this.#pageToken);
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'x-frame-options': 'DENY' }).end(body);
      return;
    }
    if (pathname.startsWith('/endpoints/') && request.method === 'POST') {
      await this.#pressed(pathname.slice('/endpoints/'.length), request, response);
      return;
    }
    if (pathname === EMS_API.signIn && request.method === 'POST') {
      await this.#signIn(request, response);
      return;
    }
    const session = this.#sessionOf(request);
    if (session === undefined) {
      envelope(response, 401, RETVAL.sessionExpired, 'Session has expired or does not exist.');
      return;
    }
    if (request.method !== 'GET' && !this.#mayChange(request, session)) {
      envelope(response, 403, RETVAL.failed, 'CSRF verification failed.');
      return;
    }
    await this.#call(url, request, response);
  }

  async #call(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (`${request.method} ${url.pathname}`) {
      case `GET ${EMS_API.signOut}`:
        this.#sessions.delete(cookies(request).get('sessionid') ?? '');
        envelope(response, 200, RETVAL.done, 'Signed out.');
        break;
      case `GET ${EMS_API.serialNumber}`:
        envelope(response, 200, RETVAL.done, '', { serial_number: this.#options.serial });
        break;
      case `GET ${EMS_API.tags}`:
        await this.#tags(url.searchParams, response);
        break;
      case `POST ${EMS_API.quarantine}`:
        await this.#quarantine(request, response, true);
        break;
      case `POST ${EMS_API.unquarantine}`:
        await this.#quarantine(request, response, false);
        break;
      default:
        envelope(response, 404, RETVAL.failed, 'No such call.');
    }
  }

  async #signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = record(await bodyOf(request));
    const { username, password } = this.#options;
    if (given === undefined || !equal(given['name'], username) || !equal(given['password'], password)) {
      envelope(response, 401, RETVAL.failed, 'Invalid username or password.');
      return;
    }
    const id = randomBytes(16).toString('hex');
    const csrf = randomBytes(16).toString('hex');
    if (this.#sessions.size >= SESSIONS) this.#sessions.clear();
    this.#sessions.set(id, { csrf });
    response.setHeader('set-cookie', [
      `csrftoken=${csrf}; Path=/; Secure; SameSite=Strict`,
      `sessionid=${id}; Path=/; Secure; HttpOnly`,
    ]);
    envelope(response, 200, RETVAL.done, 'Login successful.');
  }

  #sessionOf(request: IncomingMessage): SignedIn | undefined {
    return this.#sessions.get(cookies(request).get('sessionid') ?? '');
  }

  #mayChange(request: IncomingMessage, { csrf }: SignedIn): boolean {
    return (
      equal(request.headers['x-csrftoken'], csrf) &&
      equal(cookies(request).get('csrftoken'), csrf) &&
      request.headers.referer?.startsWith('https://') === true
    );
  }

  async #tags(query: URLSearchParams, response: ServerResponse): Promise<void> {
    const { boot } = this.endpoints;
    const since = Number(query.get('since') ?? Number.NaN);
    if (query.get('boot') === boot && Number.isSafeInteger(since)) {
      const wait = Math.min(LONGEST_WAIT, 1000 * Number(query.get('wait') ?? 0)) || 0;
      await this.endpoints.changed(since, wait);
      const changes = this.endpoints.since(since);
      if (changes !== undefined) {
        const { revision } = this.endpoints;
        const endpoints = changes.changed.map(described);
        envelope(response, 200, RETVAL.done, '', {
          ...{ boot, revision, full: false, more: false },
          ...{ endpoints, removed: changes.removed },
        });
        return;
      }
    }
    const count = Math.max(1, Math.min(PAGE, Number(query.get('count') ?? PAGE) || PAGE));
    const after = query.get('after') ?? '';
    const behind = this.endpoints.values().filter(({ uid }) => uid > after);
    envelope(response, 200, RETVAL.done, '', {
      ...{ boot, revision: this.endpoints.revision, full: true, more: behind.length > count },
      ...{ endpoints: behind.slice(0, count).map(described), removed: [] },
    });
  }

  async #quarantine(request: IncomingMessage, response: ServerResponse, quarantined: boolean): Promise<void> {
    const given = record(await bodyOf(request));
    const { uid, ip } = given ?? {};
    const endpoint =
      typeof uid === 'string' ? this.endpoints.get(uid) : typeof ip === 'string' ? this.endpoints.at(ip) : undefined;
    if (endpoint === undefined) envelope(response, 200, RETVAL.noEndpoint, 'Endpoint not found.');
    else if (endpoint.os === 'linux')
      envelope(response, 200, RETVAL.notSupported, 'Quarantine is not supported on FortiClient (Linux).');
    else {
      this.endpoints.change(endpoint.uid, { quarantined });
      envelope(response, 200, RETVAL.done, quarantined ? 'Endpoint quarantined.' : 'Endpoint unquarantined.');
    }
  }

  /** A button of the page. */
  async #pressed(uid: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await bodyOf(request));
    const name = form.get('set') ?? '';
    if (!equal(form.get('token'), this.#pageToken)) response.writeHead(403).end('reload the page first\n');
    else if (!(SWITCHES as readonly string[]).includes(name)) response.writeHead(400).end('no such switch\n');
    else if (!this.endpoints.change(uid, { [name as Switch]: form.get('to') === 'on' }))
      response.writeHead(404).end('no such endpoint\n');
    else response.writeHead(303, { location: '/' }).end();
  }
}

/** As `EMS_API.tags` tells of it. */
function described(endpoint: SimulatedEndpoint): Readonly<Record<string, unknown>> {
  const { uid, certificateSerial, revoked, online, user, hostname, os, addresses, macs, quarantined } = endpoint;
  return {
    uid,
    certificate_sn: certificateSerial,
    revoked,
    online,
    domain: '',
    user,
    owner: '',
    hostname,
    os,
    ip: addresses,
    mac: macs,
    tags: tagsOf(endpoint),
    quarantined,
  };
}

function envelope(response: ServerResponse, status: number, retval: number, message: string, data?: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ result: { retval, message }, ...(data === undefined ? {} : { data }) }));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > REQUEST) throw new SourceError('the request is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function record(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function cookies(request: IncomingMessage): Map<string, string> {
  const pairs = (request.headers.cookie ?? '').split(';').map((each) => each.trim().split('='));
  return new Map(pairs.map(([name = '', value = '']) => [name, value]));
}

function equal(given: unknown, wanted: string): boolean {
  if (typeof given !== 'string') return false;
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
