/** What is wrong with a configuration (errors) and what is left out of it (warnings), each with its place. */
import { ConfigError } from '../core/errors.js';
import type { Position } from './position.js';

/** Errors beyond this many are counted, not listed: the first ones cause the rest. */
export const MAX_PROBLEMS = 100;

export class Problems {
  readonly warnings: string[] = [];
  readonly #errors: { readonly at: Position; readonly text: string }[] = [];
  readonly #fileName: string;
  readonly #said = new Set<string>();
  #more = 0;

  constructor(fileName: string) {
    this.#fileName = fileName;
  }

  error(at: Position, text: string): void {
    if (this.#errors.length < MAX_PROBLEMS) this.#errors.push({ at, text });
    else this.#more++;
  }

  /** `once`: say it once for this key. */
  warning(at: Position, text: string, once?: string): void {
    if (once !== undefined) {
      if (this.#said.has(once)) return;
      this.#said.add(once);
    }
    this.warnings.push(this.#located(at, text));
  }

  /** Throws ConfigError when there was an error: all of them, by line. */
  settle(): void {
    if (this.#errors.length === 0) return;
    const sorted = [...this.#errors].sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
    const lines = sorted.map(({ at, text }) => this.#located(at, text));
    if (this.#more > 0) lines.push(`${this.#fileName}: ${this.#more} more errors`);
    throw new ConfigError(lines);
  }

  #located(at: Position, text: string): string {
    return `${this.#fileName}:${at.line}:${at.column}: ${text}`;
  }
}
