/** What a client says before its own protocol begins, read as far as it is needed and no further; all else stays for the session. */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';

export class Head {
  readonly #socket: Duplex;
  readonly #most: number;
  #bytes: Buffer = Buffer.alloc(0);
  #taken = 0;
  #over = false;
  #wake: (() => void) | undefined;
  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    this.#socket.pause();
    this.#wake?.();
  };
  readonly #onOver = (): void => {
    this.#over = true;
    this.#wake?.();
  };

  /** `most` bounds all that is read, in bytes. `socket` is paused, and is again when `rest` was called. */
  constructor(socket: Duplex, most: number) {
    this.#socket = socket;
    this.#most = most;
    socket.on('data', this.#onData);
    for (const event of ['end', 'close', 'error'] as const) socket.on(event, this.#onOver);
    socket.pause();
  }

  /** The next `count` bytes. Undefined: they will not come, or are too many. */
  async take(count: number): Promise<Buffer | undefined> {
    if (this.#taken + count > this.#most) return undefined;
    while (this.#bytes.length < this.#taken + count) if (!(await this.#more())) return undefined;
    const bytes = this.#bytes.subarray(this.#taken, this.#taken + count);
    this.#taken += count;
    return bytes;
  }

  /** Up to the end of a line, without it, as Latin-1. Undefined: it will not end, or not within what is allowed. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#bytes.indexOf(0x0a, this.#taken);
      if (end >= 0 && end < this.#most) {
        const line = this.#bytes.toString('latin1', this.#taken, end);
        this.#taken = end + 1;
        return line.endsWith('\r') ? line.slice(0, -1) : line;
      }
      if (this.#bytes.length >= this.#most || !(await this.#more())) return undefined;
    }
  }

  /** Up to `mark` and with it. Undefined: it will not come, or not within what is allowed. */
  async until(mark: Buffer): Promise<Buffer | undefined> {
    for (;;) {
      const at = this.#bytes.indexOf(mark, this.#taken);
      const end = at + mark.length;
      if (at >= 0 && end <= this.#most) {
        const bytes = this.#bytes.subarray(this.#taken, end);
        this.#taken = end;
        return bytes;
      }
      if (at >= 0 || this.#bytes.length >= this.#most || !(await this.#more())) return undefined;
    }
  }

  /** All that may be read was read. */
  get full(): boolean {
    return this.#bytes.length >= this.#most;
  }

  /** What was read beyond what was taken. Nothing is read after this. */
  rest(): Buffer {
    this.#socket.removeListener('data', this.#onData);
    for (const event of ['end', 'close', 'error'] as const) this.#socket.removeListener(event, this.#onOver);
    this.#socket.pause();
    return this.#bytes.subarray(this.#taken);
  }

  async #more(): Promise<boolean> {
    if (this.#over) return false;
    const before = this.#bytes.length;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#socket.resume();
    await woken;
    return this.#bytes.length > before;
  }
}
