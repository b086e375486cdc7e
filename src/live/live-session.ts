/**
 * One session of the daemon, from a client that was admitted to the record of its end: reaches the server, terminates TLS where it is
 * implicit, joins both ends through the stage, and watches over time.
 */
import type { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PROTOCOLS } from '../../protocols/index.js';
import type { PolicyMatch } from '../config/match-policy.js';
import type { Related } from '../core/flow.js';
import { CLIENT, SERVER } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import type { Endpoint, InterfaceFacts, TlsFacts, UserFacts } from '../core/session.js';
import type { SslKey } from '../policy/ssl-profile.js';
import type { ConnectionFacts } from '../stage/connection.js';
import type { StageEvent } from '../stage/output.js';
import type { InspectionStage } from '../stage/stage.js';
import { type Ended, JoinedStreams, type TlsEnds } from '../stage/streams.js';
import type { Asked } from '../ztna/real-servers.js';
import type { AccessRequest } from '../ztna/rules.js';
import { plainAddress } from './addresses.js';
import { farewell } from './farewell.js';
import type { Pinhole, Pinholes } from './pinholes.js';

/** A client that policy let in, and where it is led. */
export interface Admission {
  readonly id: number;
  readonly client: Endpoint;
  /** The address and port that the client dialled: the VIP's. */
  readonly dialled: Endpoint;
  /** The real server. */
  readonly server: Endpoint;
  readonly match: PolicyMatch;
  readonly srcIntf: InterfaceFacts;
  readonly dstIntf: InterfaceFacts;
  readonly user?: UserFacts;
  /** The protocol that is expected, as logged without TLS; undefined where none of ours is. */
  readonly service: string | undefined;
  /** How TLS is treated: from the first byte on, when the ends agree on it, and what nobody reads. */
  readonly tls: TlsTreatment;
  /** Bytes of the client that were read while it was admitted. */
  readonly ahead?: Buffer;
  /** What the client's front door wants to hear, now that the server is reached. */
  readonly accept?: Buffer;
  /** Said to the client when the server cannot be reached, in the front door's words. */
  readonly unreachable?: Buffer;
  /** Where to dial in the server's place. */
  readonly via?: Endpoint;
  /** TLS that was taken off in front of us. */
  readonly decrypted?: TlsFacts;
  /** It came through an access proxy. */
  readonly access?: AccessFacts;
}

/** What an access proxy knows of a session. */
export interface AccessFacts {
  /** What its rules are asked. */
  readonly request: AccessRequest;
  /** The rule that let it in, with what matched its destination: records of files leave that out. */
  readonly match: PolicyMatch;
  readonly asked: Asked;
  readonly gatewayId: number;
  readonly vip: string;
  readonly accessProxy: string;
  /** Denied requests are put on record. */
  readonly logDenied: boolean;
  readonly threshold: Threshold;
}

/** What the client's stream begins behind. */
export interface Threshold {
  /** The server was reached: tells the client, and gives what the stream is carried in. */
  enter(): Promise<Duplex>;
  /** It cannot be reached: tells the client. */
  refuse(): Promise<void>;
}

/** `implicit`: it begins with a handshake; otherwise the ends may agree on it. Without `inspect`, what is TLS passes unread. */
export interface TlsTreatment {
  readonly implicit: boolean;
  readonly inspect: boolean;
  /** The section of the profile that holds. */
  readonly key: SslKey;
}

/** TLS is about to begin between the ends of a session. */
export interface TlsRequest {
  readonly session: LiveSession;
  readonly client: Duplex;
  readonly server: Duplex;
  /** Agreed on in clear text (STARTTLS), or from the first byte on. */
  readonly how: 'implicit' | 'upgraded' | 'data';
  /** Another connection to the server in the place of this one, on which a handshake began; undefined: there cannot be one. */
  redial?(): Promise<boolean>;
}

/** What a session uses of its process. */
export interface SessionEnvironment {
  readonly stage: InspectionStage;
  readonly limits: Limits;
  /** Terminates TLS on both ends; undefined when it was refused. `upgraded` false: implicit. */
  intercept(request: TlsRequest): Promise<TlsEnds | 'pass' | undefined>;
  readonly pinholes: Pinholes;
  event(session: LiveSession, event: StageEvent): void;
  /** It began to carry bytes. */
  opened(session: LiveSession): void;
  /** Over; `counters` are final. */
  closed(session: LiveSession, ended: SessionEnd): void;
}

