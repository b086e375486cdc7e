/**
 * What live flows and recordings of SMTP have in common: reading the client's commands, the bytes of its messages, and where replies end;
 * what the session is at (the only home of that), and what answers change in it. What is done about a command or a reply is
 * live.ts's and recording.ts's.
 */
import type { Buffer } from 'node:buffer';
import type { FileId, FileMeta, Verdict } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import { CR, INCOMPLETE, lineEnd, TOO_LONG, textEnd } from '../../src/core/lines.js';
import { END, MORE } from '../mail/dotted-text.js';
import { Envelope, type Recipient } from './envelope.js';
import type { SmtpEvent } from './events.js';
import {
  type ChunkSize,
  hasControl,
  isCredentials,
  lastLine,
  pathOf,
  ReplyReader,
  replyCode,
  type Verb,
  verbAt,
  verbStart,
} from './grammar.js';
import type { SentMessage } from './message.js';
import * as say from './replies.js';

/** Nothing more can be made of these bytes now. */
export const LEAVE = -1;

/** What the client's next bytes are. */
export type Mode =
  | 'command'
  /** One line of an AUTH exchange: it is passed and never looked at. */
  | 'credentials'
  /** The text behind DATA. */
  | 'body'
  /** The octets behind BDAT. */
  | 'chunk'
  /** The rest of an over-long command line. */
  | 'skip'
  /** A recording: the answer that says it is lost, so the bytes themselves decide. */
  | 'guess'
  /** A recording: bytes are missing, and the next command is looked for. */
  | 'resync'
  /** Nothing: the client, the server or we have closed. */
  | 'closed';

/** A command, or one of our own, that the server has not answered yet. */
export interface Expected {
  readonly kind:
    | 'greeting'
    | 'hello'
    | 'mail'
    | 'rcpt'
    | 'data'
    | 'chunk'
    | 'message'
    | 'auth'
    | 'starttls'
    | 'other'
    | 'unknown'
    | 'bad-chunk'
    | 'own-data'
    | 'own-rset';
  readonly envelope?: Envelope | undefined;
  /** `hello`: was LMTP spoken before it? */
  readonly lmtp?: boolean;
  /** `mail`: the transaction that was open when it came. */
  readonly open?: Envelope | undefined;
  readonly recipient?: Recipient | undefined;
  readonly size?: ChunkSize | undefined;
  /** `unknown`, in a recording: what a message begins with, if the server was in one already. */
  readonly opening?: Buffer | undefined;
}

/** Why the client is stopped: all answers, the last one, a verdict, or the server's answer to a message that we handed on. */
export type Waiting = 'replies' | 'answer' | 'verdict' | 'delivery' | undefined;

/** The chunk of a BDAT that is being read. */
interface Chunk {
  readonly size: number;
  readonly last: boolean;
  left: number;
}

export abstract class SmtpDecoder<M extends SentMessage> implements Decoder {
  protected readonly flow: Flow;
  protected mode: Mode = 'command';
  protected waiting: Waiting = undefined;
  /** What the server's next replies answer, oldest first. */
  protected queue: Expected[] = [{ kind: 'greeting' }];
  protected readonly replies = new ReplyReader();
  protected envelope: Envelope | undefined = undefined;
  /** The message that is being sent; live until its final reply. */
  protected message: M | undefined = undefined;
  protected chunk: Chunk = { size: 0, last: false, left: 0 };
  /** What is skipped is a line of an AUTH exchange. */
  protected credentialsSkipped = false;
  /** STARTTLS was accepted. */
  protected layering = false;
  #lmtp = false;
  #tls = false;

  constructor(flow: Flow) {
    this.flow = flow;
  }

