/**
 * One container being taken apart, and what that may still cost: the guard between an unpacker and its Container. It counts what comes
 * out against the budget of the whole file tree and against the container's own size, names the first limit that is crossed, and then
 * refuses everything. Unpackers write members through it and never ask the budget themselves.
 */
import type { ChildMeta, ChildStream, Container, Finding, UnscannableReason } from '../../core/file.js';
import type { Limits } from '../../core/limits.js';

export type ArchiveLimits = Pick<
  Limits,
  'unpackRatio' | 'ratioFloor' | 'unpackedBytes' | 'unpackedFiles' | 'nesting' | 'unpackTime'
>;

/** Findings about one container that are kept apart: a hostile one has a thousand oddities, and the first ones say it all. */
const FINDINGS = 32;

export class Unpacking {
  readonly container: Container;
  readonly #limits: ArchiveLimits;
  readonly #packed: number;
  readonly #said = new Set<string>();
  #unpacked = 0;
  #stopped = false;

  /** `packed`: the container's size in bytes. */
  constructor(container: Container, packed: number, limits: ArchiveLimits) {
    this.container = container;
    this.#limits = limits;
    this.#packed = packed;
  }

  /** A limit was crossed: nothing more comes out of this container. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Bytes that came out so far. */
  get unpacked(): number {
    return this.#unpacked;
  }

  /** False, with the finding made, when the container lies too deep or nothing is left of the budget. */
  mayBegin(): boolean {
    if (this.container.budget.nesting >= this.#limits.nesting)
      this.stop('nested', `more than ${this.#limits.nesting} containers in one another`);
    return this.mayGoOn();
  }

  /** Asked between pieces of work that bring nothing out. */
  mayGoOn(): boolean {
    if (this.#stopped) return false;
    const { budget } = this.container;
    if (budget.timeLeft > 0) return true;
    // With everything at nought the file tree was stopped by a limit crossed elsewhere, which its owner names for every open container.
    if (budget.bytesLeft <= 0 && budget.filesLeft <= 0) this.#stopped = true;
    else this.timedOut();
    return false;
  }

  timedOut(): void {
    this.stop('timeout', `unpacking took longer than ${this.#limits.unpackTime} ms`);
  }

  /** More came out elsewhere than may: by the ratio where that is the tighter bound, else by the budget. */
  overrun(): void {
    if (this.ratioRoom() <= this.container.budget.bytesLeft) this.#bomb();
    else this.#oversize();
  }

  /** Bytes that may still come out by the ratio alone. */
  ratioRoom(): number {
    return Math.max(this.#limits.ratioFloor, this.#packed * this.#limits.unpackRatio) - this.#unpacked;
  }

  #bomb(): void {
    this.stop('mailbomb', `unpacks to more than ${this.#limits.unpackRatio} times its ${this.#packed} bytes`);
  }

  #oversize(): void {
    this.stop('uncompressed-oversize', `more than ${this.#limits.unpackedBytes} bytes unpacked`);
  }

  /** The next member, or undefined when a limit forbids it. */
  open(meta: ChildMeta): Member | undefined {
    if (!this.mayGoOn()) return undefined;
    if (this.container.budget.filesLeft <= 0) {
      this.stop('limit', `more than ${this.#limits.unpackedFiles} files unpacked`);
      return undefined;
    }
    return new Member(this, this.container.open(meta));
  }

  /** Whether `length` more bytes may come out; how many of them do otherwise. */
  room(length: number): number {
    if (!this.mayGoOn()) return 0;
    const left = this.container.budget.bytesLeft;
    if (length > this.ratioRoom()) {
      this.#bomb();
      return 0;
    }
    if (length > left) {
      this.#oversize();
      this.#unpacked += Math.max(0, left);
      return Math.max(0, left);
    }
    this.#unpacked += length;
    return length;
  }

  /** The container cannot be read to its end for this reason. */
  stop(reason: UnscannableReason, detail: string): void {
    if (!this.#stopped) this.unscannable(reason, detail);
    this.#stopped = true;
  }

  unscannable(reason: UnscannableReason, detail: string): void {
    this.#report({ kind: 'unscannable', reason, detail });
  }

  /** Two readers could read it differently. */
  malformed(code: string): void {
    this.#report({ kind: 'malformed', code });
  }

  /** Each kind of finding once: the first of its reason names the member. */
  #report(finding: Finding): void {
    const key =
      finding.kind === 'unscannable' ? finding.reason : finding.kind === 'infected' ? finding.virus : finding.code;
    if (this.#said.has(key) || this.#said.size >= FINDINGS) return;
    this.#said.add(key);
    this.container.report(finding);
  }
}

/** A child being written, under the container's guard. */
export class Member {
  readonly #unpacking: Unpacking;
  readonly #child: ChildStream;
  size = 0;
  /** A limit of bytes was crossed in it. */
  #full = false;

  constructor(unpacking: Unpacking, child: ChildStream) {
    this.#unpacking = unpacking;
    this.#child = child;
  }

  /**
   * False when a limit was crossed, and the member is to be cut. The child is given the bytes all the same: it has the same budget, keeps
   * what fits of them, and so is marked by the limit itself and not as a file that somebody broke off.
   */
  write(chunk: Buffer, start: number, end: number): boolean {
    const room = this.#unpacking.room(end - start);
    this.#child.write(chunk, start, end);
    this.size += room;
    this.#full = room < end - start;
    return !this.#full;
  }

  end(): void {
    this.#child.end();
  }

  /** Its end is missing. What came out is inspected all the same. */
  cut(): void {
    if (this.#full) this.#child.end();
    else this.#child.abort('reset');
  }
}