export interface SessionEnd extends Omit<Ended, 'how'> {
  /** `unreachable`: the server. `timeout`: too long without a byte, or too few. `cut`: it is allowed no more. */
  readonly how: Ended['how'] | 'unreachable' | 'timeout' | 'tls-failed' | 'cut';
}

export class LiveSession {
  readonly admission: Admission;
  readonly started: number;
  readonly #client: Socket;
  readonly #environment: SessionEnvironment;
  #server: Socket | undefined;
  #joined: JoinedStreams | undefined;
  /** Connections that it announced and that are open. */
  readonly #data = new Set<JoinedStreams>();
  readonly #sockets = new Set<Socket>();
  /** Bytes of data connections that are over. */
  readonly #carried = { sent: 0, received: 0 };
  #over = false;
  #doubted: readonly [recheck: () => boolean, refused: () => void] | undefined;
  tls: TlsFacts | undefined;

  // What the watch saw last.
  #seen = 0;
  #seenAt: number;
  #slowSeen = 0;
  #slowAt: number;
  #timedOut: string | undefined;
  #cut: string | undefined;

  /** `client` is paused. `now`: milliseconds of a clock that only goes forward. */
  constructor(client: Socket, admission: Admission, environment: SessionEnvironment, now: number) {
    this.#client = client;
    this.admission = admission;
    this.tls = admission.decrypted;
    this.#environment = environment;
    this.started = now;
    this.#seenAt = now;
    this.#slowAt = now;
    client.on('error', () => {});
  }

  /** As logged without TLS: what was detected, else what is expected. */
  get service(): string | undefined {
    return this.#joined?.connection.service ?? this.admission.service;
  }

