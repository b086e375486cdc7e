/**
 * What FETCH responses bring (RFC 9051 §7.5.2): whole messages and parts as they come, slices put together, and what is told of messages beside.
 * A part is opened as the message that it would be by itself: its header is the one that BODYSTRUCTURE or a fetched MIME header gives it. A
 * recording waits for that header until the mailbox is left; a live flow judges what it has, and lets no slice go.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileMeta, FileStream, Verdict } from '../../src/core/file.js';
import { CLIENT, type Flow, SERVER, type Unit } from '../../src/core/flow.js';
import { messageOfLength } from '../mail/replacement.js';
import { Assembly, guessedHeader, LOOK } from './assembly.js';
import { envelopeHeader, partsOf } from './body-structure.js';
import type { ImapEvent } from './events.js';
import { essential, type KnownMessage, Mailbox } from './mailbox.js';
import type { Line } from './reader.js';
import { isHeader, type Section, sectionKey, sectionOf, sectionOfKey } from './sections.js';
import { announced, type Cut, pieceOf, Slicing } from './slicing.js';
import { type Datum, parseData, quoted, textOf } from './syntax.js';

/** Live: a literal that waits for its verdict. */
interface HeldLiteral {
  readonly unit: Unit;
  /** In front of the content in the unit: the line that announces it. */
  readonly prefix: Buffer;
  /** Bytes of the header that lies in front of the content in the file. */
  readonly front: number;
  readonly length: number;
  /** It is not all of it, so that nobody can say what it is. */
  readonly slice: boolean;
  readonly section: Section | undefined;
  readonly message: KnownMessage | undefined;
  /** The client gets only this of it; `content` holds all. */
  readonly cut: Cut | undefined;
  readonly content: Buffer[];
}

/** Live: a text that is held, and the line that announces it. */
export interface HeldText {
  readonly unit: Unit;
  readonly prefix: Buffer;
}

/** Live: a line with content in quotes. */
interface HeldLine {
  readonly unit: Unit;
  readonly text: string;
  readonly files: Map<FileId, string>;
  /** What is not to be seen. */
  readonly blocked: string[];
}

/** Content on its way. */
interface Content {
  readonly section: Section | undefined;
  readonly message: KnownMessage | undefined;
  readonly size: number;
  /** Bytes that came or are missing. */
  done: number;
  /** Since where none is missing. */
  since: number;
  file: FileStream | undefined;
  assembly: Assembly | undefined;
  /** Live: its header is not known, and it is opened when its first bytes are here. */
  look: Buffer | undefined;
  /** Nobody told what it is. */
  unknown: boolean;
  /** Live: the client gets only this of it. */
  readonly cut: Cut | undefined;
  /** Live: what comes, where a piece will be cut out of it. */
  readonly kept: Buffer[];
}

export interface FetchedOwner {
  login(): string | undefined;
  /** How many bytes a command that is under way asks for of the slice; undefined: none does. */
  asked(section: Section): number | undefined;
}

const NOTHING = Buffer.alloc(0);
const HIDDEN = 'Removed: the content could not be inspected as a whole.';

export class Fetched {
  readonly #flow: Flow;
  readonly #owner: FetchedOwner;
  readonly mailbox: Mailbox;
  /** Live: who asked for slices. */
  readonly slicing: Slicing;
  readonly #literals = new Map<FileId, HeldLiteral>();
  readonly #lines = new Map<FileId, HeldLine>();
  #content: Content | undefined;
  #prefix = NOTHING;
  /** Live: what the content goes into. */
  unit: Unit | undefined;

  constructor(flow: Flow, owner: FetchedOwner) {
    this.#flow = flow;
    this.#owner = owner;
    this.slicing = new Slicing(flow.limits.sliceKept);
    this.mailbox = new Mailbox(flow.limits, {
      left: (assembly) => this.#left(assembly),
      crowded: () => this.#odd('imap-mailbox-limit'),
    });
  }

  // ── Content as it comes ────────────────────────────────────────────────────────────────────────────────────────────────

