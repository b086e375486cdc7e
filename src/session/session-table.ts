/**
 * The table of all sessions of the daemon: what `diagnose sys session list` prints. Its owner is the process that every other reports to.
 * Indexed by client, policy and port, so that what concerns some sessions visits only those.
 */
import type { Endpoint } from '../core/session.js';

/** What is known of a session when it begins. Plain data: it crosses processes. */
export interface SessionEntry {
  readonly id: number;
  readonly client: Endpoint;
  /** What the client dialled. */
  readonly dialled: Endpoint;
  /** Where it is led. */
  readonly server: Endpoint;
  readonly policyId: number;
  /** Where it comes in and goes out, as logs name them. */
  readonly intf?: readonly [source: string, destination: string];
  /** The control session of an FTP data connection. */
  readonly parent?: number;
  /** Seconds without a byte until it is given up. */
  readonly timeout: number;
  /** What is done with it; `inspected` where it is left out. */
  readonly kind?: SessionKind;
}

/** `forwarded`: policy has no profile for it. `access-proxy`: what the table shows is the client's side, up to the VIP. */
export type SessionKind = 'inspected' | 'forwarded' | 'access-proxy';

const STATES: Readonly<Record<SessionKind, readonly StateWord[]>> = {
  inspected: ['log', 'redir', 'may_dirty'],
  forwarded: ['log', 'may_dirty', 'f00'],
  'access-proxy': ['log', 'local', 'may_dirty', 'f24'],
};
const DIRTY = ['dirty', 'may_dirty', 'acct-ext'] as const;
const BLOCKED = ['block', 'may_dirty', 'authed', 'acct-ext'] as const;

/** FortiOS's words of a session's state that apply to sessions of ours, in FortiOS's order. What f00 and f24 say nobody has published. */
export const STATE_WORDS = [
  'log',
  'local',
  'redir',
  'dirty',
  'block',
  'may_dirty',
  'authed',
  'acct-ext',
  'f00',
  'f24',
] as const;
export type StateWord = (typeof STATE_WORDS)[number];

export interface SessionRow extends SessionEntry {
  readonly states: ReadonlySet<StateWord>;
  /** Bytes from the client, and to it. */
  readonly sent: number;
  readonly received: number;
  /** Milliseconds of the table's clock. */
  readonly started: number;
  readonly active: number;
  /** When one that was blocked leaves the table. */
  readonly expires?: number;
}

type Mutable = { -readonly [K in keyof SessionRow]: SessionRow[K] };

/** `diagnose sys session filter`: all that are given must hold. */
export interface SessionFilter {
  readonly src?: string;
  readonly dst?: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly policy?: number;
}

export class SessionTable {
  readonly #now: () => number;
  readonly #rows = new Map<number, Mutable>();
  readonly #byClient = new Index<string>();
  readonly #byPolicy = new Index<number>();
  readonly #byPort = new Index<number>();
  #nextId: number;

  /** `now`: milliseconds of a clock that only goes forward. */
  constructor(now: () => number, firstId = 1) {
    this.#now = now;
    this.#nextId = firstId;
  }

  /** `count` numbers that no session of this table had yet: the first. They fit 32 bits, and begin anew after that. */
  takeIds(count: number): number {
    if (this.#nextId + count > 0xffff_ffff) this.#nextId = 1;
    const first = this.#nextId;
    this.#nextId += count;
    return first;
  }

  /** What the next call of `takeIds` begins with. */
  get nextId(): number {
    return this.#nextId;
  }

  get size(): number {
    return this.#rows.size;
  }

  add(entry: SessionEntry): void {
    const now = this.#now();
    this.#rows.set(entry.id, {
      ...entry,
      states: new Set(STATES[entry.kind ?? 'inspected']),
      sent: 0,
      received: 0,
      started: now,
      active: now,
    });
    this.#byClient.add(entry.client.address, entry.id);
    this.#byPolicy.add(entry.policyId, entry.id);
    this.#byPort.add(entry.dialled.port, entry.id);
  }

  /** The session's totals so far. */
  count(id: number, sent: number, received: number): void {
    const row = this.#rows.get(id);
    if (row === undefined || (row.sent === sent && row.received === received)) return;
    row.sent = sent;
    row.received = received;
    row.active = this.#now();
  }

  /** Policy has to be asked again before anything of it passes, or was asked and allows it. */
  dirty(id: number, dirty: boolean): void {
    const row = this.#rows.get(id);
    // The vendor's listings of a session that has become dirty lack the other words, and have these.
    if (row !== undefined) row.states = new Set(dirty ? DIRTY : STATES[row.kind ?? 'inspected']);
  }

  /** Policy allows it no more: it is shown as blocked for so many seconds, by rule 0. */
  block(id: number, seconds: number): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    row.states = new Set(BLOCKED);
    row.expires = this.#now() + seconds * 1000;
  }

  remove(id: number): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    this.#rows.delete(id);
    this.#byClient.remove(row.client.address, id);
    this.#byPolicy.remove(row.policyId, id);
    this.#byPort.remove(row.dialled.port, id);
  }

  get(id: number): SessionRow | undefined {
    return this.#rows.get(id);
  }

  /** Those that `filter` lets through, the oldest first. Visits only what an index leaves. */
  *select(filter: SessionFilter = {}): Generator<SessionRow> {
    for (const id of this.#candidates(filter)) {
      const row = this.#rows.get(id);
      if (row !== undefined && fits(row, filter)) yield row;
    }
  }

  #candidates({ src, policy, dport }: SessionFilter): Iterable<number> {
    if (src !== undefined) return this.#byClient.of(src);
    if (policy !== undefined) return this.#byPolicy.of(policy);
    if (dport !== undefined) return this.#byPort.of(dport);
    return this.#rows.keys();
  }
}

function fits(row: SessionRow, { src, dst, sport, dport, policy }: SessionFilter): boolean {
  return (
    (src === undefined || row.client.address === src) &&
    (dst === undefined || row.dialled.address === dst || row.server.address === dst) &&
    (sport === undefined || row.client.port === sport) &&
    (dport === undefined || row.dialled.port === dport) &&
    (policy === undefined || row.policyId === policy)
  );
}

/** Which sessions have a value, in order of arrival. */
class Index<K> {
  readonly #ids = new Map<K, Set<number>>();

  add(key: K, id: number): void {
    const ids = this.#ids.get(key);
    if (ids === undefined) this.#ids.set(key, new Set([id]));
    else ids.add(id);
  }

  remove(key: K, id: number): void {
    const ids = this.#ids.get(key);
    ids?.delete(id);
    if (ids?.size === 0) this.#ids.delete(key);
  }

  of(key: K): Iterable<number> {
    return this.#ids.get(key) ?? [];
  }
}
