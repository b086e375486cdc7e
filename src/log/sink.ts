/**
 * Where records go. A sink formats, because what is around the line (priority, device name) depends on where it goes.
 * Sinks that must be safe before a verdict is released write synchronously or answer with a promise.
 */
import type { LogRecord } from './record.js';

export interface LogSink {
  /**
   * Write one record. When it returns, or when the promise that it returned settles, the record is out of this process; the verdict that
   * it speaks of waits for that. Fails with SourceError.
   */
  write(record: LogRecord): void | Promise<void>;
  /** Everything written is out; nothing may be written afterwards. */
  close(): Promise<void>;
}
