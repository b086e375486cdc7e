/**
 * Which protocol a connection speaks: by content first, then by port. Stands in for the decoder until it is known, taking nothing, so
 * that every byte comes to the real decoder as it came, in the order of the sides in which they began to speak.
 */
import { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../core/file.js';
import type { Decoder, DecoderContext, Flow, Protocol, Side } from '../core/flow.js';
import { CLIENT, opposite, SERVER } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import { LF } from '../core/lines.js';
import { beginsTls } from '../core/tls-record.js';

/** A protocol, and what makes its decoders in one driver. */
export interface Candidate {
  readonly protocol: Protocol;
  decode(flow: Flow): Decoder;
}

/** What one driver's connections may turn out to be. Made anew for each capture: decoders share what they know of each other. */
export function candidates(protocols: readonly Protocol[], context: DecoderContext): Candidate[] {
  return protocols.map((protocol) => ({ protocol, decode: protocol.decoders(context) }));
}

export interface Detection {
  readonly candidates: readonly Candidate[];
  /** The port that was dialled. */
  readonly port: number;
  readonly limits: Limits;
  /** What is offered lies inside TLS already. */
  readonly tls?: boolean;
  /** Told once, before the protocol's decoder is given anything. */
  detected(protocol: Protocol): void;
}

const NOTHING: Buffer = Buffer.alloc(0);

export class Detector implements Decoder {
  readonly #flow: Flow;
  readonly #detection: Detection;
  #inner: Decoder | undefined;
  /** What each side sent so far, while nobody knows: at most `limits.probe` bytes. */
  readonly #heads: [Buffer, Buffer] = [NOTHING, NOTHING];
  readonly #ended: [boolean, boolean] = [false, false];
  readonly #untold: Side[] = [];
  /** Sides that sent something, in the order in which they began. */
  readonly #order: Side[] = [];
  #midstream = false;
  #inTls = false;
  /** The side whose bytes wait until the other's earlier ones were decoded. */
  #second: Side | undefined;
  /** Live: 'asked' for the time, then when it is given up that what came be known. */
  #patience: number | 'asked' | undefined;

  constructor(flow: Flow, detection: Detection) {
    this.#flow = flow;
    this.#detection = detection;
    this.#inTls = detection.tls === true;
  }

  push(side: Side, chunk: Buffer): void {
    if (this.#inner === undefined) {
      if (!this.#order.includes(side)) this.#order.push(side);
      this.#heads[side] = Buffer.from(chunk.subarray(0, this.#detection.limits.probe));
      if (!this.#decide(side, chunk)) return;
      const first = this.#order[0] ?? side;
      // In a recording they are gone with the FIN.
      const kept = this.#heads[first].length > 0 && !(this.#ended[first] && this.#flow.passive);
      if (first !== side && kept) {
        this.#second = side;
        this.#flow.stop(side);
        this.#flow.resume(first);
        return;
      }
    }
    this.#inner?.push(side, chunk);
    this.#tellEnds();
    if (this.#second !== undefined && side !== this.#second) {
      const second = this.#second;
      this.#second = undefined;
      this.#flow.resume(second);
    }
  }

  undecided(): boolean {
    return this.#inner === undefined;
  }

  end(side: Side): void {
    this.#ended[side] = true;
    // Live, a server that goes before it has said a line will not say what it is, and nobody may wait for it: then the port decides.
    const atHome = side === SERVER && this.#inner === undefined && !this.#flow.passive ? this.#atHome() : undefined;
    if (atHome !== undefined) {
      this.#become(atHome);
      this.#tellEnds();
    }
    if (this.#inner !== undefined) this.#inner.end(side);
    else if (this.#ended[opposite(side)] && this.#order.length > 0) this.#flow.bypass('unknown-protocol');
    else {
      this.#untold.push(side);
      if (!this.#flow.passive) this.#waitFor(this.#detection.candidates);
    }
  }

  /** Sides that ended before it was known who was to hear of it. */
  #tellEnds(): void {
    if (this.#inner !== undefined) for (const side of this.#untold.splice(0)) this.#inner.end(side);
  }

  gap(side: Side, length: number): void {
    if (this.#inner !== undefined) this.#inner.gap(side, length);
    else this.#midstream = true;
  }

  verdict(file: FileId, verdict: Verdict): void {
    this.#inner?.verdict(file, verdict);
  }

  unanswered(side: Side): void {
    this.#inner?.unanswered(side);
  }

  cut(): void {
    this.#inner?.cut?.();
  }

  wake(now: number): void {
    if (this.#inner !== undefined) this.#inner.wake(now);
    else if (this.#patience === 'asked') {
      this.#patience = now + this.#detection.limits.detectTime;
      this.#flow.wakeAt(this.#patience);
    } else if (this.#patience !== undefined) this.#flow.bypass('unknown-protocol');
  }

  /** True when there is a decoder now. */
  #decide(side: Side, chunk: Buffer): boolean {
    if (!this.#inTls && beginsTls(chunk, 0)) {
      this.#beginTls();
      return false;
    }
    const { port } = this.#detection;
    const left: Candidate[] = [];
    let sure: Candidate | undefined;
    for (const candidate of this.#detection.candidates) {
      const { protocol } = candidate;
      const likeness = this.#likeness(protocol);
      const byPort = this.#portsOf(protocol).includes(port);
      if (likeness === 'yes') {
        if (sure === undefined || byPort) sure = candidate;
      } else if (likeness === 'more' || (this.#midstream && byPort)) left.push(candidate);
    }
    // A whole line, or more than a line has, and still nobody is sure: then the port decides.
    const spoken = chunk.includes(LF) || chunk.length >= this.#detection.limits.probe;
    const likely = sure ?? (spoken ? left.find(({ protocol }) => this.#portsOf(protocol).includes(port)) : undefined);
    if (likely !== undefined) {
      this.#inner = this.#become(likely);
      if (this.#midstream) for (const each of [CLIENT, SERVER] as const) this.#inner.gap(each, 0);
      return true;
    }
    const bothSpoke = this.#heads[opposite(side)].length > 0;
    // Live, the other side may be waiting for these very bytes before it says anything.
    const nobody = left.length === 0 && (bothSpoke || !this.#flow.passive);
    if (nobody || chunk.length >= this.#detection.limits.probe) this.#flow.bypass('unknown-protocol');
    else if (!this.#flow.passive) this.#waitFor(left);
    return false;
  }

  #become(candidate: Candidate): Decoder {
    this.#detection.detected(candidate.protocol);
    this.#inner = candidate.decode(this.#flow);
    return this.#inner;
  }

  /** Who is at the port, unless what came is not theirs. */
  #atHome(): Candidate | undefined {
    return this.#detection.candidates.find(
      ({ protocol }) => this.#portsOf(protocol).includes(this.#detection.port) && this.#likeness(protocol) !== 'no',
    );
  }

  /** Those that are at home here are waited for, up to a whole line; the others for a while. */
  #waitFor(left: readonly Candidate[]): void {
    if (this.#patience !== undefined) return;
    if (left.some(({ protocol }) => this.#portsOf(protocol).includes(this.#detection.port))) return;
    this.#patience = 'asked';
    this.#flow.wakeAt(0);
  }

  /** It starts with a handshake: what lies inside is looked at when that is read. */
  #beginTls(): void {
    this.#inTls = true;
    // Who terminates TLS live does so before the bytes come here.
    if (!this.#flow.passive) return this.#flow.bypass('tls-no-keys');
    for (const side of [CLIENT, SERVER] as const) this.#heads[side] = NOTHING;
    this.#order.length = 0;
    this.#flow.layer('tls');
  }

  #portsOf(protocol: Protocol): readonly number[] {
    return this.#inTls ? protocol.tlsPorts : protocol.ports;
  }

  /** What the protocol says of both sides together. */
  #likeness(protocol: Protocol): 'yes' | 'no' | 'more' {
    let all: 'yes' | 'no' | 'more' = 'more';
    for (const side of [CLIENT, SERVER] as const) {
      if (this.#heads[side].length === 0) continue;
      const likeness = protocol.probe(side, this.#heads[side]);
      if (likeness === 'no') return 'no';
      if (likeness === 'yes') all = 'yes';
    }
    return all;
  }
}
