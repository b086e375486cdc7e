/**
 * The offline driver of one connection: reassembled bytes into a passive flow, its files into inspection, what was found into events.
 * Nothing is sent anywhere; the log says what policy would have done.
 */

import type { Inspection } from '../content/inspection.js';
import type { RootFile } from '../content/node.js';
import type { FileBounds } from '../content/tree.js';
import { InternalError } from '../core/errors.js';
import type { FileId, FileInfo, FileStream, Finding, Inspected } from '../core/file.js';
import type { Protocol, Side } from '../core/flow.js';
import { CLIENT, SERVER } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import type { SessionInfo, TlsFacts } from '../core/session.js';
import { Detector } from '../flow/detect.js';
import { FlowEngine } from '../flow/engine.js';
import type { FlowEvent } from '../flow/events.js';
import type { FileVerdict, Policy } from '../policy/outcome.js';
import type { CloseCause, ConnectionSink, ConnectionStart, PacketClock } from './connection.js';
import type { EventQueue } from './event-queue.js';
import type { FileSeen, FlowEnded, MailSeen, PacketTime, Place, TreeInspected } from './events.js';
import type { RunMarks } from './run-marks.js';
import { type ConfiguredFacts, sessionOfCapture } from './session-facts.js';

const OVERLAP: Finding = { kind: 'unscannable', reason: 'overlap', detail: 'tcp-overlap' satisfies FlowEvent };

/** What policy applies to a session of the capture. */
export interface Ruling {
  readonly facts: ConfiguredFacts;
  readonly policy: Policy;
  /** What its profile adds to the limits of inspection. */
  readonly bounds: FileBounds;
}

export interface FlowDriverOptions {
  readonly protocols: readonly Protocol[];
  readonly limits: Limits;
  readonly inspection: Inspection;
  readonly queue: EventQueue;
  readonly clock: PacketClock;
  readonly marks: RunMarks;
  rule(start: ConnectionStart, service: string | undefined): Ruling;
  /** Our own bug, caught; the flow is reported as opaque. */
  failed(error: unknown, start: ConnectionStart): void;
}

export class FlowDriver implements ConnectionSink {
  readonly #start: ConnectionStart;
  readonly #options: FlowDriverOptions;
  readonly #engine: FlowEngine;
  /** Files that are not inspected yet; those that ended, with their place. */
  readonly #open = new Map<FileStream, Ended | undefined>();
  readonly #bytes: [number, number] = [0, 0];
  /** Where in each side's stream, gaps counted, the run being delivered begins. */
  readonly #offset: [number, number] = [0, 0];
  #delivering = false;
  readonly #anomalies: Record<string, number> = {};
  readonly #startTime: PacketTime;
  #protocol: Protocol | undefined;
  #tls: TlsFacts | undefined;
  #opaque: string | undefined;
  /** Bytes were seen with two contents: whoever took the others may have framed all that follows otherwise. */
  #overlapped = false;
  #ruling: Ruling | undefined;

  constructor(start: ConnectionStart, options: FlowDriverOptions) {
    this.#start = start;
    this.#options = options;
    this.#startTime = this.#now();
    options.queue.add({ kind: 'flow-started', packet: start.packet, flow: start.packet, turn: options.queue.turn() });
    this.#engine = new FlowEngine({
      id: start.packet,
      limits: options.limits,
      output: undefined,
      services: {
        openFile: (meta) => {
          const { bounds } = this.#ruled();
          const file: RootFile = options.inspection.open(meta, (root) => this.#inspected(file, root), bounds);
          this.#open.set(file, undefined);
          if (this.#overlapped) file.report(OVERLAP);
          return file;
        },
        fileEnding: (file, side, offset) => this.#ending(file, side, offset),
        expect: (related, ready) => ready(related.target),
        wakeAt: () => {},
        anomaly: (code) => this.#count(code),
        bypassed: (reason) => {
          this.#opaque ??= reason;
          if (reason === 'tls-no-keys')
            this.#tls ??= { version: undefined, cipher: undefined, sni: undefined, decrypted: false };
        },
        failed: (error) => {
          this.#opaque = 'internal-error';
          options.failed(error, start);
        },
        openLayer: () => undefined,
      },
      decode: (flow) =>
        new Detector(flow, {
          protocols: options.protocols,
          port: start.server.port,
          limits: options.limits,
          detected: (protocol) => {
            this.#protocol = protocol;
            this.#engine.maxUntaken = protocol.maxUntaken(options.limits);
          },
        }),
    });
    if (start.midstream) for (const side of [CLIENT, SERVER] as const) this.#engine.receiveGap(side, 0);
  }

  data(side: Side, chunk: Buffer): void {
    this.#bytes[side] += chunk.length;
    this.#delivering = true;
    this.#engine.receive(side, chunk);
    this.#delivering = false;
    this.#offset[side] += chunk.length;
  }

  gap(side: Side, length: number): void {
    this.#anomaly('tcp-gap');
    this.#engine.receiveGap(side, length);
    this.#offset[side] += length;
  }

