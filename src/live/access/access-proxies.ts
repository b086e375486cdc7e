/**
 * The access proxies of one process (`config firewall access-proxy`): a door for each, which lets clients in by their certificates, their
 * requests and the rules, in this order: TLS and the certificate, the request, the API gateway and its real server, the rules. What a client
 * is told before its certificate was found good is nothing but that.
 */
import { Buffer } from 'node:buffer';
import { constants, type X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Config } from '../../config/config.js';
import { implicitMatch, type PolicyMatch } from '../../config/match-policy.js';
import { ConfigError } from '../../core/errors.js';
import type { Limits } from '../../core/limits.js';
import { type Endpoint, endpointText, type InterfaceFacts, type UserFacts } from '../../core/session.js';
import type { EndpointRegistry } from '../../ztna/endpoint-registry.js';
import { RealServers } from '../../ztna/real-servers.js';
import { type Denial, denialPage, denialText, plainAnswer, SWITCHING, signInPage } from '../../ztna/reply.js';
import { type ForwardRequest, HEAD_BYTES, parseForwardRequest } from '../../ztna/request.js';
import { type AccessRequest, AccessRules, type Device, type Ruled } from '../../ztna/rules.js';
import { signedIn } from '../../ztna/users.js';
import { plainAddress } from '../addresses.js';
import { Head } from '../front/head.js';
import { resolved } from '../front/wanted.js';
import type { AccessFacts, Admission } from '../live-session.js';
import type { Door } from '../process-share.js';
import { expected } from '../routes.js';
import { localSigner, parsed, pems } from '../tls/trust-store.js';
import { deviceOf } from './device-certificate.js';
import { TlsShell } from './tls-shell.js';

/** A client that was not let in. */
export interface DeniedClient {
  readonly id: number;
  readonly client: Endpoint;
  /** The VIP. */
  readonly dialled: Endpoint;
  /** The policy that decided, or 0. */
  readonly match: PolicyMatch;
  readonly srcIntf: InterfaceFacts;
  readonly dstIntf: InterfaceFacts;
  readonly user: UserFacts;
  readonly gatewayId: number | undefined;
  readonly vip: string;
  readonly accessProxy: string;
  readonly device: Device | undefined;
  /** In words. */
  readonly why: string;
  /** Rules were asked, and this is what they said. */
  readonly ruled: 'no-match' | 'deny' | undefined;
}

export interface AccessEnvironment {
  readonly limits: Limits;
  readonly registry: EndpointRegistry;
  /** Puts it on record. */
  denied(client: DeniedClient): void;
}

type Entry<T> = T extends ReadonlyMap<string, infer E> ? E : never;
type AccessProxy = Entry<Config['sections']['firewall access-proxy']>;
type Vip = Entry<Config['sections']['firewall vip']>;

/** Milliseconds that a client gets to take what it is told. */
const LAST_WORDS = 2_000;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

export class AccessProxies {
  readonly doors: readonly Door[];
  readonly rules: AccessRules;
  readonly #proxies: ReadonlyMap<string, OneProxy>;

  /** `taken`: other doors. Throws ConfigError, a line for each thing that is wrong. */
  constructor(config: Config, taken: readonly Door[], environment: AccessEnvironment) {
    this.rules = new AccessRules(config, environment.registry, Date.now);
    const problems: string[] = [];
    const authorities = authoritiesOf(config);
    const proxies = new Map<string, OneProxy>();
    for (const proxy of config.sections['firewall access-proxy'].values()) {
      const vip = config.sections['firewall vip'].get(proxy.vip ?? '');
      const where = `line ${proxy.at.line}: access-proxy ${proxy.key}`;
      try {
        if (vip?.type !== 'access-proxy') throw new ConfigError('set vip to one of type access-proxy');
        if (!vip.status) continue;
        const one = new OneProxy({ config, environment, proxy, vip, authorities, rules: this.rules });
        const at = endpointText(one.door.listen);
        const others = [...taken, ...[...proxies.values()].map(({ door }) => door)];
        const other = others.find((each) => endpointText(each.listen) === at);
        if (other !== undefined) throw new ConfigError(`${at} is ${other.name}'s already`);
        proxies.set(proxy.key, one);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        problems.push(`${where}: ${error.message}`);
      }
    }
    if (problems.length > 0) throw new ConfigError(problems);
    this.#proxies = proxies;
    this.doors = [...proxies.values()].map(({ door }) => door);
  }

