/**
 * Live: slices of messages and parts. A slice cannot be judged alone, so the server is asked for the whole instead, once; the client gets its
 * slice of what was judged, and so it does of every later one, for which the server is asked for a single byte: what it says beside (flags,
 * UIDs) stays its own, the bytes are those that were judged.
 */
import { Buffer } from 'node:buffer';
import type { FetchCommand, Slice } from './fetch-command.js';
import type { KnownMessage } from './mailbox.js';
import { isHeader, type Section, sectionKey } from './sections.js';

/** What a response is to become. */
export interface Cut {
  readonly origin: number;
  readonly count: number;
  /** What was judged before; undefined: it comes now, as a whole. */
  readonly judged: Buffer | undefined;
}

interface Kept {
  readonly message: KnownMessage;
  readonly key: string;
  readonly bytes: Buffer;
}

export class Slicing {
  readonly #room: number;
  /** Wholes that were judged, the last one used last. */
  #kept: Kept[] = [];
  #weight = 0;
  /** Of the command that is under way, by section. */
  readonly #cuts = new Map<string, Cut>();

  /** `room`: bytes of wholes that are kept. */
  constructor(room: number) {
    this.#room = room;
  }

  /**
   * The command for the server instead of `text`; undefined when it cannot be served: slices of headers, two of the same section. `message`:
   * the only one that it is about.
   */
  begin(text: string, command: FetchCommand, message: KnownMessage | undefined): string | undefined {
    this.#cuts.clear();
    let rewritten = '';
    let at = 0;
    for (const slice of command.slices) {
      const key = sectionKey(slice.section);
      if (isHeader(slice.section) || this.#cuts.has(key)) return this.#none();
      const judged = message === undefined ? undefined : this.#judged(message, key);
      this.#cuts.set(key, { origin: slice.origin, count: slice.count, judged });
      rewritten += text.slice(at, slice.start) + (judged === undefined ? '' : probe(slice));
      at = slice.end;
    }
    // The same section as a whole beside its slice: which response is which?
    const wholes = command.sections.filter((section) => this.#cuts.has(sectionKey(section))).length;
    return wholes > this.#cuts.size ? this.#none() : rewritten + text.slice(at);
  }

  /** What content that comes is to become; undefined: what it is. */
  cutOf(section: Section): Cut | undefined {
    const cut = this.#cuts.get(sectionKey(section));
    if (cut === undefined) return undefined;
    // Somebody asked for the other form, or nobody did.
    return (cut.judged === undefined) === (section.origin === undefined) ? cut : undefined;
  }

  /** The command was answered. */
  end(): void {
    this.#cuts.clear();
  }

  /** A whole was judged: `bytes` is what the client may see of it. */
  keep(message: KnownMessage, section: Section, bytes: Buffer): void {
    const key = sectionKey(section);
    this.#forget((each) => each.message === message && each.key === key);
    if (bytes.length > this.#room) return;
    this.#kept.push({ message, key, bytes });
    this.#weight += bytes.length;
    for (let oldest = this.#kept[0]; this.#weight > this.#room && oldest !== undefined; oldest = this.#kept[0])
      this.#forget((each) => each === oldest);
  }

  /** Its mailbox was left, or it is another one. */
  forgetAll(): void {
    this.#kept = [];
    this.#weight = 0;
  }

  #judged(message: KnownMessage, key: string): Buffer | undefined {
    return this.#kept.find((each) => each.message === message && each.key === key)?.bytes;
  }

  #forget(which: (each: Kept) => boolean): void {
    for (const each of this.#kept.filter(which)) this.#weight -= each.bytes.length;
    this.#kept = this.#kept.filter((each) => !which(each));
  }

  #none(): undefined {
    this.#cuts.clear();
  }
}

/** The least that names the place. */
function probe({ origin }: Slice): string {
  return `<${origin}.1>`;
}

/** The line that announces a literal, announcing `cut` of it in its place. */
export function announced(line: Buffer, cut: Cut, length: number): Buffer {
  const text = line.toString('latin1');
  const mark = /(?:<\d+>)?( ?)(~?)\{\d+\+?\}(\r?\n)$/.exec(text);
  if (mark === null) return line;
  return Buffer.from(`${text.slice(0, mark.index)}<${cut.origin}> ${mark[2]}{${length}}${mark[3]}`, 'latin1');
}

export function pieceOf(whole: Buffer, { origin, count }: Cut): Buffer {
  return whole.subarray(Math.min(origin, whole.length), Math.min(whole.length, origin + count));
}
