/**
 * Base64 (RFC 2045 §6.8), as it comes. The kernel stops at the first byte that is no base64; a `-` at the beginning of a line is handed
 * back to the stage, since a delimiter may begin there, and so no search for one is needed. Canonical is: the alphabet, line ends,
 * padding at the end, whole quads. Anything else is noted, and skipped as most readers do; `-` and `_` are no aliases.
 */
import { Buffer } from 'node:buffer';
import type { AbortReason, ChildStream } from '../../core/file.js';
import { LF } from '../../core/lines.js';
import { roomFor } from '../../kernels/base64.js';
import { decodePlainly } from '../../kernels/base64-plain.js';
import {
  ACCUMULATOR,
  AFTER_PADDING,
  BAD_PADDING,
  COUNT,
  FLAGS,
  HALF_PADDED,
  JUNK,
  LAST,
  LAST_CRLF,
  LAST_LF,
  OUT,
  PADDED,
  RAGGED,
  REGISTERS,
  SAW_BARE_CR,
} from '../../kernels/base64-registers.js';
import type { Notes } from './anomalies.js';
import { type Base64Scratch, PIECE, type Scratch } from './base64-scratch.js';
import type { Delimiters } from './delimiters.js';

const DASH = 0x2d;
/** What is copied for the kernel at first where it stopped early before: what only looks like a delimiter may stand in every line. */
const SMALL_PIECE = 512;

export class Base64Body {
  readonly #child: ChildStream;
  readonly #notes: Notes;
  readonly #delimiters: Delimiters;
  readonly #scratch: Base64Scratch;
  readonly #registers = new Int32Array(REGISTERS);
  #lenient = false;
  /** After a gap: the rest of the line is of no use, since where its quads begin is not known. */
  #resyncing = false;
  /** How much is copied at once. */
  #piece = PIECE;
  /** Memory of its own, where no scratch was left. */
  #own: Buffer | undefined;

  constructor(child: ChildStream, notes: Notes, delimiters: Delimiters, scratch: Base64Scratch) {
    this.#child = child;
    this.#notes = notes;
    this.#delimiters = delimiters;
    this.#scratch = scratch;
    // A body begins at the beginning of a line.
    this.#registers[FLAGS] = LAST_LF | LAST_CRLF;
  }

  /** The line ends that were seen, as the registers' flags. */
  get flags(): number {
    return this.#registers[FLAGS]!;
  }

  /** Bytes of the line end just before the present position. */
  get lineEnd(): number {
    return (this.flags & LAST_LF) === 0 ? 0 : (this.flags & LAST_CRLF) === 0 ? 1 : 2;
  }

  /** Decodes `chunk[start, end)`. Returns `end`, or where a `-` stands at the beginning of a line. */
  decode(chunk: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#resyncing) {
      if (at < end && chunk[at] === DASH && (this.flags & LAST_LF) !== 0 && this.#delimiters.possible(chunk, at, end))
        return at;
      while (at < end && this.#resyncing) {
        if (chunk[at++] === LF) this.#resyncing = false;
      }
      this.#setFlags(this.#resyncing ? 0 : LAST_LF | LAST_CRLF);
    }
    if (at >= end) return end;
    const arena = this.#scratch.arena;
    // Decide once a call where things are: in the arena with room in the child's slot is the canonical case.
    if (arena.holds(chunk)) {
      const room = this.#child.reserve(roomFor(end - at));
      if (room >= 0) return this.#decodeToSlot(chunk, at, end, room);
    }
    const scratch = this.#scratch.borrow();
    if (scratch === undefined) return this.#decodeAlone(chunk, at, end);
    at = this.#decodeThrough(scratch, chunk, at, end);
    this.#scratch.giveBack(scratch);
    return at;
  }

  /** The `-` that `decode` stopped at begins no delimiter: it is junk. */
  midLine(): void {
    this.#setFlags(0);
  }

  gap(): void {
    this.#flushQuad();
    this.#resyncing = true;
    // If a line begins just here, it may be a delimiter.
    this.#setFlags(LAST_LF | LAST_CRLF);
    // How many bytes the missing ones stood for is not known.
    this.#child.gap(0);
  }

  end(spanEnd?: number): void {
    this.#finish();
    this.#child.end(spanEnd);
  }

  abort(reason: AbortReason): void {
    this.#flushQuad();
    this.#noteFlags();
    this.#child.abort(reason);
  }

