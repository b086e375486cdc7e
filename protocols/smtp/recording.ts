/**
 * SMTP in a recording: nothing is asked or answered. The client waits at each command whose answer says what its next bytes are; where
 * bytes or answers are missing, the next bytes decide by their look until the two ends are in step again.
 */
import type { Buffer } from 'node:buffer';
import type { FileMeta } from '../../src/core/file.js';
import { CLIENT, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import { INCOMPLETE, LF, lineEnd, TOO_LONG } from '../../src/core/lines.js';
import { behindLoneDot } from '../mail/dotted-text.js';
import { type Expected, LEAVE, SmtpDecoder } from './decoder.js';
import type { Envelope } from './envelope.js';
import type { SmtpEvent } from './events.js';
import { type ChunkSize, chunkSizeOf, commandLikeness, type Verb } from './grammar.js';
import { RecordedMessage } from './recorded-message.js';

export class RecordedSmtp extends SmtpDecoder<RecordedMessage> {
  /** Reads as a server does that takes any lone dot for the end of a message. */
  readonly #lenient: boolean;
  /** False after a loss: replies can no longer be told to their commands by counting. */
  #paired = true;
  /** `guess`: what the lost answer was to. */
  #guessing: Expected['kind'] = 'other';
  /** The server is stopped until the client has said what its answer let it say. */
  #repliesWait = false;
  /** `resync`: the line that the gap cut was skipped. */
  #cutLineSkipped = false;
  /** `resync`: what is no command is skipped rather than taken for a message. */
  #skipText = false;
  /** Commands may lie in a gap, and neither MAIL nor RCPT was seen since: an answer to DATA, or a chunk, may be of a message whose beginning is unknown. */
  #commandsLost = false;

  constructor(flow: Flow, lenient = false) {
    super(flow);
    this.#lenient = lenient;
  }

  override push(side: Side, chunk: Buffer): void {
    super.push(side, chunk);
    if (side === CLIENT && (this.mode !== 'body' || this.#uncertain)) this.#hearReplies();
  }

  end(side: Side): void {
    if (side === SERVER) return this.flow.finish(CLIENT);
    this.abandon('reset');
    this.#hearReplies();
    this.mode = 'closed';
    this.flow.finish(SERVER);
  }

  gap(side: Side, length: number): void {
    if (side === CLIENT) this.#clientGap(length);
    else {
      this.replies.restart();
      if (this.#repliesLost()) this.flow.resume(CLIENT);
    }
  }

  unanswered(side: Side): void {
    // The engine offers the side again by itself.
    if (side === CLIENT) this.#repliesLost();
    else this.#repliesWait = false;
  }

  verdict(): void {}

  // ── The client ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  protected override fromClient(chunk: Buffer, at: number): number {
    if (this.mode === 'guess') return this.#guess(chunk, at);
    if (this.mode === 'resync') return this.#resync(chunk, at);
    return super.fromClient(chunk, at);
  }

  protected suspicious(_end: number, event: SmtpEvent): undefined {
    this.note(event);
  }

  /** Whether the transaction stands decides what the octets are for. */
  protected comesTooSoon(verb: Verb | undefined): boolean {
    return verb === 'BDAT' && !this.queue.every(isOfMessage);
  }

  protected override mail(chunk: Buffer, start: number, text: number, end: number): number {
    this.#commandsLost = false;
    // Whether it is accepted will not be known.
    if (!this.#paired && this.message !== undefined) this.abandon('gap');
    return super.mail(chunk, start, text, end);
  }

  protected override rcpt(chunk: Buffer, start: number, text: number, end: number): number {
    this.#commandsLost = false;
    return super.rcpt(chunk, start, text, end);
  }

  protected data(chunk: Buffer, _start: number, _text: number, end: number): number {
    if (this.message !== undefined) this.note('smtp-bdat-data-mixed');
    this.forward(chunk, end, { kind: 'data' });
    return this.wait('answer');
  }

  protected bdat(chunk: Buffer, start: number, text: number, end: number): number {
    const size = chunkSizeOf(chunk.toString('latin1', start, text));
    if (size === undefined || !size.plain) {
      this.note('smtp-bdat-malformed');
      this.forward(chunk, end, { kind: 'bad-chunk', size });
      return this.wait('answer');
    }
    this.forward(chunk, end, { kind: 'chunk', envelope: this.envelope });
    return this.#takeChunk(size, end);
  }

  protected refuseCredentials(end: number): void {
    this.flow.pass(end);
  }

  protected skip(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at) + 1;
    this.flow.pass(end === 0 ? chunk.length : end);
    if (end === 0) return chunk.length;
    this.mode = 'command';
    this.queue.push({ kind: 'other' });
    return end;
  }

  // ── Its messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The end of the message that is being sent may lie in a gap. */
  get #uncertain(): boolean {
    return this.message?.uncertain === true;
  }

  protected makeMessage(meta: FileMeta, chunked: boolean): RecordedMessage {
    const lenient = this.#lenient ? undefined : (flow: Flow) => new RecordedSmtp(flow, true);
    return new RecordedMessage(this.flow, this.flow.openFile(meta), chunked, lenient);
  }

  protected loneDot(chunk: Buffer, dot: number): number {
    const end = behindLoneDot(chunk, dot);
    this.flow.pass(end);
    return this.messageEnds(end);
  }

  protected takeForeign(end: number): void {
    this.flow.pass(end);
  }

  #takeChunk(size: ChunkSize, end: number): number {
    if (this.message === undefined && this.envelope?.failed !== true) this.openMessage(true);
    return this.beginChunk(size, end);
  }

  protected chunkEnds(end: number): number {
    this.mode = 'command';
    return this.chunk.last ? this.messageEnds(end) : end;
  }

  protected messageEnds(end: number): number {
    this.mode = 'command';
    // The first reply to a BDAT is expected already.
    const known = this.message?.chunked === false ? 0 : 1;
    for (let i = this.finals; i > known; i--) this.queue.push({ kind: 'message' });
    // What looked like its beginning may have been its middle. Told at the end, so that all is read as if it were not.
    if (this.message?.chunked === true && this.#commandsLost) this.message.file.gap(0);
    this.message?.end();
    this.message = undefined;
    this.envelope = undefined;
    return end;
  }

  #bodyFollows(): void {
    if (this.message !== undefined) this.abandon(this.#uncertain ? 'gap' : 'reset');
    this.openMessage(false);
  }

  /** A size that not every server reads alike was (or may have been) accepted; `undefined`: refused, or unreadable. */
  #takeBadChunk(size: ChunkSize | undefined): void {
    if (size === undefined || size.size >= 2 ** 31) this.#resyncOnCommands();
    else this.#takeChunk(size, 0);
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  protected replyTooLong(chunk: Buffer): void {
    this.flow.pass(chunk.length);
    if (this.#repliesLost()) this.flow.resume(CLIENT);
  }

  protected strayReply(end: number): void {
    this.flow.pass(end);
  }

  protected reply(_chunk: Buffer, _at: number, end: number, code: number): number {
    const waited = this.waiting !== undefined;
    this.flow.pass(end);
    if (this.#paired) this.#pairedReply(code);
    else this.#unpairedReply(code);
    if (this.layering) return this.startLayer();
    if (!waited || this.waiting !== undefined) return end;
    // What the server says next, it says to what the client says now: the recording may have it in front of that.
    this.#repliesWait = true;
    this.flow.stop(SERVER);
    return LEAVE;
  }

  /** The client has said something. Until a message has ended, nothing that the server answers. */
  #hearReplies(): void {
    if (!this.#repliesWait) return;
    this.#repliesWait = false;
    this.flow.resume(SERVER);
  }

  #pairedReply(code: number): void {
    const expected = this.queue[0];
    if (expected === undefined || (code === 354 && !asksForBody(expected))) {
      if (code === 354 || this.#uncertain || this.mode === 'guess' || this.mode === 'resync') this.#unpairedReply(code);
      else if (code !== 421) this.note('smtp-reply-unexpected', SERVER);
      return;
    }
    if (expected.kind === 'data' && code < 300) {
      // It belongs to nothing: the answer to DATA is still to come.
      this.note('smtp-reply-unexpected', SERVER);
      return;
    }
    this.queue.shift();
    this.learn(expected, code);
    switch (expected.kind) {
      case 'data':
      case 'unknown':
        if (code === 354) this.#bodyFollows();
        else if (code === 334) this.mode = 'credentials';
        this.go();
        return;
      case 'bad-chunk':
        this.#takeBadChunk(code < 400 ? expected.size : undefined);
        this.go();
        return;
      case 'chunk':
        if (code >= 400) this.#chunkRefused(expected.envelope);
        break;
      default:
        break;
    }
    if (this.waiting === 'replies' && this.queue.every(isOfMessage)) this.go();
  }

  /** The server discards the message whose chunk it refused. */
  #chunkRefused(envelope: Envelope | undefined): void {
    if (envelope === undefined || envelope !== this.envelope) return;
    envelope.failed = true;
    if (this.message?.chunked === true) this.abandon('reset');
  }

  /** Replies were lost: only those that can answer but one thing are still believed, until we are in step again. */
  #unpairedReply(code: number): void {
    const last = this.queue.at(-1);
    if (code === 354) {
      const looking = this.mode === 'guess' || this.mode === 'resync';
      const expecting = this.#commandsLost || this.waiting === 'answer' || looking || this.#uncertain;
      if (!expecting) return this.note('smtp-reply-unexpected', SERVER);
      // DATA is the last command of a group (RFC 2920 section 3.1): all before it is answered.
      this.#inStep();
      this.#commandsLost = false;
      this.#bodyFollows();
    } else if (this.waiting === 'answer') {
      if (code === 334) {
        this.#inStep();
        this.mode = 'credentials';
      } else if (last?.kind === 'starttls' && code === 220) {
        this.#inStep();
        this.layering = true;
        return;
      } else if (last?.kind === 'data' && code < 300) return;
      else this.#look();
    } else if (this.mode === 'resync' || (this.#uncertain && this.mode === 'body')) {
      // The server has read to an end that we have not seen.
      if (this.mode === 'body') this.abandon('gap');
      this.#inStep();
      this.mode = 'command';
      return;
    } else if (this.mode === 'command' && this.waiting === undefined && this.queue.length <= 1) {
      this.#inStep();
      return;
    } else {
      this.queue.shift();
      if (this.waiting !== 'replies' || this.queue.length > 0) return;
    }
    this.go();
  }

  #inStep(): void {
    this.queue = [];
    this.#paired = true;
  }

  // ── What is missing ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A gap, or the answer that the client waits for will not come. True when the client waited. */
  #repliesLost(): boolean {
    this.#paired = false;
    if (this.waiting === 'answer') this.#look();
    else this.queue = [];
    const waited = this.waiting !== undefined;
    this.waiting = undefined;
    return waited;
  }

  /** Let the next bytes say what the last command's answer was. */
  #look(): void {
    const last = this.queue.at(-1);
    this.queue = [];
    this.mode = 'guess';
    this.#guessing = last?.kind ?? 'other';
    if (last?.kind === 'bad-chunk') this.#takeBadChunk(last.size);
  }

  #guess(chunk: Buffer, at: number): number {
    const likeness = commandLikeness(chunk, at);
    const tls = this.#guessing === 'starttls' && chunk[at] === 0x16;
    if (likeness === 'more' && !tls) return LEAVE;
    this.note('smtp-reply-missing');
    this.mode = 'command';
    if (tls) return this.startLayer();
    if (likeness === 'no' && this.#guessing === 'data') this.#bodyFollows();
    else if (likeness === 'no' && this.#guessing === 'auth') this.mode = 'credentials';
    return at;
  }

  #clientGap(length: number): void {
    this.#paired = false;
    this.#hearReplies();
    if (this.mode === 'body') {
      this.message?.gap(length);
      return;
    }
    const { chunk } = this;
    if (this.mode === 'chunk' && length > 0 && length <= chunk.left) {
      this.message?.file.gap(length);
      chunk.left -= length;
      if (chunk.left === 0) this.chunkEnds(0);
      return;
    }
    if (this.mode === 'chunk' && chunk.last && length > 0) {
      this.message?.file.gap(chunk.left);
      this.messageEnds(0);
    } else this.message?.file.gap(0); // chunks may go on behind it
    this.queue = [];
    this.#commandsLost = true;
    this.mode = 'resync';
    this.#cutLineSkipped = false;
    this.#skipText = false;
    if (this.waiting !== undefined) this.go();
  }

  /** Whatever follows, only a command is believed. */
  #resyncOnCommands(): void {
    this.#paired = false;
    this.mode = 'resync';
    this.#cutLineSkipped = true;
    this.#skipText = true;
  }

  /** Looks for the next command. Lines that are none are a message, but for the first, which may be what a gap left of a command. */
  #resync(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, this.flow.limits.line);
    if (end === INCOMPLETE) return LEAVE;
    if (end !== TOO_LONG && commandLikeness(chunk, at) === 'yes') {
      this.mode = 'command';
      return at;
    }
    if (end !== TOO_LONG && (!this.#cutLineSkipped || this.#skipText)) {
      this.#cutLineSkipped = true;
      this.flow.pass(end);
      return end;
    }
    if (this.#skipText) {
      this.flow.pass(chunk.length);
      return chunk.length;
    }
    let { message } = this;
    if (message === undefined) {
      message = this.openMessage(false);
      message.file.gap(0);
    } else {
      message.goOnAsText();
      this.mode = 'body';
    }
    message.uncertain = true;
    return at;
  }
}

function asksForBody({ kind }: Expected): boolean {
  return kind === 'data' || kind === 'unknown';
}

/** Does it await an answer to octets of a message? */
function isOfMessage({ kind }: Expected): boolean {
  return kind === 'chunk' || kind === 'message';
}
