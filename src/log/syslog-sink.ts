/**
 * Sends records to a syslog server as `config log syslogd setting` does: UDP datagrams, or TCP with octet counting (`mode reliable`,
 * RFC 6587), which is kept connected and reconnected. Not done: `mode legacy-reliable` (RFC 3195), `enc-algorithm` (TLS, RFC 5425) and
 * `max-log-rate`. UDP says nothing of records that got lost; TCP keeps what could not be sent, up to a limit, and counts what it drops.
 */
import { Buffer } from 'node:buffer';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import { SourceError } from '../core/errors.js';
import { messageOf } from './file-sink.js';
import { type FormatOptions, formatRecord, type LogFormat } from './format.js';
import type { LogRecord } from './record.js';
import type { LogSink } from './sink.js';
import { type Facility, octetCounted, withPriority } from './syslog.js';

export interface SyslogOptions {
  readonly server: string;
  /** FortiOS's default: 514. */
  readonly port?: number;
  readonly mode: 'udp' | 'reliable';
  /** FortiOS's default: local7. */
  readonly facility?: Facility;
  readonly format: LogFormat;
  readonly device?: NonNullable<FormatOptions['device']>;
  /** Milliseconds between attempts to connect. */
  readonly retry?: number;
  /** Bytes that wait for a TCP server before new records are dropped. */
  readonly backlog?: number;
}

const DEFAULT_PORT = 514;
const DEFAULT_RETRY = 5_000;
const DEFAULT_BACKLOG = 1024 * 1024;
/** How long `close` waits for a server that does not take what is left. */
const LAST_WAIT = 5_000;
/** RFC 5426 §3.2 asks receivers for 2,048 bytes; a datagram holds no more than this, and a longer record is cut there. */
const LARGEST_DATAGRAM = 65_000;

/** One message of syslog: line with priority. */
export function syslogMessage(
  record: LogRecord,
  options: Pick<SyslogOptions, 'format' | 'facility' | 'device'>,
): string {
  const { format, device, facility = 'local7' } = options;
  const line = formatRecord(record, format, device === undefined ? { facility } : { facility, device });
  // RFC 5424 has the priority in its own grammar, and so in the line.
  return format === 'rfc5424' ? line : withPriority(line, facility, record.level);
}

/** The sender for a mode; `dropped` counts the records that never went. */
export function syslogSink(options: SyslogOptions): UdpSyslogSink | TcpSyslogSink {
  return options.mode === 'udp' ? new UdpSyslogSink(options) : new TcpSyslogSink(options);
}

class UdpSyslogSink implements LogSink {
  readonly #options: SyslogOptions;
  readonly #socket: UdpSocket;
  /** Records that the system did not take. */
  dropped = 0;

  constructor(options: SyslogOptions) {
    this.#options = options;
    this.#socket = createSocket(isIPv6(options.server) ? 'udp6' : 'udp4');
    // ICMP errors of earlier datagrams come here; there is nobody to tell.
    this.#socket.on('error', () => this.dropped++);
    this.#socket.unref();
  }

  /** Settles when the system has the datagram, also when it could not be sent: UDP never holds a verdict up. */
  write(record: LogRecord): Promise<void> {
    const datagram = Buffer.from(syslogMessage(record, this.#options)).subarray(0, LARGEST_DATAGRAM);
    return new Promise((resolve) => {
      this.#socket.send(datagram, this.#options.port ?? DEFAULT_PORT, this.#options.server, (error) => {
        if (error !== null) this.dropped++;
        resolve();
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(resolve));
  }
}

class TcpSyslogSink implements LogSink {
  readonly #options: SyslogOptions;
  #socket: Socket | undefined;
  #connected = false;
  #retryTimer: NodeJS.Timeout | undefined;
  /** Framed messages that no connection took yet, oldest first. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #closed = false;
  /** Why there is no connection at present. */
  lastError: string | undefined;
  /** Records that found the backlog full. */
  dropped = 0;

  constructor(options: SyslogOptions) {
    this.#options = options;
    this.#connect();
  }

  write(record: LogRecord): void {
    if (this.#closed) throw new SourceError(`syslog ${this.#name()} is closed`);
    const frame = octetCounted(syslogMessage(record, this.#options));
    const buffered = this.#waitingBytes + (this.#socket?.writableLength ?? 0);
    if (buffered + frame.length > (this.#options.backlog ?? DEFAULT_BACKLOG)) {
      this.dropped++;
    } else if (this.#connected && this.#socket !== undefined) {
      this.#socket.write(frame);
    } else {
      this.#waiting.push(frame);
      this.#waitingBytes += frame.length;
    }
  }

  /** Waits until what is buffered has been sent; fails when there is no connection to send it on. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    if (socket !== undefined) await new Promise<void>((resolve) => this.#finish(socket, resolve));
    if (this.#waiting.length > 0) {
      const left = this.#waiting.length;
      throw new SourceError(`syslog ${this.#name()}: ${left} records not sent (${this.lastError ?? 'not connected'})`);
    }
  }

  #finish(socket: Socket, done: () => void): void {
    const patience = setTimeout(() => socket.destroy(), LAST_WAIT);
    socket.once('close', () => {
      clearTimeout(patience);
      done();
    });
    if (this.#connected) socket.end();
    else socket.once('connect', () => socket.end());
  }

  #connect(): void {
    const socket = connect({ host: this.#options.server, port: this.#options.port ?? DEFAULT_PORT });
    this.#socket = socket;
    socket.setKeepAlive(true, 30_000);
    socket.on('connect', () => {
      this.#connected = true;
      this.lastError = undefined;
      for (const frame of this.#waiting) socket.write(frame);
      this.#waiting = [];
      this.#waitingBytes = 0;
    });
    // A syslog server sends nothing; reading is how its FIN is seen.
    socket.on('data', () => undefined);
    socket.on('error', (error) => {
      this.lastError = messageOf(error);
    });
    socket.on('close', () => {
      this.#connected = false;
      this.#socket = undefined;
      if (!this.#closed) this.#retryTimer = setTimeout(() => this.#connect(), this.#options.retry ?? DEFAULT_RETRY);
      this.#retryTimer?.unref();
    });
  }

  #name(): string {
    return `${this.#options.server}:${this.#options.port ?? DEFAULT_PORT}`;
  }
}
