/**
 * The offline driver of one connection: reassembled bytes into a passive flow, its files into inspection, what was found into events.
 * Nothing is sent anywhere; the log says what policy would have done.
 */

import type { Inspection } from '../content/inspection.js';
import type { RootFile } from '../content/node.js';
import { InternalError } from '../core/errors.js';
import type { Content, FileId, FileInfo, FileStream, Finding, Inspected } from '../core/file.js';
import type { Protocol, Related, Side } from '../core/flow.js';
import { CLIENT, opposite, SERVER } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import { type Endpoint, endpointText, type SessionInfo, type TlsFacts } from '../core/session.js';
import { type Candidate, Detector } from '../flow/detect.js';
import { FlowEngine } from '../flow/engine.js';
import type { FlowEvent } from '../flow/events.js';
import type { Ruling } from '../inspector/inspector.js';
import { sessionOf } from '../inspector/session-facts.js';
import type { FileVerdict, Policy } from '../policy/outcome.js';
import type { CloseCause, ConnectionSink, ConnectionStart, PacketClock } from './connection.js';
import type { EventQueue } from './event-queue.js';
import type { FileDetail, FileSeen, FlowEnded, MailSeen, PacketTime, Place, TreeInspected } from './events.js';
import type { Expected } from './expectations.js';
import type { LayerFactory } from './layer-factory.js';
import type { RunMarks } from './run-marks.js';

const NO_TLS_FACTS: TlsFacts = { version: undefined, cipher: undefined, sni: undefined, decrypted: false };
const OVERLAP: Finding = { kind: 'unscannable', reason: 'overlap', detail: 'tcp-overlap' satisfies FlowEvent };

const STRETCH: Finding = { kind: 'unscannable', reason: 'truncated', detail: 'a stretch of a file' };
const CONTRADICTED: Finding = { kind: 'unscannable', reason: 'overlap', detail: 'stretches of the file differ' };

/** A connection that announces another. */
export interface Announcer {
  readonly protocol: Protocol;
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** It is inside TLS. */
  readonly tls: boolean;
}

/** What the connections of one capture have in common. */
export interface FlowDriverOptions {
  readonly candidates: readonly Candidate[];
  /** What a connection announces. */
  expect(related: Related, announcer: Announcer): boolean;
  /** Opens the layers of its connections. */
  readonly layers: LayerFactory;
  /** Files that ended and are still inspected, with their place. */
  readonly ended: Map<FileStream, Ended>;
  readonly limits: Limits;
  /** Tell everything that is known of each file, readings that are noise included. */
  readonly detailed: boolean;
  readonly inspection: Inspection;
  readonly queue: EventQueue;
  readonly clock: PacketClock;
  readonly marks: RunMarks;
  rule(client: Endpoint, server: Endpoint, service: string | undefined): Ruling;
  /** Our own bug, caught; the flow is reported as opaque. */
  failed(error: unknown, start: ConnectionStart): void;
}

export class FlowDriver implements ConnectionSink {
  readonly #start: ConnectionStart;
  /** The ends as the session counts them: of a connection that was announced, the client is its announcer's client, whoever dialled. */
  readonly #client: Endpoint;
  readonly #server: Endpoint;
  /** Where the server of it all is: of a connection that was announced, its announcer's. */
  readonly #origin: Endpoint;
  /** The end that dialled is the flow's SERVER. */
  readonly #turned: boolean;
  readonly #options: FlowDriverOptions;
  readonly #engine: FlowEngine;
  /** Files that have not ended. */
  readonly #open = new Set<FileStream>();
  readonly #bytes: [number, number] = [0, 0];
  /** Where in each side's stream, gaps counted, the run being delivered begins. */
  readonly #offset: [number, number] = [0, 0];
  #delivering = false;
  /** One of its layers is compression. */
  #inflating = false;
  readonly #anomalies: Record<string, number> = {};
  readonly #startTime: PacketTime;
  #protocol: Protocol | undefined;
  #tls: TlsFacts | undefined;
  #opaque: string | undefined;
  /** Bytes were seen with two contents: whoever took the others may have framed all that follows otherwise. */
  #overlapped = false;
  #ruling: Ruling | undefined;
  #session: SessionInfo | undefined;

