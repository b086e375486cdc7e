/**
 * Follows one EMS: signs in, takes all endpoints, then waits for changes with one call after the other. What is refused, late or missing changes
 * nothing of what was last known; what nobody confirmed for `out-of-sync-threshold` holds no more: its endpoints are offline and have no
 * tags, until EMS tells of them again.
 */
import { SourceError } from '../core/errors.js';
import type { Endpoint } from '../ztna/endpoint.js';
import { EMS_API, PAGE, RETVAL } from './api.js';
import type { KeptEndpoints } from './kept-endpoints.js';
import { EmsReplyError, parseSerial, parseTagReport, type Revision, type TagReport } from './reply.js';
import { EmsSession } from './session.js';
import type { EmsSettings } from './settings.js';

export type Synced = (
  news: Pick<TagReport, 'endpoints' | 'removed'> | 'all' | undefined,
  known: ReadonlyMap<string, Endpoint>,
  at: Revision,
) => void;

/** Where endpoints go: the registry that policy reads. */
export interface EndpointSink {
  /** False: some were refused for want of room. */
  apply(updated: readonly Endpoint[], removed?: readonly string[]): boolean;
}

export type ConnectorEvent = 'connected' | 'lost' | 'refused' | 'out-of-sync';

export interface ConnectorContext {
  readonly sink: EndpointSink;
  /** Over restarts; undefined: nothing is kept. */
  readonly kept?: KeptEndpoints;
  /** SHA-256 of the certificate that was accepted by hand. */
  readonly fingerprint?: string;
  /** From 0 to 1, for the back-off. */
  random(): number;
  /** Milliseconds since 1970. */
  now(): number;
  /** For the log: no secret is in it. */
  event(kind: ConnectorEvent, message: string): void;
  /** EMS told of a change, of all anew, or that there is none: `known` is what holds. */
  synced?: Synced;
}

/** Bytes of a page, of a small reply; endpoints of one EMS; times between calls in milliseconds. */
const PAGE_BYTES = 16 * 1024 * 1024;
const SMALL_BYTES = 262_144;
const MOST_ENDPOINTS = 100_000;
const LEAST_PAUSE = 20;
const FIRST_BACK_OFF = 1_000;
const LONGEST_BACK_OFF = 60_000;

export class EmsConnector {
  readonly settings: EmsSettings;
  readonly session: EmsSession;
  readonly #context: ConnectorContext;
  readonly #stop = new AbortController();
  #known = new Map<string, Endpoint>();
  #serial: string | undefined;
  /** Where to go on asking. */
  #at: Revision | undefined;
  /** What is known now. */
  #seen: Revision | undefined;
  #syncedAt: number;
  #failures = 0;
  #lastError: string | undefined;
  #stale: boolean;
  #hurry: (() => void) | undefined;

  constructor(settings: EmsSettings, context: ConnectorContext) {
    this.settings = settings;
    this.#context = context;
    this.#serial = settings.serial;
    this.session = new EmsSession({ ...settings, fingerprint: context.fingerprint }, settings);
    const kept = context.kept?.load();
    const age = kept === undefined ? Number.POSITIVE_INFINITY : context.now() - kept.syncedAt;
    // A clock that was turned back makes nothing younger.
    const holds = kept !== undefined && age >= 0 && age < settings.outOfSync && this.#mayBe(kept.serial);
    this.#stale = !holds;
    this.#syncedAt = holds ? kept.syncedAt : context.now();
    if (!holds) return;
    this.#serial = kept.serial;
    this.#known = new Map(kept.endpoints.map((endpoint) => [endpoint.uid, endpoint]));
    context.sink.apply(kept.endpoints);
  }

  /** What it says of itself, or should say. */
  get serial(): string | undefined {
    return this.#serial;
  }

  get state(): 'connected' | 'out-of-sync' | 'not-connected' {
    if (this.#stale) return 'out-of-sync';
    return this.#failures === 0 && this.#at !== undefined ? 'connected' : 'not-connected';
  }

  get endpoints(): number {
    return this.#known.size;
  }

  /** Milliseconds since 1970. */
  get syncedAt(): number {
    return this.#syncedAt;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  get at(): Revision | undefined {
    return this.#at;
  }

  /** Goes on until `stop`. Never rejects. */
  async run(): Promise<void> {
    const watch = setInterval(() => this.#watch(), 250);
    watch.unref();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#round();
      } catch (error) {
        if (signal.aborted) break;
        this.#failed(error);
        await this.#pause(backOff(++this.#failures, this.#context.random()));
      }
    }
    clearInterval(watch);
    await this.session.signOut(1_000);
  }

