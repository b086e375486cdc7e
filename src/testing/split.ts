/**
 * The every-split harness. Runs a session through the real flow engine whole, in chunks of every size, cut in two at every byte and
 * interleaved at random, live (verdicts at once, late, at random, never) and as a recording, and requires one and the same trace of
 * all. In live flows the engine's output is checked after every event against the recorder's account of what may have gone, which is
 * the leak check. Chunks are overwritten after each call, so that bytes kept without a copy show.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { AbortReason, FileMeta, FileStream, Verdict } from '../core/file.js';
import type { Decoder, Flow, Related, Side } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import { FlowEngine } from '../flow/engine.js';
import { FakeClock } from './clock.js';
import { SeededRandom } from './random.js';
import { Recorder, sideName } from './recorder.js';
import { flowOf, type Step, sideOf } from './script.js';

export type Mode = 'live' | 'passive';

export interface SessionCase {
  readonly script: readonly Step[];
  /** Asked once a run for what makes the decoder of the first flow: runs share nothing. */
  decoders(): (flow: Flow) => Decoder;
  readonly maxUntaken: number;
  readonly modes: readonly Mode[];
  readonly limits: Limits;
  judge(file: SeenFile): Verdict;
  /** `whole`: timing may change what happens in this session; it is run whole only. */
  readonly splits: 'every' | 'whole';
  /** False: the order of the two directions within a pipelined stretch may change what happens. */
  readonly interleave: boolean;
  /** True: what is done depends on when a verdict comes (messages overtake one that waits); only runs with late verdicts are compared. */
  readonly verdictTiming: boolean;
}

/** A file that the decoder opened, as the judge sees it. */
export interface SeenFile {
  /** From 1, by opening. */
  readonly number: number;
  readonly meta: FileMeta;
  readonly bytes: Buffer;
  readonly how: 'ended' | AbortReason;
}

/** One way of running a session. */
export interface Plan {
  readonly mode: Mode;
  /** `late`: as late as the script allows; `never`: the connection dies first. */
  readonly verdicts: 'at once' | 'late' | 'random' | 'never';
  /** Chunks of this many bytes; undefined: as long as they can be. */
  readonly size?: number;
  /** One more cut before this byte, counted over all streams in the order of the script. */
  readonly cut?: number;
  /** Interleave at random. */
  readonly seed?: number;
}

export function planName(plan: Plan): string {
  const cut = plan.cut === undefined ? '' : `, cut before byte ${plan.cut}`;
  const size = plan.size === undefined ? 'whole' : `chunks of ${plan.size}`;
  return `${plan.mode}, ${plan.seed === undefined ? `${size}${cut}` : `interleaved with seed ${plan.seed}`}, verdicts ${plan.verdicts}`;
}

/** What came of one run. `problems` is empty, or something is wrong with the decoder or the engine. */
export interface Outcome {
  readonly trace: string;
  readonly problems: readonly string[];
  readonly files: readonly SeenFile[];
  /** What went to the client and to the server of the first flow. */
  readonly written: readonly [Buffer, Buffer];
}

/** Run a session once. */
export function runSession(session: SessionCase, plan: Plan): Outcome {
  return new Run(session, plan).go();
}

/** Run a session in every way, and give its trace for each mode. A run that differs, or leaks, is an Error that names the run. */
export function everySplit(session: SessionCase): ReadonlyMap<Mode, string> {
  const traces = new Map<Mode, string>();
  for (const plan of plansFor(session)) {
    const { trace, problems } = runSession(session, plan);
    if (problems.length > 0) throw new Error(`${planName(plan)}: ${problems.slice(0, 5).join('\n')}\n${trace}`);
    if (plan.verdicts === 'never' || (session.verdictTiming && plan.verdicts !== 'late')) continue;
    const first = traces.get(plan.mode);
    if (first === undefined) traces.set(plan.mode, trace);
    else if (trace !== first) throw new Error(`${planName(plan)}: the trace differs\n${difference(first, trace)}`);
  }
  return traces;
}

