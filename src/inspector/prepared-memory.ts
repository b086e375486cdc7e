/**
 * The memory of the main thread, made before the rest of the program is loaded. A page costs a microsecond or two when it is touched first,
 * which for a capture of 200 MB is a tenth of the scan; so where the work is large the system fills the first slots with zeros meanwhile.
 * Nothing of it is in use until `ready` is awaited.
 */
import { closeSync, openSync, read } from 'node:fs';
import { SlotPool } from '../content/slots.js';
import { Arena } from '../core/arena.js';
import { type Limits, MiB } from '../core/limits.js';

/** 512 MiB of address space: the slots, a capture's read block, kernels' scratch areas. Pages cost nothing until they are touched. */
const ARENA_PAGES = 8192;
/** So many slots are in use at once in most traffic, and so much of them. */
const SLOTS = 4;
const TOUCHED = 12 * MiB;
/** Input below this is scanned before it would pay. */
const WORTH_IT = 64 * MiB;

export interface PreparedMemory {
  readonly arena: Arena;
  readonly slots: SlotPool;
  /** Settles when nobody else writes to it any more. */
  readonly ready: Promise<void>;
}

/** `work`: bytes of all inputs, as far as known. */
export function prepareMemory(limits: Limits, work: number): PreparedMemory {
  const arena = new Arena(ARENA_PAGES);
  const slots = new SlotPool(arena, limits);
  return {
    arena,
    slots,
    ready: work < WORTH_IT ? Promise.resolve() : touch(arena, slots.firstPlaces(SLOTS), Math.min(TOUCHED, limits.slot)),
  };
}

/** One stretch after the other, in one thread of the system's pool: the others are loading the program. */
async function touch(arena: Arena, places: readonly number[], length: number): Promise<void> {
  let zeros: number;
  try {
    zeros = openSync('/dev/zero', 'r');
  } catch {
    // Then pages are touched when they are needed.
    return;
  }
  for (const place of places) {
    await new Promise<void>((resolve) => {
      read(zeros, arena.bytes, place, length, null, () => resolve());
    });
  }
  closeSync(zeros);
}