  /** `expected`: what announced it. */
  constructor(start: ConnectionStart, options: FlowDriverOptions, expected?: Expected) {
    this.#start = start;
    this.#options = options;
    this.#startTime = this.#now();
    const announced = expected?.expectation;
    this.#protocol = announced?.protocol;
    // The end that dials is the client of TCP, unless that was guessed wrong.
    this.#turned = expected !== undefined && (expected.expectation.related.dials === SERVER) !== expected.reversed;
    this.#client = this.#turned ? start.server : start.client;
    this.#server = this.#turned ? start.client : start.server;
    this.#origin = announced?.server ?? this.#server;
    if (expected?.foreign === true) this.#anomaly('expected-from-elsewhere');
    options.queue.add({ kind: 'flow-started', packet: start.packet, flow: start.packet, turn: options.queue.turn() });
    this.#engine = new FlowEngine({
      id: start.packet,
      limits: options.limits,
      output: undefined,
      tls: announced !== undefined && announced.related.tls !== false,
      services: {
        openFile: (meta) => {
          const { bounds } = this.#ruled();
          const file: RootFile = options.inspection.open(
            meta,
            (root) => this.#inspected(file, root),
            bounds,
            meta.part === undefined ? undefined : (content, info) => this.#join(file, content, info),
          );
          // By itself it says nothing of the rest of its file.
          if (meta.part !== undefined && meta.part.at !== 0) file.report(STRETCH);
          this.#open.add(file);
          if (this.#overlapped) file.report(OVERLAP);
          return file;
        },
        fileEnding: (file, side, offset) => this.#ending(file, side, offset),
        adopted: (file) => this.#open.add(file),
        expect: (related, ready) => this.#expect(related, ready),
        wakeAt: () => {},
        anomaly: (code) => this.#count(code),
        bypassed: (reason) => {
          this.#opaque ??= reason;
          if (reason === 'tls-no-keys') this.#tls ??= NO_TLS_FACTS;
        },
        failed: (error) => {
          this.#opaque = 'internal-error';
          options.failed(error, start);
        },
        openLayer: (kind, inner) => {
          this.#inflating ||= kind !== 'tls';
          const certain = announced === undefined || announced.related.tls === true;
          return options.layers.open(kind, inner, certain, {
            tls: (facts) => {
              this.#tls = facts;
            },
            anomaly: (code) => this.#count(code),
            opaque: (reason) => {
              this.#opaque ??= reason;
            },
          });
        },
      },
      decode: (flow) =>
        announced?.related.decode(flow) ??
        new Detector(flow, {
          candidates: options.candidates,
          port: start.server.port,
          limits: options.limits,
          detected: (protocol) => {
            this.#protocol = protocol;
            this.#engine.maxUntaken = protocol.maxUntaken(options.limits);
          },
        }),
    });
    if (announced !== undefined) this.#engine.maxUntaken = announced.protocol.maxUntaken(options.limits);
    if (start.midstream) for (const side of [CLIENT, SERVER] as const) this.#engine.receiveGap(side, 0);
  }

  data(from: Side, chunk: Buffer): void {
    const side = this.#side(from);
    this.#bytes[side] += chunk.length;
    this.#delivering = true;
    if (this.#inflating) this.#byPacket(side, chunk);
    else this.#engine.receive(side, chunk);
    this.#delivering = false;
    this.#offset[side] += chunk.length;
  }

  /** What was deflated comes out when the run is read to its end; only the packet tells when a byte came. */
  #byPacket(side: Side, chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const end = Math.min(chunk.length, this.#options.marks.endOf(at));
      this.#engine.receive(side, chunk.subarray(at, end));
      at = end;
    }
  }

  gap(from: Side, length: number): void {
    const side = this.#side(from);
    this.#anomaly('tcp-gap');
    this.#engine.receiveGap(side, length);
    this.#offset[side] += length;
  }

  overlap(): void {
    this.#anomaly('tcp-overlap');
    this.#overlapped = true;
    for (const file of this.#open) if (!this.#options.ended.has(file)) (file as RootFile).report(OVERLAP);
  }

  end(from: Side): void {
    this.#engine.receiveEnd(this.#side(from));
  }

  close(cause: CloseCause): void {
    this.#engine.close();
    const { clock, queue } = this.#options;
    const event: FlowEnded = {
      kind: 'flow-ended',
      packet: clock.packet,
      flow: this.#start.packet,
      turn: queue.turn(),
      client: this.#client,
      server: this.#server,
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

  #side(from: Side): Side {
    return this.#turned ? opposite(from) : from;
  }

  #expect(related: Related, ready: (at: Endpoint | undefined) => void): void {
    const protocol = this.#protocol;
    if (protocol === undefined) throw new InternalError('a connection of no protocol announces another');
    const announcer = { protocol, client: this.#client, server: this.#server, tls: this.#tls !== undefined };
    const listens = related.dials === CLIENT ? this.#server : this.#client;
    const { address } = related.target;
    if (address !== '' && address !== listens.address) this.#anomaly('expected-elsewhere');
    const added = this.#options.expect(related, announcer);
    if (!added) this.#anomaly('expectation-limit');
    ready(added ? related.target : undefined);
  }

  #state(cause: CloseCause): Pick<FlowEnded, 'state' | 'reason'> {
    if (this.#opaque !== undefined) return { state: 'opaque', reason: this.#opaque };
    if (this.#protocol !== undefined) return { state: 'decoded', reason: null };
    if (cause === 'limit') return { state: 'ignored', reason: 'flow-limit' };
    return { state: 'ignored', reason: 'no-data' };
  }

  #service(): string | undefined {
    if (this.#protocol !== undefined) return this.#protocol.service;
    const { port } = this.#start.server;
    return this.#options.candidates.find(
      ({ protocol }) => protocol.tlsPorts.includes(port) || protocol.ports.includes(port),
    )?.protocol.service;
  }

  /** Its place is taken when the file ends, so that events come in the order of the packets, however long inspection takes. */
  #ending(file: FileStream, side: Side, offset: number): void {
    const { clock, marks, queue } = this.#options;
    const { packet, seconds, nanoseconds } =
      (this.#delivering ? marks.packetOf(offset - 1 - this.#offset[side]) : undefined) ?? clock;
    const ended: Ended = { packet, flow: this.#start.packet, turn: queue.turn(), time: { seconds, nanoseconds } };
    this.#open.delete(file);
    this.#options.ended.set(file, ended);
    queue.await(ended);
  }

  /** A stretch of a file ended: with it, the whole may be there. */
  #join(file: FileStream, content: Content, { meta, state }: FileInfo): void {
    const { inspection, queue, ended } = this.#options;
    const place = ended.get(file);
    const { part, ...whole } = meta;
    if (part === undefined || place === undefined) return;
    const of = `${endpointText(this.#origin)}\n${meta.direction}\n${part.of}`;
    const stretch = { of, at: part.at, content, last: state === 'complete', grows: meta.direction === 'upload' };
    inspection.joined.add(stretch, (joined) => {
      const root: RootFile = inspection.open(
        whole,
        (inspected) => this.#inspected(root, inspected),
        this.#ruled().bounds,
      );
      if (joined.contradicted) root.report(CONTRADICTED);
      joined.each((piece) => root.write(piece, 0, piece.length));
      const after = { ...place, turn: queue.turn() };
      ended.set(root, after);
      queue.await(after);
      root.end();
    });
  }

  #inspected(file: FileStream, root: Inspected): void {
    const ended = this.#options.ended.get(file);
    if (ended === undefined) throw new InternalError('a file was inspected before it ended');
    this.#options.ended.delete(file);
    const { match, policy } = this.#ruled();
    const service = this.#service();
    // Most files of a connection are of the same session as the one before.
    let session = this.#session;
    if (session === undefined || session.service !== service || session.tls !== this.#tls) {
      session = sessionOf({ client: this.#client, server: this.#server, service, tls: this.#tls }, match);
      this.#session = session;
    }
    this.#options.queue.settle(ended, treeEvent(root, session, policy, ended, this.#options.detailed));
  }

  /** Asked for when the protocol is known: at the first file. */
  #ruled(): Ruling {
    this.#ruling ??= this.#options.rule(this.#client, this.#server, this.#service());
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
export function treeEvent(
  root: Inspected,
  session: SessionInfo,
  policy: Policy,
  ended: Ended,
  detailed: boolean,
): TreeInspected {
  const decision = policy.decide(root, session);
  return {
    kind: 'tree',
    ...ended,
    session,
    files: filesOf(root, decision.verdicts, detailed),
    mail: mailOf(root.info),
    outcomes: decision.outcomes,
    refused: decision.verdict.action === 'strip' || decision.verdict.action === 'block',
  };
}

/** The rows of a tree: the root first, then what came out of it, in order. */
function filesOf(root: Inspected, verdicts: ReadonlyMap<FileId, FileVerdict>, detailed: boolean): FileSeen[] {
  const rows: FileSeen[] = [];
  /** Viruses of the rows so far. */
  const said = new Set<string>();
  const add = (file: Inspected) => {
    const { info } = file;
    const verdict = verdicts.get(info.id);
    if (verdict === undefined) throw new InternalError(`file ${info.id} was given no verdict`);
    // Readings of a message that nobody minds are noise, and so are those that say again what was said.
    const { virus } = verdict;
    const again = virus.length > 0 && virus.every((one) => said.has(one));
    if (!detailed && info.reading !== undefined && (verdict.verdict === 'clean' || again)) return;
    if (file.children.length === 0) for (const one of virus) said.add(one);
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
      ...(detailed ? { detail: detailOf(file) } : {}),
    });
    for (const child of file.children) add(child);
  };
  add(root);
  return rows;
}

function detailOf({ info, findings }: Inspected): FileDetail {
  return { types: info.types, findings, otherNames: info.otherNames ?? [], reading: info.reading };
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
