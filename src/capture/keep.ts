/** Keeps extracted files under the names of their hashes, never under a name from the wire. */
import { closeSync, linkSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { Content } from '../core/file.js';

const PIECE = 1024 * 1024;

/** One thread's files. Files are whole when they have their name; one that is there already is left alone. */
export class Keeper {
  readonly #directory: string;
  #count = 0;
  #failure: string | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What kept the first file from being kept that could not be. What follows it is not tried: the disk is full, or the directory gone. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** A `keep` for Inspection. Never throws: a file is no worse because there is no room for a copy of it. */
  readonly keep = (sha256: string, content: Content): void => {
    if (this.#failure !== undefined) return;
    try {
      this.#write(sha256, content);
    } catch (error) {
      this.#failure = `${this.#directory}: files cannot be kept there: ${error instanceof Error ? error.message : String(error)}`;
    }
  };

  #write(sha256: string, content: Content): void {
    const partial = join(this.#directory, `.${process.pid}-${threadId}-${++this.#count}.partial`);
    const file = openSync(partial, 'wx', 0o600);
    try {
      try {
        for (let at = 0; at < content.length; ) {
          const piece = content.read(at, PIECE);
          for (let written = 0; written < piece.length; ) written += writeSync(file, piece, written);
          at += piece.length;
        }
      } finally {
        closeSync(file);
      }
      linkSync(partial, join(this.#directory, sha256));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      unlinkSync(partial);
    }
  }
}
