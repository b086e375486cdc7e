/**
 * One connection: takes what the driver received, offers it to the decoder, keeps both lines of output, ties files to the units that
 * they guard, and delivers what comes back (verdicts, resumptions, related connections) one event after the other, never inside another.
 * Live and passive (a recording) are the same code; a passive flow has no output, and its verdicts come at once as `monitor`.
 * A throw of the decoder is our bug: the flow fails closed.
 */
import { Buffer } from 'node:buffer';
import { InternalError } from '../core/errors.js';
import type { AbortReason, FileId, FileMeta, FileStream, Verdict } from '../core/file.js';
import type { BypassReason, Decoder, Flow, LayerKind, Related, Side, Unit, Way } from '../core/flow.js';
import { CLIENT, opposite, SERVER } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import type { Endpoint } from '../core/session.js';
import { isContentType } from '../core/tls-record.js';
import type { FlowEvent } from './events.js';
import { Input } from './input.js';
import { Line, type LineOwner, OutUnit } from './line.js';

/** Where a live flow's output goes. All before a call has gone when it is made; calls come in the order of the line. */
export interface FlowOutput {
  /** Bytes for `toward`; the driver's from now on. */
  write(toward: Side, bytes: Buffer): void;
  finish(toward: Side): void;
  /** Abort `only`, or both ends. Nothing follows for what was aborted. */
  reset(reason: string, only: Side | undefined): void;
  /** Both lines have reached the change of layer; call `layerReady` when the new layer stands. Input waits until then. */
  layer(kind: LayerKind): void;
  /** Read no more of `side` (true), or go on (false). */
  pause(side: Side, paused: boolean): void;
}

/** What a flow asks of its driver, live or passive. */
export interface FlowServices {
  /** `judged` is called once, after the stream ended; in a passive flow nobody waits for it. */
  openFile(meta: FileMeta, judged: (verdict: Verdict) => void): FileStream;
  /**
   * `file` is about to end or be cut, because of the byte before `offset` of what `side` sent (capture gaps counted). A driver of recordings
   * learns from it which packet completed the verdict.
   */
  fileEnding(file: FileStream, side: Side, offset: number): void;
  expect(related: Related, ready: (at: Endpoint | undefined) => void): void;
  wakeAt(ms: number): void;
  /** `offset` is that of the first untaken byte in the side's stream. */
  anomaly(code: string, side: Side, offset: number): void;
  /** Live: may the flow go on uninspected? If not, it is reset with the reason. */
  mayBypass?(reason: BypassReason): boolean;
  /** The flow goes on uninspected, or (passive) is looked at no more. */
  bypassed(reason: BypassReason): void;
  /**
   * Live: a file of more bytes than this is judged by what came up to there, and if it may pass, the rest passes as it comes
   * (FortiOS's oversize limit).
   */
  mostOf?(meta: FileMeta): number;
  /** Live: bytes held in all flows grew or shrank by `change`. False: there is no room, and the flow ends. */
  holding?(change: number): boolean;
  /** Our bug; the flow was failed closed. */
  failed(error: unknown): void;
  /**
   * Passive: a reader for the layer that begins here, or undefined when it cannot be read. It is given each side's bytes and hands
   * what lies inside to `inner`.
   */
  openLayer(kind: Exclude<LayerKind, 'clear'>, inner: LayerInner): PassiveLayer | undefined;
  /** Passive: `file`, which another flow opened, is this one's from now on. */
  adopted(file: FileStream): void;
}

/** What a passive layer hands its plain text to. */
export interface LayerInner {
  receive(side: Side, chunk: Buffer): void;
  gap(side: Side, length: number): void;
  /** The layer cannot be read (on): the flow is looked at no more, though the layer still hears what comes. */
  opaque(reason: BypassReason): void;
}

export interface PassiveLayer {
  receive(side: Side, chunk: Buffer): void;
  gap(side: Side, length: number): void;
  /** `side` sent FIN: what it had not decided it decides now. The end itself is told to the decoder behind this. */
  end?(side: Side): void;
  /** Has `side` said within the layer that nothing more of it comes (TLS's close_notify)? Then its FIN says nothing new. */
  over?(side: Side): boolean;
  /** While it hands something on: how many bytes of `side` it has read for that since it was opened, missing ones counted. */
  position(side: Side): number;
}

