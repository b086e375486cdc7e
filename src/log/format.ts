/** The formats of `--log-format` and of `set format`: a record to one line, without a line end. */
import { formatCef } from './cef.js';
import { formatCsv, formatDefault } from './key-value.js';
import { type Field, field, type LogRecord } from './record.js';
import { formatRfc5424 } from './rfc5424.js';
import type { Facility } from './syslog.js';

export const LOG_FORMATS = ['default', 'csv', 'cef', 'rfc5424', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface FormatOptions {
  /** Written behind the time, as FortiOS does over syslog; left out of files. */
  readonly device?: { readonly name: string; readonly id: string };
  /** The host name of cef and rfc5424; the device's name where there is one. */
  readonly host?: string;
  /** cef; the FortiOS whose lines these are. */
  readonly version?: string;
  /** rfc5424. */
  readonly facility?: Facility;
}

export function formatRecord(record: LogRecord, format: LogFormat, options: FormatOptions = {}): string {
  const { device, facility = 'local7', version = 'v7.0.4' } = options;
  const host = (options.host ?? device?.name ?? 'inspectd').replace(/[^\x21-\x7e]/g, '-');
  const full = device === undefined ? record : { ...record, fields: withDevice(record.fields, device.name, device.id) };
  switch (format) {
    case 'default':
      return formatDefault(full);
    case 'csv':
      return formatCsv(full);
    case 'cef':
      return formatCef(full, { host, version });
    case 'rfc5424':
      return formatRfc5424(full, { host, facility });
    case 'json':
      return formatJson(full);
  }
}

/** `date time devname devid eventtime …` */
function withDevice(fields: readonly Field[], name: string, id: string): Field[] {
  return [...fields.slice(0, 2), ...field('devname', name), ...field('devid', id), ...fields.slice(2)];
}

/**
 * FortiOS writes JSON since 7.4.1; no sample of it is public. Ours: one object a record, the names and the order of the default line,
 * numbers as numbers except `eventtime`, whose nanoseconds no JSON reader with doubles would keep.
 */
function formatJson(record: LogRecord): string {
  return JSON.stringify(
    Object.fromEntries(record.fields.map(({ name, type, value }) => [name, type === 'number' ? Number(value) : value])),
  );
}
