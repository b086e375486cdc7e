/**
 * Which policy a connection of a capture falls under: the first whose addresses and service match. Interfaces, schedules and users are
 * not asked, since a capture does not tell them. Firewall policies come first, then proxy policies.
 *
 * Where FortiOS would ask the network (fqdn, geography, dynamic, internet services) nothing matches; a negated list with such a member
 * does not match either. `all` is every address, of IPv6 too.
 */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { InternalError } from '../core/errors.js';
import type { Endpoint, PolicyFacts } from '../core/session.js';
import { BUILT_IN_PROFILES, DEFAULT_PROTOCOL_OPTIONS_PROFILE, type SessionProfiles } from '../policy/profiles.js';
import type { SslProfile } from '../policy/ssl-profile.js';
import type { Config } from './config.js';
import { PREDEFINED_SERVICES } from './predefined.js';
import type { PortRange } from './sections/firewall-service.js';

type FirewallPolicy = Config['sections']['firewall policy'] extends ReadonlyMap<string, infer P> ? P : never;
type ProxyPolicy = Config['sections']['firewall proxy-policy'] extends ReadonlyMap<string, infer P> ? P : never;

export interface PolicyMatch {
  /** For logs. */
  readonly facts: PolicyFacts;
  /** UUIDs of the address objects that matched, where they have one. */
  readonly srcUuid: string | undefined;
  readonly dstUuid: string | undefined;
  /** What applies to the session. */
  readonly profiles: SessionProfiles;
  /** What a daemon has to know beside; undefined where no policy matched, which denies. */
  readonly admission?: AdmissionRule;
}

/** What a policy says of a session before it carries a byte. */
export interface AdmissionRule {
  readonly accepted: boolean;
  readonly ssl: SslProfile | undefined;
  readonly log: 'all' | 'utm' | 'disable';
  readonly logStart: boolean;
  /** The interfaces that it names, unless any. */
  readonly srcintf: string | undefined;
  readonly dstintf: string | undefined;
}

/**
 * Never undefined: without a match the policy is FortiOS's implicit one, 0. It would have denied the connection; in a capture that was
 * let through all the same, so it is inspected by the strict built-in profiles, and so is what a policy denies.
 * `service` is the protocol as decoded (`SMTP`), where it is known: SMTP on a port of its own still is SMTP to a policy.
 */
export type MatchPolicy = (client: Endpoint, server: Endpoint, service: string | undefined) => PolicyMatch;

/** What is known of endpoints now, by their addresses. A capture knows of none. */
export interface Dynamic {
  /** Who is in a dynamic address object; undefined: nobody knows. */
  members(object: Address): ((ip: string) => boolean) | undefined;
  /** Who has any of these tags. */
  tagged(names: readonly string[]): (ip: string) => boolean;
}

/**
 * Addresses and services are looked up once here; the result is asked once a connection. `dynamic` is given by a daemon, whose access
 * proxies ask their rules themselves: no client of another door may get in by a rule that asks for a certificate.
 */
export function policyMatcher(config: Config, dynamic?: Dynamic): MatchPolicy {
  const candidates: PolicyCandidate[] = [];
  for (const policy of config.sections['firewall policy'].values())
    if (policy.status) candidates.push(policyCandidate(config, policy, 'policy', dynamic));
  for (const policy of config.sections['firewall proxy-policy'].values())
    if (policy.status && (dynamic === undefined || !forAccessProxies(policy)))
      candidates.push(policyCandidate(config, policy, 'proxy-policy', dynamic));
  const implicit = implicitMatch(config, 'policy');
  return (client, server, service) => {
    for (const { source, destination, services, match } of candidates) {
      const src = source(client);
      if (src === undefined) continue;
      const dst = destination(server);
      if (dst === undefined || !services(server.port, service)) continue;
      return src.uuid === undefined && dst.uuid === undefined
        ? match
        : { ...match, srcUuid: src.uuid, dstUuid: dst.uuid };
    }
    return implicit;
  };
}

/** FortiOS's rule 0, which denies. */
export function implicitMatch(config: Config, type: PolicyFacts['type']): PolicyMatch {
  return {
    facts: { id: 0, type },
    srcUuid: undefined,
    dstUuid: undefined,
    profiles: { ...BUILT_IN_PROFILES, replacementMessages: config.replacementMessages },
  };
}

export function forAccessProxies({ proxy, accessProxy }: ProxyPolicy): boolean {
  return proxy === 'access-proxy' || proxy === 'ztna-proxy' || accessProxy.length > 0;
}

/** A policy, ready to be asked. */
export interface PolicyCandidate {
  readonly source: (at: Endpoint) => Hit | undefined;
  readonly destination: (at: Endpoint) => Hit | undefined;
  readonly services: (port: number, service: string | undefined) => boolean;
  readonly match: PolicyMatch;
}

/** It matched; by an object of this UUID. */
interface Hit {
  readonly uuid: string | undefined;
}

