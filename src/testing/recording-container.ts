/**
 * A container that keeps what an extractor or unpacker does, as a tree that two runs can be compared by: children with their bytes, spans
 * and findings. Given the extractor, children that it accepts are taken apart in turn, as inspection does it.
 */
import { Buffer } from 'node:buffer';
import type { Arena } from '../core/arena.js';
import type {
  AbortReason,
  Budget,
  ChildMeta,
  ChildStream,
  Container,
  Extractor,
  Finding,
  MailHeaders,
  Stage,
} from '../core/file.js';

export interface RecordedChild extends RecordedFile {
  readonly meta: ChildMeta;
  bytes: Buffer;
  /** `[offset in the bytes, length]` of each gap. */
  readonly gaps: [number, number][];
  ended: 'end' | AbortReason | undefined;
  spanEnd: number | undefined;
}

export interface RecordedFile {
  readonly children: RecordedChild[];
  readonly findings: Finding[];
  headers: MailHeaders | undefined;
}

export interface RecordingOptions {
  /** Children that it accepts are taken apart. */
  readonly extractor?: Extractor;
  /** With an arena, children have room in it (one slot of this many bytes, taken in turns); without, `reserve` gives -1. */
  readonly arena?: Arena;
  readonly slot?: number;
  readonly budget?: Partial<Budget>;
  readonly depth?: number;
}

export class RecordingContainer implements Container {
  readonly children: RecordedChild[] = [];
  readonly findings: Finding[] = [];
  headersGiven: MailHeaders | undefined;
  readonly depth: number;
  readonly budget: Budget;
  readonly #options: RecordingOptions;

  constructor(options: RecordingOptions = {}) {
    this.#options = options;
    this.depth = options.depth ?? 0;
    this.budget = {
      nesting: 0,
      bytesLeft: Number.MAX_SAFE_INTEGER,
      filesLeft: Number.MAX_SAFE_INTEGER,
      timeLeft: Number.MAX_SAFE_INTEGER,
      ...options.budget,
    };
  }

  open(meta: ChildMeta): ChildStream {
    const own = new RecordingContainer({ ...this.#options, depth: this.depth + 1 });
    const child: RecordedChild = {
      meta,
      bytes: Buffer.alloc(0),
      gaps: [],
      ended: undefined,
      spanEnd: undefined,
      children: own.children,
      findings: own.findings,
      headers: undefined,
    };
    this.children.push(child);
    const { extractor, arena, slot } = this.#options;
    const stage = extractor?.accepts(meta) === true ? extractor.begin(own) : undefined;
    return new RecordingChild(child, own, stage, arena, slot ?? 0);
  }

  report(finding: Finding): void {
    this.findings.push(finding);
  }

  headers(headers: MailHeaders): void {
    if (this.headersGiven !== undefined) throw new Error('headers given twice');
    this.headersGiven = headers;
  }

  /** The codes of the malformed findings and `reason detail` of the unscannable ones, in order. */
  get codes(): string[] {
    return codesOf(this.findings);
  }
}

export function codesOf(findings: readonly Finding[]): string[] {
  return findings.map((finding) =>
    finding.kind === 'infected'
      ? finding.virus
      : finding.kind === 'unscannable'
        ? `${finding.reason} ${finding.detail}`
        : finding.code,
  );
}

const slots = new WeakMap<Arena, number>();

class RecordingChild implements ChildStream {
  readonly #child: RecordedChild;
  readonly #own: RecordingContainer;
  readonly #stage: Stage | undefined;
  readonly #arena: Arena | undefined;
  readonly #slot: number;
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #reserved = -1;

  constructor(
    child: RecordedChild,
    own: RecordingContainer,
    stage: Stage | undefined,
    arena: Arena | undefined,
    slot: number,
  ) {
    this.#child = child;
    this.#own = own;
    this.#stage = stage;
    this.#arena = slot > 0 ? arena : undefined;
    this.#slot = slot;
  }

  write(chunk: Buffer, start: number, end: number): void {
    this.#open();
    if (start >= end) throw new Error('an empty write');
    this.#reserved = -1;
    this.#pieces.push(Buffer.from(chunk.subarray(start, end)));
    this.#length += end - start;
    this.#stage?.write(chunk, start, end);
  }

  reserve(length: number): number {
    this.#open();
    this.#reserved = -1;
    if (this.#arena === undefined || length > this.#slot) return -1;
    let at = slots.get(this.#arena);
    if (at === undefined) {
      at = this.#arena.claim(this.#slot);
      slots.set(this.#arena, at);
    }
    this.#reserved = at;
    return at;
  }

  grew(length: number): void {
    if (this.#arena === undefined || this.#reserved < 0) throw new Error('grew without reserve');
    this.write(this.#arena.bytes, this.#reserved, this.#reserved + length);
  }

  gap(length: number): void {
    this.#open();
    this.#child.gaps.push([this.#length, length]);
    this.#stage?.gap(length);
  }

  end(spanEnd?: number): void {
    this.#open();
    this.#child.spanEnd = spanEnd;
    this.#finish('end');
  }

  abort(reason: AbortReason): void {
    this.#open();
    this.#finish(reason);
  }

  #finish(how: 'end' | AbortReason): void {
    this.#child.ended = how;
    this.#child.bytes = Buffer.concat(this.#pieces);
    this.#stage?.finish(how === 'end');
    this.#child.headers = this.#own.headersGiven;
  }

  #open(): void {
    if (this.#child.ended !== undefined) throw new Error('used after its end');
  }
}
