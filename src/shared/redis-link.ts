/**
 * Between the maps of this node and those of the others, through Redis: a hash for each map, a channel that tells of changes. Without Redis the node goes on with
 * what it knows, and keeps what it changed until it can be sent. When Redis is back, and it is the same memory, what is there holds; when it
 * has forgotten all, what the nodes know is put there anew.
 */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { shownUrl } from '../fleet/connection.js';
import type { MapChange, ReplicatedMap, Unsent } from './replicated-map.js';

export interface RedisLinkOptions {
  readonly url: string;
  /** Names this node. */
  readonly node: string;
  /** From 0 to 1, for the pause between tries. */
  random(): number;
  /** `why` without a password. */
  state(connected: boolean, why: string): void;
}

const PREFIX = 'inspectd:shared:';
const CHANNEL = `${PREFIX}changes`;
const EPOCH = `${PREFIX}epoch`;
/** Changes of one message; characters of one that is read. */
const BATCH = 500;
const MESSAGE = 64 * 1024 * 1024;
/** Milliseconds: for a connection, for an answer, between looks whether it is alive, and between tries at most. */
const CONNECT_TIME = 5_000;
const ANSWER_TIME = 3_000;
const LOOK = 2_000;
const LONGEST_PAUSE = 5_000;

/**
 * KEYS: the hash, the channel. ARGV: what begins the message, then for each change: key, value, whether there is one, what it replaced, the change
 * as JSON. A value is deleted only if it is still the one that was to be.
 */