export function policyCandidate(
  config: Config,
  policy: FirewallPolicy | ProxyPolicy,
  type: PolicyFacts['type'],
  dynamic: Dynamic | undefined,
): PolicyCandidate {
  const { uuid, name } = policy;
  const { srcaddr, srcaddr6, dstaddr, dstaddr6 } = policy;
  const lookup: Lookup = { config, dynamic };
  const source = addressList(lookup, [...srcaddr, ...srcaddr6], policy.srcaddrNegate, policy.internetServiceSrc);
  const tagged = dynamic === undefined || !('ztnaStatus' in policy) ? undefined : endpointTags(policy, dynamic);
  return {
    source: tagged === undefined ? source : (at) => (tagged(at.address) ? source(at) : undefined),
    destination: addressList(lookup, [...dstaddr, ...dstaddr6], policy.dstaddrNegate, policy.internetService),
    services: serviceList(config, policy.service, policy.serviceNegate, type),
    match: {
      facts: {
        id: Number(policy.key),
        type,
        ...(uuid === undefined ? {} : { uuid }),
        ...(name === undefined ? {} : { name }),
      },
      srcUuid: undefined,
      dstUuid: undefined,
      profiles: profilesOf(config, policy),
      admission: {
        accepted: policy.action === 'accept',
        ssl: policy.sslSshProfile === undefined ? undefined : config.ssl.get(policy.sslSshProfile),
        log: policy.logtraffic,
        logStart: policy.logtrafficStart,
        srcintf: policy.srcintf.find((name) => name !== 'any'),
        dstintf: policy.dstintf.find((name) => name !== 'any'),
      },
    },
  };
}

/** What a firewall policy asks of the endpoint at the client's address: any tag of each list that it has. */
function endpointTags(policy: FirewallPolicy, dynamic: Dynamic): ((ip: string) => boolean) | undefined {
  const { ztnaStatus, ztnaEmsTag, ztnaEmsTagSecondary, ztnaEmsTagNegate } = policy;
  if (!ztnaStatus || ztnaEmsTag.length === 0) return undefined;
  const first = dynamic.tagged(ztnaEmsTag);
  const second = ztnaEmsTagSecondary.length === 0 ? undefined : dynamic.tagged(ztnaEmsTagSecondary);
  return (ip) => first(ip) !== ztnaEmsTagNegate && (second === undefined || second(ip));
}

/** `utm-status disable` leaves the profiles of a policy in the configuration, unused; proxy policies of exports often lack the option. */
function profilesOf(config: Config, policy: FirewallPolicy | ProxyPolicy): SessionProfiles {
  const { replacementMessages } = config;
  if (policy.action === 'deny') return { ...BUILT_IN_PROFILES, replacementMessages };
  const off = policy.given.has('utm-status') && !policy.utmStatus;
  return {
    antivirus: off ? undefined : byName(config.antivirus, policy.avProfile),
    fileFilter: off ? undefined : byName(config.fileFilters, policy.fileFilterProfile),
    protocolOptions:
      byName(config.protocolOptions, policy.profileProtocolOptions ?? 'default') ?? DEFAULT_PROTOCOL_OPTIONS_PROFILE,
    replacementMessages,
    failOpen: config.sections['antivirus settings'].failOpen,
  };
}

function byName<T>(profiles: ReadonlyMap<string, T>, name: string | undefined): T | undefined {
  if (name === undefined) return undefined;
  const found = profiles.get(name);
  // Reading checked every reference.
  if (found === undefined) throw new InternalError(`profile ${JSON.stringify(name)} is gone`);
  return found;
}

type Matcher = (at: Endpoint) => Hit | undefined;

/** Where names of addresses are looked up. */
interface Lookup {
  readonly config: Config;
  readonly dynamic: Dynamic | undefined;
}

