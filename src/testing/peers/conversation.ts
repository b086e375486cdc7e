/** A client that says what it is told to and waits for replies of SMTP's and FTP's shape (RFC 5321 §4.2): `250-…` goes on, `250 …` ends. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** Milliseconds that an answer may take. */
const PATIENCE = 20_000;

export class Conversation {
  readonly socket: Socket;
  /** All that it was told. */
  heard = '';
  #read = 0;
  #over = false;
  #woken: (() => void) | undefined;

  /** Connects; it goes with the test. `from`: its own address. */
  static async open(
    context: TestContext,
    port: number,
    address = '127.0.0.1',
    from: string | undefined = undefined,
  ): Promise<Conversation> {
    const socket = connect({ port, host: address, ...(from === undefined ? {} : { localAddress: from }) });
    context.after(() => socket.destroy());
    const conversation = new Conversation(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return conversation;
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.heard += text;
      this.#woken?.();
    });
    socket.on('error', () => {});
    for (const event of ['end', 'close'] as const)
      socket.on(event, () => {
        this.#over = true;
        this.#woken?.();
      });
  }

  /** The next reply, its last line. Fails when the connection ends before, or nothing comes for long. */
  async reply(): Promise<string> {
    for (;;) {
      const end = this.heard.indexOf('\r\n', this.#read);
      if (end >= 0) {
        const line = this.heard.slice(this.#read, end);
        this.#read = end + 2;
        if (!/^\d{3}-/.test(line)) return line;
      } else if (this.#over) assert.fail(`the connection ended after: ${this.heard}`);
      else await this.#more();
    }
  }

  /** Says `text` and waits for the reply to it. */
  say(text: string): Promise<string> {
    this.socket.write(text, 'latin1');
    return this.reply();
  }

  /** Says each line and waits for its reply; the first three letters of each. */
  async codes(...lines: readonly string[]): Promise<string[]> {
    const codes: string[] = [];
    for (const line of lines) codes.push((await this.say(`${line}\r\n`)).slice(0, 3));
    return codes;
  }

  /** When the other end has closed: what was said since the last reply. */
  async ended(): Promise<string> {
    while (!this.#over) await this.#more();
    return this.heard.slice(this.#read);
  }

  #more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`nothing more came in ${PATIENCE} ms after: ${this.heard.slice(-1000)}`)),
        PATIENCE,
      );
      this.#woken = () => {
        clearTimeout(timer);
        this.#woken = undefined;
        resolve();
      };
    });
  }
}
