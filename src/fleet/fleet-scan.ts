/**
 * Scans inputs on other machines: each is a job in the queue, and what workers found of it comes back as the events that a scan here would
 * have delivered, input by input in the order that they were named.
 */
import { type Job, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import type { ScanEvent } from '../capture/events.js';
import type { CaptureJob, FileJob, InputScanner } from '../capture/scan.js';
import type { Deliver, InputReport } from '../capture/scan-thread.js';
import { SourceError } from '../core/errors.js';
import { connectRedis } from './connection.js';
import { type JobData, type JobResult, RESULTS_LIFE } from './jobs.js';

export interface FleetInput {
  /** As the user named it. */
  readonly name: string;
  readonly data: JobData;
}

/** An input fails for good after as many attempts. */
const ATTEMPTS = 3;
const BACKOFF = 1_000;
/** Milliseconds between two looks whether a job ended whose end was not heard of. */
const LOOK = 5_000;

export class FleetScan implements InputScanner {
  readonly #redis: Redis;
  readonly #queue: Queue<JobData, JobResult>;
  readonly #events: QueueEvents;
  readonly #jobs = new Map<string, Job<JobData, JobResult>>();
  readonly #advance = new Map<string, (done: number) => void>();
  /** Jobs that were waited for. */
  readonly #taken = new Set<string>();

  /** Submits all inputs. Rejects with ConfigError or SourceError. */
  static async start(url: string, queue: string, inputs: readonly FleetInput[]): Promise<FleetScan> {
    const scan = new FleetScan(await connectRedis(url), queue);
    await scan.#events.waitUntilReady();
    const jobs = await scan.#queue.addBulk(
      inputs.map(({ name, data }) => ({
        name,
        data,
        opts: {
          attempts: ATTEMPTS,
          backoff: { type: 'exponential', delay: BACKOFF },
          removeOnComplete: { age: RESULTS_LIFE },
          removeOnFail: { age: RESULTS_LIFE },
        },
      })),
    );
    for (const [at, job] of jobs.entries()) scan.#jobs.set(inputs[at]?.name ?? '', job as Job<JobData, JobResult>);
    return scan;
  }

  private constructor(redis: Redis, queue: string) {
    this.#redis = redis;
    this.#queue = new Queue<JobData, JobResult>(queue, { connection: redis });
    // It waits on its connection, so it needs one of its own.
    this.#events = new QueueEvents(queue, { connection: redis.duplicate() });
    this.#queue.on('error', () => {});
    this.#events.on('error', () => {});
    this.#events.on('progress', ({ jobId, data }) => {
      if (typeof data === 'number') this.#advance.get(jobId)?.(data);
    });
  }

  capture(job: CaptureJob): Promise<InputReport> {
    return this.#await(job.name, job.deliver, job.advance);
  }

  file(job: FileJob): Promise<InputReport> {
    return this.#await(job.name, job.deliver, job.advance);
  }

  /** What nobody waits for any more is taken back, unless a worker is at it. */
  async close(): Promise<void> {
    for (const [name, job] of this.#jobs) if (!this.#taken.has(name)) await job.remove().catch(() => {});
    await Promise.allSettled([this.#events.close(), this.#queue.close()]);
    this.#redis.disconnect();
  }

  async #await(name: string, deliver: Deliver, advance: (done: number) => void): Promise<InputReport> {
    const job = this.#jobs.get(name);
    if (job?.id === undefined) throw new SourceError(`${name}: was not submitted`);
    this.#advance.set(job.id, advance);
    const { events, report } = await this.#finished(job);
    this.#taken.add(name);
    this.#advance.delete(job.id);
    for (let at = 0; ; at++) {
      const piece = await this.#redis.lindex(events, at);
      if (piece === null) break;
      for (const event of JSON.parse(piece) as ScanEvent[]) await deliver(event);
    }
    await this.#redis.del(events);
    return report;
  }

  async #finished(job: Job<JobData, JobResult>): Promise<JobResult> {
    for (;;) {
      try {
        return await job.waitUntilFinished(this.#events, LOOK);
      } catch (error) {
        const state = await job.getState();
        if (state === 'failed') throw new SourceError(await failure(this.#queue, job));
        if (state === 'unknown') throw new SourceError('it was taken out of the queue');
        // Not yet: the wait has an end so that one lost message does not last for ever.
        if (!(error instanceof Error) || !/timed out/.test(error.message)) throw error;
      }
    }
  }
}

async function failure(queue: Queue<JobData, JobResult>, { id }: Job): Promise<string> {
  const job = id === undefined ? undefined : await queue.getJob(id);
  const reason = job?.failedReason ?? 'it failed';
  return /stalled more than/.test(reason) ? 'each worker that tried it ended in the middle' : reason;
}
