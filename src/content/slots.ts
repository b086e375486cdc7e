/**
 * Memory for files that are being collected: a region of the arena, cut by halves (a buddy system). A file takes one piece after another as it grows
 * (`collection.ts`). A new piece is a whole stretch (`slot` rounded up to a power of two) while one is free; only when they have run out are the
 * unused upper halves of open ones given away. Freed blocks are reused last in, first out: as much memory is touched as files are large that are open at
 * the same time, and memory that was never touched costs more than any other.
 */
import type { Arena } from '../core/arena.js';

/** The smallest block; a page, as memory is touched by pages. */
const BLOCK = 4096;
const NONE = -1;

/** Room for a piece of a file. Its bytes are `arena.bytes[at, at + used)`. */
export class Slot {
  /** Offset in the arena. */
  readonly at: number;
  /** Where in its file it begins; kept by whoever fills it. */
  from = 0;
  /** Bytes of it that are in use; kept by whoever fills it. */
  used = 0;
  /** Its room is `BLOCK << order`. */
  order: number;
  /** Its place among those that could be squeezed; the pool's. */
  listed = NONE;
  /** Its file is whole; the pool's. */
  sealed = false;

  constructor(at: number, order: number) {
    this.at = at;
    this.order = order;
  }

  get room(): number {
    return BLOCK << this.order;
  }
}

export class SlotPool {
  readonly #base: number;
  /** Order of a whole stretch. */
  readonly #top: number;
  /** Free blocks of each order, doubly linked through `#next` and `#previous` by block number, the last freed first. */
  readonly #head: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** Of the first block of a free run: its order and 1; else 0. */
  readonly #free: Uint8Array;
  /** By order: open slots that may have an unused upper half. */
  readonly #squeezable: Slot[][] = [];
  /** Bytes of files that are whole and still looked at. */
  sealed = 0;

  /** Claims its region of the arena. `slot`: the largest piece; `slots`: all of them. */
  constructor(arena: Arena, limits: { readonly slot: number; readonly slots: number }) {
    const fitting = Math.max(0, Math.floor(Math.log2(limits.slots / BLOCK)));
    this.#top = Math.min(fitting, Math.max(0, Math.ceil(Math.log2(limits.slot / BLOCK))));
    const stretches = Math.floor(limits.slots / (BLOCK << this.#top));
    const blocks = stretches << this.#top;
    this.#base = arena.claim(blocks * BLOCK);
    this.#head = new Int32Array(this.#top + 1).fill(NONE);
    this.#next = new Int32Array(blocks);
    this.#previous = new Int32Array(blocks);
    this.#free = new Uint8Array(blocks);
    for (let order = 0; order <= this.#top; order++) this.#squeezable.push([]);
    for (let stretch = stretches - 1; stretch >= 0; stretch--) this.#put(stretch << this.#top, this.#top);
  }

  /** An empty slot, as large as can be had; undefined when every byte is in use. */
  open(): Slot | undefined {
    let order = this.#top;
    // The largest that is free, unless squeezing an open slot gives more.
    while (order >= 0) {
      const block = this.#head[order]!;
      if (block !== NONE) {
        this.#take(block, order);
        return this.#opened(block, order);
      }
      if (order < this.#top) {
        const squeezed = this.#squeeze(order + 1);
        if (squeezed !== NONE) return this.#opened(squeezed, order);
      }
      order--;
    }
    return undefined;
  }

  /** Gives back all of `slot` but its first `room` bytes. */
  shrink(slot: Slot, room: number): void {
    if (slot.order === 0 || BLOCK << (slot.order - 1) < room) return;
    this.#unlist(slot);
    while (slot.order > 0 && BLOCK << (slot.order - 1) >= room) {
      slot.order--;
      this.#release((slot.at - this.#base) / BLOCK + (1 << slot.order), slot.order);
    }
    this.#list(slot);
  }

  /** Nothing more will be put into it. */
  seal(slot: Slot): void {
    slot.sealed = true;
    this.sealed += slot.used;
  }

  close(slot: Slot): void {
    if (slot.sealed) this.sealed -= slot.used;
    this.#unlist(slot);
    this.#release((slot.at - this.#base) / BLOCK, slot.order);
  }

  #opened(block: number, order: number): Slot {
    const slot = new Slot(this.#base + block * BLOCK, order);
    this.#list(slot);
    return slot;
  }

  /** The upper half of an open slot of `order` that uses its lower half at most: its block; NONE when there is none such. */
  #squeeze(order: number): number {
    const slots = this.#squeezable[order]!;
    for (let slot = slots.at(-1); slot !== undefined; slot = slots.at(-1)) {
      this.#unlist(slot);
      // What is used only grows, so a slot that is too full stays off the list until its order changes: the search costs O(1) a slot.
      if (slot.used > slot.room / 2) continue;
      slot.order--;
      this.#list(slot);
      return (slot.at - this.#base) / BLOCK + (1 << slot.order);
    }
    return NONE;
  }

  #list(slot: Slot): void {
    if (slot.order === 0) return;
    slot.listed = this.#squeezable[slot.order]!.push(slot) - 1;
  }

  #unlist(slot: Slot): void {
    if (slot.listed === NONE) return;
    const slots = this.#squeezable[slot.order]!;
    const last = slots.pop()!;
    if (last !== slot) {
      slots[slot.listed] = last;
      last.listed = slot.listed;
    }
    slot.listed = NONE;
  }

  /** Frees a block and joins it with its buddy, and that with its own, while they are free. */
  #release(block: number, order: number): void {
    let first = block;
    let size = order;
    while (size < this.#top) {
      const buddy = first ^ (1 << size);
      if (this.#free[buddy] !== size + 1) break;
      this.#take(buddy, size);
      first = Math.min(first, buddy);
      size++;
    }
    this.#put(first, size);
  }

  #put(block: number, order: number): void {
    const head = this.#head[order]!;
    this.#free[block] = order + 1;
    this.#next[block] = head;
    this.#previous[block] = NONE;
    if (head !== NONE) this.#previous[head] = block;
    this.#head[order] = block;
  }

  #take(block: number, order: number): void {
    const next = this.#next[block]!;
    const previous = this.#previous[block]!;
    this.#free[block] = 0;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous === NONE) this.#head[order] = next;
    else this.#next[previous] = next;
  }
}
