/** The bytes of a file that was collected whole, by where they lie: in memory, in one piece or several, or in a spool file. */
import { Buffer } from 'node:buffer';
import type { Content } from '../core/file.js';
import type { SpoolFile } from './spool.js';

const EMPTY = Buffer.alloc(0);

/** Where in its file a piece begins. */
export interface Start {
  readonly from: number;
}

/** Index of the piece that byte `at` lies in. */
export function pieceOf(pieces: readonly Start[], at: number): number {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pieces[middle]!.from <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Bytes that lie in memory in one piece. */
export class MemoryContent implements Content {
  readonly length: number;
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.length = bytes.length;
    this.bytes = bytes;
  }

  read(at: number, length: number): Buffer {
    return this.bytes.subarray(at, at + length);
  }
}

/** Bytes that lie in memory in several pieces. */
export class PiecedContent implements Content {
  readonly length: number;
  readonly bytes = undefined;
  readonly pieces: readonly Buffer[];
  readonly #starts: readonly Start[];

  constructor(pieces: readonly Buffer[], starts: readonly Start[], length: number) {
    this.length = length;
    this.pieces = pieces;
    this.#starts = starts;
  }

  read(at: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.length - at));
    let index = pieceOf(this.#starts, at);
    let piece = this.pieces[index]!;
    let from = at - this.#starts[index]!.from;
    if (from + wanted <= piece.length) return piece.subarray(from, from + wanted);
    const joined = Buffer.allocUnsafe(wanted);
    for (let filled = 0; filled < wanted; from = 0) {
      filled += piece.copy(joined, filled, from);
      piece = this.pieces[++index] ?? EMPTY;
    }
    return joined;
  }
}

export class SpoolContent implements Content {
  readonly length: number;
  readonly bytes = undefined;
  readonly #file: SpoolFile;
  /** Kept from read to read: a window is read again and again. */
  #window = EMPTY;

  constructor(file: SpoolFile, length: number) {
    this.#file = file;
    this.length = length;
  }

  /** Throws what the file system says; whoever runs scanners and unpackers states that as `engine-error`. */
  read(at: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.length - at));
    if (this.#window.length < wanted) this.#window = Buffer.allocUnsafeSlow(wanted);
    const got = this.#file.read(at, this.#window, wanted);
    return this.#window.subarray(0, got);
  }
}
