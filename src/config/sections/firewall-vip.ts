/** `config firewall vip`: an address and port that clients dial, and the server that they are led to. */
import { isIP } from 'node:net';
import { shown } from '../did-you-mean.js';
import { choice, integer, names, type OptionKind, text, toggle, uuid } from '../options.js';
import { nameKey, tableSection } from '../section.js';
import { EMPTY_CERT_ACTIONS } from './firewall-access-proxy.js';
import { elsewhere } from './firewall-policy.js';

/** `10.0.0.1`, `10.0.0.1-10.0.0.9`. */
export interface AddressRange {
  readonly from: string;
  readonly to: string;
}

const ranges: OptionKind<readonly AddressRange[]> = {
  unset: [],
  allowed: 'addresses such as 10.0.0.1 or 10.0.0.1-10.0.0.9',
  many: true,
  read: (words, reader) =>
    words.flatMap((word) => {
      const [from = '', to = from, extra] = word.text.split('-');
      if (isIP(from) !== 0 && isIP(from) === isIP(to) && extra === undefined) return [{ from, to }];
      reader.error(word, `found ${shown(word.text)}; allowed: ${ranges.allowed}`);
      return [];
    }),
};

// biome-ignore format: a list of words.
const ELSEWHERE = [
  'id', 'comment', 'color', 'arp-reply', 'nat-source-vip', 'portmapping-type', 'src-filter', 'src-vip-filter', 'srcintf-filter',
  'service', 'gratuitous-arp-interval', 'monitor', 'max-embryonic-connections', 'mapped-addr', 'extaddr', 'dns-mapping-ttl', 'ldb-method',
  'persistence', 'server-type', 'http-redirect', 'weblogic-server', 'websphere-server', 'ssl-mode', 'ssl-dh-bits',
  'ssl-algorithm', 'ssl-min-version', 'ssl-max-version', 'ssl-client-renegotiation', 'h2-support', 'h3-support', 'nat44', 'nat46',
  'add-nat46-route', 'ipv6-mappedip', 'ipv6-mappedport', 'one-click-gslb-server', 'user-agent-detect',
  'gslb-hostname', 'gslb-domain-name', 'http-host', 'src-intf-filter',
] as const;

export const firewallVip = tableSection(
  {
    ...elsewhere(ELSEWHERE),
    uuid: uuid(),
    status: toggle(true),
    extintf: text(35),
    type: choice(
      ['static-nat', 'load-balance', 'server-load-balance', 'dns-translation', 'fqdn', 'access-proxy'],
      'static-nat',
    ),
    extip: ranges,
    mappedip: ranges,
    portforward: toggle(false),
    protocol: choice(['tcp', 'udp', 'sctp', 'icmp'], 'tcp'),
    /** The first port of a range. */
    extport: portOrRange(),
    mappedport: portOrRange(),
    /** Of an access proxy: an entry of "config vpn certificate local". */
    'ssl-certificate': names(),
    /** From FortiOS 7.6.0 on they stand here. */
    'client-cert': choice(['enable', 'disable'], undefined),
    'empty-cert-action': choice(EMPTY_CERT_ACTIONS, undefined),
    'http-cookie-age': integer(0, 525_600, undefined),
  },
  { key: nameKey(79), skipped: ['realservers', 'ssl-cipher-suites', 'gslb-public-ips', 'quic'] },
);

function portOrRange(): OptionKind<{ readonly from: number; readonly to: number } | undefined> {
  const allowed = 'a port such as 21, or a range such as 8000-8010';
  return {
    unset: undefined,
    allowed,
    many: false,
    read: ([word], reader) => {
      const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word?.text ?? '');
      const from = Number(found?.[1] ?? Number.NaN);
      const to = Number(found?.[2] ?? from);
      if (from <= to && to <= 65_535) return { from, to };
      if (word !== undefined) reader.error(word, `found ${shown(word.text)}; allowed: ${allowed}`);
      return undefined;
    },
  };
}
