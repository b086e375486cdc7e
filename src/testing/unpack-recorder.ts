/** A Container for tests of unpackers: keeps what comes out, with a budget that really runs down. */
import { Buffer } from 'node:buffer';
import type {
  AbortReason,
  Budget,
  ChildMeta,
  ChildStream,
  Container,
  Content,
  Finding,
  Unpacker,
} from '../core/file.js';

export interface RecordedChild {
  readonly meta: ChildMeta;
  /** The first bytes of it, up to `kept` of the recorder. */
  bytes: Buffer;
  size: number;
  state: 'open' | 'ended' | 'limit' | AbortReason;
}

export interface RecorderOptions {
  readonly bytes?: number;
  readonly files?: number;
  /** Milliseconds, as the recorder's clock counts them. */
  readonly time?: number;
  readonly nesting?: number;
  /** Bytes of each child that are kept. */
  readonly kept?: number;
  /** How far the clock goes on each time that the budget is asked for the time. */
  readonly tick?: number;
}

export class UnpackRecorder implements Container {
  readonly children: RecordedChild[] = [];
  readonly findings: Finding[] = [];
  readonly budget: Budget;
  readonly depth = 0;
  #bytesLeft: number;
  #filesLeft: number;
  #timeLeft: number;
  readonly #kept: number;

  constructor(options: RecorderOptions = {}) {
    this.#bytesLeft = options.bytes ?? 64 * 1024 * 1024;
    this.#filesLeft = options.files ?? 1000;
    this.#timeLeft = options.time ?? 10_000;
    this.#kept = options.kept ?? 1024 * 1024;
    const recorder = this;
    this.budget = {
      nesting: options.nesting ?? 0,
      get bytesLeft() {
        return recorder.#bytesLeft;
      },
      get filesLeft() {
        return recorder.#filesLeft;
      },
      get timeLeft() {
        recorder.#timeLeft -= options.tick ?? 0;
        return recorder.#timeLeft;
      },
    };
  }

  open(meta: ChildMeta): ChildStream {
    const child: RecordedChild = { meta, bytes: Buffer.alloc(0), size: 0, state: 'open' };
    this.children.push(child);
    this.#filesLeft--;
    return {
      write: (chunk, start, end) => {
        if (child.state !== 'open' && child.state !== 'limit') throw new Error('written after its end');
        // As the real one does: it keeps what fits, and is marked by the limit.
        const length = Math.min(end - start, Math.max(0, this.#bytesLeft));
        if (length < end - start) child.state = 'limit';
        this.#bytesLeft -= length;
        child.size += length;
        if (child.bytes.length < this.#kept)
          child.bytes = Buffer.concat([child.bytes, chunk.subarray(start, start + length)]).subarray(0, this.#kept);
      },
      reserve: () => -1,
      grew: () => {},
      gap: () => {},
      end: () => {
        if (child.state !== 'open' && child.state !== 'limit') throw new Error('ended twice');
        if (child.state === 'open') child.state = 'ended';
      },
      abort: (reason) => {
        if (child.state !== 'open') throw new Error('ended twice');
        child.state = reason;
      },
    };
  }

  report(finding: Finding): void {
    this.findings.push(finding);
  }

  headers(): void {}

  /** Findings in short: `malformed:zip-x`, `unscannable:encrypted`. */
  get said(): string[] {
    return this.findings.map((finding) =>
      finding.kind === 'infected'
        ? `infected:${finding.virus}`
        : finding.kind === 'unscannable'
          ? `unscannable:${finding.reason}`
          : `${finding.kind}:${finding.code}`,
    );
  }

  get names(): (string | undefined)[] {
    return this.children.map((child) => child.meta.name);
  }

  /** The bytes of the first child of that name, as Latin-1. */
  text(name: string | undefined): string | undefined {
    return this.children.find((child) => child.meta.name === name)?.bytes.toString('latin1');
  }

  get texts(): string[] {
    return this.children.map((child) => child.bytes.toString('latin1'));
  }

  get outputSize(): number {
    return this.children.reduce((sum, child) => sum + child.size, 0);
  }
}

export function contentOf(bytes: Buffer): Content {
  return {
    length: bytes.length,
    bytes,
    read: (at, length) => bytes.subarray(Math.max(0, at), Math.max(0, at) + length),
  };
}

/** The same, as a spooled file: no whole in memory, and what was read is overwritten by the next reading. */
export function spooledContentOf(bytes: Buffer): Content {
  let last: Buffer | undefined;
  return {
    length: bytes.length,
    bytes: undefined,
    read(at, length) {
      last?.fill(0xa5);
      last = Buffer.from(bytes.subarray(Math.max(0, at), Math.max(0, at) + length));
      return last;
    },
  };
}

/** Takes `bytes` apart twice, in memory and spooled, and returns what came out; the two must agree. */
export async function unpackWith(
  unpacker: Unpacker,
  bytes: Buffer,
  options: RecorderOptions = {},
): Promise<UnpackRecorder> {
  const recorder = new UnpackRecorder(options);
  await unpacker.unpack(contentOf(bytes), recorder);
  const spooled = new UnpackRecorder(options);
  await unpacker.unpack(spooledContentOf(bytes), spooled);
  if (spooled.said.join() !== recorder.said.join() || spooled.texts.join() !== recorder.texts.join())
    throw new Error(`a spooled file is unpacked differently: ${spooled.said.join()} against ${recorder.said.join()}`);
  return recorder;
}
