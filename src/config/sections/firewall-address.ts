/** `config firewall address`, `address6`, `addrgrp` and `addrgrp6`. What needs the network to be known (fqdn) matches nothing. */
import { isIPv6 } from 'node:net';
import { shown } from '../did-you-mean.js';
import { accepted, choice, ipAddress, names, type OptionKind, subnet, text, toggle, uuid } from '../options.js';
import { nameKey, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

const key = nameKey(79);
// biome-ignore format: a list of words.
const FOR_PEOPLE = [
  'comment', 'color', 'associated-interface', 'allow-routing', 'visibility', 'fabric-object', 'tags', 'cache-ttl', 'wildcard-fqdn',
  'country', 'interface', 'sdn', 'sdn-tag', 'filter', 'obj-type', 'tag-type', 'tag-detection-level', 'hw-model',
  'hw-vendor', 'os', 'sw-version', 'node-ip-only', 'obj-id', 'organization', 'epg-name', 'tenant', 'subnet-name', 'policy-group',
  'fsso-group', 'clearpass-spt', 'macaddr', 'start-mac', 'end-mac', 'sdn-addr-type', 'route-tag', 'dirty', 'passive-fqdn-learning', 'type6',
] as const;

export const firewallAddress = tableSection(
  {
    ...elsewhere(FOR_PEOPLE),
    uuid: uuid(),
    type: choice(
      [
        'ipmask',
        'iprange',
        'fqdn',
        'geography',
        'wildcard',
        'dynamic',
        'interface-subnet',
        'mac',
        'route-tag',
        'wildcard-fqdn',
      ],
      'ipmask',
    ),
    /** Of a dynamic one: what fills it; ours are those of EMS's tags. */
    'sub-type': text(35),
    'obj-tag': text(255),
    fqdn: text(255),
    subnet: subnet({ address: '0.0.0.0', prefix: 0 }),
    wildcard: accepted,
    'start-ip': ipAddress(),
    'end-ip': ipAddress(),
  },
  { key, skipped: ['list', 'tagging'] },
);

const prefix6: OptionKind<{ readonly address: string; readonly prefix: number }> = {
  unset: { address: '::', prefix: 0 },
  allowed: 'an IPv6 network such as 2001:db8::/32',
  many: false,
  read: ([word], reader) => {
    const [address = '', bits = '128', extra] = (word?.text ?? '').split('/');
    if (isIPv6(address) && /^\d{1,3}$/.test(bits) && Number(bits) <= 128 && extra === undefined)
      return { address, prefix: Number(bits) };
    if (word !== undefined) reader.error(word, `found ${shown(word.text)}; allowed: ${prefix6.allowed}`);
    return undefined;
  },
};

export const firewallAddress6 = tableSection(
  {
    ...elsewhere(FOR_PEOPLE),
    uuid: uuid(),
    type: choice(['ipprefix', 'iprange', 'fqdn', 'geography', 'dynamic', 'template', 'mac', 'route-tag'], 'ipprefix'),
    ip6: prefix6,
    'start-ip': ipAddress(),
    'end-ip': ipAddress(),
    'sub-type': accepted,
    'obj-tag': accepted,
    fqdn: accepted,
    template: accepted,
    'host-type': accepted,
    host: accepted,
  },
  { key, skipped: ['list', 'tagging', 'subnet-segment'] },
);

const group = (...members: string[]) =>
  tableSection(
    {
      ...elsewhere(['comment', 'color', 'allow-routing', 'visibility', 'fabric-object', 'category', 'type'] as const),
      uuid: uuid(),
      member: names(...members),
      exclude: toggle(false),
      'exclude-member': names(...members),
    },
    { key, skipped: ['tagging'] },
  );

export const firewallAddressGroup = group('firewall address', 'firewall addrgrp');
export const firewallAddressGroup6 = group('firewall address6', 'firewall addrgrp6');
