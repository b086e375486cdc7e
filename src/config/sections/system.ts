/** `config system global`, `config system settings`. Both are full of what only a firewall has: that is passed over in silence. */

import { didYouMean, shown } from '../did-you-mean.js';
import { type OptionKind, text, toggle } from '../options.js';
import { singleSection } from '../section.js';
import { TIME_ZONES, zoneOfCode } from '../time-zones.js';
import { elsewhere } from './firewall-policy.js';

/** An IANA name, or one of the numbers that FortiOS wrote up to 7.2; the value is the IANA name. */
const timezone: OptionKind<string | undefined> = {
  unset: undefined,
  allowed: 'a time zone such as "Europe/Berlin", or a FortiOS number such as 04',
  many: false,
  read: ([word], reader) => {
    if (word === undefined) return undefined;
    const byCode = zoneOfCode(word.text);
    if (byCode !== undefined) return byCode;
    if (/^\d{1,2}$/.test(word.text)) {
      reader.warning(
        word,
        `timezone ${word.text}: this number is not known for sure; write the zone's name, such as "Europe/Berlin"`,
      );
      return undefined;
    }
    const known = TIME_ZONES.find((zone) => zone.toLowerCase() === word.text.toLowerCase());
    if (known !== undefined) return known;
    if (isZone(word.text)) return word.text;
    const near = didYouMean(word.text, TIME_ZONES);
    reader.error(word, `${shown(word.text)} is not allowed here: ${timezone.allowed}${near}`);
    return undefined;
  },
};

function isZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{2,40}$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    // RangeError is how Intl says no.
    return false;
  }
}

// biome-ignore format: a list of words.
const GLOBAL_ELSEWHERE = [
  'admin-concurrent', 'admin-console-timeout', 'admin-hsts-max-age', 'admin-https-redirect', 'admin-https-ssl-versions', 'admin-lockout-duration',
  'admin-lockout-threshold', 'admin-login-max', 'admin-maintainer', 'admin-port', 'admin-restrict-local', 'admin-scp', 'admin-server-cert',
  'admin-sport', 'admin-ssh-grace-time', 'admin-ssh-port', 'admin-ssh-v1', 'admin-telnet', 'admin-telnet-port', 'admintimeout', 'alias',
  'allow-traffic-redirect', 'anti-replay', 'arp-max-entry', 'auth-cert', 'auth-http-port', 'auth-https-port', 'auth-keepalive', 'av-affinity',
  'av-failopen', 'av-failopen-session', 'batch-cmdb', 'block-session-timer', 'cfg-save', 'check-protocol-header', 'check-reset-range',
  'cli-audit-log', 'daily-restart', 'default-service-source-port', 'device-idle-timeout', 'dh-params', 'dst', 'fds-statistics', 'fgd-alert-subscription',
  'fortiextender', 'fortiservice-port', 'gui-allow-default-hostname', 'gui-certificates', 'gui-custom-language', 'gui-date-format',
  'gui-device-latitude', 'gui-device-longitude', 'gui-display-hostname', 'gui-firmware-upgrade-warning', 'gui-forticare-registration-setup-warning',
  'gui-ipv6', 'gui-local-out', 'gui-replacement-message-groups', 'gui-theme', 'gui-wireless-opensecurity', 'honor-df', 'internet-service-database',
  'ip-src-port-range', 'ipv6-accept-dad', 'language', 'ldapconntimeout', 'lldp-reception', 'lldp-transmission', 'log-ssl-connection',
  'log-uuid', 'log-uuid-address', 'log-uuid-policy', 'login-timestamp', 'management-ip', 'management-port', 'management-vdom',
  'max-route-cache-size', 'memory-use-threshold-extreme', 'memory-use-threshold-green', 'memory-use-threshold-red', 'multi-factor-authentication',
  'post-login-banner', 'pre-login-banner', 'private-data-encryption', 'proxy-and-explicit-proxy', 'proxy-auth-timeout', 'proxy-re-authentication-mode',
  'proxy-resource-mode', 'proxy-worker-count', 'radius-port', 'reboot-upon-config-restore', 'refresh', 'remoteauthtimeout', 'revision-backup-on-logout',
  'revision-image-auto-backup', 'scanunit-count', 'security-rating-result-submission', 'send-pmtu-icmp', 'snat-route-change', 'special-file-23-support',
  'split-port', 'ssl-min-proto-version', 'ssl-static-key-ciphers', 'sslvpn-max-worker-count', 'ssh-enc-algo', 'ssh-hmac-md5', 'ssh-kex-algo',
  'ssh-mac-algo', 'strict-dirty-session-check', 'strong-crypto', 'switch-controller', 'switch-controller-reserved-network', 'sys-perf-log-interval',
  'tcp-halfclose-timer', 'tcp-halfopen-timer', 'tcp-option', 'tcp-rst-timer', 'tcp-timewait-timer', 'traffic-priority', 'traffic-priority-level',
  'two-factor-email-expiry', 'two-factor-ftm-expiry', 'udp-idle-timer', 'url-filter-count', 'user-server-cert', 'vdom-mode', 'virtual-server-count',
  'vip-arp-range', 'wad-worker-count', 'wifi-ca-certificate', 'wifi-certificate', 'wireless-controller', 'wireless-controller-port',
] as const;