  /** Asks now, not when the pause is over. */
  hurry(): void {
    this.#hurry?.();
  }

  stop(): void {
    this.#stop.abort();
    this.#context.kept?.flush();
  }

  /** What another node learnt of the same EMS: taken where it is newer than what this one knows. `syncedAt`: when EMS last confirmed it. */
  learn(endpoints: () => ReadonlyMap<string, Endpoint>, at: Revision, syncedAt: number): void {
    const now = this.#context.now();
    const when = Math.min(syncedAt, now);
    const same = this.#seen?.boot === at.boot;
    if (same && at.revision < (this.#seen?.revision ?? 0)) return;
    const ahead = same && at.revision > (this.#seen?.revision ?? 0);
    if (!ahead && (this.state === 'connected' || (!this.#stale && when <= this.#syncedAt))) return;
    if (now - when >= this.settings.outOfSync) return;
    const was = this.#stale;
    this.#stale = false;
    this.#syncedAt = Math.max(when, was ? 0 : this.#syncedAt);
    if (!same || ahead || was) {
      this.#seen = at;
      // Where EMS is when it answers again is not known: it is asked for all.
      if (!ahead || this.#at === undefined) this.#at = undefined;
      else this.#at = at;
      this.#all(new Map(endpoints()));
      this.#keep();
    } else this.#context.kept?.confirm(this.#syncedAt);
    if (was) this.#context.event('connected', `${this.#known.size} endpoints, as another node knows them`);
  }

  /** One call; at the beginning, and whenever EMS began anew, all there is. */
  async #round(): Promise<void> {
    const from = this.#at;
    if (from === undefined) {
      await this.#introduce();
      await this.#takeAll();
      return;
    }
    const asked = performance.now();
    const { callTime, statusInterval } = this.settings;
    const query = new URLSearchParams({
      since: String(from.revision),
      boot: from.boot,
      wait: String(statusInterval / 1000),
    });
    const report = await this.#report(query, callTime + statusInterval);
    if (this.#at !== from) return;
    if (report.full || report.boot !== from.boot || report.revision < from.revision) {
      this.#at = undefined;
      return;
    }
    const news = report.endpoints.length + report.removed.length > 0 || report.revision > from.revision;
    this.#change(report);
    this.#confirmed(news ? report : undefined);
    // One that answers at once though nothing changed must not keep us busy.
    const early = statusInterval - (performance.now() - asked);
    if (!news && early > 0) await this.#pause(early);
    else await this.#pause(LEAST_PAUSE);
  }

  async #introduce(): Promise<void> {
    const said = await this.#ask(EMS_API.serialNumber);
    const serial = parseSerial(said);
    if (!this.#mayBe(serial))
      throw new SourceError(`its serial number is ${serial}, not ${this.settings.serial ?? this.#serial ?? ''}`);
    this.#serial = serial;
  }

  #mayBe(serial: string): boolean {
    const { serial: wanted } = this.settings;
    return wanted === undefined || wanted === serial;
  }

  /** Nothing of it holds before the last page was right. */
  async #takeAll(): Promise<void> {
    const all = new Map<string, Endpoint>();
    let first: TagReport | undefined;
    let after = '';
    for (;;) {
      const query = new URLSearchParams({ after, count: String(PAGE) });
      const page = await this.#report(query, this.settings.callTime);
      first ??= page;
      if (!page.full || page.boot !== first.boot) throw new EmsReplyError('it began anew between two pages');
      for (const endpoint of page.endpoints) {
        if (endpoint.uid <= after) throw new EmsReplyError('its endpoints are not in order');
        after = endpoint.uid;
        all.set(after, endpoint);
      }
      if (all.size > MOST_ENDPOINTS) throw new EmsReplyError(`it has more than ${MOST_ENDPOINTS} endpoints`);
      if (!page.more) break;
      if (page.endpoints.length === 0) throw new EmsReplyError('an empty page is not the last');
    }
    this.#all(all);
    this.#at = { boot: first.boot, revision: first.revision };
    this.#seen = this.#at;
    this.#confirmed('all');
  }

  async #ask(path: string): Promise<unknown> {
    const call = {
      method: 'GET',
      path,
      time: this.settings.callTime,
      most: SMALL_BYTES,
      signal: this.#stop.signal,
    } as const;
    const { retval, data } = await this.session.call(call);
    if (retval !== RETVAL.done) throw new EmsReplyError(`retval ${retval}`);
    return data;
  }

  async #report(query: URLSearchParams, time: number): Promise<TagReport> {
    const path = `${EMS_API.tags}?${query.toString()}`;
    const call = { method: 'GET', path, time, most: PAGE_BYTES, signal: this.#stop.signal } as const;
    const { retval, data } = await this.session.call(call);
    if (retval !== RETVAL.done) throw new EmsReplyError(`retval ${retval}`);
    return parseTagReport(data, this.#serial ?? '', query.has('since') ? MOST_ENDPOINTS : PAGE);
  }

  #all(all: Map<string, Endpoint>): void {
    const gone = [...this.#known.keys()].filter((uid) => !all.has(uid));
    this.#known = all;
    this.#apply([...all.values()], gone);
  }

  #change({ endpoints, removed, boot, revision }: TagReport): void {
    const fresh = endpoints.filter(({ uid }) => !this.#known.has(uid)).length;
    if (this.#known.size + fresh > MOST_ENDPOINTS)
      throw new EmsReplyError(`it has more than ${MOST_ENDPOINTS} endpoints`);
    for (const endpoint of endpoints) this.#known.set(endpoint.uid, endpoint);
    const gone = removed.filter((uid) => this.#known.delete(uid));
    this.#at = { boot, revision };
    this.#seen = this.#at;
    // What was taken for out of sync is told anew, all of it.
    if (this.#stale) this.#apply([...this.#known.values()], gone);
    else if (endpoints.length + gone.length > 0) this.#apply(endpoints, gone);
  }

  #apply(updated: readonly Endpoint[], removed: readonly string[]): void {
    if (!this.#context.sink.apply(updated, removed))
      this.#context.event('refused', "not all of its endpoints are taken: there is no room, or they are another EMS's");
  }

  /** `news`: what changed, or all of it. */
  #confirmed(news: Pick<TagReport, 'endpoints' | 'removed'> | 'all' | undefined): void {
    const back = this.#failures > 0 || this.#stale || this.#lastError !== undefined;
    this.#failures = 0;
    this.#lastError = undefined;
    this.#stale = false;
    this.#syncedAt = this.#context.now();
    if (this.#at !== undefined) this.#context.synced?.(news, this.#known, this.#at);
    if (news !== undefined) this.#keep();
    else this.#context.kept?.confirm(this.#syncedAt);
    if (back) this.#context.event('connected', `${this.#known.size} endpoints`);
  }

  #keep(): void {
    this.#context.kept?.keep({
      serial: this.#serial ?? '',
      syncedAt: this.#syncedAt,
      endpoints: () => [...this.#known.values()],
    });
  }

  /** Said when it begins and when the reason changes, not at every try. */
  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== this.#lastError) this.#context.event(error instanceof EmsReplyError ? 'refused' : 'lost', message);
    this.#lastError = message;
  }

  #watch(): void {
    if (this.#stale || this.#context.now() - this.#syncedAt < this.settings.outOfSync) return;
    this.#stale = true;
    this.#context.event(
      'out-of-sync',
      `no news for ${this.settings.outOfSync / 1000} s: the tags of ${this.#known.size} endpoints hold no more`,
    );
    this.#apply(
      [...this.#known.values()].map((endpoint) => ({ ...endpoint, online: false, tags: [] })),
      [],
    );
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', done);
        this.#hurry = undefined;
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#hurry = done;
      this.#stop.signal.addEventListener('abort', done);
    });
  }
}

/** Twice as long each time, between half of it and all of it: many nodes do not come back at once. */
export function backOff(failures: number, random: number): number {
  const whole = Math.min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** Math.min(16, failures - 1));
  return whole * (0.5 + random / 2);
}
