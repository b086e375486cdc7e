/**
 * What is known of the messages of the selected mailbox, by their sequence numbers: what a part is read with when it is fetched alone, and the
 * messages and parts that are being put together from slices. Forgotten when another mailbox is selected.
 */
import { Buffer } from 'node:buffer';
import type { FileStream } from '../../src/core/file.js';
import type { Limits } from '../../src/core/limits.js';
import type { Section } from './sections.js';

export class KnownMessage {
  /** RFC822.SIZE. */
  size: number | undefined;
  /** From ENVELOPE, or from header lines that were fetched. */
  envelope = '';
  /** The whole header, when it was fetched. */
  header: string | undefined;
  /** By section: from BODYSTRUCTURE, or from a MIME header that was fetched. */
  parts: Map<string, string> | undefined;
  readonly slices = new Map<string, Slices>();

  /**
   * The header that a section's bytes are read with; undefined when nobody told what they are. The whole message has its own.
   */
  headerOf({ name, decoded }: Section): string | undefined {
    if (name === '') return '';
    const known = name === 'TEXT' ? (this.header ?? this.#part('')) : (this.#part(name) ?? this.#onlyPart(name));
    if (known === undefined) return undefined;
    const lines = decoded ? known.replace(/^Content-Transfer-Encoding:.*\r?\n(?:[ \t].*\r?\n)*/gim, '') : known;
    return `${name === 'TEXT' && this.header !== undefined ? '' : this.envelope}${lines.replace(/(?:\r?\n)*$/, '\r\n')}\r\n`;
  }

  #part(name: string): string | undefined {
    return this.parts?.get(name);
  }

  /** The first part of a message that is no multipart is the message, and has its header. */
  #onlyPart(name: string): string | undefined {
    if (name !== '1' || this.parts !== undefined || this.header === undefined) return undefined;
    return /^Content-Type:\s*multipart\//im.test(this.header) ? undefined : this.header;
  }

  /** A header was fetched: of the message, of a part, or some of its fields. */
  learnHeader(name: string, text: string): void {
    if (name === 'HEADER') this.header = text.replace(/(?:\r?\n)+$/, '\r\n');
    if (name.startsWith('HEADER')) {
      const shown = shownFields(text);
      if (shown !== '') this.envelope = shown;
    }
    const mime = /^(.*)\.MIME$/.exec(name)?.[1];
    if (mime !== undefined) this.#learnPart(mime, text);
    const inner = /^(.+)\.HEADER$/.exec(name)?.[1];
    if (inner !== undefined) this.#learnPart(`${inner}.TEXT`, text);
  }

  #learnPart(name: string, text: string): void {
    this.parts ??= new Map();
    this.parts.set(name, text.replace(/(?:\r?\n)+$/, '\r\n'));
  }

  /** Nothing more of it comes. */
  forget(): void {
    for (const slices of this.slices.values()) slices.file.abort('reset');
    this.slices.clear();
  }
}

/** From, To, Cc, Subject out of header lines, unfolded or not. */
function shownFields(text: string): string {
  return (text.match(/^(?:From|To|Cc|Subject):.*\r?\n?(?:[ \t].*\r?\n?)*/gim) ?? [])
    .map((field) => (field.endsWith('\n') ? field : `${field}\r\n`))
    .join('');
}

/** A message or part that comes in slices. */
export class Slices {
  readonly file: FileStream;
  /** Bytes of the header that lies in front of it in the file. */
  readonly headerLength: number;
  /** Its size, once known. */
  total: number | undefined;
  /** Ascending, apart from each other. */
  readonly #ranges: { start: number; end: number }[] = [];

  constructor(file: FileStream, header: string) {
    this.file = file;
    const bytes = Buffer.from(header, 'latin1');
    this.headerLength = bytes.length;
    if (bytes.length > 0) file.writeAt(0, bytes, 0, bytes.length);
  }

  write(at: number, chunk: Buffer, start: number, end: number): void {
    this.file.writeAt(this.headerLength + at, chunk, start, end);
  }

  /** [start, end) is there. */
  cover(start: number, end: number): void {
    if (end <= start) return;
    const ranges = this.#ranges;
    let from = 0;
    while (from < ranges.length && ranges[from]!.end < start) from++;
    let to = from;
    const merged = { start, end };
    while (to < ranges.length && ranges[to]!.start <= end) {
      merged.start = Math.min(merged.start, ranges[to]!.start);
      merged.end = Math.max(merged.end, ranges[to]!.end);
      to++;
    }
    ranges.splice(from, to - from, merged);
  }

  get complete(): boolean {
    const { total } = this;
    if (total === undefined) return false;
    const [first] = this.#ranges;
    return total === 0 || (first !== undefined && first.start === 0 && first.end >= total);
  }
}

export class Mailbox {
  readonly #limits: Pick<Limits, 'mailboxMessages' | 'openSlices'>;
  #messages = new Map<number, KnownMessage>();

  constructor(limits: Pick<Limits, 'mailboxMessages' | 'openSlices'>) {
    this.#limits = limits;
  }

  /** The message of this number; undefined when too many are known. */
  message(number: number): KnownMessage | undefined {
    const known = this.#messages.get(number);
    if (known !== undefined || this.#messages.size >= this.#limits.mailboxMessages) return known;
    const fresh = new KnownMessage();
    this.#messages.set(number, fresh);
    return fresh;
  }

  /** It is gone, and those behind it move up (RFC 9051 §7.5.1). */
  expunge(number: number): void {
    this.#messages.get(number)?.forget();
    this.#messages.delete(number);
    const behind = [...this.#messages].filter(([other]) => other > number);
    for (const [other] of behind) this.#messages.delete(other);
    for (const [other, message] of behind) this.#messages.set(other - 1, message);
  }

  /** Room for one more that comes in slices: the one that was begun first is given up. */
  makeRoom(): void {
    let open = 0;
    let oldest: [KnownMessage, string] | undefined;
    for (const message of this.#messages.values())
      for (const name of message.slices.keys()) {
        oldest ??= [message, name];
        open++;
      }
    if (open < this.#limits.openSlices || oldest === undefined) return;
    const [message, name] = oldest;
    message.slices.get(name)?.file.abort('reset');
    message.slices.delete(name);
  }

  /** Another mailbox, or none. */
  clear(): void {
    for (const message of this.#messages.values()) message.forget();
    this.#messages = new Map();
  }
}
