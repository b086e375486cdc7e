/**
 * What base64 bodies need besides their bytes: the kernel, loaded when the first of them appears, and stretches of the arena for chunks
 * that do not lie in it and for children that have no room in it. A stretch is lent for one call, and calls nest as messages do; when all
 * are lent, bodies are decoded in memory of their own.
 */
import type { Arena } from '../../core/arena.js';
import { type Base64Kernel, loadBase64Kernel, roomFor } from '../../kernels/base64.js';

/** How much of a chunk is decoded at once where it must be copied. */
export const PIECE = 64 * 1024;

export interface Scratch {
  /** PIECE bytes. */
  readonly text: number;
  /** Room for what PIECE characters decode to. */
  readonly decoded: number;
}

/** Messages within messages, each in base64 (which RFC 2045 forbids), that are still decoded by the kernel. */
const SCRATCHES = 3;

export class Base64Scratch {
  readonly arena: Arena;
  readonly #free: Scratch[] = [];
  #kernel: Base64Kernel | undefined;

  constructor(arena: Arena) {
    this.arena = arena;
    for (let i = 0; i < SCRATCHES; i++)
      this.#free.push({ text: arena.claim(PIECE), decoded: arena.claim(roomFor(PIECE)) });
  }

  get kernel(): Base64Kernel {
    this.#kernel ??= loadBase64Kernel(this.arena);
    return this.#kernel;
  }

  /** undefined when all are lent. */
  borrow(): Scratch | undefined {
    return this.#free.pop();
  }

  giveBack(scratch: Scratch): void {
    this.#free.push(scratch);
  }
}
