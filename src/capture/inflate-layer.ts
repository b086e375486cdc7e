/**
 * Compressed connections: raw deflate (IMAP's COMPRESS, RFC 4978) and zlib (FTP's MODE Z), each side a stream of its own. Nothing is held: what
 * comes out is handed on in pieces. What cannot be read on makes the connection opaque; output out of all proportion to
 * its input, as no mail or file compresses, likewise.
 */
import { Inflate, type InflateState } from '../content/archive/inflate.js';
import type { Side } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import type { LayerInner, PassiveLayer } from '../flow/engine.js';
import type { LayerEvents } from './layer-factory.js';

/** RFC 1950 §2.2: method 8 with a window of up to 32 KiB; behind the stream its Adler-32, which is not checked. */
const ZLIB_HEADER = 2;
const ZLIB_TRAILER = 4;

interface SideState {
  inflate: Inflate | undefined;
  /** Bytes of the zlib header so far; raw streams have none. */
  header: number[];
  state: InflateState;
  read: number;
  /** Bytes behind the end of the stream. */
  behind: number;
  /** Bytes of it are missing: nothing that follows can be read. */
  lost: boolean;
}

export class InflateLayer implements PassiveLayer {
  readonly #inner: LayerInner;
  readonly #events: LayerEvents;
  readonly #limits: Pick<Limits, 'unpackRatio' | 'ratioFloor'>;
  readonly #headerLength: number;
  readonly #sides: readonly [SideState, SideState];

  constructor(
    kind: 'deflate' | 'zlib',
    inner: LayerInner,
    events: LayerEvents,
    limits: Pick<Limits, 'unpackRatio' | 'ratioFloor'>,
  ) {
    this.#inner = inner;
    this.#events = events;
    this.#limits = limits;
    this.#headerLength = kind === 'zlib' ? ZLIB_HEADER : 0;
    this.#sides = [fresh(), fresh()];
  }

  receive(side: Side, chunk: Buffer): void {
    const of = this.#sides[side];
    of.read += chunk.length;
    if (of.lost) {
      this.#events.opaque('desync');
      this.#inner.gap(side, 0);
      return;
    }
    if (of.state === 'ended') return this.#follow(side, chunk.length);
    if (of.state === 'damaged') return;
    let at = 0;
    while (of.header.length < this.#headerLength && at < chunk.length) of.header.push(chunk[at++] ?? 0);
    if (of.header.length < this.#headerLength || at === chunk.length) return;
    if (of.inflate === undefined && !this.#headerFits(of.header)) return this.#fail(side, 'inflate-damaged');
    of.inflate ??= Inflate.start();
    const inflate = of.inflate;
    const taken = inflate.taken;
    const { unpackRatio, ratioFloor } = this.#limits;
    of.state = inflate.push(chunk, at, chunk.length, (bytes, start, end) => {
      if (inflate.produced > Math.max(ratioFloor, of.read * unpackRatio)) return false;
      this.#inner.receive(side, bytes.subarray(start, end));
      return true;
    });
    if (inflate.stopped) this.#fail(side, 'inflate-ratio');
    else if (of.state === 'damaged') this.#fail(side, 'inflate-damaged');
    else if (of.state === 'ended') {
      const behind = chunk.length - at - (inflate.taken - taken);
      this.#done(of);
      this.#follow(side, behind);
    }
  }

  /** The stream ended, and these bytes do not belong to it. */
  #follow(side: Side, length: number): void {
    const of = this.#sides[side];
    of.behind += length;
    if (of.behind > (this.#headerLength === 0 ? 0 : ZLIB_TRAILER)) this.#fail(side, 'inflate-damaged');
  }

  /** What follows missing bytes on this side cannot be read; the other side goes on. */
  gap(side: Side, length: number): void {
    const of = this.#sides[side];
    of.read += length;
    if (of.state !== 'more' || of.lost) return;
    of.lost = true;
    this.#done(of);
    this.#events.anomaly('inflate-gap', side);
    this.#inner.gap(side, 0);
  }

  position(side: Side): number {
    return this.#sides[side].read;
  }

  #headerFits([method = 0, flags = 0]: readonly number[]): boolean {
    return (
      this.#headerLength === 0 || ((method & 0x0f) === 8 && method >>> 4 <= 7 && (method * 256 + flags) % 31 === 0)
    );
  }

  #fail(side: Side, code: 'inflate-damaged' | 'inflate-ratio'): void {
    this.#events.anomaly(code, side);
    for (const of of this.#sides) {
      of.state = 'damaged';
      this.#done(of);
    }
    this.#inner.opaque('desync');
  }

  #done(of: SideState): void {
    of.inflate?.done();
    of.inflate = undefined;
  }
}

function fresh(): SideState {
  return { inflate: undefined, header: [], state: 'more', read: 0, behind: 0, lost: false };
}
