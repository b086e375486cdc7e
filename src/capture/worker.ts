/** A thread that takes a share of a capture's connections. It reads the whole capture itself: no bytes cross threads, only events. */
import { parentPort, workerData } from 'node:worker_threads';
import { ConfigError, SourceError } from '../core/errors.js';
import type { ScanEvent } from './events.js';
import { type InputReport, type ScanSetup, ScanThread } from './scan-thread.js';
import type { Share } from './share.js';

export interface WorkerJob {
  readonly name: string;
  readonly share: Share;
  /** There is much to be read. */
  readonly large: boolean;
}

export type ToWorker = { readonly kind: 'job'; readonly job: WorkerJob } | { readonly kind: 'taken' };
export type FromWorker =
  | { readonly kind: 'events'; readonly events: readonly ScanEvent[]; readonly upTo: number }
  | { readonly kind: 'advance'; readonly bytes: number }
  | { readonly kind: 'done'; readonly report: InputReport }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error without its class, which does not cross threads. */
export interface Failure {
  readonly name: string;
  readonly message: string;
}

/** Batches under way to the main thread before the worker waits for it. */
const AHEAD = 16;

const port = parentPort;
if (port === null) throw new SourceError('this file is started as a worker thread only');

const starting = ScanThread.start(workerData as ScanSetup);
// Told to whoever asks for work; until then it is nobody's.
starting.catch(() => {});
let ahead = 0;
let resume: (() => void) | undefined;
const post = (message: FromWorker) => port.postMessage(message);

async function work(job: WorkerJob): Promise<void> {
  try {
    const thread = await starting;
    if (job.large) thread.startDigestThread();
    const report = await thread.capture(
      job.name,
      job.share,
      (events, upTo) => {
        post({ kind: 'events', events, upTo });
        if (++ahead < AHEAD) return undefined;
        return new Promise<void>((resolve) => {
          resume = resolve;
        });
      },
      (bytes) => post({ kind: 'advance', bytes }),
    );
    post({ kind: 'done', report });
  } catch (error) {
    const known = error instanceof ConfigError || error instanceof SourceError;
    post({
      kind: 'failed',
      failure: known
        ? { name: error.name, message: error.message }
        : { name: 'InternalError', message: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    });
  }
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'taken') {
    ahead--;
    resume?.();
    resume = undefined;
  } else void work(message.job);
});
