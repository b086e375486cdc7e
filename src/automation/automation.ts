/**
 * Runs stitches: an incident that fits a trigger has the actions done in their order, each at most once within its minimum interval. What comes within it
 * waits; when it is over the last of it is done, as FortiOS has it. The actions themselves are given.
 */
import { type Incident, shortNumber } from './incident.js';
import { type Action, IOC_LEVELS, type Stitch, type Trigger } from './stitches.js';

export interface AutomationOptions {
  /** Rejects with why it could not be done. */
  perform(action: Action, incident: Incident, stitch: Stitch): Promise<void>;
  triggered(stitch: Stitch, incident: Incident): void;
  done(action: Action, stitch: Stitch, failed: string | undefined): void;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
}

/** Runs at once; what comes beyond is dropped, and that is said. */
const MOST_RUNS = 1_000;

interface Paced {
  /** When it was done last. */
  at: number;
  timer: NodeJS.Timeout | undefined;
  last: (() => void) | undefined;
}

export class Automation {
  readonly #options: AutomationOptions;
  readonly #paced = new Map<string, Paced>();
  readonly #stop = new AbortController();
  readonly #counts = { triggered: 0, done: 0, failed: 0, suppressed: 0, dropped: 0 };
  #stitches: readonly Stitch[] = [];
  #runs = 0;

  constructor(options: AutomationOptions) {
    this.#options = options;
  }

  get counts(): Readonly<Record<'triggered' | 'done' | 'failed' | 'suppressed' | 'dropped', number>> {
    return this.#counts;
  }

  get stitches(): readonly Stitch[] {
    return this.#stitches;
  }

  /** These from now on; what was begun is ended. */
  use(stitches: readonly Stitch[]): void {
    this.#stitches = stitches;
  }

  /** How many stitches it triggers. */
  happened(incident: Incident): number {
    const fitting = this.#stitches.filter((stitch) => triggers(stitch, incident));
    for (const stitch of fitting) this.run(stitch, incident);
    return fitting.length;
  }

  /** Whatever triggers it. */
  run(stitch: Stitch, incident: Incident): void {
    if (this.#stop.signal.aborted) return;
    if (this.#runs >= MOST_RUNS) {
      this.#counts.dropped++;
      return;
    }
    this.#counts.triggered++;
    this.#options.triggered(stitch, incident);
    this.#runs++;
    void this.#steps(stitch, incident).finally(() => {
      this.#runs--;
    });
  }

  stop(): void {
    this.#stop.abort();
    for (const { timer } of this.#paced.values()) clearTimeout(timer);
  }

  async #steps(stitch: Stitch, incident: Incident): Promise<void> {
    for (const { action, delay, required } of stitch.steps) {
      if (delay > 0) await this.#wait(delay);
      if (this.#stop.signal.aborted) return;
      const ok = await this.#inItsTime(action, () => this.#perform(action, incident, stitch));
      if (!ok && required) return;
    }
  }

  /** False: it failed. One that waits for its time has not. */
  #inItsTime(action: Action, perform: () => Promise<boolean>): Promise<boolean> {
    const { name, minimumInterval } = action;
    if (minimumInterval === 0) return perform();
    const now = this.#options.now();
    const paced = this.#paced.get(name);
    const left = paced === undefined ? 0 : paced.at + minimumInterval - now;
    if (paced === undefined || left <= 0) {
      this.#paced.set(name, { at: now, timer: undefined, last: undefined });
      return perform();
    }
    if (paced.last !== undefined) this.#counts.suppressed++;
    paced.last = () => void perform();
    paced.timer ??= setTimeout(() => {
      const { last } = paced;
      this.#paced.set(name, { at: this.#options.now(), timer: undefined, last: undefined });
      last?.();
    }, left).unref();
    return Promise.resolve(true);
  }

  async #perform(action: Action, incident: Incident, stitch: Stitch): Promise<boolean> {
    let failed: string | undefined;
    try {
      await this.#options.perform(action, incident, stitch);
    } catch (error) {
      failed = error instanceof Error ? error.message : String(error);
    }
    this.#counts[failed === undefined ? 'done' : 'failed']++;
    this.#options.done(action, stitch, failed);
    return failed === undefined;
  }

  #wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      timer.unref();
      this.#stop.signal.addEventListener('abort', done);
    });
  }
}

export function triggers({ name, trigger }: Stitch, incident: Incident): boolean {
  switch (incident.kind) {
    case 'ioc':
      return (
        trigger.kind === 'ioc' && IOC_LEVELS.indexOf(incident.level ?? 'medium') >= IOC_LEVELS.indexOf(trigger.level)
      );
    case 'webhook':
      return trigger.kind === 'webhook' && incident.stitch === name;
    case 'record':
      return fitsRecord(trigger, incident.fields);
  }
}

function fitsRecord(trigger: Trigger, fields: Readonly<Record<string, string>>): boolean {
  if (trigger.kind === 'log') {
    if (fields['type'] !== 'event' || !trigger.numbers.has(shortNumber(fields['logid'] ?? ''))) return false;
  } else if (trigger.kind !== 'virus' || fields['subtype'] !== 'virus') return false;
  return trigger.filters.every(({ name, fits }) => fits(fields[name] ?? ''));
}
