/**
 * What the daemon knows and does about endpoints and addresses: EMS and what it tells, quarantine, bans, automation. It lives in the primary process and
 * touches no session itself; it says whose sessions are refused from now on.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { perform } from '../automation/actions.js';
import { Automation } from '../automation/automation.js';
import { banCommands } from '../automation/ban-commands.js';
import { BanList, MOST_BANS } from '../automation/ban-list.js';
import { automationCommands } from '../automation/commands.js';
import { type Incident, incidentsOf, recordsWanted, type ToldRecord, toldRecord } from '../automation/incident.js';
import { type IncomingWebhookOptions, serveWebhook } from '../automation/incoming-webhook.js';
import { bannedFor, nacQuarantineOf } from '../automation/nac-quarantine.js';
import { RefusedAddresses } from '../automation/refused-addresses.js';
import { type Stitch, stitchesOf } from '../automation/stitches.js';
import type { Config } from '../config/config.js';
import type { ControlCommand } from '../control/commands.js';
import { ConfigError } from '../core/errors.js';
import { CallQueue, MOST_CALLS } from '../ems/call-queue.js';
import { emsCommands } from '../ems/commands.js';
import type { ConnectorEvent, EmsConnector } from '../ems/connector.js';
import { EndpointControl } from '../ems/endpoint-control.js';
import { type EmsSettings, emsSettingsOf } from '../ems/settings.js';
import { SharedEndpoints } from '../ems/shared-endpoints.js';
import { automationNote, type NoteFacts, stitchRecord } from '../log/automation-event.js';
import { type EndpointEventName, endpointEventRecord } from '../log/endpoint-event.js';
import type { RecordContext } from '../log/header.js';
import type { LogRecord } from '../log/record.js';
import { timeZone } from '../log/time-zone.js';
import { RedisLink } from '../shared/redis-link.js';
import { ReplicatedMap } from '../shared/replicated-map.js';
import { type EndpointRegistry, MOST_ENDPOINTS } from '../ztna/endpoint-registry.js';
import { authorities } from './tls/authority.js';

export interface IncidentResponseOptions {
  readonly registry: EndpointRegistry;
  readonly stateDirectory: string;
  /** Whose sessions end and are refused, and whose are no longer, from now on. */
  refused(added: readonly string[], removed: readonly string[]): void;
  write(record: LogRecord): void;
}

/** What of a configuration concerns it, checked. */
export interface ResponsePlan {
  readonly config: Config;
  readonly ems: readonly EmsSettings[];
  readonly stitches: readonly Stitch[];
  /** Antivirus profiles that ban, and for how many seconds. */
  readonly bans: ReadonlyMap<string, number>;
  /** Are addresses of endpoints in quarantine refused? */
  readonly quarantinedAddresses: boolean;
  readonly webhook: Pick<IncomingWebhookOptions, 'listen' | 'token'> | undefined;
  /** Where other nodes are met; undefined: there are none. */
  readonly redisUrl: string | undefined;
}

/** Numbers for metrics. */
export interface ResponseTotals {
  readonly endpoints: number;
  readonly quarantined: number;
  readonly banned: number;
  readonly callsWaiting: number;
  readonly calls: Readonly<Record<string, number>>;
  /** EMS by state. */
  readonly ems: Readonly<Record<string, number>>;
  /** What automation did. */
  readonly automation: Readonly<Record<string, number>>;
  /** Are the others met? undefined: there are none. */
  readonly shared: boolean | undefined;
}

/** Throws ConfigError with everything that is wrong. */
export function planResponse(config: Config): ResponsePlan {
  return {
    config,
    ems: emsSettingsOf(config),
    stitches: stitchesOf(config),
    bans: nacQuarantineOf(config),
    quarantinedAddresses: config.sections['inspectd settings'].quarantinedAddresses === 'refuse',
    webhook: webhookOf(config),
    redisUrl: config.sections['inspectd settings'].redisUrl,
  };
}

function webhookOf(config: Config): ResponsePlan['webhook'] {
  const { automationWebhook: listen, automationToken: token } = config.sections['inspectd settings'];
  if (listen === undefined) return undefined;
  if (token === undefined)
    throw new ConfigError('"config inspectd settings": automation-webhook needs an automation-token');
  return { listen, token };
}

const EVENTS: Readonly<Record<ConnectorEvent, EndpointEventName>> = {
  connected: 'ems-connected',
  lost: 'ems-lost',
  refused: 'ems-refused',
  'out-of-sync': 'ems-out-of-sync',
};

