/**
 * Stands between a decoder and its flow, notes what the decoder does, and works out from that alone what each peer must have got so
 * far: a second, slow and plain account of the output, against which the engine is checked after every event. The account is also the
 * leak check: it holds back all from a held unit on until that unit is settled, and calls it a mistake when a unit is released before
 * the verdict of a file that guards it.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { FileId, FileMeta, FileStream, Verdict } from '../core/file.js';
import type { BypassReason, Decoder, Flow, LayerKind, Related, Side, Unit, Way } from '../core/flow.js';
import { CLIENT, opposite, SERVER } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import type { Endpoint } from '../core/session.js';

/** Bytes of the other side's stream, by offset, or bytes of the decoder's own. */
type Piece = { readonly from: number; to: number; bytes: Buffer[] } | { readonly own: Buffer };

type Entry =
  | { readonly kind: 'pieces'; readonly pieces: Piece[] }
  | { readonly kind: 'mark'; readonly mark: string }
  | { readonly kind: 'unit'; readonly unit: RecordedUnit };

/** What a decoder put in one of its lines of output, in order. */
class RecordedLine {
  readonly entries: Entry[] = [];
  /** Bytes of the other side that go nowhere: dropped by the decoder, or untaken in front of a gap. */
  readonly nowhere: { readonly kind: 'drop' | 'lost'; readonly from: number; to: number }[] = [];
  /** Bytes that must have gone by now. */
  due = 0;
  units = 0;
  /** The entry that is being counted, and how much of it was. */
  #entry = 0;
  #counted = 0;

  take(kind: 'pass' | 'drop' | 'lost', from: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (kind === 'pass') {
      addPiece(this.#plain(), from, bytes);
      return;
    }
    const last = this.nowhere.at(-1);
    if (last?.kind === kind && last.to === from) last.to += bytes.length;
    else this.nowhere.push({ kind, from, to: from + bytes.length });
  }

  send(bytes: Buffer): void {
    this.#plain().push({ own: Buffer.from(bytes) });
  }

  #plain(): Piece[] {
    const last = this.entries.at(-1);
    if (last?.kind === 'pieces') return last.pieces;
    const pieces: Piece[] = [];
    this.entries.push({ kind: 'pieces', pieces });
    return pieces;
  }

