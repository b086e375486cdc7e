/** Loads the kernel that takes packets as long as each is what was to be expected (assembly/header-prediction.ts); src/capture/fast-path.ts is who asks it. */
import type { Arena } from '../core/arena.js';
import { loadKernel } from './compiled.js';
import { REGISTERS } from './header-prediction-registers.js';

export interface HeaderPrediction {
  /** As header-prediction-registers.ts names them. */
  readonly registers: Int32Array;
  /** The same memory as 64-bit floating-point numbers. */
  readonly numbers: Float64Array;
  /** Takes records of a little-endian capture from [at, to) of the arena. Where the first that it leaves begins. */
  take(at: number, to: number): number;
}

interface Exports {
  take(registers: number, at: number, to: number): number;
}

/** Claims a page of the arena for its registers. Undefined: there is no such kernel here, and all packets go the long way. */
export function loadHeaderPrediction(arena: Arena): HeaderPrediction | undefined {
  const kernel = loadKernel<Exports>('header-prediction', arena);
  if (kernel === undefined) return undefined;
  const registersAt = arena.claim(REGISTERS * 4);
  const { buffer } = arena.memory;
  return {
    registers: new Int32Array(buffer, registersAt, REGISTERS),
    numbers: new Float64Array(buffer, registersAt, REGISTERS / 2),
    take: (at, to) => kernel.take(registersAt, at, to),
  };
}
