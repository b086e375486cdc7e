/** Keeps extracted files under the names of their hashes, never under a name from the wire. */
import { closeSync, linkSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { SourceError } from '../core/errors.js';
import type { Content } from '../core/file.js';

const PIECE = 1024 * 1024;

/** A `keep` for Inspection. Files are whole when they have their name; one that is there already is left alone. */
export function keepIn(directory: string): (sha256: string, content: Content) => void {
  let count = 0;
  return (sha256, content) => {
    const partial = join(directory, `.${process.pid}-${threadId}-${++count}.partial`);
    try {
      const file = openSync(partial, 'wx', 0o600);
      try {
        for (let at = 0; at < content.length; ) {
          const piece = content.read(at, PIECE);
          for (let written = 0; written < piece.length; ) written += writeSync(file, piece, written);
          at += piece.length;
        }
      } finally {
        closeSync(file);
      }
      try {
        linkSync(partial, join(directory, sha256));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      } finally {
        unlinkSync(partial);
      }
    } catch (cause) {
      throw new SourceError(
        `${directory}: cannot keep a file: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  };
}
