/**
 * Expectation sessions: the connections that others announced (FTP data), until they come. Each is for one address and port, for as long as
 * FortiOS keeps one (30 s of the capture's time), and is used once by the host that was to dial.
 */
import type { Protocol, Related } from '../core/flow.js';
import { CLIENT } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import { type Endpoint, endpointText } from '../core/session.js';
import type { ConnectionStart } from './connection.js';

/** A connection that was announced. */
export interface Expectation {
  readonly related: Related;
  /** The thread that has its announcer. */
  readonly owner: number;
  /** What its announcer speaks. */
  readonly protocol: Protocol;
  /** The ends of the announcing connection. */
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** In nanoseconds since 1970. */
  readonly until: bigint;
}

/** An expectation that came true. */
export interface Expected {
  readonly expectation: Expectation;
  /** It was dialled from a host that is no end of the announcing connection. */
  readonly foreign: boolean;
  /** Its beginning was not captured, and what was taken for the client is the place that was dialled. */
  readonly reversed: boolean;
}

/** The end of the announcing connection that dials. */
function announcersEnd({ related, client, server }: Expectation): Endpoint {
  return related.dials === CLIENT ? client : server;
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

  /**
   * The one that `start` is, used up with that. Of several for one place, one whose dialling end is the announcer's goes first; one that
   * another host dials is taken all the same, since what it carries is that transfer, or the theft of it.
   * Where the beginning was not captured, who dialled is a guess, and either end may be the place.
   */
  take(start: ConnectionStart): Expected | undefined {
    if (this.#count === 0) return undefined;
    return (
      this.#at(start.server, start.client, start.time, false) ??
      (start.midstream ? this.#at(start.client, start.server, start.time, true) : undefined)
    );
  }

  #at(target: Endpoint, dialler: Endpoint, time: bigint, reversed: boolean): Expected | undefined {
    const place = endpointText(target);
    const waiting = this.#byTarget.get(place);
    if (waiting === undefined) return undefined;
    const alive = waiting.filter(({ until }) => until >= time);
    const own = alive.find((one) => announcersEnd(one).address === dialler.address);
    const expectation = own ?? alive[0];
    if (expectation === undefined) return undefined;
    // One that another host dials does not use it up: a thief would hide the transfer with it.
    if (own !== undefined) {
      waiting.splice(waiting.indexOf(own), 1);
      this.#count--;
      if (waiting.length === 0) this.#byTarget.delete(place);
    }
    return { expectation, foreign: own === undefined, reversed };
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
