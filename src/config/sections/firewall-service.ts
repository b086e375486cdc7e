/** `config firewall service custom` and `group`. Only TCP ports tell anything here. */
import { shown } from '../did-you-mean.js';
import { choice, names, type OptionKind, uuid } from '../options.js';
import { nameKey, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** `80 443 1000-2000:0-65535`; what follows the colon is the source port and is not looked at. */
export const portRanges: OptionKind<readonly PortRange[]> = {
  unset: [],
  allowed: 'ports such as 25 or 1000-2000 or 25:1024-65535',
  many: true,
  read: (words, reader) =>
    words.flatMap((word) => {
      const found = /^(\d{1,5})(?:-(\d{1,5}))?(?::\d{1,5}(?:-\d{1,5})?)?$/.exec(word.text);
      const from = Number(found?.[1] ?? Number.NaN);
      const to = Number(found?.[2] ?? from);
      if (from <= to && to <= 65_535) return [{ from, to }];
      reader.error(word, `found ${shown(word.text)}; allowed: ${portRanges.allowed}`);
      return [];
    }),
};

// biome-ignore format: a list of words.
const ELSEWHERE = [
  'category', 'comment', 'color', 'visibility', 'fabric-object', 'proxy', 'udp-portrange', 'udplite-portrange', 'sctp-portrange', 'icmptype',
  'icmpcode', 'protocol-number', 'helper', 'check-reset-range', 'session-ttl', 'tcp-halfclose-timer', 'tcp-halfopen-timer',
  'tcp-timewait-timer', 'tcp-rst-timer', 'udp-idle-timer', 'app-service-type', 'app-category', 'application', 'iprange', 'fqdn',
] as const;

export const firewallServiceCustom = tableSection(
  {
    ...elsewhere(ELSEWHERE),
    uuid: uuid(),
    protocol: choice(
      [
        'TCP/UDP/SCTP',
        'TCP/UDP/UDP-Lite/SCTP',
        'TCP/UDP',
        'ICMP',
        'ICMP6',
        'IP',
        'ALL',
        'HTTP',
        'FTP',
        'CONNECT',
        'SOCKS-TCP',
        'SOCKS-UDP',
      ],
      'TCP/UDP/SCTP',
    ),
    'tcp-portrange': portRanges,
  },
  { key: nameKey(79) },
);

export const firewallServiceGroup = tableSection(
  {
    ...elsewhere(['comment', 'color', 'proxy', 'fabric-object'] as const),
    uuid: uuid(),
    member: names('firewall service custom', 'firewall service group'),
  },
  { key: nameKey(79) },
);
