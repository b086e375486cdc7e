/**
 * What FETCH responses bring (RFC 9051 §7.5.2): whole messages and parts as they come, slices put together, and what is told of messages beside.
 * A part is opened as the message that it would be by itself: its header is the one that BODYSTRUCTURE or a fetched MIME header gives it.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileMeta, FileStream, Verdict } from '../../src/core/file.js';
import type { Flow, Unit } from '../../src/core/flow.js';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import { messageOfLength } from '../mail/replacement.js';
import { envelopeHeader, partHeaders } from './body-structure.js';
import type { ImapEvent } from './events.js';
import { type KnownMessage, Mailbox, Slices } from './mailbox.js';
import { type Section, sectionOf, sliceKey } from './sections.js';
import { type Datum, parseData, textOf } from './syntax.js';

/** Bytes of a part of unknown encoding that tell whether it looks like base64. */
const LOOK = 76;
const BASE64_TEXT = /^[A-Za-z0-9+/]{60,76}(?:\r?\n|$)|^[A-Za-z0-9+/]{2,72}={1,2}\s*$|^(?:[A-Za-z0-9+/]{4}){4,}\s*$/;
const BASE64_HEADER = 'Content-Transfer-Encoding: base64\r\n\r\n';

/** A held reply with the content of one file in it. Live only. */
interface Held {
  readonly unit: Unit;
  /** Bytes in front of the content in the unit. */
  readonly prefix: Buffer;
  /** Bytes of the header that lies in front of the content in the file. */
  readonly headerLength: number;
  readonly length: number;
  /** Behind the content in the unit. */
  readonly suffix: Buffer;
}

/** A literal, or a quoted string, that is content. */
interface Body {
  readonly section: Section;
  readonly message: KnownMessage | undefined;
  readonly size: number;
  done: number;
  file: FileStream | undefined;
  slices: Slices | undefined;
  /** Its header is not known: it is opened when its first bytes are here. */
  look: Buffer | undefined;
}

export class Fetched {
  readonly #flow: Flow;
  readonly #login: () => string | undefined;
  readonly mailbox: Mailbox;
  /** How many bytes were asked for, of slices. */
  #asked: ReadonlyMap<string, number> = new Map();
  readonly #held = new Map<FileId, Held>();
  #body: Body | undefined;
  #prefix: Buffer | undefined;
  unit: Unit | undefined;

  constructor(flow: Flow, login: () => string | undefined) {
    this.#flow = flow;
    this.#login = login;
    this.mailbox = new Mailbox(flow.limits);
  }

  /** A FETCH command was seen. */
  ask(slices: ReadonlyMap<string, number>): void {
    if (slices.size > 0) this.#asked = new Map([...this.#asked, ...slices].slice(-this.#flow.limits.pipelined));
  }

  /** Content of message `number` follows; in live flows behind `prefix`, the line that announces it. */
  begin(number: number, section: Section, size: number, prefix: Buffer): void {
    const message = this.mailbox.message(number);
    if (message === undefined) this.#odd('imap-messages-limit');
    this.#body = { section, message, size, done: 0, file: undefined, slices: undefined, look: undefined };
    this.#prefix = this.#flow.passive ? undefined : prefix;
    this.unit = this.#flow.passive ? undefined : this.#flow.unit(CLIENT, 'held');
    const header = message?.headerOf(section) ?? (section.name === '' ? '' : undefined);
    if (header !== undefined) this.#open(this.#body, header, false);
    else this.#body.look = Buffer.alloc(0);
  }

  write(chunk: Buffer, start: number, end: number): void {
    const body = this.#body;
    if (body === undefined) return;
    if (body.look !== undefined) {
      body.look = Buffer.concat([body.look, chunk.subarray(start, end)]);
      if (body.look.length < Math.min(LOOK, body.size)) return;
      this.#openUnknown(body);
      return;
    }
    this.#put(body, chunk, start, end);
  }

  gap(length: number): void {
    const body = this.#body;
    if (body === undefined) return;
    if (body.look !== undefined) this.#openUnknown(body);
    body.done += length;
    // Of a slice the place stays empty, or is filled by another.
    if (body.slices === undefined) body.file?.gap(length);
  }

  ended(): void {
    const body = this.#body;
    this.#body = undefined;
    if (body === undefined) return;
    if (body.look !== undefined) this.#openUnknown(body);
    const { section, slices, message } = body;
    if (slices === undefined) body.file?.end();
    else {
      const origin = section.origin ?? 0;
      const asked = this.#asked.get(sliceKey(section.name, origin));
      slices.cover(origin, origin + body.done);
      if (asked !== undefined && body.size < asked) slices.total = origin + body.size;
      if (section.name === '') slices.total ??= message?.size;
      this.#closeIfComplete(message, section.name, slices);
    }
    this.unit = undefined;
  }

  /** A FETCH response is complete: what it told, and content that came as strings. */
  response(number: number, text: string): void {
    const [list] = parseData(text.replace(/^\* \d+ FETCH /i, ''));
    if (list?.kind !== 'list') return;
    for (let i = 0; i + 1 < list.items.length; i += 2) {
      const name = textOf(list.items[i]);
      const value = list.items[i + 1];
      if (name !== undefined && value !== undefined) this.#item(number, name, value);
    }
  }

