/**
 * One region of memory for everything on the bulk data path: the block that captures are read into and the slots that files are
 * collected in. It is a WebAssembly.Memory that never grows, so views of it never detach, kernels work on it without copies,
 * `copyWithin` moves bytes in it at half the cost of `Buffer.copy`, and it is page-aligned (reads into a malloc'd Buffer, which
 * lies at page + 16, are four times slower on some processors). Pages cost nothing until they are touched.
 * One arena a thread; it is passed, never imported as a global. A shared one lies in a SharedArrayBuffer, for a second thread that reads in it what
 * this one has told it to (src/scan/digest-thread.ts); everything else is the same.
 */
import { Buffer } from 'node:buffer';
import { InternalError } from './errors.js';

const PAGE = 65_536;

/** What of WebAssembly is used here; the global exists in every runtime that we promise, its types are the DOM's. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
declare const WebAssembly: {
  Memory: new (shape: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
};

/** Moves bytes of shared memory, which JavaScript itself does byte by byte, for other threads' sake, where they do not lie alike. */
export interface Mover {
  move(to: number, from: number, length: number): void;
  clear(at: number, length: number): void;
}

export class Arena {
  readonly memory: WasmMemory;
  /** All of it. Offsets that are passed around are indexes in this. */
  readonly bytes: Buffer;
  readonly shared: boolean;
  /** Of shared memory; whoever loads kernels sets it. */
  mover: Mover | undefined;
  #next = 0;

  constructor(pages: number, shared = false) {
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    this.bytes = Buffer.from(this.memory.buffer);
    this.shared = shared;
  }

  /** Moves the bytes [start, end) to `to`; they may overlap. */
  move(to: number, start: number, end: number): void {
    if (this.mover === undefined) this.bytes.copyWithin(to, start, end);
    else this.mover.move(to, start, end - start);
  }

  /** Makes the bytes [start, end) zeros. */
  clear(start: number, end: number): void {
    if (this.mover === undefined) this.bytes.fill(0, start, end);
    else this.mover.clear(start, end - start);
  }

  /** A stretch for good, page-aligned: regions are laid out once when a thread starts. Its offset. */
  claim(size: number): number {
    const at = this.#next;
    this.#next = at + Math.ceil(size / PAGE) * PAGE;
    if (this.#next > this.bytes.length)
      throw new InternalError(`arena of ${this.bytes.length} bytes cannot hold ${size} more`);
    return at;
  }

  /** Does `chunk` lie in the arena? Then `offsetOf` is where. */
  holds(chunk: Buffer): boolean {
    return chunk.buffer === this.memory.buffer;
  }

  offsetOf(chunk: Buffer): number {
    return chunk.byteOffset;
  }
}
