/** Writes lines to a file, gathered into large writes; `-` is standard output. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { SourceError } from '../core/errors.js';
import { said } from './inputs.js';

const GATHER = 64 * 1024;

export class LineFile {
  readonly #path: string;
  /** As messages call it. */
  readonly #name: string;
  readonly #file: number;
  #lines: string[] = [];
  #size = 0;

  constructor(path: string) {
    this.#path = path;
    this.#name = path === '-' ? 'standard output' : path;
    try {
      this.#file = path === '-' ? 1 : openSync(path, 'w', 0o640);
    } catch (cause) {
      throw new SourceError(`${path}: cannot be written: ${said(cause)}`, { cause });
    }
  }

  write(line: string): void {
    this.#lines.push(line);
    this.#size += line.length;
    if (this.#size >= GATHER) this.flush();
  }

  flush(): void {
    if (this.#lines.length === 0) return;
    const bytes = Buffer.from(`${this.#lines.join('\n')}\n`);
    this.#lines = [];
    this.#size = 0;
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.#file, bytes, at);
      } catch (cause) {
        // Standard output may be a pipe that is full for a moment.
        if ((cause as NodeJS.ErrnoException).code === 'EAGAIN') continue;
        throw new SourceError(`${this.#name}: cannot be written: ${said(cause)}`, { cause });
      }
    }
  }

  close(): void {
    this.flush();
    if (this.#path !== '-') closeSync(this.#file);
  }
}
