/**
 * TLS between the ends of a session, terminated on both. First the client's hello is read, then the server is asked with the same name and
 * protocols, its certificate judged as the profile says, and only then the client gets a certificate that stands in for it. Nothing of
 * the client's is sent before the server was judged.
 */
import { Buffer } from 'node:buffer';
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type ConnectionOptions,
  type SecureContext,
  type SecureVersion,
  TLSSocket,
  connect as tlsConnect,
} from 'node:tls';
import type { ClientHello } from '../../../protocols/tls/hello.js';
import type { Config } from '../../config/config.js';
import { addressMatcher } from '../../config/match-policy.js';
import type { Limits } from '../../core/limits.js';
import type { SessionInfo, TlsFacts } from '../../core/session.js';
import { sessionOf } from '../../inspector/session-facts.js';
import type { RecordContext } from '../../log/header.js';
import type { LogRecord } from '../../log/record.js';
import { type SslEventName, sslRecord } from '../../log/ssl.js';
import type { SslProfile, SslProtocol, SslVersion } from '../../policy/ssl-profile.js';
import type { TlsEnds } from '../../stage/streams.js';
import type { LiveSession, TlsRequest } from '../live-session.js';
import { type Authorities, authorities } from './authority.js';
import { type Defect, defectsOf, type NestedCertificate, rawChain } from './defects.js';
import { HonestEnd } from './honest-end.js';
import { saysRevoked } from './ocsp.js';
import { peekClientHello } from './peek.js';
import { StandIns } from './stand-ins.js';
import { TrustStore } from './trust-store.js';

export interface InterceptorSetup {
  readonly config: Config;
  /** Where our own authorities live. */
  readonly stateDirectory: string;
  readonly limits: Limits;
}

/** Writes the record that is made. */
type Log = (make: (context: RecordContext) => LogRecord) => void;

/** What is kept of a session for the connections that it announces. */
interface Kept {
  readonly context: SecureContext;
  readonly certificate: X509Certificate;
  /** The newest ticket of the server. */
  ticket: Buffer | undefined;
  readonly version: SecureVersion;
}

/** Alert descriptions (RFC 8446 §6). */
const ALERT = {
  unexpectedMessage: 10,
  handshakeFailure: 40,
  badCertificate: 42,
  certificateRevoked: 44,
  certificateExpired: 45,
  unknownCa: 48,
  protocolVersion: 70,
  internalError: 80,
  unrecognizedName: 112,
  noApplicationProtocol: 120,
} as const;

/** A handshake that ends here, and what the client is told of it. */
class Refused extends Error {
  readonly event: SslEventName;
  readonly alert: number;
  readonly detail: string | undefined;

  constructor(event: SslEventName, alert: number, detail?: string) {
    super(detail ?? event);
    this.event = event;
    this.alert = alert;
    this.detail = detail;
  }
}

const VERSIONS: Readonly<Record<SslVersion, SecureVersion>> = {
  'ssl-3.0': 'TLSv1',
  'tls-1.0': 'TLSv1',
  'tls-1.1': 'TLSv1.1',
  'tls-1.2': 'TLSv1.2',
  'tls-1.3': 'TLSv1.3',
};
/**
 * What is spoken with servers from TLS 1.2 on: forward secrecy and AEAD, keys that nobody breaks; static RSA, CBC, small Diffie-Hellman groups
 * are refused (RFC 9325 §4.2).
 */
const CIPHERS =
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:@SECLEVEL=2';
/** OpenSSL leaves versions before 1.2 to its lowest security level. */
const OLD_CIPHERS = 'DEFAULT@SECLEVEL=0';
const MOST_CHAIN = 10;

export class Interceptor {
  readonly #limits: Limits;
  readonly #own: Authorities;
  readonly #standIns: StandIns;
  readonly #kept = new WeakMap<LiveSession, Kept>();
  /** Servers that asked for a client certificate, by address and name: their connections pass unread. */
  readonly #asking = new Set<string>();
  #config: Config;
  #trust: TrustStore;
  #handshakes = 0;

  /** Makes what is missing in the state directory. Rejects with SourceError or ConfigError. */
  static async create(setup: InterceptorSetup): Promise<Interceptor> {
    const own = authorities(setup.stateDirectory);
    return new Interceptor(setup, own, await StandIns.create(setup.limits.certificates));
  }

  private constructor(setup: InterceptorSetup, own: Authorities, standIns: StandIns) {
    this.#limits = setup.limits;
    this.#own = own;
    this.#standIns = standIns;
    this.#config = setup.config;
    this.#trust = new TrustStore(setup.config, own);
  }

