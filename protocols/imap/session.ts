/**
 * An IMAP session (RFC 9051, RFC 3501): commands and the responses to them, on both sides as texts with literals. What is fetched and what is
 * appended becomes files; what changes the connection (STARTTLS, COMPRESS) changes its layers. The client is stopped where its next bytes cannot
 * be read without the answer: a literal that waits to be asked for, an exchange, a change of layer. README.md says what is held when.
 */
import { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, opposite, SERVER, type Side, type Unit } from '../../src/core/flow.js';
import { beginsTls } from '../../src/core/tls-record.js';
import { mechanismKnown, saslLogin } from '../mail/sasl.js';
import { stores } from './append.js';
import { longestUnasked, withAllowedCapabilities } from './capabilities.js';
import {
  type Command,
  isCommand,
  loginName,
  mailboxName,
  parseCommand,
  refusalOf,
  UNCUT,
  UNKNOWN_COMMAND,
} from './commands.js';
import type { ImapEvent } from './events.js';
import { fetchCommand } from './fetch-command.js';
import { Fetched, type HeldText } from './fetched.js';
import type { LiteralMark } from './literals.js';
import { Orphans } from './orphans.js';
import { type Pending, PendingCommands } from './pending.js';
import { type Beginning, type Line, type LiteralUse, TextReader } from './reader.js';
import {
  CONTINUATION,
  contentInQuotes,
  FETCH,
  FREE_TEXT,
  NUMBERED,
  refers,
  saysCompressed,
  TAGGED,
  TEXT_ITEMS,
  TEXTS,
  UNTAGGED,
  vanished,
} from './responses.js';
import { hasBody, isHeader, type Section, sectionAround, sectionBefore } from './sections.js';
import { Stored } from './stored.js';
import { quoteOpen } from './syntax.js';

export class ImapSession implements Decoder {
  readonly #flow: Flow;
  readonly #server: TextReader;
  readonly #client: TextReader;
  readonly #fetched: Fetched;
  readonly #stored: Stored;
  readonly #orphans: Orphans;
  readonly #pending = new PendingCommands();
  #login: string | undefined;
  /** The longest literal that the server lets come unasked; undefined: it has not said. */
  #unasked: number | undefined;

  /** What the client's next text is. */
  #state: 'command' | 'authenticating' | 'idling' = 'command';
  #mechanism = '';
  /** What the client is stopped for: a literal to be asked for, a tagged response, a quiet moment of the server, room for one more command. */
  #stoppedFor: 'literal' | 'tag' | 'idle' | 'room' | 'alone' | 'fetch' | undefined;
  /** The command that is being read began with this and a literal. */
  #head: Command | undefined;
  /** Live: a FETCH that was changed, or one of ours, is under way; nothing else is. */
  #fetching: { readonly tag: string; readonly ours: boolean } | undefined;
  /** Live: the command that a structure was fetched for. */
  #prepared: string | undefined;
  #ours = 0;
  /** An answer to it that is in several lines. */
  #swallowed: Unit | undefined;
  /** Live: what the client is told when the server is between two responses. */
  #owed: Buffer[] = [];
  /** A side whose answer to COMPRESS, or COMPRESS itself, was lost: what comes next may be compressed. */
  #perhapsCompressed: Side | undefined;
  /** The recording lacks bytes: responses may have lost their commands. */
  #loose = false;
  /** The last response changed the layer. */
  #layered = false;
  /** The header that is being fetched: known before the content behind it comes. */
  #header: readonly [number: number, section: Section] | undefined;
  /** Live: the text that is being fetched, and the line that announced it. */
  #held: HeldText | undefined;
  /** The text belongs to a FETCH response. */
  #inFetch = false;

