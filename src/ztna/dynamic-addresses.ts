/** Address objects whose members EMS's tags tell: who of the endpoints that are online has the tag now (`EMS_ZTNA_APP_SERVERS`). */
import type { Config } from '../config/config.js';
import { type Endpoint, tagNames } from './endpoint.js';
import type { EndpointRegistry } from './endpoint-registry.js';
import { carries, type Tag, tagOfAddress } from './tags.js';

export interface DynamicAddress {
  readonly name: string;
  readonly tag: Tag;
}

/** Those that the configuration has, in its order. */
export function dynamicAddresses(config: Config): DynamicAddress[] {
  return [...config.sections['firewall address'].values()].flatMap((address) => {
    const tag = tagOfAddress(address);
    return tag === undefined ? [] : [{ name: address.key, tag }];
  });
}

/** Whether an endpoint that is seen at `address` has the tag. One that is offline, quarantined or revoked has none. */
export function holdsAddress(registry: EndpointRegistry, tag: Tag, address: string): boolean {
  return registry.byAddress(address).some((endpoint) => counts(endpoint) && carries(endpoint, tag));
}

export function counts({ online, quarantined, revoked }: Endpoint): boolean {
  return online && !quarantined && !revoked;
}

/** `diagnose firewall dynamic list`: of one name, or of all, what EMS made included. `id`: a number that stays for a name. */
export function printDynamic(
  config: Config,
  registry: EndpointRegistry,
  id: (name: string) => number,
  wanted: string | undefined,
): string {
  const known = new Map<string, Tag>(dynamicAddresses(config).map(({ name, tag }) => [name, tag]));
  for (const endpoint of registry.values())
    for (const tag of endpoint.tags)
      known.set(tagNames(endpoint.emsSerial, tag)[0], { tag, emsSerial: endpoint.emsSerial });
  const names = wanted === undefined ? [...known.keys()] : known.has(wanted) ? [wanted] : [];
  return names.map((name) => block(name, known.get(name), registry, id(name))).join('\n');
}

function block(name: string, tag: Tag | undefined, registry: EndpointRegistry, id: number): string {
  if (tag === undefined) return '';
  const addresses = new Set<string>();
  for (const endpoint of registry.values())
    if (counts(endpoint) && carries(endpoint, tag)) for (const address of endpoint.addresses) addresses.add(address);
  return [
    `CMDB name: ${name}`,
    `TAG name: ${tag.tag}`,
    `${name}: ID(${id})`,
    ...[...addresses].map((address) => `ADDR(${address})`),
    'Total IP dynamic range blocks: 0.',
    `Total IP dynamic addresses: ${addresses.size}.`,
    '',
  ].join('\n');
}
