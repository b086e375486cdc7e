/**
 * Expectation sessions: the connections that an FTP control connection announces. For each, one port is listened on, for one connection, from
 * one address, for a while; whoever else knocks, or comes again, or a little too late, is refused and told of. What is announced must lie at the ends of the control connection
 * itself: an address of somebody else's is a bounce (RFC 2577), never dialled and never let in.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Related } from '../core/flow.js';
import { CLIENT } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import type { Endpoint } from '../core/session.js';
import { plainAddress } from './addresses.js';

/** The control connection, as its announcements need it. */
export interface Announcing {
  readonly id: number;
  readonly client: Endpoint;
  /** What the client dialled, and where passive connections are awaited. */
  readonly dialled: Endpoint;
  readonly server: Endpoint;
  /** Our own address toward the server, where active connections are awaited. */
  readonly toServer: string;
}

/** A hole as the session table and the debug lines show it. */
export interface Pinhole {
  readonly session: number;
  /** Who dials. */
  readonly passive: boolean;
  /** Who may come: an address, from any port. */
  readonly from: string;
  /** Where it is listened. */
  readonly at: Endpoint;
  /** Where it is led. */
  readonly target: Endpoint;
}

export type PinholeEvent =
  | { readonly kind: 'opened'; readonly hole: Pinhole }
  | { readonly kind: 'used'; readonly hole: Pinhole; readonly by: Endpoint }
  /** Nobody came in time, or its session ended. */
  | { readonly kind: 'closed'; readonly hole: Pinhole; readonly why: 'expired' | 'session-ended' }
  /** Somebody came who was not awaited: somebody else, or when it had been used, or after its time. */
  | {
      readonly kind: 'intruder';
      readonly hole: Pinhole;
      readonly by: Endpoint;
      readonly why: 'another-client' | 'used' | 'expired';
    }
  /** What was announced was not allowed, or there was no room. */
  | {
      readonly kind: 'refused';
      readonly session: number;
      readonly target: Endpoint;
      readonly why: 'foreign-address' | 'low-port' | 'limit' | 'no-port' | 'unreachable';
    };

export interface PinholesOptions {
  readonly limits: Pick<
    Limits,
    'expectations' | 'expectationsPerFlow' | 'expectationTime' | 'expectationAfter' | 'expectationsAfter' | 'dialTime'
  >;
  event(event: PinholeEvent): void;
}

/** Takes a data connection when both its ends stand. Their sides are those of the control connection. */
export type Joiner = (client: Socket, server: Socket, related: Related, hole: Pinhole) => void;

interface Open {
  readonly hole: Pinhole;
  readonly related: Related;
  readonly server: Server;
  timer: NodeJS.Timeout;
  /** What it is no more. */
  over: 'used' | 'expired' | undefined;
}

/** Below this are services, never data connections. */
const LOW_PORTS = 1024;

export class Pinholes {
  readonly #options: PinholesOptions;
  readonly #open = new Map<number, Set<Open>>();
  /** Those that are over and still heard, the oldest first. */
  readonly #after = new Set<Open>();
  #count = 0;

  constructor(options: PinholesOptions) {
    this.#options = options;
  }