  /** A section of message `number` follows, announced by `line`; without either it is content that nobody understands. */
  begin(number: number | undefined, section: Section | undefined, size: number, line: Line | undefined): void {
    const message = number === undefined ? undefined : this.mailbox.message(number);
    const content: Content = {
      ...{ section, message, size, done: 0, since: 0 },
      ...{ file: undefined, assembly: undefined, look: undefined, unknown: false },
      cut: section === undefined || this.#flow.passive ? undefined : this.slicing.cutOf(section),
      kept: [],
    };
    this.#content = content;
    if (!this.#flow.passive) {
      this.unit = this.#flow.unit(CLIENT, 'held');
      this.#prefix = line === undefined ? NOTHING : Buffer.from(line.chunk.subarray(line.start, line.end));
    }
    // It was judged before: what comes now is not looked at, and not let through.
    if (content.cut?.judged !== undefined) return;
    if (message === undefined || section === undefined) {
      this.#openAlone(content);
      return;
    }
    // Behind the end of what is there already, nothing was begun.
    if (size === 0 && section.origin !== undefined && this.#flow.passive) {
      content.assembly = message.assemblies.get(sectionKey(section));
      return;
    }
    const header = message.headerOf(section);
    if (!this.#flow.passive) {
      if (header !== undefined) this.#openLive(content, header);
      // Of a part that the message does not have comes nothing: there is no need to know what it would have been.
      else if (size > 0) {
        this.#unknown(content);
        content.look = NOTHING;
      }
    } else if (section.origin !== undefined || header === undefined) this.#assemble(content, message, section, header);
    else {
      content.file = this.#open('message/rfc822');
      writeText(content.file, header);
    }
  }

