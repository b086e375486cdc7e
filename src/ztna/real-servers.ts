/** What an access proxy forwards to: the API gateways of its service tcp-forwarding, and which of their real servers a request means. */
import { isIP } from 'node:net';
import type { Config } from '../config/config.js';
import { addressMatcher } from '../config/match-policy.js';

/** FortiOS's codes where nothing is found (7.4.1 and later). */
export const GATEWAY_CODES = { 'no-gateway': '021', 'no-server': '022', 'no-such-name': '023' } as const;
export type GatewayCode = keyof typeof GATEWAY_CODES;

export interface Asked {
  /** An address, or a name, in lower case. */
  readonly host: string;
  readonly port: number;
}

export interface FoundServer {
  readonly gatewayId: number;
}

type Entry<T> = T extends ReadonlyMap<string, infer E> ? E : never;
type AccessProxy = Entry<Config['sections']['firewall access-proxy']>;
type RealServer = Entry<Entry<AccessProxy['apiGateway']>['realservers']>;

export class RealServers {
  readonly #gateways: readonly {
    readonly id: number;
    readonly servers: readonly ((asked: Asked, address: string) => boolean)[];
    readonly names: readonly ((host: string) => boolean)[];
  }[];

  constructor(config: Config, proxy: AccessProxy) {
    this.#gateways = [...proxy.apiGateway.values()]
      .filter(({ service, urlMap }) => service === 'tcp-forwarding' && forTcp(urlMap))
      .map(({ key, realservers }) => {
        const used = [...realservers.values()].filter(
          (each) => each.status !== 'disable' && each.type === 'tcp-forwarding',
        );
        return {
          id: Number(key),
          servers: used.map((each) => serves(config, each)),
          names: used.map((each) => mayBeNamed(config, each)),
        };
      });
  }

  /** Whether asking the network for `host` can lead anywhere. */
  mayLead(host: string): GatewayCode | undefined {
    if (this.#gateways.length === 0) return 'no-gateway';
    const known = isIP(host) !== 0 || this.#gateways.some(({ names }) => names.some((fits) => fits(host)));
    return known ? undefined : 'no-server';
  }

  /** `address`: what `asked.host` is, or leads to. */
  find(asked: Asked, address: string): FoundServer | GatewayCode {
    if (this.#gateways.length === 0) return 'no-gateway';
    const found = this.#gateways.find(({ servers }) => servers.some((fits) => fits(asked, address)));
    return found === undefined ? 'no-server' : { gatewayId: found.id };
  }
}

/** Requests for TCP forwarding come for `/tcp`. */
function forTcp(urlMap: string | undefined): boolean {
  return urlMap === undefined || urlMap === '' || '/tcp'.startsWith(urlMap);
}

function serves(config: Config, server: RealServer): (asked: Asked, address: string) => boolean {
  const { ip, address, domain, mappedport } = server;
  const named = mayBeNamed(config, server);
  const holds = address === undefined ? undefined : addressMatcher(config, address);
  const byName = fqdnsOf(config, address).length > 0;
  return (asked, at) => {
    if (mappedport.length > 0 && !mappedport.some(({ from, to }) => asked.port >= from && asked.port <= to))
      return false;
    const isName = isIP(asked.host) === 0;
    if (isName && !named(asked.host)) return false;
    if (ip !== undefined) return ip === at;
    if (holds !== undefined && !byName) return holds({ address: at, port: asked.port });
    // Only its name is known, so that only by its name it can be asked for.
    return isName && (domain !== undefined || byName);
  };
}

/** Names by which it may be asked for; one that has an address alone, by any that leads there. */
function mayBeNamed(config: Config, { address, domain }: RealServer): (host: string) => boolean {
  const names = fqdnsOf(config, address);
  if (domain !== undefined) return (host) => fitsDomain(domain.toLowerCase(), host);
  return names.length > 0 ? (host) => names.includes(host) : () => true;
}

function fqdnsOf({ sections }: Config, address: string | undefined): string[] {
  const object = address === undefined ? undefined : sections['firewall address'].get(address);
  return object?.type === 'fqdn' && object.fqdn !== undefined ? [object.fqdn.toLowerCase()] : [];
}

function fitsDomain(domain: string, host: string): boolean {
  return domain.startsWith('*.') ? host.endsWith(domain.slice(1)) && host.length > domain.length - 1 : host === domain;
}