/** More than this many runs of a kind say nothing new; which ones are left out is the same every time. */
const MOST_SIZES = 40;
const MOST_CUTS = 400;
const SEEDS = 24;
/** A run of single bytes over more than this is too slow to be worth its while. */
const LONG = 20_000;

export function* plansFor(session: SessionCase): Generator<Plan> {
  const total = session.script.reduce((sum, step) => sum + step.bytes.length, 0);
  const random = new SeededRandom(total);
  for (const mode of session.modes) {
    yield { mode, verdicts: 'at once' };
    yield { mode, verdicts: 'late' };
    if (mode === 'live') yield { mode, verdicts: 'never' };
    if (session.splits === 'whole') continue;
    const smallest = total > LONG ? Math.ceil(total / LONG) * 61 : 1;
    for (let size = smallest, count = 0; size < total && count < MOST_SIZES; size += Math.ceil(size / 16), count++) {
      yield { mode, size, verdicts: 'at once' };
      if (count % 4 === 0) yield { mode, size, verdicts: 'late' };
    }
    for (const cut of cutsFor(session.script, total, random))
      yield { mode, cut, verdicts: cut % 2 === 0 ? 'at once' : 'late' };
    if (!session.interleave) continue;
    for (let seed = 1; seed <= SEEDS; seed++) yield { mode, seed, verdicts: 'random' };
  }
}

/** Every byte, or, of a long session, those about the ends of what each side says and a sample of the others. */
function cutsFor(script: readonly Step[], total: number, random: SeededRandom): readonly number[] {
  if (total <= MOST_CUTS) return Array.from({ length: Math.max(0, total - 1) }, (_, at) => at + 1);
  const cuts = new Set<number>();
  const spread = Math.max(0, Math.min(3, Math.floor(MOST_CUTS / 2 / Math.max(1, script.length))));
  let at = 0;
  for (const step of script) {
    at += step.bytes.length;
    for (let near = at - spread; near <= at + spread && cuts.size < MOST_CUTS; near++)
      if (near > 0 && near < total) cuts.add(near);
  }
  for (let tries = 0; tries < MOST_CUTS && cuts.size < MOST_CUTS; tries++) cuts.add(1 + random.below(total - 1));
  return [...cuts].sort((a, b) => a - b);
}

/** A connection of the session. */
interface RunningFlow {
  readonly number: number;
  readonly engine: FlowEngine;
  readonly recorder: Recorder;
}

interface Pending {
  readonly file: SeenFile;
  readonly verdict: Verdict;
  readonly judged: (verdict: Verdict) => void;
}

class Run {
  readonly #session: SessionCase;
  readonly #plan: Plan;
  readonly #random: SeededRandom;
  readonly #clock = new FakeClock(1_000);
  readonly #flows: (RunningFlow | undefined)[] = [];
  /** Step indexes of each stream still to come, and how much of its first one was sent. */
  readonly #queues: number[][] = [];
  readonly #sent: number[] = [];
  readonly #done: boolean[];
  #pending: Pending[] = [];
  /** Done when the engine has returned: what a driver does in its own time. */
  #later: (() => void)[] = [];
  readonly #files: { seen: SeenFile; line: string; flow: number }[] = [];
  readonly #problems: string[] = [];
  #delivered = 0;

  constructor(session: SessionCase, plan: Plan) {
    this.#session = session;
    this.#plan = plan;
    this.#random = new SeededRandom(plan.seed ?? 0);
    this.#done = session.script.map(() => false);
    session.script.forEach((step, index) => {
      while (this.#queues.length <= step.stream) {
        this.#queues.push([]);
        this.#sent.push(0);
      }
      this.#queues[step.stream]?.push(index);
    });
  }

