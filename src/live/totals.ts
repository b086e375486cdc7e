/** What one worker counts. */
import type { Totals } from './messages.js';

type Named = 'verdicts' | 'outcomes' | 'anomalies' | 'ended';
/** Names of one kind at most: they are ours, but for a mistake. */
const NAMES = 1_000;

export class Counters {
  sessions = 0;
  denied = 0;
  sent = 0;
  received = 0;
  readonly #named: Record<Named, Record<string, number>> = { verdicts: {}, outcomes: {}, anomalies: {}, ended: {} };

  add(kind: Named, name: string): void {
    const counts = this.#named[kind];
    const known = counts[name];
    if (known !== undefined) counts[name] = known + 1;
    else if (Object.keys(counts).length < NAMES) counts[name] = 1;
  }

  totals(open: number, held: number): Totals {
    const { sessions, denied, sent, received } = this;
    return { open, held, sessions, denied, sent, received, ...structuredClone(this.#named) };
  }
}

/** Of all workers together. */
export function summed(all: readonly Totals[]): Totals {
  const sum = { open: 0, held: 0, sessions: 0, denied: 0, sent: 0, received: 0 };
  const named: Record<Named, Record<string, number>> = { verdicts: {}, outcomes: {}, anomalies: {}, ended: {} };
  for (const each of all) {
    for (const name of ['open', 'held', 'sessions', 'denied', 'sent', 'received'] as const) sum[name] += each[name];
    for (const kind of ['verdicts', 'outcomes', 'anomalies', 'ended'] as const)
      for (const [name, count] of Object.entries(each[kind])) named[kind][name] = (named[kind][name] ?? 0) + count;
  }
  return { ...sum, ...named };
}