  /** Live: what was judged goes, is mended, or is replaced within its length. */
  verdict(file: FileId, verdict: Verdict): void {
    const held = this.#held.get(file);
    if (held === undefined) return;
    this.#held.delete(file);
    const { unit, prefix, headerLength, length, suffix } = held;
    if (verdict.action === 'block')
      unit.replace(Buffer.concat([prefix, messageOfLength(verdict.replacement, length), suffix]));
    else {
      if (verdict.action === 'strip')
        for (const { start, end, instead } of verdict.edits)
          unit.edit(start - headerLength + prefix.length, end - headerLength + prefix.length, instead);
      unit.release();
    }
  }

  #item(number: number, name: string, value: Datum): void {
    const word = name.toUpperCase();
    const message = this.mailbox.message(number);
    if (word === 'RFC822.SIZE' && message !== undefined) {
      const size = textOf(value);
      if (size !== undefined && /^\d{1,15}$/.test(size)) message.size = Number(size);
    } else if (word === 'ENVELOPE' && message !== undefined) message.envelope = envelopeHeader(value);
    else if ((word === 'BODYSTRUCTURE' || word === 'BODY') && value.kind === 'list' && message !== undefined)
      message.parts = new Map([...partHeaders(value), ...(message.parts ?? [])]);
    else {
      const found = /^(BODY|BINARY|RFC822(?:\.HEADER|\.TEXT)?)(?:\[([^\]]*)\])?(?:<(\d{1,15})>)?$/i.exec(name);
      const section = found === null ? undefined : sectionOf(found[1] ?? '', found[2], found[3]);
      if (section !== undefined) this.#section(number, message, section, value);
    }
  }

  #section(number: number, message: KnownMessage | undefined, section: Section, value: Datum): void {
    const text = value.kind === 'string' ? value.text : undefined;
    if (isHeader(section)) {
      if (text !== undefined && section.origin === undefined) message?.learnHeader(section.name, text);
      return;
    }
    if (text !== undefined) {
      const bytes = Buffer.from(text, 'latin1');
      this.begin(number, section, bytes.length, Buffer.alloc(0));
      this.write(bytes, 0, bytes.length);
      this.ended();
    } else if (value.kind === 'nil' && section.origin !== undefined) {
      // Behind the end.
      const slices = message?.slices.get(section.name);
      if (slices !== undefined) {
        slices.total ??= section.origin;
        this.#closeIfComplete(message, section.name, slices);
      }
    }
  }

  #openUnknown(body: Body): void {
    const look = body.look ?? Buffer.alloc(0);
    body.look = undefined;
    const header = BASE64_TEXT.test(look.toString('latin1', 0, 200)) ? BASE64_HEADER : '\r\n';
    this.#open(body, header, true);
    this.#put(body, look, 0, look.length);
  }

  #open(body: Body, header: string, unknown: boolean): void {
    const { section, message } = body;
    if (section.origin !== undefined && message !== undefined && this.#flow.passive) {
      body.slices = message.slices.get(section.name);
      if (body.slices !== undefined) return;
      this.mailbox.makeRoom();
      const file = this.#flow.openFile(this.#meta());
      if (unknown) this.#unknown(file);
      body.slices = new Slices(file, header);
      message.slices.set(section.name, body.slices);
      return;
    }
    const file = this.#flow.openFile(this.#meta(), this.unit);
    body.file = file;
    if (unknown) this.#unknown(file);
    if (section.origin !== undefined) {
      this.#odd('imap-slice');
      file.malformed('imap-slice' satisfies ImapEvent);
    }
    const bytes = Buffer.from(header, 'latin1');
    if (bytes.length > 0) file.write(bytes, 0, bytes.length);
    if (this.unit !== undefined && this.#prefix !== undefined)
      this.#held.set(file.id, {
        unit: this.unit,
        prefix: this.#prefix,
        headerLength: bytes.length,
        length: body.size,
        suffix: Buffer.alloc(0),
      });
  }

  #put(body: Body, chunk: Buffer, start: number, end: number): void {
    if (body.slices !== undefined) body.slices.write((body.section.origin ?? 0) + body.done, chunk, start, end);
    else body.file?.write(chunk, start, end);
    body.done += end - start;
  }

  #closeIfComplete(message: KnownMessage | undefined, name: string, slices: Slices): void {
    if (!slices.complete) return;
    message?.slices.delete(name);
    slices.file.end();
  }

  #unknown(file: FileStream): void {
    this.#odd('imap-unknown-encoding');
    file.malformed('imap-unknown-encoding' satisfies ImapEvent);
  }

  #meta(): FileMeta {
    const login = this.#login();
    return {
      name: undefined,
      direction: 'download',
      declaredType: 'message/rfc822',
      fixedLength: true,
      mail: login === undefined ? {} : { login },
    };
  }

  #odd(event: ImapEvent): void {
    this.#flow.anomaly(event, SERVER);
  }
}

/** A header is read, and is no file: the message that it belongs to is, when it comes. */
export function isHeader({ name }: Section): boolean {
  return /(?:^|\.)(?:HEADER(?:\.FIELDS.*)?|MIME)$/s.test(name);
}
