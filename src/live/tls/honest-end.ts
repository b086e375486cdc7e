/**
 * A Duplex between a socket and TLS that tells a close_notify from a bare FIN: Node's TLS ends the same way for both, and relaying a cut
 * file as a complete one would undo what close_notify is for (RFC 8446 §6.1). TLS reads all that it is given at once: if it
 * has not ended when the socket's FIN reaches it, the peer never said so.
 */
import { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

export class HonestEnd extends Duplex {
  readonly #socket: Duplex;
  readonly #listeners: readonly (readonly [event: string, listener: (...args: never[]) => void])[];
  /** The FIN was handed up. */
  #told = false;
  /**
   * TLS ends its own direction. Until that is done nothing is handed up: Node's JSStreamSocket asserts that TLS writes nothing meanwhile, and to
   * nonsense TLS answers with an alert, so that any peer could end the process.
   */
  #ending = false;
  #early: Buffer | undefined;
  #late = false;
  /** The socket is somebody else's. */
  #left = false;

  constructor(socket: Duplex) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#listeners = [
      ['data', (chunk: Buffer) => this.arrived(chunk)],
      ['end', () => this.finished()],
      ['error', (error: Error) => this.destroy(error)],
      [
        'close',
        () => {
          if (!this.readableEnded) this.finished();
        },
      ],
    ];
    for (const [event, listener] of this.#listeners) socket.on(event, listener as (...args: unknown[]) => void);
  }

  /** The next bytes of the peer. */
  protected arrived(chunk: Buffer): void {
    if (this.#ending) {
      this.#early = this.#early === undefined ? chunk : Buffer.concat([this.#early, chunk]);
      this.#socket.pause();
    } else if (!this.push(chunk)) this.#socket.pause();
  }

  /** Lets go of the socket, paused: what TLS writes after this, its close_notify too, goes nowhere. */
  protected leave(): void {
    this.#left = true;
    this.#socket.pause();
    for (const [event, listener] of this.#listeners)
      this.#socket.removeListener(event, listener as (...args: unknown[]) => void);
  }

  /** To be called before its handshake. Adds the property that JoinedStreams asks for: the stream inside TLS ended without close_notify. */
  watch(inner: TLSSocket): void {
    let closed = false;
    let truncated = false;
    const push = inner.push.bind(inner);
    inner.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null) closed = true;
      return push(chunk, encoding);
    };
    const final = inner._final.bind(inner);
    inner._final = (done) => {
      this.#ending = true;
      final((error) => {
        this.#ended();
        done(error);
      });
    };
    // In front of TLS's own listener: what it has read is read.
    this.prependOnceListener('end', () => {
      truncated = !closed;
    });
    Object.defineProperty(inner, 'truncated', { get: () => truncated });
    Object.defineProperty(inner, 'resetAndDestroy', {
      value: () => {
        // In this order: TLS closes what is beneath it, with a FIN.
        this.reset();
        inner.destroy();
      },
    });
  }

  /** A RST for the peer, so that what it has is no complete file. */
  reset(): void {
    const socket = this.#socket as Duplex & { resetAndDestroy?(): void };
    // One that is sending its FIN cannot be reset any more.
    if (socket.resetAndDestroy === undefined || socket.writableEnded) socket.destroy();
    else socket.resetAndDestroy();
  }

  override _read(): void {
    if (this.#early === undefined && !this.#left) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#left) done();
    else if (this.#socket.destroyed) done(new Error('the socket is closed'));
    else this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    if (this.#left) done();
    else this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#left) this.#socket.destroy();
    done(error);
  }

  /** TLS has ended its direction: what came meanwhile is handed up. */
  #ended(): void {
    this.#ending = false;
    const early = this.#early;
    this.#early = undefined;
    if (this.destroyed) return;
    if (early !== undefined && this.push(early)) this.#socket.resume();
    if (this.#late) this.finished();
  }

  /** The peer will send no more. */
  protected finished(): void {
    if (this.#told || this.destroyed) return;
    this.#late = this.#early !== undefined;
    if (this.#late) return;
    this.#told = true;
    this.push(null);
  }
}
