/** A client that says exactly the bytes it is told to, when it is told to, and keeps every byte that came. For what no honest program does. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';

/** Milliseconds; a test that waits in vain tells for what. */
const PATIENCE = 30_000;

export class WireClient {
  readonly #socket: Socket;
  #stream: Duplex;
  readonly #chunks: Buffer[] = [];
  #text = '';
  /** Up to where the text was asked for. */
  #asked = 0;
  #over = false;
  #ended = false;
  #error: string | undefined;
  readonly #watchers = new Set<() => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#stream = socket;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code;
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#changed();
    });
    socket.on('close', () => {
      this.#over = true;
      this.#changed();
    });
    this.#listen(socket);
  }

  /** It goes with the test. With `halfOpen` it can go on sending after the other end said FIN. */
  static async dial(context: TestContext, port: number, { halfOpen = false } = {}): Promise<WireClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: halfOpen, noDelay: true });
    context.after(() => socket.destroy());
    const client = new WireClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** The connection is gone. */
  get destroyed(): boolean {
    return this.#over;
  }

  /** Every byte so far; what came within TLS as it was in it. */
  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Text stands for bytes, one a character. */
  say(bytes: string | Buffer): void {
    this.#stream.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** What came since it was last asked for, up to and with `text`. */
  async until(text: string): Promise<string> {
    let from = this.#asked;
    let at = -1;
    await this.#when(
      () => {
        at = this.#text.indexOf(text, from);
        from = Math.max(this.#asked, this.#text.length - text.length);
        return at >= 0 || this.#over;
      },
      () => `${JSON.stringify(text)} never came, but ${JSON.stringify(this.#text.slice(this.#asked).slice(-400))}`,
    );
    if (at < 0) throw new Error(`closed before ${JSON.stringify(text)}: ${JSON.stringify(this.#text.slice(-400))}`);
    const heard = this.#text.slice(this.#asked, at + text.length);
    this.#asked = at + text.length;
    return heard;
  }

  /** `line` and its line end, and what came up to `end`. */
  ask(line: string, end = '\r\n'): Promise<string> {
    this.say(`${line}\r\n`);
    return this.until(end);
  }

  /** When the other end closed or reset the connection: the error's code, if there was one. */
  async gone(): Promise<string | undefined> {
    await this.#when(
      () => this.#over,
      () => `the connection stays open; last: ${JSON.stringify(this.#text.slice(-400))}`,
    );
    return this.#error;
  }

  /** When the other end said FIN, or worse. */
  ended(): Promise<void> {
    return this.#when(
      () => this.#over || this.#ended,
      () => 'no FIN came',
    );
  }

  /** FIN. */
  end(): void {
    this.#stream.end();
  }

  /** RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Reads nothing more until it is to. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Goes on inside TLS, whoever the server is. */
  async startTls(): Promise<void> {
    this.#socket.removeAllListeners('data');
    const inner = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    inner.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code;
    });
    await once(inner, 'secureConnect');
    this.#stream = inner;
    this.#listen(inner);
  }

  #listen(stream: Duplex): void {
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#text += chunk.toString('latin1');
      this.#changed();
    });
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #when(done: () => boolean, complaint: () => string): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settled();
      };
      const look = (): void => {
        if (done()) settle(resolve);
      };
      const timer = setTimeout(() => settle(() => reject(new Error(complaint()))), PATIENCE);
      this.#watchers.add(look);
    });
  }
}