  #decodeToSlot(chunk: Buffer, start: number, end: number, room: number): number {
    const base = this.#scratch.arena.offsetOf(chunk);
    const kernel = this.#scratch.kernel;
    let at = start;
    let out = room;
    for (;;) {
      kernel.registers.set(this.#registers);
      at = kernel.decode(base + at, base + end, out, this.#lenient) - base;
      this.#registers.set(kernel.registers);
      out = this.#registers[OUT]!;
      if (!this.#goesOn(chunk, at, end)) break;
    }
    if (out > room) this.#child.grew(out - room);
    return at;
  }

  #decodeThrough(scratch: Scratch, chunk: Buffer, start: number, end: number): number {
    const arena = this.#scratch.arena;
    const bytes = arena.bytes;
    const kernel = this.#scratch.kernel;
    const copied = !arena.holds(chunk);
    let at = start;
    while (at < end) {
      const pieceEnd = Math.min(end, at + (copied ? this.#piece : PIECE));
      // Where the piece lies in the arena, less its index in the chunk.
      const shift = copied ? scratch.text - at : arena.offsetOf(chunk);
      if (copied) chunk.copy(bytes, scratch.text, at, pieceEnd);
      const room = this.#child.reserve(roomFor(pieceEnd - at));
      const target = room >= 0 ? room : scratch.decoded;
      let out = target;
      for (;;) {
        kernel.registers.set(this.#registers);
        at = kernel.decode(shift + at, shift + pieceEnd, out, this.#lenient) - shift;
        this.#registers.set(kernel.registers);
        out = this.#registers[OUT]!;
        if (!this.#goesOn(chunk, at, pieceEnd)) break;
      }
      if (out > target && room >= 0) this.#child.grew(out - target);
      else if (out > target) this.#child.write(bytes, target, out);
      if (at < pieceEnd) {
        this.#piece = SMALL_PIECE;
        return at;
      }
      this.#piece = Math.min(PIECE, this.#piece * 4);
    }
    return end;
  }

  #decodeAlone(chunk: Buffer, start: number, end: number): number {
    this.#own ??= Buffer.allocUnsafeSlow(roomFor(PIECE));
    let at = start;
    while (at < end) {
      const pieceEnd = Math.min(end, at + PIECE);
      let out = 0;
      for (;;) {
        at = decodePlainly(this.#registers, chunk, at, pieceEnd, this.#own, out, this.#lenient);
        out = this.#registers[OUT]!;
        if (!this.#goesOn(chunk, at, pieceEnd)) break;
      }
      if (out > 0) this.#child.write(this.#own, 0, out);
      if (at < pieceEnd) return at;
    }
    return end;
  }

  /** The kernel stopped at `at`: is there more to decode, leniently from now on? Not when a delimiter may begin there. */
  #goesOn(chunk: Buffer, at: number, end: number): boolean {
    if (at >= end) return false;
    if (chunk[at] === DASH && (this.flags & LAST_LF) !== 0) {
      if (this.#delimiters.possible(chunk, at, end)) return false;
      this.midLine();
    }
    this.#lenient = true;
    return true;
  }

  #setFlags(last: number): void {
    this.#registers[FLAGS] = (this.flags & ~LAST) | last;
  }

  #finish(): void {
    const rest = this.#registers[COUNT]!;
    if (rest > 0 && (this.flags & HALF_PADDED) === 0) this.#notes.note('mime-base64-incomplete');
    if ((this.flags & HALF_PADDED) !== 0) this.#notes.note('mime-base64-padding');
    this.#flushQuad();
    this.#noteFlags();
  }

  /** What an unfinished quad holds in whole bytes goes out: two characters are one byte, three are two. */
  #flushQuad(): void {
    const rest = this.#registers[COUNT]!;
    const acc = this.#registers[ACCUMULATOR]!;
    this.#registers[COUNT] = 0;
    this.#registers[ACCUMULATOR] = 0;
    this.#registers[FLAGS] = this.flags & ~(HALF_PADDED | PADDED);
    if (rest === 2) this.#child.write(Buffer.of(acc >> 4), 0, 1);
    if (rest === 3) this.#child.write(Buffer.of(acc >> 10, (acc >> 2) & 0xff), 0, 2);
  }

  #noteFlags(): void {
    const flags = this.flags;
    if ((flags & JUNK) !== 0) this.#notes.note('mime-base64-junk');
    if ((flags & BAD_PADDING) !== 0) this.#notes.note('mime-base64-padding');
    if ((flags & AFTER_PADDING) !== 0) this.#notes.note('mime-base64-after-padding');
    if ((flags & SAW_BARE_CR) !== 0) this.#notes.note('mime-bare-cr');
    if ((flags & RAGGED) !== 0) this.#notes.note('mime-base64-lines');
  }
}
