/**
 * An IMAP session (RFC 9051, RFC 3501): commands and the responses to them, on both sides as texts with literals. What is fetched and what is
 * appended becomes files; what changes the connection (STARTTLS, COMPRESS) changes its layers.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileMeta, FileStream, Verdict } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, opposite, SERVER, type Side, type Unit } from '../../src/core/flow.js';
import { beginsTls } from '../../src/core/tls-record.js';
import { messageOfLength } from '../mail/replacement.js';
import { mechanismKnown, saslLogin } from '../mail/sasl.js';
import { Append } from './append.js';
import { refusalOf, withAllowedCapabilities } from './capabilities.js';
import type { ImapEvent } from './events.js';
import { Fetched, isHeader } from './fetched.js';
import type { LiteralMark } from './literals.js';
import { type LiteralUse, TextReader } from './reader.js';
import { sectionBefore, slicesAsked } from './sections.js';
import { parseData, textOf } from './syntax.js';

const FETCH = /^\* (\d{1,10}) FETCH \(/i;

/** A command without its tagged response. */
interface Pending {
  readonly verb: string;
  /** AUTHENTICATE's mechanism, COMPRESS's algorithm. */
  readonly argument: string;
}

/** A message on its way to the server. Live only. */
interface Stored {
  readonly unit: Unit;
  readonly prefix: Buffer;
  readonly size: number;
}

/** What the client's next bytes are. */
type ClientState = 'command' | 'authenticating' | 'idling';

export class ImapSession implements Decoder {
  readonly #flow: Flow;
  readonly #server: TextReader;
  readonly #client: TextReader;
  readonly #fetched: Fetched;
  readonly #pending = new Map<string, Pending>();
  #login: string | undefined;

  #state: ClientState = 'command';
  #mechanism = '';
  /** What the client is stopped for: the go-ahead or refusal of a literal, a tagged response, room, or a quiet moment of the server. */
  #stoppedFor: 'literal' | 'tag' | 'idle' | undefined;
  /** The go-ahead for the literal that the client announced has come. */
  #goAhead = false;
  #append: Append | undefined;
  #storing: Stored | undefined;
  readonly #stored = new Map<FileId, Stored>();
  #loose = false;