  /** Opens one for what `related` announces. `ready` is told where the dialling side is to be sent, or undefined. */
  open(session: Announcing, related: Related, ready: (at: Endpoint | undefined) => void, join: Joiner): void {
    const passive = related.dials === CLIENT;
    const owner = passive ? session.server : session.client;
    const target = { address: related.target.address || owner.address, port: related.target.port };
    const refuse = (why: Extract<PinholeEvent, { kind: 'refused' }>['why']): void => {
      this.#options.event({ kind: 'refused', session: session.id, target, why });
      ready(undefined);
    };
    const { limits } = this.#options;
    if (target.address !== owner.address) return refuse('foreign-address');
    if (target.port < LOW_PORTS) return refuse('low-port');
    const own = this.#open.get(session.id) ?? new Set();
    if (this.#count >= limits.expectations || own.size >= limits.expectationsPerFlow) return refuse('limit');
    this.#open.set(session.id, own);
    this.#count++;

    const address = passive ? session.dialled.address : session.toServer;
    const from = passive ? session.client.address : session.server.address;
    // The server's own port where it is free, as the client would have seen it without us.
    this.#listen(address, passive ? target.port : 0).then(
      (server) => {
        const bound = server.address();
        const at = { address, port: typeof bound === 'object' && bound !== null ? bound.port : 0 };
        const hole: Pinhole = { session: session.id, passive, from, at, target };
        const open: Open = {
          hole,
          related,
          server,
          over: undefined,
          timer: setTimeout(() => this.#close(open, 'expired'), limits.expectationTime),
        };
        if (this.#open.get(session.id) !== own) {
          // Its session ended meanwhile.
          this.#count--;
          server.close();
          clearTimeout(open.timer);
          ready(undefined);
          return;
        }
        own.add(open);
        server.on('connection', (socket) => this.#arrived(open, socket, join));
        this.#options.event({ kind: 'opened', hole });
        ready(at);
      },
      () => {
        this.#count--;
        refuse('no-port');
      },
    );
  }

  /** Closes what `session` announced and nobody has used. */
  sessionEnded(session: number): void {
    for (const open of this.#open.get(session) ?? []) this.#close(open, 'session-ended');
    this.#open.delete(session);
    for (const open of this.#after) if (open.hole.session === session) this.#shut(open);
  }

  #arrived(open: Open, socket: Socket, join: Joiner): void {
    const { hole, related } = open;
    const by = { address: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
    socket.on('error', () => {});
    const why = by.address === hole.from ? open.over : 'another-client';
    if (why !== undefined || !this.#forget(open)) {
      this.#options.event({ kind: 'intruder', hole, by, why: why ?? 'used' });
      socket.resetAndDestroy();
      return;
    }
    this.#hear(open, 'used');
    this.#options.event({ kind: 'used', hole, by });
    const other = connect({ host: hole.target.address, port: hole.target.port, allowHalfOpen: true, noDelay: true });
    const timer = setTimeout(() => other.destroy(), this.#options.limits.dialTime);
    other.on('error', () => {});
    // Also for one that is gone meanwhile: whoever listens there learns that it came and went.
    // A socket that is closed says `pending` again.
    let reached = false;
    other.once('connect', () => {
      reached = true;
      clearTimeout(timer);
      other.pause();
      if (hole.passive) join(socket, other, related, hole);
      else join(other, socket, related, hole);
    });
    other.once('close', () => {
      clearTimeout(timer);
      if (reached) return;
      this.#options.event({ kind: 'refused', session: hole.session, target: hole.target, why: 'unreachable' });
      socket.resetAndDestroy();
      related.over?.();
    });
  }

  #close(open: Open, why: 'expired' | 'session-ended'): void {
    if (!this.#forget(open)) return;
    if (why === 'expired') this.#hear(open, 'expired');
    else open.server.close();
    open.related.over?.();
    this.#options.event({ kind: 'closed', hole: open.hole, why });
  }

  /** Its port stays open for a while, for the sake of whoever comes late. */
  #hear(open: Open, over: 'used' | 'expired'): void {
    const { expectationAfter, expectationsAfter } = this.#options.limits;
    open.over = over;
    open.timer = setTimeout(() => this.#shut(open), expectationAfter);
    this.#after.add(open);
    const [oldest] = this.#after;
    if (oldest !== undefined && this.#after.size > expectationsAfter) this.#shut(oldest);
  }

  #shut(open: Open): void {
    clearTimeout(open.timer);
    this.#after.delete(open);
    open.server.close();
  }

  /** False when it was used or closed before. */
  #forget(open: Open): boolean {
    if (this.#open.get(open.hole.session)?.delete(open) !== true) return false;
    clearTimeout(open.timer);
    this.#count--;
    return true;
  }

  async #listen(address: string, port: number): Promise<Server> {
    try {
      return await listening(address, port);
    } catch (error) {
      if (port === 0) throw error;
      return listening(address, 0);
    }
  }
}

/** What is wrong with whoever came, behind where it came from. */
export function cameHow({ why, hole }: Extract<PinholeEvent, { kind: 'intruder' }>): string {
  if (why === 'another-client') return `came in place of ${hole.from}`;
  return why === 'used' ? 'came where one had come already' : 'came too late';
}

function listening(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Exclusive: in a cluster, the process that announced it is the one that must be reached.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.maxConnections = 16;
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true, backlog: 4 }, () => {
      server.removeListener('error', reject);
      server.on('error', () => {});
      resolve(server);
    });
  });
}
