/**
 * Scans inputs one after the other: in this thread, or a large capture shared by several. Whoever does the work, the same events are delivered
 * in the same order.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ConfigError, InternalError, SourceError } from '../core/errors.js';
import { MiB } from '../core/limits.js';
import { hasRules } from '../scan/signatures.js';
import { EventMerge } from './event-queue.js';
import type { ScanEvent } from './events.js';
import { type Deliver, type InputReport, type ScanSetup, ScanThread } from './scan-thread.js';
import type { Failure, FromWorker, ToWorker, WorkerJob } from './worker.js';

export interface CaptureJob {
  /** A path, or `-` for standard input. */
  readonly name: string;
  /** Bytes; undefined where it cannot be known. */
  readonly size: number | undefined;
  readonly deliver: Deliver;
  readonly advance: (done: number) => void;
}

export interface FileJob {
  readonly name: string;
  readonly message: boolean;
  readonly deliver: Deliver;
  readonly advance: (done: number) => void;
}

/** Whoever scans inputs: this process and its threads, or other machines. */
export interface InputScanner {
  capture(job: CaptureJob): Promise<InputReport>;
  file(job: FileJob): Promise<InputReport>;
  close(): Promise<void>;
}

/** A thread that reads a capture keeps so many processes busy that run rules. */
const RULES_A_THREAD = 6;
/** Input that is worth starting a process to run rules on, bytes: it takes as long to start. */
const RULES_WORTH_A_PROCESS = 16 * MiB;

/** Input that is worth a thread which hashes and searches: below, V8 compiles on the second core for as long as it takes to read. */
const WORTH_A_DIGEST_THREAD = 256 * MiB;

export class Scan implements InputScanner {
  readonly #setup: ScanSetup;
  /** Threads that share a capture. */
  readonly #threads: number;
  #thread: Promise<ScanThread> | undefined;
  readonly #workers: Worker[] = [];

  /**
   * `jobs`: cores to use; undefined: two, one to read and one to hash and search what is large, and all where there are YARA rules, which cost more
   * than all the rest. `largest`: bytes of the largest input to come, where that is known: memory is shared with a second thread for large ones only,
   * since what is copied into it from elsewhere takes longer. Throws ConfigError where signatures cannot be read.
   */
  constructor(setup: ScanSetup, jobs?: number, largest = Number.POSITIVE_INFINITY) {
    if (hasRules(setup.signatures)) {
      const cores = jobs ?? availableParallelism();
      this.#threads = Math.ceil(cores / RULES_A_THREAD);
      // Files that are kept are kept while the capture is read: nothing is, where the rules turn out to be wrong.
      const rulesLater = setup.extract === undefined;
      this.#setup = { ...setup, ruleProcesses: Math.ceil(cores / this.#threads), rulesLater };
    } else {
      const cores = jobs ?? Math.min(2, availableParallelism());
      this.#threads = Math.max(1, Math.floor(cores / 2));
      this.#setup = { ...setup, digestThread: cores > 1 && largest >= WORTH_A_DIGEST_THREAD };
    }
  }

  /** Rejects with SourceError when the input cannot be opened; what can be read of a damaged one is delivered, and the report says what is wrong. */
  async capture(job: CaptureJob): Promise<InputReport> {
    const threads = job.size === undefined ? 1 : this.#threads;
    if (threads === 1) {
      const merge = new OrderedDelivery(1, job.deliver);
      const thread = await this.#own(job.size ?? 0);
      if (isLarge(job)) thread.startDigestThread();
      const report = await thread.capture(
        job.name,
        { index: 0, count: 1 },
        (events, upTo) => merge.add(0, events, upTo),
        job.advance,
      );
      await merge.end();
      return report;
    }
    return this.#shared(job, threads);
  }

  async file(job: FileJob): Promise<InputReport> {
    const thread = await this.#own(0);
    return thread.file(job.name, job.message, job.deliver, job.advance);
  }