interface StackedLayer {
  readonly layer: PassiveLayer;
  /** Where in each side's stream it began. */
  readonly from: readonly [number, number];
}

export interface FlowOptions {
  readonly id: number;
  readonly limits: Limits;
  readonly services: FlowServices;
  /** Undefined: a recording. */
  readonly output: FlowOutput | undefined;
  /** Makes the decoder, or the detector that stands in for it. */
  decode(flow: Flow): Decoder;
  /** It begins with a TLS handshake, as its announcement said. */
  readonly tls?: boolean;
}

const MONITOR: Verdict = { action: 'monitor', replacement: '', edits: [] };

interface Ending {
  readonly file: FileStream;
  readonly end: () => void;
  offset: number;
}

export class FlowEngine implements Flow, LineOwner, FileOwner {
  readonly id: number;
  readonly passive: boolean;
  readonly limits: Limits;
  /** Untaken bytes kept of a side that is not stopped; the detector sets the protocol's. */
  maxUntaken: number;

  readonly #services: FlowServices;
  readonly #output: FlowOutput | undefined;
  readonly #decoder: Decoder;
  readonly #inputs: readonly [Input, Input] = [new Input(), new Input()];
  readonly #lines: readonly [Line, Line];
  readonly #files = new Set<TrackedFile>();
  /** Events to deliver when the present one is over. */
  #events: (() => void)[] = [];
  #running = false;
  #state: 'decoding' | 'bypassed' | 'dead' = 'decoding';
  #heldBytes = 0;
  #openUnits = 0;
  #paused: [boolean, boolean] = [false, false];
  /** FIN was asked for. */
  readonly #finished: [boolean, boolean] = [false, false];

  // The chunk being pushed.
  #side: Side = CLIENT;
  #chunk: Buffer | undefined;
  #taken = 0;
  /** Files that were ended in this push, and up to where bytes were taken when that was settled; -1 until the next are taken. */
  #endings: Ending[] = [];
  /** The side whose bytes the driver gave last. */
  #receiving: Side = CLIENT;

  // A change of layer under way, and the passive layers that bytes come through.
  #layering: LayerKind | undefined;
  #marksDue = 0;
  /** The outermost first. */
  readonly #layers: StackedLayer[] = [];
  /** A recording whose TLS nobody reads: sides of which not even its first byte has come. */
  readonly #tlsDue: [boolean, boolean] = [false, false];

  constructor(options: FlowOptions) {
    this.id = options.id;
    this.passive = options.output === undefined;
    this.limits = options.limits;
    this.#services = options.services;
    this.#output = options.output;
    this.maxUntaken = options.limits.line + options.limits.probe;
    this.#lines = [new Line(this, CLIENT), new Line(this, SERVER)];
    this.#decoder = options.decode(this);
    if (options.tls === true) {
      this.layer('tls');
      this.#run();
    }
  }

  /** False when the flow was reset, closed, or failed. */
  get alive(): boolean {
    return this.#state !== 'dead';
  }

