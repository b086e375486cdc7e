/**
 * What comes where TLS was to begin. Most often TLS. A visibility appliance that decrypts in place leaves the verb and its go-ahead in the
 * recording and goes on in clear text, without any handshake. And somebody who injects commands puts clear text in front of a handshake.
 * The last two look alike until the other side has spoken: text that is answered in clear is the session itself, text that is
 * answered by TLS was injected, is noted, and is not fed to anybody.
 */
import { Buffer } from 'node:buffer';
import { CLIENT, opposite, SERVER, type Side } from '../core/flow.js';
import { beginsTls, isContentType } from '../core/tls-record.js';
import type { LayerInner, PassiveLayer } from '../flow/engine.js';

const NOTHING: Buffer = Buffer.alloc(0);
/** Type, version: what tells a record from text. */
const RECORD_HEAD = 3;
/** A line end and what of a record may stand behind it without showing that it is a handshake. */
const TAIL = 3;

export interface Undecided {
  /** Bytes of one side alone that wait for the other's before they are believed. */
  readonly patience: number;
  readonly inner: LayerInner;
  /** A handshake begins: its reader, given all that follows. */
  openTls(): PassiveLayer;
  /** Clear text of `side` stood in front of a handshake. */
  injected(side: Side): void;
  /** The session goes on in clear text, though TLS was agreed upon. */
  clear(): void;
}

export class TlsOrClear implements PassiveLayer {
  readonly #options: Undecided;
  #layer: PassiveLayer | undefined;
  /** Set while it goes on in clear text because one side said so much, and the other has not spoken: the end of that text. */
  #provisional: Buffer | undefined;
  /** What each side sent while it is not decided: `#second` came after the other's first bytes. */
  readonly #heads: [Buffer, Buffer] = [NOTHING, NOTHING];
  #first: Side = CLIENT;
  readonly #position: [number, number] = [0, 0];

  constructor(options: Undecided) {
    this.#options = options;
  }

  receive(side: Side, chunk: Buffer): void {
    if (this.#layer !== undefined) {
      if (this.#provisional === undefined || !this.#turnsToTls(side, chunk, this.#provisional))
        this.#layer.receive(side, chunk);
      return;
    }
    const other = opposite(side);
    if (this.#heads[side].length === 0 && this.#heads[other].length === 0) this.#first = side;
    this.#heads[side] = Buffer.concat([this.#heads[side], chunk]);
    this.#decide(false);
  }

  gap(side: Side, length: number): void {
    if (this.#layer === undefined) this.#decide(true);
    else if (this.#provisional !== undefined) this.#handOver(opposite(this.#first));
    this.#layer?.gap(side, length);
  }

  end(side: Side): void {
    if (this.#layer === undefined) this.#decide(true);
    else if (this.#provisional !== undefined) this.#handOver(opposite(this.#first));
    this.#layer?.end?.(side);
  }

  over(side: Side): boolean {
    return this.#layer?.over?.(side) === true;
  }

  position(side: Side): number {
    return this.#position[side] + (this.#layer?.position(side) ?? 0);
  }

  /** `now`: with what there is, since no more may come. */
  #decide(now: boolean): void {
    const { patience } = this.#options;
    const sides = [CLIENT, SERVER] as const;
    const spoken = sides.filter((side) => this.#heads[side].length > 0);
    const short = spoken.some(
      (side) => this.#heads[side].length < RECORD_HEAD && isContentType(this.#heads[side][0] ?? 0),
    );
    if (spoken.length === 0 || (short && !now)) return;
    if (spoken.some((side) => isRecord(this.#heads[side]))) this.#begin();
    else if (now || spoken.length === 2 || this.#heads[this.#first].length > patience) {
      const { length } = spoken;
      if (!now && length < 2) this.#provisional = Buffer.from(this.#heads[this.#first].subarray(-TAIL));
      this.#goOnInClear();
    }
  }

  /** It was clear text of one side so far. A handshake, of either, makes it text in front of one. */
  #turnsToTls(side: Side, chunk: Buffer, tail: Buffer): boolean {
    if (side !== this.#first) {
      const head = Buffer.concat([this.#heads[side], chunk]);
      this.#heads[side] = head;
      if (head.length < RECORD_HEAD && isContentType(head[0] ?? 0)) return true;
      if (isRecord(head)) this.#turn(0);
      this.#handOver(side);
      return true;
    }
    const joined = Buffer.concat([tail, chunk]);
    const at = recordIn(joined);
    if (at === joined.length) {
      this.#provisional = Buffer.from(joined.subarray(-TAIL));
      return false;
    }
    if (at > tail.length) this.#layer!.receive(side, joined.subarray(tail.length, at));
    this.#turn(Math.max(0, tail.length - at));
    this.#layer!.receive(side, joined.subarray(at));
    return true;
  }

  /** The other side has spoken: what it said goes where all goes from now on. */
  #handOver(side: Side): void {
    const head = this.#heads[side];
    this.#provisional = undefined;
    this.#heads[side] = NOTHING;
    if (head.length > 0) this.#layer!.receive(side, head);
  }

  /** TLS begins, `back` bytes of the first side ago. */
  #turn(back: number): void {
    const first = this.#first;
    this.#provisional = undefined;
    this.#options.injected(first);
    this.#position[first] = this.#layer!.position(first) - back;
    this.#layer = this.#options.openTls();
  }

  #begin(): void {
    this.#layer = this.#options.openTls();
    for (const side of [this.#first, opposite(this.#first)]) {
      const head = this.#heads[side];
      const from = recordIn(head);
      if (from > 0) this.#options.injected(side);
      this.#position[side] = from;
      if (from < head.length) this.#layer.receive(side, head.subarray(from));
      this.#heads[side] = NOTHING;
    }
  }

  #goOnInClear(): void {
    this.#options.clear();
    const clear = new ClearText(this.#options.inner);
    this.#layer = clear;
    for (const side of [this.#first, opposite(this.#first)]) {
      const head = this.#heads[side];
      this.#heads[side] = NOTHING;
      if (head.length > 0) clear.receive(side, head);
    }
  }
}

/** Hands on what comes as it is. */
class ClearText implements PassiveLayer {
  readonly #inner: LayerInner;
  readonly #position: [number, number] = [0, 0];

  constructor(inner: LayerInner) {
    this.#inner = inner;
  }

  receive(side: Side, chunk: Buffer): void {
    this.#position[side] += chunk.length;
    this.#inner.receive(side, chunk);
  }

  gap(side: Side, length: number): void {
    this.#position[side] += length;
    this.#inner.gap(side, length);
  }

  position(side: Side): number {
    return this.#position[side];
  }
}

function isRecord(head: Buffer): boolean {
  return beginsTls(head, 0) || (isContentType(head[0] ?? 0) && head[1] === 0x03);
}

/** Where a handshake begins in `head`: behind clear text, at the start of a line. Its length when there is none. */
function recordIn(head: Buffer): number {
  if (isRecord(head)) return 0;
  for (let at = head.indexOf(0x0a); at >= 0; at = head.indexOf(0x0a, at + 1))
    if (beginsTls(head, at + 1)) return at + 1;
  return head.length;
}
