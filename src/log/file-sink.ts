/**
 * Appends lines to a file. O_APPEND and one write a line, so that several processes may share a file and lines stay whole; synchronous, so
 * that a record is with the system before its verdict is released. It does not rotate: `reopen` follows a rotation by others.
 */
import { Buffer } from 'node:buffer';
import { closeSync, fdatasync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { SourceError } from '../core/errors.js';
import { type FormatOptions, formatRecord, type LogFormat } from './format.js';
import type { LogRecord } from './record.js';
import type { LogSink } from './sink.js';

export class FileSink implements LogSink {
  readonly #path: string;
  readonly #format: LogFormat;
  readonly #options: FormatOptions;
  #file: number | undefined;
  /** The last line in the file has no end: a crash, or a full disk. */
  #torn: boolean;

  /** Opens the file, or creates it readable by its owner and group alone: mail addresses are in it. */
  constructor(path: string, format: LogFormat, options: FormatOptions = {}) {
    this.#path = path;
    this.#format = format;
    this.#options = options;
    this.#file = openLog(path);
    this.#torn = endsTorn(path, this.#file);
  }

  write(record: LogRecord): void {
    if (this.#file === undefined) throw new SourceError(`log file ${this.#path} is closed`);
    const line = Buffer.from(`${this.#torn ? '\n' : ''}${formatRecord(record, this.#format, this.#options)}\n`);
    let written = 0;
    try {
      while (written < line.length) written += writeSync(this.#file, line, written);
      this.#torn = false;
    } catch (cause) {
      if (written > 0) this.#torn = true;
      throw new SourceError(`log file ${this.#path} cannot be written: ${messageOf(cause)}`, { cause });
    }
  }

  /** Has the system bring what was written to the disk; to be called every second or so. What goes wrong shows at the next write. */
  sync(): void {
    if (this.#file !== undefined) fdatasync(this.#file, () => {});
  }

  /** Go on in the file that now has the name. */
  reopen(): void {
    const next = openLog(this.#path);
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = next;
    this.#torn = endsTorn(this.#path, next);
  }

  close(): Promise<void> {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    return Promise.resolve();
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o640);
  } catch (cause) {
    throw new SourceError(`log file ${path} cannot be opened: ${messageOf(cause)}`, { cause });
  }
}

/** `file`: open for appending. What is no file has no end: a pipe, a terminal. */
function endsTorn(path: string, file: number): boolean {
  const { size } = fstatSync(file);
  if (size === 0 || !fstatSync(file).isFile()) return false;
  let reader: number | undefined;
  try {
    reader = openSync(path, 'r');
    const last = Buffer.alloc(1);
    return readSync(reader, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
  } catch {
    // Written by others and not ours to read: a line too many is better than one too few.
    return true;
  } finally {
    if (reader !== undefined) closeSync(reader);
  }
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
