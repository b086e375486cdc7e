/**
 * One connection in the stage: bytes of both ends in, bytes for both ends out. The engine decodes and holds, files go to inspection, policy
 * judges, the record of a verdict is written before anything that it speaks of is let go.
 */
import type { Buffer } from 'node:buffer';
import { PROTOCOLS } from '../../protocols/index.js';
import type { PolicyMatch } from '../config/match-policy.js';
import type { InfectedTaker, RootFile } from '../content/node.js';
import type { FileId, FileMeta, FileStream, Inspected, Verdict } from '../core/file.js';
import type { BypassReason, Protocol, Related, Side } from '../core/flow.js';
import type { Endpoint, InterfaceFacts, SessionInfo, TlsFacts, UserFacts } from '../core/session.js';
import { Detector } from '../flow/detect.js';
import { FlowEngine, type FlowServices } from '../flow/engine.js';
import type { Ruling } from '../inspector/inspector.js';
import { sessionOf } from '../inspector/session-facts.js';
import type { Fate } from '../policy/outcome.js';
import type { ProtocolOptions, SessionProfiles } from '../policy/profiles.js';
import { isMail, protocolKey } from '../policy/protocol-key.js';
import type { StageContext } from './context.js';
import type { ConnectionOutput, StageEvent } from './output.js';

/** What the caller knows of a connection. */
export interface ConnectionFacts {
  /** The number that logs call sessionid; the stage counts by itself where none is given. */
  readonly id?: number;
  readonly client: Endpoint;
  /** Where the client is really led to: the server behind a VIP. */
  readonly server: Endpoint;
  /** The port that the client dialled, where that is another: it tells the protocol when content does not. */
  readonly port?: number;
  /** TLS was terminated already: what is handed over lies inside. */
  readonly tls?: TlsFacts;
  /** The policy, where the caller matched it; otherwise the stage's configuration decides by addresses and service. */
  readonly match?: PolicyMatch;
  readonly vdom?: string;
  readonly srcIntf?: InterfaceFacts;
  readonly dstIntf?: InterfaceFacts;
  readonly user?: UserFacts;
}

const UNREAD_TLS: TlsFacts = { version: undefined, cipher: undefined, sni: undefined, decrypted: false };

/** A connection announced by another, and what it is part of. */
interface Announced {
  readonly related: Related;
  readonly protocol: Protocol | undefined;
}

export class StagedConnection {
  readonly facts: ConnectionFacts;
  readonly #context: StageContext;
  readonly #output: ConnectionOutput;
  readonly #announced: Announced | undefined;
  readonly #engine: FlowEngine;
  #protocol: Protocol | undefined;
  #tls: TlsFacts | undefined;
  #ruling: Ruling | undefined;
  #passTls = false;
  /** Anomalies that were told, by code. */
  readonly #odd = new Map<string, number>();
  #wake: (() => void) | undefined;
  /** Files that their receivers are comforted about. */
  readonly #comforted = new Map<number, () => void>();

