/**
 * Output. Each direction is one line: bytes, units, layer marks and FIN, in order. Held bytes lie in a unit that nobody released, so there
 * is no offset to pass by mistake. In a passive flow nothing goes anywhere: a unit counts and keeps its guard, a line is nothing at all.
 */
import { Buffer } from 'node:buffer';
import type { LayerKind, Side, Unit, Way } from '../core/flow.js';

/** What a line asks of its flow. */
export interface LineOwner {
  readonly passive: boolean;
  write(toward: Side, bytes: Buffer): void;
  finished(toward: Side): void;
  layerReached(toward: Side, kind: LayerKind): void;
  /** A unit's held bytes grew or shrank. */
  held(change: number): void;
  unitSettled(): void;
  /** Our bug: fail closed. */
  misuse(what: string): void;
  /** A unit was replaced after bytes of it had gone: the stream cannot be mended. */
  irreparable(): void;
}

interface Exchange {
  readonly start: number;
  readonly end: number;
  readonly instead: Buffer;
}

export class OutUnit implements Unit {
  readonly line: Line;
  readonly way: Way;
  length = 0;
  settled = false;
  /** Files that guard it and have no verdict yet. */
  guards = 0;
  /** A file that guards it was judged `block`: it may only be replaced. */
  refused = false;
  spans: Buffer[] = [];
  /** Bytes of it that have gone to the peer. */
  gone = 0;
  /** Its bytes go as they come. */
  opened = false;
  #discarding = false;
  #edits: Exchange[] = [];

  constructor(line: Line, way: Way) {
    this.line = line;
    this.way = way;
  }

  release(): void {
    if (this.settled) return this.line.owner.misuse('unit settled twice');
    if (this.guards > 0) return this.line.owner.misuse('unit released before the verdict of its file');
    if (this.refused) return this.line.owner.misuse('unit released although its file is blocked');
    this.#settle(this.#edits.length > 0 ? exchanged(this.spans, this.#edits, this.gone) : this.spans);
  }

  replace(instead?: Buffer): void {
    if (this.settled) return this.line.owner.misuse('unit settled twice');
    if (this.gone > 0) return this.line.owner.irreparable();
    this.#settle(instead === undefined ? [] : [instead]);
  }

  edit(start: number, end: number, instead: Buffer): void {
    if (this.settled) return this.line.owner.misuse('unit edited after it was settled');
    if (start < this.gone) return this.line.owner.irreparable();
    this.#edits.push({ start, end, instead });
  }

  /** What it guards may go though it has not ended: what it has goes, and what comes goes through. */
  open(): void {
    if (this.settled) return;
    this.opened = true;
    this.line.flush();
  }

  /** It will be replaced: what it has, and what comes, need not be kept. */
  discard(): void {
    if (this.settled) return;
    this.#discarding = true;
    this.line.owner.held(-size(this.spans));
    this.spans = [];
  }

  /** Lets up to `amount` bytes go, if it is its turn, but never the last `tail` that it has. */
  trickle(amount: number, tail: number): void {
    if (this.settled || this.opened || this.#edits.length > 0 || this.way !== 'held' || !this.line.isNext(this)) return;
    let left = Math.min(amount, size(this.spans) - tail);
    for (let span = this.spans[0]; left > 0 && span !== undefined; span = this.spans[0]) {
      const part = span.subarray(0, left);
      if (part.length === span.length) this.spans.shift();
      else this.spans[0] = span.subarray(part.length);
      left -= part.length;
      this.gone += part.length;
      this.line.owner.held(-part.length);
      this.line.owner.write(this.line.toward, part);
    }
  }

  /** Bytes at its end; they are kept. */
  add(bytes: Buffer): void {
    if (this.settled) return this.line.owner.misuse('bytes for a unit that is settled');
    this.length += bytes.length;
    if (this.#discarding) return;
    this.spans.push(bytes);
    this.line.owner.held(bytes.length);
    this.line.flush();
  }

  #settle(spans: Buffer[]): void {
    this.settled = true;
    this.line.owner.unitSettled();
    const before = size(this.spans);
    this.spans = spans;
    this.line.owner.held(size(spans) - before);
    if (this.way === 'aside') this.line.append(this);
    this.line.flush();
  }
}

interface Mark {
  readonly mark: LayerKind | 'fin';
}

export class Line {
  readonly owner: LineOwner;
  readonly toward: Side;
  /** What has not gone, in order. Empty nearly always: then bytes go straight through. */
  #queue: (OutUnit | Mark)[] = [];
  #flushing = false;

  constructor(owner: LineOwner, toward: Side) {
    this.owner = owner;
    this.toward = toward;
  }

  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** Is it first in the line? */
  isNext(unit: OutUnit): boolean {
    return this.#queue[0] === unit && !this.#flushing;
  }

  /** Bytes at the end of the line. `keep` gives a copy (or the bytes themselves) when they must wait. */
  put(bytes: Buffer, keep: (bytes: Buffer) => Buffer): void {
    if (this.#queue.length === 0 && !this.#flushing) {
      this.owner.write(this.toward, bytes);
      return;
    }
    let tail = this.#queue.at(-1);
    if (!(tail instanceof OutUnit) || tail.way !== 'through' || !tail.settled) {
      tail = new OutUnit(this, 'through');
      tail.settled = true;
      this.#queue.push(tail);
    }
    const kept = keep(bytes);
    tail.spans.push(kept);
    tail.length += kept.length;
    this.owner.held(kept.length);
  }

  append(entry: OutUnit | Mark): void {
    if (this.owner.passive) return;
    this.#queue.push(entry);
    this.flush();
  }

  /** Let go what may go. */
  flush(): void {
    if (this.#flushing || this.owner.passive) return;
    this.#flushing = true;
    let head = this.#queue[0];
    while (head !== undefined) {
      if (head instanceof OutUnit) {
        if (!head.settled && head.way !== 'through' && !head.opened) break;
        const spans = head.spans;
        head.spans = [];
        for (const span of spans) {
          head.gone += span.length;
          this.owner.held(-span.length);
          this.owner.write(this.toward, span);
        }
        if (!head.settled) break;
        this.#queue.shift();
      } else {
        this.#queue.shift();
        if (head.mark === 'fin') this.owner.finished(this.toward);
        else this.owner.layerReached(this.toward, head.mark);
      }
      head = this.#queue[0];
    }
    this.#flushing = false;
  }

  /** The flow died: what had not gone is dropped. */
  clear(): void {
    let dropped = 0;
    for (const entry of this.#queue) {
      if (entry instanceof OutUnit) {
        entry.settled = true;
        dropped += size(entry.spans);
        entry.spans = [];
      }
    }
    this.#queue = [];
    if (dropped > 0) this.owner.held(-dropped);
  }
}

function size(spans: readonly Buffer[]): number {
  let sum = 0;
  for (const span of spans) sum += span.length;
  return sum;
}

/** `spans`, in front of which `gone` bytes have gone, with the stretches of `edits` exchanged; edits do not overlap. */
function exchanged(spans: Buffer[], edits: Exchange[], gone: number): Buffer[] {
  const whole = Buffer.concat(spans);
  const out: Buffer[] = [];
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    out.push(whole.subarray(at, edit.start - gone), edit.instead);
    at = edit.end - gone;
  }
  out.push(whole.subarray(at));
  return out;
}
