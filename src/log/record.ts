/**
 * A log record: an ordered list of typed fields. The type, not the content, decides whether a value is quoted: `logid="0211008194"` is a
 * string that looks like a number, `policyid=1` a number. The table is FortiOS's (log message reference 7.6.4, messages 8194 and 64000).
 * Values are cleaned and cut to length here, once; how they are escaped is the business of each format.
 */
import { Buffer } from 'node:buffer';

/** Most severe first: the index is the syslog severity. */
export const LEVELS = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'information', 'debug'] as const;
export type Level = (typeof LEVELS)[number];

/** `string` is quoted; `word` (addresses, date, time) and `number` are bare, and only a number is one in JSON. */
export type FieldType = 'string' | 'word' | 'number';

interface FieldShape {
  readonly type: FieldType;
  /** In bytes of UTF-8; longer values are cut. */
  readonly length: number;
}
const text = (length: number): FieldShape => ({ type: 'string', length });
const word = (length: number): FieldShape => ({ type: 'word', length });
const number = (length: number): FieldShape => ({ type: 'number', length });

const FIELDS = {
  date: word(10),
  time: word(8),
  devname: text(64),
  devid: text(16),
  // Nanoseconds since 1970 do not fit a JSON reader's double, so it is no `number`.
  eventtime: word(20),
  tz: text(5),
  logid: text(10),
  type: text(16),
  subtype: text(20),
  eventtype: text(32),
  level: text(11),
  vd: text(32),
  policyid: number(10),
  poluuid: text(37),
  policytype: text(24),
  msg: text(4096),
  action: text(20),
  service: text(36),
  sessionid: number(10),
  srcip: word(39),
  dstip: word(39),
  srcport: number(5),
  dstport: number(5),
  srccountry: text(64),
  dstcountry: text(64),
  srcintf: text(32),
  srcintfrole: text(10),
  dstintf: text(32),
  dstintfrole: text(10),
  srcuuid: text(37),
  dstuuid: text(37),
  proto: number(3),
  direction: text(8),
  fctuid: text(32),
  unauthuser: text(66),
  unauthusersource: text(66),
  srcdomain: text(255),
  user: text(256),
  group: text(512),
  filename: text(256),
  quarskip: text(46),
  virus: text(128),
  viruscat: text(32),
  dtype: text(32),
  ref: text(512),
  virusid: number(10),
  profile: text(64),
  from: text(128),
  to: text(512),
  sender: text(128),
  recipient: text(512),
  cc: text(512),
  subject: text(256),
  attachment: text(3),
  analyticscksum: text(64),
  analyticssubmit: text(10),
  crscore: number(10),
  craction: number(10),
  crlevel: text(10),
  filtername: text(36),
  sharename: text(256),
  pathname: text(256),
  // traffic
  policyname: text(36),
  trandisp: text(16),
  tranip: word(39),
  tranport: number(5),
  duration: number(10),
  wanin: number(20),
  wanout: number(20),
  lanin: number(20),
  lanout: number(20),
  sentbyte: number(20),
  rcvdbyte: number(20),
  sentpkt: number(10),
  rcvdpkt: number(10),
  appcat: text(64),
  utmaction: text(32),
  countav: number(10),
  countff: number(10),
  countssl: number(10),
  countztna: number(10),
  utmref: word(36),
  // ztna
  gatewayid: number(10),
  vip: text(64),
  accessproxy: text(80),
  clientdeviceid: text(80),
  clientdevicetags: text(512),
  // ssl
  tlsver: text(7),
  sni: text(256),
  cipher: text(6),
  eventsubtype: text(255),
  hostname: text(256),
  // event
  logdesc: text(4096),
  fctemsname: text(36),
  fctemssn: text(16),
  ip: word(39),
  stitch: text(36),
  trigger: text(36),
  stitchaction: text(256),
  ui: text(64),
  status: text(23),
  reason: text(256),
  count: number(10),
  filesize: number(20),
  filetype: text(23),
  matchfilename: text(256),
  matchfiletype: text(23),
} as const satisfies Record<string, FieldShape>;
export type FieldName = keyof typeof FIELDS;

export interface Field {
  readonly name: FieldName;
  readonly type: FieldType;
  /** Plain text without control characters, not escaped. */
  readonly value: string;
}

/** Plain data, so that a worker can send it to the thread that writes. */
export interface LogRecord {
  readonly level: Level;
  /** Nanoseconds since 1970. */
  readonly eventTime: bigint;
  /** In the order of the line. */
  readonly fields: readonly Field[];
}

/** The value of a field, where the record has it. */
export function fieldValue(record: LogRecord, name: FieldName): string | undefined {
  return record.fields.find((field) => field.name === name)?.value;
}

/** A field, or nothing where the value is not known or empty: FortiOS leaves such fields out. */
export function field(name: FieldName, value: string | number | bigint | undefined, maxLength?: number): Field[] {
  if (value === undefined || value === '') return [];
  const { type, length } = FIELDS[name];
  return [{ name, type, value: cut(oneLine(String(value)), Math.min(length, maxLength ?? length)) }];
}

/**
 * No source tells what FortiOS does with control characters. Ours: each becomes a space, line and paragraph separators included, so that
 * no value of a peer can begin a second record in any reader. Half a surrogate pair becomes U+FFFD.
 */
function oneLine(value: string): string {
  return value.replace(/\p{Surrogate}/gu, '\ufffd').replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');
}

/** At most `length` bytes of UTF-8, never half a character. */
function cut(value: string, length: number): string {
  if (value.length * 3 <= length) return value;
  const bytes = Buffer.from(value);
  if (bytes.length <= length) return value;
  let end = length;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
