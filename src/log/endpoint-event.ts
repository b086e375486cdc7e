/** Records of category event/endpoint: what became of endpoints and of the EMS that tells of them. Numbers above 99000 are ours. */
import { header, type RecordContext } from './header.js';
import { field, type Level, type LogRecord } from './record.js';

/** By name: the message's number, its level and `logdesc`. 45114 is FortiOS's; 45115 is by its place between 45114 and 45116. */
const EVENTS = {
  quarantined: [45_114, 'notice', 'FortiClient endpoint quarantined'],
  released: [45_115, 'notice', 'FortiClient endpoint quarantine removed'],
  'ems-connected': [99_101, 'notice', 'EMS connected'],
  'ems-lost': [99_102, 'error', 'EMS connection lost'],
  'ems-refused': [99_103, 'error', 'EMS reply refused'],
  'ems-out-of-sync': [99_104, 'critical', 'EMS out of sync'],
  'call-made': [99_105, 'notice', 'EMS call completed'],
  'call-failed': [99_106, 'error', 'EMS call failed'],
} as const satisfies Record<string, readonly [number, Level, string]>;
export type EndpointEventName = keyof typeof EVENTS;

export interface EndpointEventFacts {
  readonly emsSerial?: string | undefined;
  readonly emsName?: string | undefined;
  readonly user?: string | undefined;
  readonly address?: string | undefined;
  readonly uid?: string | undefined;
}

export function endpointEventRecord(
  name: EndpointEventName,
  message: string,
  facts: EndpointEventFacts,
  context: RecordContext,
): LogRecord {
  const [number, level, logdesc] = EVENTS[name];
  const logid = `01070${number}`;
  return {
    level,
    eventTime: context.eventTime,
    fields: [
      ...header({ logid, type: 'event', subtype: 'endpoint', level, vd: 'root' }, context),
      ...field('logdesc', logdesc),
      ...field('fctemsname', facts.emsName),
      ...field('fctemssn', facts.emsSerial),
      ...field('user', facts.user),
      ...field('ip', facts.address),
      ...field('fctuid', facts.uid),
      ...field('msg', message),
    ],
  };
}
