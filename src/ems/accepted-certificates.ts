/** Certificates of EMS that a person accepted (`execute fctems verify`), by the name of the EMS: SHA-256, in a file of the state directory. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { SourceError } from '../core/errors.js';
import { isRecord } from './reply.js';

export const FINGERPRINT = /^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/;

export class AcceptedCertificates {
  readonly #path: string;
  readonly #accepted = new Map<string, string>();

  constructor(path: string) {
    this.#path = path;
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(path, 'utf8'));
    } catch {
      // None was accepted yet; what cannot be read accepts nothing.
      return;
    }
    if (!isRecord(value)) return;
    for (const [name, fingerprint] of Object.entries(value))
      if (typeof fingerprint === 'string' && FINGERPRINT.test(fingerprint)) this.#accepted.set(name, fingerprint);
  }

  get(name: string): string | undefined {
    return this.#accepted.get(name);
  }

  /** Throws SourceError: it cannot be kept. */
  accept(name: string, fingerprint: string): void {
    this.#accepted.set(name, fingerprint);
    try {
      writeFileSync(`${this.#path}.draft`, JSON.stringify(Object.fromEntries(this.#accepted)), { mode: 0o600 });
      renameSync(`${this.#path}.draft`, this.#path);
    } catch (cause) {
      throw new SourceError(`${this.#path}: ${cause instanceof Error ? cause.message : ''}`, { cause });
    }
  }
}