export const systemGlobal = singleSection({
  ...elsewhere(GLOBAL_ELSEWHERE),
  hostname: text(35),
  timezone,
});

// biome-ignore format: a list of words.
const SETTINGS_ELSEWHERE = [
  'allow-linkdown-path', 'allow-subnet-overlap', 'application-bandwidth-tracking', 'asymroute', 'asymroute-icmp', 'asymroute6', 'auxiliary-session',
  'bfd', 'block-land-attack', 'central-nat', 'comments', 'consolidated-firewall-mode', 'default-app-port-as-service', 'default-policy-expiry-days',
  'default-voip-alg-mode', 'deny-tcp-with-icmp', 'device', 'discovered-device-timeout', 'ecmp-max-paths', 'email-portal-check-dns',
  'firewall-session-dirty', 'fw-session-hairpin', 'gateway', 'gui-advanced-policy', 'gui-allow-unnamed-policy', 'gui-antivirus',
  'gui-application-control', 'gui-default-policy-columns', 'gui-dlp', 'gui-dlp-profile', 'gui-dnsfilter', 'gui-dynamic-routing', 'gui-email-collection',
  'gui-emailfilter', 'gui-endpoint-control', 'gui-explicit-proxy', 'gui-file-filter', 'gui-icap', 'gui-implicit-policy', 'gui-ips',
  'gui-load-balance', 'gui-local-in-policy', 'gui-multicast-policy', 'gui-multiple-interface-policy', 'gui-object-colors', 'gui-policy-based-ipsec',
  'gui-proxy-inspection', 'gui-sslvpn', 'gui-traffic-shaping', 'gui-videofilter', 'gui-voip-profile', 'gui-vpn', 'gui-waf-profile', 'gui-webfilter',
  'gui-wireless-controller', 'gui-ztna', 'h323-direct-model', 'http-external-dest', 'ike-port', 'implicit-allow-dns', 'inspection-mode', 'ip',
  'lan-extension-controller-addr', 'lldp-reception', 'lldp-transmission', 'location-id', 'mac-ttl', 'manageip', 'manageip6',
  'multicast-forward', 'multicast-skip-policy', 'multicast-ttl-notchange', 'nat46-generate-ipv6-fragment-header', 'nat64-force-ipv6-packet-forwarding',
  'ngfw-mode', 'opmode', 'prp-trailer-action', 'sccp-port', 'sctp-session-without-init', 'ses-denied-traffic', 'sip-expectation',
  'sip-helper', 'sip-nat-trace', 'sip-ssl-port', 'sip-tcp-port', 'sip-udp-port', 'snat-hairpin-traffic', 'ssl-ssh-profile', 'status',
  'strict-src-check', 'tcp-session-without-syn', 'utf8-spam-tagging', 'v4-ecmp-mode', 'vdom-type', 'vpn-stats-log', 'vpn-stats-period', 'wccp-cache-engine',
] as const;

export const systemSettings = singleSection({
  ...elsewhere(SETTINGS_ELSEWHERE),
  /** Look at live sessions again when a dynamic address changes. */
  'dyn-addr-session-check': toggle(false),
});
