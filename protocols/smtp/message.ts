/** The message that a client is sending, behind DATA or in chunks: its bytes on the way to its file. */
import type { Buffer } from 'node:buffer';
import type { FileStream } from '../../src/core/file.js';
import type { Flow, Unit } from '../../src/core/flow.js';
import { DottedText, type Stop, type TextSink } from '../mail/dotted-text.js';

export abstract class SentMessage implements TextSink {
  readonly file: FileStream;
  /** It comes in chunks (BDAT). */
  readonly chunked: boolean;
  protected readonly flow: Flow;
  protected readonly text = new DottedText(this);
  /** Where its bytes on the wire go; undefined: to the peer. */
  readonly #unit: Unit | undefined;

  constructor(flow: Flow, file: FileStream, chunked: boolean, unit?: Unit) {
    this.flow = flow;
    this.file = file;
    this.chunked = chunked;
    this.#unit = unit;
  }

  /** Takes what it can of the text from `at` on, a whole chunk at a time. Why it stopped; where is `at`. */
  readText(chunk: Buffer, at: number): Stop {
    const stop = this.text.read(chunk, at);
    this.take(this.text.at);
    return stop;
  }

  /** Where `readText` stopped. */
  get at(): number {
    return this.text.at;
  }

  /** Takes the octets of a chunk, `chunk[at, end)`. */
  readOctets(chunk: Buffer, at: number, end: number): void {
    this.write(chunk, at, end);
    this.take(end);
  }

  /** Its bytes on the wire go on, up to `end`. */
  protected take(end: number): void {
    this.flow.pass(end, this.#unit);
  }

  write(chunk: Buffer, start: number, end: number): void {
    this.file.write(chunk, start, end);
  }

  abstract stuffedDot(): void;
  abstract loneDot(chunk: Buffer, dot: number): boolean;
  /** It was sent whole. */
  abstract end(): void;
  /** It will not be finished. */
  abstract abort(reason: 'reset' | 'gap'): void;
}
