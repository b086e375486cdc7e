/**
 * A syslog message of RFC 5424, `set format rfc5424`: all fields as one element of structured data under Fortinet's enterprise number.
 * No sample of the vendor's is public; the shape follows a third party's. The priority is part of the message there, so it is written
 * to files too.
 */

import { fieldValue, type LogRecord } from './record.js';
import { type Facility, priority } from './syslog.js';
import { isoTime } from './time-zone.js';

export interface Rfc5424Options {
  readonly host: string;
  readonly facility: Facility;
}

export function formatRfc5424(record: LogRecord, { host, facility }: Rfc5424Options): string {
  const stamp = isoTime(Number(record.eventTime / 1_000_000n));
  const parameters = record.fields.map(({ name, value }) => `${name}="${value.replace(/["\\\]]/g, '\\$&')}"`);
  const id = fieldValue(record, 'logid') ?? '-';
  return `<${priority(facility, record.level)}>1 ${stamp} ${host} FortiGate - ${id} [FTNTFGT@12356 ${parameters.join(' ')}]`;
}
