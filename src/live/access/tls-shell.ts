/**
 * TLS that can be taken off a connection that goes on (the access proxy's tls=0): a Duplex between a socket and TLS that hands TLS one record
 * at a time, so that what stands behind the last record is still here when the shell comes off. Both ends of such a connection need it.
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { HonestEnd } from '../tls/honest-end.js';

const RECORD_HEADER = 5;
const CLOSE_NOTIFY_MOST = 128;
const ALERT = 21;
const APPLICATION_DATA = 23;

export class TlsShell extends HonestEnd {
  readonly #wire: Socket;
  #waiting: Buffer = Buffer.alloc(0);
  /** `records`: one at a time. `held`: none. `open`: as they come. */
  #way: 'records' | 'held' | 'open' = 'records';
  #next: NodeJS.Immediate | undefined;
  /** The peer's FIN, which waits behind what it sent. */
  #ended = false;

  constructor(socket: Socket) {
    super(socket);
    this.#wire = socket;
  }

  /** Bytes that TLS has not been given. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** TLS is given nothing more until `open`. */
  hold(): void {
    this.#way = 'held';
    this.#wire.pause();
  }

  /** TLS stays to the end. */
  open(): void {
    this.#way = 'open';
    const waiting = this.#waiting;
    this.#waiting = Buffer.alloc(0);
    // Whoever asked for more while none could be given asks no second time.
    super._read();
    if (waiting.length > 0) super.arrived(waiting);
    if (this.#ended) super.finished();
  }

  /** The socket without TLS, paused, from the byte behind the last record that TLS was given. A close_notify of the peer is passed over. */
  takeOff(): Socket {
    this.leave();
    withoutCloseNotify(this.#wire);
    if (this.#waiting.length > 0) this.#wire.unshift(this.#waiting);
    this.#waiting = Buffer.alloc(0);
    return this.#wire;
  }

  /** Not read any further before TLS has had it: a FIN must not come while something waits. */
  protected override arrived(chunk: Buffer): void {
    if (this.#way === 'open') return super.arrived(chunk);
    this.#waiting = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk]);
    this.#wire.pause();
    if (this.#next === undefined) this.#pump();
  }

  protected override finished(): void {
    this.#ended = true;
    if (this.#way === 'open') super.finished();
    else if (this.#next === undefined) this.#pump();
  }

  override _read(): void {
    if (this.#way === 'open') super._read();
    else if (this.#next === undefined) this.#pump();
  }

  #pump(): void {
    this.#next = undefined;
    if (this.#way !== 'records') return;
    const length = recordLength(this.#waiting);
    if (length === 0 || this.#waiting.length < length) {
      if (this.#ended) super.finished();
      else super._read();
      return;
    }
    const record = this.#waiting.subarray(0, length);
    this.#waiting = this.#waiting.subarray(length);
    super.arrived(record);
    // Whoever reads inside has the time to say that this was the last.
    this.#next = setImmediate(() => this.#pump());
  }
}

/** Of the first record, with its header; 0: not known yet. What is no record is TLS's to refuse. */
function recordLength(bytes: Buffer): number {
  if (bytes.length < RECORD_HEADER) return 0;
  const [type = 0, major] = bytes;
  return type >= 20 && type <= 23 && major === 3 ? RECORD_HEADER + bytes.readUInt16BE(3) : bytes.length;
}

/** TLS 1.3 sends its close_notify as application data, earlier versions as an alert; no stream of ours begins like either. */
function withoutCloseNotify(socket: Socket): void {
  const push = socket.push.bind(socket);
  let seen: Buffer = Buffer.alloc(0);
  const done = (): void => {
    Reflect.deleteProperty(socket, 'push');
  };
  socket.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (!Buffer.isBuffer(chunk)) {
      done();
      if (seen.length > 0) push(seen);
      return push(chunk, encoding);
    }
    seen = Buffer.concat([seen, chunk]);
    const length = closeNotifyLength(seen);
    if (length === 'more') return true;
    done();
    const rest = seen.subarray(length);
    return rest.length === 0 ? true : push(rest);
  };
}

/** How long the close_notify at its beginning is; 0: there is none. */
function closeNotifyLength(bytes: Buffer): number | 'more' {
  const [type, major, minor] = bytes;
  if (type !== ALERT && type !== APPLICATION_DATA) return 0;
  if ((major ?? 3) !== 3 || (minor ?? 3) > 3) return 0;
  if (bytes.length < RECORD_HEADER) return 'more';
  const length = RECORD_HEADER + bytes.readUInt16BE(3);
  if (length > CLOSE_NOTIFY_MOST) return 0;
  return bytes.length < length ? 'more' : length;
}
