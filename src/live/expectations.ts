/** The expectation sessions of all workers, as the primary hears of them. */
import { endpointText } from '../core/session.js';
import type { ExpectationRow } from '../session/print.js';
import type { Pinhole, PinholeEvent } from './pinholes.js';

interface Known {
  readonly hole: Pinhole;
  /** Milliseconds of the table's clock. */
  readonly since: number;
}

export class Expectations {
  readonly #life: number;
  readonly #now: () => number;
  readonly #open = new Map<string, Known>();

  /** `life`: milliseconds that one is open. */
  constructor(life: number, now: () => number) {
    this.#life = life;
    this.#now = now;
  }

  get size(): number {
    return this.#open.size;
  }

  heard(event: PinholeEvent): void {
    if (event.kind === 'opened') this.#open.set(key(event.hole), { hole: event.hole, since: this.#now() });
    else if (event.kind === 'used' || event.kind === 'closed') this.#open.delete(key(event.hole));
  }

  /** Those of sessions that are gone, with the worker that had them. */
  forget(sessions: ReadonlySet<number>): void {
    for (const [at, { hole }] of this.#open) if (sessions.has(hole.session)) this.#open.delete(at);
  }

  rows(policyOf: (session: number) => number): ExpectationRow[] {
    const now = this.#now();
    return [...this.#open.values()].map(({ hole, since }) => ({
      session: hole.session,
      from: hole.from,
      at: hole.at,
      target: hole.target,
      age: Math.floor((now - since) / 1000),
      expire: Math.max(0, Math.ceil((this.#life - (now - since)) / 1000)),
      policyId: policyOf(hole.session),
    }));
  }
}

function key(hole: Pinhole): string {
  return `${hole.session} ${endpointText(hole.at)}`;
}