  /** Reads another configuration, which `commit` makes that of the handshakes to come. Throws ConfigError. */
  prepare(config: Config): { commit(): void } {
    const trust = new TrustStore(config, this.#own);
    return {
      commit: () => {
        this.#trust = trust;
        this.#config = config;
        this.#standIns.clear();
        this.#asking.clear();
      },
    };
  }

  /** Undefined: it was refused, and the client was told so. `pass`: policy wants it unread. Never rejects. */
  async intercept(request: TlsRequest, log: Log): Promise<TlsEnds | 'pass' | undefined> {
    const { session, client } = request;
    const profile = session.admission.match.admission?.ssl;
    if (profile === undefined) return 'pass';
    const options = profile.protocols[session.admission.tls.key];
    const say = (name: SslEventName, tls: TlsFacts | undefined, detail?: string, hostname?: string): void =>
      log((context) =>
        sslRecord(
          {
            name,
            profile: profile.name,
            ...(detail === undefined ? {} : { detail }),
            ...(hostname === undefined ? {} : { hostname }),
          },
          factsOf(session, tls),
          context,
        ),
      );
    if (this.#handshakes >= this.#limits.handshakes) {
      say('handshake-failed', undefined, 'too many handshakes at once');
      await lastWords(client, ALERT.internalError);
      return undefined;
    }
    this.#handshakes++;
    let hello: ClientHello | undefined;
    try {
      hello = await peekClientHello(client, this.#limits.tlsHandshake, this.#limits.handshakeTime);
      if (hello === undefined) throw new Refused('blocked', ALERT.unexpectedMessage);
      if (hello.badName) throw new Refused('blocked', ALERT.unrecognizedName, 'bad server name');
      // A name beside a hello that is sealed is not where the client goes.
      const exempt = this.#exemption(profile, session, hello.encryptedHello ? undefined : hello.serverName);
      if (exempt !== undefined && request.how !== 'data') {
        if (profile.logs.exemptions) say(exempt, seenFacts(hello));
        return 'pass';
      }
      if (options.clientCertificate === 'bypass' && this.#asking.has(askingKey(session, hello.serverName))) {
        say('bypassed', seenFacts(hello));
        return 'pass';
      }
      return await this.#both(request, hello, profile, options, say);
    } catch (error) {
      const refused = error instanceof Refused ? error : undefined;
      const event = refused?.event ?? 'handshake-failed';
      const silent =
        event === 'handshake-failed' || event === 'blocked' ? !profile.logs.negotiation : !profile.logs.anomalies;
      if (!silent)
        say(event, seenFacts(hello), refused === undefined ? codeOf(error) : refused.detail, hello?.serverName);
      await lastWords(client, refused?.alert ?? ALERT.handshakeFailure);
      return undefined;
    } finally {
      this.#handshakes--;
    }
  }

  async #both(
    request: TlsRequest,
    hello: ClientHello,
    profile: SslProfile,
    options: SslProtocol,
    say: (name: SslEventName, tls: TlsFacts | undefined, detail?: string, hostname?: string) => void,
  ): Promise<TlsEnds | 'pass'> {
    const { session } = request;
    const isData = request.how === 'data';
    const kept = isData ? this.#kept.get(session) : undefined;
    const minVersion = VERSIONS[options.minVersion];
    const old = minVersion === 'TLSv1' || minVersion === 'TLSv1.1';
    const limit = { minVersion, ciphers: old ? OLD_CIPHERS : CIPHERS };
    const honest = isData ? new HonestEnd(request.server) : undefined;
    let stapled: Buffer | undefined;
    // Node's types leave requestOCSP out.
    const wanted: ConnectionOptions & { readonly requestOCSP: true } = {
      socket: honest ?? request.server,
      rejectUnauthorized: false,
      requestOCSP: true,
      // Names are checked with the other defects: Node's answer would hide that the chain is good.
      checkServerIdentity: () => undefined,
      // A session is resumed with the version that it was made with.
      secureContext: this.#trust.context(
        kept === undefined ? limit : { ...limit, minVersion: kept.version, maxVersion: kept.version },
      ),
      // An address is no server name (RFC 6066 §3); that the certificate is for it is checked all the same.
      ...(hello.serverName === undefined || isIP(hello.serverName) !== 0 ? {} : { servername: hello.serverName }),
      ...(hello.alpn.length === 0 ? {} : { ALPNProtocols: [...hello.alpn] }),
      ...(kept?.ticket === undefined ? {} : { session: kept.ticket }),
    };
    const upstream = tlsConnect(wanted);
    honest?.watch(upstream);
    upstream.on('OCSPResponse', (answer: Buffer | null) => {
      stapled = answer ?? undefined;
    });
    let newest: Buffer | undefined;
    let keep: Kept | undefined;
    upstream.on('session', (ticket: Buffer) => {
      newest = ticket;
      if (keep !== undefined) keep.ticket = ticket;
    });
    upstream.on('error', () => {});
    await this.#within(upstream, 'secureConnect', ALERT.handshakeFailure);

    const chain = rawChain(upstream.getPeerCertificate(true) as NestedCertificate, MOST_CHAIN).map(
      (raw) => new X509Certificate(raw),
    );
    const [leaf] = chain;
    const tls = factsFrom(upstream, hello.serverName);
    let context: SecureContext;
    if (kept !== undefined) {
      // A data connection speaks with the server that the control connection spoke with, or with none.
      if (!upstream.isSessionReused() && leaf?.raw.equals(kept.certificate.raw) !== true)
        throw new Refused('certificate-blocked', ALERT.badCertificate, 'not that of the control connection');
      context = kept.context;
    } else {
      if (leaf === undefined) throw new Refused('certificate-blocked', ALERT.badCertificate, 'invalid');
      if (options.clientCertificate !== 'inspect' && asksForCertificate(upstream)) {
        if (options.clientCertificate === 'block') throw new Refused('certificate-wanted', ALERT.handshakeFailure);
        this.#remember(session, hello);
        upstream.destroy();
        // Where the ends agreed on TLS in clear text, what they said cannot be said again: the next connection passes.
        if ((await request.redial?.()) !== true) throw new Refused('certificate-wanted', ALERT.handshakeFailure);
        say('bypassed', seenFacts(hello));
        return 'pass';
      }
      const presented = {
        chain,
        authorized: upstream.authorized,
        complaint: codeOf(upstream.authorizationError),
        name: hello.serverName,
        revoked: stapled !== undefined && saysRevoked(stapled, leaf),
      };
      const defects = defectsOf(presented, Date.now(), (root) => this.#trust.trusts(root));
      const signer = this.#judge(defects, options, profile, (name, detail) =>
        say(name, tls, detail, hello.serverName ?? commonName(leaf)),
      );
      // The client is never told of a newer version than the server speaks.
      const mirrored = {
        minVersion,
        maxVersion: (upstream.getProtocol() ?? 'TLSv1.2') as SecureVersion,
        ...(old ? { ciphers: OLD_CIPHERS } : {}),
      };
      const made =
        this.#trust.replacement(profile, mirrored) ??
        this.#standIns.contextFor(leaf, this.#trust.signer(profile, signer), mirrored);
      if (made === undefined) throw new Refused('certificate-blocked', ALERT.badCertificate, 'invalid');
      context = made;
    }

    const honestClient = isData ? new HonestEnd(request.client) : undefined;
    const downstream = new TLSSocket((honestClient ?? request.client) as never, {
      isServer: true,
      secureContext: context,
      ...(typeof upstream.alpnProtocol === 'string' ? { ALPNProtocols: [upstream.alpnProtocol] } : {}),
    });
    honestClient?.watch(downstream);
    downstream.on('error', () => {});
    try {
      await this.#within(downstream, 'secure', undefined);
    } catch (error) {
      upstream.destroy();
      throw error;
    }
    if (!isData && leaf !== undefined) {
      keep = {
        context,
        certificate: leaf,
        ticket: newest,
        version: (upstream.getProtocol() ?? 'TLSv1.2') as SecureVersion,
      };
      this.#kept.set(session, keep);
    }
    if (profile.logs.handshakes && !isData) say('handshake', tls);
    return {
      client: downstream,
      server: upstream,
      facts: tls,
    };
  }