  /** Made by `InspectionStage.open` and `related`. */
  constructor(facts: ConnectionFacts, output: ConnectionOutput, context: StageContext, announced?: Announced) {
    this.facts = facts;
    this.#context = context;
    this.#output = output;
    this.#announced = announced;
    this.#tls = facts.tls;
    this.#protocol = announced?.protocol;
    const { limits } = context;
    this.#engine = new FlowEngine({
      id: facts.id ?? 0,
      limits,
      services: this.#services(),
      output: {
        write: (toward, bytes) => output.write(toward, bytes),
        finish: (toward) => output.finish(toward),
        reset: (reason, only) => {
          if (only === undefined) this.#ended();
          output.reset(reason, only);
        },
        layer: (kind) => {
          if (kind === 'tls' && output.startTls !== undefined) output.startTls();
          else this.#engine.reset(kind === 'tls' ? 'no-tls' : `no-${kind}`);
        },
        pause: (side, paused) => output.pause(side, paused),
      },
      decode: (flow) =>
        announced?.related.decode(flow) ??
        new Detector(flow, {
          candidates: context.candidates,
          port: facts.port ?? facts.server.port,
          limits,
          tls: facts.tls !== undefined,
          detected: (protocol) => {
            this.#protocol = protocol;
            this.#engine.maxUntaken = protocol.maxUntaken(limits);
            this.#event({ kind: 'detected', service: protocol.service });
          },
        }),
    });
    if (announced?.protocol !== undefined) this.#engine.maxUntaken = announced.protocol.maxUntaken(limits);
  }

  /** False once it was reset or closed. */
  get alive(): boolean {
    return this.#engine.alive;
  }

  /** An end is in the middle of a line or a file: whoever stops here keeps memory waiting. */
  get midway(): boolean {
    return this.#engine.midway;
  }

  /** As logged, without TLS (`SMTP`), once it is known. */
  get service(): string | undefined {
    return this.#protocol?.service;
  }

  /** What logs say of it, as far as it is known. */
  get session(): SessionInfo {
    const { facts } = this;
    const known = { ...facts, id: facts.id ?? 0, service: this.#protocol?.service, tls: this.#tls };
    return sessionOf(known, this.#ruled().match);
  }

  /** Protocol oddities so far, by code. */
  get anomalies(): ReadonlyMap<string, number> {
    return this.#odd;
  }

  /**
   * The next bytes of `side`. The chunk is given away: do not write to it afterwards. Calls of `output` may happen before this returns.
   */
  receive(side: Side, chunk: Buffer): void {
    this.#engine.receive(side, chunk, true);
  }

  /** `side` will send no more (FIN). */
  end(side: Side): void {
    this.#engine.receiveEnd(side);
  }

  /** After `output.startTls`: TLS stands on both sides. */
  tlsReady(facts: TlsFacts): void {
    this.#tls = facts;
    this.#engine.layerReady();
  }

  /** After `output.startTls`: policy lets this TLS pass unread. What comes from now on goes through as it is. */
  tlsPassed(): void {
    this.#passTls = true;
    this.#tls = UNREAD_TLS;
    this.#engine.layerBypassed('tls-no-keys');
  }

  /** The connection is gone. What is held is dropped, files that did not end are judged as cut; nothing is written any more. */
  close(): void {
    if (!this.#engine.alive) return;
    this.#engine.close();
    this.#ended();
  }

  /** Ends it as policy demands (a session that was cleared, a user who may no longer). */
  reset(reason: string): void {
    this.#engine.reset(reason);
  }

  /** Opens the connection that this one announced, as `output.expect` told: its sides are those of this one, whoever dialled. */
  related(related: Related, facts: Partial<ConnectionFacts>, output: ConnectionOutput): StagedConnection {
    const { match } = this.#ruled();
    const { tls: _, ...own } = this.facts;
    return new StagedConnection({ ...own, match, ...facts }, output, this.#context, {
      related,
      protocol: this.#protocol,
    });
  }

  #services(): FlowServices {
    const context = this.#context;
    return {
      openFile: (meta, judged) => this.#open(meta, judged),
      fileEnding: () => {},
      adopted: () => {},
      openLayer: () => undefined,
      expect: (related, ready) => {
        if (this.#output.expect === undefined) ready(undefined);
        else this.#output.expect(related, ready);
      },
      wakeAt: (ms) => {
        this.#wake?.();
        this.#wake = context.timer(Math.max(0, ms - context.now()), () => this.#engine.wake(context.now()));
      },
      anomaly: (code, side) => this.#anomaly(code, side),
      mayBypass: (reason) => this.#mayBypass(reason),
      bypassed: (reason) => this.#event({ kind: 'bypassed', reason, allowed: this.#mayBypass(reason) }),
      mostOf: (meta) => (this.#isMail(meta) ? Number.POSITIVE_INFINITY : this.#ruled().bounds.oversize),
      holding: (change) => context.hold(change),
      failed: (error) => {
        this.#event({ kind: 'failed', error });
        this.#ended();
      },
    };
  }

  #open(meta: FileMeta, judged: (verdict: Verdict) => void): FileStream {
    const { bounds, match } = this.#ruled();
    const fates = new Map<FileId, Fate>();
    const infected = this.#infected(match.profiles, fates);
    const file: RootFile = this.#context.inspection.open(
      meta,
      (root) => this.#inspected(file, root, infected === undefined ? undefined : fates, judged),
      bounds,
      undefined,
      infected,
    );
    const { comfort } = this.#options();
    if (comfort !== undefined && meta.mayTrickle === true)
      this.#comforted.set(
        file.id,
        this.#context.repeat(comfort.interval, () => this.#engine.comfort(file.id, comfort.amount)),
      );
    return file;
  }

  /** Whether infected files are kept is settled when they are opened; what became of each is noted in `fates`. */
  #infected(profiles: SessionProfiles, fates: Map<FileId, Fate>): InfectedTaker | undefined {
    const { quarantining } = this.#context;
    if (quarantining?.wants(profiles, this.session) !== true) return undefined;
    return (content, info, viruses) => {
      fates.set(info.id, 'not-kept');
      return quarantining.keep(content, info, viruses, this.session).then((fate) => {
        if (fate !== undefined) fates.set(info.id, fate);
      });
    };
  }

  /** Everything is known of a file: policy decides, the records are written, then the verdict is told. */
  #inspected(
    file: FileStream,
    root: Inspected,
    fates: ReadonlyMap<FileId, Fate> | undefined,
    judged: (verdict: Verdict) => void,
  ): void {
    const { policy } = this.#ruled();
    const { session } = this;
    const decision = policy.decide(root, session, (id) => fates?.get(id) === 'kept');
    const done = (): void => {
      this.#uncomfort(file.id);
      this.#event({ kind: 'judged', action: decision.verdict.action });
      judged(decision.verdict);
    };
    let waits: Promise<void>[] | undefined;
    try {
      for (const outcome of decision.outcomes) {
        this.#event({ kind: 'outcome', outcome });
        const written = this.#context.log(
          outcome,
          session,
          fates === undefined ? 'not-asked' : (fates.get(outcome.file.id) ?? 'not-kept'),
        );
        if (written !== undefined) {
          waits ??= [];
          waits.push(written);
        }
      }
    } catch (error) {
      this.#unlogged(error);
      return;
    }
    if (waits === undefined) done();
    else Promise.all(waits).then(done, (error: unknown) => this.#unlogged(error));
  }

  /** What cannot be put on record is not let go. */
  #unlogged(error: unknown): void {
    this.#event({ kind: 'failed', error });
    this.#engine.reset('log-failed');
  }

  #anomaly(code: string, side: Side): void {
    const known = this.#odd.get(code);
    if (known === undefined && this.#odd.size >= this.#context.limits.anomaliesPerFlow) return;
    this.#odd.set(code, (known ?? 0) + 1);
    if (known === undefined) this.#event({ kind: 'anomaly', code, side });
  }

  /** Of a message the parts are measured, not the whole, and what is taken out of mail has to be as long as it was. */
  #isMail({ mail, declaredType }: FileMeta): boolean {
    return mail !== undefined || declaredType === 'message/rfc822' || isMail(protocolKey(this.#service()));
  }

  /** What is none of our protocols may pass where none of them is at home; all else ends. */
  #mayBypass(reason: BypassReason): boolean {
    if (reason === 'smb-encrypted') return this.#options().passEncrypted === true;
    if (reason === 'policy' || (reason === 'tls-no-keys' && this.#passTls)) return true;
    if (reason !== 'unknown-protocol' && reason !== 'tls-no-keys') return false;
    const port = this.facts.port ?? this.facts.server.port;
    return !PROTOCOLS.some(({ ports, tlsPorts }) => ports.includes(port) || tlsPorts.includes(port));
  }

  /** Asked for when the protocol is known: at the first file. */
  #ruled(): Ruling {
    if (this.#ruling !== undefined) return this.#ruling;
    const { facts } = this;
    const { service } = this.#service();
    const { inspector } = this.#context;
    const ruling =
      facts.match === undefined
        ? inspector.rule(facts.client, facts.server, service)
        : inspector.ruling(facts.match, service);
    if (service !== undefined) this.#ruling = ruling;
    return ruling;
  }

  #options(): ProtocolOptions {
    return this.#ruled().match.profiles.protocolOptions.protocols[protocolKey(this.#service()) ?? 'http'];
  }

  #service(): { readonly service: string | undefined } {
    return { service: this.#protocol?.service };
  }

  #uncomfort(id: number): void {
    this.#comforted.get(id)?.();
    this.#comforted.delete(id);
  }

  #ended(): void {
    this.#wake?.();
    this.#wake = undefined;
    for (const stop of this.#comforted.values()) stop();
    this.#comforted.clear();
    this.#announced?.related.over?.();
  }

  #event(event: StageEvent): void {
    this.#output.event?.(event);
  }
}
