/** `config firewall ssl-ssh-profile`. */

import {
  SSL_KEYS,
  type SslExemption,
  type SslKey,
  type SslProfile,
  type SslProtocol,
} from '../../policy/ssl-profile.js';
import { choice, parsed, ports, text, toggle, unsupported } from '../options.js';
import { type Entry, nameKey, numericKey, singleSection, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

const certAction = (unset: 'allow' | 'block') => choice(['allow', 'block', 'ignore'], unset);

const common = {
  'client-certificate': choice(['bypass', 'inspect', 'block'], undefined),
  'client-cert-request': choice(['bypass', 'inspect', 'block'], undefined),
  'unsupported-ssl': choice(['bypass', 'inspect', 'block', 'allow'], undefined),
  'unsupported-ssl-version': choice(['allow', 'block', 'inspect'], 'block'),
  'unsupported-ssl-cipher': choice(['allow', 'block'], 'allow'),
  'unsupported-ssl-negotiation': choice(['allow', 'block'], 'allow'),
  'expired-server-cert': certAction('block'),
  'revoked-server-cert': certAction('block'),
  'untrusted-server-cert': certAction('allow'),
  'invalid-server-cert': certAction('block'),
  'allow-invalid-server-cert': toggle(false),
  'cert-validation-timeout': certAction('allow'),
  'cert-validation-failure': certAction('block'),
  'sni-server-cert-check': choice(['enable', 'strict', 'disable'], 'enable'),
  'min-allowed-ssl-version': choice(['ssl-3.0', 'tls-1.0', 'tls-1.1', 'tls-1.2', 'tls-1.3'], 'tls-1.2'),
  ...elsewhere([
    'cert-probe-failure',
    'proxy-after-tcp-handshake',
    'quic',
    'udp-not-quic',
    'encrypted-client-hello',
  ] as const),
};
const implicit = (port: number) =>
  singleSection({ ...common, ports: ports([port]), status: choice(['disable', 'deep-inspection'], 'deep-inspection') });

export const sslSshProfile = tableSection(
  {
    comment: text(255),
    'server-cert-mode': choice(['re-sign', 'replace'], 're-sign'),
    caname: text(35),
    'untrusted-caname': text(35),
    'server-cert': text(35),
    'block-blocklisted-certificates': toggle(true),
    'block-blacklisted-certificates': toggle(true),
    allowlist: toggle(false),
    whitelist: toggle(false),
    'use-ssl-server': unsupported('SSL server offloading'),
    'supported-alpn': choice(['http1-1', 'http2', 'all', 'none'], 'all'),
    'ssl-exemptions-log': toggle(false),
    'ssl-anomaly-log': toggle(true),
    /** Its name up to 6.4, and in many pages since. */
    'ssl-anomalies-log': toggle(true),
    'ssl-negotiation-log': toggle(true),
    'ssl-server-cert-log': toggle(false),
    'ssl-handshake-log': toggle(false),
    ...elsewhere([
      'rpc-over-https',
      'mapi-over-https',
      'ssl-exemption-ip-rating',
      'ssl-exemption-log',
      'ech-outer-sni',
      'server-cert-log',
    ] as const),
  },
  {
    nested: {
      ssl: singleSection({
        ...common,
        'inspect-all': choice(['disable', 'certificate-inspection', 'deep-inspection'], 'disable'),
      }),
      https: singleSection({
        ...common,
        ports: ports([443]),
        status: choice(['disable', 'certificate-inspection', 'deep-inspection'], 'deep-inspection'),
      }),
      ftps: implicit(990),
      imaps: implicit(993),
      pop3s: implicit(995),
      smtps: implicit(465),
      'ssl-exempt': tableSection(
        {
          type: choice(
            ['fortiguard-category', 'address', 'address6', 'wildcard-fqdn', 'regex', 'finger-print'],
            'fortiguard-category',
          ),
          'fortiguard-category': unsupported('exemption by category'),
          address6: unsupported('exemption by address6'),
          address: text(79),
          'wildcard-fqdn': text(79),
          regex: parsed('a regular expression', plainPattern),
        },
        { key: numericKey },
      ),
    },
    skipped: ['ssh', 'dot', 'ssl-server', 'ech-outer-sni'],
    key: nameKey(47),
  },
);

type Profile = Entry<typeof sslSshProfile>;

export function toSslProfile(entry: Profile): SslProfile {
  return {
    name: entry.key,
    protocols: Object.fromEntries(SSL_KEYS.map((key) => [key, toProtocol(entry, key)])) as Record<SslKey, SslProtocol>,
    caname: entry.caname,
    untrustedCaname: entry.untrustedCaname,
    serverCert: entry.serverCertMode === 'replace' ? entry.serverCert : undefined,
    exemptions: [...entry.sslExempt.values()].flatMap(toExemption),
    logs: {
      anomalies: entry.sslAnomalyLog && entry.sslAnomaliesLog,
      negotiation: entry.sslNegotiationLog,
      exemptions: entry.sslExemptionsLog,
      serverCertificates: entry.sslServerCertLog,
      handshakes: entry.sslHandshakeLog,
    },
  };
}

/** What `config ssl / set inspect-all` says goes for all of them. */
function toProtocol(entry: Profile, key: SslKey): SslProtocol {
  const { inspectAll } = entry.ssl;
  const options = inspectAll === 'disable' && key !== 'ssl' ? entry[key] : entry.ssl;
  const deep = key === 'ssl' || inspectAll !== 'disable' ? inspectAll : entry[key].status;
  const { invalidServerCert, certValidationFailure, given } = options;
  return {
    deepInspection: deep === 'deep-inspection',
    ports: key === 'ssl' ? [] : entry[key].ports,
    // vsftpd and others ask, and go on without one: FortiOS's bypass for ftps would leave them unread.
    clientCertificate: options.clientCertificate ?? options.clientCertRequest ?? (isOurs(key) ? 'inspect' : 'bypass'),
    expired: options.expiredServerCert,
    revoked: options.revokedServerCert,
    untrusted: options.untrustedServerCert,
    // Its name changed with the releases; what was written is what counts.
    invalid: given.has('invalid-server-cert') ? invalidServerCert : certValidationFailure,
    unknown: options.certValidationTimeout,
    nameCheck: options.sniServerCertCheck,
    minVersion: options.minAllowedSslVersion,
  };
}

/** The protocols that are looked into here. */
function isOurs(key: SslKey): boolean {
  return key !== 'ssl' && key !== 'https';
}

function toExemption(entry: Profile['sslExempt'] extends ReadonlyMap<string, infer E> ? E : never): SslExemption[] {
  const { type, address, wildcardFqdn, regex } = entry;
  if (type === 'address' && address !== undefined) return [{ kind: 'address', object: address }];
  if (type === 'wildcard-fqdn' && wildcardFqdn !== undefined) {
    const pattern = wildcardFqdn.toLowerCase();
    return [{ kind: 'name', matches: (name) => fitsWildcard(name.toLowerCase(), pattern) }];
  }
  if (type === 'regex' && regex !== undefined) return [{ kind: 'name', matches: (name) => regex.test(name) }];
  return [];
}

/** `*.example.com`, which is not `example.com`. */
function fitsWildcard(name: string, pattern: string): boolean {
  return pattern.startsWith('*') ? name.endsWith(pattern.slice(1)) && name.length >= pattern.length : name === pattern;
}

function plainPattern(source: string): RegExp | undefined {
  try {
    return new RegExp(source, 'i');
  } catch {
    return undefined;
  }
}
