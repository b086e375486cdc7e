/**
 * A Duplex between a socket and TLS that tells a close_notify from a bare FIN: Node's TLS ends the same way for both, and relaying a cut
 * file as a complete one would undo what close_notify is for (RFC 8446 §6.1). The socket's FIN is handed up two turns late: if TLS has
 * ended before it, the peer said so.
 */
import type { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

export class HonestEnd extends Duplex {
  readonly #socket: Duplex;
  /** The FIN was handed up. */
  #told = false;

  constructor(socket: Duplex) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => setImmediate(() => setImmediate(() => this.#tell())));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => {
      if (!this.destroyed && !this.readableEnded) setImmediate(() => setImmediate(() => this.#tell()));
    });
  }

  /** Adds the property that JoinedStreams asks for: the stream inside TLS ended without close_notify. */
  watch(inner: TLSSocket): TLSSocket {
    let truncated = false;
    inner.prependOnceListener('end', () => {
      truncated = this.#told;
    });
    Object.defineProperty(inner, 'truncated', { get: () => truncated });
    Object.defineProperty(inner, 'resetAndDestroy', {
      value: () => {
        inner.destroy();
        this.reset();
      },
    });
    return inner;
  }

  /** A RST for the peer, so that what it has is no complete file. */
  reset(): void {
    const socket = this.#socket as Duplex & { resetAndDestroy?(): void };
    if (socket.resetAndDestroy === undefined) socket.destroy();
    else socket.resetAndDestroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) done(new Error('the socket is closed'));
    else this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #tell(): void {
    if (this.#told || this.destroyed) return;
    this.#told = true;
    this.push(null);
  }
}
