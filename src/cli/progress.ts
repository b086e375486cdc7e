/** A bar on a terminal while long work runs: bytes of all inputs. Nothing at all where standard error is no terminal. */
import type { SingleBar } from 'cli-progress';
import type { ScanInput } from './inputs.js';
import { size } from './summary.js';

/** Work that is over before this is not worth a bar. */
const PATIENCE_MS = 500;

export class Progress {
  readonly #total: number;
  readonly #wanted: boolean;
  readonly #started = Date.now();
  /** Bytes of the inputs before the present one. */
  #before = 0;
  #input: ScanInput | undefined;
  #bar: SingleBar | undefined;
  #loading = false;

  constructor(wanted: boolean, inputs: readonly ScanInput[]) {
    this.#wanted = wanted && process.stderr.isTTY === true;
    this.#total = inputs.reduce((sum, input) => sum + (input.size ?? 0), 0);
  }

  /** `done` bytes of `input` are read. */
  at(input: ScanInput, done: number): void {
    if (!this.#wanted) return;
    if (this.#input !== input) {
      this.#before += this.#input?.size ?? 0;
      this.#input = input;
    }
    if (this.#bar === undefined) {
      if (!this.#loading && Date.now() - this.#started > PATIENCE_MS) void this.#show();
      return;
    }
    this.#bar.update(this.#before + done, { input: input.name, read: size(this.#before + done) });
  }

  /** Room for a line of text. */
  clear(): void {
    if (this.#bar !== undefined) process.stderr.write('\r\x1b[K');
  }

  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  async #show(): Promise<void> {
    this.#loading = true;
    const { default: progress } = await import('cli-progress');
    const known = this.#total > 0;
    this.#bar = new progress.SingleBar({
      format: known
        ? `{bar} {percentage}% of ${size(this.#total)}, {eta_formatted} left  {input}`
        : '{read} read  {input}',
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
      stream: process.stderr,
    });
    this.#bar.start(Math.max(1, this.#total), 0, { input: '', read: size(0) });
  }
}