/** `internetService`: the list is replaced by what only the vendor's database knows. */
function addressList(lookup: Lookup, names: readonly string[], negate: boolean, internetService: boolean): Matcher {
  if (internetService) return () => undefined;
  const unknowable = { found: false };
  const members = names.flatMap((name) => addressMatchers(lookup, name, unknowable, new Set()));
  const hit: Hit = { uuid: undefined };
  const first = (at: Endpoint) => {
    for (const member of members) {
      const found = member(at);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  if (!negate) return first;
  return (at) => (unknowable.found || first(at) !== undefined ? undefined : hit);
}

/** Whether an address object, or a group of them, holds an endpoint. */
export function addressMatcher(config: Config, name: string): (at: Endpoint) => boolean {
  const members = addressMatchers({ config, dynamic: undefined }, name, { found: false }, new Set());
  return (at) => members.some((member) => member(at) !== undefined);
}

/** Of an address, a group (its members, not its exclusions) or a VIP. `seen` ends circles of groups. */
function addressMatchers(lookup: Lookup, name: string, unknowable: { found: boolean }, seen: Set<string>): Matcher[] {
  if (seen.has(name)) return [];
  seen.add(name);
  const { sections } = lookup.config;
  const address = sections['firewall address'].get(name) ?? sections['firewall address6'].get(name);
  if (name === 'all' || address !== undefined) {
    const hit: Hit = { uuid: address?.uuid };
    const holds = address === undefined || name === 'all' ? () => true : addressHolds(address, lookup.dynamic);
    if (holds === undefined) {
      unknowable.found = true;
      return [];
    }
    return [(at) => (holds(at.address) ? hit : undefined)];
  }
  const group = sections['firewall addrgrp'].get(name) ?? sections['firewall addrgrp6'].get(name);
  if (group !== undefined) {
    const hit: Hit = { uuid: group.uuid };
    const inner = group.member.flatMap((member) => addressMatchers(lookup, member, unknowable, seen));
    const out = group.exclude
      ? group.excludeMember.flatMap((member) => addressMatchers(lookup, member, unknowable, seen))
      : [];
    return [
      (at) =>
        inner.some((member) => member(at) !== undefined) && !out.some((member) => member(at) !== undefined)
          ? hit
          : undefined,
    ];
  }
  const vip = sections['firewall vip'].get(name);
  if (vip !== undefined) return vipMatchers(vip);
  if (name !== 'none') unknowable.found = true;
  return [];
}

export type Address = Config['sections']['firewall address'] extends ReadonlyMap<string, infer A> ? A : never;
type Address6 = Config['sections']['firewall address6'] extends ReadonlyMap<string, infer A> ? A : never;

/** undefined where the network would have to be asked. */
function addressHolds(
  address: Address | Address6,
  dynamic: Dynamic | undefined,
): ((ip: string) => boolean) | undefined {
  if (address.type === 'dynamic' && 'subnet' in address) return dynamic?.members(address);
  if (address.type === 'ipmask')
    return blockList((list) => list.addSubnet(address.subnet.address, address.subnet.prefix, 'ipv4'));
  if (address.type === 'ipprefix')
    return blockList((list) => list.addSubnet(address.ip6.address, address.ip6.prefix, 'ipv6'));
  if (address.type === 'iprange') return rangeHolds(address.startIp, address.endIp);
  return undefined;
}

function rangeHolds(from: string | undefined, to: string | undefined): (ip: string) => boolean {
  if (from === undefined) return () => false;
  return blockList((list) => addRange(list, from, to ?? from));
}

function addRange(list: BlockList, from: string, to: string): void {
  if (isIPv4(from) && isIPv4(to)) list.addRange(from, to, 'ipv4');
  else if (isIPv6(from) && isIPv6(to)) list.addRange(from, to, 'ipv6');
}

function blockList(fill: (list: BlockList) => void): (ip: string) => boolean {
  const list = new BlockList();
  try {
    fill(list);
  } catch {
    // A range that ends before it begins holds nothing.
    return () => false;
  }
  return (ip) => isIP(ip) !== 0 && list.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6');
}

type Vip = Config['sections']['firewall vip'] extends ReadonlyMap<string, infer V> ? V : never;

/** A capture may have been taken on either side of the translation. */
function vipMatchers(vip: Vip): Matcher[] {
  const hit: Hit = { uuid: vip.uuid };
  return (
    [
      [vip.extip, vip.extport],
      [vip.mappedip, vip.mappedport ?? vip.extport],
    ] as const
  ).map(([ranges, port]) => {
    const holds = blockList((list) => {
      for (const { from, to } of ranges) addRange(list, from, to);
    });
    return (at) => {
      const portFits = !vip.portforward || port === undefined || (at.port >= port.from && at.port <= port.to);
      return portFits && holds(at.address) ? hit : undefined;
    };
  });
}

function serviceList(
  config: Config,
  names: readonly string[],
  negate: boolean,
  type: PolicyFacts['type'],
): (port: number, service: string | undefined) => boolean {
  // A proxy policy of the access proxy names no service: it takes what its gateway was asked for.
  if (names.length === 0) return () => type === 'proxy-policy';
  const ranges: PortRange[] = [];
  const protocols = new Set<string>();
  for (const name of names) collectService(config, name, ranges, protocols, new Set());
  return (port, service) => {
    const fits =
      ranges.some(({ from, to }) => port >= from && port <= to) ||
      (service !== undefined && (protocols.has(service) || protocols.has(`${service}S`)));
    return fits !== negate;
  };
}

function collectService(
  config: Config,
  name: string,
  ranges: PortRange[],
  protocols: Set<string>,
  seen: Set<string>,
): void {
  if (seen.has(name)) return;
  seen.add(name);
  const group = config.sections['firewall service group'].get(name);
  if (group !== undefined) {
    for (const member of group.member) collectService(config, member, ranges, protocols, seen);
    return;
  }
  const custom = config.sections['firewall service custom'].get(name);
  if (custom === undefined) ranges.push(...(PREDEFINED_SERVICES[name] ?? []));
  else if (custom.protocol === 'IP' || custom.protocol === 'ALL') ranges.push({ from: 0, to: 65_535 });
  else ranges.push(...custom.tcpPortrange);
  // What is named like a protocol is that protocol wherever it is spoken.
  if (name in PREDEFINED_SERVICES) protocols.add(name === 'SAMBA' ? 'SMB' : name);
}
