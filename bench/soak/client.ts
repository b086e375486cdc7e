/** One mail client of a long test: a connection, commands and their replies, whatever becomes of them. */
import type { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

export class Client {
  readonly socket: Socket;
  #heard = '';
  #waiting: { readonly resolve: (line: string | undefined) => void } | undefined;
  lost = false;

  constructor(port: number, tls?: { readonly servername: string }) {
    const to = { port, host: '127.0.0.1', noDelay: true };
    this.socket = tls === undefined ? connect(to) : tlsConnect({ ...to, ...tls, rejectUnauthorized: false });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.#heard += text;
      this.#answer();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.lost = true;
      this.#waiting?.resolve(undefined);
      this.#waiting = undefined;
    });
  }

  /** The next line; undefined when the connection is over. One at a time. */
  reply(): Promise<string | undefined> {
    return new Promise((resolve) => {
      if (this.lost) return resolve(undefined);
      this.#waiting = { resolve };
      this.#answer();
    });
  }

  say(bytes: string | Buffer): Promise<string | undefined> {
    this.socket.write(bytes);
    return this.reply();
  }

  /** Up to `354`. Whether it came to that. */
  async begin(): Promise<boolean> {
    for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.org>', 'DATA'])
      if (!/^[23]/.test((await this.say(`${line}\r\n`)) ?? '')) return false;
    return true;
  }

  #answer(): void {
    const end = this.#heard.indexOf('\r\n');
    if (end < 0 || this.#waiting === undefined) return;
    const line = this.#heard.slice(0, end);
    this.#heard = this.#heard.slice(end + 2);
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve(line);
  }
}
