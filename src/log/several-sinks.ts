/** Records to several places. A record is out when it is out at all of them. */
import type { LogRecord } from './record.js';
import type { LogSink } from './sink.js';

export function severalSinks(sinks: readonly LogSink[]): LogSink {
  return {
    write(record: LogRecord): void | Promise<void> {
      let waits: Promise<void>[] | undefined;
      for (const sink of sinks) {
        const written = sink.write(record);
        if (written === undefined) continue;
        waits ??= [];
        waits.push(written);
      }
      if (waits !== undefined) return Promise.all(waits).then(() => {});
    },
    async close(): Promise<void> {
      await Promise.all(sinks.map((sink) => sink.close()));
    },
  };
}
