/**
 * Where files go on that memory does not hold: temporary files without a name, readable by nobody else, gone with the process.
 * Everything here throws what the file system says (ENOSPC, EIO, EMFILE); a `Collection` turns that into a finding.
 */
import type { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The spool files of one thread. */
export class Spool {
  readonly #directory: string;
  /** Bytes that may still be spooled. */
  #left: number;

  /** `limit`: bytes of all files in it together. */
  constructor(directory: string, limit: number) {
    this.#directory = directory;
    this.#left = limit;
  }

  open(): SpoolFile {
    const path = join(this.#directory, `inspectd-${randomUUID()}`);
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      unlinkSync(path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return new SpoolFile(fd, this);
  }

  /** Counts `length` more bytes; false, and nothing counted, when they are too many. */
  take(length: number): boolean {
    if (length > this.#left) return false;
    this.#left -= length;
    return true;
  }

  give(length: number): void {
    this.#left += length;
  }
}

export class SpoolFile {
  /** For who reads it beside; valid until `close`. */
  readonly fd: number;
  readonly #spool: Spool;
  /** One past its last byte. */
  size = 0;

  constructor(fd: number, spool: Spool) {
    this.fd = fd;
    this.#spool = spool;
  }

  /** Writes `chunk[start, end)` at `at`; a hole that this leaves before it reads as zeros. False when the spool's limit forbids it. */
  write(at: number, chunk: Buffer, start: number, end: number): boolean {
    const size = Math.max(this.size, at + end - start);
    if (!this.#spool.take(size - this.size)) return false;
    this.size = size;
    for (let from = start; from < end; ) from += writeSync(this.fd, chunk, from, end - from, at + from - start);
    return true;
  }

  /** Reads up to `length` bytes from `at` to the front of `into`; how many there were. */
  read(at: number, into: Buffer, length: number): number {
    let got = 0;
    while (got < length) {
      const read = readSync(this.fd, into, got, length - got, at + got);
      if (read === 0) break;
      got += read;
    }
    return got;
  }

  close(): void {
    this.#spool.give(this.size);
    closeSync(this.fd);
  }
}
