/**
 * One process's share of the daemon: its listeners, the sessions that came in through them, and the watch over them. Who owns the numbers
 * and the table of all sessions is behind `Registry`.
 */
import type { Buffer } from 'node:buffer';
import { createServer, type Server, type Socket } from 'node:net';
import { SourceError } from '../core/errors.js';
import type { Limits } from '../core/limits.js';
import type { Endpoint, TlsFacts, UserFacts } from '../core/session.js';
import { endpointText } from '../core/session.js';
import { plainAddress } from './addresses.js';
import { Descriptors } from './descriptors.js';
import { farewell } from './farewell.js';
import { type Admission, LiveSession, type SessionEnd, type SessionEnvironment } from './live-session.js';

/** Where clients come in. */
export interface Door {
  /** For messages: `vip MAIL`, `listener haproxy`. */
  readonly name: string;
  readonly listen: Endpoint;
  /** What the client's first bytes say, where they say where it wants to go; a VIP's clients say nothing. */
  receive?(socket: Socket): Promise<Introduced | undefined>;
  /** Where a client that said nothing is led. */
  readonly server: Endpoint | undefined;
  /** The interface that it is on, as the configuration names it. */
  readonly extintf?: string;
  /** In place of all that: admits a client by itself, as the session `id`; whom it does not admit, it has told and put on record. */
  admit?(socket: Socket, id: number): Promise<Admission | undefined>;
}

/** A client that was introduced by a front door's protocol. */
export interface Introduced {
  /** The real client, where another proxy stands between. */
  readonly client?: Endpoint;
  readonly dialled?: Endpoint;
  readonly server: Endpoint;
  /** Where to dial in the server's place: who encrypts again. */
  readonly via?: Endpoint;
  /** TLS was taken off in front of us; `undefined`: there was none, and none may begin with the first byte. Absent: nothing is known. */
  readonly decrypted?: TlsFacts | undefined;
  readonly user?: UserFacts;
  readonly ahead: Buffer;
  readonly accept?: Buffer;
  readonly unreachable?: Buffer;
}

/** What policy says of a client that wants to get somewhere. */
export type Routed = Omit<Admission, 'id' | 'ahead' | 'accept' | 'unreachable'>;
export type Route = Routed & { readonly denied?: true };

export interface Registry {
  /** Unique for the daemon's life. */
  nextId(): number;
}

/** What there is too little of: sessions that may be, descriptors that the system gives. */
export type NoRoom = 'max-sessions' | 'descriptors';

export interface ProcessShareOptions {
  readonly limits: Limits;
  readonly registry: Registry;
  route(door: Door, client: Endpoint, dialled: Endpoint, server: Endpoint): Route;
  /** What sessions use; the proxy itself listens in on their end. */
  readonly environment: Omit<SessionEnvironment, 'closed'>;
  denied(admission: Admission): void;
  /** Whoever comes from there gets no session, whatever policy says. */
  refused(address: string): boolean;
  /** It is admitted, and has not yet reached its server. */
  admitted?(session: LiveSession): void;
  closed(session: LiveSession, end: SessionEnd): void;
  /** There is no room for a client. */
  turnedAway(why: NoRoom): void;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
}

/** How often sessions are looked after, in milliseconds. */
const WATCH = 2_000;

