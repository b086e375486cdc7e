/**
 * Decodes base64 inside the arena at the speed of its memory: loads the WebAssembly kernel (assembly/base64.ts), or does without where a
 * runtime has no WebAssembly SIMD.
 * What is base64 and what is not is said in base64-plain.ts; the bytes around it (delimiters, headers) are content/mime's business.
 */
import type { Arena } from '../core/arena.js';
import { decodePlainly } from './base64-plain.js';
import { REGISTERS } from './base64-registers.js';
import { loadKernel } from './compiled.js';

/** Bytes past the decoded ones that a call may overwrite: vectors are stored whole. */
export const SLACK = 16;

/** The most that decoding `length` characters writes: what an unfinished quad holds back comes on top, and the slack. */
export function roomFor(length: number): number {
  return (length >> 2) * 3 + 6 + SLACK;
}

export interface Base64Kernel {
  /** Whether it runs as WebAssembly. */
  readonly compiled: boolean;
  /** As base64-registers.ts names them: set those of the body before each call and take them after it. */
  readonly registers: Int32Array;
  /** As `decodePlainly`, with offsets of the arena; the bytes from `out` on, `roomFor(to - at)` of them, must be free. */
  decode(at: number, to: number, out: number, lenient: boolean): number;
}

interface Exports {
  decode(registers: number, at: number, to: number, out: number, lenient: number): number;
}

/** Claims a page of the arena for its registers. */
export function loadBase64Kernel(arena: Arena): Base64Kernel {
  const at = arena.claim(REGISTERS * 4);
  const registers = new Int32Array(arena.memory.buffer, at, REGISTERS);
  // Without it the plain code gives the same bytes, slower.
  const decode = loadKernel<Exports>('base64', arena)?.decode;
  if (decode === undefined) return plainBase64Kernel(arena, registers);
  return {
    compiled: true,
    registers,
    decode: (from, to, out, lenient) => decode(at, from, to, out, lenient ? 1 : 0),
  };
}

export function plainBase64Kernel(arena: Arena, registers: Int32Array = new Int32Array(REGISTERS)): Base64Kernel {
  const bytes = arena.bytes;
  return {
    compiled: false,
    registers,
    decode: (at, to, out, lenient) => decodePlainly(registers, bytes, at, to, bytes, out, lenient),
  };
}
