/**
 * One worker process of the daemon: the sessions that the system hands it. It keeps its own stage, records and pinholes, and reports to the
 * primary what the table of all sessions shows.
 */
import process from 'node:process';
import { type Config, readConfig } from '../config/config.js';
import { ConfigError, SourceError } from '../core/errors.js';
import type { Limits } from '../core/limits.js';
import { endpointText } from '../core/session.js';
import { timeZone } from '../log/time-zone.js';
import { InspectionStage } from '../stage/stage.js';
import type { Endpoint } from '../ztna/endpoint.js';
import { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { membersOf } from '../ztna/rules.js';
import { AccessLog } from './access/access-log.js';
import { AccessProxies } from './access/access-proxies.js';
import { Posture } from './access/posture.js';
import { openDaemonLog } from './daemon-log.js';
import { limitsOf } from './limits-of.js';
import type { LiveSession } from './live-session.js';
import type { ToPrimary, ToWorker, WorkerSetup } from './messages.js';
import { OverheardLog } from './overheard-log.js';
import { cameHow, type PinholeEvent, Pinholes } from './pinholes.js';
import { type Door, type NoRoom, ProcessShare } from './process-share.js';
import { type Routes, routesOf } from './routes.js';
import { secretsOf } from './secrets-of.js';
import { SessionLog } from './session-log.js';
import { quarantineDirectory } from './state-directory.js';
import { Interceptor } from './tls/interceptor.js';
import { Counters } from './totals.js';

/** How often totals go to the primary, in milliseconds. */
const REPORT = 1_000;
/** Numbers are asked for when fewer are left. */
const FEW_IDS = 256;
/** A process in which our own errors escape more often than this is replaced. */
const ODD = 100;

/** Says that it is awake, and begins with the first message of the primary. Never returns; the process ends when it is told to. */
export function runWorker(): void {
  const tell = (message: ToPrimary): void => {
    if (process.connected) process.send?.(message);
  };
  let worker: Promise<Worker> | undefined;
  // Without its primary nobody counts its sessions: it ends as if told to.
  process.on('disconnect', () => void worker?.then((each) => each.drain()).then(() => process.exit(0)));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  let odd = 0;
  // What escapes belongs to one session, which then stands still and is ended in time: the others are not to pay for it.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`inspectd: ${error.stack ?? error.message}\n`);
    if (worker === undefined || ++odd > ODD) process.exit(1);
    void worker.then((each) => each.failed(error));
  });
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'start') {
      worker = Worker.start(message.setup, message, tell);
      worker.then(
        (each) => tell({ kind: 'ready', doors: each.doors }),
        (error: unknown) => {
          tell({ kind: 'failed', message: said(error) });
          process.disconnect();
          process.exit(1);
        },
      );
    } else void worker?.then((each) => each.heard(message));
  });
  tell({ kind: 'awake' });
}

interface IdBlock {
  readonly firstId: number;
  readonly ids: number;
}

/** What a worker is given with its first message, beside its setup. */
interface Given extends IdBlock {
  readonly refused: readonly string[];
  readonly endpoints: readonly Endpoint[];
}

class Worker {
  readonly #tell: (message: ToPrimary) => void;
  readonly #stage: InspectionStage;
  readonly #log: OverheardLog;
  readonly #sessionLog: SessionLog;
  readonly #pinholes: Pinholes;
  readonly #interceptor: Interceptor;
  readonly #counters = new Counters();
  readonly #share: ProcessShare;
  /** Clients for whom there was no room, since the last report. */
  readonly #turnedAway = new Map<NoRoom, number>();
  /** Addresses that get no session: banned, or of endpoints in quarantine. */
  readonly #refused: Set<string>;
  readonly #limits: Limits;
  /** What the primary says of endpoints. */
  readonly #endpoints = new EndpointRegistry();
  readonly #posture: Posture;
  readonly #accessLog: AccessLog;
  #routes: Routes;
  #access: AccessProxies;
  #ids: IdBlock[];
  #asked = false;

