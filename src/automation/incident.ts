/**
 * Something that may trigger stitches: an indicator of compromise, a record, a call of a webhook. An infected file that an endpoint sends is an
 * indicator of our own; one that it only wanted to fetch, and did not get, is none.
 */
import { formatRecord } from '../log/format.js';
import { fieldValue, type LogRecord } from '../log/record.js';
import type { IocLevel, Stitch } from './stitches.js';

export interface Incident {
  readonly kind: 'ioc' | 'record' | 'webhook';
  /** Of an indicator. */
  readonly level?: IocLevel;
  /** The stitch that a webhook names. */
  readonly stitch?: string;
  /** As the record of the stitch has it. */
  readonly from: 'log' | 'webhook' | 'cli';
  /** Names and values of the record, for variables and filters. */
  readonly fields: Readonly<Record<string, string>>;
  /** The record as a line. */
  readonly line: string;
}

/** A record as it goes from process to process: plain data. */
export interface ToldRecord {
  readonly fields: Readonly<Record<string, string>>;
  readonly line: string;
}

export function toldRecord(record: LogRecord): ToldRecord {
  const fields = Object.fromEntries(record.fields.map(({ name, value }) => [name, value]));
  return { fields, line: formatRecord(record, 'default') };
}

/** What a record may mean: itself, and an indicator of compromise. */
export function incidentsOf({ fields, line }: ToldRecord): Incident[] {
  const record: Incident = { kind: 'record', from: 'log', fields, line };
  return isCompromise(fields) ? [{ ...record, kind: 'ioc', level: 'high' }, record] : [record];
}

function isCompromise(fields: Readonly<Record<string, string>>): boolean {
  const { subtype, eventtype, direction } = fields;
  return subtype === 'virus' && eventtype === 'infected' && direction === 'outgoing';
}

/**
 * Which records the stitches may want: these alone leave the process that wrote them. `bans`: profiles that ban whoever has to do with what is
 * infected.
 */
export function recordsWanted(
  stitches: readonly Stitch[],
  bans: ReadonlyMap<string, number> = new Map(),
): (record: LogRecord) => boolean {
  const numbers = new Set<number>();
  let virus = bans.size > 0;
  for (const { trigger } of stitches) {
    if (trigger.kind === 'log') for (const number of trigger.numbers) numbers.add(number);
    if (trigger.kind === 'virus' || trigger.kind === 'ioc') virus = true;
  }
  return (record) => {
    const logid = fieldValue(record, 'logid') ?? '';
    if (virus && fieldValue(record, 'subtype') === 'virus') return true;
    return numbers.has(shortNumber(logid)) && fieldValue(record, 'type') === 'event';
  };
}

/** `0107045114`: 45114; the first four digits are the category. */
export function shortNumber(logid: string): number {
  return Number(logid.slice(4));
}