export class IncidentResponse {
  readonly #options: IncidentResponseOptions;
  readonly #bans: BanList;
  readonly #calls: CallQueue;
  readonly #refused: RefusedAddresses;
  readonly #control: EndpointControl;
  readonly #automation: Automation;
  #plan: ResponsePlan;
  #wanted: (record: LogRecord) => boolean;
  readonly #shared: readonly ReplicatedMap[];
  /** By the serial number of the EMS. */
  readonly #sharedEndpoints = new Map<string, { readonly map: ReplicatedMap; readonly shared: SharedEndpoints }>();
  #link: { readonly url: string; readonly redis: RedisLink } | undefined;
  #webhook: { readonly written: string; close(): void } | undefined;

  /** Knows what was kept; asks nobody before `start`. */
  constructor(plan: ResponsePlan, options: IncidentResponseOptions) {
    this.#options = options;
    this.#plan = plan;
    this.#wanted = recordsWanted(plan.stitches, plan.bans);
    const { registry, stateDirectory } = options;
    const problem = (what: string): void => this.#note('state-failed', what);
    const map = (name: string, most: number): ReplicatedMap =>
      new ReplicatedMap({ name, most, path: join(stateDirectory, `${name}.json`), problem });
    const [bans, calls] = [map('bans', MOST_BANS), map('ems-calls', MOST_CALLS)];
    this.#shared = [bans, calls];
    this.#bans = new BanList(bans, Date.now);
    this.#calls = new CallQueue(calls);
    this.#refused = new RefusedAddresses(this.#bans, registry, (added, removed) => options.refused(added, removed));
    this.#refused.useQuarantine(plan.quarantinedAddresses);
    this.#bans.onChange((added, removed) => {
      for (const address of added) this.#note('ban', `${address} gets no session`, { address });
      for (const address of removed) this.#note('unban', `${address} gets sessions again`, { address });
    });
    registry.onChange((changes) => {
      for (const { before, after } of changes) {
        if (after === undefined || (before?.quarantined ?? false) === after.quarantined) continue;
        const { uid, emsSerial, user, addresses } = after;
        this.#endpoint(
          after.quarantined ? 'quarantined' : 'released',
          after.quarantined ? 'Endpoint is quarantined by EMS.' : 'Endpoint is released from quarantine by EMS.',
          { emsSerial, user, address: addresses[0], uid },
        );
      }
    });
    this.#control = new EndpointControl({
      registry,
      calls: this.#calls,
      lock: {
        take: (ems, milliseconds) => this.#link?.redis.take(ems, milliseconds) ?? Promise.resolve(true),
        free: (ems) => this.#link?.redis.free(ems),
      },
      stateDirectory,
      random: Math.random,
      now: Date.now,
      id: randomUUID,
      connection: (ems, kind, message) => this.#connection(ems, kind, message),
      called: ({ kind, ems, address, uid }, failed) =>
        this.#endpoint(
          failed === undefined ? 'call-made' : 'call-failed',
          failed === undefined ? `${kind} ${address}` : `${kind} ${address}: ${failed}`,
          { emsSerial: ems, address, uid },
        ),
      problem,
      synced: ({ serial }, ...what) => {
        if (serial !== undefined) this.#sharedOf(serial)?.synced(...what);
      },
    });
    this.#automation = new Automation({
      perform: (action, incident, stitch) =>
        perform(action, incident, stitch, {
          bans: this.#bans,
          control: this.#control,
          registry,
          log: (message) => this.#note('action-log', message, { stitch: stitch.name, action: action.name }),
        }),
      triggered: (stitch, incident) => this.#triggered(stitch, incident),
      done: (action, stitch, failed) => {
        const name = failed === undefined ? 'action-done' : 'action-failed';
        const message = `stitch:${stitch.name} action:${action.name}${failed === undefined ? '' : ` ${failed}`}`;
        this.#note(name, message, { stitch: stitch.name, action: action.name });
      },
      now: () => performance.now(),
    });
  }

  /** Rejects with SourceError: an address that is taken. */
  async start(): Promise<void> {
    this.#control.use(this.#plan.ems);
    this.#meet();
    this.#automation.use(this.#plan.stitches);
    await this.#listen();
  }

  /** A configuration that `planResponse` took holds from now on. Rejects with SourceError: an address that is taken; all else holds. */
  async reload(plan: ResponsePlan): Promise<void> {
    this.#plan = plan;
    this.#wanted = recordsWanted(plan.stitches, plan.bans);
    this.#refused.useQuarantine(plan.quarantinedAddresses);
    this.#control.use(plan.ems);
    this.#meet();
    this.#automation.use(plan.stitches);
    await this.#listen();
  }

  /** A record that a worker wrote, which a stitch may want. */
  told(record: ToldRecord): void {
    const ban = bannedFor(record.fields, this.#plan.bans);
    if (ban !== undefined) this.#bans.add(ban.address, ban.seconds, 'av');
    for (const incident of incidentsOf(record)) this.#happened(incident);
  }

  /** A record of the primary's own, but for those of automation itself: it must not set itself off. */
  wrote(record: LogRecord): void {
    if (this.#wanted(record)) this.told(toldRecord(record));
  }

  stop(): void {
    this.#webhook?.close();
    this.#part();
    this.#automation.stop();
    this.#control.stop();
    this.#refused.close();
    this.#bans.close();
  }

  /** All that are refused: for a process that starts. */
  refusedAddresses(): readonly string[] {
    return this.#refused.values();
  }

  commands(): ControlCommand[] {
    return [
      ...emsCommands(this.#control, this.#calls),
      ...banCommands(this.#bans),
      ...automationCommands(this.#automation),
    ];
  }

  totals(): ResponseTotals {
    const ems: Record<string, number> = { connected: 0, 'not-connected': 0, 'out-of-sync': 0 };
    for (const { state } of this.#control.connectors) ems[state] = (ems[state] ?? 0) + 1;
    let quarantined = 0;
    for (const endpoint of this.#options.registry.values()) if (endpoint.quarantined) quarantined++;
    return {
      endpoints: this.#options.registry.size,
      quarantined,
      banned: this.#bans.size,
      callsWaiting: this.#calls.size,
      calls: { ...this.#control.made },
      ems,
      automation: this.#automation.counts,
      shared: this.#link?.redis.connected,
    };
  }

  /** Meets the other nodes where the configuration says. */
  #meet(): void {
    const { redisUrl } = this.#plan;
    if (this.#link?.url !== redisUrl) {
      this.#part();
      if (redisUrl !== undefined) {
        const redis = new RedisLink(
          {
            url: redisUrl,
            node: randomUUID(),
            random: Math.random,
            state: (connected, why) =>
              this.#note(
                connected ? 'shared-back' : 'shared-lost',
                connected ? why : `${why}; what was last known goes on holding`,
              ),
          },
          this.#shared,
        );
        this.#link = { url: redisUrl, redis };
      }
    }
    // An EMS that this node never reaches still has endpoints, which others know.
    for (const { serial } of this.#plan.ems) if (serial !== undefined) this.#sharedOf(serial);
  }

  #part(): void {
    this.#link?.redis.close();
    this.#link = undefined;
    for (const { shared } of this.#sharedEndpoints.values()) shared.close();
    this.#sharedEndpoints.clear();
  }

  #sharedOf(serial: string): SharedEndpoints | undefined {
    if (this.#link === undefined) return undefined;
    const known = this.#sharedEndpoints.get(serial);
    if (known !== undefined) return known.shared;
    const map = new ReplicatedMap({ name: `endpoints-${serial}`, most: MOST_ENDPOINTS, problem: () => {} });
    const connector = (): EmsConnector | undefined => this.#control.connectors.find((each) => each.serial === serial);
    const shared = new SharedEndpoints(map, connector, Date.now);
    this.#sharedEndpoints.set(serial, { map, shared });
    this.#link.redis.add(map);
    return shared;
  }

  async #listen(): Promise<void> {
    const { webhook } = this.#plan;
    const written = JSON.stringify(webhook ?? null);
    if (this.#webhook?.written === written) return;
    this.#webhook?.close();
    this.#webhook = undefined;
    if (webhook === undefined) return;
    const server = await serveWebhook({
      ...webhook,
      signer: authorities(this.#options.stateDirectory).trusted,
      happened: (incident) => this.#happened(incident),
    });
    this.#webhook = {
      written,
      close: () => {
        server.close();
        server.closeAllConnections();
      },
    };
  }

  #happened(incident: Incident): number {
    if (incident.kind === 'ioc') {
      const { srcip = '', fctuid, virus = '' } = incident.fields;
      const who = fctuid === undefined ? srcip : `${srcip} (UID ${fctuid})`;
      this.#note('ioc', `${incident.level ?? ''} ${virus} at ${who}`, srcip === '' ? {} : { address: srcip });
    }
    return this.#automation.happened(incident);
  }

  #triggered({ name, trigger, steps }: Stitch, { from }: Incident): void {
    const actions = steps.map(({ action }) => action.name);
    this.#options.write(stitchRecord({ stitch: name, trigger: trigger.name, actions, from }, this.#context()));
  }

  #connection(ems: EmsConnector, kind: ConnectorEvent, message: string): void {
    const { name } = ems.settings;
    this.#endpoint(EVENTS[kind], message, { emsName: name, emsSerial: ems.serial });
  }

  #endpoint(name: EndpointEventName, message: string, facts: Parameters<typeof endpointEventRecord>[2]): void {
    const record = endpointEventRecord(name, message, facts, this.#context());
    this.#options.write(record);
    this.wrote(record);
  }

  #note(name: Parameters<typeof automationNote>[0], message: string, facts: NoteFacts = {}): void {
    this.#options.write(automationNote(name, message, facts, this.#context()));
  }

  #context(): RecordContext {
    return {
      eventTime: BigInt(Date.now()) * 1_000_000n,
      zone: timeZone(this.#plan.config.sections['system global'].timezone),
    };
  }
}
