/**
 * What ends sessions that are no longer allowed, in one process. Sessions are found by endpoint, by the rule that let them in and by the
 * client's address, so that a change visits those that it touches. Those of access proxies are looked at again at once; those of other
 * doors become dirty, as FortiOS calls it: nothing of theirs passes before policy was asked again.
 */
import type { Config } from '../../config/config.js';
import { counts, dynamicAddresses } from '../../ztna/dynamic-addresses.js';
import type { Endpoint } from '../../ztna/endpoint.js';
import type { EndpointChange } from '../../ztna/endpoint-registry.js';
import type { Ruled } from '../../ztna/rules.js';
import { carries, type Tag, tagsOfPolicies } from '../../ztna/tags.js';
import { touchedRules } from '../../ztna/touched.js';
import type { AccessFacts, LiveSession } from '../live-session.js';
import type { SessionMark } from '../messages.js';

/** A dirty session that nothing comes for is asked about after so many milliseconds: the vendor speaks of about ten seconds. */
export const DIRTY_TIME = 10_000;

export interface PostureEnvironment {
  /** What the rules say of a session of an access proxy now. */
  again(access: AccessFacts): Ruled;
  /** Whether policy would let a session of another door in now. */
  routed(session: LiveSession): boolean;
  /** It ends because of what the rules say: put it on record. */
  revoked(session: LiveSession, ruled: Ruled): void;
  /** For the table of all sessions. */
  mark(id: number, as: SessionMark): void;
}

export class Posture {
  readonly #environment: PostureEnvironment;
  readonly #byEndpoint = new Index<string>();
  readonly #byAddress = new Index<string>();
  readonly #byRule = new Index<number>();
  readonly #dirty = new Map<LiveSession, NodeJS.Timeout>();
  #dynamic: readonly Tag[] = [];
  #checksSessions = false;
  #config: Config;

  constructor(config: Config, environment: PostureEnvironment) {
    this.#environment = environment;
    this.#config = config;
    this.#configure(config);
  }

  add(session: LiveSession): void {
    const { access, client, match } = session.admission;
    this.#byAddress.add(client.address, session);
    if (access === undefined) return;
    this.#byRule.add(match.facts.id, session);
    if (access.request.device !== undefined) this.#byEndpoint.add(access.request.device.uid, session);
    // Its door may have asked rules that were replaced since the client came.
    this.#again(session);
  }

  remove(session: LiveSession): void {
    const { access, client, match } = session.admission;
    this.#settle(session);
    this.#byAddress.remove(client.address, session);
    if (access === undefined) return;
    this.#byRule.remove(match.facts.id, session);
    if (access.request.device !== undefined) this.#byEndpoint.remove(access.request.device.uid, session);
  }

  /** Nothing more passes of what they no longer allow when it returns. */
  endpointsChanged(changes: readonly EndpointChange[]): void {
    for (const { uid } of changes) for (const session of this.#byEndpoint.of(uid)) this.#again(session);
    if (this.#dynamic.length === 0) return;
    for (const address of this.#moved(changes))
      for (const session of this.#byAddress.of(address))
        if (session.admission.access !== undefined) this.#again(session);
        else if (this.#checksSessions) this.#doubt(session);
  }

  /** The environment asks the new configuration already. */
  configChanged(config: Config): void {
    const touched = touchedRules(this.#config, config);
    this.#config = config;
    this.#configure(config);
    for (const rule of touched === 'all' ? this.#byRule.keys() : touched)
      for (const session of this.#byRule.of(rule)) this.#again(session);
  }

  #configure(config: Config): void {
    this.#dynamic = [...dynamicAddresses(config).map(({ tag }) => tag), ...tagsOfPolicies(config)];
    this.#checksSessions = config.sections['system settings'].dynAddrSessionCheck;
  }

  #again(session: LiveSession): void {
    const { access } = session.admission;
    if (access === undefined) return;
    const ruled = this.#environment.again(access);
    if (ruled.verdict === 'accept') return;
    // Cut first: a record may be slow.
    if (session.cut('posture')) this.#environment.revoked(session, ruled);
  }

  #doubt(session: LiveSession): void {
    if (this.#dirty.has(session)) return;
    const { id } = session.admission;
    const refused = (): void => {
      this.#settle(session);
      this.#environment.mark(id, 'blocked');
      session.cut('block-by-policy');
    };
    const recheck = (): boolean => {
      if (!this.#environment.routed(session)) return false;
      session.trust();
      if (this.#settle(session)) this.#environment.mark(id, 'clean');
      return true;
    };
    const timer = setTimeout(() => {
      if (this.#dirty.has(session) && !recheck()) refused();
    }, DIRTY_TIME);
    this.#dirty.set(session, timer);
    this.#environment.mark(id, 'dirty');
    session.doubt(recheck, refused);
  }

  /** It is dirty no more. False: it was not. */
  #settle(session: LiveSession): boolean {
    clearTimeout(this.#dirty.get(session));
    return this.#dirty.delete(session);
  }

  /** Addresses that came into what policies ask for, or left it. */
  #moved(changes: readonly EndpointChange[]): Set<string> {
    const moved = new Set<string>();
    for (const { before, after } of changes)
      for (const tag of this.#dynamic) {
        const [old, now] = [members(before, tag), members(after, tag)];
        for (const address of old) if (!now.includes(address)) moved.add(address);
        for (const address of now) if (!old.includes(address)) moved.add(address);
      }
    return moved;
  }
}

function members(endpoint: Endpoint | undefined, tag: Tag): readonly string[] {
  return endpoint !== undefined && counts(endpoint) && carries(endpoint, tag) ? endpoint.addresses : [];
}

class Index<K> {
  readonly #sessions = new Map<K, Set<LiveSession>>();

  add(key: K, session: LiveSession): void {
    const known = this.#sessions.get(key);
    if (known === undefined) this.#sessions.set(key, new Set([session]));
    else known.add(session);
  }

  remove(key: K, session: LiveSession): void {
    const known = this.#sessions.get(key);
    known?.delete(session);
    if (known?.size === 0) this.#sessions.delete(key);
  }

  /** A copy: those that end leave the index. */
  of(key: K): readonly LiveSession[] {
    return [...(this.#sessions.get(key) ?? [])];
  }

  keys(): readonly K[] {
    return [...this.#sessions.keys()];
  }
}