  /** Count what may have gone by now. */
  advance(): void {
    for (;;) {
      const entry = this.entries[this.#entry];
      if (entry === undefined) return;
      if (entry.kind === 'pieces' || entry.kind === 'unit') {
        const settled = entry.kind === 'pieces' || entry.unit.settled !== undefined;
        if (entry.kind === 'unit' && !settled && entry.unit.way === 'held') return;
        const length = entry.kind === 'pieces' ? lengthOf(entry.pieces) : entry.unit.outLength();
        this.due += length - this.#counted;
        this.#counted = length;
        // A later pass may still add to the last stretch.
        if (!settled || (entry.kind === 'pieces' && this.#entry === this.entries.length - 1)) return;
      }
      this.#entry++;
      this.#counted = 0;
    }
  }

  /** The bytes that were counted. */
  out(): Buffer {
    const parts: Buffer[] = [];
    for (const entry of this.entries.slice(0, this.#entry + 1)) {
      if (entry.kind === 'pieces') parts.push(flatten(entry.pieces));
      else if (entry.kind === 'unit') parts.push(entry.unit.content());
    }
    return Buffer.concat(parts).subarray(0, this.due);
  }
}

/** A unit that also remembers what was put in it and how it was settled. */
class RecordedUnit implements Unit {
  readonly real: Unit;
  readonly way: Way;
  readonly number: number;
  readonly pieces: Piece[] = [];
  settled: 'released' | 'replaced' | undefined;
  instead: Buffer = Buffer.alloc(0);
  readonly edits: { readonly start: number; readonly end: number; readonly instead: Buffer }[] = [];
  readonly guards: FileId[] = [];
  readonly #line: RecordedLine;
  readonly #recorder: Recorder;

  constructor(real: Unit, way: Way, line: RecordedLine, recorder: Recorder) {
    this.real = real;
    this.way = way;
    this.#line = line;
    this.#recorder = recorder;
    this.number = ++line.units;
    if (way !== 'aside') line.entries.push({ kind: 'unit', unit: this });
  }

  get length(): number {
    return this.real.length;
  }

  release(): void {
    for (const file of this.guards)
      if (!this.#recorder.judged.has(file))
        this.#recorder.problems.push(`unit released before the verdict of file ${file}`);
    this.#settle('released');
    this.real.release();
  }

  replace(instead?: Buffer): void {
    this.instead = instead === undefined ? Buffer.alloc(0) : Buffer.from(instead);
    this.#settle('replaced');
    this.real.replace(instead);
  }

  edit(start: number, end: number, instead: Buffer): void {
    this.edits.push({ start, end, instead: Buffer.from(instead) });
    this.real.edit(start, end, instead);
  }

  outLength(): number {
    return this.settled === undefined || this.edits.length === 0
      ? this.settled === 'replaced'
        ? this.instead.length
        : lengthOf(this.pieces)
      : this.content().length;
  }

  content(): Buffer {
    if (this.settled === 'replaced') return this.instead;
    const whole = flatten(this.pieces);
    if (this.settled === undefined || this.edits.length === 0) return whole;
    const parts: Buffer[] = [];
    let at = 0;
    for (const edit of this.edits.toSorted((a, b) => a.start - b.start)) {
      parts.push(whole.subarray(at, edit.start), edit.instead);
      at = edit.end;
    }
    return Buffer.concat([...parts, whole.subarray(at)]);
  }

  #settle(how: 'released' | 'replaced'): void {
    if (this.settled !== undefined) this.#recorder.problems.push(`unit ${this.number} settled twice`);
    this.settled = how;
    if (this.way === 'aside') this.#line.entries.push({ kind: 'unit', unit: this });
  }
}

/** The account of one flow. */
export class Recorder {
  /** Toward the client, toward the server. */
  readonly lines: readonly [RecordedLine, RecordedLine] = [new RecordedLine(), new RecordedLine()];
  /** What the engine wrote. */
  readonly written: readonly [Buffer[], Buffer[]] = [[], []];
  readonly got: [number, number] = [0, 0];
  readonly judged = new Set<FileId>();
  readonly problems: string[] = [];
  readonly anomalies: { readonly side: Side; readonly offset: number; readonly code: string }[] = [];
  ending: string | undefined;
  /** Everything fed and not yet disposed of, by side; only what a bypass passes on is taken from here. */
  readonly #fed: [Buffer[], Buffer[]] = [[], []];
  readonly #fedLength: [number, number] = [0, 0];
  /** Offset of the side's first untaken byte, missing bytes included. */
  readonly #taken: [number, number] = [0, 0];
  readonly #gaps: [number[], number[]] = [[], []];
  readonly #dead: [boolean, boolean] = [false, false];
  #bypassed = false;
  readonly #streams = new Map<FileId, RecordedUnit>();
  readonly #trickling = new Set<RecordedUnit>();

  /** The decoder of a flow, with this account in between. */
  decode(flow: Flow, make: (flow: Flow) => Decoder): Decoder {
    const view = new RecordedFlow(flow, this);
    return new RecordedDecoder(make(view), view, this);
  }

  /** Bytes or a gap are about to be given to the engine. */
  feed(side: Side, chunk: Buffer): void {
    this.#fed[side].push(Buffer.from(chunk));
    this.#fedLength[side] += chunk.length;
  }
  feedGap(side: Side, length: number): void {
    this.#gaps[side].push(this.#fedLength[side] + length);
    this.#fed[side].push(Buffer.alloc(length, '?'));
    this.#fedLength[side] += length;
  }

  // What the engine put out.

  wrote(toward: Side, bytes: Buffer): void {
    this.written[toward].push(Buffer.from(bytes));
    this.got[toward] += bytes.length;
  }
  ended(reason: string, only: Side | undefined): void {
    this.ending = `reset ${only === undefined ? '' : `${sideName(only)} only: `}${reason}`;
    for (const side of [CLIENT, SERVER] as const) if (only === undefined || only === side) this.#die(side);
  }

  /** Nothing more goes to this side; what might have gone until now may have. */
  #die(side: Side): void {
    if (!this.#dead[side]) this.lines[side].advance();
    this.#dead[side] = true;
  }

  /** Compare the engine's output with the account; `at` says when, for the message. */
  check(at: string): void {
    if (this.#bypassed) this.#passRest();
    for (const toward of [CLIENT, SERVER] as const) {
      const line = this.lines[toward];
      if (this.#dead[toward]) continue;
      line.advance();
      const trickles = this.#trickling.size > 0 && this.got[toward] >= line.due;
      if (this.got[toward] !== line.due && !trickles)
        this.problems.push(
          `${at}: ${this.got[toward]} bytes went to the ${sideName(toward)}, ${line.due} might have: ${shown(Buffer.concat(this.written[toward]).subarray(-80))}`,
        );
    }
  }

  /** Compare the bytes too, once, at the end. */
  checkBytes(): void {
    for (const toward of [CLIENT, SERVER] as const) {
      const wanted = this.lines[toward].out();
      const got = Buffer.concat(this.written[toward]);
      const compared = this.#dead[toward] ? wanted.subarray(0, got.length) : wanted;
      if (!compared.equals(got))
        this.problems.push(`the ${sideName(toward)} got ${shown(got)} instead of ${shown(wanted)}`);
    }
  }

  // What the decoder does.

  taken(side: Side, kind: 'pass' | 'drop', bytes: Buffer, into: RecordedUnit | undefined): void {
    const from = this.#taken[side];
    this.#taken[side] += bytes.length;
    if (into === undefined) this.lines[opposite(side)].take(kind, from, bytes);
    else addPiece(into.pieces, from, bytes);
  }
  gap(side: Side): void {
    const to = this.#gaps[side].shift() ?? this.#fedLength[side];
    this.lines[opposite(side)].take('lost', this.#taken[side], Buffer.alloc(to - this.#taken[side]));
    this.#taken[side] = to;
  }
  unit(real: Unit, toward: Side, way: Way): RecordedUnit {
    return new RecordedUnit(real, way, this.lines[toward], this);
  }
  guard(file: FileId, meta: FileMeta, unit: RecordedUnit): void {
    unit.guards.push(file);
    this.#streams.set(file, unit);
    if (meta.mayTrickle === true) this.#trickling.add(unit);
  }
  bypass(reason: BypassReason): void {
    this.#bypassed = true;
    this.ending = `bypass ${reason}`;
  }
  guardOf(file: FileId): RecordedUnit | undefined {
    return this.#streams.get(file);
  }

  #passRest(): void {
    for (const side of [CLIENT, SERVER] as const) {
      const fed = Buffer.concat(this.#fed[side]);
      this.#fed[side].splice(0, this.#fed[side].length, fed);
      this.lines[opposite(side)].take('pass', this.#taken[side], fed.subarray(this.#taken[side]));
      this.#taken[side] = fed.length;
    }
  }

  /** The account as text: the same whatever pieces the bytes came in. */
  text(): string {
    const lines: string[] = [];
    for (const toward of [SERVER, CLIENT] as const) {
      const { entries: made, nowhere } = this.lines[toward];
      const entries = [...made.flatMap(entryText), ...nowhere.map((one) => `  ${one.kind} ${one.from}-${one.to}`)];
      if (entries.length > 0) lines.push(`toward the ${sideName(toward)}`, ...entries);
    }
    const noted = this.anomalies.toSorted(
      (a, b) => a.side - b.side || a.offset - b.offset || (a.code < b.code ? -1 : 1),
    );
    if (noted.length > 0)
      lines.push('anomalies', ...noted.map((one) => `  ${one.code} of the ${sideName(one.side)} at ${one.offset}`));
    if (this.ending !== undefined) lines.push(this.ending);
    return lines.join('\n');
  }
}

/** The flow as the decoder sees it. */
class RecordedFlow implements Flow {
  readonly id: number;
  readonly passive: boolean;
  readonly limits: Limits;
  /** The chunk being pushed, and how much of it was taken. */
  chunk: Buffer = Buffer.alloc(0);
  side: Side = CLIENT;
  at = 0;
  readonly #real: Flow;
  readonly #recorder: Recorder;

  constructor(real: Flow, recorder: Recorder) {
    this.id = real.id;
    this.passive = real.passive;
    this.limits = real.limits;
    this.#real = real;
    this.#recorder = recorder;
  }

  pass(end: number, into?: Unit): void {
    this.#recorder.taken(this.side, 'pass', this.chunk.subarray(this.at, end), recorded(into));
    this.at = end;
    this.#real.pass(end, recorded(into)?.real);
  }
  drop(end: number): void {
    this.#recorder.taken(this.side, 'drop', this.chunk.subarray(this.at, end), undefined);
    this.at = end;
    this.#real.drop(end);
  }
  stop(side: Side): void {
    this.#real.stop(side);
  }
  resume(side: Side): void {
    this.#real.resume(side);
  }
  layer(kind: LayerKind): void {
    for (const line of this.#recorder.lines) line.entries.push({ kind: 'mark', mark: `layer ${kind}` });
    this.#real.layer(kind);
  }
  send(toward: Side, bytes: Buffer, into?: Unit): void {
    const unit = recorded(into);
    if (unit === undefined) this.#recorder.lines[toward].send(bytes);
    else unit.pieces.push({ own: Buffer.from(bytes) });
    this.#real.send(toward, bytes, unit?.real);
  }
  unit(toward: Side, way: Way): Unit {
    return this.#recorder.unit(this.#real.unit(toward, way), toward, way);
  }
  finish(toward: Side): void {
    this.#recorder.lines[toward].entries.push({ kind: 'mark', mark: 'fin' });
    this.#real.finish(toward);
  }
  reset(reason: string, only?: Side): void {
    // A recording's flow tells nobody: noted here, so that live and passive traces agree.
    this.#recorder.ended(reason, only);
    this.#real.reset(reason, only);
  }
  bypass(reason: BypassReason): void {
    this.#recorder.bypass(reason);
    this.#real.bypass(reason);
  }
  expect(related: Related, ready: (at: Endpoint | undefined) => void): void {
    this.#real.expect(related, ready);
  }
  adopt(file: FileStream): void {
    this.#real.adopt(file);
  }
  unread(reason: BypassReason): void {
    this.#real.unread(reason);
  }
  openFile(meta: FileMeta, guards?: Unit): FileStream {
    const stream = this.#real.openFile(meta, recorded(guards)?.real);
    const unit = recorded(guards);
    if (unit !== undefined) this.#recorder.guard(stream.id, meta, unit);
    return stream;
  }
  anomaly(code: string, side: Side): void {
    this.#real.anomaly(code, side);
  }
  wakeAt(ms: number): void {
    this.#real.wakeAt(ms);
  }
}

class RecordedDecoder implements Decoder {
  readonly #real: Decoder;
  readonly #view: RecordedFlow;
  readonly #recorder: Recorder;

  constructor(real: Decoder, view: RecordedFlow, recorder: Recorder) {
    this.#real = real;
    this.#view = view;
    this.#recorder = recorder;
  }

  push(side: Side, chunk: Buffer): void {
    this.#view.side = side;
    this.#view.chunk = chunk;
    this.#view.at = 0;
    this.#real.push(side, chunk);
  }
  end(side: Side): void {
    this.#real.end(side);
  }
  gap(side: Side, length: number): void {
    this.#recorder.gap(side);
    this.#real.gap(side, length);
  }
  verdict(file: FileId, verdict: Verdict): void {
    this.#recorder.judged.add(file);
    this.#real.verdict(file, verdict);
  }
  unanswered(side: Side): void {
    this.#real.unanswered(side);
  }
  cut(): void {
    this.#real.cut?.();
  }
  wake(now: number): void {
    this.#real.wake(now);
  }
}

function recorded(unit: Unit | undefined): RecordedUnit | undefined {
  return unit instanceof RecordedUnit ? unit : undefined;
}

function addPiece(pieces: Piece[], from: number, bytes: Buffer): void {
  const last = pieces.at(-1);
  const kept = Buffer.from(bytes);
  if (last !== undefined && 'from' in last && last.to === from) {
    last.bytes.push(kept);
    last.to += kept.length;
  } else pieces.push({ from, to: from + kept.length, bytes: [kept] });
}

function flatten(pieces: readonly Piece[]): Buffer {
  return Buffer.concat(pieces.flatMap((piece) => ('own' in piece ? [piece.own] : piece.bytes)));
}

function lengthOf(pieces: readonly Piece[]): number {
  let sum = 0;
  for (const piece of pieces) sum += 'own' in piece ? piece.own.length : piece.to - piece.from;
  return sum;
}

function entryText(entry: Entry): string[] {
  switch (entry.kind) {
    case 'pieces':
      return entry.pieces.map((piece) =>
        'own' in piece ? `  send ${shown(piece.own)}` : `  pass ${piece.from}-${piece.to}`,
      );
    case 'mark':
      return [`  ${entry.mark}`];
    case 'unit':
      return [unitText(entry.unit)];
  }
}

function unitText(unit: RecordedUnit): string {
  const parts = unit.pieces.map((piece) => ('own' in piece ? `send ${shown(piece.own)}` : `${piece.from}-${piece.to}`));
  const guards = unit.guards.length > 0 ? ` for file ${unit.guards.join(', ')}` : '';
  const edits = unit.edits.map((edit) => `, edit ${edit.start}-${edit.end} ${shown(edit.instead)}`).join('');
  const how = unit.settled === 'replaced' ? `replaced by ${shown(unit.instead)}` : (unit.settled ?? 'never settled');
  return `  ${unit.way} ${unit.number}${guards}: ${parts.join(' ')}${edits}, ${how}`;
}

export function sideName(side: Side): string {
  return side === CLIENT ? 'client' : 'server';
}

/** Bytes for a reader: quoted, and when they are many their first ones and a hash. */
export function shown(bytes: Buffer): string {
  if (bytes.length <= 160) return JSON.stringify(bytes.toString('latin1'));
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return `${JSON.stringify(bytes.toString('latin1', 0, 80))}… ${bytes.length} bytes ${hash}`;
}
