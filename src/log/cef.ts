/**
 * ArcSight's Common Event Format as FortiOS writes it, `set format cef`: `Dec 27 11:20:48 host CEF:0|Fortinet|Fortigate|v7.0.4|08192|
 * utm:virus infected blocked|4|…`. Fields with a CEF name get it, all others the prefix FTNTFGT; the order is that of the line.
 * Vendor samples differ in `CEF:0` and `CEF: 0`; this is the one that CEF itself prescribes.
 */
import { type FieldName, fieldValue, LEVELS, type LogRecord } from './record.js';

export interface CefOptions {
  readonly host: string;
  /** FortiOS's version: readers choose their parser by it. */
  readonly version: string;
}

export function formatCef(record: LogRecord, { host, version }: CefOptions): string {
  const value = (name: FieldName) => fieldValue(record, name) ?? '';
  const kind = `${value('type')}:${value('subtype')}`;
  const name = [kind, value('eventtype'), value('action')].filter((word) => word !== '').join(' ');
  const head = ['CEF:0', 'Fortinet', 'Fortigate', version, value('logid').slice(-5), name, severity(record)];
  const extension = record.fields.flatMap(({ name, value }) => {
    if (IN_HEADER.has(name)) return [];
    if (name === 'subtype') return [`cat=${escapeExtension(kind)}`, `FTNTFGTsubtype=${escapeExtension(value)}`];
    if (name === 'direction') return [`deviceDirection=${value === 'outgoing' ? 1 : 0}`];
    return [`${CEF_NAMES[name] ?? `FTNTFGT${name}`}=${escapeExtension(value)}`];
  });
  const [, month = '01', day = '01'] = value('date').split('-');
  const stamp = `${MONTHS[Number(month) - 1]} ${day} ${value('time')}`;
  return `${stamp} ${host} ${head.map(escapeHeader).join('|')}|${extension.join(' ')}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** In the syslog header or the CEF header. */
const IN_HEADER: ReadonlySet<FieldName> = new Set(['date', 'time', 'devname', 'type']);

const CEF_NAMES: Readonly<Partial<Record<FieldName, string>>> = {
  devid: 'deviceExternalId',
  msg: 'msg',
  action: 'act',
  service: 'app',
  sessionid: 'externalId',
  srcip: 'src',
  dstip: 'dst',
  srcport: 'spt',
  dstport: 'dpt',
  srcintf: 'deviceInboundInterface',
  dstintf: 'deviceOutboundInterface',
  proto: 'proto',
  filename: 'fname',
  user: 'duser',
};

/** FortiOS reverses the levels: debug 1 up to emergency 8. */
function severity({ level }: LogRecord): string {
  return String(LEVELS.length - LEVELS.indexOf(level));
}

function escapeHeader(value: string): string {
  return value.replace(/[|\\]/g, '\\$&');
}

/** The vendor's text names `/` as well, its samples leave it alone; they are followed. */
function escapeExtension(value: string): string {
  return value.replace(/[=\\]/g, '\\$&');
}
