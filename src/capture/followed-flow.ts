/**
 * A connection that is another thread's and is followed all the same, for what it announces: the connections that it announces are its
 * owner's, wherever they lie, and every thread has to know. No file of it is kept, nothing of it is told.
 */
import type { FileStream } from '../core/file.js';
import type { Protocol, Related, Side } from '../core/flow.js';
import { CLIENT, SERVER } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import { type Candidate, Detector } from '../flow/detect.js';
import { FlowEngine } from '../flow/engine.js';
import type { ConnectionSink, ConnectionStart } from './connection.js';
import type { Announcer } from './flow-driver.js';
import type { LayerFactory } from './layer-factory.js';

export interface FollowedFlowOptions {
  readonly candidates: readonly Candidate[];
  readonly layers: LayerFactory;
  readonly limits: Limits;
  /** What it announces. */
  expect(related: Related, announcer: Announcer): boolean;
}

export class FollowedFlow implements ConnectionSink {
  readonly #engine: FlowEngine;

  constructor(start: ConnectionStart, options: FollowedFlowOptions) {
    const { candidates, layers, limits } = options;
    const { client, server } = start;
    let speaks: Protocol | undefined;
    let tls = false;
    let files = 0;
    this.#engine = new FlowEngine({
      id: start.packet,
      limits,
      output: undefined,
      services: {
        openFile: () => new UnkeptFile(++files),
        fileEnding: () => {},
        adopted: () => {},
        expect: (related, ready) => {
          const added = speaks !== undefined && options.expect(related, { protocol: speaks, client, server, tls });
          ready(added ? related.target : undefined);
        },
        wakeAt: () => {},
        anomaly: () => {},
        bypassed: () => {},
        // Its owner says so.
        failed: () => {},
        openLayer: (kind, inner) => {
          tls ||= kind === 'tls';
          return layers.open(kind, inner, true, { tls: () => {}, anomaly: () => {}, opaque: () => {} });
        },
      },
      decode: (flow) =>
        new Detector(flow, {
          candidates,
          port: start.server.port,
          limits,
          detected: (protocol) => {
            speaks = protocol;
            this.#engine.maxUntaken = protocol.maxUntaken(limits);
          },
        }),
    });
    if (start.midstream) for (const side of [CLIENT, SERVER] as const) this.#engine.receiveGap(side, 0);
  }

  data(side: Side, chunk: Buffer): void {
    this.#engine.receive(side, chunk);
  }

  gap(side: Side, length: number): void {
    this.#engine.receiveGap(side, length);
  }

  overlap(): void {}

  end(side: Side): void {
    this.#engine.receiveEnd(side);
  }

  close(): void {
    this.#engine.close();
  }
}

class UnkeptFile implements FileStream {
  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }

  write(): void {}
  writeAt(): void {}
  gap(): void {}
  malformed(): void {}
  end(): void {}
  abort(): void {}
}
