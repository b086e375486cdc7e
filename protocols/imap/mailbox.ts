/**
 * What is known of the messages of the selected mailbox: what a part is read with when it is fetched alone, and what is being put together of
 * them. Messages are found by their sequence numbers, which move when one is expunged; what is unfinished when the mailbox is left is found again by
 * UID, as long as UIDVALIDITY is the same. Of more than the limits allow the oldest is forgotten.
 */
import type { Limits } from '../../src/core/limits.js';
import type { Assembly } from './assembly.js';
import { MOST_PARTS, type PartFacts } from './body-structure.js';
import type { Section } from './sections.js';

export class KnownMessage {
  number: number;
  uid: number | undefined;
  /** RFC822.SIZE. */
  size: number | undefined;
  /** Header lines that logs show, from ENVELOPE or from header fields that were fetched. */
  shown = '';
  /** By section: from BODYSTRUCTURE, or from a MIME header that was fetched. */
  readonly parts = new Map<string, PartFacts>();
  /** By `sectionKey`. */
  readonly assemblies = new Map<string, Assembly>();
  /** The whole header, when it was fetched. */
  #header: string | undefined;
  /** Characters kept of all this. */
  weight = 0;

  constructor(number: number) {
    this.number = number;
  }

  /** The header that a section's bytes are read with, its empty line included; undefined when nobody told what they are. */
  headerOf({ name, decoded }: Section): string | undefined {
    // The whole message has its own.
    if (name === '') return '';
    if (name === 'TEXT' && this.#header !== undefined) return `${this.#header}\r\n`;
    const known = name === 'TEXT' ? this.parts.get('') : (this.parts.get(name) ?? this.#onlyPart(name));
    if (known === undefined) return undefined;
    const lines = decoded
      ? known.lines.replace(/^Content-Transfer-Encoding:.*\r?\n(?:[ \t].*\r?\n)*/gim, '')
      : known.lines;
    return `${this.shown}${lines}\r\n`;
  }

  /** The first part of a message that is no multipart is the message's text, and has its header. */
  #onlyPart(name: string): PartFacts | undefined {
    const header = this.#header;
    if (name !== '1' || header === undefined || /^Content-Type:[ \t]*\r?\n?[ \t]*multipart\//im.test(header))
      return undefined;
    return { lines: fieldsOf(header, PART_FIELDS), size: undefined };
  }

  /** A header was fetched: of the message, of a part, or some of its fields. */
  learnHeader(name: string, text: string): void {
    const lines = withoutEnd(text);
    // Of some fields, those that say what the content is do as well.
    const enough =
      /^HEADER\.FIELDS \(/.test(name) && /\bCONTENT-TYPE\b/.test(name) && /\bCONTENT-TRANSFER-ENC/.test(name);
    if (name === 'HEADER' || (enough && this.#header === undefined)) {
      this.weight += lines.length - (this.#header?.length ?? 0);
      this.#header = lines;
    }
    if (name.startsWith('HEADER')) this.learnShown(fieldsOf(lines, SHOWN_FIELDS) || this.shown);
    const part = /^(.+)\.(?:MIME|(HEADER))$/.exec(name);
    if (part !== null) this.#learnPart(part[2] === undefined ? (part[1] ?? '') : `${part[1]}.TEXT`, lines, 'fetched');
  }

  learnStructure(parts: ReadonlyMap<string, PartFacts>): void {
    for (const [name, { lines, size }] of parts) this.#learnPart(name, lines, size);
  }

  learnShown(lines: string): void {
    this.weight += lines.length - this.shown.length;
    this.shown = lines;
  }

  /** A header that was fetched says more than a structure; the size is told there alone. */
  #learnPart(name: string, told: string, size: number | undefined | 'fetched'): void {
    const known = this.parts.get(name);
    if (known === undefined && this.parts.size >= MOST_PARTS) return;
    const fetched = size === 'fetched';
    const lines = fetched ? told : (known?.lines ?? told);
    const contradicted =
      known?.contradicted === true || (known !== undefined && encodingIn(known.lines) !== encodingIn(told));
    this.weight += lines.length - (known?.lines.length ?? -name.length);
    this.parts.set(name, { lines, size: fetched ? known?.size : (size ?? known?.size), contradicted });
  }

  /** Readers may take its content for something else. */
  contradicts({ name, decoded }: Section): boolean {
    if (decoded) return false;
    const root = this.parts.get('');
    const isRoot =
      name === 'TEXT' || (name === '1' && root !== undefined && !/^Content-Type: multipart\//i.test(root.lines));
    if (!isRoot) return this.parts.get(name)?.contradicted === true;
    return root !== undefined && this.#header !== undefined && encodingIn(root.lines) !== encodingIn(this.#header);
  }

  /** What was kept of it was too much. */
  unlearn(): void {
    this.parts.clear();
    this.#header = undefined;
    this.shown = '';
    this.weight = 0;
  }

  /** What the file of a section is at most as long as; undefined: not known. */
  sizeOf({ name, decoded }: Section): number | undefined {
    if (name === '') return this.size;
    return decoded ? undefined : this.parts.get(name)?.size;
  }
}

export interface MailboxSink {
  /** Nothing more of it comes. */
  left(assembly: Assembly): void;
  /** More is under way or known than the limits allow: the oldest is given up. */
  crowded(): void;
}

export class Mailbox {
  readonly #limits: Pick<Limits, 'mailboxMessages' | 'mailboxText' | 'openSlices'>;
  readonly #sink: MailboxSink;
  /** Ascending by number. */
  readonly #messages: KnownMessage[] = [];
  /** The same, the oldest first. */
  readonly #byAge = new Set<KnownMessage>();
  /** What is being put together, the oldest first, and whose it is. */
  readonly #open = new Map<Assembly, { message: KnownMessage; key: string }>();
  /** Of mailboxes that were left: what is unfinished, by mailbox, UIDVALIDITY, UID and section. */
  readonly #unfinished = new Map<string, Assembly>();
  #weight = 0;
  /** What it is called, as the client wrote it. */
  #name = '';
  #validity = '';

  constructor(limits: Pick<Limits, 'mailboxMessages' | 'mailboxText' | 'openSlices'>, sink: MailboxSink) {
    this.#limits = limits;
    this.#sink = sink;
  }

  /** What is known of message `number`. */
  find(number: number): KnownMessage | undefined {
    const at = this.#indexOf(number);
    const found = this.#messages[at];
    return found?.number === number ? found : undefined;
  }

  /** The one of a UID. */
  byUid(uid: number): KnownMessage | undefined {
    return this.#messages.find((message) => message.uid === uid);
  }

  message(number: number): KnownMessage {
    const at = this.#indexOf(number);
    const found = this.#messages[at];
    if (found?.number === number) return found;
    const fresh = new KnownMessage(number);
    this.#messages.splice(at, 0, fresh);
    this.#byAge.add(fresh);
    if (this.#messages.length > this.#limits.mailboxMessages) this.#forgetOldest(fresh);
    return fresh;
  }

  /** It is learnt what may be kept only so far. */
  learn(message: KnownMessage, what: () => void): void {
    const before = message.weight;
    what();
    if (!this.#byAge.has(message)) return;
    this.#weight += message.weight - before;
    while (this.#weight > this.#limits.mailboxText && this.#byAge.size > 1) this.#forgetOldest(message);
    if (this.#weight <= this.#limits.mailboxText) return;
    this.#sink.crowded();
    message.unlearn();
    this.#weight = 0;
  }

  /** Its UID is known: what was begun of it before may go on. */
  identify(message: KnownMessage, uid: number): void {
    if (message.uid === uid) return;
    message.uid = uid;
    if (this.#unfinished.size === 0) return;
    const prefix = this.#prefix(uid);
    for (const [name, assembly] of this.#unfinished) {
      if (!name.startsWith(prefix)) continue;
      this.#unfinished.delete(name);
      const key = name.slice(prefix.length);
      if (message.assemblies.has(key)) this.#sink.left(assembly);
      else this.begin(message, key, assembly);
    }
  }

  begin(message: KnownMessage, key: string, assembly: Assembly): void {
    message.assemblies.set(key, assembly);
    this.#open.set(assembly, { message, key });
    if (this.#open.size + this.#unfinished.size <= this.#limits.openSlices) return;
    this.#sink.crowded();
    for (const [name, oldest] of this.#unfinished) {
      this.#unfinished.delete(name);
      this.#sink.left(oldest);
      return;
    }
    for (const oldest of this.#open.keys()) {
      this.giveUp(oldest);
      return;
    }
  }

  /** It is no longer being put together; whose it was. */
  settled(assembly: Assembly): { readonly message: KnownMessage; readonly key: string } | undefined {
    const place = this.#open.get(assembly);
    this.#open.delete(assembly);
    place?.message.assemblies.delete(place.key);
    return place;
  }

  giveUp(assembly: Assembly): void {
    this.settled(assembly);
    this.#sink.left(assembly);
  }

  /** It is gone, and those behind it move up (RFC 9051 §7.5.1). */
  expunge(number: number): void {
    const at = this.#indexOf(number);
    const found = this.#messages[at];
    if (found?.number === number) this.#remove(found);
    for (let index = at; index < this.#messages.length; index++) this.#messages[index]!.number--;
  }

  /** UIDs that are gone (RFC 7162 §3.2.10): where those of known messages are not all known, their numbers are not either. */
  vanished(uids: readonly (readonly [from: number, to: number])[]): void {
    if (uids.length > MOST_RANGES) return this.#forgetAll();
    for (const message of [...this.#messages]) {
      const { uid } = message;
      if (uid === undefined || uids.some(([from, to]) => uid >= from && uid <= to)) this.#remove(message);
      else for (const [from, to] of uids) if (from < uid) message.number -= Math.min(to, uid - 1) - from + 1;
    }
  }

  /** The mailbox that is being selected; `left` is what must be called when the present one is closed. */
  select(name: string): void {
    this.leave();
    this.#name = name;
    this.#validity = '';
  }

  /** UIDVALIDITY of the one that is selected. */
  valid(validity: string): void {
    this.#validity = validity;
    // UIDs of before mean other messages now.
    const stale = `${this.#name}\0`;
    const good = `${stale}${validity}\0`;
    for (const [name, assembly] of this.#unfinished) {
      if (!name.startsWith(stale) || name.startsWith(good)) continue;
      this.#unfinished.delete(name);
      this.#sink.left(assembly);
    }
  }

  /** No mailbox is selected any longer. */
  leave(): void {
    for (const [assembly, { message, key }] of this.#open) {
      const { uid } = message;
      if (uid === undefined || this.#name === '' || this.#validity === '') this.#sink.left(assembly);
      else {
        const name = `${this.#prefix(uid)}${key}`;
        const other = this.#unfinished.get(name);
        if (other !== undefined) this.#sink.left(other);
        this.#unfinished.set(name, assembly);
      }
    }
    this.#open.clear();
    this.#messages.length = 0;
    this.#byAge.clear();
    this.#weight = 0;
    this.#name = '';
  }

  /** The session is over. */
  end(): void {
    this.leave();
    for (const assembly of this.#unfinished.values()) this.#sink.left(assembly);
    this.#unfinished.clear();
  }

  #forgetAll(): void {
    for (const message of [...this.#messages]) this.#remove(message);
  }

  #prefix(uid: number): string {
    return `${this.#name}\0${this.#validity}\0${uid}\0`;
  }

  #remove(message: KnownMessage): void {
    for (const assembly of [...message.assemblies.values()]) this.giveUp(assembly);
    this.#messages.splice(this.#messages.indexOf(message), 1);
    this.#byAge.delete(message);
    this.#weight -= message.weight;
  }

  #forgetOldest(but: KnownMessage): void {
    this.#sink.crowded();
    let oldest: KnownMessage | undefined;
    for (const message of this.#byAge) {
      if (message === but) continue;
      oldest ??= message;
      if (message.assemblies.size > 0) continue;
      this.#remove(message);
      return;
    }
    if (oldest !== undefined) this.#remove(oldest);
  }

  /** Where the message `number` is, or would be. */
  #indexOf(number: number): number {
    let low = 0;
    let high = this.#messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#messages[middle]!.number < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** UIDs that vanish at once: of more, every known message would have to be looked for. */
const MOST_RANGES = 1_000;
const SHOWN_FIELDS = /^(?:From|To|Cc|Subject)[ \t]*:/i;
const PART_FIELDS = /^(?:From|To|Cc|Subject|Content-[A-Za-z-]+)[ \t]*:/i;

/** Those fields of header lines whose names fit, with their continuations. */
export function fieldsOf(lines: string, wanted: RegExp): string {
  let kept = '';
  let keeping = false;
  for (let at = 0; at < lines.length; ) {
    const lf = lines.indexOf('\n', at);
    const end = lf < 0 ? lines.length : lf + 1;
    const line = lines.slice(at, end);
    if (line[0] !== ' ' && line[0] !== '\t') keeping = wanted.test(line);
    if (keeping) kept += line;
    at = end;
  }
  return kept === '' || kept.endsWith('\n') ? kept : `${kept}\r\n`;
}

/** The transfer encoding that header lines name; those that change nothing are one. */
function encodingIn(lines: string): string {
  const written = /^Content-Transfer-Encoding[ \t]*:[ \t]*(\S*)/im.exec(lines)?.[1]?.toLowerCase() ?? '';
  return /^(?:[78]bit|binary|)$/.test(written) ? '' : written;
}

/** The fields of a header that a reader of its body needs. */
export function essential(header: string): string {
  return `${fieldsOf(header, PART_FIELDS)}\r\n`;
}

/** Header lines without the empty line behind them, the last with its line end. */
function withoutEnd(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === '\n' || text[end - 1] === '\r')) end--;
  return end === 0 ? '' : `${text.slice(0, end)}\r\n`;
}
