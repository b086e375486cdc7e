/** From configuration to doors and routes: where clients come in, where they are led, and which policy lets them. */
import type { Config } from '../config/config.js';
import { type Dynamic, type MatchPolicy, type PolicyMatch, policyMatcher } from '../config/match-policy.js';
import { ConfigError } from '../core/errors.js';
import { type Endpoint, endpointText, type InterfaceFacts } from '../core/session.js';
import { PROTOCOL_KEYS, type ProtocolKey, type ProtocolOptionsProfile } from '../policy/profiles.js';
import { implicitKey, type SslKey } from '../policy/ssl-profile.js';
import { listenerDoors } from './front/listener-doors.js';
import type { TlsTreatment } from './live-session.js';
import type { Door, Route } from './process-share.js';

/** Doors of one VIP at most: a range of ports is a range of listeners. */
const MOST_DOORS = 1_000;

const SERVICES: Readonly<Partial<Record<ProtocolKey, string>>> = {
  smtp: 'SMTP',
  pop3: 'POP3',
  imap: 'IMAP',
  ftp: 'FTP',
  cifs: 'SMB',
};
const TLS_SERVICES: Readonly<Partial<Record<SslKey, string>>> = {
  smtps: 'SMTP',
  pop3s: 'POP3',
  imaps: 'IMAP',
  ftps: 'FTP',
};

export interface Routes {
  readonly doors: readonly Door[];
  /** Which policy a client falls under, and how it is treated. */
  route(client: Endpoint, dialled: Endpoint, server: Endpoint, extintf: string | undefined): Route;
}

/** Throws ConfigError, a line for each door that two want. `dynamic`: who is in dynamic addresses. */
export function routesOf(config: Config, dynamic: Dynamic): Routes {
  const match = policyMatcher(config, dynamic);
  const vips = vipDoors(config);
  return {
    doors: [...vips, ...listenerDoors(config, vips)],
    route: (client, dialled, server, extintf) => routed(match, client, dialled, server, extintf),
  };
}

function vipDoors(config: Config): Door[] {
  const doors = new Map<string, Door>();
  const problems: string[] = [];
  for (const vip of config.sections['firewall vip'].values()) {
    if (!vip.status || vip.type !== 'static-nat' || vip.protocol !== 'tcp' || !vip.portforward) continue;
    const [external] = vip.extip;
    const [mapped] = vip.mappedip;
    const { extport } = vip;
    if (external === undefined || mapped === undefined || extport === undefined) continue;
    const inner = vip.mappedport ?? extport;
    if (extport.to - extport.from >= MOST_DOORS) {
      problems.push(`line ${vip.at.line}: a VIP has at most ${MOST_DOORS} ports`);
      continue;
    }
    for (let port = extport.from; port <= extport.to; port++) {
      const listen = { address: external.from, port };
      const server = { address: mapped.from, port: Math.min(inner.to, inner.from + port - extport.from) };
      const at = endpointText(listen);
      const other = doors.get(at);
      if (other !== undefined) problems.push(`line ${vip.at.line}: ${at} is ${other.name}'s already`);
      else
        doors.set(at, {
          name: `vip ${vip.key}`,
          listen,
          server,
          ...(vip.extintf === undefined ? {} : { extintf: vip.extintf }),
        });
    }
  }
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return [...doors.values()];
}

function routed(
  match: MatchPolicy,
  client: Endpoint,
  dialled: Endpoint,
  server: Endpoint,
  extintf: string | undefined,
): Route {
  const found = matchEither(match, client, dialled, server);
  const rule = found.admission;
  const route = {
    client,
    dialled,
    server,
    match: found,
    srcIntf: interfaceOf(rule?.srcintf ?? (extintf === 'any' ? undefined : extintf)),
    dstIntf: interfaceOf(rule?.dstintf),
    ...expected(found, [dialled.port, server.port]),
  };
  return rule?.accepted === true ? route : { ...route, denied: true };
}

/** What the first of `ports` that says something makes of a session: the protocol, and how its TLS is treated. */
export function expected(
  found: PolicyMatch,
  ports: readonly number[],
): { readonly service: string | undefined; readonly tls: TlsTreatment } {
  const first = <T>(of: (port: number) => T | undefined): T | undefined => {
    for (const port of ports) {
      const known = of(port);
      if (known !== undefined) return known;
    }
    return undefined;
  };
  const key = first((port) => implicitKey(found.admission?.ssl, port));
  const service =
    (key === undefined ? undefined : TLS_SERVICES[key]) ??
    first((port) => serviceOf(found.profiles.protocolOptions, port));
  return { service, tls: treatment(found, key, service) };
}

/** A policy names the VIP, whose address is the one that was dialled; or, as in FortiOS's newer releases, the server behind it. */
function matchEither(match: MatchPolicy, client: Endpoint, dialled: Endpoint, server: Endpoint): PolicyMatch {
  const first = match(client, dialled, undefined);
  return first.admission === undefined ? match(client, server, undefined) : first;
}

function serviceOf(options: ProtocolOptionsProfile, port: number): string | undefined {
  const key = PROTOCOL_KEYS.find((each) => options.protocols[each].ports.includes(port));
  return key === undefined ? undefined : SERVICES[key];
}

/** STARTTLS on a mail port is the business of its S-protocol's section, as FortiOS has it. */
const UPGRADES: Readonly<Record<string, SslKey>> = { SMTP: 'smtps', POP3: 'pop3s', IMAP: 'imaps', FTP: 'ftps' };

function treatment({ admission }: PolicyMatch, key: SslKey | undefined, service: string | undefined): TlsTreatment {
  const profile = admission?.ssl;
  const used = key ?? (service === undefined ? undefined : UPGRADES[service]) ?? 'ssl';
  return { implicit: key !== undefined, key: used, inspect: profile?.protocols[used].deepInspection === true };
}

function interfaceOf(name: string | undefined): InterfaceFacts {
  return { name: name ?? 'unknown-0', role: 'undefined' };
}