  overlap(): void {
    this.#anomaly('tcp-overlap');
    this.#overlapped = true;
    for (const [file, ended] of this.#open) {
      if (ended === undefined) (file as RootFile).report(OVERLAP);
    }
  }

  end(side: Side): void {
    this.#engine.receiveEnd(side);
  }

  close(cause: CloseCause): void {
    this.#engine.close();
    const { clock, queue } = this.#options;
    const event: FlowEnded = {
      kind: 'flow-ended',
      packet: clock.packet,
      flow: this.#start.packet,
      turn: queue.turn(),
      client: this.#start.client,
      server: this.#start.server,
      service: this.#service(),
      start: this.#startTime,
      end: this.#now(),
      clientBytes: this.#bytes[CLIENT],
      serverBytes: this.#bytes[SERVER],
      ...this.#state(cause),
      tls: this.#tls,
      anomalies: this.#anomalies,
    };
    queue.add(event);
  }

  #state(cause: CloseCause): Pick<FlowEnded, 'state' | 'reason'> {
    if (this.#opaque !== undefined) return { state: 'opaque', reason: this.#opaque };
    if (this.#protocol !== undefined) return { state: 'decoded', reason: null };
    if (cause === 'limit') return { state: 'ignored', reason: 'flow-limit' };
    return { state: 'ignored', reason: 'no-data' };
  }

  #service(): string | undefined {
    if (this.#protocol !== undefined) return this.#protocol.service;
    return this.#options.protocols.find(
      (protocol) =>
        protocol.tlsPorts.includes(this.#start.server.port) || protocol.ports.includes(this.#start.server.port),
    )?.service;
  }

  /** Its place is taken when the file ends, so that events come in the order of the packets, however long inspection takes. */
  #ending(file: FileStream, side: Side, offset: number): void {
    const { clock, marks, queue } = this.#options;
    const { packet, seconds, nanoseconds } =
      (this.#delivering ? marks.packetOf(offset - 1 - this.#offset[side]) : undefined) ?? clock;
    const ended: Ended = { packet, flow: this.#start.packet, turn: queue.turn(), time: { seconds, nanoseconds } };
    this.#open.set(file, ended);
    queue.await(ended);
  }

  #inspected(file: FileStream, root: Inspected): void {
    const ended = this.#open.get(file);
    if (ended === undefined) throw new InternalError('a file was inspected before it ended');
    this.#open.delete(file);
    const service = this.#service();
    const { facts, policy } = this.#ruled();
    const session = sessionOfCapture(this.#start.client, this.#start.server, service, this.#tls, facts);
    this.#options.queue.settle(ended, treeEvent(root, session, policy, ended));
  }

  /** Asked for when the protocol is known: at the first file. */
  #ruled(): Ruling {
    this.#ruling ??= this.#options.rule(this.#start, this.#service());
    return this.#ruling;
  }

  #anomaly(code: FlowEvent): void {
    this.#count(code);
  }

  #count(code: string): void {
    const known = this.#anomalies[code];
    if (known !== undefined) this.#anomalies[code] = known + 1;
    else if (Object.keys(this.#anomalies).length < this.#options.limits.anomaliesPerFlow) this.#anomalies[code] = 1;
  }

  #now(): PacketTime {
    return { seconds: this.#options.clock.seconds, nanoseconds: this.#options.clock.nanoseconds };
  }
}

/** When a file ended, and its place among the events. */
export interface Ended extends Place {
  readonly time: PacketTime;
}

/** What policy says of a tree, as an event. */
export function treeEvent(root: Inspected, session: SessionInfo, policy: Policy, ended: Ended): TreeInspected {
  const decision = policy.decide(root, session);
  return {
    kind: 'tree',
    ...ended,
    session,
    files: filesOf(root, decision.verdicts),
    mail: mailOf(root.info),
    outcomes: decision.outcomes,
    refused: decision.verdict.action === 'strip' || decision.verdict.action === 'block',
  };
}

/** The rows of a tree: the root first, then what came out of it, in order. */
function filesOf(root: Inspected, verdicts: ReadonlyMap<FileId, FileVerdict>): FileSeen[] {
  const rows: FileSeen[] = [];
  const add = (file: Inspected) => {
    const { info } = file;
    const verdict = verdicts.get(info.id);
    if (verdict === undefined) throw new InternalError(`file ${info.id} was given no verdict`);
    rows.push({
      id: info.id,
      parent: info.parent?.id,
      name: info.meta.name,
      path: info.meta.path,
      transfer: info.meta.direction,
      size: info.size,
      sha256: info.sha256,
      type: info.types[0] ?? 'unknown',
      state: info.state,
      verdict,
    });
    for (const child of file.children) add(child);
  };
  add(root);
  return rows;
}

function mailOf(info: FileInfo): MailSeen | undefined {
  const { mail } = info.meta;
  if (mail === undefined && info.headers === undefined) return undefined;
  return {
    from: info.headers?.from,
    to: info.headers?.to,
    sender: mail?.sender,
    recipient: mail?.recipients?.join(', ') ?? mail?.login,
    subject: info.headers?.subject,
  };
}
