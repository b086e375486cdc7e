/** FortiOS's own line, `set format default`: `key=value` pairs, strings quoted, and the same pairs joined by commas, `set format csv`. */
import type { Field, LogRecord } from './record.js';

export function formatDefault(record: LogRecord): string {
  return record.fields.map(pair).join(' ');
}

/** Names and quotes are kept: the vendor's csv has no columns. */
export function formatCsv(record: LogRecord): string {
  return record.fields.map(pair).join(',');
}

function pair({ name, type, value }: Field): string {
  return type === 'string' ? `${name}="${value.replace(/["\\]/g, '\\$&')}"` : `${name}=${value}`;
}
