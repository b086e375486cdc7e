/** Local time of a log line: the offset of a time zone at a moment, from a fixed offset or the IANA database that Node carries. */
import { ConfigError } from '../core/errors.js';

/** Minutes east of UTC at a moment in milliseconds since 1970. */
export interface TimeZone {
  offset(at: number): number;
}

export const UTC: TimeZone = { offset: () => 0 };

/** `-0800`, `+05:30`, `UTC` or an IANA name (`America/Vancouver`); without one, the zone of this machine (TZ). */
export function timeZone(name?: string): TimeZone {
  if (name === 'UTC' || name === 'Z') return UTC;
  const fixed = /^([+-])(\d\d):?([0-5]\d)$/.exec(name ?? '');
  if (fixed !== null) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3]);
    if (minutes > 14 * 60) throw new ConfigError(`time zone ${name}: no place is more than 14 hours from UTC`);
    return { offset: () => (fixed[1] === '-' ? -minutes : minutes) };
  }
  // The zone of the machine: `Date` knows it without the database, which takes longer to load than a small capture to scan.
  if (name === undefined)
    return { offset: (at) => 0 - new Date(Math.abs(at) <= LAST_DATE ? at : 0).getTimezoneOffset() };
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  } catch (cause) {
    throw new ConfigError(`time zone ${name}: neither an offset like -0800 nor a name like Europe/Berlin`, { cause });
  }
  return { offset: (at) => namedOffset(format, at) };
}

export interface LocalTime {
  /** `2022-01-13` */
  readonly date: string;
  /** `16:13:04` */
  readonly time: string;
  /** `-0800` */
  readonly tz: string;
}

/** What the clock on the wall said at `eventTime`, in nanoseconds since 1970. */
export function localTime(eventTime: bigint, zone: TimeZone): LocalTime {
  const at = Number(eventTime / 1_000_000n);
  const offset = zone.offset(at);
  const local = isoTime(at + offset * 60_000);
  const size = Math.abs(offset);
  const tz = `${offset < 0 ? '-' : '+'}${twoDigits(Math.trunc(size / 60))}${twoDigits(size % 60)}`;
  return { date: local.slice(0, 10), time: local.slice(11, 19), tz };
}

/** ISO 8601 in UTC to the millisecond. A damaged capture can hold any time; what no calendar has is shown as 1970. */
export function isoTime(at: number): string {
  return new Date(Math.abs(at) <= LAST_DATE ? at : 0).toISOString();
}
/** ECMA-262 §21.4.1.1 knows more, but a year of more than four digits has another width. */
const LAST_DATE = Date.UTC(9999, 0, 1);

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** The formatter says `GMT-08:00`, and `GMT` alone for zero. */
function namedOffset(format: Intl.DateTimeFormat, at: number): number {
  const name = format.formatToParts(Math.abs(at) <= LAST_DATE ? at : 0).find((part) => part.type === 'timeZoneName');
  const offset = /^GMT([+-])(\d\d):(\d\d)/.exec(name?.value ?? '');
  if (offset === null) return 0;
  const minutes = Number(offset[2]) * 60 + Number(offset[3]);
  return offset[1] === '-' ? -minutes : minutes;
}