  /** A side is in the middle of something: an unfinished line, or a file that has not ended. Whoever stops here keeps us waiting. */
  get midway(): boolean {
    if (this.#state !== 'decoding') return false;
    for (const file of this.#files) if (!file.over) return true;
    return this.#inputs.some((input) => input.pending > 0 && !input.stopped);
  }

  // ── What the driver calls ──────────────────────────────────────────────────────────────────────────────────────────────

  /** The next bytes of `side`. `owned`: the engine may keep the chunk; otherwise it is valid for this call only. */
  receive(side: Side, chunk: Buffer, owned = false): void {
    if (this.#state === 'dead') return;
    const [outermost] = this.#layers;
    if (outermost !== undefined) outermost.layer.receive(side, chunk);
    else this.#receive(side, chunk, owned);
  }

  /** FIN of `side`. */
  receiveEnd(side: Side): void {
    const input = this.#inputs[side];
    if (this.#state === 'dead' || input.ended) return;
    if (this.#state === 'bypassed') {
      input.ended = true;
      this.finish(opposite(side));
      return;
    }
    this.#layers[0]?.layer.end?.(side);
    input.finDue = true;
    this.#run();
    // A client that half-closes may still get the answer that it waits for; when neither end will say more, nobody does.
    if (this.#inputs[opposite(side)].finDue)
      for (const each of [opposite(side), side]) this.#losePassiveAnswers(each, 0);
  }

  /** `length` bytes of `side` are missing from the recording; 0: unknown how many. */
  receiveGap(side: Side, length: number): void {
    this.#tlsDue[side] = false;
    const [outermost] = this.#layers;
    if (outermost !== undefined) outermost.layer.gap(side, length);
    else this.#gap(side, length);
  }

  /** The time asked for with `wakeAt` has come. */
  wake(now: number): void {
    this.#event(() => this.#decoder.wake(now));
  }

  /** Live: the new layer stands. */
  layerReady(): void {
    this.#layering = undefined;
    for (const input of this.#inputs) if (input.pending > 0) input.fresh = true;
    this.#run();
  }

  /** Live: nobody reads the new layer, as policy allows: what follows passes as it comes. */
  layerBypassed(reason: BypassReason): void {
    this.#layering = undefined;
    this.bypass(reason);
  }

  /** The connection is gone, or the recording ends: what waits is decided, open files are cut, nothing more goes out. */
  close(): void {
    if (this.#state === 'dead') return;
    if (this.#state === 'decoding') {
      for (const side of [CLIENT, SERVER] as const)
        if (this.#layers.some(({ layer }) => layer.over?.(side) === true)) this.receiveEnd(side);
      if (this.#inputs.some((input) => !input.finDue)) this.#event(() => this.#decoder.cut?.());
      for (const side of [CLIENT, SERVER] as const) this.receiveEnd(side);
    }
    this.#die();
  }

  // ── Flow: input ────────────────────────────────────────────────────────────────────────────────────────────────────────

  pass(end: number, into?: Unit): void {
    const chunk = this.#take(end);
    if (chunk === undefined) return;
    const toward = opposite(this.#side);
    if (into instanceof OutUnit) {
      if (this.passive) into.length += end - this.#taken;
      else into.add(this.#kept(chunk.subarray(this.#taken, end)));
    } else if (!this.passive) {
      const line = this.#lines[toward];
      line.put(chunk.subarray(this.#taken, end), (bytes) => this.#kept(bytes));
    }
    this.#taken = end;
  }

  drop(end: number): void {
    if (this.#take(end) !== undefined) this.#taken = end;
  }

  stop(side: Side): void {
    this.#inputs[side].stopped = true;
    this.#pressure(side);
  }

  resume(side: Side): void {
    const input = this.#inputs[side];
    input.stopped = false;
    input.fresh = input.pending > 0;
    this.#pressure(side);
    // Sides are offered in the order in which they were resumed: an answer may have to wait for the question behind it.
    this.#event(() => {
      if (this.#state === 'decoding' && this.#layering === undefined) this.#offer(side);
    });
  }

  layer(kind: LayerKind): void {
    if (this.#state !== 'decoding' || this.#layering !== undefined)
      return this.misuse('layer change inside a layer change');
    this.#layering = kind;
    if (this.passive) {
      // After the present push, when it is known what was taken.
      this.#events.unshift(() => this.#openPassiveLayer(kind));
      return;
    }
    this.#events.unshift(() => {
      if (kind === 'tls' && this.#inputs.some((input) => input.pending > 0)) {
        this.#foreignBytes();
        return;
      }
      this.#marksDue = 2;
      for (const line of this.#lines) line.append({ mark: kind });
    });
  }

  // ── Flow: output ───────────────────────────────────────────────────────────────────────────────────────────────────────

  send(toward: Side, bytes: Buffer, into?: Unit): void {
    if (this.#state === 'dead') return;
    if (into instanceof OutUnit) {
      if (this.passive) into.length += bytes.length;
      else into.add(bytes);
    } else if (!this.passive) this.#lines[toward].put(bytes, (kept) => kept);
  }

  unit(toward: Side, way: Way): Unit {
    const line = this.#lines[toward];
    const unit = new OutUnit(line, way);
    if (++this.#openUnits > this.limits.unitsPerFlow) this.#overLimit('unit-limit');
    if (way !== 'aside') line.append(unit);
    return unit;
  }

  finish(toward: Side): void {
    if (this.#state === 'dead') return;
    this.#finished[toward] = true;
    this.#lines[toward].append({ mark: 'fin' });
  }

  reset(reason: string, only?: Side): void {
    if (this.#state === 'dead') return;
    // A recording cannot be ended: what follows in it is not looked at, and that must show.
    if (this.passive) return this.bypass('desync');
    this.#output?.reset(reason, only);
    if (only === undefined) this.#die();
    else this.#lines[only].clear();
  }

  bypass(reason: BypassReason): void {
    if (this.#state !== 'decoding') return;
    if (!this.passive && this.#services.mayBypass?.(reason) === false) {
      this.#services.bypassed(reason);
      return this.reset(reason);
    }
    this.#state = 'bypassed';
    this.#services.bypassed(reason);
    for (const file of this.#files) file.abort('gap');
    this.#events.push(() => {
      for (const side of [CLIENT, SERVER] as const) {
        const input = this.#inputs[side];
        if (!this.passive && input.pending > 0) {
          // A view behind a carry holds only a part of what came last.
          input.shelve();
          const rest = input.view();
          this.#lines[opposite(side)].put(rest, (bytes) => Buffer.from(bytes));
        }
        input.discard();
      }
      // FIN that came while nobody knew what to do with it.
      if (!this.passive)
        for (const side of [CLIENT, SERVER] as const) {
          const input = this.#inputs[side];
          if (!input.finDue) continue;
          input.ended = true;
          if (!this.#finished[opposite(side)]) this.finish(opposite(side));
        }
    });
    this.#run();
  }

  unread(reason: BypassReason): void {
    this.#services.bypassed(reason);
  }

  // ── Flow: services ─────────────────────────────────────────────────────────────────────────────────────────────────────

  expect(related: Related, ready: (at: Endpoint | undefined) => void): void {
    const over = (): void => this.#event(() => related.over?.());
    this.#services.expect(related.over === undefined ? related : { ...related, over }, (at) =>
      this.#event(() => ready(at)),
    );
  }

  openFile(meta: FileMeta, guards?: Unit): FileStream {
    const unit = guards instanceof OutUnit ? guards : undefined;
    if (unit !== undefined) unit.guards++;
    const inner = this.#services.openFile(meta, (verdict) => {
      if (!this.passive) this.#judged(file, verdict);
    });
    const most = unit === undefined ? undefined : this.#services.mostOf?.(meta);
    const file = new TrackedFile(inner, this, unit, meta, most ?? Number.POSITIVE_INFINITY);
    this.#files.add(file);
    return file;
  }

  /**
   * Live: lets up to `amount` bytes of what `file` guards go before its verdict, so that its receiver does not give up (client comforting).
   * The last `limits.comfortTail` bytes that came always stay.
   */
  comfort(id: FileId, amount: number): void {
    for (const { id: each, unit, meta } of this.#files)
      if (each === id && meta.mayTrickle === true) unit?.trickle(amount, this.limits.comfortTail);
  }

  adopt(file: FileStream): void {
    if (!(file instanceof TrackedFile) || !this.passive) return this.misuse('a file was adopted that cannot be');
    if (file.owner === this || file.over) return;
    file.owner.released(file);
    file.owner = this;
    this.#files.add(file);
    this.#services.adopted(file.inner);
  }

  anomaly(code: string, side: Side): void {
    const input = this.#inputs[side];
    this.#services.anomaly(
      code,
      side,
      input.offset + (this.#chunk !== undefined && this.#side === side ? this.#taken : 0),
    );
  }

  wakeAt(ms: number): void {
    this.#services.wakeAt(ms);
  }

  // ── FileOwner ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A file ends with the bytes that are taken next; outside of `push`, with what the driver gave last. */
  fileEnds(file: TrackedFile, end: () => void): void {
    const over = () => {
      end();
      if (this.passive) this.#judged(file, MONITOR);
    };
    if (this.#chunk !== undefined) {
      this.#endings.push({ file: file.inner, end: over, offset: -1 });
      return;
    }
    this.#services.fileEnding(file.inner, this.#receiving, this.#offset(this.#inputs[this.#receiving].offset));
    over();
  }

  released(file: TrackedFile): void {
    this.#files.delete(file);
  }

  /** The verdict of a file, which an oversize one has before it has ended: its decoder hears of it then. */
  #judged(file: TrackedFile, verdict: Verdict): void {
    if (!this.#files.has(file)) return;
    const { unit } = file;
    if (unit !== undefined && file.verdict === undefined) {
      unit.guards--;
      if (verdict.action === 'block') unit.refused = true;
    }
    if (!file.over) {
      file.verdict = verdict;
      if (verdict.action === 'block' || verdict.action === 'strip') unit?.discard();
      else unit?.open();
      return;
    }
    this.#files.delete(file);
    this.#event(() => this.#decoder.verdict(file.id, verdict));
  }

  endedLate(file: TrackedFile): void {
    if (file.verdict !== undefined) this.#judged(file, file.verdict);
  }

  // ── LineOwner ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  write(toward: Side, bytes: Buffer): void {
    if (bytes.length > 0) this.#output?.write(toward, bytes);
  }

  finished(toward: Side): void {
    this.#output?.finish(toward);
  }

  layerReached(_toward: Side, kind: LayerKind): void {
    if (--this.#marksDue === 0) this.#output?.layer(kind);
  }

  held(change: number): void {
    if (this.#state === 'dead') return;
    this.#heldBytes += change;
    const room = this.#services.holding?.(change) !== false;
    if (this.#heldBytes > this.limits.heldPerFlow || !room) this.#overLimit(room ? 'held-limit' : 'held-limit-of-all');
  }

  unitSettled(): void {
    this.#openUnits--;
  }

  misuse(what: string): void {
    this.#fail(new InternalError(what));
  }

  irreparable(): void {
    this.reset('replaced-after-sent');
  }

  // ── Inside ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #receive(side: Side, chunk: Buffer, owned: boolean): void {
    const input = this.#inputs[side];
    if (this.#state !== 'decoding') {
      if (this.#tlsDue[side]) this.#tlsBegins(side, chunk);
      input.offset += chunk.length;
      if (this.#state === 'bypassed' && !this.passive)
        this.#lines[opposite(side)].put(chunk, (bytes) => (owned ? bytes : Buffer.from(bytes)));
      return;
    }
    this.#receiving = side;
    input.receive(chunk, owned);
    this.#run(side);
    input.shelve();
    if (input.pending > 0) this.#bound(side, input);
  }

  /** What a side may leave untaken is bounded, by the protocol or, while it waits for an answer, by patience. */
  #bound(side: Side, input: Input): void {
    if (this.#state !== 'decoding') {
      input.discard();
    } else if (input.stopped) {
      if (this.passive) this.#losePassiveAnswers(side, this.limits.waiting);
    } else if (input.pending > this.maxUntaken && this.#layering === undefined) {
      this.#odd('untaken-limit', side);
      this.reset('untaken-limit');
    }
  }

  /** A recording: while more than `patience` bytes of a stopped side wait, its answer was lost. */
  #losePassiveAnswers(side: Side, patience: number): void {
    const input = this.#inputs[side];
    let before = -1;
    while (
      this.passive &&
      this.#state === 'decoding' &&
      input.stopped &&
      (input.pending > patience || (patience === 0 && !input.ended))
    ) {
      if (input.offset === before && input.pending > 0) return this.misuse('stopped again for an answer that was lost');
      before = input.pending > 0 ? input.offset : -1;
      this.#event(() => this.#decoder.unanswered(side));
      input.stopped = false;
      input.fresh = input.pending > 0;
      this.#run(side);
      if (input.pending === 0 && input.stopped) break;
    }
    // Live, the FIN of a stopped side waits behind its bytes until the side is resumed.
    if (this.passive && patience === 0 && input.finDue && !input.ended && this.#state === 'decoding') {
      input.stopped = false;
      this.#run(side);
    }
  }

  #gap(side: Side, length: number): void {
    if (this.#state !== 'decoding') return;
    const input = this.#inputs[side];
    if (input.stopped && input.pending > 0) this.#losePassiveAnswers(side, 0);
    input.discard();
    input.offset += length;
    input.stopped = false;
    this.#event(() => this.#decoder.gap(side, length));
  }

  /** An event from outside: delivered now, or after the one that is being delivered. */
  #event(deliver: () => void): void {
    if (this.#state === 'dead') return;
    this.#events.push(deliver);
    this.#run();
  }

  /** Deliver events and offer bytes until there is nothing to do; `first` is the side looked at first. */
  #run(first: Side = CLIENT): void {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#state !== 'dead') {
        const deliver = this.#events.shift();
        if (deliver !== undefined) deliver();
        else if (this.#state !== 'decoding' || this.#layering !== undefined) break;
        else if (!this.#offer(first) && !this.#offer(opposite(first))) break;
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#running = false;
    }
  }

  /** Offer what is fresh of `side`, or its end. False when there was nothing to offer. */
  #offer(side: Side): boolean {
    const input = this.#inputs[side];
    if (input.stopped) return false;
    if (input.fresh) {
      const chunk = input.view();
      this.#side = side;
      this.#chunk = chunk;
      this.#taken = 0;
      try {
        this.#decoder.push(side, chunk);
      } finally {
        this.#chunk = undefined;
      }
      if (this.alive) input.took(this.#taken);
      if (this.#endings.length > 0) this.#settleEndings(side);
      return true;
    }
    if (input.finDue && !input.ended) {
      input.ended = true;
      if (this.passive || this.#decoder.undecided?.() !== true) input.discard();
      this.#decoder.end(side);
      return true;
    }
    return false;
  }

  /** The push is over: its files end now. Where they ended in bytes that had waited, what made them go on is what counts. */
  #settleEndings(side: Side): void {
    const endings = this.#endings;
    this.#endings = [];
    const receiving = this.#receiving;
    for (const { file, end, offset } of endings) {
      const at = side === receiving && offset >= 0 ? offset : this.#inputs[receiving].offset;
      this.#services.fileEnding(file, receiving, this.#offset(at));
      end();
    }
  }

  /** Where in what the receiving side sent byte `offset` of what the decoder is given lies: behind what the outermost layer has read for it. */
  #offset(offset: number): number {
    const [outermost] = this.#layers;
    return outermost === undefined
      ? offset
      : outermost.from[this.#receiving] + outermost.layer.position(this.#receiving);
  }

  /** The chunk that is being pushed, when `end` may be taken of it. */
  #take(end: number): Buffer | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined || end < this.#taken || end > chunk.length) {
      this.misuse(
        chunk === undefined ? 'bytes taken outside push' : `took up to ${end} of ${chunk.length}, at ${this.#taken}`,
      );
      return undefined;
    }
    if (this.#endings.length > 0 && end > this.#taken) {
      const offset = this.#inputs[this.#side].offset + end;
      for (const ending of this.#endings) if (ending.offset < 0) ending.offset = offset;
    }
    return chunk;
  }

  /** Bytes that outlive the push: our own copy, unless the driver gave the chunk away and little of it would be wasted. */
  #kept(bytes: Buffer): Buffer {
    const owned = this.#chunk !== undefined && this.#inputs[this.#side].viewOwned;
    return owned && bytes.length * 4 >= bytes.buffer.byteLength ? bytes : Buffer.from(bytes);
  }

  #pressure(side: Side): void {
    const paused = this.#inputs[side].stopped;
    if (this.#paused[side] === paused) return;
    this.#paused[side] = paused;
    this.#output?.pause(side, paused);
  }

  #openPassiveLayer(kind: LayerKind): void {
    if (kind === 'clear') {
      this.#layering = undefined;
      // Its reader has seen both sides end it, and hands on what follows as it is.
      return;
    }
    // What is untaken belongs to the new layer, if it may; behind STARTTLS only what begins a TLS record may.
    const begun = this.#inputs.map((input) => input.pending > 0);
    if (kind === 'tls' && this.#inputs.some((input) => input.pending > 0 && !isContentType(input.peek())))
      this.#foreignBytes();
    const depth = this.#layers.length;
    const layer = this.#services.openLayer(kind, {
      receive: (side, chunk) => {
        const inner = this.#layers[depth + 1];
        if (inner !== undefined) inner.layer.receive(side, chunk);
        else this.#receive(side, chunk, false);
      },
      gap: (side, length) => {
        const inner = this.#layers[depth + 1];
        if (inner !== undefined) inner.layer.gap(side, length);
        else this.#gap(side, length);
      },
      opaque: (reason) => this.bypass(reason),
    });
    this.#layering = undefined;
    if (layer === undefined) {
      if (kind === 'tls') {
        for (const side of [CLIENT, SERVER] as const) this.#tlsDue[side] = begun[side] === false;
        this.bypass('tls-no-keys');
      } else this.bypass('desync');
      return;
    }
    const [client, server] = this.#inputs;
    const from = [client.offset, server.offset] as const;
    const rests = this.#inputs.map((input) => (input.pending > 0 ? Buffer.from(input.view()) : undefined));
    for (const input of this.#inputs) input.discard();
    this.#layers.push({ layer, from });
    for (const side of [CLIENT, SERVER] as const) {
      const rest = rests[side];
      if (rest !== undefined) layer.receive(side, rest);
    }
  }

  /** Clear text behind the command that starts TLS: an injection, or a confused peer. It is dropped, and live the flow ends. */
  #foreignBytes(): void {
    for (const side of [CLIENT, SERVER] as const) {
      if (this.#inputs[side].pending > 0) this.#odd('plaintext-before-tls', side);
    }
    if (this.passive) for (const input of this.#inputs) input.discard();
    else this.reset('plaintext-before-tls');
  }

  /** A recording that is read no further: are at least the first bytes behind STARTTLS those of TLS? */
  #tlsBegins(side: Side, chunk: Buffer): void {
    const first = chunk[0];
    if (first === undefined) return;
    this.#tlsDue[side] = false;
    if (!isContentType(first)) this.#odd('plaintext-before-tls', side);
  }

  #odd(event: FlowEvent, side: Side): void {
    this.anomaly(event, side);
  }

  #overLimit(code: FlowEvent): void {
    if (this.#state === 'dead') return;
    this.#odd(code, this.#side);
    this.reset(code);
  }

  #fail(error: unknown): void {
    if (this.#state === 'dead') return;
    this.#services.failed(error);
    this.#output?.reset('internal-error', undefined);
    this.#die();
  }

  #die(): void {
    // Reset by what the decoder did about its end.
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    // The decoder had ended them: what was seen of them is inspected, whatever went wrong behind it.
    this.#settleEndings(this.#side);
    for (const line of this.#lines) line.clear();
    if (this.#heldBytes > 0) this.#services.holding?.(-this.#heldBytes);
    for (const input of this.#inputs) input.discard();
    this.#events = [];
    for (const file of this.#files) file.abort('reset');
    this.#files.clear();
  }
}

/** The connection that a file belongs to. */
interface FileOwner {
  /** It has ended, and was judged before or will be. */
  endedLate(file: TrackedFile): void;
  /** It ends when `end` is called: at once, or after the present push. */
  fileEnds(file: TrackedFile, end: () => void): void;
  /** Another owner has it. */
  released(file: TrackedFile): void;
}

/** A file that the engine can cut when its flow dies, and whose end it hears of. */
class TrackedFile implements FileStream {
  readonly id: FileId;
  readonly inner: FileStream;
  readonly unit: OutUnit | undefined;
  readonly meta: FileMeta;
  owner: FileOwner;
  over = false;
  /** Given before it ended. */
  verdict: Verdict | undefined;
  readonly #most: number;
  #size = 0;
  /** More came than is inspected: its verdict was asked for. */
  #oversize = false;

  constructor(inner: FileStream, owner: FileOwner, unit: OutUnit | undefined, meta: FileMeta, most: number) {
    this.id = inner.id;
    this.inner = inner;
    this.owner = owner;
    this.unit = unit;
    this.meta = meta;
    this.#most = most;
  }

  write(chunk: Buffer, start: number, end: number): void {
    if (this.over || this.#oversize) return;
    this.inner.write(chunk, start, end);
    this.#size += end - start;
    if (this.#size > this.#most) this.#judgeNow();
  }

  writeAt(at: number, chunk: Buffer, start: number, end: number): void {
    if (this.over || this.#oversize) return;
    this.inner.writeAt(at, chunk, start, end);
    this.#size = Math.max(this.#size, at + end - start);
    if (this.#size > this.#most) this.#judgeNow();
  }

  gap(length: number): void {
    if (!this.over && !this.#oversize) this.inner.gap(length);
  }

  malformed(code: string): void {
    if (!this.over && !this.#oversize) this.inner.malformed(code);
  }

  renamed(name: string): void {
    if (!this.over && !this.#oversize) this.inner.renamed?.(name);
  }

  end(): void {
    this.#over(() => this.inner.end());
  }

  abort(reason: AbortReason): void {
    this.#over(() => this.inner.abort(reason));
  }

  #over(end: () => void): void {
    if (this.over) return;
    this.over = true;
    if (this.#oversize) this.owner.endedLate(this);
    else this.owner.fileEnds(this, end);
  }

  #judgeNow(): void {
    this.#oversize = true;
    this.inner.end();
  }
}
