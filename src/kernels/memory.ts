/** Loads the kernel that moves bytes in an arena that threads share (assembly/memory.ts). */
import { Arena, type Mover } from '../core/arena.js';
import { loadKernel } from './compiled.js';

/** An arena of `pages` of 64 KiB in shared memory. Where a runtime has no WebAssembly SIMD it is slower. */
export function sharedArena(pages: number): Arena {
  const arena = new Arena(pages, true);
  arena.mover = loadKernel<Mover>('memory', arena);
  return arena;
}
