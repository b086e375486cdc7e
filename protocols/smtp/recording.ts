/**
 * SMTP in a recording: nothing is asked or answered. The client waits at each command whose answer says what its next bytes are; where
 * bytes or answers are missing, the next bytes decide by their look until the two ends are in step again.
 */
import { Buffer } from 'node:buffer';
import type { FileMeta } from '../../src/core/file.js';
import { CLIENT, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import { CR, INCOMPLETE, LF, lineEnd, TOO_LONG } from '../../src/core/lines.js';
import { behindLoneDot } from '../mail/dotted-text.js';
import { type Expected, LEAVE, SmtpDecoder } from './decoder.js';
import type { Envelope } from './envelope.js';
import type { SmtpEvent } from './events.js';
import {
  behindBareData,
  type ChunkSize,
  chunkSizeOf,
  commandLikeness,
  isFieldLike,
  likelyChunkSize,
  textStop,
  type Verb,
} from './grammar.js';
import { RecordedMessage } from './recorded-message.js';

/** Why a message that was not asked for by a command that we understand is malformed. */
type Owed = 'smtp-reply-unexpected' | 'smtp-bdat-malformed';

/** A DATA of which something was not seen. */
const LOST_DATA: Expected = { kind: 'data' };

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
  /** The server takes a message that no command we understood asked for: what is no command is its text, and this is why it is malformed. */
  #owed: Owed | undefined = undefined;
  /** The octets of a BDAT that was not read in one way are over by the likeliest reading; `last`: so is its message then. */
  #doubtful: { readonly last: boolean } | undefined = undefined;

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
    if (this.mode === 'command' && this.#owed !== undefined) return this.#takeOwed(chunk, at, this.#owed);
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
    this.#owed = undefined;
    if (this.message !== undefined) this.note('smtp-bdat-data-mixed');
    this.forward(chunk, end, { kind: 'data' });
    return this.wait('answer');
  }

  protected bdat(chunk: Buffer, start: number, text: number, end: number): number {
    const line = chunk.toString('latin1', start, text);
    const size = chunkSizeOf(line);
    if (size === undefined || !size.plain) {
      this.note('smtp-bdat-malformed');
      this.forward(chunk, end, { kind: 'bad-chunk', size: likelyChunkSize(line) });
      return this.wait('answer');
    }
    this.forward(chunk, end, { kind: 'chunk', envelope: this.envelope });
    return this.#takeChunk(size, end);
  }

  protected override unknown(chunk: Buffer, start: number, end: number): number {
    this.note('smtp-command-unknown');
    // The server may have asked for a message before this line, or in its middle.
    const data = behindBareData(chunk, start, end);
    const opening = data ?? (isFieldLike(chunk, start, end) ? start : end);
    this.forward(chunk, end, {
      kind: 'unknown',
      opening: opening < end ? Buffer.from(chunk.subarray(opening, end)) : undefined,
    });
    return this.wait('answer');
  }

  protected refuseCredentials(end: number): void {
    this.flow.pass(end);
  }

  protected longest(): number {
    return this.flow.limits.line;
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
    this.#doubtful = undefined;
    if (this.message === undefined && this.envelope?.failed !== true) this.openMessage(true);
    return this.beginChunk(size, end);
  }

  protected chunkEnds(end: number): number {
    this.mode = 'command';
    if (this.#doubtful !== undefined) {
      this.#owed = 'smtp-bdat-malformed';
      return end;
    }
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

  /** `asked`: what 354 was the answer to, if it can be told. */
  #bodyFollows(asked: Expected | undefined): void {
    if (this.message !== undefined) this.abandon(this.#uncertain ? 'gap' : 'reset');
    const { file } = this.openMessage(false);
    this.#owed = undefined;
    this.#doubtful = undefined;
    if (asked?.kind === 'data') return;
    file.malformed('smtp-reply-unexpected');
    const opening = asked?.opening;
    if (opening !== undefined) file.write(opening, 0, opening.length);
  }

  /** A BDAT that servers read in more than one way was (or may have been) accepted: the likeliest is tried, and what follows must bear it out. */
  #takeBadChunk(size: ChunkSize): void {
    const message = this.message ?? this.openMessage(true);
    message.file.malformed('smtp-bdat-malformed');
    this.#doubtful = { last: size.last };
    this.beginChunk(size, 0);
  }

  /** Behind a message that the server takes without our knowing why, or where it ends: only a line that must be a command is one. */
  #takeOwed(chunk: Buffer, at: number, owed: Owed): number {
    const likeness = commandLikeness(chunk, at);
    if (likeness === 'more') return LEAVE;
    if (likeness === 'yes') {
      const stop = textStop(chunk, at);
      const over = chunk.length - at >= this.flow.limits.line;
      if (stop + 1 >= chunk.length && chunk[stop] !== LF && !over) return LEAVE;
      // A bare CR ends a line only for the server that also ends its messages so.
      if (chunk[stop] !== CR || chunk[stop + 1] === LF) return this.#commandBehindOwed(chunk, at);
    }
    if (owed === 'smtp-bdat-malformed') return this.#octetsGoOn(at);
    const begin = behindBareData(chunk, at, chunk.length) ?? at;
    this.flow.pass(begin);
    this.#inStep();
    this.#bodyFollows(undefined);
    return begin;
  }

  #commandBehindOwed(chunk: Buffer, at: number): number {
    const last = this.#doubtful?.last === true;
    this.#doubtful = undefined;
    if (last && this.message !== undefined) this.messageEnds(at);
    return super.fromClient(chunk, at);
  }

  /** The likeliest size was too small: all is octets until the server says something. */
  #octetsGoOn(at: number): number {
    let { message } = this;
    if (message === undefined) {
      message = this.openMessage(true);
      message.file.malformed('smtp-bdat-malformed');
      message.file.gap(0);
    }
    message.uncertain = true;
    this.#doubtful = undefined;
    return this.beginChunk({ size: Number.MAX_SAFE_INTEGER, last: false, plain: false }, at);
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
        if (code === 354) this.#bodyFollows(expected);
        else if (code === 334) this.mode = 'credentials';
        this.go();
        return;
      case 'bad-chunk':
        if (code < 400 && expected.size !== undefined) this.#takeBadChunk(expected.size);
        else this.#resyncOnCommands();
        this.go();
        return;
      case 'mail':
      case 'rcpt':
        // A server that takes it is not in a message.
        if (code < 300) this.#owed = undefined;
        break;
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
      if (!expecting) return this.#bodyNotAskedFor();
      // Where commands are lost, so is DATA.
      const asked = this.waiting === 'answer' ? last : LOST_DATA;
      // DATA is the last command of a group (RFC 2920 section 3.1): all before it is answered.
      this.#inStep();
      this.#commandsLost = false;
      this.#bodyFollows(asked);
    } else if (this.waiting === 'answer') {
      if (code === 334) {
        this.#inStep();
        this.mode = 'credentials';
      } else if (last?.kind === 'starttls' && code === 220) {
        this.#inStep();
        this.layering = true;
        return;
      } else if (last?.kind === 'data' && code < 300) return;
      else if (last?.kind === 'bad-chunk' && code >= 400 && this.queue.length === 1) {
        this.queue = [];
        this.#resyncOnCommands();
      } else this.#look();
    } else if (this.mode === 'resync' || (this.#uncertain && this.mode !== 'command')) {
      // The server has read to an end that we have not seen.
      if (this.mode !== 'resync') this.abandon('gap');
      // MAIL may have been read as octets.
      if (this.mode === 'chunk') this.envelope = undefined;
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

  /** The server takes a message all the same, unless it is the late answer to one: what the client says next tells. */
  #bodyNotAskedFor(): void {
    this.note('smtp-reply-unexpected', SERVER);
    if (this.mode !== 'command' && this.mode !== 'credentials' && this.mode !== 'skip') return;
    this.mode = 'command';
    this.#owed = 'smtp-reply-unexpected';
    // A command line that has not ended for us was left.
    if (this.waiting === undefined) this.flow.resume(CLIENT);
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
    if (last?.size !== undefined) this.#takeBadChunk(last.size);
  }

  #guess(chunk: Buffer, at: number): number {
    const likeness = commandLikeness(chunk, at);
    const tls = this.#guessing === 'starttls' && chunk[at] === 0x16;
    if (likeness === 'more' && !tls) return LEAVE;
    this.note('smtp-reply-missing');
    this.mode = 'command';
    if (tls) return this.startLayer();
    if (likeness === 'no' && this.#guessing === 'data') this.#bodyFollows(LOST_DATA);
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
