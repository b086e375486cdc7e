/**
 * Raw deflate (RFC 1951) a piece at a time, synchronously, over node's own zlib: says exactly how many bytes of input the stream took,
 * and never holds more output than one piece. The public calls cannot do this (`inflateRawSync` wants the whole and returns the whole;
 * the streams answer later), so the stream's binding is driven as the stream itself drives it. That interface is checked when the first
 * one is made, and a Node that has another is an InternalError, which the unpackers' guard turns into `engine-error`.
 */
import { createInflateRaw } from 'node:zlib';
import { InternalError } from '../../core/errors.js';

/** What zlib says of a stream that is not deflate. */
export type InflateState = 'more' | 'ended' | 'damaged';

/** Takes output; false stops the stream. The bytes are valid during the call only. */
export type Sink = (chunk: Buffer, start: number, end: number) => boolean;

const OUTPUT = 64 * 1024;
const Z_NO_FLUSH = 0;
const Z_FINISH = 4;
const IDLE_KEPT = 4;

interface Binding {
  writeSync(
    flush: number,
    input: Buffer,
    inputAt: number,
    inputLength: number,
    output: Buffer,
    at: number,
    length: number,
  ): void;
  reset(): void;
  onerror: (message: string, errno: number, code: string) => void;
}
interface Opened {
  readonly _handle?: Binding;
  /** After a write: room left in the output, input not taken. */
  readonly _writeState?: Uint32Array;
}

const nothing = Buffer.alloc(0);
/** Making a zlib stream costs more than most members: finished ones wait here. As many as containers lie in one another, at most. */
const idle: Inflate[] = [];

export class Inflate {
  #binding: Binding;
  #state: Uint32Array;
  #output: Buffer = Buffer.allocUnsafeSlow(OUTPUT);
  #failed = false;
  #stopped = false;
  #taken = 0;
  #produced = 0;

  private constructor() {
    const opened = createInflateRaw({ chunkSize: OUTPUT }) as unknown as Opened;
    if (typeof opened._handle?.writeSync !== 'function' || opened._writeState?.length !== 2)
      throw new InternalError(`this Node (${process.version}) drives zlib in a way that is not known here`);
    this.#binding = opened._handle;
    this.#state = opened._writeState;
    this.#binding.onerror = () => {
      this.#failed = true;
    };
  }

  static start(): Inflate {
    return idle.pop() ?? new Inflate();
  }

  /** Give it back; it must not be used afterwards. */
  done(): void {
    this.#binding.reset();
    this.#failed = false;
    this.#stopped = false;
    this.#taken = 0;
    this.#produced = 0;
    if (idle.length < IDLE_KEPT) idle.push(this);
  }

  /** Bytes of input that belonged to the stream so far. */
  get taken(): number {
    return this.#taken;
  }

  get produced(): number {
    return this.#produced;
  }

  /** The sink said stop. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Feed `input[start, end)`. After `ended` or `damaged` feed nothing more; when the sink stops it, the answer is `more`. */
  push(input: Buffer, start: number, end: number, sink: Sink): InflateState {
    let at = start;
    for (;;) {
      // Zeros, so that what came out before an error can be told from what was there: the binding does not count it then.
      this.#output.fill(0);
      this.#binding.writeSync(Z_NO_FLUSH, input, at, end - at, this.#output, 0, OUTPUT);
      if (this.#failed) return this.#salvage(sink);
      const room = this.#state[0]!;
      const left = this.#state[1]!;
      this.#taken += end - at - left;
      at = end - left;
      if (room < OUTPUT) {
        this.#produced += OUTPUT - room;
        if (!sink(this.#output, 0, OUTPUT - room)) {
          this.#stopped = true;
          return 'more';
        }
      }
      // Output that is exactly full may have more behind it.
      if (room === 0) continue;
      return left > 0 ? 'ended' : 'more';
    }
  }

  /** There is no more input: `ended` when the stream had ended with the last byte of it. */
  end(): 'ended' | 'damaged' {
    this.#binding.writeSync(Z_FINISH, nothing, 0, 0, this.#output, 0, OUTPUT);
    return this.#failed ? 'damaged' : 'ended';
  }

  #salvage(sink: Sink): 'damaged' {
    let length = OUTPUT;
    while (length > 0 && this.#output[length - 1] === 0) length--;
    this.#produced += length;
    if (length > 0 && !sink(this.#output, 0, length)) this.#stopped = true;
    return 'damaged';
  }
}
