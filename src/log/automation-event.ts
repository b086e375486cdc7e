/** Records of automation and of banned addresses, category event/system. 46600 is FortiOS's (log reference 7.2.5); those above 99000 are ours. */
import { header, type RecordContext } from './header.js';
import { field, type Level, type LogRecord } from './record.js';

export interface StitchFacts {
  readonly stitch: string;
  readonly trigger: string;
  /** Names of its actions. */
  readonly actions: readonly string[];
  /** Where what triggered it came from: `log`, `webhook`, `cli`. */
  readonly from: string;
}

/** A stitch was triggered. */
export function stitchRecord({ stitch, trigger, actions, from }: StitchFacts, context: RecordContext): LogRecord {
  return record(46_600, 'notice', context, [
    ...field('logdesc', 'Automation stitch triggered'),
    ...field('stitch', stitch),
    ...field('trigger', trigger),
    ...field('stitchaction', actions.join(',')),
    ...field('from', from),
    ...field('msg', `stitch:${stitch} is triggered.`),
  ]);
}

const NOTES = {
  'action-done': [99_120, 'notice', 'Automation action done'],
  'action-failed': [99_121, 'error', 'Automation action failed'],
  'action-log': [99_122, 'warning', 'Automation action'],
  ban: [99_123, 'notice', 'Address banned'],
  unban: [99_124, 'notice', 'Address ban removed'],
  'shared-lost': [99_125, 'error', 'Shared state lost'],
  'shared-back': [99_126, 'notice', 'Shared state connected'],
  ioc: [99_127, 'warning', 'Indicator of compromise'],
  'state-failed': [99_128, 'error', 'State cannot be kept'],
} as const satisfies Record<string, readonly [number, Level, string]>;
export type AutomationNoteName = keyof typeof NOTES;

export interface NoteFacts {
  readonly stitch?: string;
  readonly action?: string;
  readonly address?: string;
}

export function automationNote(
  name: AutomationNoteName,
  message: string,
  facts: NoteFacts,
  context: RecordContext,
): LogRecord {
  const [number, level, logdesc] = NOTES[name];
  return record(number, level, context, [
    ...field('logdesc', logdesc),
    ...field('stitch', facts.stitch),
    ...field('stitchaction', facts.action),
    ...field('ip', facts.address),
    ...field('msg', message),
  ]);
}

function record(number: number, level: Level, context: RecordContext, fields: LogRecord['fields']): LogRecord {
  const logid = `01000${number}`;
  return {
    level,
    eventTime: context.eventTime,
    fields: [...header({ logid, type: 'event', subtype: 'system', level, vd: 'root' }, context), ...fields],
  };
}
