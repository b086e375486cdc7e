/**
 * Peers of our own, for what no honest program does: a server that answers each line as the test says, a client that says any bytes; both keep
 * what they heard, may begin TLS, end half of a connection, or cut it. A wait that is not met fails with what was heard instead.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { TLSSocket, connect as tlsConnect } from 'node:tls';

export interface ServerScript {
  /** Said to each client that comes; left out: nothing. */
  readonly greeting?: string;
  /**
   * The answer to a line, both without their line ends; undefined: none. It may say, hear and change to TLS by itself before it settles:
   * the next line is read then.
   */
  answer?(line: string, peer: Peer): string | undefined | Promise<string | undefined>;
  /** Looks after a client by itself; `greeting` was said. Left out: lines are answered, and a FIN by a FIN. */
  serve?(peer: Peer): Promise<void>;
}

export interface ScriptedServer {
  readonly port: number;
  /** Of each client that came, in their order. */
  readonly peers: readonly Peer[];
  /** All that any of them said, inside TLS what was meant. */
  heard(): string;
  /** The lines that were answered. */
  readonly lines: readonly string[];
}

/** A server on loopback. It ends with the test. */
export async function startScripted(context: TestContext, script: ServerScript): Promise<ScriptedServer> {
  const peers: Peer[] = [];
  const lines: string[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const peer = new Peer(context, socket);
    peers.push(peer);
    serve(peer, script, lines).catch((error: unknown) => {
      // Clients go in the middle of things; that is what is tested.
      if (!(error instanceof PeerGone)) throw error;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { port, peers, lines, heard: () => peers.map((peer) => peer.heard).join('') };
}

async function serve(peer: Peer, script: ServerScript, lines: string[]): Promise<void> {
  if (script.greeting !== undefined) peer.say(`${script.greeting}\r\n`);
  if (script.serve !== undefined) return script.serve(peer);
  for (;;) {
    const line = await peer.line(Number.POSITIVE_INFINITY);
    if (line === undefined) break;
    lines.push(line);
    const answer = await script.answer?.(line, peer);
    if (answer !== undefined) peer.say(`${answer}\r\n`);
  }
  peer.end();
}

/** A client of `port` of loopback, connected. It ends with the test. */
export async function dial(context: TestContext, port: number): Promise<Peer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  await once(socket, 'connect');
  return new Peer(context, socket);
}

/** The connection ended before what was waited for came. */
export class PeerGone extends Error {}

/** Milliseconds that are waited for anything. */
const PATIENCE = 20_000;

/** How the other end left: FIN, or RST. */
export type Farewell = 'end' | 'reset';

export interface TlsKeys {
  readonly key: string;
  readonly cert: string;
}

/** One end of a connection. Texts are bytes, latin1. */
export class Peer {
  readonly #socket: Socket;
  readonly #port: number | undefined;
  #stream: Duplex;
  #tls: TLSSocket | undefined;
  /** All that was heard, and how much of it was taken by waits. */
  #heard = '';
  #taken = 0;
  #farewell: Farewell | undefined;
  #wake: (() => void)[] = [];

  constructor(context: TestContext, socket: Socket) {
    this.#socket = socket;
    this.#port = socket.localPort;
    this.#stream = socket;
    context.after(() => socket.destroy());
    this.#listen(socket);
    socket.on('error', () => this.#left('reset'));
    socket.on('close', () => this.#left('reset'));
  }

  /** Its own, on loopback. */
  get port(): number | undefined {
    return this.#port;
  }

  get heard(): string {
    return this.#heard;
  }

  /** What was heard and not yet taken. */
  get rest(): string {
    return this.#heard.slice(this.#taken);
  }

  say(bytes: string | Buffer): void {
    if (!this.#stream.destroyed && this.#stream.writable) this.#stream.write(asBytes(bytes));
  }

  /** The same in pieces of `size` bytes, each a segment or a TLS record of its own as far as the system lets it. */
  async sayInPieces(bytes: string | Buffer, size: number): Promise<void> {
    const all = asBytes(bytes);
    for (let at = 0; at < all.length; at += size) {
      this.say(all.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Says a line and takes the reply. */
  async ask(line: string): Promise<string> {
    this.say(`${line}\r\n`);
    return this.reply();
  }

  /** The replies to one line after the other, each said when the one before was answered. */
  async talk(...lines: readonly string[]): Promise<string[]> {
    const replies: string[] = [];
    for (const line of lines) replies.push(await this.ask(line));
    return replies;
  }

  /** Takes one line; undefined: the other end said FIN. */
  async line(patience: number = PATIENCE): Promise<string | undefined> {
    try {
      return (await this.until('\n', patience)).replace(/\r?\n$/, '');
    } catch (error) {
      if (error instanceof PeerGone && this.#farewell === 'end' && this.rest === '') return undefined;
      throw error;
    }
  }

  /** Takes a reply of SMTP or FTP: up to the line whose code is followed by a space. */
  async reply(): Promise<string> {
    const found = await this.#when(() => /^(?:[^\n]*\n)*?\d{3} [^\n]*\n/.exec(this.rest)?.[0], PATIENCE, 'a reply');
    this.#taken += found.length;
    return found.replace(/\r?\n$/, '');
  }

  /** Takes all up to and with `text`. */
  async until(text: string, patience: number = PATIENCE): Promise<string> {
    const end = await this.#when(
      () => {
        const at = this.#heard.indexOf(text, this.#taken);
        return at < 0 ? undefined : at + text.length;
      },
      patience,
      JSON.stringify(text),
    );
    return this.#take(end);
  }

  /** Takes so many bytes. */
  async bytes(count: number): Promise<string> {
    const end = this.#taken + count;
    await this.#when(() => (this.#heard.length >= end ? true : undefined), PATIENCE, `${count} bytes`);
    return this.#take(end);
  }

  /** When the other end has left: how. */
  async left(patience: number = PATIENCE): Promise<Farewell> {
    return this.#when(() => this.#farewell, patience, 'an end');
  }

  /** FIN; inside TLS close_notify first. What the other end says is still heard. */
  end(): void {
    if (this.#tls !== undefined) this.#tls.end();
    if (!this.#socket.destroyed) this.#socket.end();
  }

  /** RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Begins TLS; with keys as the server. What was not taken before it stays what it is: clear text. */
  async startTls(keys?: TlsKeys): Promise<void> {
    this.#stream.removeAllListeners('data');
    this.#stream.removeAllListeners('end');
    const inner = carried(this.#socket, () => this.#left('end'));
    const tls =
      keys === undefined
        ? tlsConnect({ socket: inner, rejectUnauthorized: false })
        : new TLSSocket(inner, { isServer: true, ...keys });
    tls.on('error', () => this.#left('reset'));
    const gone = this.left(Number.POSITIVE_INFINITY).then(() => Promise.reject(new Error('cut')));
    const secure = once(tls, keys === undefined ? 'secureConnect' : 'secure');
    await Promise.race([secure, gone]).catch((error: Error) => {
      throw new PeerGone(`the TLS handshake ended: ${error.message}`);
    });
    this.#tls = tls;
    this.#stream = tls;
    this.#listen(tls);
  }

  /** Says close_notify and no FIN; `bytes` follow in clear text. */
  async leaveTls(bytes: string): Promise<void> {
    const tls = this.#tls;
    if (tls === undefined) throw new Error('there is no TLS to leave');
    await new Promise<void>((resolve) => tls.end(() => resolve()));
    this.#socket.write(asBytes(bytes));
  }

  #listen(stream: Duplex): void {
    stream.on('data', (chunk: Buffer) => {
      this.#heard += chunk.toString('latin1');
      this.#woken();
    });
    stream.on('end', () => this.#left('end'));
  }

  #left(how: Farewell): void {
    this.#farewell ??= how;
    this.#woken();
  }

  #woken(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }

  #take(end: number): string {
    const text = this.#heard.slice(this.#taken, end);
    this.#taken = end;
    return text;
  }

  async #when<T>(look: () => T | undefined, patience: number, what: string): Promise<T> {
    const over = Date.now() + patience;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#farewell !== undefined) throw new PeerGone(`${what} did not come before the end, but: ${this.#tail()}`);
      const left = over - Date.now();
      if (left <= 0) throw new Error(`${what} did not come, but: ${this.#tail()}`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        if (Number.isFinite(left)) timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  #tail(): string {
    return JSON.stringify(this.rest.slice(-500));
  }
}

function asBytes(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
}

/** The socket, as TLS is put on it: ending TLS does not end the socket. */
function carried(socket: Socket, ended: () => void): Duplex {
  const inner = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      if (socket.destroyed) done();
      else socket.write(chunk, () => done());
    },
    final: (done) => done(),
  });
  socket.on('data', (chunk: Buffer) => inner.push(chunk));
  socket.on('end', () => {
    inner.push(null);
    ended();
  });
  socket.on('close', () => inner.destroy());
  return inner;
}
