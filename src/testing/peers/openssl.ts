/** openssl at both ends of a connection, told line by line what to do: for what no other program does when it is asked. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import type { Certificate } from './certificate.js';
import { ended, freePort, pathOf } from './peers.js';

const PATIENCE = 60_000;

/** A program with lines going in and text coming out. */
export class Talker {
  readonly #child: ChildProcessWithoutNullStreams;
  #unheard = '';
  #waiting: { readonly text: string; resolve(): void; reject(error: Error): void } | undefined;

  constructor(context: TestContext, program: string, args: readonly string[]) {
    this.#child = spawn(pathOf(program) ?? program, args);
    context.after(() => ended(this.#child));
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (bytes: Buffer) => {
        this.#unheard += bytes.toString('latin1');
        this.#look();
      });
    this.#child.stdin.on('error', () => {});
    this.#child.once('close', (status) =>
      this.#waiting?.reject(new Error(`${program} ended with ${status}: ${this.#unheard}`)),
    );
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** When it has said `text`, behind what was heard before. */
  async heard(text: string): Promise<void> {
    let silent: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      // So that a test which waits in vain tells for what.
      silent = setTimeout(() => reject(new Error(`never said ${text}, but: ${this.#unheard}`)), PATIENCE);
      this.#waiting = { text, resolve, reject };
      this.#look();
    }).finally(() => clearTimeout(silent));
  }

  /** Ends its input; when it is gone. */
  async finish(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await gone;
  }

  #look(): void {
    if (this.#waiting === undefined) return;
    const at = this.#unheard.indexOf(this.#waiting.text);
    if (at < 0) return;
    this.#unheard = this.#unheard.slice(at + this.#waiting.text.length);
    this.#waiting.resolve();
    this.#waiting = undefined;
  }
}

/** A server, when it listens on the port. */
export async function startServer(
  context: TestContext,
  { key, certificate }: Certificate,
  options: readonly string[],
): Promise<{ readonly port: number; readonly server: Talker }> {
  const port = await freePort();
  const own = ['-accept', `127.0.0.1:${port}`, '-key', key, '-cert', certificate];
  const server = new Talker(context, 'openssl', ['s_server', ...own, ...options]);
  await server.heard('ACCEPT');
  return { port, server };
}

export function startClient(context: TestContext, port: number, options: readonly string[]): Talker {
  const own = ['-connect', `127.0.0.1:${port}`, '-servername', 'mail.test'];
  return new Talker(context, 'openssl', ['s_client', ...own, ...options]);
}
