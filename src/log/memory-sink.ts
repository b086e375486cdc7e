/** Keeps the latest records: for tests, and for log queries of a running daemon. */
import type { LogRecord } from './record.js';
import type { LogSink } from './sink.js';

export class MemorySink implements LogSink {
  readonly #capacity: number;
  readonly #records: LogRecord[] = [];
  /** Records that had to go for newer ones. */
  dropped = 0;

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  /** Oldest first. */
  get records(): readonly LogRecord[] {
    return this.#records;
  }

  write(record: LogRecord): void {
    if (this.#records.length >= this.#capacity) {
      this.#records.shift();
      this.dropped++;
    }
    this.#records.push(record);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
