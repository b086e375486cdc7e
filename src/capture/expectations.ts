/**
 * Expectation sessions: the connections that others announced (FTP data), until they come. Each is for one address and port, for as long as
 * FortiOS keeps one (30 s of the capture's time), and is used once.
 */
import type { Protocol, Related } from '../core/flow.js';
import { CLIENT } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import { type Endpoint, endpointText } from '../core/session.js';
import type { ConnectionStart } from './connection.js';

/** A connection that was announced. */
export interface Expectation {
  readonly related: Related;
  /** What its announcer speaks. */
  readonly protocol: Protocol;
  /** The ends of the announcing connection. */
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** In nanoseconds since 1970. */
  readonly until: bigint;
}

export class Expectations {
  readonly #limits: Limits;
  /** By the place that is dialled; several of one place in the order of their announcement. */
  readonly #byTarget = new Map<string, Expectation[]>();
  #count = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** False when there are too many already. */
  add(expectation: Expectation): boolean {
    if (this.#count >= this.#limits.expectations) this.#expire(expectation.until - this.#lifetime);
    if (this.#count >= this.#limits.expectations) return false;
    const place = endpointText(expectation.related.target);
    const waiting = this.#byTarget.get(place);
    if (waiting === undefined) this.#byTarget.set(place, [expectation]);
    else waiting.push(expectation);
    this.#count++;
    return true;
  }

  /** The one that `start` is, used up with that. The dialling end must be an end of the announcing connection. */
  take(start: ConnectionStart): Expectation | undefined {
    if (this.#count === 0) return undefined;
    const place = endpointText(start.server);
    const waiting = this.#byTarget.get(place);
    if (waiting === undefined) return undefined;
    const index = waiting.findIndex(
      ({ related, client, server, until }) =>
        until >= start.time && (related.dials === CLIENT ? client : server).address === start.client.address,
    );
    if (index < 0) return undefined;
    const [expectation] = waiting.splice(index, 1);
    this.#count--;
    if (waiting.length === 0) this.#byTarget.delete(place);
    return expectation;
  }

  get #lifetime(): bigint {
    return BigInt(this.#limits.expectationLife) * 1_000_000n;
  }

  #expire(now: bigint): void {
    for (const [place, waiting] of this.#byTarget) {
      const left = waiting.filter(({ until }) => until >= now);
      this.#count -= waiting.length - left.length;
      if (left.length === 0) this.#byTarget.delete(place);
      else this.#byTarget.set(place, left);
    }
  }
}