export class ProcessShare {
  readonly #options: ProcessShareOptions;
  readonly #servers = new Map<string, Server>();
  readonly #sessions = new Map<number, LiveSession>();
  /** Clients that are being admitted. */
  readonly #arriving = new Set<Socket>();
  readonly #descriptors: Descriptors;
  readonly #watch: NodeJS.Timeout;
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(options: ProcessShareOptions) {
    this.#options = options;
    this.#descriptors = new Descriptors(options.now);
    this.#watch = setInterval(() => {
      const now = options.now();
      for (const session of this.#sessions.values()) session.watch(now);
    }, WATCH);
    this.#watch.unref();
  }

  get sessions(): ReadonlyMap<number, LiveSession> {
    return this.#sessions;
  }

  /**
   * Opens those of `doors` that are not open yet; clients are taken as they say once `commit` is called, which closes every other door; its
   * sessions go on. Rejects with SourceError (a port that is taken), and then all is as it was, as after `cancel`.
   */
  async open(doors: readonly Door[]): Promise<{ commit(): void; cancel(): void }> {
    const opened = new Map<string, Server>();
    const early: [Door, Socket][] = [];
    const cancel = (): void => {
      for (const server of opened.values()) server.close();
      for (const [, socket] of early) socket.destroy();
    };
    const wanted = new Map(doors.map((door) => [endpointText(door.listen), door]));
    for (const [at, door] of wanted) {
      if (this.#servers.has(at)) continue;
      try {
        const server = await listening(door, at);
        server.on('connection', (socket) => early.push([door, socket]));
        opened.set(at, server);
      } catch (error) {
        cancel();
        throw error;
      }
    }
    const commit = (): void => {
      for (const [at, server] of opened) this.#servers.set(at, server);
      for (const [at, server] of this.#servers) {
        const door = wanted.get(at);
        if (door === undefined) {
          server.close();
          this.#servers.delete(at);
        } else {
          server.removeAllListeners('connection');
          server.on('connection', (socket) => void this.#arrived(door, socket));
        }
      }
      for (const [door, socket] of early) void this.#arrived(door, socket);
    };
    return { commit, cancel };
  }

  /** Takes no more clients; settles when the last session has ended, at the latest after `limits.drainTime`, when the others are ended. */
  async drain(): Promise<void> {
    if (this.#draining) return this.end();
    this.#draining = true;
    for (const server of this.#servers.values()) server.close();
    this.#servers.clear();
    for (const socket of this.#arriving) socket.destroy();
    if (this.#sessions.size > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
        const timer = setTimeout(() => this.end(), this.#options.limits.drainTime);
        timer.unref();
      });
    }
    clearInterval(this.#watch);
  }

  /** Ends every session now. */
  end(): void {
    for (const session of this.#sessions.values()) session.abort('shutdown');
  }

  async #arrived(door: Door, socket: Socket): Promise<void> {
    const { limits, registry } = this.#options;
    socket.on('error', () => {});
    const why = this.#lackFor(socket);
    if (why !== undefined) this.#options.turnedAway(why);
    if (this.#draining || why !== undefined) {
      const words = farewell(this.#route(door, socket, undefined)?.service);
      if (words !== undefined) socket.write(words);
      socket.destroySoon();
      return;
    }
    this.#arriving.add(socket);
    const timer = setTimeout(() => socket.destroy(), limits.handshakeTime);
    if (door.admit !== undefined) {
      const admission = await door.admit(socket, registry.nextId()).catch(() => undefined);
      clearTimeout(timer);
      this.#arriving.delete(socket);
      if (admission === undefined || this.#draining) socket.destroySoon();
      else if (!socket.destroyed) this.#serve(socket, admission);
      return;
    }
    const introduced = await door.receive?.(socket).catch(() => undefined);
    clearTimeout(timer);
    this.#arriving.delete(socket);
    if (socket.destroyed || (door.receive !== undefined && introduced === undefined)) {
      socket.destroySoon();
      return;
    }
    const route = this.#route(door, socket, introduced);
    if (route === undefined) {
      socket.destroy();
      return;
    }
    const id = registry.nextId();
    if (route.denied === true) {
      this.#options.denied({ ...route, id });
      socket.resetAndDestroy();
      return;
    }
    const tls = introduced !== undefined && 'decrypted' in introduced ? { ...route.tls, implicit: false } : route.tls;
    this.#serve(socket, { ...route, tls, id, ...spoken(introduced) });
  }

  /** What there is too little of to let another client in. */
  #lackFor(socket: Socket): NoRoom | undefined {
    if (this.#sessions.size + this.#arriving.size >= this.#options.limits.sessions) return 'max-sessions';
    return this.#descriptors.scarceFor(socket) ? 'descriptors' : undefined;
  }

  #serve(socket: Socket, admission: Admission): void {
    const { environment, now, refused, denied } = this.#options;
    // Asked last: what was refused while the client was admitted counts.
    if (refused(admission.client.address)) {
      denied(admission);
      socket.resetAndDestroy();
      return;
    }
    const session = new LiveSession(
      socket,
      admission,
      {
        ...environment,
        closed: (ended, end) => {
          this.#sessions.delete(admission.id);
          this.#options.closed(ended, end);
          if (this.#draining && this.#sessions.size === 0) this.#drained?.();
        },
      },
      now(),
    );
    this.#sessions.set(admission.id, session);
    this.#options.admitted?.(session);
    void session.run();
  }

  /** Undefined: the client is gone already. */
  #route(door: Door, socket: Socket, introduced: Introduced | undefined): Route | undefined {
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    if (remoteAddress === undefined || localAddress === undefined) return undefined;
    const client = introduced?.client ?? { address: plainAddress(remoteAddress), port: remotePort ?? 0 };
    const dialled = introduced?.dialled ?? { address: plainAddress(localAddress), port: localPort ?? 0 };
    const server = introduced?.server ?? door.server;
    return server === undefined ? undefined : this.#options.route(door, client, dialled, server);
  }
}

/** Rejects with SourceError. */
async function listening(door: Door, at: string): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new SourceError(`${door.name}: cannot listen on ${at}: ${cause.message}`, { cause })),
    );
    server.listen({ host: door.listen.address, port: door.listen.port }, resolve);
  });
  // Out of descriptors, above all: the listener stays, later clients get in.
  server.on('error', () => {});
  return server;
}

function spoken(
  introduced: Introduced | undefined,
): Pick<Admission, 'ahead' | 'accept' | 'unreachable' | 'user' | 'via' | 'decrypted'> {
  if (introduced === undefined) return {};
  const { ahead, accept, unreachable, user, via, decrypted } = introduced;
  return {
    ahead,
    ...(accept === undefined ? {} : { accept }),
    ...(unreachable === undefined ? {} : { unreachable }),
    ...(user === undefined ? {} : { user }),
    ...(via === undefined ? {} : { via }),
    ...(decrypted === undefined ? {} : { decrypted }),
  };
}