  /** Whether a session that was let in would be now. */
  again({ request, asked }: AccessFacts): Ruled {
    const ruled = this.rules.match(request);
    const servers = this.#proxies.get(request.accessProxy)?.servers;
    const stillMapped = servers !== undefined && typeof servers.find(asked, request.server.address) !== 'string';
    return ruled.verdict === 'accept' && !stillMapped ? { ...ruled, verdict: 'unmatched', code: 'no-policy' } : ruled;
  }
}

interface ProxySetup {
  readonly config: Config;
  readonly environment: AccessEnvironment;
  readonly proxy: AccessProxy;
  readonly vip: Vip;
  readonly authorities: readonly X509Certificate[];
  readonly rules: AccessRules;
}

/** A client that showed what it has, and is not let in yet. */
interface Arrival {
  readonly id: number;
  readonly socket: Socket;
  readonly shell: TlsShell;
  readonly tls: TLSSocket;
  readonly client: Endpoint;
  readonly dialled: Endpoint;
}

/** What is known of it when it is turned away. */
interface SoFar {
  readonly device?: Device | undefined;
  readonly asked?: ForwardRequest['asked'];
  readonly gatewayId?: number;
  readonly user?: string | undefined;
  readonly ruled?: Ruled;
}

class OneProxy {
  readonly door: Door;
  readonly servers: RealServers;
  readonly #setup: ProxySetup;
  readonly #context: SecureContext;
  readonly #asksCertificate: boolean;
  readonly #takesNone: boolean;

  constructor(setup: ProxySetup) {
    const { config, proxy, vip, authorities } = setup;
    this.#setup = setup;
    const [external] = vip.extip;
    const { extport } = vip;
    if (external === undefined || extport === undefined) throw new ConfigError(`vip ${vip.key}: set extip and extport`);
    const [name] = vip.sslCertificate;
    const local = config.sections['vpn certificate local'].get(name ?? '');
    if (local === undefined)
      throw new ConfigError(`vip ${vip.key}: set ssl-certificate to one of "config vpn certificate local"`);
    const signer = localSigner(local);
    this.#context = createSecureContext({
      key: signer.key.export({ type: 'pkcs8', format: 'pem' }),
      cert: pems(local.certificate ?? '').join('\n'),
      ca: authorities.map((each) => each.toString()),
      minVersion: 'TLSv1.2',
      // A client's certificate is looked at each time it comes.
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    this.servers = new RealServers(config, proxy);
    this.#asksCertificate = vip.clientCert === undefined ? proxy.clientCert : vip.clientCert === 'enable';
    this.#takesNone = !this.#asksCertificate || (vip.emptyCertAction ?? proxy.emptyCertAction) !== 'block';
    this.door = {
      name: `access-proxy ${proxy.key}`,
      listen: { address: external.from, port: extport.from },
      server: undefined,
      admit: (socket, id) => this.#admit(socket, id),
    };
  }

