/**
 * Who takes a connection of a capture: the thread that it falls to, as part of a connection that announced it, or nobody here. Connections that
 * announce others are followed by every thread, so that each knows whose the announced ones are.
 */
import type { Related } from '../core/flow.js';
import { CLIENT } from '../core/flow.js';
import type { ConnectionSink, ConnectionStart, PacketClock } from './connection.js';
import { Expectations } from './expectations.js';
import { type Announcer, FlowDriver, type FlowDriverOptions } from './flow-driver.js';
import { FollowedFlow } from './followed-flow.js';
import { ownerOf, type Share } from './share.js';

export class Announcements {
  readonly #share: Share;
  readonly #options: FlowDriverOptions;
  readonly #clock: PacketClock;
  readonly #expectations: Expectations;

  constructor(share: Share, options: Omit<FlowDriverOptions, 'expect'>) {
    this.#share = share;
    this.#clock = options.clock;
    this.#expectations = new Expectations(options.limits);
    this.#options = { ...options, expect: (related, announcer) => this.#expect(related, announcer, share.index) };
  }

  open(start: ConnectionStart): ConnectionSink | undefined {
    const { count, index } = this.#share;
    const expected = this.#expectations.take(start);
    const owner = expected?.expectation.owner ?? ownerOf(start, count);
    if (owner === index) return new FlowDriver(start, this.#options, expected);
    const { candidates, layers, limits } = this.#options;
    const { port } = start.server;
    const announces = candidates.some(
      ({ protocol }) =>
        protocol.announces === true && (protocol.ports.includes(port) || protocol.tlsPorts.includes(port)),
    );
    if (!announces) return undefined;
    return new FollowedFlow(start, {
      candidates,
      layers,
      limits,
      expect: (related, announcer) => this.#expect(related, announcer, owner),
    });
  }

  /** False when there are too many. */
  #expect(related: Related, announcer: Announcer, owner: number): boolean {
    const { protocol, client, server, tls } = announcer;
    const { seconds, nanoseconds } = this.#clock;
    const now = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
    const until = now + BigInt(this.#options.limits.expectationLife) * 1_000_000n;
    const listens = related.dials === CLIENT ? server : client;
    const { address } = related.target;
    const port = related.target.port === 0 ? listens.port : related.target.port;
    const places = [listens.address];
    // A reply may name another address than the one that the client dials after all, and clients differ in which they believe.
    if (address !== '' && address !== listens.address) places.push(address);
    const known = { ...related, tls: related.tls ?? (tls ? undefined : false) };
    return places.every((place) =>
      this.#expectations.add({
        related: { ...known, target: { address: place, port } },
        owner,
        protocol,
        client,
        server,
        until,
      }),
    );
  }
}
