/**
 * All EMS of the configuration: a connector for each, the calls that they are to hear, and what a person may ask about them. It follows a changed
 * configuration without a gap: who did not change goes on.
 */
import { join } from 'node:path';
import { ConfigError } from '../core/errors.js';
import type { Endpoint } from '../ztna/endpoint.js';
import type { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { AcceptedCertificates, FINGERPRINT } from './accepted-certificates.js';
import { EMS_API, RETVAL } from './api.js';
import { CALL_AGE, type CallQueue, type OutgoingCall } from './call-queue.js';
import { backOff, type ConnectorEvent, EmsConnector, type Synced } from './connector.js';
import { KeptEndpoints } from './kept-endpoints.js';
import { presentedCertificate } from './request.js';
import type { EmsSettings } from './settings.js';

/** Who of several nodes makes the calls to an EMS. */
export interface CallLock {
  /** True: we do, for so many milliseconds. */
  take(ems: string, milliseconds: number): Promise<boolean>;
  free(ems: string): void;
}

export interface EndpointControlOptions {
  readonly registry: EndpointRegistry;
  readonly calls: CallQueue;
  readonly lock: CallLock;
  readonly stateDirectory: string;
  random(): number;
  /** Milliseconds since 1970. */
  now(): number;
  /** A new identifier. */
  id(): string;
  connection(ems: EmsConnector, kind: ConnectorEvent, message: string): void;
  /** A call was made, or given up. */
  called(call: OutgoingCall, failed: string | undefined): void;
  problem(what: string): void;
  synced?(ems: EmsConnector, ...what: Parameters<Synced>): void;
}

/** A call that waits; `ended` settles when it was made, or given up: why. */
export interface Queued {
  readonly call: OutgoingCall;
  readonly ended: Promise<string | undefined>;
}

interface Running {
  readonly connector: EmsConnector;
  /** Settings as text: were they changed? */
  readonly written: string;
  readonly stop: AbortController;
}

const REPLY = 65_536;
/** How long another node is given, in milliseconds. */
const OTHERS = 1_000;

export class EndpointControl {
  readonly #options: EndpointControlOptions;
  readonly #accepted: AcceptedCertificates;
  readonly #running = new Map<string, Running>();
  readonly #waiting = new Map<string, (failed: string | undefined) => void>();
  readonly #made = { done: 0, failed: 0 };

  constructor(options: EndpointControlOptions) {
    this.#options = options;
    this.#accepted = new AcceptedCertificates(join(options.stateDirectory, 'ems-accepted.json'));
    options.calls.onChange(() => this.#elsewhere());
  }

  get connectors(): EmsConnector[] {
    return [...this.#running.values()].map(({ connector }) => connector);
  }

  /** Calls so far. */
  get made(): { readonly done: number; readonly failed: number } {
    return this.#made;
  }

  /** These from now on. Endpoints of an EMS that is none of them any more are forgotten. */
  use(all: readonly EmsSettings[]): void {
    const names = new Set(all.map(({ name }) => name));
    for (const [name, running] of this.#running) if (!names.has(name)) this.#drop(name, running, all);
    for (const settings of all) this.#start(settings);
  }

  stop(): void {
    for (const { connector, stop } of this.#running.values()) {
      stop.abort();
      connector.stop();
    }
    this.#running.clear();
  }

  /**
   * Has the EMS of whoever is at `address` told, now or as soon as it can be reached. `uid`: of that endpoint alone, wherever it is. Rejects with
   * ConfigError: no endpoint that is known is there, or no EMS of the configuration has it.
   */
  async queue(kind: OutgoingCall['kind'], address: string, uid?: string): Promise<Queued[]> {
    const { registry } = this.#options;
    const one = uid === undefined ? undefined : registry.byUid(uid);
    const there = one === undefined ? registry.byAddress(address) : [one];
    if (there.length === 0) throw new ConfigError(`no endpoint that EMS told of is at ${address}`);
    const serials = new Set(this.connectors.map(({ serial }) => serial));
    const ours = there.filter(({ emsSerial }) => serials.has(emsSerial));
    if (ours.length === 0) throw new ConfigError(`the endpoint at ${address} belongs to an EMS that is not configured`);
    const calls = ours.map(({ uid, emsSerial }): OutgoingCall => {
      return { id: this.#options.id(), kind, ems: emsSerial, address, uid, at: this.#options.now() };
    });
    return Promise.all(
      calls.map(async (call): Promise<Queued> => {
        const ended = new Promise<string | undefined>((resolve) => this.#waiting.set(call.id, resolve));
        if (await this.#options.calls.put(call)) return { call, ended };
        this.#waiting.delete(call.id);
        throw new ConfigError('too many calls wait already');
      }),
    );
  }

  /** Who EMS `name` says that it is. Rejects with ConfigError or SourceError. */
  async presented(name: string): Promise<{ subject: string; issuer: string; validTo: string; fingerprint: string }> {
    const { connector } = this.#named(name);
    const { settings } = connector;
    return presentedCertificate(
      { ...settings, fingerprint: undefined },
      settings.callTime,
      AbortSignal.timeout(settings.callTime),
    );
  }

  /** From now on this certificate, and no other, is that of EMS `name`. Throws ConfigError or SourceError. */
  accept(name: string, fingerprint: string): void {
    const running = this.#named(name);
    if (!FINGERPRINT.test(fingerprint)) throw new ConfigError('a fingerprint is SHA-256 as printed: AA:BB:…');
    this.#accepted.accept(name, fingerprint);
    const { settings } = running.connector;
    this.#end(running);
    this.#running.delete(name);
    this.#start(settings);
  }

  fingerprint(name: string): string | undefined {
    return this.#accepted.get(name);
  }

  #named(name: string): Running {
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const names = [...this.#running.keys()];
    throw new ConfigError(
      names.length === 0 ? 'no EMS is configured' : `there is no EMS "${name}": ${names.join(', ')}`,
    );
  }

  #start(settings: EmsSettings): void {
    const { stateDirectory, random, now, problem } = this.#options;
    const written = JSON.stringify(settings);
    const before = this.#running.get(settings.name);
    if (before?.written === written) return;
    if (before !== undefined) {
      this.#end(before);
      if (settings.serial !== undefined) this.#forget(before.connector.serial, [settings.serial]);
    }
    const fingerprint = this.#accepted.get(settings.name);
    const connector: EmsConnector = new EmsConnector(settings, {
      // All of one call are of one EMS; what is only removed is of the connector's own.
      sink: {
        apply: (updated, removed = []) => this.#apply(updated[0]?.emsSerial ?? connector.serial, updated, removed),
      },
      kept: new KeptEndpoints(join(stateDirectory, `ems-${encodeURIComponent(settings.name)}.json`), problem),
      // An authority that the configuration names counts for more than a certificate that was once accepted.
      ...(fingerprint === undefined || settings.authority !== undefined ? {} : { fingerprint }),
      random,
      now,
      event: (kind, message) => this.#options.connection(connector, kind, message),
      synced: (...what) => this.#options.synced?.(connector, ...what),
    });
    const stop = new AbortController();
    this.#running.set(settings.name, { connector, written, stop });
    void connector.run();
    void this.#makeCalls(connector, stop.signal);
  }

  #end({ connector, stop }: Running): void {
    stop.abort();
    connector.stop();
  }

  #drop(name: string, running: Running, all: readonly EmsSettings[]): void {
    this.#end(running);
    this.#running.delete(name);
    // It may only have been given another name.
    this.#forget(
      running.connector.serial,
      all.flatMap(({ serial }) => serial ?? []),
    );
  }

  /** Endpoints of an EMS that is none of ours any more. */
  #forget(serial: string | undefined, ours: readonly string[]): void {
    if (serial === undefined || ours.includes(serial)) return;
    const gone = [...this.#options.registry.values()].filter(({ emsSerial }) => emsSerial === serial);
    this.#options.registry.apply(
      [],
      gone.map(({ uid }) => uid),
    );
  }

  /** One EMS has no say in the endpoints of another, whatever UIDs it names. */
  #apply(serial: string | undefined, updated: readonly Endpoint[], removed: readonly string[]): boolean {
    const { registry } = this.#options;
    const others = (uid: string): boolean => {
      const known = registry.byUid(uid);
      return (
        known !== undefined &&
        known.emsSerial !== serial &&
        this.connectors.some((each) => each.serial === known.emsSerial)
      );
    };
    const own = updated.filter(({ uid }) => !others(uid));
    const room = registry.apply(
      own,
      removed.filter((uid) => !others(uid)),
    );
    return room && own.length === updated.length;
  }

  /** One after the other, each until EMS has answered it. */
  async #makeCalls(connector: EmsConnector, signal: AbortSignal): Promise<void> {
    const { calls, lock, random, now } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const { serial } = connector;
      const call = serial === undefined ? undefined : calls.first(serial);
      if (call === undefined) {
        await this.#news(signal, serial === undefined ? OTHERS : undefined);
        continue;
      }
      if (now() - call.at > CALL_AGE) {
        this.#ended(call, 'EMS was not reached for a day');
        continue;
      }
      // Long enough for a call that takes all its time, twice: signing in comes first.
      if (!(await lock.take(call.ems, 2 * connector.settings.callTime + OTHERS))) {
        await this.#news(signal, OTHERS);
        continue;
      }
      let failed: string | undefined;
      await calls.saved();
      try {
        failed = await make(connector, call, signal);
      } catch {
        // Why is the connector's to say: it fails the same way. Another node may reach EMS.
        lock.free(call.ems);
        if (!signal.aborted) await this.#news(signal, backOff(++failures, random()));
        continue;
      }
      failures = 0;
      this.#ended(call, failed);
      lock.free(call.ems);
    }
  }

  #ended(call: OutgoingCall, failed: string | undefined): void {
    const waits = this.#waiting.get(call.id);
    this.#waiting.delete(call.id);
    this.#options.calls.done(call);
    this.#made[failed === undefined ? 'done' : 'failed']++;
    this.#options.called(call, failed);
    waits?.(failed);
  }

  /** Calls that another node has made, or that a later one took the place of. */
  #elsewhere(): void {
    for (const [id, waits] of this.#waiting) {
      if (this.#options.calls.has(id)) continue;
      this.#waiting.delete(id);
      waits(undefined);
    }
  }

  /** Until there is another call, or for so many milliseconds. */
  #news(signal: AbortSignal, milliseconds?: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        forget();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = milliseconds === undefined ? undefined : setTimeout(done, milliseconds);
      const forget = this.#options.calls.onChange(done);
      signal.addEventListener('abort', done);
    });
  }
}

/** What EMS has against it, in its words; undefined: it was done. Rejects where it could not be asked. */
async function make(connector: EmsConnector, call: OutgoingCall, signal: AbortSignal): Promise<string | undefined> {
  const { retval, message } = await connector.session.call({
    method: 'POST',
    path: EMS_API[call.kind],
    body: { ip: call.address, uid: call.uid },
    time: connector.settings.callTime,
    most: REPLY,
    signal,
  });
  return retval === RETVAL.done ? undefined : `${message === '' ? 'EMS refused' : message} (retval ${retval})`;
}
