/** What syslog puts around a line: the priority of RFC 3164 and 5424, and the octet count of RFC 6587 §3.4.1 on TCP. */
import { Buffer } from 'node:buffer';
import { LEVELS, type Level } from './record.js';

/** In the order of their codes, under FortiOS's names. */
export const FACILITIES = [
  'kernel',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;
export type Facility = (typeof FACILITIES)[number];

/** `local7` and `warning`: 188. */
export function priority(facility: Facility, level: Level): number {
  return FACILITIES.indexOf(facility) * 8 + LEVELS.indexOf(level);
}

/** FortiOS sends the bare line behind the priority: no time and no host name of RFC 3164, except in CEF, where they are in the line. */
export function withPriority(line: string, facility: Facility, level: Level): string {
  return `<${priority(facility, level)}>${line}`;
}

/** `187 <188>date=…`: the count is of bytes. */
export function octetCounted(message: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(message)} ${message}`);
}
