/** `config firewall proxy-policy`: the rules of the access proxy (ZTNA) and of explicit proxies. */
import { choice, integer, names, text, toggle, withoutEffect } from '../options.js';
import { numericKey, tableSection } from '../section.js';
import { elsewhere, policyProfiles } from './firewall-policy.js';

// biome-ignore format: a list of words.
const ELSEWHERE = [
  'access-proxy6', 'session-ttl', 'poolname',
  'poolname6', 'webproxy-profile', 'webproxy-forward-server', 'isolator-server', 'webcache', 'webcache-https', 'http-tunnel-auth',
  'ssh-policy-redirect', 'transparent', 'disclaimer', 'redirect-url', 'label', 'global-label', 'block-notification', 'decrypted-traffic-mirror',
  'detect-https-in-http-request', 'ztna-geo-tag', 'ztna-proxy', 'url-risk', 'internet-service-name',
  'internet-service-group', 'internet-service-custom', 'internet-service-custom-group', 'internet-service-negate', 'internet-service6',
  'internet-service6-name', 'log-http-transaction', 'https-sub-category', 'dnsfilter', 'telemetry-profile', 'ssh-filter', 'internet-service-id',
  'internet-service6-custom', 'internet-service6-custom-group', 'internet-service6-group', 'internet-service6-negate',
] as const;

export const firewallProxyPolicy = tableSection(
  {
    ...policyProfiles,
    ...elsewhere(ELSEWHERE),
    proxy: choice(
      ['explicit-web', 'transparent-web', 'ftp', 'ssh', 'ssh-tunnel', 'access-proxy', 'ztna-proxy', 'wanopt'],
      undefined,
    ),
    'access-proxy': names(),
    'device-ownership': withoutEffect(toggle(false), 'check of who owns a device'),
    'ztna-ems-tag': names(),
    'ztna-ems-tag-secondary': names(),
    'ztna-tags-match-logic': choice(['or', 'and'], 'or'),
    'ztna-ems-tag-negate': toggle(false),
    /** Of access proxies. */
    schedule: text(35),
    groups: names(),
    users: names(),
    /** Set by FortiOS; kept in exports. */
    policyid: integer(0, 0xffff_ffff, undefined),
  },
  { key: numericKey },
);
