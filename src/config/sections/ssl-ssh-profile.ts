/** `config firewall ssl-ssh-profile`: read and checked; what it says of certificates is used where TLS is intercepted. */
import { choice, ports, text, toggle, unsupported } from '../options.js';
import { nameKey, numericKey, singleSection, tableSection } from '../section.js';
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
  'min-allowed-ssl-version': choice(['ssl-3.0', 'tls-1.0', 'tls-1.1', 'tls-1.2', 'tls-1.3'], 'tls-1.1'),
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
          ...elsewhere(['fortiguard-category', 'address', 'address6', 'wildcard-fqdn', 'regex'] as const),
        },
        { key: numericKey },
      ),
    },
    skipped: ['ssh', 'dot', 'ssl-server', 'ech-outer-sni'],
    key: nameKey(47),
  },
);
