/**
 * A recording: how a server reads on that takes an ambiguous lone dot for the end of the message. If commands stand behind it, the
 * message that they smuggle is a file as well. Only the client's bytes are known to it; replies are as lost.
 */
import { Buffer } from 'node:buffer';
import type { FileMeta, FileStream } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, SERVER, type Side, type Unit, type Way } from '../../src/core/flow.js';
import type { Limits } from '../../src/core/limits.js';
import { CR, LF } from '../../src/core/lines.js';
import { commandLikeness } from './grammar.js';

export class SecondReading {
  /** There is nothing smuggled here, or no telling what. */
  over = false;
  readonly #flow: ClientOnlyFlow;
  readonly #decoder: Decoder;
  #untaken: Buffer = Buffer.alloc(0);
  #begun = false;

  constructor(flow: Flow, decode: (flow: Flow) => Decoder) {
    this.#flow = new ClientOnlyFlow(flow);
    this.#decoder = decode(this.#flow);
    this.#decoder.gap(SERVER, 0);
  }

  /** The next bytes of the client, as they are on the wire. */
  write(chunk: Buffer, start: number, end: number): void {
    if (this.over || start >= end) return;
    let bytes = chunk.subarray(start, end);
    if (this.#untaken.length > 0) bytes = Buffer.concat([this.#untaken, bytes]);
    if (!this.#begun) bytes = this.#begin(bytes);
    if (this.#begun && !this.over) bytes = this.#offer(bytes);
    this.#untaken = Buffer.from(bytes);
    if (this.#flow.lost || this.#untaken.length > this.#flow.limits.line) this.end();
  }

  /** The message that all readers agree on has ended. */
  end(): void {
    if (this.over) return;
    this.over = true;
    this.#decoder.end(CLIENT);
  }

  /** Waits for what tells whether commands follow; line ends before them are skipped. */
  #begin(bytes: Buffer): Buffer {
    let at = 0;
    while (at < bytes.length && (bytes[at] === CR || bytes[at] === LF)) at++;
    const rest = bytes.subarray(at);
    const likeness = commandLikeness(rest, 0);
    this.#begun = likeness === 'yes';
    this.over = likeness === 'no';
    return rest;
  }

  #offer(bytes: Buffer): Buffer {
    let rest = bytes;
    for (;;) {
      this.#flow.taken = 0;
      this.#decoder.push(CLIENT, rest);
      rest = rest.subarray(this.#flow.taken);
      if (!this.#flow.stopped) return rest;
      this.#flow.stopped = false;
      this.#decoder.unanswered(CLIENT);
      if (rest.length === 0) return rest;
    }
  }
}

/** A flow of which only the client is seen: its files are those of the real flow, and malformed; all else stays inside. */
class ClientOnlyFlow implements Flow {
  readonly id: number;
  readonly passive = true;
  readonly limits: Limits;
  taken = 0;
  stopped = false;
  /** The reading went where it cannot be followed. */
  lost = false;
  readonly #real: Flow;

  constructor(real: Flow) {
    this.id = real.id;
    this.limits = real.limits;
    this.#real = real;
  }

  pass(end: number): void {
    this.taken = end;
  }
  drop(end: number): void {
    this.taken = end;
  }
  stop(side: Side): void {
    if (side === CLIENT) this.stopped = true;
  }
  resume(side: Side): void {
    if (side === CLIENT) this.stopped = false;
  }
  openFile(meta: FileMeta): FileStream {
    const file = this.#real.openFile(meta);
    file.malformed('smtp-smuggling');
    return file;
  }
  unit(toward: Side, way: Way): Unit {
    return this.#real.unit(toward, way);
  }
  layer(): void {
    this.lost = true;
  }
  unread(): void {}
  bypass(): void {
    this.lost = true;
  }
  reset(): void {
    this.lost = true;
  }
  send(): void {}
  finish(): void {}
  adopt(): void {}
  expect(): void {}
  anomaly(): void {}
  wakeAt(): void {}
}
