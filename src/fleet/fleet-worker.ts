/**
 * A machine that scans for others: takes inputs from the queue, scans each in a process of its own, and leaves what was found in Redis. When
 * it dies in the middle, BullMQ sees its lock run out and gives the input to another.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Job, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { ScanEvent } from '../capture/events.js';
import type { InputReport, ScanSetup } from '../capture/scan-thread.js';
import { connectRedis } from './connection.js';
import { eventsKey, type JobData, type JobResult, MOST_RESULTS, PIECE, RESULTS_LIFE } from './jobs.js';
import type { FromScanner, ToScanner } from './scan-process.js';

export interface FleetWorkerOptions {
  readonly redis: string;
  readonly queue: string;
  /** Inputs at once. */
  readonly jobs: number;
  /** Seconds of silence after which a worker is taken for dead. */
  readonly lock: number;
  /** What scanning needs that is this machine's: signatures, credentials, clamd. */
  readonly setup: Omit<ScanSetup, 'config' | 'hashMessages'>;
  say(line: string): void;
}

export class FleetWorker {
  readonly #options: FleetWorkerOptions;
  readonly #redis: Redis;
  readonly #worker: Worker<JobData, JobResult>;

  /** Takes inputs when it settles. Rejects with ConfigError or SourceError. */
  static async start(options: FleetWorkerOptions): Promise<FleetWorker> {
    const worker = new FleetWorker(options, await connectRedis(options.redis));
    await worker.#worker.waitUntilReady();
    return worker;
  }

  private constructor(options: FleetWorkerOptions, redis: Redis) {
    this.#options = options;
    this.#redis = redis;
    this.#worker = new Worker<JobData, JobResult>(options.queue, (job, token) => this.#scan(job, token ?? ''), {
      connection: redis,
      concurrency: options.jobs,
      lockDuration: options.lock * 1000,
      stalledInterval: options.lock * 500,
      // Inputs that kill their workers: after this they are called so.
      maxStalledCount: 2,
    });
    this.#worker.on('error', (error) => options.say(`Redis: ${error.message}`));
    this.#worker.on('completed', (job) => options.say(`${job.data.path}: done`));
    this.#worker.on('failed', (job, error) => options.say(`${job?.data.path ?? 'an input'}: ${error.message}`));
  }

  /** Ends what it is at, takes nothing more. `now`: gives up what it is at; another worker will do it. */
  async close(now: boolean): Promise<void> {
    // Without Redis nothing can be ended properly.
    const lost = new Promise<'lost'>((resolve) => {
      if (this.#redis.status !== 'ready') resolve('lost');
      this.#redis.once('close', () => resolve('lost'));
    });
    if (!now && (await Promise.race([lost, this.#worker.close()])) !== 'lost') {
      this.#redis.disconnect();
      return;
    }
    void this.#worker.close(true).catch(() => {});
    this.#redis.disconnect();
  }

  async #scan(job: Job<JobData, JobResult>, token: string): Promise<JobResult> {
    const events = eventsKey(this.#options.queue, job.id ?? '', `${token}:${job.attemptsStarted}`);
    const results = new Results(this.#redis, events);
    await this.#redis.del(events);
    const report = await inProcess({ setup: this.#options.setup, job: job.data }, results, (bytes) => {
      void job.updateProgress(bytes).catch(() => {});
    });
    await results.end();
    return { events, report };
  }
}

/** The events of one input, gathered into pieces. */
class Results {
  readonly #redis: Redis;
  readonly #key: string;
  #piece: string[] = [];
  #size = 0;
  #total = 0;
  #written: Promise<unknown> = Promise.resolve();

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  /** False: there are too many. */
  add(events: readonly ScanEvent[]): boolean {
    for (const event of events) {
      const text = JSON.stringify(event);
      this.#piece.push(text);
      this.#size += text.length + 1;
      this.#total += text.length + 1;
    }
    if (this.#size >= PIECE) this.#flush();
    return this.#total <= MOST_RESULTS;
  }

  /** Settles when all is in Redis; rejects when something is not. */
  async end(): Promise<void> {
    this.#flush();
    await this.#written;
  }

  #flush(): void {
    if (this.#piece.length === 0) return;
    const text = `[${this.#piece.join(',')}]`;
    this.#piece = [];
    this.#size = 0;
    this.#written = this.#written.then(() =>
      this.#redis.multi().rpush(this.#key, text).expire(this.#key, RESULTS_LIFE).exec(),
    );
    // Whoever asks `end` learns of it.
    this.#written.catch(() => {});
  }
}

function inProcess(what: ToScanner, results: Results, progress: (bytes: number) => void): Promise<InputReport> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('scan-process.js', import.meta.url)), { serialization: 'advanced' });
    let answer: Extract<FromScanner, { kind: 'report' | 'failed' }> | undefined;
    child.on('message', (message: FromScanner) => {
      if (message.kind === 'done') progress(message.bytes);
      else if (message.kind !== 'events') answer = message;
      else if (!results.add(message.events)) {
        answer = { kind: 'failed', message: 'too much was found to keep', final: true };
        child.kill('SIGKILL');
      }
    });
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      if (answer?.kind === 'report') resolve(answer.report);
      else if (answer === undefined) reject(new Error(`the scanning process ended (${signal ?? `status ${status}`})`));
      else if (answer.final) reject(new UnrecoverableError(answer.message));
      else reject(new Error(answer.message));
    });
    child.send(what);
  });
}