  constructor(flow: Flow) {
    this.#flow = flow;
    this.#fetched = new Fetched(flow, {
      login: () => this.#login,
      asked: (section) => this.#pending.asked(section),
    });
    this.#stored = new Stored(flow, {
      login: () => this.#login,
      released: (tag) => this.#pending.add({ tag, verb: 'APPEND', rest: '' }),
      tell: (text) => {
        this.#owed.push(Buffer.from(text));
        this.#tell();
      },
    });
    this.#orphans = new Orphans(flow);
    this.#server = new TextReader(flow, SERVER, {
      complete: (text, line) => this.#response(text, line),
      literal: (text, mark, line) => this.#serverLiteral(text, mark, line),
      content: (chunk, start, end) => this.#fetched.write(chunk, start, end),
      contentGap: (length) => this.#fetched.gap(length),
      contentEnded: () => this.#fetched.ended(),
      textEnded: (text) => this.#textEnded(text),
      unit: () => this.#swallowed ?? this.#held?.unit ?? this.#fetched.unit,
    });
    this.#client = new TextReader(flow, CLIENT, {
      complete: (text, line, last) => this.#command(text, line, last),
      literal: (text, mark, line) => this.#clientLiteral(text, mark, line),
      content: (chunk, start, end) => this.#stored.write(chunk, start, end),
      contentGap: (length) => this.#stored.gap(length),
      contentEnded: () => this.#stored.ended(),
      textEnded: () => {},
      unit: () => this.#stored.unit,
    });
  }

  push(side: Side, chunk: Buffer): void {
    const reader = side === SERVER ? this.#server : this.#client;
    // A handshake: the answer to STARTTLS was lost.
    if (this.#flow.passive && reader.between && beginsTls(chunk, 0)) return this.#startTls();
    if (side === this.#perhapsCompressed && chunk.length > 0) {
      this.#perhapsCompressed = undefined;
      const [line = ''] = chunk.toString('latin1', 0, 64).split(/\r?\n/, 1);
      if (side === CLIENT ? parseCommand(line).tag === '' : !UNTAGGED.test(line) && !TAGGED.test(line))
        return this.#flow.layer('deflate');
    }
    reader.read(chunk);
  }

  end(side: Side): void {
    if (side === SERVER) {
      if (this.#server.inContent) {
        this.#odd('imap-content-cut', SERVER);
        this.#fetched.cut('reset');
      }
      this.#orphans.end(SERVER);
      this.#fetched.mailbox.end();
    } else {
      if (this.#client.inContent) this.#odd('imap-content-cut', CLIENT);
      this.#dropCommand('reset');
      this.#orphans.end(CLIENT);
    }
    this.#flow.finish(opposite(side));
  }

  gap(side: Side, length: number): void {
    const reader = side === SERVER ? this.#server : this.#client;
    this.#loose = true;
    const within = reader.inContent;
    reader.gap(length);
    // A recording that begins in the middle: the first line is looked at, it may be whole.
    if (length === 0) reader.reset();
    if (within && reader.inContent) return;
    this.#odd('imap-resync', side);
    if (side === CLIENT) {
      this.#dropCommand('gap');
      // Nothing of an exchange is to be taken for a message.
      this.#state = this.#pending.under('AUTHENTICATE') ? 'authenticating' : 'command';
      this.#stoppedFor = undefined;
    } else if (this.#stoppedFor !== undefined) {
      // The answer that the client was stopped for may have been among them.
      this.unanswered(CLIENT);
      this.#flow.resume(CLIENT);
    }
  }

  verdict(file: FileId, verdict: Verdict): void {
    if (this.#flow.passive) return;
    this.#fetched.verdict(file, verdict);
    this.#stored.verdict(file, verdict);
  }

  unanswered(side: Side): void {
    if (side !== CLIENT) return;
    this.#loose = true;
    if (this.#stoppedFor === 'tag') {
      const { last } = this.#pending;
      if (last?.verb === 'AUTHENTICATE' && this.#mechanism !== '') this.#state = 'authenticating';
      else if (this.#state === 'authenticating') this.#state = 'command';
      if (last?.verb === 'COMPRESS') this.#perhapsCompressed = CLIENT;
    }
    if (this.#stoppedFor !== 'literal') this.#pending.clear();
    this.#stoppedFor = undefined;
  }

  wake(): void {}

  // ── The client ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A whole command, or a line of an exchange. */
  #command(text: string, line: Line, last: string): boolean {
    const head = this.#head;
    if (this.#stored.active) {
      this.#head = undefined;
      this.#stored.finish(last, head === undefined, line);
      return true;
    }
    if (this.#state === 'authenticating') {
      this.#login = saslLogin(this.#mechanism, text) ?? this.#login;
      // Only the first response names anybody.
      this.#mechanism = '';
      this.#flow.pass(line.end);
      return this.#stop('tag');
    }
    if (/^DONE$/i.test(text) && (this.#state === 'idling' || this.#flow.passive)) {
      this.#state = 'command';
      this.#flow.pass(line.end);
      return true;
    }
    const command = parseCommand(text);
    if (this.#loose && this.#flow.passive && !isCommand(command)) {
      this.#orphans.add(CLIENT, line, this.#login);
      this.#flow.pass(line.end);
      return true;
    }
    this.#orphans.end(CLIENT);
    if (!this.#admits(command, line)) return this.#stoppedFor === undefined;
    if (!this.#flow.passive && !this.#fetches(command, text, line)) return this.#stoppedFor === undefined;
    this.#head = undefined;
    this.#flow.pass(line.end);
    return this.#await(command, text, head !== undefined && head.rest.trim() === '');
  }

  /** May it go to the server? Otherwise it was answered, or waits until it can be. */
  #admits(command: Command, line: Line): boolean {
    if (this.#pending.size >= this.#flow.limits.pipelined && this.#head === undefined) {
      this.#odd('imap-pipelined-limit', CLIENT);
      this.#stop('room');
      return false;
    }
    // Readers that let a quoted string go on over the line end see other commands than those that do not.
    const malformed = command.tag === '' || quoteOpen(command.rest);
    if (malformed) this.#odd('imap-malformed-command', CLIENT);
    const refusal = this.#flow.passive ? undefined : malformed ? UNKNOWN_COMMAND : refusalOf(command);
    if (refusal === undefined) return true;
    if (this.#head !== undefined) {
      // The server has its beginning.
      this.#failed('imap-command-refused', CLIENT);
      return false;
    }
    if (!this.#server.between) {
      this.#stop('idle');
      return false;
    }
    if (!malformed) this.#odd('imap-command-refused', CLIENT);
    this.#flow.drop(line.end);
    this.#flow.send(CLIENT, Buffer.from(`${command.tag === '' ? '*' : command.tag} ${refusal}\r\n`, 'latin1'));
    return false;
  }

  /**
   * Live: a FETCH whose parts nobody has told of yet waits until we have asked what they are; one of slices goes as one of wholes, alone. False: it
   * was taken, or waits.
   */
  #fetches(command: Command, text: string, line: Line): boolean {
    const fetch = command.verb === 'FETCH' || command.verb === 'UID' ? fetchCommand(text) : undefined;
    if (fetch === undefined) return true;
    const { mailbox, slicing } = this.#fetched;
    const message =
      fetch.single === undefined ? undefined : fetch.byUid ? mailbox.byUid(fetch.single) : mailbox.find(fetch.single);
    const untold = fetch.sections.some((section) => section.name !== '' && message?.headerOf(section) === undefined);
    const asks = untold && this.#prepared !== text && /^[\d:,*]+$/.test(fetch.set);
    if (!asks && fetch.slices.length === 0) return true;
    if (this.#head !== undefined) {
      this.#failed('imap-command-refused', CLIENT);
      return false;
    }
    if (this.#pending.size > 0 || !this.#server.between) return this.#stop('alone');
    if (asks) {
      this.#prepared = text;
      const own = `${OURS}${++this.#ours}`;
      this.#fetching = { tag: own, ours: true };
      const uid = fetch.byUid ? 'UID ' : '';
      this.#flow.send(SERVER, Buffer.from(`${own} ${uid}FETCH ${fetch.set} (UID BODYSTRUCTURE)\r\n`, 'latin1'));
      return this.#stop('fetch');
    }
    const rewritten = slicing.begin(text, fetch, message);
    this.#flow.drop(line.end);
    if (rewritten === undefined) {
      this.#odd('imap-command-refused', CLIENT);
      this.#flow.send(CLIENT, Buffer.from(`${command.tag} ${UNCUT}\r\n`, 'latin1'));
      return false;
    }
    this.#pending.add(command);
    this.#fetching = { tag: command.tag, ours: false };
    this.#flow.send(SERVER, Buffer.from(`${rewritten}\r\n`, 'latin1'));
    return this.#stop('fetch');
  }

  /** A command is under way. False: nothing more of the client is to be read before its response. */
  #await(command: Command, text: string, namedByLiteral: boolean): boolean {
    const { tag, verb, rest } = command;
    if (tag === '') return true;
    this.#pending.add(command, text);
    switch (verb) {
      case 'LOGIN':
        this.#login = loginName(rest, namedByLiteral) ?? this.#login;
        return true;
      case 'AUTHENTICATE': {
        const [mechanism = '', initial] = rest.trim().split(/ +/, 2);
        this.#mechanism = mechanism.toUpperCase();
        if (!mechanismKnown(mechanism)) this.#odd('imap-command-refused', CLIENT);
        if (initial !== undefined) {
          this.#login = saslLogin(this.#mechanism, initial) ?? this.#login;
          this.#mechanism = '';
        }
        return this.#stop('tag');
      }
      case 'STARTTLS':
      case 'COMPRESS':
        return this.#stop('tag');
      case 'IDLE':
        this.#state = 'idling';
        return true;
      default:
        return true;
    }
  }

  #clientLiteral(text: Beginning, mark: LiteralMark, line: Line): LiteralUse {
    if (this.#state !== 'command') return 'none';
    const command = parseCommand(text.head);
    if (text.first) {
      // It is refused as it is, or (live) there is no way to refuse what comes unasked.
      if (!this.#flow.passive && refusalOf(command) !== undefined)
        return mark.nonSynchronizing ? this.#failed('imap-command-refused', CLIENT) : 'none';
      if (!this.#flow.passive && stores(text.head) && !this.#mayAsk(mark)) return undefined;
      this.#head = command;
      if (stores(text.head)) this.#stored.begin(command.tag);
    } else if (text.head === '' && !this.#stored.active && mark.size > SMALL) {
      // The beginning of the command is missing from the recording: of this size, it is a message.
      this.#stored.resume();
    }
    if (mark.nonSynchronizing && mark.size > (this.#unasked ?? Number.POSITIVE_INFINITY)) {
      if (!this.#flow.passive) return this.#failed('imap-literal-not-offered', CLIENT);
      this.#odd('imap-literal-not-offered', CLIENT);
    }
    const held = !this.#flow.passive && this.#stored.active;
    if (held && !this.#mayAsk(mark)) return undefined;
    if (text.first && command.tag !== '' && !held) this.#pending.add(command);
    let takes = false;
    if (this.#stored.active) takes = this.#stored.takes(text, mark, line);
    else this.#flow.pass(line.end);
    if (!mark.nonSynchronizing && !held) this.#stop('literal');
    return takes ? 'content' : 'text';
  }

  /** Live: may we ask for a literal now? Otherwise when the server is between two responses. */
  #mayAsk(mark: LiteralMark): boolean {
    return mark.nonSynchronizing || this.#server.between || this.#stop('idle');
  }

  /** Nothing of ours may come into the middle of a response. */
  #tell(): void {
    if (!this.#server.between) return;
    for (const owed of this.#owed) this.#flow.send(CLIENT, owed);
    this.#owed = [];
  }

  /** The command that is being read will not be whole. */
  #dropCommand(reason: 'gap' | 'reset'): void {
    this.#head = undefined;
    this.#stored.drop(reason);
  }

  /** Always false. */
  #stop(why: 'literal' | 'tag' | 'idle' | 'room' | 'alone' | 'fetch'): false {
    this.#stoppedFor = why;
    this.#client.halt();
    this.#flow.stop(CLIENT);
    return false;
  }

  /** What the client had waiting comes before the server's next response, which may be its own. */
  #resume(): void {
    if (this.#stoppedFor === undefined) return;
    this.#stoppedFor = undefined;
    this.#flow.resume(CLIENT);
    this.#server.halt();
    this.#flow.resume(SERVER);
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #serverLiteral(text: Beginning, mark: LiteralMark, line: Line): LiteralUse {
    this.#header = undefined;
    if (text.head === '' && !text.first) return this.#unknownLiteral(undefined, text, mark, line);
    if (!text.head.startsWith('* ') || FREE_TEXT.test(text.head)) {
      if (!this.#flow.passive) return this.#failed('imap-literal-in-text', SERVER);
      if (!this.#loose) this.#odd('imap-literal-in-text', SERVER);
      return 'none';
    }
    const fetch = FETCH.exec(text.head);
    this.#inFetch = fetch !== null;
    if (fetch === null && !TEXTS.test(text.head)) return this.#unknownLiteral(undefined, text, mark, line);
    // Content in quotes would be out before it is judged.
    if (!this.#flow.passive && fetch !== null && contentInQuotes(text.line))
      return this.#failed('imap-quoted-content', SERVER);
    if (fetch === null) {
      this.#flow.pass(line.end);
      return 'text';
    }
    const number = Number(fetch[1]);
    const section = sectionAround(text.tail);
    if (this.#fetching?.ours === true) {
      // Names in a structure that are no quoted strings.
      if (section !== undefined) return this.#failed('imap-unexpected-response', SERVER);
      this.#swallowed ??= this.#flow.unit(CLIENT, 'held');
      this.#flow.pass(line.end, this.#swallowed);
      return 'text';
    }
    const nested = text.depth !== 1;
    if (section === undefined ? !nested && !TEXT_ITEMS.test(text.tail.trimEnd()) : nested)
      return this.#unknownLiteral(number, text, mark, line);
    if (section === undefined || isHeader(section)) {
      if (mark.size <= Math.min(text.room, this.#flow.limits.line)) return this.#text(number, section, line);
      // What is too long for a header is content, and so is what is not read as a text.
      if (section === undefined) return this.#unknownLiteral(number, text, mark, line);
    }
    const uid = /[ (]UID (\d{1,10})[ )]/i.exec(text.tail)?.[1];
    if (uid !== undefined) this.#fetched.mailbox.identify(this.#fetched.mailbox.message(number), Number(uid));
    this.#noteUnasked();
    return this.#content(number, section, mark, line);
  }

  /** A header, or a short text: held until it is seen that it is no more than that. */
  #text(number: number, section: Section | undefined, line: Line): LiteralUse {
    this.#header = section === undefined ? undefined : [number, section];
    if (!this.#flow.passive)
      this.#held = {
        unit: this.#flow.unit(CLIENT, 'held'),
        prefix: Buffer.from(line.chunk.subarray(line.start, line.end)),
      };
    this.#flow.pass(line.end, this.#held?.unit);
    return 'text';
  }

  /** A text has come. One with a body is a message, or becomes one with what a client puts behind it: it is judged. */
  #textEnded(text: string): void {
    const held = this.#held;
    this.#held = undefined;
    if (this.#header !== undefined) this.#fetched.learnHeader(...this.#header, text);
    if (!this.#inFetch || !hasBody(text)) held?.unit.release();
    else if (this.#swallowed !== undefined) {
      this.#failed('imap-unexpected-response', SERVER);
      this.#server.halt();
    } else this.#fetched.judgeText(text, this.#header !== undefined, held);
  }

  #unknownLiteral(number: number | undefined, text: Beginning, mark: LiteralMark, line: Line): LiteralUse {
    if (text.head !== '') this.#odd('imap-unknown-literal', SERVER);
    return this.#content(number, text.head === '' ? sectionBefore(text.tail) : undefined, mark, line);
  }

  #content(number: number | undefined, section: Section | undefined, mark: LiteralMark, line: Line): LiteralUse {
    this.#orphans.end(SERVER);
    this.#fetched.begin(number, section, mark.size, line);
    if (mark.odd) this.#fetched.malformed('imap-literal-size');
    this.#flow.pass(line.end, this.#fetched.unit);
    return 'content';
  }

  #response(text: string, line: Line): boolean {
    let goesOn = true;
    if (text.startsWith('* ') && (UNTAGGED.test(text) || !this.#loose)) goesOn = this.#untagged(text, line);
    else if (CONTINUATION.test(text)) this.#continued(line);
    else goesOn = this.#tagged(text, line);
    if (this.#stoppedFor === 'idle' && this.#server.between) this.#resume();
    this.#tell();
    return goesOn;
  }

  /** False: nothing more of the server is to be read. */
  #untagged(text: string, line: Line): boolean {
    this.#orphans.end(SERVER);
    const { mailbox } = this.#fetched;
    const numbered = NUMBERED.exec(text);
    if (numbered === null) {
      const validity = /^\* OK \[UIDVALIDITY (\d{1,10})\]/i.exec(text)?.[1];
      if (validity !== undefined) this.#enter(validity);
      else if (/^\* OK \[CLOSED\]/i.test(text)) mailbox.leave();
      else if (/^\* VANISHED \d/i.test(text)) mailbox.vanished(vanished(text) ?? []);
      else if (/^\* PREAUTH\b/i.test(text)) this.#odd('imap-preauth', SERVER);
      const free = FREE_TEXT.test(text);
      if (free && refers(text)) this.#odd('imap-referral', SERVER);
      if (!free && this.#hasContentInQuotes(text)) return false;
      this.#passLine(line);
      return true;
    }
    const number = Number(numbered[1]);
    const swallowed = this.#swallowed;
    this.#swallowed = undefined;
    // The answer to a question of ours: nobody else waits for it.
    if (this.#fetching?.ours === true && /FETCH$/i.test(numbered[2] ?? '') && /BODYSTRUCTURE/i.test(text)) {
      this.#fetched.response(number, text, line);
      this.#flow.drop(line.end);
      swallowed?.replace();
      return true;
    }
    if (swallowed !== undefined) {
      if (this.#hasContentInQuotes(text)) return false;
      this.#flow.pass(line.end, swallowed);
      swallowed.release();
      return true;
    }
    if (/^EXPUNGE$/i.test(numbered[2] ?? '')) mailbox.expunge(number);
    else if (this.#fetched.response(number, text, line)) return true;
    if (this.#hasContentInQuotes(text)) return false;
    this.#flow.pass(line.end);
    return true;
  }

  /** Live: content in a place where it cannot be held ends the connection. */
  #hasContentInQuotes(text: string): boolean {
    if (this.#flow.passive || !contentInQuotes(text)) return false;
    this.#failed('imap-quoted-content', SERVER);
    return true;
  }

  /** Capabilities are shown as far as they are allowed. */
  #passLine({ chunk, start, end }: Line): void {
    const line = chunk.toString('latin1', start, end);
    this.#unasked = longestUnasked(line) ?? this.#unasked;
    if (this.#flow.passive) return this.#flow.pass(end);
    const shown = withAllowedCapabilities(line.replace(/\r?\n$/, ''));
    if (line.startsWith(shown)) return this.#flow.pass(end);
    this.#flow.drop(end);
    this.#flow.send(CLIENT, Buffer.from(`${shown}\r\n`, 'latin1'));
  }

  /** The mailbox of the SELECT that is being answered. */
  #enter(validity: string | undefined): void {
    const select = this.#pending.selecting;
    if (select?.entered !== true) this.#fetched.mailbox.select(select === undefined ? '' : mailboxName(select.rest));
    if (select !== undefined) select.entered = true;
    if (validity !== undefined) this.#fetched.mailbox.valid(validity);
  }

  /** `+`: go on, with a literal, an exchange, or nothing (IDLE). */
  #continued(line: Line): void {
    if (this.#stored.asked()) {
      this.#flow.drop(line.end);
      return;
    }
    this.#flow.pass(line.end);
    if (this.#stoppedFor === 'tag' && this.#pending.under('AUTHENTICATE')) this.#state = 'authenticating';
    else if (this.#stoppedFor !== 'literal') {
      if (!this.#pending.under('IDLE') && !this.#loose) this.#odd('imap-unexpected-continuation', SERVER);
      return;
    }
    this.#resume();
  }

  /** False: nothing more of the server is to be read now. */
  #tagged(text: string, line: Line): boolean {
    const found = TAGGED.exec(text);
    if (found === null) return this.#malformed(line);
    this.#orphans.end(SERVER);
    const [, tag = '', status = ''] = found;
    if (this.#fetching?.tag === tag) {
      const { ours } = this.#fetching;
      this.#fetching = undefined;
      this.#fetched.slicing.end();
      if (ours) {
        this.#flow.drop(line.end);
        this.#resume();
        return true;
      }
    }
    const pending = this.#pending.take(tag);
    if (pending === undefined && !this.#loose) {
      this.#odd('imap-unexpected-response', SERVER);
      if (!this.#flow.passive) {
        this.#flow.reset('imap-unexpected-response' satisfies ImapEvent);
        return false;
      }
    }
    if (refers(text)) this.#odd('imap-referral', SERVER);
    this.#passLine(line);
    this.#answered(tag, pending, /^OK$/i.test(status), text);
    return !this.#layered;
  }

  #answered(tag: string, pending: Pending | undefined, done: boolean, text: string): void {
    const { mailbox } = this.#fetched;
    this.#layered = false;
    // The command is missing from the recording.
    if (pending === undefined && done && this.#flow.passive && saysCompressed(text)) {
      this.#perhapsCompressed = SERVER;
      this.#server.halt();
      this.#flow.resume(SERVER);
    }
    this.#stored.answered(tag);
    const refused = this.#stoppedFor === 'literal' && (this.#head === undefined || this.#head.tag === tag);
    if (refused) {
      // The literal is not sent.
      this.#client.reset();
      this.#dropCommand('reset');
    }
    switch (pending?.verb) {
      case 'AUTHENTICATE':
      case 'IDLE':
        this.#state = 'command';
        break;
      case 'SELECT':
      case 'EXAMINE':
        if (!done) mailbox.leave();
        else if (!pending.entered) mailbox.select(mailboxName(pending.rest));
        break;
      case 'CLOSE':
      case 'UNSELECT':
      case 'LOGOUT':
        if (done) mailbox.leave();
        break;
      case 'STARTTLS':
        if (done) return this.#startTls();
        break;
      case 'COMPRESS':
        if (!done) break;
        this.#layered = true;
        this.#resume();
        return this.#flow.layer('deflate');
      default:
    }
    const waits =
      this.#stoppedFor === 'literal'
        ? !refused
        : this.#stoppedFor === 'fetch'
          ? this.#fetching !== undefined
          : this.#stoppedFor === 'alone'
            ? this.#pending.size > 0
            : this.#stoppedFor === 'tag' && pending !== undefined && !CHANGES.has(pending.verb) && !this.#loose;
    if (!waits) this.#resume();
  }

  /** RFC 9051 §6.2.1: nothing that was said before counts. */
  #startTls(): void {
    this.#layered = true;
    this.#pending.clear();
    this.#login = undefined;
    this.#unasked = undefined;
    this.#state = 'command';
    this.#client.reset();
    this.#server.reset();
    this.#fetched.mailbox.end();
    this.#resume();
    this.#flow.layer('tls');
  }

  /** No response: in a recording that lacks bytes perhaps content whose beginning is missing. */
  #malformed(line: Line): boolean {
    if (!this.#flow.passive) {
      this.#odd('imap-malformed-response', SERVER);
      this.#flow.reset('imap-malformed-response' satisfies ImapEvent);
      return false;
    }
    if (this.#loose) this.#orphans.add(SERVER, line, this.#login);
    else this.#odd('imap-malformed-response', SERVER);
    this.#flow.pass(line.end);
    return true;
  }

  #noteUnasked(): void {
    if (!this.#loose && !this.#pending.under('FETCH', 'UID')) this.#odd('imap-unasked-content', SERVER);
  }

  /** Live, nothing is forwarded on a guess. */
  #failed(event: ImapEvent, side: Side): undefined {
    this.#odd(event, side);
    this.#flow.reset(event);
    return undefined;
  }

  #odd(event: ImapEvent, side: Side): void {
    this.#flow.anomaly(event, side);
  }
}

/** Tags of commands of our own. */
const OURS = 'inspectd';
/** Commands that the client is stopped behind. */
const CHANGES = new Set(['AUTHENTICATE', 'STARTTLS', 'COMPRESS']);
/** A literal of a command whose beginning is missing: names and passwords are shorter, messages longer. */
const SMALL = 1024;
