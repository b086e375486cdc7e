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
  #edits: Exchange[] = [];

  constructor(line: Line, way: Way) {
    this.line = line;
    this.way = way;
  }

  release(): void {
    if (this.settled) return this.line.owner.misuse('unit settled twice');
    if (this.guards > 0) return this.line.owner.misuse('unit released before the verdict of its file');
    if (this.refused) return this.line.owner.misuse('unit released although its file is blocked');
    this.#settle(this.#edits.length > 0 ? exchanged(this.spans, this.#edits) : this.spans);
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

  /** Bytes at its end; they are kept. */
  add(bytes: Buffer): void {
    if (this.settled) return this.line.owner.misuse('bytes for a unit that is settled');
    this.length += bytes.length;
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
        if (!head.settled && head.way !== 'through') break;
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
    for (const entry of this.#queue) {
      if (entry instanceof OutUnit) {
        entry.settled = true;
        entry.spans = [];
      }
    }
    this.#queue = [];
  }
}

function size(spans: readonly Buffer[]): number {
  let sum = 0;
  for (const span of spans) sum += span.length;
  return sum;
}

/** `spans` with the stretches of `edits` exchanged; edits are ascending and do not overlap. */
function exchanged(spans: Buffer[], edits: Exchange[]): Buffer[] {
  const whole = Buffer.concat(spans);
  const out: Buffer[] = [];
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    out.push(whole.subarray(at, edit.start), edit.instead);
    at = edit.end;
  }
  out.push(whole.subarray(at));
  return out;
}
