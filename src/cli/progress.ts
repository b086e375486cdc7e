/** A bar on a terminal while long work runs: bytes of all inputs. Nothing at all where standard error is no terminal. */
import type { SingleBar } from 'cli-progress';
import type { ScanInput } from './inputs.js';
import { size } from './summary.js';

/** Work that is over before this is not worth a bar. */
const PATIENCE_MS = 500;

type Library = typeof import('cli-progress');

export class Progress {
  readonly #library: Library | undefined;
  readonly #total: number;
  readonly #started = Date.now();
  /** Bytes of the inputs before the present one. */
  #before = 0;
  #input: ScanInput | undefined;
  #bar: SingleBar | undefined;

  /** The library is loaded now: reading a file does not wait for anything, a bar that is being loaded meanwhile would never show. */
  static async of(inputs: readonly ScanInput[], wanted: boolean): Promise<Progress> {
    const shown = wanted && process.stderr.isTTY === true;
    return new Progress(inputs, shown ? (await import('cli-progress')).default : undefined);
  }

  private constructor(inputs: readonly ScanInput[], library: Library | undefined) {
    this.#library = library;
    this.#total = inputs.reduce((sum, input) => sum + (input.size ?? 0), 0);
  }

  /** `done` bytes of `input` are read. */
  at(input: ScanInput, done: number): void {
    if (this.#library === undefined) return;
    if (this.#input !== input) {
      this.#before += this.#input?.size ?? 0;
      this.#input = input;
    }
    if (this.#bar === undefined) {
      if (Date.now() - this.#started < PATIENCE_MS) return;
      this.#bar = this.#show(this.#library);
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

  #show(library: Library): SingleBar {
    const known = this.#total > 0;
    const bar = new library.SingleBar({
      format: known
        ? `{bar} {percentage}% of ${size(this.#total)}, {eta_formatted} left  {input}`
        : '{read} read  {input}',
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
      stream: process.stderr,
    });
    bar.start(Math.max(1, this.#total), 0, { input: '', read: size(0) });
    return bar;
  }
}
