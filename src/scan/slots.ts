/** So many at a time; the others wait in the order in which they came, and not for ever. */
import { SourceError } from '../core/errors.js';

interface Waiting {
  take(): void;
  readonly timer: NodeJS.Timeout | undefined;
}

export class Slots {
  #free: number;
  readonly #wait: number;
  readonly #waiting: Waiting[] = [];

  /** `wait`: milliseconds, or Infinity. */
  constructor(count: number, wait: number) {
    this.#free = count;
    this.#wait = wait;
  }

  /** Rejects with SourceError when none became free in time. */
  take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const timer = Number.isFinite(this.#wait)
        ? setTimeout(() => {
            this.#waiting.splice(this.#waiting.indexOf(entry), 1);
            reject(new SourceError(`busy with other files for ${this.#wait} ms`));
          }, this.#wait)
        : undefined;
      const entry: Waiting = { take: resolve, timer };
      this.#waiting.push(entry);
    });
  }

  giveBack(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else {
      clearTimeout(next.timer);
      next.take();
    }
  }
}