  /** Bytes on the client's wires, from it and to it, data connections included. */
  get clientBytes(): { readonly sent: number; readonly received: number } {
    let { sent, received } = this.#carried;
    for (const socket of [this.#client, ...this.#sockets]) {
      sent += socket.bytesRead;
      received += socket.bytesWritten;
    }
    return { sent, received };
  }

  /** Bytes on the wire of the server's control connection, from it and to it. */
  get serverBytes(): { readonly sent: number; readonly received: number } {
    return { sent: this.#server?.bytesRead ?? 0, received: this.#server?.bytesWritten ?? 0 };
  }

  get connection(): JoinedStreams['connection'] | undefined {
    return this.#joined?.connection;
  }

  /** Reaches the server and joins the ends. Settles when the session is over, and never rejects. */
  async run(): Promise<void> {
    const ended = await this.#run();
    if (this.#over) return;
    const end: SessionEnd = this.#cut === undefined ? ended : { how: 'cut', reason: this.#cut, side: undefined };
    this.#over = true;
    this.#environment.pinholes.sessionEnded(this.admission.id);
    for (const data of this.#data) data.abort('control-ended');
    this.#environment.closed(this, end);
  }

  /** Ends it, whatever it is doing. */
  abort(reason: string): void {
    if (this.#joined !== undefined) this.#joined.abort(reason);
    else {
      this.#client.resetAndDestroy();
      this.#server?.destroy();
    }
  }

  /** Ends it before another byte passes, connections that it announced included: it is allowed no more. False: it had ended. */
  cut(reason: string): boolean {
    if (this.#over || this.#cut !== undefined) return false;
    this.#cut = reason;
    this.#environment.pinholes.sessionEnded(this.admission.id);
    for (const data of this.#data) data.cut(reason);
    this.#joined?.cut(reason);
    // Whatever stands around the streams goes with the sockets.
    for (const socket of [this.#client, this.#server])
      if (socket?.destroyed === false)
        if (socket.writableEnded && !socket.writableFinished)
          // One that is sending its FIN cannot be reset, and Node 20 would keep its descriptor.
          socket.destroy();
        else socket.resetAndDestroy();
    return true;
  }

  /** Nothing passes before `recheck` says so; it is asked when something would. `refused` is called soon after it said no. */
  doubt(recheck: () => boolean, refused: () => void): void {
    this.#doubted = [recheck, refused];
    for (const joined of [this.#joined, ...this.#data]) joined?.doubt(recheck, refused);
  }

  /** Policy was asked: there is no doubt any more. */
  trust(): void {
    this.#doubted = undefined;
    for (const joined of [this.#joined, ...this.#data]) joined?.trust();
  }

  /** To be called every few seconds: ends it when nothing has come for too long, or too little of what is under way. */
  watch(now: number): void {
    const { limits } = this.#environment;
    const carried = this.clientBytes;
    const bytes = carried.sent + carried.received + (this.#server?.bytesRead ?? 0);
    if (bytes !== this.#seen) {
      this.#seen = bytes;
      this.#seenAt = now;
    }
    const midway = [this.#joined, ...this.#data].some((joined) => joined?.connection.midway === true);
    if (!midway || bytes - this.#slowSeen >= limits.slowBytes) {
      this.#slowSeen = bytes;
      this.#slowAt = now;
    }
    if (now - this.#seenAt > limits.idleTime) this.#timeout('idle');
    else if (now - this.#slowAt > limits.slowTime) this.#timeout('too-slow');
    else if (this.#awaitsGreeting && now - this.started > limits.greetingTime) this.#timeout('no-greeting');
  }

  /** The server has said nothing: where it speaks first, whatever the client said meanwhile. */
  get #awaitsGreeting(): boolean {
    if (this.#server?.bytesRead !== 0) return false;
    return this.#client.bytesRead === 0 || farewell(this.admission.service) !== undefined;
  }

  #timeout(reason: string): void {
    this.#timedOut = reason;
    if (reason === 'no-greeting' && !this.admission.tls.implicit) this.#say(farewell(this.admission.service));
    this.abort(reason);
  }

  async #run(): Promise<SessionEnd> {
    const { admission } = this;
    if (this.#cut !== undefined) return { how: 'cut', reason: this.#cut, side: undefined };
    const server = await this.#dial(admission.via ?? admission.server);
    if (typeof server === 'string') {
      if (admission.access !== undefined) await admission.access.threshold.refuse();
      else this.#say(admission.unreachable ?? (admission.tls.implicit ? undefined : farewell(admission.service)));
      this.#client.destroySoon();
      return { how: 'unreachable', reason: server, side: SERVER };
    }
    this.#server = server;
    if (this.#client.destroyed) {
      server.destroy();
      return { how: 'lost', reason: 'closed', side: CLIENT };
    }
    if (admission.accept !== undefined) this.#client.write(admission.accept);
    if (admission.ahead !== undefined && admission.ahead.length > 0) this.#client.unshift(admission.ahead);
    let ends: { client: Duplex; server: Duplex } = { client: this.#client, server };
    if (admission.access !== undefined) {
      const entered = await admission.access.threshold.enter().catch(() => undefined);
      if (entered === undefined || this.#cut !== undefined) {
        this.#client.destroy();
        server.destroy();
        return { how: 'lost', reason: 'closed', side: CLIENT };
      }
      ends = { client: entered, server };
    }
    this.#environment.opened(this);

    if (admission.tls.implicit && admission.tls.inspect) {
      const inner = await this.#environment
        .intercept({
          session: this,
          ...ends,
          how: 'implicit',
          redial: async () => {
            const again = await this.#dial(admission.via ?? admission.server);
            this.#server?.destroy();
            if (typeof again === 'string') return false;
            this.#server = again;
            ends = { client: ends.client, server: again };
            return true;
          },
        })
        .catch(() => undefined);
      if (inner === undefined) {
        this.#client.destroy();
        this.#server.destroy();
        return { how: 'tls-failed', reason: 'tls-failed', side: undefined };
      }
      if (inner !== 'pass') {
        ends = inner;
        this.tls = inner.facts;
      }
    }
    const joined = new JoinedStreams(
      ends.client,
      ends.server,
      (output) => this.#environment.stage.open(this.#facts(), output),
      {
        startTls: async (client, inner) => {
          if (!admission.tls.inspect) return 'pass';
          const request: TlsRequest = { session: this, client, server: inner, how: 'upgraded' };
          const upgraded = await this.#environment.intercept(request);
          if (upgraded !== undefined && upgraded !== 'pass') this.tls = upgraded.facts;
          return upgraded;
        },
        expect: (related, ready) => this.#expect(related, ready),
        event: (event) => this.#environment.event(this, event),
      },
    );
    this.#joined = joined;
    if (this.#doubted !== undefined) joined.doubt(...this.#doubted);
    // Nobody looks inside: it passes from its first byte on, and its records say so.
    if (admission.tls.implicit && this.tls === undefined) joined.connection.tlsPassed();
    const ended = await joined.ended;
    return this.#timedOut === undefined ? ended : { ...ended, how: 'timeout', reason: this.#timedOut };
  }

  /** A connection that this one announces: awaited in a pinhole, joined through the decoder that knows what it is for. */
  #expect(related: Related, ready: (at: Endpoint | undefined) => void): void {
    const { id, client, dialled, server } = this.admission;
    const toServer = plainAddress(this.#server?.localAddress ?? '');
    this.#environment.pinholes.open({ id, client, dialled, server, toServer }, related, ready, (...ends) => {
      void this.#joinData(...ends);
    });
  }

  async #joinData(client: Socket, server: Socket, related: Related, hole: Pinhole): Promise<void> {
    const control = this.connection;
    if (this.#over || this.#cut !== undefined || control === undefined) {
      client.resetAndDestroy();
      server.resetAndDestroy();
      return;
    }
    let ends: { client: Duplex; server: Duplex } = { client, server };
    let tls: TlsFacts | undefined;
    if (related.tls === true) {
      const request: TlsRequest = { session: this, client, server, how: 'data' };
      const inner = await this.#environment.intercept(request).catch(() => undefined);
      if (inner === undefined || inner === 'pass' || this.#over || this.#cut !== undefined) {
        client.resetAndDestroy();
        server.resetAndDestroy();
        related.over?.();
        return;
      }
      ends = inner;
      tls = inner.facts;
    }
    const facts = {
      // A connection that the server dialled counts for the control connection's client.
      client: hole.passive
        ? { address: this.admission.client.address, port: client.remotePort ?? 0 }
        : this.admission.client,
      server: hole.passive ? hole.target : this.admission.server,
      ...(tls === undefined ? {} : { tls }),
    };
    this.#sockets.add(client);
    const joined = new JoinedStreams(ends.client, ends.server, (output) => control.related(related, facts, output), {
      strictEnd: true,
      event: (event) => this.#environment.event(this, event),
    });
    this.#data.add(joined);
    if (this.#doubted !== undefined) joined.doubt(...this.#doubted);
    await joined.ended;
    this.#data.delete(joined);
    this.#sockets.delete(client);
    this.#carried.sent += client.bytesRead;
    this.#carried.received += client.bytesWritten;
  }

  #facts(): ConnectionFacts {
    const { admission } = this;
    return {
      id: admission.id,
      client: admission.client,
      server: admission.server,
      port: portOf(admission),
      match: admission.match,
      srcIntf: admission.srcIntf,
      dstIntf: admission.dstIntf,
      ...(admission.user === undefined ? {} : { user: admission.user }),
      ...(this.tls === undefined ? {} : { tls: this.tls }),
    };
  }

  /** The connection to the server, or what kept it from standing. */
  #dial(server: Endpoint): Promise<Socket | string> {
    return new Promise((resolve) => {
      const socket = connect({ host: server.address, port: server.port, allowHalfOpen: true, noDelay: true });
      const timer = setTimeout(() => socket.destroy(new DialTimeout()), this.#environment.limits.dialTime);
      const gaveUp = (): void => void socket.destroy();
      this.#client.once('close', gaveUp);
      socket.once('connect', () => {
        clearTimeout(timer);
        this.#client.removeListener('close', gaveUp);
        socket.pause();
        resolve(socket);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        resolve(error.code ?? 'error');
      });
      socket.once('close', () => {
        clearTimeout(timer);
        resolve('closed');
      });
    });
  }

  #say(words: Buffer | undefined): void {
    if (words !== undefined && !this.#client.destroyed) this.#client.write(words);
  }
}

/** The port where the expected protocol is at home, wherever it was dialled: a VIP may lead from any port. */
function portOf({ service, tls, dialled, server, access }: Admission): number {
  const protocol = PROTOCOLS.find((each) => each.service === service);
  const asked = access === undefined ? dialled : server;
  return (tls.implicit ? protocol?.tlsPorts[0] : protocol?.ports[0]) ?? asked.port;
}

class DialTimeout extends Error {
  readonly code = 'ETIMEDOUT';
}