  /** Readers may take its length for another. */
  malformed(code: ImapEvent): void {
    (this.#content?.file ?? this.#content?.assembly?.file)?.malformed(code);
  }

  write(chunk: Buffer, start: number, end: number): void {
    const content = this.#content;
    if (content === undefined || content.cut?.judged !== undefined) return;
    if (content.cut !== undefined) content.kept.push(Buffer.from(chunk.subarray(start, end)));
    if (content.look !== undefined) {
      content.look = Buffer.concat([content.look, chunk.subarray(start, end)]);
      if (content.look.length >= Math.min(LOOK, content.size)) this.#openUnknown(content, content.look);
      return;
    }
    if (content.assembly !== undefined)
      content.assembly.write((content.section?.origin ?? 0) + content.done, chunk, start, end);
    else content.file?.write(chunk, start, end);
    content.done += end - start;
  }

  /** Of what is put together the place stays empty, or is filled by another slice. */
  gap(length: number): void {
    const content = this.#content;
    if (content === undefined) return;
    if (content.assembly === undefined) content.file?.gap(length);
    else this.#cover(content, content.assembly);
    content.done += length;
    content.since = content.done;
  }

  ended(): void {
    const content = this.#content;
    const { unit } = this;
    this.#content = undefined;
    this.unit = undefined;
    if (content === undefined) return;
    if (content.cut?.judged !== undefined) {
      const piece = pieceOf(content.cut.judged, content.cut);
      unit?.replace(Buffer.concat([announced(this.#prefix, content.cut, piece.length), piece]));
      return;
    }
    if (content.look !== undefined) this.#openUnknown(content, content.look);
    if (content.file === undefined && content.assembly === undefined) {
      if (content.cut === undefined) unit?.release();
      else unit?.replace(announced(this.#prefix, content.cut, 0));
      return;
    }
    if (content.assembly === undefined) {
      // A slice of nobody knows what.
      if (content.unknown && content.file !== undefined) doubt(content.file);
      if (content.section !== undefined && content.message?.contradicts(content.section) === true)
        this.#contradicted(content.file);
      if (content.message === undefined && content.section?.origin !== undefined) content.file?.abort('gap');
      else content.file?.end();
      return;
    }
    this.#cover(content, content.assembly);
    this.#measure(content, content.assembly);
    this.#closeIfWhole(content.assembly);
  }

  /** The server stopped in the middle of it. */
  cut(reason: 'gap' | 'reset'): void {
    const content = this.#content;
    this.#content = undefined;
    if (content?.look !== undefined) this.#openUnknown(content, content.look);
    if (content?.assembly !== undefined) this.#cover(content, content.assembly);
    content?.file?.abort(reason);
    if (content?.file !== undefined) this.#literals.delete(content.file.id);
    this.unit?.replace();
    this.unit = undefined;
  }

  /** A header, or a text, with more in it than it may have: it is judged like content. */
  judgeText(text: string, header: boolean, held: HeldText | undefined): void {
    this.#odd('imap-message-in-text');
    const file = this.#open(header ? 'message/rfc822' : undefined, held?.unit);
    const bytes = Buffer.from(text, 'latin1');
    if (held !== undefined)
      this.#literals.set(file.id, {
        ...{ ...held, front: 0, length: bytes.length, slice: false },
        ...{ section: undefined, message: undefined, cut: undefined, content: [] },
      });
    file.write(bytes, 0, bytes.length);
    file.end();
  }

  /** Nobody knows which message it belongs to. A whole one needs nothing but itself. */
  #openAlone(content: Content): void {
    const { section } = content;
    const whole = section?.name === '' && section.origin === undefined;
    const file = this.#open(section === undefined ? undefined : 'message/rfc822');
    content.file = file;
    this.#hold(content, file, 0);
    if (section?.origin !== undefined && section.origin > 0) file.gap(0);
    if (!whole) this.#unknown(content);
  }

  #assemble(content: Content, message: KnownMessage, section: Section, header: string | undefined): void {
    const key = sectionKey(section);
    const open = message.assemblies.get(key);
    if (open !== undefined && section.origin !== undefined) {
      content.assembly = open;
      return;
    }
    // The same again, as a whole: it is another file.
    if (open !== undefined) this.mailbox.giveUp(open);
    const assembly = new Assembly(this.#open('message/rfc822'), header);
    content.assembly = assembly;
    if (section.origin === undefined) assembly.total = content.size;
    this.mailbox.begin(message, key, assembly);
  }

  #cover(content: Content, assembly: Assembly): void {
    const origin = content.section?.origin ?? 0;
    if (assembly.cover(origin + content.since, origin + content.done, this.#flow.limits.holes)) return;
    this.#odd('imap-mailbox-limit');
    this.mailbox.giveUp(assembly);
  }

  /** A slice came: is it known now how long the whole is? */
  #measure({ section, message, size }: Content, assembly: Assembly): void {
    if (section?.origin === undefined) return;
    const end = section.origin + size;
    const asked = this.#owner.asked(section);
    // Less than was asked for; where nobody heard what was, less than before.
    const short = asked === undefined ? section.origin > 0 && size < assembly.longest : size < asked;
    if (size === 0) this.#nothingAt(section.origin, assembly);
    else if (short) assembly.total = end;
    else {
      const told = message?.sizeOf(section);
      // A size that is too small is no size.
      if (told !== undefined && end <= told) assembly.total ??= told;
      else if (assembly.total !== undefined && end > assembly.total) assembly.total = undefined;
    }
  }

  /** Nothing is there: it ends there or before. */
  #nothingAt(origin: number, assembly: Assembly): void {
    if (origin === assembly.reach) assembly.total = origin;
  }

  #closeIfWhole(assembly: Assembly): void {
    if (!assembly.whole || !assembly.headed) return;
    const place = this.mailbox.settled(assembly);
    if (place?.message.contradicts(sectionOfKey(place.key)) === true) this.#contradicted(assembly.file);
    assembly.file.end();
  }

  /** It is not waited for any longer. */
  #left(assembly: Assembly): void {
    if (!assembly.headed) {
      assembly.guess();
      this.#odd('imap-unknown-encoding');
      doubt(assembly.file);
    }
    if (assembly.whole) assembly.file.end();
    else assembly.file.abort('reset');
  }

  // ── What is told beside ────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * A FETCH response of message `number` is complete: what it told, and content that came in quotes. `line` is its last one, not taken yet;
   * true: it was taken here, since it holds such content (live).
   */
  response(number: number, text: string, line: Line): boolean {
    const [list] = parseData(text.replace(/^\* \d+ (?:UID)?FETCH /i, ''));
    if (list?.kind !== 'list') return false;
    const inQuotes: [Section, string][] = [];
    for (let i = 0; i + 1 < list.items.length; i += 2) {
      const name = textOf(list.items[i]);
      const value = list.items[i + 1];
      if (name === undefined || value === undefined) continue;
      const section = sectionOf(name);
      if (section === undefined) this.#learn(number, name.toUpperCase(), value);
      else if (isHeader(section)) {
        if (value.kind === 'string') this.learnHeader(number, section, value.text);
      } else if (value.kind === 'nil' || (value.kind === 'string' && value.text === '' && !this.#flow.passive))
        this.#nothing(number, section);
      else if (value.kind === 'string') inQuotes.push([section, value.text]);
    }
    if (inQuotes.length === 0) return false;
    if (!this.#flow.passive) {
      this.#holdLine(number, inQuotes, line);
      return true;
    }
    for (const [section, content] of inQuotes) this.#whole(number, section, content);
    return false;
  }

  #learn(number: number, item: string, value: Datum): void {
    const text = textOf(value);
    const count = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    if (item === 'UID' && count !== undefined) {
      // Live, who is asked about by UID must be found again.
      const message = this.#flow.passive ? this.mailbox.find(number) : this.mailbox.message(number);
      if (message !== undefined) this.mailbox.identify(message, count);
    } else if (item === 'RFC822.SIZE' && count !== undefined) {
      const message = this.mailbox.message(number);
      message.size = count;
      const assembly = message.assemblies.get('');
      if (assembly === undefined || assembly.reach > count) return;
      assembly.total ??= count;
      this.#closeIfWhole(assembly);
    } else if (item === 'ENVELOPE') {
      const message = this.mailbox.message(number);
      this.mailbox.learn(message, () => message.learnShown(envelopeHeader(value)));
    } else if ((item === 'BODYSTRUCTURE' || item === 'BODY') && value.kind === 'list') {
      const message = this.mailbox.message(number);
      this.mailbox.learn(message, () => message.learnStructure(partsOf(value)));
      this.#headAll(message);
    }
  }

  /** A header, or some of its fields, came. */
  learnHeader(number: number, section: Section, text: string): void {
    if (section.origin !== undefined) return;
    const message = this.mailbox.message(number);
    this.mailbox.learn(message, () => message.learnHeader(section.name, text));
    this.#headAll(message);
  }

  /** Something became known: what waits for its header may have it now. */
  #headAll(message: KnownMessage): void {
    for (const [key, assembly] of [...message.assemblies]) {
      if (assembly.headed) continue;
      const header = message.headerOf(sectionOfKey(key));
      if (header === undefined) continue;
      if (!assembly.head(header)) assembly.head(essential(header));
      if (assembly.headed) this.#closeIfWhole(assembly);
    }
  }

  #nothing(number: number, section: Section): void {
    const assembly = this.mailbox.find(number)?.assemblies.get(sectionKey(section));
    if (assembly === undefined || section.origin === undefined) return;
    this.#nothingAt(section.origin, assembly);
    this.#closeIfWhole(assembly);
  }