  async close(): Promise<void> {
    (await this.#thread)?.close();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** `work`: bytes of the first input. */
  #own(work: number): Promise<ScanThread> {
    this.#thread ??= ScanThread.start({ ...this.#setup, ruleProcessesAtOnce: Math.ceil(work / RULES_WORTH_A_PROCESS) });
    return this.#thread;
  }

  async #shared(job: CaptureJob, count: number): Promise<InputReport> {
    while (this.#workers.length < count) {
      // Memory for files is shared out, so that a thread more does not take as much again; what does not fit is spooled.
      const { limits } = this.#setup;
      const slots = Math.max(2 * limits.slot, Math.floor(limits.slots / count));
      const workerData: ScanSetup = { ...this.#setup, limits: { ...limits, slots } };
      this.#workers.push(new Worker(new URL('./worker.js', import.meta.url), { workerData }));
    }
    const merge = new OrderedDelivery(count, job.deliver);
    const done = new Array<number>(count).fill(0);
    // All of them: the next input must not hear what a worker still says of this one.
    const settled = await Promise.allSettled(
      this.#workers.slice(0, count).map((worker, index) =>
        workOn(
          worker,
          { name: job.name, share: { index, count }, large: isLarge(job) },
          {
            events: (events, upTo) => merge.add(index, events, upTo),
            advance: (bytes) => {
              done[index] = bytes;
              job.advance(Math.min(...done));
            },
          },
        ),
      ),
    );
    const reports: InputReport[] = [];
    for (const each of settled) {
      if (each.status === 'rejected') throw each.reason;
      reports.push(each.value);
    }
    await merge.end();
    const [first] = reports;
    if (first === undefined) throw new InternalError('a capture was shared by no worker');
    return { ...first, failures: reports.flatMap((report) => report.failures) };
  }
}

function isLarge({ size }: CaptureJob): boolean {
  return size !== undefined && size >= WORTH_A_DIGEST_THREAD;
}

/** Delivers in order, one at a time; `add` and `end` wait while the receiver does. */
class OrderedDelivery {
  readonly #merge: EventMerge;
  readonly #deliver: Deliver;
  #queue: ScanEvent[] = [];
  #delivering: Promise<void> | undefined;

  constructor(sources: number, deliver: Deliver) {
    this.#deliver = deliver;
    this.#merge = new EventMerge(sources, (event) => this.#queue.push(event));
  }

  add(source: number, events: readonly ScanEvent[], upTo: number): void | Promise<void> {
    this.#merge.add(source, events, upTo);
    if (this.#delivering === undefined && this.#queue.length > 0) {
      const pending = this.#drain();
      if (pending !== undefined) {
        this.#delivering = pending.finally(() => {
          this.#delivering = undefined;
        });
      }
    }
    return this.#delivering;
  }

  async end(): Promise<void> {
    await this.#delivering;
    await this.#drain();
  }

  #drain(): Promise<void> | undefined {
    const queue = this.#queue;
    for (let at = 0; at < queue.length; at++) {
      const event = queue[at];
      if (event === undefined) continue;
      const pending = this.#deliver(event);
      if (pending !== undefined) {
        this.#queue = queue.slice(at + 1);
        return pending.then(() => this.#drain());
      }
    }
    this.#queue = [];
    return undefined;
  }
}

interface WorkerCallbacks {
  events(events: readonly ScanEvent[], upTo: number): void | Promise<void>;
  advance(bytes: number): void;
}

/** One job of a worker, to its report. */
function workOn(worker: Worker, job: WorkerJob, callbacks: WorkerCallbacks): Promise<InputReport> {
  return new Promise((resolve, reject) => {
    const tell = (message: ToWorker) => worker.postMessage(message);
    const settle = (act: () => void) => {
      worker.off('message', hear);
      worker.off('error', fail);
      worker.off('exit', left);
      act();
    };
    const fail = (error: Error) => settle(() => reject(error));
    const left = (code: number) => settle(() => reject(new InternalError(`a scanning thread ended with ${code}`)));
    const hear = (message: FromWorker) => {
      switch (message.kind) {
        case 'events':
          // In a chain, so that what is thrown at once is a rejection, too.
          Promise.resolve()
            .then(() => callbacks.events(message.events, message.upTo))
            .then(() => tell({ kind: 'taken' }), fail);
          break;
        case 'advance':
          callbacks.advance(message.bytes);
          break;
        case 'done':
          settle(() => resolve(message.report));
          break;
        case 'failed':
          settle(() => reject(errorOf(message.failure)));
          break;
      }
    };
    worker.on('message', hear);
    worker.on('error', fail);
    worker.on('exit', left);
    tell({ kind: 'job', job });
  });
}

function errorOf({ name, message }: Failure): Error {
  if (name === 'ConfigError') return new ConfigError(message.split('\n'));
  return name === 'SourceError' ? new SourceError(message) : new InternalError(message);
}
