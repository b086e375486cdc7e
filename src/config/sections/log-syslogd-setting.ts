/** `config log syslogd setting`. */
import { choice, integer, ipAddress, text, toggle } from '../options.js';
import { singleSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

// biome-ignore format: in the order of their numbers (RFC 5424 §6.2.1).
export const FACILITIES = [
  'kernel', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp', 'ntp', 'audit', 'alert', 'clock',
  'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7',
] as const;

export const logSyslogdSetting = singleSection(
  {
    status: toggle(false),
    server: text(127),
    mode: choice(['udp', 'legacy-reliable', 'reliable'], 'udp'),
    port: integer(0, 65_535, 514),
    facility: choice(FACILITIES, 'local7'),
    format: choice(['default', 'csv', 'cef', 'rfc5424', 'json'], 'default'),
    'source-ip': ipAddress(),
    'max-log-rate': integer(0, 100_000, 0),
    'enc-algorithm': choice(['high-medium', 'high', 'low', 'disable'], 'disable'),
    ...elsewhere([
      'ssl-min-proto-version',
      'certificate',
      'priority',
      'interface-select-method',
      'interface',
      'source-ip-interface',
      'vrf-select',
      'use-management-vdom',
    ] as const),
  },
  {},
  ['custom-field-name'],
);