  constructor(flow: Flow) {
    this.#flow = flow;
    this.#fetched = new Fetched(flow, () => this.#login);
    this.#server = new TextReader(flow, SERVER, {
      complete: (text, chunk, start, end) => this.#response(text, chunk, start, end),
      literal: (text, mark, chunk, start, end) => this.#serverLiteral(text, mark, chunk, start, end),
      body: (chunk, start, end) => this.#fetched.write(chunk, start, end),
      bodyGap: (length) => this.#fetched.gap(length),
      bodyEnded: () => this.#fetched.ended(),
      unit: () => this.#fetched.unit,
    });
    this.#client = new TextReader(flow, CLIENT, {
      complete: (text, _chunk, _start, end) => this.#command(text, end),
      literal: (text, mark, _chunk, _start, end) => this.#clientLiteral(text, mark, end),
      body: (chunk, start, end) => this.#append?.write(chunk, start, end),
      bodyGap: (length) => this.#append?.gap(length),
      bodyEnded: () => {
        this.#append?.ended();
        this.#storing = undefined;
      },
      unit: () => this.#storing?.unit,
    });
  }

  push(side: Side, chunk: Buffer): void {
    if (side === SERVER) return this.#server.read(chunk);
    // A handshake: the answer to STARTTLS was lost.
    if (this.#flow.passive && this.#client.between && beginsTls(chunk, 0)) return this.#startTls();
    this.#client.read(chunk);
  }

  end(side: Side): void {
    if (side === SERVER) this.#fetched.mailbox.clear();
    this.#flow.finish(opposite(side));
  }

  gap(side: Side, length: number): void {
    this.#loose = true;
    (side === SERVER ? this.#server : this.#client).gap(length);
    // A recording that begins in the middle: the first line is looked at, it may be whole.
    if (length === 0) (side === SERVER ? this.#server : this.#client).reset();
    if (side === CLIENT) {
      this.#state = 'command';
      this.#stoppedFor = undefined;
    }
  }

  verdict(file: FileId, verdict: Verdict): void {
    if (this.#flow.passive) return;
    this.#fetched.verdict(file, verdict);
    const stored = this.#stored.get(file);
    if (stored === undefined) return;
    this.#stored.delete(file);
    const { unit, prefix, size } = stored;
    if (verdict.action === 'block') unit.replace(Buffer.concat([prefix, messageOfLength(verdict.replacement, size)]));
    else {
      if (verdict.action === 'strip')
        for (const { start, end, instead } of verdict.edits)
          unit.edit(start + prefix.length, end + prefix.length, instead);
      unit.release();
    }
  }

  unanswered(side: Side): void {
    this.#loose = true;
    if (side !== CLIENT) return;
    if (this.#stoppedFor === 'literal') this.#goAhead = true;
    this.#stoppedFor = undefined;
  }

  wake(): void {}

  // ── The client ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A whole command, or a line of an exchange. */
  #command(text: string, end: number): boolean {
    const append = this.#append;
    this.#append = undefined;
    if (append !== undefined) {
      append.follow(text);
      append.abort('reset');
      this.#flow.pass(end);
      this.#await(text);
      return true;
    }
    if (this.#state === 'authenticating') {
      this.#login = saslLogin(this.#mechanism, text) ?? this.#login;
      this.#mechanism = '';
      this.#flow.pass(end);
      return this.#stop('tag');
    }
    if (this.#state === 'idling' && /^DONE$/i.test(text)) {
      this.#state = 'command';
      this.#flow.pass(end);
      return true;
    }
    if (!this.#flow.passive && this.#refused(text, end)) return this.#stoppedFor === undefined;
    this.#flow.pass(end);
    return this.#await(text);
  }

  /** Live: answers a command that the server never hears of, when the server is not in the middle of a response. */
  #refused(text: string, end: number): boolean {
    const { tag, verb, rest } = commandOf(text);
    const refusal = tag === '' ? 'BAD No command' : refusalOf(verb, rest);
    if (refusal === undefined) return false;
    if (!this.#server.between) {
      this.#stop('idle');
      return true;
    }
    this.#odd('imap-command-refused', CLIENT);
    this.#flow.drop(end);
    this.#flow.send(CLIENT, Buffer.from(`${tag === '' ? '*' : tag} ${refusal}\r\n`, 'latin1'));
    return true;
  }

  /** A command is under way. False: nothing more of the client is to be read before its response. */
  #await(text: string): boolean {
    const { tag, verb, rest } = commandOf(text);
    if (tag === '' || verb === '') {
      this.#odd('imap-malformed-command', CLIENT);
      return true;
    }
    if (this.#pending.size >= this.#flow.limits.pipelined) {
      this.#odd('imap-pipelined-limit', CLIENT);
      this.#pending.clear();
      this.#loose = true;
    }
    const [argument = ''] = rest.split(' ', 1);
    this.#pending.set(tag, { verb, argument });
    switch (verb) {
      case 'FETCH':
      case 'UID':
        this.#fetched.ask(slicesAsked(rest));
        return true;
      case 'LOGIN':
        this.#login = loginName(rest) ?? this.#login;
        return true;
      case 'AUTHENTICATE': {
        this.#mechanism = argument.toUpperCase();
        if (!mechanismKnown(argument)) this.#odd('imap-unknown-mechanism', CLIENT);
        const initial = rest.split(' ')[1];
        if (initial !== undefined) this.#login = saslLogin(this.#mechanism, initial) ?? this.#login;
        return this.#stop('tag');
      }
      case 'STARTTLS':
      case 'COMPRESS':
        return this.#stop('tag');
      case 'IDLE':
        this.#state = 'idling';
        return true;
    }
    return true;
  }

  #clientLiteral(text: string, mark: LiteralMark, end: number): LiteralUse | undefined {
    const { verb, rest } = commandOf(text);
    const appends = verb === 'APPEND' || verb === 'REPLACE' || (verb === 'UID' && /^REPLACE /i.test(rest));
    if (!this.#flow.passive && this.#append === undefined && this.#refused(text, end)) return undefined;
    if (appends) this.#append ??= new Append({ open: (guard) => this.#openStored(guard) });
    const takes = this.#append?.takes(text) === true;
    // What follows is the literal, or, when that is refused, the next command.
    if (!mark.nonSynchronizing && !this.#goAhead && this.#flow.passive) {
      this.#flow.pass(end);
      this.#stop('literal');
    } else if (!takes || this.#flow.passive) this.#flow.pass(end);
    this.#goAhead = false;
    if (!takes) return 'text';
    if (!this.#flow.passive) {
      const unit = this.#flow.unit(SERVER, 'held');
      this.#storing = { unit, prefix: Buffer.alloc(0), size: mark.size };
      // The go-ahead must be asked for: the line goes, what follows it is held.
      this.#flow.pass(end);
    }
    this.#append?.begin(text, this.#storing?.unit);
    return 'body';
  }

  #openStored(guard: Unit | undefined): FileStream {
    const meta: FileMeta = {
      name: undefined,
      direction: 'upload',
      declaredType: 'message/rfc822',
      fixedLength: true,
      mail: this.#login === undefined ? {} : { login: this.#login },
    };
    const file = this.#flow.openFile(meta, guard);
    if (this.#storing !== undefined && guard !== undefined) this.#stored.set(file.id, this.#storing);
    return file;
  }

  /** Always false. */
  #stop(why: 'literal' | 'tag' | 'idle'): boolean {
    this.#stoppedFor = why;
    this.#flow.stop(CLIENT);
    return false;
  }

  #resume(): void {
    if (this.#stoppedFor === undefined) return;
    this.#stoppedFor = undefined;
    this.#flow.resume(CLIENT);
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #serverLiteral(text: string, mark: LiteralMark, chunk: Buffer, start: number, end: number): LiteralUse | undefined {
    const number = FETCH.exec(text)?.[1];
    const section = number === undefined ? undefined : sectionBefore(text);
    if (number === undefined || section === undefined || isHeader(section)) {
      this.#flow.pass(end);
      return 'text';
    }
    this.#noteUnasked();
    this.#fetched.begin(Number(number), section, mark.size, Buffer.from(chunk.subarray(start, end)));
    this.#flow.pass(end, this.#fetched.unit);
    return 'body';
  }

  #response(text: string, chunk: Buffer, start: number, end: number): boolean {
    if (text.startsWith('* ')) this.#untagged(text, chunk, start, end);
    else if (text.startsWith('+')) {
      this.#flow.pass(end);
      this.#continued();
    } else return this.#tagged(text, end);
    if (this.#stoppedFor === 'idle') this.#resume();
    return true;
  }

  #untagged(text: string, chunk: Buffer, start: number, end: number): void {
    const found = /^\* (\d{1,10}) (FETCH|EXPUNGE)\b/i.exec(text);
    if (found === null) {
      if (/^\* OK \[CLOSED\]/i.test(text)) this.#fetched.mailbox.clear();
      this.#passLine(chunk, start, end);
      return;
    }
    const number = Number(found[1]);
    if (/^EXPUNGE$/i.test(found[2] ?? '')) {
      this.#flow.pass(end);
      this.#fetched.mailbox.expunge(number);
      return;
    }
    // Content in quotes: live it would be out before it is judged.
    if (!this.#flow.passive && /(?:\]|>|RFC822(?:\.TEXT)?) "/i.test(text) && !/(?:HEADER[^\]]*|MIME)\] "/i.test(text)) {
      this.#flow.reset('imap-quoted-body');
      return;
    }
    this.#flow.pass(end);
    this.#fetched.response(number, text);
  }

  /** Capabilities are shown as far as they are allowed. */
  #passLine(chunk: Buffer, start: number, end: number): void {
    if (this.#flow.passive) return this.#flow.pass(end);
    const line = chunk.toString('latin1', start, end);
    const shown = withAllowedCapabilities(line.replace(/\r?\n$/, ''));
    if (line.startsWith(shown)) return this.#flow.pass(end);
    this.#flow.drop(end);
    this.#flow.send(CLIENT, Buffer.from(`${shown}\r\n`, 'latin1'));
  }

  /** `+`: go on, with a literal, an exchange, or nothing (IDLE). */
  #continued(): void {
    if (this.#stoppedFor === 'literal') this.#goAhead = true;
    else if (this.#stoppedFor === 'tag' && [...this.#pending.values()].some(({ verb }) => verb === 'AUTHENTICATE'))
      this.#state = 'authenticating';
    else return;
    this.#resume();
  }

  /** False: what follows is another layer's. */
  #tagged(text: string, end: number): boolean {
    const found = /^([^\s(){%*"\\]{1,1000}) (OK|NO|BAD)\b/i.exec(text);
    if (found === null) {
      this.#odd('imap-malformed-response', SERVER);
      this.#flow.pass(end);
      return true;
    }
    const [, tag = '', status = ''] = found;
    const pending = this.#pending.get(tag);
    this.#pending.delete(tag);
    if (pending === undefined && !this.#loose) this.#odd('imap-unexpected-response', SERVER);
    this.#flow.pass(end);
    const done = /^OK$/i.test(status);
    if (this.#stoppedFor === 'literal') {
      // Refused: the literal is not sent.
      this.#client.reset();
      this.#append?.abort('reset');
      this.#append = undefined;
    }
    this.#state = this.#state === 'authenticating' && pending?.verb === 'AUTHENTICATE' ? 'command' : this.#state;
    if (this.#state === 'idling' && pending?.verb === 'IDLE') this.#state = 'command';
    switch (pending?.verb) {
      case 'SELECT':
      case 'EXAMINE':
      case 'CLOSE':
      case 'UNSELECT':
      case 'LOGOUT':
        this.#fetched.mailbox.clear();
        break;
      case 'STARTTLS':
        if (done) {
          this.#startTls();
          return false;
        }
        break;
      case 'COMPRESS':
        if (done) {
          this.#resume();
          this.#flow.layer('deflate');
          return false;
        }
        break;
    }
    this.#resume();
    return true;
  }

  /** RFC 9051 §6.2.1: nothing that was said before counts. */
  #startTls(): void {
    this.#pending.clear();
    this.#login = undefined;
    this.#state = 'command';
    this.#client.reset();
    this.#server.reset();
    this.#resume();
    this.#flow.layer('tls');
  }

  #noteUnasked(): void {
    if (this.#loose || [...this.#pending.values()].some(({ verb }) => verb === 'FETCH' || verb === 'UID')) return;
    this.#odd('imap-unasked-body', SERVER);
  }

  #odd(event: ImapEvent, side: Side): void {
    this.#flow.anomaly(event, side);
  }
}

function commandOf(text: string): { tag: string; verb: string; rest: string } {
  const found = /^([^\s(){%*"\\+]{1,1000}) ([A-Za-z]{1,32})(?: (.*))?$/s.exec(text);
  return { tag: found?.[1] ?? '', verb: (found?.[2] ?? '').toUpperCase(), rest: found?.[3] ?? '' };
}

/** The first argument of LOGIN, with its quotes when it was a quoted string. */
function loginName(rest: string): string | undefined {
  const name = textOf(parseData(rest)[0]);
  return name === undefined ? undefined : rest.startsWith('"') ? `"${name}"` : name;
}
