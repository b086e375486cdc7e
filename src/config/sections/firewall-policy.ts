/** `config firewall policy`: who is inspected by which profiles. Options that steer packets are accepted and mean nothing here. */
import { accepted, choice, names, reference, text, toggle, unsupported, uuid } from '../options.js';
import { numericKey, tableSection } from '../section.js';

/** What firewall and proxy policies share. */
export const policyProfiles = {
  name: text(35),
  uuid: uuid(),
  comments: text(1023),
  status: toggle(true),
  action: choice(['accept', 'deny', 'ipsec', 'redirect', 'isolate'], 'deny'),
  srcaddr: names('firewall address', 'firewall addrgrp'),
  dstaddr: names('firewall address', 'firewall addrgrp', 'firewall vip', 'firewall vipgrp'),
  srcaddr6: names('firewall address6', 'firewall addrgrp6'),
  dstaddr6: names('firewall address6', 'firewall addrgrp6', 'firewall vip6', 'firewall vipgrp6'),
  'srcaddr-negate': toggle(false),
  'dstaddr-negate': toggle(false),
  service: names('firewall service custom', 'firewall service group'),
  'service-negate': toggle(false),
  srcintf: names(),
  dstintf: names(),
  /** Which sessions get a traffic record at their end, and whether at their start too. */
  logtraffic: choice(['all', 'utm', 'disable'], 'utm'),
  'logtraffic-start': toggle(false),
  'utm-status': toggle(false),
  'inspection-mode': choice(['proxy', 'flow'], 'flow'),
  'profile-type': choice(['single', 'group'], 'single'),
  'profile-group': unsupported('profile groups'),
  'profile-protocol-options': reference('firewall profile-protocol-options'),
  'ssl-ssh-profile': reference('firewall ssl-ssh-profile'),
  'av-profile': reference('antivirus profile'),
  'file-filter-profile': reference('file-filter profile'),
  'webfilter-profile': unsupported('web filter'),
  'dnsfilter-profile': unsupported('DNS filter'),
  'emailfilter-profile': unsupported('email filter'),
  'dlp-profile': unsupported('data loss prevention'),
  'dlp-sensor': unsupported('data loss prevention'),
  'ips-sensor': unsupported('intrusion prevention'),
  'application-list': unsupported('application control'),
  'voip-profile': unsupported('VoIP inspection'),
  'ips-voip-filter': unsupported('VoIP inspection'),
  'icap-profile': unsupported('ICAP'),
  'videofilter-profile': unsupported('video filter'),
  'waf-profile': unsupported('web application firewall'),
  'ssh-filter-profile': unsupported('SSH filter'),
  'sctp-filter-profile': unsupported('SCTP filter'),
  'virtual-patch-profile': unsupported('virtual patching'),
  'casb-profile': unsupported('inline CASB'),
  'cifs-profile': unsupported('CIFS profile (options of protocol cifs since FortiOS 6.4.2)'),
  'replacemsg-override-group': unsupported('replacement message groups'),
  'internet-service': toggle(false),
  'internet-service-src': toggle(false),
} as const;

