/** Records to several places. A record is out when it is out at all of them; one that fails keeps it from no other. */
import type { LogRecord } from './record.js';
import type { LogSink } from './sink.js';

export function severalSinks(sinks: readonly LogSink[]): LogSink {
  return {
    write(record: LogRecord): void | Promise<void> {
      const waits: Promise<void>[] = [];
      let failed: { readonly error: unknown } | undefined;
      for (const sink of sinks) {
        try {
          const written = sink.write(record);
          if (written !== undefined) waits.push(written);
        } catch (error) {
          failed ??= { error };
        }
      }
      if (failed !== undefined) {
        // Nobody waits for the others any more; what they reject with is not the first failure.
        for (const each of waits) each.catch(() => {});
        throw failed.error;
      }
      if (waits.length > 0) return Promise.all(waits).then(() => {});
    },
    /** Every one of them is closed, whatever becomes of the others. */
    async close(): Promise<void> {
      const closed = await Promise.allSettled(sinks.map((sink) => sink.close()));
      for (const each of closed) if (each.status === 'rejected') throw each.reason;
    },
  };
}