  /** Rejects with ConfigError or SourceError, in lines for the user. */
  static async start(setup: WorkerSetup, given: Given, tell: (message: ToPrimary) => void): Promise<Worker> {
    const { config } = readConfig(setup.config, setup.path);
    const limits = limitsOf(config);
    const log = new OverheardLog(openDaemonLog(config), config, (record) => tell({ kind: 'record', record }));
    const { clamd } = config.sections['antivirus settings'];
    let worker: Worker | undefined;
    const stage = await InspectionStage.start({
      config,
      log,
      limits,
      signatures: setup.signatures,
      secrets: secretsOf(config),
      quarantine: quarantineDirectory(setup.stateDirectory),
      problem: (what) => {
        if (worker !== undefined) worker.#sessionLog.note('quarantine', what);
      },
      ...(clamd === undefined ? {} : { clamd }),
    });
    const interceptor = await Interceptor.create({ config, stateDirectory: setup.stateDirectory, limits });
    worker = new Worker({ config, limits, log, stage, interceptor, given, tell });
    (await worker.#share.open(worker.#doors())).commit();
    return worker;
  }

  private constructor(parts: {
    readonly config: Config;
    readonly limits: Limits;
    readonly log: OverheardLog;
    readonly stage: InspectionStage;
    readonly interceptor: Interceptor;
    readonly given: Given;
    readonly tell: (message: ToPrimary) => void;
  }) {
    const { config, limits, log, stage, interceptor, given, tell } = parts;
    this.#tell = tell;
    this.#log = log;
    this.#stage = stage;
    this.#interceptor = interceptor;
    this.#ids = [given];
    this.#refused = new Set(given.refused);
    this.#limits = limits;
    this.#endpoints.apply(given.endpoints);
    this.#routes = routesOf(config, membersOf(config, this.#endpoints));
    this.#access = this.#accessOf(config, this.#routes);
    this.#sessionLog = new SessionLog(
      log,
      timeZone(config.sections['system global'].timezone),
      () => BigInt(Date.now()) * 1_000_000n,
      (error) => process.stderr.write(`inspectd: ${said(error)}\n`),
    );
    this.#accessLog = new AccessLog(
      this.#endpoints,
      () => this.#sessionLog.context,
      (record) => this.#sessionLog.write(record),
    );
    this.#posture = new Posture(config, {
      again: (access) => this.#access.again(access),
      routed: ({ admission: { client, dialled, server, srcIntf } }) =>
        this.#routes.route(client, dialled, server, srcIntf.name).denied !== true,
      revoked: (session, ruled) => this.#accessLog.revoked(session, ruled),
      mark: (id, as) => tell({ kind: 'marked', id, as }),
    });
    this.#endpoints.onChange((changes) => this.#posture.endpointsChanged(changes));
    this.#pinholes = new Pinholes({ limits, event: (event) => this.#pinhole(event) });
    this.#share = new ProcessShare({
      limits,
      registry: { nextId: () => this.#nextId() },
      route: (door, client, dialled, server) => this.#routes.route(client, dialled, server, door.extintf),
      refused: (address) => this.#refused.has(address),
      environment: {
        stage,
        limits,
        pinholes: this.#pinholes,
        intercept: (request) =>
          this.#interceptor.intercept(request, (record) => {
            this.#sessionLog.ssl(request.session.admission.id);
            this.#sessionLog.write(record(this.#sessionLog.context));
          }),
        event: (session, event) => {
          if (event.kind === 'judged') this.#counters.add('verdicts', event.action);
          else if (event.kind === 'outcome') this.#counters.add('outcomes', event.outcome.kind);
          else if (event.kind === 'anomaly') this.#counters.add('anomalies', event.code);
          this.#sessionLog.event(session, event);
        },
        opened: (session) => this.#opened(session, limits),
      },
      admitted: (session) => this.#posture.add(session),
      denied: (admission) => {
        this.#counters.denied++;
        this.#sessionLog.denied(admission);
      },
      closed: (session, end) => {
        this.#posture.remove(session);
        const { sent, received } = session.clientBytes;
        this.#counters.sent += sent;
        this.#counters.received += received;
        this.#counters.add('ended', end.how);
        this.#sessionLog.closed(session, end);
        tell({ kind: 'closed', count: [session.admission.id, sent, received] });
      },
      turnedAway: (why) => this.#turnedAway.set(why, (this.#turnedAway.get(why) ?? 0) + 1),
      now: () => performance.now(),
    });
    setInterval(() => this.#report(), REPORT).unref();
  }

  get doors(): readonly string[] {
    return this.#doors().map(({ name, listen, server }) =>
      server === undefined
        ? `${endpointText(listen)} (${name})`
        : `${endpointText(listen)} -> ${endpointText(server)} (${name})`,
    );
  }

  #doors(): readonly Door[] {
    return [...this.#routes.doors, ...this.#access.doors];
  }

  #accessOf(config: Config, routes: Routes): AccessProxies {
    return new AccessProxies(config, routes.doors, {
      limits: this.#limits,
      registry: this.#endpoints,
      denied: (client) => {
        this.#counters.denied++;
        this.#accessLog.turnedAway(client);
      },
    });
  }

  heard(message: Exclude<ToWorker, { kind: 'start' }>): void {
    switch (message.kind) {
      case 'endpoints':
        this.#endpoints.apply(message.updated, message.removed);
        break;
      case 'ids':
        this.#asked = false;
        this.#ids.push(message);
        break;
      case 'refused':
        for (const address of message.removed) this.#refused.delete(address);
        for (const address of message.added) this.#refused.add(address);
        for (const session of this.#share.sessions.values())
          if (message.added.length > 0 && this.#refused.has(session.admission.client.address)) session.cut('banned');
        break;
      case 'reload':
        this.#reload(message.setup).then(
          () => this.#tell({ kind: 'reloaded' }),
          (error: unknown) => this.#tell({ kind: 'reloaded', error: said(error) }),
        );
        break;
      case 'clear':
        for (const id of message.ids) this.#share.sessions.get(id)?.abort('cleared');
        break;
      case 'reopen-log':
        this.#log.reopen();
        break;
      case 'drain':
        void this.drain().then(() => process.exit(0));
        break;
      case 'end':
        this.#share.end();
        break;
    }
  }

  /** An error of ours that no session caught. */
  failed(error: Error): void {
    this.#sessionLog.note('internal-error', error.message);
  }

  /** Takes no more clients, and settles when the last has gone. */
  async drain(): Promise<void> {
    await this.#share.drain();
    this.#report();
    this.#stage.close();
    await this.#log.close().catch(() => {});
  }

  /** All of it or nothing: what can fail comes first. */
  async #reload(setup: WorkerSetup): Promise<void> {
    const { config } = readConfig(setup.config, setup.path);
    const routes = routesOf(config, membersOf(config, this.#endpoints));
    const access = this.#accessOf(config, routes);
    const trust = this.#interceptor.prepare(config);
    const doors = await this.#share.open([...routes.doors, ...access.doors]);
    try {
      await this.#stage.reload({
        config,
        signatures: setup.signatures,
        secrets: secretsOf(config),
        clamd: config.sections['antivirus settings'].clamd,
      });
    } catch (error) {
      doors.cancel();
      throw error;
    }
    trust.commit();
    this.#log.reload(config);
    this.#log.reopen();
    this.#routes = routes;
    this.#access = access;
    this.#posture.configChanged(config);
    doors.commit();
  }

  #opened(session: LiveSession, limits: Limits): void {
    const { id, client, dialled, server, match, srcIntf, dstIntf, access } = session.admission;
    this.#counters.sessions++;
    this.#sessionLog.opened(session);
    const timeout = Math.ceil(limits.idleTime / 1000);
    const policy = { policyId: match.facts.id, intf: [srcIntf.name, dstIntf.name] as const };
    const { antivirus, fileFilter } = match.profiles;
    const inspected = antivirus !== undefined || fileFilter !== undefined;
    const kind = access !== undefined ? 'access-proxy' : inspected ? 'inspected' : 'forwarded';
    this.#tell({ kind: 'opened', session: { id, client, dialled, server, ...policy, timeout, kind } });
  }

  #pinhole(event: PinholeEvent): void {
    this.#tell({ kind: 'pinhole', event });
    const session = this.#share.sessions.get('hole' in event ? event.hole.session : event.session)?.admission;
    if (event.kind === 'refused')
      this.#sessionLog.note('pinhole', `${event.why} ${endpointText(event.target)}`, session);
    else if (event.kind === 'intruder')
      this.#sessionLog.note('pinhole', `${endpointText(event.by)} ${cameHow(event)}`, session);
  }

  #report(): void {
    const counts = [...this.#share.sessions.values()].map((session) => {
      const { sent, received } = session.clientBytes;
      return [session.admission.id, sent, received] as const;
    });
    for (const [why, count] of this.#turnedAway) this.#sessionLog.note('no-room', `${count} clients, for ${why}`);
    this.#turnedAway.clear();
    const totals = this.#counters.totals(this.#share.sessions.size, this.#stage.held);
    this.#tell({ kind: 'counts', counts, totals });
  }

  #nextId(): number {
    const [block] = this.#ids;
    if (block === undefined) throw new SourceError('no session numbers are left: the primary process does not answer');
    const id = block.firstId;
    if (block.ids > 1) this.#ids[0] = { firstId: id + 1, ids: block.ids - 1 };
    else this.#ids.shift();
    if (!this.#asked && this.#ids.reduce((sum, { ids }) => sum + ids, 0) < FEW_IDS) {
      this.#asked = true;
      this.#tell({ kind: 'want-ids' });
    }
    return id;
  }
}

function said(error: unknown): string {
  if (error instanceof ConfigError || error instanceof SourceError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