  async #admit(socket: Socket, id: number): Promise<Admission | undefined> {
    const client = { address: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
    const dialled = { address: plainAddress(socket.localAddress ?? ''), port: socket.localPort ?? 0 };
    const shell = new TlsShell(socket);
    const tls = new TLSSocket(shell as never, {
      isServer: true,
      secureContext: this.#context,
      requestCert: this.#asksCertificate,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    shell.watch(tls);
    tls.on('error', () => {});
    const arrival: Arrival = { id, socket, shell, tls, client, dialled };
    if (!(await secured(tls))) {
      this.#record(arrival, {}, 'TLS handshake failed');
      return undefined;
    }
    const device = this.#asksCertificate ? deviceOf(tls, this.#setup.authorities, Date.now()) : 'empty';
    const head = new Head(tls, HEAD_BYTES);
    const bytes = await head.until(END_OF_HEAD);
    const { full } = head;
    const ahead = head.rest();
    if (bytes === undefined) {
      if (full) await this.#turnAway(arrival, {}, '431 Request Header Fields Too Large', 'header too large');
      else this.#record(arrival, {}, 'no request');
      return undefined;
    }
    if (device === 'invalid' || (device === 'empty' && !this.#takesNone))
      return this.#deny(arrival, {}, { kind: 'certificate', code: device });
    const known = device === 'empty' ? undefined : device;
    const request = parseForwardRequest(bytes.toString('latin1'));
    if ('status' in request) {
      // A path that no gateway has is answered as FortiOS does.
      if (request.status === 404)
        return this.#deny(arrival, { device: known }, { kind: 'gateway', code: 'no-gateway' });
      return this.#turnAway(arrival, { device: known }, STATUS[request.status], request.why);
    }
    // What comes before the answer could be taken for another request by somebody else.
    if (ahead.length > 0 || (!request.encrypted && shell.waiting > 0))
      return this.#turnAway(arrival, { device: known }, '400 Bad Request', 'bytes before the answer');
    if (wrongHost(tls, request))
      return this.#turnAway(arrival, { device: known }, '421 Misdirected Request', 'SNI and Host differ');
    if (!request.encrypted) shell.hold();
    return this.#rule(arrival, request, known);
  }

  async #rule(arrival: Arrival, request: ForwardRequest, device: Device | undefined): Promise<Admission | undefined> {
    const { config, proxy, vip, rules } = this.#setup;
    const { asked } = request;
    const so: SoFar = { device, asked };
    const lost = this.servers.mayLead(asked.host);
    if (lost !== undefined) return this.#deny(arrival, so, { kind: 'gateway', code: lost });
    const server = await resolved({ address: asked.host, port: asked.port });
    if (server === undefined) return this.#deny(arrival, so, { kind: 'gateway', code: 'no-such-name' });
    const found = this.servers.find(asked, server.address);
    if (typeof found === 'string') return this.#deny(arrival, so, { kind: 'gateway', code: found });
    const user = signedIn(config, request.authorization);
    const accessRequest: AccessRequest = {
      client: arrival.client,
      server,
      accessProxy: proxy.key,
      srcintf: vip.extintf === 'any' ? undefined : vip.extintf,
      device,
      user,
    };
    const ruled = rules.match(accessRequest);
    const known: SoFar = { ...so, ...found, user, ruled };
    if (ruled.verdict === 'sign-in') {
      this.#record(arrival, known, 'Server authentication required');
      await told(arrival, signInPage());
      return undefined;
    }
    if (ruled.verdict !== 'accept')
      return this.#deny(arrival, known, { kind: 'policy', code: ruled.code ?? 'no-policy' });
    const { id, client, dialled } = arrival;
    return {
      id,
      client,
      dialled,
      server,
      match: { ...ruled.match, dstUuid: undefined },
      ...this.#interfaces(ruled.match),
      user: this.#user(device, user),
      ...expected(ruled.match, [server.port]),
      access: {
        request: accessRequest,
        match: ruled.match,
        asked,
        ...found,
        vip: vip.key,
        accessProxy: proxy.key,
        logDenied: proxy.logBlockedTraffic,
        threshold: {
          enter: () => entered(arrival, request.encrypted),
          refuse: () => told(arrival, plainAnswer('504 Gateway Timeout')),
        },
      },
    };
  }

  async #deny(arrival: Arrival, so: SoFar, denial: Denial): Promise<undefined> {
    this.#record(arrival, so, denialText(denial));
    const endpoint = so.device === undefined ? undefined : this.#setup.environment.registry.byUid(so.device.uid);
    await told(
      arrival,
      denialPage(denial, {
        user: so.user,
        certificateSerial: so.device?.serial,
        deviceId: so.device?.uid,
        destination: so.asked === undefined ? undefined : endpointText({ address: so.asked.host, port: so.asked.port }),
        emsSerial: endpoint?.emsSerial,
        time: new Date(),
      }),
    );
    return undefined;
  }

  async #turnAway(arrival: Arrival, so: SoFar, status: string, why: string): Promise<undefined> {
    this.#record(arrival, so, why);
    await told(arrival, plainAnswer(status));
    return undefined;
  }

  #record({ id, client, dialled }: Arrival, so: SoFar, why: string): void {
    const { config, environment, proxy, vip } = this.#setup;
    if (!proxy.logBlockedTraffic) return;
    const { ruled } = so;
    const match = ruled?.match ?? implicitMatch(config, 'proxy-policy');
    environment.denied({
      id,
      client,
      dialled,
      match,
      ...this.#interfaces(match),
      user: this.#user(so.device, so.user),
      gatewayId: so.gatewayId,
      vip: vip.key,
      accessProxy: proxy.key,
      device: so.device,
      why,
      ruled:
        ruled === undefined || ruled.verdict === 'sign-in' ? undefined : ruled.verdict === 'deny' ? 'deny' : 'no-match',
    });
  }

