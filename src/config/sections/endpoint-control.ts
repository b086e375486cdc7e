/**
 * `config endpoint-control fctems` (7.x) and `config endpoint-control forticlient-ems` (6.x): the EMS that tells of endpoints. FortiOS 7 signs in
 * with a certificate of the device; ours signs in with a name and a password in both. `verifying-ca` of an EMS that no public authority vouches for.
 */
import { accepted, choice, integer, parsed, reference, secret, text, toggle } from '../options.js';
import { nameKey, numericKey, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

const common = {
  'serial-number': parsed('a serial number such as FCTEMS0000109188', (word) =>
    /^[A-Z0-9]{4,32}$/.test(word) ? word : undefined,
  ),
  'https-port': integer(1, 65_535, 443),
  'admin-username': text(255),
  'admin-password': secret('text of at most 255 characters', /^.{0,255}$/s),
  /** Seconds that one call may take. */
  'call-timeout': integer(1, 180, 30, 1000),
  /** Seconds that a call for changes waits for one. */
  'status-check-interval': integer(1, 120, 5, 1000),
  /** Seconds for which tags hold that nobody confirms. */
  'out-of-sync-threshold': integer(1, 2_592_000, 180, 1000),
  'verifying-ca': reference('vpn certificate ca'),
};

export const endpointControlFctems = tableSection(
  {
    ...common,
    status: toggle(true),
    name: text(35),
    server: text(255),
    ...elsewhere([
      'tenant-id',
      'fortinetone-cloud-authentication',
      'cloud-authentication-access-key',
      'cloud-server-type',
      'source-ip',
      'interface-select-method',
      'interface',
      'vrf-select',
      'pull-sysinfo',
      'pull-vulnerabilities',
      'pull-avatars',
      'pull-malware-hash',
      'pull-tags',
      'preserve-ssl-session',
      'websocket-override',
      'trust-ca-cn',
      'capabilities',
      'send-tags-to-all-vdoms',
      'dirty-reason',
      'ztna-root-ca',
      'certificate',
    ] as const),
  },
  { key: numericKey },
);

export const endpointControlForticlientEms = tableSection(
  {
    ...common,
    address: reference('firewall address'),
    'rest-api-auth': choice(['disable', 'userpass'], 'userpass'),
    'admin-type': accepted,
    'upload-port': accepted,
    'listen-port': accepted,
  },
  { key: nameKey(35) },
);
