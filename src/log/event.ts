/** The daemon's own records: what it did, and what it noticed that is no file. Where FortiOS has no message of the kind, the number is ours, above 99000. */
import type { SessionInfo } from '../core/session.js';
import { header, type RecordContext } from './header.js';
import { field, type Level, type LogRecord } from './record.js';

/** By name: the message's number in the category event/system, its level and what FortiOS calls `logdesc`. */
const EVENTS = {
  started: [99_001, 'information', 'Inspection daemon started'],
  stopped: [99_002, 'information', 'Inspection daemon stopped'],
  reloaded: [99_003, 'notice', 'Configuration reloaded'],
  'not-reloaded': [99_004, 'error', 'Configuration not reloaded'],
  'worker-lost': [99_005, 'critical', 'Inspection process lost'],
  anomaly: [99_010, 'warning', 'Protocol anomaly'],
  uninspected: [99_011, 'notice', 'Session passed uninspected'],
  ended: [99_012, 'warning', 'Session ended by inspection'],
  pinhole: [99_013, 'warning', 'Expectation session refused'],
  quarantine: [99_015, 'error', 'Quarantine failed'],
  'no-room': [99_016, 'warning', 'Clients turned away for lack of room'],
  'internal-error': [99_014, 'error', 'Inspection failed'],
} as const satisfies Record<string, readonly [number, Level, string]>;
export type EventName = keyof typeof EVENTS;

export function eventRecord(
  name: EventName,
  message: string,
  context: RecordContext,
  session?: Pick<SessionInfo, 'id' | 'vdom' | 'client' | 'server' | 'policy'>,
): LogRecord {
  const [number, level, logdesc] = EVENTS[name];
  const logid = `01000${number}`;
  return {
    level,
    eventTime: context.eventTime,
    fields: [
      ...header({ logid, type: 'event', subtype: 'system', level, vd: session?.vdom ?? 'root' }, context),
      ...field('logdesc', logdesc),
      ...(session === undefined
        ? []
        : [
            ...field('sessionid', session.id),
            ...field('policyid', session.policy.id),
            ...field('srcip', session.client.address),
            ...field('srcport', session.client.port),
            ...field('dstip', session.server.address),
            ...field('dstport', session.server.port),
          ]),
      ...field('msg', message),
    ],
  };
}
