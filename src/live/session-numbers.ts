/**
 * The number that the next session gets, kept in the state directory so that a daemon that is started again, or was killed, gives none twice:
 * logs are joined by it. What was handed out and never used is lost.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SourceError } from '../core/errors.js';

const FILE = 'session-number';

/** 1 where none was kept yet, or what is kept is no number. */
export function keptNumber(stateDirectory: string): number {
  let text: string;
  try {
    text = readFileSync(join(stateDirectory, FILE), 'utf8');
  } catch {
    return 1;
  }
  const number = /^\d{1,10}\n$/.test(text) ? Number(text) : 1;
  return number >= 1 && number <= 0xffff_ffff ? number : 1;
}

/** Throws SourceError: the disk is full, or may not be written. */
export function keepNumber(stateDirectory: string, number: number): void {
  const path = join(stateDirectory, FILE);
  try {
    const file = openSync(`${path}.new`, 'w', 0o600);
    try {
      writeSync(file, `${number}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new SourceError(`${path} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
