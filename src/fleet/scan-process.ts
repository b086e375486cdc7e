/**
 * Scans for a fleet worker in a process of its own: the worker must keep telling Redis that it lives while this one is busy, and what
 * an input does to it ends here.
 */

import type { ScanEvent } from '../capture/events.js';
import { Scan } from '../capture/scan.js';
import type { InputReport, ScanSetup } from '../capture/scan-thread.js';
import { readConfig } from '../config/config.js';
import { ConfigError, SourceError } from '../core/errors.js';
import type { JobData } from './jobs.js';

export interface ToScanner {
  readonly setup: Omit<ScanSetup, 'config' | 'hashMessages'>;
  readonly job: JobData;
}

export type FromScanner =
  | { readonly kind: 'events'; readonly events: readonly ScanEvent[] }
  | { readonly kind: 'done'; readonly bytes: number }
  | { readonly kind: 'report'; readonly report: InputReport }
  /** `final`: another attempt would say the same. */
  | { readonly kind: 'failed'; readonly message: string; readonly final: boolean };

/** Events that go over at once. */
const BATCH = 256;
/** Milliseconds between two words of progress. */
const PATIENCE = 500;

async function scan({ setup, job }: ToScanner): Promise<void> {
  const config = job.config === undefined ? undefined : readConfig(job.config.text, job.config.name).config;
  const running = new Scan({ ...setup, config, hashMessages: job.hashMessages });
  let batch: ScanEvent[] = [];
  let told = 0;
  const flush = async (): Promise<void> => {
    const events = batch;
    batch = [];
    if (events.length > 0) await say({ kind: 'events', events });
  };
  const deliver = (event: ScanEvent): void | Promise<void> => {
    batch.push(event);
    return batch.length >= BATCH ? flush() : undefined;
  };
  const advance = (bytes: number): void => {
    if (Date.now() - told < PATIENCE) return;
    told = Date.now();
    void say({ kind: 'done', bytes });
  };
  const { path: name, size } = job;
  try {
    const report = await (job.kind === 'capture'
      ? running.capture({ name, size, deliver, advance })
      : running.file({ name, message: job.kind === 'message', deliver, advance }));
    await flush();
    await say({ kind: 'report', report });
  } finally {
    await running.close();
  }
}

/** Settles when the worker has taken it. */
function say(message: FromScanner): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

process.on('disconnect', () => process.exit(1));
process.once('message', (message: ToScanner) => {
  scan(message)
    .catch((error: unknown) => {
      const final = error instanceof SourceError || error instanceof ConfigError;
      return say({ kind: 'failed', message: error instanceof Error ? error.message : String(error), final });
    })
    .then(
      () => process.disconnect(),
      () => process.exit(1),
    );
});
