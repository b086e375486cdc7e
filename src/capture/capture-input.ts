/**
 * The bytes of a capture, wherever they are: a file (read synchronously into the arena), or any stream (standard input, a pipe), either of them
 * gzipped (RFC 1952, several members) or not, which its first two bytes tell. Memory is bounded: a block, and one piece of unpacked gzip.
 */
import { Buffer } from 'node:buffer';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { SourceError } from '../core/errors.js';
import { KiB } from '../core/limits.js';

/** Packed bytes given to gunzip at once: they may unpack to a thousand times as much, which is held. */
const PACKED = 16 * KiB;

export interface CaptureInput {
  /** Size as stored; undefined for a stream. */
  readonly total: number | undefined;
  /** Stored bytes read so far. */
  readonly consumed: number;
  /** Why there are no more bytes although it did not end well (broken gzip, read error). */
  readonly failure: string | undefined;
  /** Reads up to `length` bytes to `into` at `at`. How many; 0 at the end. A promise only where it has to wait. */
  read(into: Buffer, at: number, length: number): number | Promise<number>;
  close(): void;
}

/** Opens a path or takes a stream. Throws SourceError when it cannot be opened. */
export async function openInput(from: string | Readable): Promise<CaptureInput> {
  const raw = typeof from === 'string' ? openPath(from) : new StreamInput(from);
  const head = Buffer.alloc(2);
  const first = await raw.read(head, 0, 1);
  const both = first === 0 ? 0 : first + (await raw.read(head, first, 1));
  const whole = new PrefixedInput(head.subarray(0, both), raw);
  return head.readUInt16BE(0) === 0x1f8b ? new GunzipInput(whole) : whole;
}

function openPath(path: string): CaptureInput {
  try {
    const fd = openSync(path, 'r');
    const status = fstatSync(fd);
    if (status.isDirectory()) {
      closeSync(fd);
      throw new SourceError(`cannot read ${path}: it is a directory`);
    }
    if (status.isFile()) return new FileInput(fd, status.size);
    return new StreamInput(createReadStream('', { fd }));
  } catch (cause) {
    if (cause instanceof SourceError) throw cause;
    throw new SourceError(`cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

class FileInput implements CaptureInput {
  readonly total: number;
  consumed = 0;
  failure: string | undefined = undefined;
  readonly #fd: number;

  constructor(fd: number, total: number) {
    this.#fd = fd;
    this.total = total;
  }

  read(into: Buffer, at: number, length: number): number {
    let got = 0;
    try {
      while (got < length) {
        const read = readSync(this.#fd, into, at + got, length - got, null);
        if (read === 0) break;
        got += read;
      }
    } catch (error) {
      this.failure = `read error: ${messageOf(error)}`;
    }
    this.consumed += got;
    return got;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Gives what is there and waits only when nothing is, so that a capture that grows is read as it grows. */
class StreamInput implements CaptureInput {
  readonly total = undefined;
  consumed = 0;
  failure: string | undefined = undefined;
  readonly #stream: Readable;
  #chunk: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    const wake = (): void => {
      this.#wake?.();
    };
    stream.on('readable', wake);
    stream.on('end', () => {
      this.#ended = true;
      wake();
    });
    stream.on('close', () => {
      this.#ended = true;
      wake();
    });
    stream.on('error', (error: Error) => {
      this.failure = `read error: ${error.message}`;
      this.#ended = true;
      wake();
    });
  }

  async read(into: Buffer, at: number, length: number): Promise<number> {
    let got = 0;
    while (got < length) {
      if (this.#chunk.length === 0 && !this.#next()) {
        if (got > 0 || this.#ended) break;
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
        this.#wake = undefined;
        continue;
      }
      const piece = Math.min(length - got, this.#chunk.length);
      this.#chunk.copy(into, at + got, 0, piece);
      this.#chunk = this.#chunk.subarray(piece);
      got += piece;
    }
    this.consumed += got;
    return got;
  }

  #next(): boolean {
    const chunk = this.#stream.read() as Buffer | string | null;
    if (chunk === null) return false;
    this.#chunk = typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;
    return true;
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** An input whose first bytes were taken off to look at. */
class PrefixedInput implements CaptureInput {
  readonly #prefix: Buffer;
  readonly #rest: CaptureInput;
  #given = 0;

  constructor(prefix: Buffer, rest: CaptureInput) {
    this.#prefix = prefix;
    this.#rest = rest;
  }

  get total(): number | undefined {
    return this.#rest.total;
  }

  get consumed(): number {
    return this.#rest.consumed;
  }

  get failure(): string | undefined {
    return this.#rest.failure;
  }

  read(into: Buffer, at: number, length: number): number | Promise<number> {
    const left = this.#prefix.length - this.#given;
    if (left === 0) return this.#rest.read(into, at, length);
    const got = this.#prefix.copy(into, at, this.#given, this.#given + Math.min(left, length));
    this.#given += got;
    // A read that goes on keeps the blocks of a file whole and aligned, so that they are cut alike however it is read.
    if (got === length) return got;
    const more = this.#rest.read(into, at + got, length - got);
    return typeof more === 'number' ? got + more : more.then((count) => got + count);
  }

  close(): void {
    this.#rest.close();
  }
}

/**
 * Drives gunzip by hand, one piece of input after another, and takes its output as it comes: a pipe would throw away what was unpacked
 * but not yet read when the packed bytes turn out to be broken.
 */
class GunzipInput implements CaptureInput {
  failure: string | undefined = undefined;
  readonly #packed: CaptureInput;
  readonly #piece = Buffer.allocUnsafeSlow(PACKED);
  readonly #gunzip: Gunzip = createGunzip({ chunkSize: 64 * KiB });
  #unpacked: Buffer[] = [];
  #offset = 0;
  #ended = false;
  #settle: (() => void) | undefined;

  constructor(packed: CaptureInput) {
    this.#packed = packed;
    this.#gunzip.on('data', (chunk: Buffer) => this.#unpacked.push(chunk));
    this.#gunzip.on('end', () => {
      this.#ended = true;
      this.#settle?.();
    });
    this.#gunzip.on('error', (error: Error) => {
      this.failure = `gzip: ${error.message}`;
      this.#ended = true;
      this.#settle?.();
    });
  }

  get total(): number | undefined {
    return this.#packed.total;
  }

  get consumed(): number {
    return this.#packed.consumed;
  }

  async read(into: Buffer, at: number, length: number): Promise<number> {
    let got = 0;
    while (got < length) {
      const first = this.#unpacked[0];
      if (first === undefined) {
        if (this.#ended) break;
        await this.#unpackMore();
        continue;
      }
      const copied = first.copy(into, at + got, this.#offset, this.#offset + Math.min(first.length, length - got));
      got += copied;
      this.#offset += copied;
      if (this.#offset === first.length) {
        this.#unpacked.shift();
        this.#offset = 0;
      }
    }
    return got;
  }

  async #unpackMore(): Promise<void> {
    const count = await this.#packed.read(this.#piece, 0, PACKED);
    await new Promise<void>((settle) => {
      this.#settle = settle;
      if (count === 0) this.#gunzip.end();
      else this.#gunzip.write(this.#piece.subarray(0, count), () => settle());
    });
    if (this.#packed.failure !== undefined) this.failure ??= this.#packed.failure;
  }

  close(): void {
    this.#gunzip.destroy();
    this.#packed.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