  push(side: Side, chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && at !== LEAVE)
      at = side === CLIENT ? this.fromClient(chunk, at) : this.fromServer(chunk, at);
  }

  abstract end(side: Side): void;
  abstract gap(side: Side, length: number): void;
  abstract verdict(file: FileId, verdict: Verdict): void;
  abstract unanswered(side: Side): void;
  wake(): void {}

  // ── What the halves do in their own ways. Where an index is returned it is where to go on, or LEAVE. ───────────────────

  /** Servers read this command line in more than one way, or we cannot follow it. Undefined: it is obeyed all the same. */
  protected abstract suspicious(end: number, event: SmtpEvent, reply: Buffer): number | undefined;
  /** Must the answers to what came before `verb` be known first? Some are missing. */
  protected abstract comesTooSoon(verb: Verb | undefined): boolean;
  protected abstract data(chunk: Buffer, start: number, text: number, end: number): number;
  protected abstract bdat(chunk: Buffer, start: number, text: number, end: number): number;
  /** A line of an AUTH exchange that is none. */
  protected abstract refuseCredentials(end: number): void;
  /** How long the line that begins at `at` may be. */
  protected abstract longest(chunk: Buffer, at: number): number;
  /** The rest of an over-long line. */
  protected abstract skip(chunk: Buffer, at: number): number;
  protected abstract makeMessage(meta: FileMeta, chunked: boolean): M;
  /** The text stopped at a lone dot. */
  protected abstract loneDot(chunk: Buffer, dot: number): number;
  /** Octets of a chunk that belongs to no message were read. */
  protected abstract takeForeign(end: number): void;
  /** All of a chunk was read; `end` is behind it. */
  protected abstract chunkEnds(end: number): number;
  /** All of the message was sent; `end` is behind it. */
  protected abstract messageEnds(end: number): number;
  protected abstract replyTooLong(chunk: Buffer): void;
  /** A line of the server that answers nothing. */
  protected abstract strayReply(end: number): void;
  protected abstract reply(chunk: Buffer, at: number, end: number, code: number): number;

  // ── The client's commands ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes what it can from `at` on. */
  protected fromClient(chunk: Buffer, at: number): number {
    switch (this.mode) {
      case 'command':
        return this.#command(chunk, at);
      case 'credentials':
        return this.#credentials(chunk, at);
      case 'body':
        return this.#body(chunk, at);
      case 'chunk':
        return this.#chunkBytes(chunk, at);
      case 'skip':
        return this.skip(chunk, at);
      case 'guess':
      case 'resync':
      case 'closed':
        this.flow.drop(chunk.length);
        return LEAVE;
    }
  }

  #command(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, this.longest(chunk, at));
    if (end === INCOMPLETE) return LEAVE;
    if (this.queue.length >= this.flow.limits.pipelined) {
      this.note('smtp-too-many-pipelined');
      return this.wait('replies');
    }
    if (end === TOO_LONG) return this.#tooLong(at);
    const text = textEnd(chunk, at, end);
    const start = verbStart(chunk, at, text);
    const verb = verbAt(chunk, start, text);
    if (this.queue.length > 0 && this.comesTooSoon(verb)) return this.wait('replies');
    let refused: number | undefined;
    if (hasControl(chunk, at, text)) refused = this.suspicious(end, 'smtp-control-in-command', say.BAD_CHARACTER);
    // Some servers skip the space and obey, others do not.
    if (start > at) refused ??= this.suspicious(end, 'smtp-space-before-command', say.NOT_IMPLEMENTED);
    return refused ?? this.#obey(verb, chunk, start, text, end);
  }

  #tooLong(at: number): number {
    this.note('smtp-line-too-long');
    this.mode = 'skip';
    return at;
  }

  /** A command whose verb starts at `start`; its text ends at `text`, its line at `end`. */
  #obey(verb: Verb | undefined, chunk: Buffer, start: number, text: number, end: number): number {
    switch (verb) {
      case 'EHLO':
      case 'HELO':
      case 'LHLO':
        return this.#hello(verb, chunk, end);
      case 'MAIL':
        return this.mail(chunk, start, text, end);
      case 'RCPT':
        return this.rcpt(chunk, start, text, end);
      case 'DATA':
        return this.data(chunk, start, text, end);
      case 'BDAT':
        return this.bdat(chunk, start, text, end);
      case 'RSET':
      case 'QUIT':
        this.forgetTransaction();
        return this.forward(chunk, end, { kind: 'other' });
      case 'NOOP':
      case 'VRFY':
      case 'EXPN':
      case 'HELP':
        return this.forward(chunk, end, { kind: 'other' });
      case 'AUTH':
        this.forward(chunk, end, { kind: 'auth' });
        return this.wait('answer');
      case 'STARTTLS':
        return this.#startTls(chunk, start, text, end);
      case undefined:
        return this.unknown(chunk, start, end);
    }
  }

  #hello(verb: Verb, chunk: Buffer, end: number): number {
    const lmtp = this.#lmtp;
    this.#lmtp = verb === 'LHLO';
    this.forgetTransaction();
    return this.forward(chunk, end, { kind: 'hello', lmtp });
  }

  protected mail(chunk: Buffer, start: number, text: number, end: number): number {
    const envelope = new Envelope(pathOf(chunk.toString('utf8', start, text)));
    const open = this.envelope;
    this.envelope = envelope;
    return this.forward(chunk, end, { kind: 'mail', envelope, open });
  }

  protected rcpt(chunk: Buffer, start: number, text: number, end: number): number {
    this.envelope ??= new Envelope(undefined);
    const path = pathOf(chunk.toString('utf8', start, text));
    const recipient = path === undefined ? undefined : this.envelope.add(path, this.flow.limits.recipients);
    if (path !== undefined && recipient === undefined) this.note('smtp-too-many-recipients');
    return this.forward(chunk, end, { kind: 'rcpt', recipient });
  }

  #startTls(chunk: Buffer, start: number, text: number, end: number): number {
    if (this.#tls || this.envelope !== undefined || text - start > 'STARTTLS'.length) {
      const refused = this.suspicious(end, 'smtp-starttls-misplaced', say.OUT_OF_SEQUENCE);
      if (refused !== undefined) return refused;
    }
    this.forward(chunk, end, { kind: 'starttls' });
    return this.wait('answer');
  }

  protected unknown(chunk: Buffer, _start: number, end: number): number {
    const refused = this.suspicious(end, 'smtp-command-unknown', say.NOT_IMPLEMENTED);
    if (refused !== undefined) return refused;
    this.forward(chunk, end, { kind: 'unknown' });
    // It may be anything that asks for more: the answer will tell.
    return this.wait('answer');
  }

  #credentials(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, this.longest(chunk, at));
    if (end === INCOMPLETE) return LEAVE;
    if (end === TOO_LONG) {
      this.credentialsSkipped = true;
      return this.#tooLong(at);
    }
    this.mode = 'command';
    if (isCredentials(chunk, at, textEnd(chunk, at, end))) this.forward(chunk, end, { kind: 'auth' });
    else {
      this.note('smtp-credentials-malformed');
      this.refuseCredentials(end);
      this.queue.push({ kind: 'auth' });
    }
    return this.wait('answer');
  }

  // ── Its messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

  protected openMessage(chunked: boolean): M {
    const facts = this.envelope?.facts();
    const message = this.makeMessage(
      {
        name: undefined,
        direction: 'upload',
        declaredType: 'message/rfc822',
        refusable: true,
        ...(facts === undefined ? {} : { mail: facts }),
      },
      chunked,
    );
    this.message = message;
    if (!chunked) this.mode = 'body';
    return message;
  }

  #body(chunk: Buffer, at: number): number {
    const { message } = this;
    // Never: a text without a message goes nowhere.
    if (message === undefined) return LEAVE;
    const stop = message.readText(chunk, at);
    if (stop === END) return this.messageEnds(message.at);
    if (stop === MORE) return message.at === chunk.length ? message.at : LEAVE;
    return this.loneDot(chunk, message.at);
  }

  protected beginChunk({ size, last }: ChunkSize, end: number): number {
    this.chunk = { size, last, left: size };
    this.mode = 'chunk';
    return size === 0 ? this.chunkEnds(end) : end;
  }

  #chunkBytes(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.chunk.left);
    if (this.message === undefined) this.takeForeign(end);
    else this.message.readOctets(chunk, at, end);
    this.chunk.left -= end - at;
    return this.chunk.left > 0 ? end : this.chunkEnds(end);
  }

  /** How many final replies a message has: in LMTP one for each recipient (RFC 2033 section 4.2). */
  protected get finals(): number {
    return this.#lmtp ? Math.max(1, this.envelope?.deliverable ?? 1) : 1;
  }

  /** The message that is being sent will not be finished. */
  protected abandon(reason: 'reset' | 'gap'): void {
    this.message?.abort(reason);
    this.message = undefined;
  }

  protected forgetTransaction(): void {
    this.abandon('reset');
    this.envelope = undefined;
  }

  // ── Waiting and forwarding ─────────────────────────────────────────────────────────────────────────────────────────────

  protected wait(waiting: Waiting): typeof LEAVE {
    this.waiting = waiting;
    this.flow.stop(CLIENT);
    return LEAVE;
  }

  protected go(): void {
    this.waiting = undefined;
    this.flow.resume(CLIENT);
  }

  /** The command goes to the server, and its answer is expected. */
  protected forward(chunk: Buffer, end: number, expected: Expected): number {
    this.queue.push(expected);
    if (this.noteBareLf(chunk, end) && !this.flow.passive) {
      this.flow.pass(end - 1);
      this.flow.drop(end);
      this.flow.send(SERVER, say.CRLF);
    } else this.flow.pass(end);
    return end;
  }

  /** Does the line that ends at `end` do so in a bare LF? */
  protected noteBareLf(chunk: Buffer, end: number): boolean {
    if (chunk[end - 2] === CR) return false;
    this.note('smtp-bare-lf-command');
    return true;
  }

  protected note(event: SmtpEvent, side: Side = CLIENT): void {
    this.flow.anomaly(event, side);
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  protected fromServer(chunk: Buffer, at: number): number {
    const end = this.replies.end(chunk, at, this.flow.limits.line);
    if (end === INCOMPLETE) return LEAVE;
    if (end === TOO_LONG) {
      this.note('smtp-reply-too-long', SERVER);
      this.replyTooLong(chunk);
      return LEAVE;
    }
    const code = replyCode(chunk, lastLine(chunk, at, end), end);
    if (code !== 0) return this.reply(chunk, at, end, code);
    this.note('smtp-reply-malformed', SERVER);
    this.strayReply(end);
    return end;
  }

  /** What the answer to a command changes. */
  protected learn(expected: Expected, code: number): void {
    const accepted = code < 400;
    switch (expected.kind) {
      case 'hello':
        if (!accepted) this.#lmtp = expected.lmtp === true;
        break;
      case 'mail':
        if (expected.envelope !== undefined) this.#mailAnswered(expected.envelope, expected.open, accepted);
        break;
      case 'rcpt':
        if (expected.recipient !== undefined) expected.recipient.accepted = accepted;
        break;
      case 'starttls':
        this.layering = code === 220;
        if (!this.layering) this.go();
        break;
      case 'auth':
        this.mode = code === 334 ? 'credentials' : 'command';
        this.go();
        break;
      default:
        break;
    }
  }

  #mailAnswered(envelope: Envelope, open: Envelope | undefined, accepted: boolean): void {
    envelope.accepted = accepted;
    if (accepted) {
      // A server that takes MAIL has no transaction open: chunks of an older message will not be continued.
      if (this.message !== undefined && this.mode === 'command') this.abandon('reset');
    } else if (open !== undefined) envelope.continues(open);
  }

  protected startLayer(): typeof LEAVE {
    this.layering = false;
    this.replies.restart();
    this.#tls = true;
    // RFC 3207 section 4.2: what was learnt before is forgotten.
    this.forgetTransaction();
    this.flow.layer('tls');
    if (this.waiting !== undefined) this.go();
    return LEAVE;
  }
}