  #whole(number: number, section: Section, text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.begin(number, section, bytes.length, undefined);
    this.write(bytes, 0, bytes.length);
    this.ended();
  }

  // ── Live ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #openLive(content: Content, header: string): void {
    const file = this.#open('message/rfc822', this.unit);
    content.file = file;
    writeText(file, header);
    if (content.section?.origin !== undefined) {
      this.#odd('imap-slice');
      file.malformed('imap-slice' satisfies ImapEvent);
    }
    this.#hold(content, file, header.length);
  }

  #openUnknown(content: Content, look: Buffer): void {
    content.look = undefined;
    this.#openLive(content, guessedHeader(look));
    content.file?.write(look, 0, look.length);
    content.done = look.length;
  }

  #hold({ section, message, size, cut, kept }: Content, file: FileStream, front: number): void {
    const { unit } = this;
    if (unit === undefined) return;
    const slice = section?.origin !== undefined;
    this.#literals.set(file.id, {
      ...{ unit, prefix: this.#prefix, front, length: size, slice },
      ...{ section, message, cut, content: kept },
    });
  }

  #holdLine(number: number, inQuotes: readonly [Section, string][], line: Line): void {
    const unit = this.#flow.unit(CLIENT, 'held');
    this.#flow.pass(line.end, unit);
    const held: HeldLine = {
      unit,
      text: line.chunk.toString('latin1', line.start, line.end),
      files: new Map(),
      blocked: [],
    };
    for (const [section, content] of inQuotes) {
      const header = this.mailbox.message(number).headerOf(section);
      const bytes = Buffer.from(content, 'latin1');
      const file = this.#open('message/rfc822', unit);
      writeText(file, header ?? guessedHeader(bytes));
      file.write(bytes, 0, bytes.length);
      if (header === undefined) {
        this.#odd('imap-unknown-encoding');
        doubt(file);
      }
      held.files.set(file.id, content);
      if (section.origin !== undefined) held.blocked.push(content);
      this.#lines.set(file.id, held);
      file.end();
    }
  }

  /** What was judged goes, is mended, or is replaced within its length. */
  verdict(file: FileId, verdict: Verdict): void {
    const line = this.#lines.get(file);
    if (line !== undefined) {
      this.#lines.delete(file);
      this.#judgedLine(line, file, verdict);
    }
    const held = this.#literals.get(file);
    if (held === undefined) return;
    this.#literals.delete(file);
    const { unit, prefix, front, length, slice, cut } = held;
    const blocked = verdict.action === 'block';
    // A part whose own header would have to be mended has none here.
    const mendable = verdict.action !== 'strip' || verdict.edits.every(({ start }) => start >= front);
    if (cut !== undefined) {
      this.#judgedSlice(held, cut, blocked || !mendable ? messageOfLength(verdict.replacement, length) : verdict);
      return;
    }
    if (blocked || slice || !mendable) {
      const text = blocked || !slice ? verdict.replacement : HIDDEN;
      unit.replace(Buffer.concat([prefix, messageOfLength(text, length)]));
      return;
    }
    if (verdict.action === 'strip')
      for (const { start, end, instead } of verdict.edits)
        unit.edit(start - front + prefix.length, end - front + prefix.length, instead);
    unit.release();
  }

  /** The whole was judged: the client gets its piece, and the rest is kept for its next slices. */
  #judgedSlice(held: HeldLiteral, cut: Cut, judged: Buffer | Verdict): void {
    const { unit, prefix, front, section, message } = held;
    let whole = Buffer.isBuffer(judged) ? judged : Buffer.concat(held.content);
    if (!Buffer.isBuffer(judged) && judged.action === 'strip') {
      const pieces: Buffer[] = [];
      let at = 0;
      for (const { start, end, instead } of judged.edits.toSorted((a, b) => a.start - b.start)) {
        pieces.push(whole.subarray(at, start - front), instead);
        at = end - front;
      }
      whole = Buffer.concat([...pieces, whole.subarray(at)]);
    }
    if (message !== undefined && section !== undefined) this.slicing.keep(message, section, whole);
    const piece = pieceOf(whole, cut);
    unit.replace(Buffer.concat([announced(prefix, cut, piece.length), piece]));
  }

  #judgedLine(line: HeldLine, file: FileId, verdict: Verdict): void {
    const content = line.files.get(file) ?? '';
    line.files.delete(file);
    if (verdict.action === 'block' || verdict.action === 'strip') line.blocked.push(content);
    if (line.files.size > 0) return;
    if (line.blocked.length === 0) line.unit.release();
    else {
      let text = line.text;
      for (const blocked of line.blocked) text = text.replaceAll(quoted(blocked), '""');
      // Written in another way than we would write it: it cannot be taken out.
      if (text === line.text) this.#flow.reset('imap-quoted-content' satisfies ImapEvent);
      else line.unit.replace(Buffer.from(text, 'latin1'));
    }
  }

  #open(declaredType: string | undefined, guard?: Unit): FileStream {
    const login = this.#owner.login();
    const meta: FileMeta = {
      name: undefined,
      direction: 'download',
      ...(declaredType === undefined ? {} : { declaredType }),
      fixedLength: true,
      mail: login === undefined ? {} : { login },
    };
    return this.#flow.openFile(meta, guard ?? this.unit);
  }

  #contradicted(file: FileStream | undefined): void {
    this.#odd('imap-encodings-differ');
    file?.malformed('imap-encodings-differ' satisfies ImapEvent);
  }

  #unknown(content: Content): void {
    content.unknown = true;
    this.#odd('imap-unknown-encoding');
  }

  #odd(event: ImapEvent): void {
    this.#flow.anomaly(event, SERVER);
  }
}

/** What is about to end may have been read in a way that it is not: it is not clean, nor is what came out of it, since its header is missing. */
function doubt(file: FileStream): void {
  file.malformed('imap-unknown-encoding' satisfies ImapEvent);
  file.gap(0);
}

function writeText(file: FileStream, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length > 0) file.write(bytes, 0, bytes.length);
}