const CHANGE = `
local told = {}
for at = 2, #ARGV, 5 do
  local key, value, set, was, json = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if set == '1' then
    redis.call('HSET', KEYS[1], key, value)
    told[#told + 1] = json
  elseif redis.call('HGET', KEYS[1], key) == was then
    redis.call('HDEL', KEYS[1], key)
    told[#told + 1] = json
  end
end
if #told > 0 then redis.call('PUBLISH', KEYS[2], ARGV[1] .. table.concat(told, ',') .. ']}') end
return #told`;
const FREE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #maps = new Map<string, ReplicatedMap>();
  readonly #forget: (() => void)[] = [];
  readonly #commands: Redis;
  readonly #listener: Redis;
  readonly #look: NodeJS.Timeout;
  #connected: boolean | undefined;
  #closed = false;
  #sending = false;
  #joining: Promise<void> | undefined;
  #joinAgain = false;
  #joinedEpoch: string | undefined;

  constructor(options: RedisLinkOptions, maps: readonly ReplicatedMap[]) {
    this.#options = options;
    const settings = {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      connectTimeout: CONNECT_TIME,
      commandTimeout: ANSWER_TIME,
      retryStrategy: (times: number) => Math.min(LONGEST_PAUSE, times * 200) * (0.5 + options.random() / 2),
    };
    this.#commands = new Redis(options.url, settings);
    this.#listener = new Redis(options.url, settings);
    for (const redis of [this.#commands, this.#listener]) {
      redis.on('error', (error: NodeJS.ErrnoException) => this.#lost(reasonOf(error)));
      redis.on('close', () => this.#lost('the connection was lost'));
      redis.on('ready', () => this.#join());
      redis.connect().catch(() => {});
    }
    this.#listener.on('message', (_, message: string) => this.#heard(message));
    this.#look = setInterval(() => this.#alive(), LOOK);
    this.#look.unref();
    for (const map of maps) this.add(map);
  }

  get connected(): boolean {
    return this.#connected === true;
  }

  /** Shares another map from now on. */
  add(map: ReplicatedMap): void {
    this.#maps.set(map.name, map);
    map.share();
    this.#forget.push(map.onChange((_, origin) => origin === 'here' && this.#send()));
    if (this.connected) this.#join();
  }

  /** True: nobody else has the lock now, for so many milliseconds; or nobody can be asked. */
  async take(name: string, milliseconds: number): Promise<boolean> {
    if (!this.connected) return true;
    try {
      const taken = await this.#commands.set(`${PREFIX}lock:${name}`, this.#options.node, 'PX', milliseconds, 'NX');
      return taken === 'OK';
    } catch {
      return true;
    }
  }

  free(name: string): void {
    if (this.connected) this.#commands.eval(FREE, 1, `${PREFIX}lock:${name}`, this.#options.node).catch(() => {});
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#look);
    for (const forget of this.#forget) forget();
    this.#commands.disconnect();
    this.#listener.disconnect();
  }

  /** Listens, then takes what there is: nothing is missed in between. One at a time. */
  #join(): void {
    if (this.#joining !== undefined) {
      this.#joinAgain = true;
      return;
    }
    this.#joining = this.#joined()
      .catch(() => {
        // Told by the events of the connection that failed; one that answers wrongly is left and tried again.
        if (!this.#closed)
          for (const redis of [this.#commands, this.#listener]) if (redis.status === 'ready') redis.disconnect(true);
      })
      .finally(() => {
        this.#joining = undefined;
        if (!this.#joinAgain) return;
        this.#joinAgain = false;
        this.#join();
      });
  }

  async #joined(): Promise<void> {
    if (this.#commands.status !== 'ready' || this.#listener.status !== 'ready') return;
    await this.#listener.subscribe(CHANNEL);
    const epoch = await this.#epoch();
    for (const map of this.#maps.values()) {
      const hash = PREFIX + map.name;
      if (map.epoch === epoch) await this.#sendAll(map);
      else {
        // Another memory than the one that we were a copy of: what we know is put there, but for what others know better.
        const there = await this.#commands.hgetall(hash);
        const lacking = [...map.entries()].filter(([key]) => !Object.hasOwn(there, key));
        await this.#change(
          map,
          lacking.map(([key, value]) => ({ key, value, was: undefined })),
        );
        await this.#sendAll(map);
      }
      map.replace(new Map(Object.entries(await this.#commands.hgetall(hash))), epoch);
    }
    if (this.#commands.status !== 'ready' || this.#listener.status !== 'ready' || this.#closed) return;
    this.#joinedEpoch = epoch;
    if (this.#connected !== true) {
      this.#connected = true;
      this.#options.state(true, shownUrl(this.#options.url));
    }
    // What changed while it joined.
    this.#send();
  }

  async #epoch(): Promise<string> {
    await this.#commands.set(EPOCH, randomUUID(), 'NX');
    return (await this.#commands.get(EPOCH)) ?? '';
  }

  /** What waits, of all maps. One at a time; what fails waits on. */
  #send(): void {
    if (!this.connected || this.#sending) return;
    this.#sending = true;
    setImmediate(() => {
      void (async () => {
        for (const map of this.#maps.values()) await this.#sendAll(map);
      })()
        .catch(() => {})
        .finally(() => {
          this.#sending = false;
          if (this.connected && [...this.#maps.values()].some((map) => map.unsent().length > 0))
            setTimeout(() => this.#send(), 100).unref();
        });
    });
  }

  async #sendAll(map: ReplicatedMap): Promise<void> {
    const unsent = map.unsent();
    await this.#change(map, unsent);
    map.sent(unsent);
  }

  async #change(map: ReplicatedMap, changes: readonly Unsent[]): Promise<void> {
    const begin = `${JSON.stringify({ node: this.#options.node, map: map.name }).slice(0, -1)},"changes":[`;
    for (let at = 0; at < changes.length; at += BATCH) {
      const args = changes.slice(at, at + BATCH).flatMap(({ key, value, was }) => {
        return [
          key,
          value ?? '',
          value === undefined ? '0' : '1',
          was ?? '',
          JSON.stringify({ key, value: value ?? null }),
        ];
      });
      await this.#commands.eval(CHANGE, 2, PREFIX + map.name, CHANNEL, begin, ...args);
    }
  }

  #heard(message: string): void {
    const told = message.length > MESSAGE ? undefined : parseTold(message);
    if (told === undefined || told.node === this.#options.node) return;
    this.#maps.get(told.map)?.change(told.changes, 'elsewhere');
  }

  /** A Redis that hangs keeps its connection: whoever does not answer is left. One that was emptied has no epoch any more. */
  #alive(): void {
    const left = (redis: Redis) => () => {
      if (this.#closed || redis.status !== 'ready') return;
      this.#lost('it does not answer');
      redis.disconnect(true);
    };
    if (this.#listener.status === 'ready') this.#listener.ping().catch(left(this.#listener));
    if (this.#commands.status !== 'ready') return;
    this.#commands.get(EPOCH).then((epoch) => {
      if (this.connected && epoch !== this.#joinedEpoch) this.#join();
    }, left(this.#commands));
  }

  /** Said once: also when it was never there. */
  #lost(why: string): void {
    if (this.#closed || this.#connected === false) return;
    this.#connected = false;
    this.#options.state(false, `${shownUrl(this.#options.url)}: ${why}`);
  }
}

/** Its own words may hold what was sent. */
function reasonOf(error: NodeJS.ErrnoException): string {
  if (/^(WRONGPASS|NOAUTH|NOPERM)/.test(error.message)) return 'it does not let us in: user or password';
  return error.code ?? 'no answer';
}

/** Undefined: it is none of ours. */
function parseTold(
  message: string,
): { readonly node: string; readonly map: string; readonly changes: MapChange[] } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { node, map, changes } = value as Readonly<Record<string, unknown>>;
  if (typeof node !== 'string' || typeof map !== 'string' || !Array.isArray(changes)) return undefined;
  const taken: MapChange[] = [];
  for (const each of changes as unknown[]) {
    if (typeof each !== 'object' || each === null) return undefined;
    const { key, value: text } = each as Readonly<Record<string, unknown>>;
    if (typeof key !== 'string' || (typeof text !== 'string' && text !== null)) return undefined;
    taken.push({ key, value: text ?? undefined });
  }
  return { node, map, changes: taken };
}
