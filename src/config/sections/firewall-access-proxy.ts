/** `config firewall access-proxy`: what an access proxy (ZTNA) forwards to. Of its API gateways those of the service tcp-forwarding are ours. */
import { accepted, choice, ipAddress, reference, text, toggle, withoutEffect } from '../options.js';
import { nameKey, numericKey, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';
import { portRanges } from './firewall-service.js';

export const EMPTY_CERT_ACTIONS = ['accept', 'block', 'accept-unmanageable'] as const;

const realservers = tableSection(
  {
    ...elsewhere([
      'weight',
      'http-host',
      'health-check',
      'health-check-proto',
      'holddown-interval',
      'translate-host',
      'ssh-client-cert',
      'ssh-host-key-validation',
      'ssh-host-key',
      'tunnel-encryption',
      'external-auth',
      'verify-cert',
      'port',
    ] as const),
    'addr-type': choice(['ip', 'fqdn'], 'ip'),
    /** An address object. */
    address: reference('firewall address', 'firewall addrgrp'),
    ip: ipAddress(),
    /** `files.example.com`, `*.example.com`. */
    domain: text(255),
    /** None: any. */
    mappedport: portRanges,
    status: choice(['active', 'standby', 'disable'], 'active'),
    type: choice(['tcp-forwarding', 'ssh'], 'tcp-forwarding'),
  },
  { key: numericKey, open: true },
);

const apiGateway = tableSection(
  {
    ...elsewhere([
      'ldb-method',
      'persistence',
      'http-cookie-domain-from-host',
      'http-cookie-domain',
      'http-cookie-path',
      'http-cookie-generation',
      'http-cookie-age',
      'http-cookie-share',
      'https-cookie-secure',
      'saml-server',
      'saml-redirect',
      'ssl-dh-bits',
      'ssl-algorithm',
      'ssl-min-version',
      'ssl-max-version',
      'ssl-renegotiation',
      'ssl-vpn-web-portal',
      'application',
      'h2-support',
      'h3-support',
    ] as const),
    service: choice(['http', 'https', 'tcp-forwarding', 'samlsp', 'web-portal', 'saas'], 'https'),
    'virtual-host': withoutEffect(text(79), 'virtual hosts of access proxies'),
    'url-map': text(511),
    'url-map-type': choice(['sub-string', 'wildcard', 'regex'], 'sub-string'),
  },
  { nested: { realservers }, key: numericKey, open: true },
);

export const firewallAccessProxy = tableSection(
  {
    ...elsewhere([
      'auth-portal',
      'auth-virtual-host',
      'svr-pool-multiplex',
      'svr-pool-ttl',
      'svr-pool-server-max-request',
      'svr-pool-server-max-concurrent-request',
      'decrypted-traffic-mirror',
      'http-supported-max-version',
      'add-vhost-domain-to-dnsdb',
      'user-agent-detect',
    ] as const),
    vip: reference('firewall vip'),
    'client-cert': toggle(true),
    'empty-cert-action': choice(EMPTY_CERT_ACTIONS, 'block'),
    /** Whether denied requests are put on record. */
    'log-blocked-traffic': toggle(true),
    comment: accepted,
  },
  { nested: { 'api-gateway': apiGateway }, key: nameKey(79), open: true },
);