  /** Which authority signs: the profile's word on the worst of the defects. Throws what ends the handshake. */
  #judge(
    defects: ReadonlySet<Defect>,
    options: SslProtocol,
    profile: SslProfile,
    say: (name: SslEventName, detail?: string) => void,
  ): 'trusted' | 'untrusted' {
    const wrongName = defects.has('wrong-name');
    if (wrongName && options.nameCheck === 'strict') throw new Refused('name-blocked', ALERT.unrecognizedName);
    if (wrongName && options.nameCheck === 'enable' && profile.logs.anomalies) say('name-passed');
    const allowed: Defect[] = [];
    for (const defect of ['revoked', 'expired', 'untrusted', 'invalid'] as const) {
      if (!defects.has(defect)) continue;
      const action = options[defect];
      if (action === 'block') throw new Refused('certificate-blocked', ALERT_FOR[defect], `${defect}.`);
      if (action === 'allow') allowed.push(defect);
    }
    if (allowed.length === 0) return 'trusted';
    if (profile.logs.anomalies) say('resigned-untrusted', allowed.join(', '));
    return 'untrusted';
  }

  #exemption(profile: SslProfile, session: LiveSession, name: string | undefined): SslEventName | undefined {
    for (const exemption of profile.exemptions) {
      if (exemption.kind === 'name') {
        if (name !== undefined && exemption.matches(name)) return 'exempt-name';
      } else if (addressMatcher(this.#config, exemption.object)(session.admission.server)) return 'exempt-address';
    }
    return undefined;
  }

  #remember(session: LiveSession, hello: ClientHello): void {
    this.#asking.add(askingKey(session, hello.serverName));
    if (this.#asking.size > this.#limits.certificates) this.#asking.delete(this.#asking.keys().next().value ?? '');
  }

  /** Waits for a handshake's end. Rejects with the error of the socket, or with `timeout`. */
  #within(socket: TLSSocket, event: 'secureConnect' | 'secure', alert: number | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        clearTimeout(timer);
        for (const each of ['error', 'close', 'end'] as const) socket.removeListener(each, onLost);
        socket.removeListener(event, onDone);
        if (error === undefined) {
          socket.pause();
          // Node 20 says nothing of the end of a stream that is ended from within this event in TLS 1.3: an empty file would look cut.
          setImmediate(resolve);
          return;
        }
        socket.destroy();
        const why = codeOf(error) ?? 'error';
        reject(new Refused('handshake-failed', alertOf(why) ?? alert ?? ALERT.internalError, why));
      };
      const onLost = (error?: Error): void => end(error ?? Object.assign(new Error('closed'), { code: 'closed' }));
      const onDone = (): void => end();
      const timer = setTimeout(
        () => end(Object.assign(new Error('timeout'), { code: 'timeout' })),
        this.#limits.handshakeTime,
      );
      for (const each of ['error', 'close', 'end'] as const) socket.once(each, onLost);
      socket.once(event, onDone);
    });
  }
}