  go(): Outcome {
    this.#open(0, this.#session.decoders());
    for (;;) {
      const stream = this.#next();
      if (stream === undefined) break;
      this.#move(stream);
    }
    if (this.#done.includes(false)) this.#problems.push(`the session stuck at step ${this.#done.indexOf(false) + 1}`);
    if (this.#plan.verdicts !== 'never') this.#answerAll();
    for (const flow of this.#flows) {
      flow?.engine.close();
      this.#settle('at the end');
    }
    for (const flow of this.#flows) {
      if (flow === undefined) continue;
      if (this.#plan.mode === 'live') flow.recorder.checkBytes();
      this.#problems.push(...flow.recorder.problems);
    }
    const first = this.#flows[0]?.recorder;
    return {
      trace: this.#trace(),
      problems: this.#problems,
      files: this.#files.map((file) => file.seen),
      written: [Buffer.concat(first?.written[0] ?? []), Buffer.concat(first?.written[1] ?? [])],
    };
  }

  #trace(): string {
    const sections: string[] = [];
    for (const flow of this.#flows) {
      if (flow === undefined) continue;
      const files = this.#files.filter((file) => file.flow === flow.number).map((file) => file.line);
      const text = [
        flow.number > 0 ? `flow ${flow.number}` : '',
        files.length > 0 ? ['files', ...files].join('\n') : '',
        flow.recorder.text(),
      ];
      sections.push(text.filter((part) => part !== '').join('\n'));
    }
    return sections.join('\n');
  }

  /** The stream that moves next; undefined when none can. */
  #next(): number | undefined {
    const ready: number[] = [];
    let first: number | undefined;
    for (const [stream, queue] of this.#queues.entries()) {
      const index = queue[0];
      if (index === undefined || !this.#may(index)) continue;
      ready.push(stream);
      if (first === undefined || index < (this.#queues[first]?.[0] ?? 0)) first = stream;
    }
    return this.#plan.seed !== undefined && ready.length > 0 ? this.#random.pick(ready) : first;
  }

  #may(index: number): boolean {
    const step = this.#session.script[index];
    if (step === undefined) return false;
    for (let before = 0; before < index; before++) {
      if (this.#done[before] === true) continue;
      if (before < step.after) return false;
      if (before < step.afterClients && sideOf(this.#session.script[before]?.stream ?? 0) === 0) return false;
    }
    return true;
  }

  /** Let a stream send its next chunk. */
  #move(stream: number): void {
    const queue = this.#queues[stream] ?? [];
    const step = this.#session.script[queue[0] ?? -1];
    if (step === undefined) return;
    if (step.afterVerdicts && this.#plan.mode === 'live' && this.#plan.verdicts !== 'never' && this.#sent[stream] === 0)
      this.#answerAll();
    const flow = this.#flows[flowOf(stream)];
    const side = sideOf(stream);
    if (step.kind === 'bytes') {
      const chunk = this.#chunk(stream);
      if (flow === undefined) this.#problems.push(`flow ${flowOf(stream)} was never announced`);
      else {
        flow.recorder.feed(side, chunk);
        flow.engine.receive(side, chunk);
        chunk.fill(0x58);
      }
    } else {
      this.#finish(stream);
      if (step.kind === 'wait') this.#clock.advance(step.length);
      else if (step.kind === 'fin') flow?.engine.receiveEnd(side);
      else {
        flow?.recorder.feedGap(side, step.length);
        flow?.engine.receiveGap(side, step.length);
      }
    }
    this.#settle(`after byte ${this.#delivered}, from the ${sideName(side)}`);
    if (this.#plan.verdicts === 'random') {
      while (this.#pending.length > 0 && this.#random.once(3)) this.#answer(this.#random.below(this.#pending.length));
    }
  }

  /** Bytes of a stream: as many following steps as may be sent by now, up to the plan's chunk size. */
  #chunk(stream: number): Buffer {
    const parts: Buffer[] = [];
    let room = this.#room();
    const queue = this.#queues[stream] ?? [];
    for (let index = queue[0]; index !== undefined && room > 0; index = queue[0]) {
      const step = this.#session.script[index];
      if (
        step?.kind !== 'bytes' ||
        (parts.length > 0 &&
          (!this.#may(index) || !this.#inTurn(index) || (step.afterVerdicts && this.#pending.length > 0)))
      )
        break;
      const from = this.#sent[stream] ?? 0;
      const part = step.bytes.subarray(from, from + room);
      parts.push(part);
      room -= part.length;
      this.#delivered += part.length;
      if (from + part.length === step.bytes.length) this.#finish(stream);
      else this.#sent[stream] = from + part.length;
    }
    return Buffer.concat(parts);
  }

  /** Where the order of the directions matters, a chunk does not run ahead of the other side's lines above it. */
  #inTurn(index: number): boolean {
    return this.#session.interleave || !this.#done.slice(0, index).includes(false);
  }

  #room(): number {
    const { seed, size, cut } = this.#plan;
    if (seed !== undefined) return 1 + this.#random.below(this.#random.pick([1, 4, 40, 400, 40_000]));
    if (size !== undefined) return size;
    return cut !== undefined && cut > this.#delivered ? cut - this.#delivered : Number.MAX_SAFE_INTEGER;
  }

  #finish(stream: number): void {
    const index = this.#queues[stream]?.shift();
    this.#sent[stream] = 0;
    if (index !== undefined) this.#done[index] = true;
  }

  /** What the driver does once the engine has returned; then the output is checked. */
  #settle(at: string): void {
    for (let next = this.#later.shift(); next !== undefined; next = this.#later.shift()) next();
    if (this.#plan.mode === 'live') for (const flow of this.#flows) flow?.recorder.check(at);
  }

  #answerAll(): void {
    while (this.#pending.length > 0) this.#answer(0);
  }

  #answer(index: number): void {
    const [pending] = this.#pending.splice(index, 1);
    pending?.judged(pending.verdict);
    this.#settle(`after the verdict of file ${pending?.file.number ?? 0}`);
  }

  #open(number: number, decode: (flow: Flow) => Decoder): void {
    const recorder = new Recorder();
    let alarm: (() => void) | undefined;
    const engine: FlowEngine = new FlowEngine({
      id: number + 1,
      limits: this.#session.limits,
      decode: (flow) => recorder.decode(flow, decode),
      output:
        this.#plan.mode === 'passive'
          ? undefined
          : {
              write: (toward: Side, bytes: Buffer) => recorder.wrote(toward, bytes),
              finish: () => {},
              reset: (reason: string, only: Side | undefined) => recorder.ended(reason, only),
              layer: () => this.#later.push(() => engine.layerReady()),
              pause: () => {},
            },
      services: {
        openFile: (meta, judged) => this.#openFile(number, meta, judged),
        fileEnding: () => {},
        expect: (related, ready) => this.#expect(related, ready),
        wakeAt: (ms) => {
          alarm?.();
          alarm = this.#clock.at(ms, (now) => engine.wake(now));
        },
        anomaly: (code, side, offset) => recorder.anomalies.push({ side, offset, code }),
        bypassed: (reason) => recorder.bypass(reason),
        failed: (error) =>
          this.#problems.push(
            `the flow failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
          ),
        // A layer that changes nothing: the script has the plain text of both layers.
        openLayer: (_kind, inner) => ({ ...inner, position: () => 0 }),
        adopted: () => {},
      },
    });
    engine.maxUntaken = this.#session.maxUntaken;
    this.#flows[number] = { number, engine, recorder };
  }

  /** Pinholes are numbered; a related flow exists from the moment when it is announced. */
  #expect(related: Related, ready: (at: { address: string; port: number } | undefined) => void): void {
    const number = this.#flows.length;
    this.#open(number, (flow) => related.decode(flow));
    const at = this.#plan.mode === 'passive' ? related.target : { address: '192.0.2.99', port: 40_000 + number };
    if (this.#plan.verdicts === 'at once') ready(at);
    else this.#later.push(() => ready(at));
  }

  #openFile(flow: number, meta: FileMeta, judged: (verdict: Verdict) => void): FileStream {
    const number = this.#files.length + 1;
    const file = new CollectedFile(number, (how) => {
      const seen: SeenFile = { number, meta, bytes: file.content(), how };
      const verdict = this.#session.judge(seen);
      const entry = this.#files[number - 1];
      if (entry !== undefined) {
        entry.seen = seen;
        entry.line = fileText(seen, file.holes, verdict);
      }
      if (this.#plan.verdicts === 'at once') judged(verdict);
      else this.#pending.push({ file: seen, verdict, judged });
    });
    const open: SeenFile = { number, meta, bytes: Buffer.alloc(0), how: 'reset' };
    this.#files.push({ seen: open, line: `  ${number} never ended`, flow });
    return file;
  }
}

/** A place in a file beyond which bytes are noted and not kept: a damaged message may name any. */
const FARTHEST = 64 * 1024 * 1024;

/** A file's bytes as the decoder writes them. */
class CollectedFile implements FileStream {
  readonly id: number;
  readonly holes: string[] = [];
  readonly #over: (how: 'ended' | AbortReason) => void;
  readonly #parts: Buffer[] = [];
  #placed = Buffer.alloc(0);
  #length = 0;

  constructor(id: number, over: (how: 'ended' | AbortReason) => void) {
    this.id = id;
    this.#over = over;
  }

  content(): Buffer {
    return this.#placed.length > 0 ? this.#placed : Buffer.concat(this.#parts);
  }
  write(chunk: Buffer, start: number, end: number): void {
    this.#parts.push(Buffer.from(chunk.subarray(start, end)));
    this.#length += end - start;
  }
  writeAt(at: number, chunk: Buffer, start: number, end: number): void {
    if (at + end - start > FARTHEST) {
      this.holes.push(`far at ${at}`);
      return;
    }
    const room = Buffer.alloc(Math.max(this.#placed.length, at + end - start));
    this.#placed.copy(room);
    chunk.copy(room, at, start, end);
    this.#placed = room;
  }
  gap(length: number): void {
    this.holes.push(`gap ${length} at ${this.#length}`);
  }
  malformed(code: string): void {
    this.holes.push(code);
  }
  end(): void {
    this.#over('ended');
  }
  abort(reason: AbortReason): void {
    this.#over(reason);
  }
}

function fileText(file: SeenFile, holes: readonly string[], verdict: Verdict): string {
  const { meta, bytes } = file;
  const words = [`  ${file.number} ${meta.direction}`];
  if (meta.name !== undefined) words.push(JSON.stringify(meta.name));
  if (meta.declaredType !== undefined) words.push(meta.declaredType);
  if (meta.declaredSize !== undefined) words.push(`declared ${meta.declaredSize}`);
  if (meta.path !== undefined) words.push(`in ${JSON.stringify(meta.path)}`);
  if (meta.mail?.login !== undefined) words.push(`login ${JSON.stringify(meta.mail.login)}`);
  if (meta.mail?.sender !== undefined) words.push(`sender ${JSON.stringify(meta.mail.sender)}`);
  if (meta.mail?.recipients !== undefined) words.push(`recipients ${JSON.stringify(meta.mail.recipients)}`);
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return [...words, `${bytes.length} bytes ${hash}`, ...holes, file.how, verdict.action].join(' ');
}

function difference(wanted: string, got: string): string {
  const before = wanted.split('\n');
  const after = got.split('\n');
  let from = 0;
  while (from < before.length && before[from] === after[from]) from++;
  return [
    ...before.slice(from, from + 6).map((line) => `- ${line}`),
    ...after.slice(from, from + 6).map((line) => `+ ${line}`),
  ].join('\n');
}
