/**
 * The daemon's first process: it owns the numbers of sessions, the table of them all and the expectations; it starts the workers and starts
 * them again when one is lost; it answers the control socket and signals. It never touches a byte of a session.
 */
import cluster, { type Worker } from 'node:cluster';
import { mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Config, readConfig } from '../config/config.js';
import { serveControl } from '../control/server.js';
import { ConfigError, SourceError } from '../core/errors.js';
import { type EventName, eventRecord } from '../log/event.js';
import type { LogRecord } from '../log/record.js';
import { timeZone } from '../log/time-zone.js';
import { SessionTable } from '../session/session-table.js';
import { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { daemonCommands, type WatchedEvent } from './daemon-commands.js';
import { type DaemonLog, openDaemonLog } from './daemon-log.js';
import { Expectations } from './expectations.js';
import { IncidentResponse, planResponse } from './incident-response.js';
import { limitsOf } from './limits-of.js';
import type { ToPrimary, Totals, ToWorker, WorkerSetup } from './messages.js';
import { type DaemonTotals, serveMetrics } from './metrics.js';
import { keepNumber, keptNumber } from './session-numbers.js';
import { controlSocket, stateDirectory } from './state-directory.js';
import { lastLines } from './tail.js';
import { summed } from './totals.js';

export interface DaemonOptions {
  /** The configuration file. */
  readonly path: string;
  readonly signatures: readonly string[];
  readonly version: string;
  /** What the person who started it is told, a line each. */
  say(line: string): void;
}

/** Numbers that a worker is given at a time. */
const IDS = 4_096;
/** A worker that is silent for so long is taken for dead, in milliseconds. */
const SILENCE = 30_000;
/** Milliseconds until a worker that was lost is replaced: one that cannot live must not burn a core. */
const REVIVAL = 1_000;
const WATCH = 5_000;
/** Settings that are read once. */
const AT_START = [
  'stateDirectory',
  'controlSocket',
  'logFile',
  'logFormat',
  'workers',
  'metrics',
  'maxSessions',
  'dialTimeout',
  'handshakeTimeout',
  'greetingTimeout',
  'idleTimeout',
  'slowTimeout',
  'drainTimeout',
] as const;

interface Known {
  readonly worker: Worker;
  heardAt: number;
  totals: Totals | undefined;
  /** It is to end: its end is no loss. */
  leaving: boolean;
  /** It has heard of a new configuration and has not answered: what is wrong with it, if anything. */
  answer: ((error: string | undefined) => void) | undefined;
  readonly sessions: Set<number>;
}

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: DaemonLog;
  readonly #table: SessionTable;
  readonly #expectations: Expectations;
  /** Whoever learns of endpoints tells it; it tells the workers. */
  readonly endpoints = new EndpointRegistry();
  readonly #workers = new Map<number, Known>();
  readonly #response: IncidentResponse;
  readonly #watchers = new Set<(event: WatchedEvent) => void>();
  /** What workers counted that are gone. */
  #before: Totals | undefined;
  #lost = 0;
  #config: Config;
  #setup: WorkerSetup;
  #doors: readonly string[] = [];
  #stopping = false;
  #reloading: Promise<void> = Promise.resolve();
  readonly #closers: (() => void)[] = [];

  /** Listens when it settles. Rejects with ConfigError or SourceError; nothing is left running then. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { text, config, warnings } = readFile(options.path);
    for (const warning of warnings) options.say(warning);
    const directory = stateDirectory(config);
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new SourceError(
        `state directory ${directory}: ${cause instanceof Error ? cause.message : ''} (config inspectd settings / set state-directory)`,
        { cause },
      );
    }
    const setup = { config: text, path: options.path, signatures: options.signatures, stateDirectory: directory };
    const daemon = new Daemon(options, config, setup);
    try {
      await daemon.#begin();
    } catch (error) {
      await daemon.#end();
      throw error;
    }
    return daemon;
  }

  private constructor(options: DaemonOptions, config: Config, setup: WorkerSetup) {
    this.#options = options;
    this.#config = config;
    this.#setup = setup;
    this.#log = openDaemonLog(config);
    this.#table = new SessionTable(now, keptNumber(setup.stateDirectory));
    this.#expectations = new Expectations(limitsOf(config).expectationTime, now);
    // Before whoever refuses: the record of what an endpoint lost comes first.
    this.endpoints.onChange((changes) => {
      const updated = changes.flatMap(({ after }) => after ?? []);
      const removed = changes.flatMap(({ uid, after }) => (after === undefined ? uid : []));
      this.#tell({ kind: 'endpoints', updated, removed });
    });
    this.#response = new IncidentResponse(planResponse(config), {
      registry: this.endpoints,
      stateDirectory: setup.stateDirectory,
      refused: (added, removed) => this.#tell({ kind: 'refused', added, removed }),
      write: (record) => this.#write(record),
    });
  }

  /** Where clients are awaited: `127.0.0.1:2525 -> 127.0.0.1:25 (vip mail)`. */
  get doors(): readonly string[] {
    return this.#doors;
  }

  get control(): string {
    return controlSocket(this.#config);
  }

  /** Reads the configuration again; sessions go on. Rejects with what is wrong, and then all stays as it was. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(
      () => this.#reload(),
      () => this.#reload(),
    );
    return this.#reloading;
  }

  reopenLog(): void {
    this.#log.reopen();
    this.#tell({ kind: 'reopen-log' });
  }

  /** Takes no more clients, lets sessions end for as long as the configuration says, and settles when all is over. */
  async stop(): Promise<void> {
    if (this.#stopping) {
      this.#tell({ kind: 'end' });
      return;
    }
    this.#stopping = true;
    this.#event('stopped', `${this.#table.size} sessions are open`);
    const gone = [...this.#workers.values()].map(
      ({ worker }) => new Promise<void>((resolve) => worker.once('exit', () => resolve())),
    );
    for (const known of this.#workers.values()) known.leaving = true;
    this.#tell({ kind: 'drain' });
    await Promise.all(gone);
    await this.#end();
  }

  async #begin(): Promise<void> {
    // Each worker takes clients from the listening socket itself. Handed on by the primary, a descriptor that finds no room in a worker is dropped
    // after three tries and never answered for: that worker is given no client ever again (Node 20, RoundRobinHandle).
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: fileURLToPath(new URL('worker-process.js', import.meta.url)), args: [] });
    const { workers } = this.#config.sections['inspectd settings'];
    const count = workers === 0 ? availableParallelism() : workers;
    await Promise.all(Array.from({ length: count }, () => this.#fork()));
    this.#closers.push(() => this.#response.stop());
    await this.#response.start();
    const control = await serveControl(this.control, [...this.#commands(), ...this.#response.commands()]);
    this.#closers.push(() => control.close());
    const { metrics } = this.#config.sections['inspectd settings'];
    if (metrics !== undefined) {
      const server = await serveMetrics(metrics, () => this.#totals());
      this.#closers.push(() => {
        server.close();
        server.closeAllConnections();
      });
    }
    const watch = setInterval(() => this.#watch(), WATCH);
    this.#closers.push(() => clearInterval(watch));
    this.#event('started', `version ${this.#options.version}, ${count} workers, ${this.#doors.length} listeners`);
  }

  async #end(): Promise<void> {
    this.#stopping = true;
    for (const close of this.#closers) close();
    for (const known of this.#workers.values()) {
      known.leaving = true;
      known.worker.process.kill('SIGKILL');
    }
    await this.#log.close().catch(() => {});
  }

  /** Nobody has them again, also not after a crash: they are taken out of the file before they are given. */
  #takeIds(): { firstId: number; ids: number } {
    const firstId = this.#table.takeIds(IDS);
    try {
      keepNumber(this.#setup.stateDirectory, this.#table.nextId);
    } catch (error) {
      // A disk that is full is no reason to turn clients away: numbers may come twice after the next start.
      this.#options.say(said(error));
    }
    return { firstId, ids: IDS };
  }

  /** Settles when it listens. */
  #fork(): Promise<void> {
    const worker = cluster.fork();
    const known: Known = {
      worker,
      heardAt: now(),
      totals: undefined,
      leaving: false,
      answer: undefined,
      sessions: new Set(),
    };
    this.#workers.set(worker.id, known);
    return new Promise((resolve, reject) => {
      worker.on('message', (message: ToPrimary) => {
        known.heardAt = now();
        // One that wakes when all is to end hears nothing of what was sent before.
        if (message.kind === 'awake' && this.#stopping) worker.process.kill('SIGKILL');
        else if (message.kind === 'awake')
          send(worker, {
            kind: 'start',
            setup: this.#setup,
            ...this.#takeIds(),
            refused: this.#response.refusedAddresses(),
            endpoints: [...this.endpoints.values()],
          });
        else if (message.kind === 'ready') {
          this.#doors = message.doors;
          resolve();
        } else if (message.kind === 'failed') {
          known.leaving = true;
          reject(new SourceError(message.message));
        } else this.#heard(known, message);
      });
      worker.on('exit', (code, signal) => {
        this.#gone(known, signal ?? `status ${code}`);
        reject(new SourceError('a worker process ended before it was ready'));
      });
      worker.on('error', () => {});
    });
  }

  #heard(known: Known, message: Exclude<ToPrimary, { kind: 'awake' | 'ready' | 'failed' }>): void {
    switch (message.kind) {
      case 'want-ids':
        send(known.worker, { kind: 'ids', ...this.#takeIds() });
        break;
      case 'opened':
        known.sessions.add(message.session.id);
        this.#table.add(message.session);
        for (const heard of this.#watchers) heard({ kind: 'session', session: message.session });
        break;
      case 'counts':
        known.totals = message.totals;
        for (const count of message.counts) this.#table.count(...count);
        break;
      case 'closed':
        known.sessions.delete(message.count[0]);
        this.#table.count(...message.count);
        this.#closed(message.count[0]);
        break;
      case 'marked':
        if (message.as === 'blocked')
          this.#table.block(message.id, this.#config.sections['system global'].blockSessionTimer);
        else this.#table.dirty(message.id, message.as === 'dirty');
        break;
      case 'pinhole':
        this.#expectations.heard(message.event);
        for (const heard of this.#watchers) heard(message.event);
        break;
      case 'record':
        this.#response.told(message.record);
        break;
      case 'reloaded':
        known.answer?.(message.error);
        known.answer = undefined;
        break;
    }
  }

  /** One that policy blocked is shown a while longer. */
  #closed(id: number): void {
    const expires = this.#table.get(id)?.expires;
    if (expires === undefined) this.#table.remove(id);
    else setTimeout(() => this.#table.remove(id), expires - now()).unref();
  }

  /** Its sessions are gone with it; another takes its place. */
  #gone(known: Known, how: string): void {
    if (!this.#workers.delete(known.worker.id)) return;
    if (known.totals !== undefined)
      this.#before = summed([
        ...(this.#before === undefined ? [] : [this.#before]),
        { ...known.totals, open: 0, held: 0 },
      ]);
    // Another starts with what holds then.
    known.answer?.(undefined);
    this.#expectations.forget(known.sessions);
    for (const id of known.sessions) this.#table.remove(id);
    if (known.leaving || this.#stopping) return;
    this.#lost++;
    this.#event(
      'worker-lost',
      `process ${known.worker.process.pid ?? 0} ended (${how}), ${known.sessions.size} sessions with it`,
    );
    setTimeout(() => {
      if (!this.#stopping) this.#fork().catch((error: unknown) => this.#options.say(said(error)));
    }, REVIVAL);
  }

  /** A worker that says nothing hangs: its sessions would hang with it. */
  #watch(): void {
    for (const { worker, heardAt, leaving } of this.#workers.values())
      if (!leaving && now() - heardAt > SILENCE) worker.process.kill('SIGKILL');
  }

  async #reload(): Promise<void> {
    const before = this.#setup;
    try {
      const { text, config, warnings } = readFile(this.#options.path);
      const fixed = changedForNothing(this.#config, config);
      for (const warning of [...warnings, ...fixed]) this.#options.say(warning);
      const plan = planResponse(config);
      // A worker that starts meanwhile starts with it.
      this.#setup = { ...before, config: text };
      const wrong = (await this.#reloadWorkers(this.#setup)).find((error) => error !== undefined);
      if (wrong !== undefined) throw new ConfigError(wrong);
      this.#config = config;
      await this.#response.reload(plan);
      this.#log.reopen();
      this.#event('reloaded', [this.#options.path, ...fixed].join('; '));
    } catch (error) {
      if (this.#setup !== before) {
        this.#setup = before;
        // Those that could take it go back: all do the same.
        await this.#reloadWorkers(before);
      }
      this.#event('not-reloaded', said(error));
      throw error;
    }
  }

  /** What each of them found wrong with it. */
  #reloadWorkers(setup: WorkerSetup): Promise<(string | undefined)[]> {
    return Promise.all(
      [...this.#workers.values()].map(
        (known) =>
          new Promise<string | undefined>((resolve) => {
            known.answer = resolve;
            send(known.worker, { kind: 'reload', setup });
          }),
      ),
    );
  }

  #commands(): ReturnType<typeof daemonCommands> {
    return daemonCommands({
      table: this.#table,
      expectations: this.#expectations,
      endpoints: this.endpoints,
      config: () => this.#config,
      version: this.#options.version,
      now,
      totals: () => this.#totals(),
      doors: () => this.#doors,
      clear: (ids) => this.#tell({ kind: 'clear', ids }),
      reload: () => this.reload(),
      reopenLog: () => this.reopenLog(),
      lastRecords: (count) => {
        const { logFile } = this.#config.sections['inspectd settings'];
        return logFile === undefined ? undefined : lastLines(logFile, count);
      },
      watch: (heard) => {
        this.#watchers.add(heard);
        return () => this.#watchers.delete(heard);
      },
    });
  }

  #totals(): DaemonTotals {
    const known = [...this.#workers.values()].flatMap(({ totals }) => (totals === undefined ? [] : [totals]));
    const all = summed(this.#before === undefined ? known : [this.#before, ...known]);
    return {
      ...all,
      workers: this.#workers.size,
      workersLost: this.#lost,
      expectations: this.#expectations.size,
      response: this.#response.totals(),
    };
  }

  #tell(message: ToWorker): void {
    for (const { worker } of this.#workers.values()) send(worker, message);
  }

  #event(name: EventName, message: string): void {
    const zone = timeZone(this.#config.sections['system global'].timezone);
    const record = eventRecord(name, message, { eventTime: BigInt(Date.now()) * 1_000_000n, zone });
    this.#write(record);
    this.#response.wrote(record);
  }

  #write(record: LogRecord): void {
    try {
      this.#log.write(record)?.catch((error: unknown) => this.#options.say(said(error)));
    } catch (error) {
      this.#options.say(said(error));
    }
  }
}

function send(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}

function readFile(path: string): { text: string } & ReturnType<typeof readConfig> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read: ${cause instanceof Error ? cause.message : ''}`, { cause });
  }
  return { text, ...readConfig(text, path) };
}

/** What a running daemon does not take from a new configuration, in lines for the user. */
function changedForNothing(old: Config, config: Config): string[] {
  const [was, is] = [old, config].map(({ sections }) => sections['inspectd settings']);
  const changed = AT_START.filter((name) => JSON.stringify(was?.[name]) !== JSON.stringify(is?.[name]));
  return changed.map((name) => `${words(name)} takes effect at the next start`);
}

/** `idleTimeout` as it is written in the configuration. */
function words(name: string): string {
  return `config inspectd settings / set ${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function now(): number {
  return performance.now();
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