const ALERT_FOR: Readonly<Record<Exclude<Defect, 'wrong-name'>, number>> = {
  revoked: ALERT.certificateRevoked,
  expired: ALERT.certificateExpired,
  untrusted: ALERT.unknownCa,
  invalid: ALERT.badCertificate,
};

function alertOf(code: string): number | undefined {
  if (code.includes('NO_APPLICATION_PROTOCOL')) return ALERT.noApplicationProtocol;
  return /VERSION|PROTOCOL/.test(code) ? ALERT.protocolVersion : undefined;
}

/** OpenSSL knows which signatures a server takes of a client only when the server asked for one. */
function asksForCertificate(upstream: TLSSocket): boolean {
  return upstream.getSharedSigalgs().length > 0;
}

function askingKey({ admission }: LiveSession, name: string | undefined): string {
  return `${admission.server.address} ${admission.server.port} ${name ?? ''}`;
}

/** A fatal alert in clear, for a client whose handshake will not come to be; settles when it is out, or cannot be. */
function lastWords(client: Duplex, description: number): Promise<void> {
  return new Promise((resolve) => {
    if (client.destroyed || !client.writable) return resolve();
    client.once('close', () => resolve());
    client.once('error', () => resolve());
    client.end(Buffer.from([0x15, 3, 1, 0, 2, 2, description]), () => resolve());
  });
}

function factsFrom(socket: TLSSocket, sni: string | undefined): TlsFacts {
  const { standardName } = socket.getCipher() ?? {};
  return { version: versionText(socket.getProtocol()), cipher: standardName, sni, decrypted: true };
}

function seenFacts(hello: ClientHello | undefined): TlsFacts {
  return { version: undefined, cipher: undefined, sni: hello?.serverName, decrypted: false };
}

function versionText(protocol: string | null): string | undefined {
  if (protocol === null) return undefined;
  const number = /^TLSv(1(?:\.\d)?)$/.exec(protocol)?.[1];
  return number === undefined ? protocol : `TLS ${number === '1' ? '1.0' : number}`;
}

function factsOf({ admission, service }: LiveSession, tls: TlsFacts | undefined): SessionInfo {
  const { id, client, server, srcIntf, dstIntf, user, match } = admission;
  return sessionOf(
    { id, client, server, service, tls, srcIntf, dstIntf, ...(user === undefined ? {} : { user }) },
    match,
  );
}

function commonName(certificate: X509Certificate): string | undefined {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1];
}

function codeOf(error: unknown): string | undefined {
  if (error === undefined || error === null) return undefined;
  if (typeof error === 'string') return error;
  const { code, message } = error as { code?: string; message?: string };
  return code ?? message;
}