/** About routing, address translation, shaping, sign-in and log volume: not ours. */
// biome-ignore format: a list of words.
const ELSEWHERE = [
  'schedule', 'schedule-timeout', 'policy-expiry', 'policy-expiry-date', 'policy-expiry-date-utc',
  'capture-packet', 'auto-asic-offload', 'np-acceleration', 'nat', 'nat46', 'nat64', 'ippool', 'poolname', 'poolname6',
  'fixedport', 'permit-any-host', 'permit-stun-host', 'natinbound', 'natoutbound', 'natip', 'inbound', 'outbound', 'vpntunnel', 'groups',
  'users', 'fsso', 'fsso-groups', 'fsso-agent-for-ntlm', 'ntlm', 'ntlm-guest', 'ntlm-enabled-browsers', 'auth-cert', 'auth-path',
  'auth-redirect-addr', 'redirect-url', 'disclaimer', 'captive-portal-exempt', 'email-collect', 'identity-based-route', 'rsso', 'wsso',
  'traffic-shaper', 'traffic-shaper-reverse', 'per-ip-shaper', 'dynamic-shaping', 'diffserv-copy', 'diffserv-forward', 'diffserv-reverse',
  'diffservcode-forward', 'diffservcode-rev', 'tos', 'tos-mask', 'tos-negate', 'vlan-cos-fwd', 'vlan-cos-rev', 'vlan-filter',
  'session-ttl', 'tcp-mss-sender', 'tcp-mss-receiver', 'tcp-session-without-syn', 'timeout-send-rst', 'anti-replay', 'send-deny-packet',
  'match-vip', 'match-vip-only', 'geoip-match', 'geoip-anycast', 'block-notification', 'custom-log-fields', 'label', 'global-label',
  'firewall-session-dirty', 'delay-tcp-npu-session', 'decrypted-traffic-mirror', 'passive-wan-health-measurement',
  'http-policy-redirect', 'ssh-policy-redirect', 'ztna-policy-redirect', 'webproxy-profile', 'webproxy-forward-server', 'webcache',
  'webcache-https', 'wanopt', 'wanopt-detection', 'wanopt-passive-opt', 'wanopt-peer', 'wanopt-profile', 'wccp', 'radius-mac-auth-bypass',
  'radius-ip-auth-bypass', 'dsri', 'fec', 'pcp-outbound', 'pcp-inbound', 'pcp-poolname', 'sgt', 'sgt-check', 'src-vendor-mac',
  'rtp-nat', 'rtp-addr', 'reputation-minimum', 'reputation-minimum6', 'reputation-direction', 'reputation-direction6', 'internet-service-name',
  'internet-service-group', 'internet-service-custom', 'internet-service-custom-group', 'internet-service-negate',
  'internet-service-src-name', 'internet-service-src-group', 'internet-service-src-custom', 'internet-service-src-custom-group',
  'internet-service-src-negate', 'internet-service-id', 'internet-service-src-id', 'network-service-dynamic', 'network-service-src-dynamic',
  'srcaddr6-negate', 'dstaddr6-negate', 'ztna-geo-tag', 'ztna-tags-match-logic',
  'ztna-device-ownership', 'application', 'app-category', 'app-group', 'url-category', 'learning-mode', 'scan-botnet-connections',
  'devices', 'spamfilter-profile', 'port-preserve', 'log-http-transaction', 'cgn-session-quota', 'cgn-resource-quota', 'cgn-eif',
  'cgn-eim', 'cgn-log-server-grp', 'eif-check', 'eif-learn', 'diameter-filter-profile', 'telemetry-profile', 'policy-behaviour-type',
  'ip-version-type', 'port-random', 'pim', 'app-monitor',
  'internet-service6', 'internet-service6-custom', 'internet-service6-custom-group', 'internet-service6-fortiguard', 'internet-service6-group', 'internet-service6-name', 'internet-service6-negate',
  'internet-service6-src', 'internet-service6-src-custom', 'internet-service6-src-custom-group', 'internet-service6-src-fortiguard', 'internet-service6-src-group',
  'internet-service6-src-name', 'internet-service6-src-negate', 'internet-service-fortiguard', 'internet-service-src-fortiguard',
] as const;

export const firewallPolicy = tableSection(
  {
    ...policyProfiles,
    ...elsewhere(ELSEWHERE),
    /** Whether the tags of the address that the client comes from are asked: any of the first list, and any of the second. */
    'ztna-status': toggle(false),
    'ztna-ems-tag': names(),
    'ztna-ems-tag-secondary': names(),
    'ztna-ems-tag-negate': toggle(false),
  },
  { key: numericKey },
);

/** Options that are accepted as they stand. */
export function elsewhere<const W extends readonly string[]>(words: W): Record<W[number], typeof accepted> {
  return Object.fromEntries(words.map((word) => [word, accepted])) as Record<W[number], typeof accepted>;
}
