/**
 * The rules of access proxies (`config firewall proxy-policy`): top down, the first that fits decides, and without one FortiOS's rule 0 denies.
 * A rule that asks for tags asks the endpoint that the certificate names, so it fits nobody who is unknown, offline or in quarantine,
 * negated or not. Asked when a client comes, and again whenever something changes that its session rests on.
 */
import type { Config } from '../config/config.js';
import {
  type Dynamic,
  forAccessProxies,
  implicitMatch,
  type PolicyCandidate,
  type PolicyMatch,
  policyCandidate,
} from '../config/match-policy.js';
import type { Endpoint as Address } from '../core/session.js';
import { type TimeZone, timeZone } from '../log/time-zone.js';
import { counts, holdsAddress } from './dynamic-addresses.js';
import type { Endpoint } from './endpoint.js';
import type { EndpointRegistry } from './endpoint-registry.js';
import { scheduleHolds } from './schedule.js';
import { carries, type Tag, tagOfAddress, tagsOf } from './tags.js';
import { groupsOf } from './users.js';

/** Who wants to get where. Nothing in it changes while a session lives. */
export interface AccessRequest {
  readonly client: Address;
  /** The real server. */
  readonly server: Address;
  readonly accessProxy: string;
  /** The interface that the client came in by; undefined: any. */
  readonly srcintf: string | undefined;
  /** Of the client's certificate; undefined: it showed none, and the access proxy allows that. */
  readonly device: Device | undefined;
  /** Who signed in. */
  readonly user: string | undefined;
}

export interface Device {
  readonly uid: string;
  /** Upper-case hex. */
  readonly serial: string;
}

/** FortiOS's codes of a denial (7.4.1 and later). */
export const POLICY_CODES = {
  'no-policy': '061',
  denied: '062',
  revoked: '063',
  'denied-by-tags': '064',
  'tags-missing': '065',
  'no-device': '066',
  offline: '067',
} as const;
export type PolicyCode = keyof typeof POLICY_CODES;

export interface Ruled {
  /** `sign-in`: a rule fits if it is a user whom it allows; nobody has signed in. */
  readonly verdict: 'accept' | 'deny' | 'unmatched' | 'sign-in';
  readonly match: PolicyMatch;
  /** Why not. */
  readonly code: PolicyCode | undefined;
}

type ProxyPolicy = Config['sections']['firewall proxy-policy'] extends ReadonlyMap<string, infer P> ? P : never;

interface Rule {
  readonly policy: ProxyPolicy;
  readonly candidate: PolicyCandidate;
  /** Each entry of its list: any of these tags. */
  readonly tags: readonly (readonly Tag[])[];
}

export class AccessRules {
  readonly #config: Config;
  readonly #registry: EndpointRegistry;
  readonly #rules: readonly Rule[];
  readonly #implicit: PolicyMatch;
  readonly #zone: TimeZone;
  readonly #now: () => number;

  /** `now`: milliseconds since 1970. */
  constructor(config: Config, registry: EndpointRegistry, now: () => number) {
    this.#config = config;
    this.#registry = registry;
    this.#now = now;
    this.#zone = timeZone(config.sections['system global'].timezone);
    this.#implicit = implicitMatch(config, 'proxy-policy');
    this.#rules = [...config.sections['firewall proxy-policy'].values()]
      .filter((policy) => policy.status && forAccessProxies(policy))
      .map((policy) => ({
        policy,
        candidate: policyCandidate(config, policy, 'proxy-policy', membersOf(config, registry)),
        tags: policy.ztnaEmsTag.map((name) => tagsOf(config, name)),
      }));
  }

  match(request: AccessRequest): Ruled {
    const { device } = request;
    const endpoint = device === undefined ? undefined : this.#registry.byUid(device.uid);
    if (endpoint !== undefined && device !== undefined && isRevoked(endpoint, device))
      return { verdict: 'unmatched', match: this.#implicit, code: 'revoked' };
    if (endpoint?.quarantined === true) return { verdict: 'unmatched', match: this.#implicit, code: 'denied-by-tags' };
    let code: PolicyCode = 'no-policy';
    for (const rule of this.#rules) {
      const { policy } = rule;
      const match = this.#places(rule, request);
      if (match === undefined || !scheduleHolds(this.#config, policy.schedule, this.#zone, this.#now())) continue;
      if (rule.tags.length > 0) {
        const missing = lacks(rule, endpoint);
        if (missing !== undefined) {
          code = missing;
          continue;
        }
      }
      if (policy.action === 'accept' && (policy.users.length > 0 || policy.groups.length > 0)) {
        if (request.user === undefined) return { verdict: 'sign-in', match, code: 'no-policy' };
        if (!this.#allowsUser(policy, request.user)) continue;
      }
      if (policy.action === 'accept') return { verdict: 'accept', match, code: undefined };
      return { verdict: 'deny', match, code: rule.tags.length > 0 ? 'denied-by-tags' : 'denied' };
    }
    return { verdict: 'unmatched', match: this.#implicit, code };
  }

  /** Where it comes from, where it goes, and by which access proxy. */
  #places(
    { policy, candidate }: Rule,
    { client, server, accessProxy, srcintf }: AccessRequest,
  ): PolicyMatch | undefined {
    if (!policy.accessProxy.includes(accessProxy)) return undefined;
    const { srcintf: named } = policy;
    const anywhere = srcintf === undefined || named.length === 0 || named.includes('any');
    if (!anywhere && !named.includes(srcintf)) return undefined;
    const src = candidate.source(client);
    const dst = src === undefined ? undefined : candidate.destination(server);
    if (src === undefined || dst === undefined || !candidate.services(server.port, undefined)) return undefined;
    return { ...candidate.match, srcUuid: src.uuid, dstUuid: dst.uuid };
  }

  #allowsUser({ users, groups }: ProxyPolicy, user: string): boolean {
    return users.includes(user) || groupsOf(this.#config, user).some((group) => groups.includes(group));
  }
}

/** What is known of endpoints is asked for at the moment when it matters. */
export function membersOf(config: Config, registry: EndpointRegistry): Dynamic {
  return {
    members: (object) => {
      const tag = tagOfAddress(object);
      return tag === undefined ? undefined : (ip) => holdsAddress(registry, tag, ip);
    },
    tagged: (names) => {
      const tags = names.flatMap((name) => tagsOf(config, name));
      return (ip) => tags.some((tag) => holdsAddress(registry, tag, ip));
    },
  };
}

/** EMS took its certificate back, or gave it another since. */
function isRevoked({ revoked, certificateSerial }: Endpoint, { serial }: Device): boolean {
  return revoked || (certificateSerial !== undefined && certificateSerial !== serial);
}

/** What keeps the endpoint from a rule that asks for tags. */
function lacks({ policy, tags }: Rule, endpoint: Endpoint | undefined): PolicyCode | undefined {
  if (endpoint === undefined) return 'no-device';
  if (!counts(endpoint)) return 'offline';
  const has = (any: readonly Tag[]): boolean => any.some((tag) => carries(endpoint, tag));
  const fits = policy.ztnaTagsMatchLogic === 'and' ? tags.every(has) : tags.some(has);
  return fits === policy.ztnaEmsTagNegate ? 'tags-missing' : undefined;
}
