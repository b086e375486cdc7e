/** Writes lines to a stream, standard output above all, and waits while its reader is slower. */
import type { Writable } from 'node:stream';
import { SourceError } from '../core/errors.js';
import { messageOf } from './file-sink.js';
import { type FormatOptions, formatRecord, type LogFormat } from './format.js';
import type { LogRecord } from './record.js';
import type { LogSink } from './sink.js';

export class StreamSink implements LogSink {
  readonly #stream: Writable;
  readonly #format: LogFormat;
  readonly #options: FormatOptions;
  #failure: SourceError | undefined;
  /** Of the present wait for room; all writers share it. */
  #drained: Promise<void> | undefined;
  readonly #onError = (cause: unknown): void => {
    this.#failure = new SourceError(`log output cannot be written: ${messageOf(cause)}`, { cause });
  };

  constructor(stream: Writable, format: LogFormat, options: FormatOptions = {}) {
    this.#stream = stream;
    this.#format = format;
    this.#options = options;
    stream.on('error', this.#onError);
  }

  /** A promise when the stream's buffer is full: it settles when there is room again, so a writer that waits keeps memory bounded. */
  write(record: LogRecord): void | Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#stream.write(`${formatRecord(record, this.#format, this.#options)}\n`)) return;
    this.#drained ??= this.#room();
    return this.#drained;
  }

  /** Flushes; the stream itself stays open, it is its owner's. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#stream.write('', (error) => (error ? reject(this.#failed(error)) : resolve()));
    });
    this.#stream.off('error', this.#onError);
  }

  #room(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#stream.off('drain', settle);
        this.#stream.off('error', settle);
        this.#stream.off('close', settle);
        this.#drained = undefined;
        if (this.#failure !== undefined) reject(this.#failure);
        else if (this.#stream.destroyed) reject(this.#failed(new Error('its reader is gone')));
        else resolve();
      };
      this.#stream.on('drain', settle);
      this.#stream.on('error', settle);
      this.#stream.on('close', settle);
    });
  }

  #failed(cause: unknown): SourceError {
    if (this.#failure === undefined) this.#onError(cause);
    return this.#failure ?? new SourceError('log output failed');
  }
}
