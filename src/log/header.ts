/** What every record begins with (FortiOS 7.x, on disk): when, which message, how severe, which VDOM. */
import { type Field, field, type Level } from './record.js';
import { localTime, type TimeZone } from './time-zone.js';

export interface RecordContext {
  /** Nanoseconds since 1970 of the moment, or the packet, that the record speaks of. */
  readonly eventTime: bigint;
  /**
   * When the record is written, where that is another moment. FortiOS's date and time are those of the writing: one of its sample lines
   * has time=16:43:57 and an eventtime 29 ms before it. Offline there is only the packet's time.
   */
  readonly writtenAt?: bigint;
  readonly zone: TimeZone;
}

export interface Heading {
  readonly logid: string;
  readonly type: 'utm' | 'traffic' | 'event';
  readonly subtype: string;
  readonly eventtype?: string;
  readonly level: Level;
  readonly vd: string;
}

export function header(heading: Heading, context: RecordContext): Field[] {
  const local = localTime(context.writtenAt ?? context.eventTime, context.zone);
  return [
    ...field('date', local.date),
    ...field('time', local.time),
    ...field('eventtime', context.eventTime),
    ...field('tz', local.tz),
    ...field('logid', heading.logid),
    ...field('type', heading.type),
    ...field('subtype', heading.subtype),
    ...field('eventtype', heading.eventtype),
    ...field('level', heading.level),
    ...field('vd', heading.vd),
  ];
}