  #interfaces(match: PolicyMatch): Pick<Admission, 'srcIntf' | 'dstIntf'> {
    const { config, vip } = this.#setup;
    const own = vip.extintf === 'any' ? undefined : vip.extintf;
    const name = own ?? match.admission?.srcintf ?? this.#soleInterface() ?? 'unknown-0';
    return {
      srcIntf: { name, role: config.sections['system interface'].get(name)?.role ?? 'undefined' },
      // As FortiOS has it: the far end of an access proxy is the VDOM itself.
      dstIntf: { name: config.vdom, role: 'undefined' },
    };
  }

  /** What all rules of the proxy say that name an interface. */
  #soleInterface(): string | undefined {
    const { config, proxy } = this.#setup;
    const named = new Set(
      [...config.sections['firewall proxy-policy'].values()]
        .filter(({ accessProxy }) => accessProxy.includes(proxy.key))
        .flatMap(({ srcintf }) => srcintf.filter((each) => each !== 'any')),
    );
    return named.size === 1 ? [...named][0] : undefined;
  }

  #user(device: Device | undefined, user: string | undefined): UserFacts {
    const { config, environment } = this.#setup;
    const endpoint = device === undefined ? undefined : environment.registry.byUid(device.uid);
    const groups = [...config.sections['user group'].values()].filter(
      ({ member }) => user !== undefined && member.includes(user),
    );
    return {
      ...(device === undefined ? {} : { fctuid: device.uid }),
      ...(endpoint?.user === undefined ? {} : { unauthuser: endpoint.user, unauthusersource: 'forticlient' }),
      ...(endpoint?.domain === undefined ? {} : { srcdomain: endpoint.domain }),
      ...(user === undefined ? {} : { user }),
      ...(groups[0] === undefined ? {} : { group: groups[0].key }),
    };
  }
}

const STATUS = {
  400: '400 Bad Request',
  405: '405 Method Not Allowed',
  426: '426 Upgrade Required',
} as const;

/** The authorities that may say who an endpoint is. Throws ConfigError. */
function authoritiesOf(config: Config): X509Certificate[] {
  return config.sections['authentication setting'].userCertCa.flatMap((name) => {
    const { ca } = config.sections['vpn certificate ca'].get(name) ?? { ca: undefined };
    const found = pems(ca ?? '').map((pem) => parsed(pem, `config vpn certificate ca / edit "${name}"`));
    if (found.length === 0)
      throw new ConfigError(`config vpn certificate ca / edit "${name}": is no certificate in PEM`);
    return found;
  });
}

function secured(tls: TLSSocket): Promise<boolean> {
  return new Promise((resolve) => {
    tls.once('secure', () => {
      tls.pause();
      resolve(true);
    });
    for (const event of ['error', 'close', 'end'] as const) tls.once(event, () => resolve(false));
  });
}

/** A client that asked TLS for one host and HTTP for another. By an address nothing can be told. */
function wrongHost(tls: TLSSocket, { host }: ForwardRequest): boolean {
  const { servername } = tls as TLSSocket & { readonly servername?: string | false };
  return typeof servername === 'string' && isIP(host) === 0 && servername.toLowerCase() !== host;
}

/** 101, and the stream that follows it: inside TLS, or, with the shell taken off, outside. */
function entered({ socket, shell, tls }: Arrival, encrypted: boolean): Promise<TLSSocket | Socket> {
  return new Promise((resolve, reject) => {
    const lost = (): void => reject(new Error('lost'));
    tls.once('close', lost);
    tls.write(SWITCHING, (error) => {
      tls.removeListener('close', lost);
      if (error != null) return reject(error);
      if (encrypted) {
        shell.open();
        return resolve(tls);
      }
      const plain = shell.takeOff();
      tls.destroy();
      resolve(plain);
    });
    if (socket.destroyed) lost();
  });
}

/** Settles when it went, or the client did not take it. */
function told({ socket, shell, tls }: Arrival, page: Buffer): Promise<void> {
  shell.open();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, LAST_WORDS);
    socket.once('close', done);
    // The client has taken it when it ends its side too.
    tls.once('end', done);
    tls.resume();
    tls.end(page);
  });
}
