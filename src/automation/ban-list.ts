/**
 * Banned addresses: since when, until when, and why. Whoever is on the list gets no session, and those that it had are ended. One that has run out
 * is taken off by every node for itself.
 */
import { isIP, SocketAddress } from 'node:net';
import type { ReplicatedMap } from '../shared/replicated-map.js';

/** FortiOS's words, and ours for what automation bans. */
export const BAN_CAUSES = ['admin', 'dlp', 'ips', 'av', 'app', 'dos', 'ioc'] as const;
export type BanCause = (typeof BAN_CAUSES)[number];

export interface Ban {
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** undefined: until it is taken off. */
  readonly expires: number | undefined;
  readonly cause: BanCause;
}

export const MOST_BANS = 100_000;
/** As long as a timer can wait. */
const LONGEST = 2 ** 31 - 1;

export class BanList {
  readonly #map: ReplicatedMap;
  readonly #now: () => number;
  readonly #bans = new Map<string, Ban>();
  readonly #listeners = new Set<(added: readonly string[], removed: readonly string[]) => void>();
  #timer: NodeJS.Timeout | undefined;

  /** `now`: milliseconds since 1970. */
  constructor(map: ReplicatedMap, now: () => number) {
    this.#map = map;
    this.#now = now;
    for (const [address, value] of map.entries()) this.#take(address, value);
    map.onChange((changes) => {
      const added: string[] = [];
      const removed: string[] = [];
      for (const { key, value } of changes) {
        const had = this.#bans.delete(key);
        if (value !== undefined && this.#take(key, value)) {
          if (!had) added.push(key);
        } else if (had) removed.push(key);
      }
      this.#wait();
      if (added.length + removed.length > 0) for (const listener of [...this.#listeners]) listener(added, removed);
    });
    this.#expire();
  }

  get size(): number {
    return this.#bans.size;
  }

  /** `seconds` 0: until it is taken off. False: there is no room. */
  add(address: string, seconds: number, cause: BanCause): boolean {
    const created = this.#now();
    const ban = { created, ...(seconds === 0 ? {} : { expires: created + seconds * 1000 }), cause };
    return this.#map.set(usual(address), JSON.stringify(ban));
  }

  /** False: it was not on the list. */
  remove(address: string): boolean {
    const had = this.#bans.has(usual(address));
    this.#map.delete(usual(address));
    return had;
  }

  clear(): void {
    this.#map.change(
      [...this.#map.entries()].map(([key]) => ({ key, value: undefined })),
      'here',
    );
  }

  has(address: string): boolean {
    return this.#bans.has(address);
  }

  /** In the order in which they came. */
  values(): IterableIterator<Ban> {
    return this.#bans.values();
  }

  /** What began and ended to be banned, after it holds. */
  onChange(listener: (added: readonly string[], removed: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #take(address: string, value: string): boolean {
    const ban = parseBan(address, value);
    if (ban === undefined || (ban.expires !== undefined && ban.expires <= this.#now())) return false;
    this.#bans.set(address, ban);
    return true;
  }

  #expire(): void {
    const now = this.#now();
    const over = [...this.#map.entries()].filter(([address, value]) => {
      const expires = parseBan(address, value)?.expires;
      return expires !== undefined && expires <= now;
    });
    if (over.length > 0)
      this.#map.change(
        over.map(([key]) => ({ key, value: undefined })),
        'here',
      );
    this.#wait();
  }

  /** Until the next one runs out. */
  #wait(): void {
    clearTimeout(this.#timer);
    let next = Number.POSITIVE_INFINITY;
    for (const { expires } of this.#bans.values()) if (expires !== undefined) next = Math.min(next, expires);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, Math.min(LONGEST, next - this.#now()))).unref();
  }
}

/** As sockets write it: `::FFFF:0:1` and `::ffff:0:1` are one. */
function usual(address: string): string {
  return isIP(address) === 6 ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}

/** Undefined: it is none. It may come from a file, or from another node. */
function parseBan(address: string, text: string): Ban | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (isIP(address) === 0 || typeof value !== 'object' || value === null) return undefined;
  const { created, expires, cause } = value as Readonly<Record<string, unknown>>;
  if (typeof created !== 'number' || !(expires === undefined || typeof expires === 'number')) return undefined;
  const known = BAN_CAUSES.find((each) => each === cause);
  return known === undefined ? undefined : { address, created, expires, cause: known };
}

/** As `diagnose user banned-ip list` prints them. */
export function printBans(bans: Iterable<Ban>): string {
  const rows = [...bans].map(({ address, created, expires, cause }) => [
    address,
    day(created),
    expires === undefined ? 'indefinite' : day(expires),
    cause === 'admin' ? 'Administrative' : cause.toUpperCase(),
  ]);
  const head = ['src-ip-addr', 'created', 'expires', 'cause'];
  const widths = head.map((word, at) => Math.max(word.length, ...rows.map((row) => (row[at] ?? '').length)));
  const line = (row: readonly string[]): string =>
    `${row.map((word, at) => (at === row.length - 1 ? word : word.padEnd(widths[at] ?? 0))).join(' ')}\n`;
  return [head, ...rows].map(line).join('');
}

/** `Wed Jan 17 13:06:05 2024`, local. */
function day(at: number): string {
  const [weekday, month, date, year, time] = new Date(at).toString().split(' ');
  return `${weekday} ${month} ${date} ${time} ${year}`;
}
