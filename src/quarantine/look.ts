/** What lies in a quarantine, for people: to list, to look at, to copy out, to remove. */
import { constants, copyFileSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, SourceError } from '../core/errors.js';
import { HASH, type QuarantineEntry, readEntry } from './entry.js';

export interface Quarantined {
  readonly sha256: string;
  readonly size: number;
  /** Undefined: its file of facts is missing or damaged. */
  readonly entry: QuarantineEntry | undefined;
}

/** The latest last. A directory that is not there is an empty quarantine. Throws SourceError where it cannot be read. */
export function listQuarantine(directory: string): Quarantined[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new SourceError(`${directory}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  const found = names
    .filter((name) => HASH.test(name))
    .map((sha256) => ({ ...looked(directory, sha256), at: statSync(join(directory, sha256)).mtimeMs }));
  return found.sort((a, b) => a.at - b.at).map(({ sha256, size, entry }) => ({ sha256, size, entry }));
}

/** The one file whose hash begins like this. Throws ConfigError: there is none, or several. */
export function findQuarantined(directory: string, beginning: string): Quarantined {
  const wanted = beginning.toLowerCase();
  const found = /^[0-9a-f]{4,64}$/.test(wanted)
    ? listQuarantine(directory).filter(({ sha256 }) => sha256.startsWith(wanted))
    : [];
  const [first] = found;
  if (first === undefined) throw new ConfigError(`nothing in quarantine has a SHA-256 that begins with ${wanted}`);
  if (found.length > 1)
    throw new ConfigError(`${found.length} files in quarantine begin with ${wanted}: give more of it`);
  return first;
}

/** Copies it to `to`, which must not be there. Throws SourceError. */
export function releaseQuarantined(directory: string, { sha256 }: Quarantined, to: string): void {
  try {
    copyFileSync(join(directory, sha256), to, constants.COPYFILE_EXCL);
  } catch (cause) {
    throw new SourceError(`${to}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}

/** Throws SourceError. */
export function deleteQuarantined(directory: string, { sha256 }: Quarantined): void {
  try {
    unlinkSync(join(directory, sha256));
  } catch (cause) {
    throw new SourceError(`${sha256}: cannot be removed: ${(cause as Error).message}`, { cause });
  }
  try {
    unlinkSync(join(directory, `${sha256}.json`));
  } catch {
    // It had none.
  }
}

function looked(directory: string, sha256: string): Quarantined {
  const path = join(directory, sha256);
  let text = '';
  try {
    text = readFileSync(`${path}.json`, 'utf8');
  } catch {
    // Then only its name is known.
  }
  return { sha256, size: statSync(path).size, entry: readEntry(text) };
}
