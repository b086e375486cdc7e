/**
 * What all files that come out of one root share: how much may still be unpacked, and how much is still under way.
 * Where a bound is crossed, nothing more is unpacked out of this root, and every archive of it that is left closed says why.
 */
import type { Budget, Finding, UnscannableReason } from '../core/file.js';
import type { Limits } from '../core/limits.js';

/** Milliseconds from any start; only differences count. */
export type Clock = () => number;

/** A bound that was crossed. */
export interface Crossing {
  readonly reason: UnscannableReason;
  /** The limit's name in `limits.ts`. */
  readonly detail: string;
}

export function crossed(crossing: Crossing): Finding {
  return { kind: 'unscannable', reason: crossing.reason, detail: crossing.detail };
}

/** What a profile asks for one root file and all that comes out of it, beside the engine's own limits. Sizes are bytes. */
export interface FileBounds {
  /** A larger file is not scanned and not taken apart: `oversize`. The parts of a message are measured, not the message. */
  readonly oversize: number;
  /** The same of what came out of an archive: `uncompressed-oversize`. */
  readonly uncompressedOversize: number;
  /** Archives in one another, where the engine allows as many. */
  readonly nesting: number;
  readonly scanBzip2: boolean;
}

export class FileTree {
  readonly limits: Limits;
  readonly bounds: FileBounds | undefined;
  readonly #clock: Clock;
  readonly #settled: () => void;
  #bytes = 0;
  #files = 0;
  #parts = 0;
  /** Files that are not done with. */
  #open = 0;
  #crossing: Crossing | undefined;

  // The unpacking clock: runs while at least one unpacker works, but not while scanners do.
  #unpacking = 0;
  #since = 0;
  #spent = 0;

  /** `settled` is called when the last file is done with. */
  constructor(limits: Limits, clock: Clock, settled: () => void, bounds?: FileBounds) {
    this.limits = limits;
    this.bounds = bounds;
    this.#clock = clock;
    this.#settled = settled;
  }

  /** What ended unpacking, if it has ended. */
  get crossing(): Crossing | undefined {
    if (this.#crossing === undefined && this.timeLeft <= 0) this.stop({ reason: 'timeout', detail: 'unpackTime' });
    return this.#crossing;
  }

  /** Archives in one another that are opened. */
  get nesting(): number {
    return Math.min(this.limits.nesting, this.bounds?.nesting ?? Number.POSITIVE_INFINITY);
  }

  get bytesLeft(): number {
    return this.#crossing !== undefined ? 0 : Math.max(0, this.limits.unpackedBytes - this.#bytes);
  }

  get filesLeft(): number {
    return this.#crossing !== undefined ? 0 : this.limits.unpackedFiles - this.#files;
  }

  get timeLeft(): number {
    const running = this.#unpacking > 0 ? this.#clock() - this.#since : 0;
    return Math.max(0, this.limits.unpackTime - this.#spent - running);
  }

  stop(crossing: Crossing): void {
    this.#crossing ??= crossing;
  }

  /** Counts a member of an archive. */
  takeFile(): Crossing | undefined {
    if (this.#crossing === undefined && this.#files >= this.limits.unpackedFiles)
      this.stop({ reason: 'limit', detail: 'unpackedFiles' });
    else this.#files++;
    return this.crossing;
  }

  /** Counts a part of a message. Messages inside of messages share one count, or they would multiply it. */
  takePart(): Crossing | undefined {
    if (this.#parts >= this.limits.mimeParts) return { reason: 'limit', detail: 'mimeParts' };
    this.#parts++;
    return undefined;
  }

  takeBytes(length: number): void {
    this.#bytes += length;
  }

  opened(): void {
    this.#open++;
  }

  closed(): void {
    this.#open--;
    if (this.#open === 0) this.#settled();
  }

  startUnpacking(): void {
    if (this.#unpacking++ === 0) this.#since = this.#clock();
  }

  stopUnpacking(): void {
    if (--this.#unpacking === 0) this.#spent += this.#clock() - this.#since;
  }

  /** Runs `work` with the unpacking clock stopped. */
  aside<T>(work: () => T): T {
    if (this.#unpacking === 0) return work();
    const start = this.#clock();
    try {
      return work();
    } finally {
      this.#spent -= this.#clock() - start;
    }
  }
}

/** What one archive of a tree may still yield. */
export class ArchiveBudget implements Budget {
  readonly nesting: number;
  readonly #tree: FileTree;
  readonly #packed: number;
  #unpacked = 0;
  #crossing: Crossing | undefined;

  /** `packed`: the archive's size. */
  constructor(tree: FileTree, nesting: number, packed: number) {
    this.#tree = tree;
    this.nesting = nesting;
    this.#packed = packed;
  }

  /** What ended the unpacking of this archive. A bad ratio ends one archive; what it used up ends the tree. */
  get crossing(): Crossing | undefined {
    return this.#crossing ?? this.#tree.crossing;
  }

  get bytesLeft(): number {
    return this.#crossing !== undefined ? 0 : Math.min(this.#tree.bytesLeft, this.#ratioLeft());
  }

  get filesLeft(): number {
    return this.#crossing !== undefined ? 0 : this.#tree.filesLeft;
  }

  get timeLeft(): number {
    return this.crossing !== undefined ? 0 : this.#tree.timeLeft;
  }

  /** Counts unpacked bytes; how many of them may be kept. Fewer than `length`: `crossing` says why. */
  take(length: number): number {
    if (this.crossing !== undefined) return 0;
    const allowed = Math.min(length, this.bytesLeft);
    this.#tree.takeBytes(allowed);
    this.#unpacked += allowed;
    if (allowed < length) {
      if (this.#tree.bytesLeft <= this.#ratioLeft())
        this.#tree.stop({ reason: 'uncompressed-oversize', detail: 'unpackedBytes' });
      else this.#crossing = { reason: 'mailbomb', detail: 'unpackRatio' };
    }
    return allowed;
  }

  #ratioLeft(): number {
    const { ratioFloor, unpackRatio } = this.#tree.limits;
    return Math.max(ratioFloor, this.#packed * unpackRatio) - this.#unpacked;
  }
}

/** A message yields no more than it holds, so its parts are bounded by its size and by `mimeParts`, not by what unpacking may cost. */
export const UNBOUNDED: Budget = { nesting: 0, bytesLeft: Infinity, filesLeft: Infinity, timeLeft: Infinity };
