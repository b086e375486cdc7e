/**
 * SMTP (RFC 5321) and LMTP (RFC 2033) with PIPELINING, 8BITMIME, SMTPUTF8, SIZE, CHUNKING, BINARYMIME, AUTH, DSN and STARTTLS: every
 * message becomes a file, without its stuffed dots.
 *
 * A recording is followed: the client waits at each command whose answer says what its next bytes are (DATA, AUTH, STARTTLS, an unknown
 * one). Live, the server hears of DATA and BDAT only after the verdict: until then we answer for it, so a refused message leaves nothing
 * behind but a RSET, and the session goes on. README.md tells what is held and when, and what is deliberately not done.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileMeta, FileStream, Verdict } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, type Protocol, SERVER, type Side } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import { CR, INCOMPLETE, LF, lineEnd, TOO_LONG, textEnd } from '../../src/core/lines.js';
import { allowedHello } from './capabilities.js';
import { type AMBIGUOUS, DotReader, END, PLAIN, STUFFED, WAIT } from './dots.js';
import { Envelope, type Recipient } from './envelope.js';
import type { SmtpEvent } from './events.js';
import {
  type ChunkSize,
  chunkSizeOf,
  commandLikeness,
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
import { HeldMessage } from './held.js';
import { probe } from './probe.js';
import * as say from './replies.js';
import { SecondReading } from './second-reading.js';

const { line: LINE_LIMIT, pipelined: PIPELINED_LIMIT } = DEFAULT_LIMITS;

export const smtp: Protocol = {
  name: 'smtp',
  service: 'SMTP',
  ports: [25, 587, 2525],
  tlsPorts: [465],
  maxUntaken: LINE_LIMIT + DEFAULT_LIMITS.probe,
  probe,
  decoder: (flow) => new SmtpDecoder(flow),
};

/** Nothing more can be made of these bytes now. */
const LEAVE = -1;

/** What the client's next bytes are. */
type Mode =
  | 'command'
  /** One line of an AUTH exchange: it is passed and never looked at. */
  | 'credentials'
  /** The text behind DATA. */
  | 'body'
  /** The octets behind BDAT. */
  | 'chunk'
  /** The rest of an over-long command line. */
  | 'skip'
  /** The answer that says it is lost: the bytes themselves decide. */
  | 'guess'
  /** Bytes are missing: the next command is looked for. */
  | 'resync'
  /** Nothing: the client, the server or we have closed. */
  | 'closed';

/** A command, or one of our own, that the server has not answered yet. */
interface Expected {
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
  /** `mail`: the transaction that was open when it came. */
  readonly open?: Envelope | undefined;
  readonly recipient?: Recipient | undefined;
  readonly size?: ChunkSize | undefined;
}

/** Why the client is stopped: all answers, the last one, a verdict, or the server's answer to a message that we handed on. */
type Waiting = 'replies' | 'answer' | 'verdict' | 'delivery' | undefined;

class SmtpDecoder implements Decoder {
  readonly #flow: Flow;
  readonly #live: boolean;
  /** Reads as a server does that takes any lone dot for the end of a message. */
  readonly #lenient: boolean;

  #mode: Mode = 'command';
  #waiting: Waiting = undefined;
  /** `guess`: what the lost answer was to. */
  #guessing: Expected['kind'] = 'other';
  readonly #replies = new ReplyReader();
  /** Oldest first. */
  #queue: Expected[] = [{ kind: 'greeting' }];
  /** False after a loss: replies can no longer be told to their commands by counting. */
  #paired = true;

  /** Live: both ends were told that the session is over. */
  #over = false;
  #lmtp = false;
  #tls = false;
  /** STARTTLS was accepted. */
  #layering = false;
  #envelope: Envelope | undefined = undefined;
  /** The message that is being sent; live also `#held`. */
  #file: FileStream | undefined = undefined;
  #held: HeldMessage | undefined = undefined;
  /** The message comes in chunks. */
  #chunked = false;
  readonly #dots = new DotReader();
  /** A recording: what stands behind an ambiguous dot, read the other way. */
  #second: SecondReading | undefined = undefined;
  /** The end of the message may lie in a gap: a reply of the server will tell. */
  #uncertain = false;
  /** Commands may lie in a gap, and neither MAIL nor RCPT was seen since: an answer to DATA, or a chunk, may be of a message whose beginning is unknown. */
  #commandsLost = false;
  /** A recording: the server is stopped until the client has said what that answer let it say. */
  #repliesWait = false;
  /** `resync`: the line that the gap cut was skipped. */
  #cutLineSkipped = false;
  /** `resync`: what is no command is skipped rather than taken for a message. */
  #skipText = false;

  // The chunk of a BDAT that is being read.
  #chunkSize = 0;
  #chunkLeft = 0;
  #chunkLast = false;
  /** Live: nobody asked for it; it is swallowed and refused. */
  #chunkRefused = false;

  constructor(flow: Flow, lenient = false) {
    this.#flow = flow;
    this.#live = !flow.passive;
    this.#lenient = lenient;
  }

  push(side: Side, chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && at !== LEAVE)
      at = side === CLIENT ? this.#fromClient(chunk, at) : this.#fromServer(chunk, at);
    if (side === CLIENT && (this.#mode !== 'body' || this.#uncertain)) this.#hearReplies();
  }

  end(side: Side): void {
    if (side === CLIENT) {
      // A message that waits for its verdict was sent whole: it is not cut by this.
      if (this.#waiting !== 'verdict' && this.#waiting !== 'delivery') this.#abandon('reset');
      this.#hearReplies();
      this.#mode = 'closed';
      if (!this.#over) this.#flow.finish(SERVER);
      return;
    }
    if (this.#over) return;
    if (this.#live) this.#serverGone();
    this.#flow.finish(CLIENT);
  }

  gap(side: Side, length: number): void {
    if (side === CLIENT) this.#clientGap(length);
    else {
      this.#replies.restart();
      if (this.#repliesLost()) this.#flow.resume(CLIENT);
    }
  }

  verdict(id: FileId, verdict: Verdict): void {
    const held = this.#held;
    if (held === undefined || held.file.id !== id || this.#waiting !== 'verdict') return;
    if (verdict.action === 'block' || (verdict.action === 'strip' && !this.#chunked && !held.strippable))
      this.#refuse(held, verdict.replacement);
    else this.#deliver(held, verdict);
  }

  unanswered(side: Side): void {
    // The engine offers the side again by itself.
    if (side === CLIENT) this.#repliesLost();
    else this.#repliesWait = false;
  }

  wake(): void {}

  // ── The client ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes what it can from `at` on: where it got to, or LEAVE. */
  #fromClient(chunk: Buffer, at: number): number {
    switch (this.#mode) {
      case 'command':
        return this.#command(chunk, at);
      case 'credentials':
        return this.#credentials(chunk, at);
      case 'body':
        return this.#body(chunk, at);
      case 'chunk':
        return this.#chunkBytes(chunk, at);
      case 'skip':
        return this.#skip(chunk, at);
      case 'guess':
        return this.#guess(chunk, at);
      case 'resync':
        return this.#resync(chunk, at);
      case 'closed':
        this.#flow.drop(chunk.length);
        return LEAVE;
    }
  }

  #command(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, LINE_LIMIT);
    if (end === INCOMPLETE) return LEAVE;
    if (this.#queue.length >= PIPELINED_LIMIT) {
      this.#note('smtp-too-many-pipelined');
      return this.#wait('replies');
    }
    if (end === TOO_LONG) {
      this.#note('smtp-line-too-long');
      this.#mode = 'skip';
      return at;
    }
    const text = textEnd(chunk, at, end);
    const start = verbStart(chunk, at, text);
    const verb = verbAt(chunk, start, text);
    if (this.#comesTooSoon(verb)) return this.#wait('replies');
    if (hasControl(chunk, at, text)) {
      if (this.#live) return this.#answerFor(end, say.BAD_CHARACTER, 'smtp-control-in-command');
      this.#note('smtp-control-in-command');
    }
    if (start > at) {
      // Some servers skip the space and obey, others do not.
      if (this.#live) return this.#answerFor(end, say.NOT_IMPLEMENTED, 'smtp-space-before-command');
      this.#note('smtp-space-before-command');
    }
    return this.#obey(verb, chunk, start, text, end);
  }

  /** Must the answers to what came before be known first? */
  #comesTooSoon(verb: Verb | undefined): boolean {
    if (this.#queue.length === 0) return false;
    if (this.#live) return verb === 'DATA' || verb === 'BDAT' || verb === 'STARTTLS';
    // Whether the transaction stands decides what the octets are for.
    return verb === 'BDAT' && this.#queue.some(({ kind }) => kind !== 'chunk' && kind !== 'message');
  }

  /** A command whose verb starts at `start`; its text ends at `text`, its line at `end`. */
  #obey(verb: Verb | undefined, chunk: Buffer, start: number, text: number, end: number): number {
    switch (verb) {
      case 'EHLO':
      case 'HELO':
      case 'LHLO':
        this.#lmtp = verb === 'LHLO';
        this.#forgetTransaction();
        return this.#forward(chunk, end, { kind: 'hello' });
      case 'MAIL':
        return this.#mail(chunk, start, text, end);
      case 'RCPT':
        return this.#rcpt(chunk, start, text, end);
      case 'DATA':
        return this.#data(chunk, start, text, end);
      case 'BDAT':
        return this.#bdat(chunk, start, text, end);
      case 'RSET':
      case 'QUIT':
        this.#forgetTransaction();
        return this.#forward(chunk, end, { kind: 'other' });
      case 'NOOP':
      case 'VRFY':
      case 'EXPN':
      case 'HELP':
        return this.#forward(chunk, end, { kind: 'other' });
      case 'AUTH':
        this.#forward(chunk, end, { kind: 'auth' });
        return this.#wait('answer');
      case 'STARTTLS':
        return this.#startTls(chunk, start, text, end);
      case undefined:
        if (this.#live) return this.#answerFor(end, say.NOT_IMPLEMENTED, 'smtp-command-unknown');
        this.#note('smtp-command-unknown');
        this.#forward(chunk, end, { kind: 'unknown' });
        // It may be anything that asks for more: the answer will tell.
        return this.#wait('answer');
    }
  }

  #mail(chunk: Buffer, start: number, text: number, end: number): number {
    // A server answers 503 to MAIL in a transaction; one that does not would lose our place in the chunks.
    if (this.#live && this.#file !== undefined) return this.#answerFor(end, say.OUT_OF_SEQUENCE);
    // Whether it is accepted will not be known.
    if (!this.#paired && this.#file !== undefined) this.#abandon('gap');
    const envelope = new Envelope(pathOf(chunk.toString('utf8', start, text)));
    const open = this.#envelope;
    this.#envelope = envelope;
    this.#commandsLost = false;
    return this.#forward(chunk, end, { kind: 'mail', envelope, open });
  }

  #rcpt(chunk: Buffer, start: number, text: number, end: number): number {
    if (this.#live && this.#file !== undefined) return this.#answerFor(end, say.OUT_OF_SEQUENCE);
    this.#envelope ??= new Envelope(undefined);
    this.#commandsLost = false;
    const path = pathOf(chunk.toString('utf8', start, text));
    const recipient = path === undefined ? undefined : this.#envelope.add(path);
    if (path !== undefined && recipient === undefined) this.#note('smtp-too-many-recipients');
    return this.#forward(chunk, end, { kind: 'rcpt', recipient });
  }

  #data(chunk: Buffer, start: number, text: number, end: number): number {
    if (!this.#live) {
      if (this.#file !== undefined) this.#note('smtp-bdat-data-mixed');
      this.#forward(chunk, end, { kind: 'data' });
      return this.#wait('answer');
    }
    if (text - start > 'DATA'.length) return this.#answerFor(end, say.BAD_ARGUMENT);
    if (this.#file !== undefined) {
      this.#note('smtp-bdat-data-mixed');
      this.#forgetTransaction();
      this.#undo();
      return this.#answerFor(end, say.OUT_OF_SEQUENCE, undefined, true);
    }
    if (this.#envelope?.accepted !== true) return this.#answerFor(end, say.OUT_OF_SEQUENCE);
    if (this.#envelope.deliverable === 0) return this.#answerFor(end, say.NO_RECIPIENTS);
    this.#canonical(chunk, end);
    this.#flow.drop(end);
    this.#openMessage(false);
    this.#flow.send(CLIENT, say.GO_AHEAD);
    return end;
  }

  #bdat(chunk: Buffer, start: number, text: number, end: number): number {
    const size = chunkSizeOf(chunk.toString('latin1', start, text));
    if (size === undefined || !size.plain) {
      if (this.#live) {
        this.#forgetTransaction();
        this.#undo();
        return this.#answerFor(end, say.BAD_ARGUMENT, 'smtp-bdat-malformed', true);
      }
      this.#note('smtp-bdat-malformed');
      this.#forward(chunk, end, { kind: 'bad-chunk', size });
      return this.#wait('answer');
    }
    if (this.#live) {
      this.#chunkRefused =
        this.#file === undefined && (this.#envelope?.accepted !== true || this.#envelope.deliverable === 0);
      this.#canonical(chunk, end);
      this.#flow.drop(end);
    } else this.#forward(chunk, end, { kind: 'chunk', envelope: this.#envelope });
    return this.#beginChunk(size, end);
  }

  #startTls(chunk: Buffer, start: number, text: number, end: number): number {
    const misplaced = this.#tls || this.#envelope !== undefined || text - start > 'STARTTLS'.length;
    if (this.#live) {
      if (misplaced) return this.#answerFor(end, say.OUT_OF_SEQUENCE, 'smtp-starttls-misplaced');
    } else if (misplaced) this.#note('smtp-starttls-misplaced');
    this.#forward(chunk, end, { kind: 'starttls' });
    return this.#wait('answer');
  }

  #credentials(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, LINE_LIMIT);
    if (end === INCOMPLETE) return LEAVE;
    if (end === TOO_LONG) {
      this.#note('smtp-line-too-long');
      this.#mode = 'skip';
      return at;
    }
    this.#mode = 'command';
    if (isCredentials(chunk, at, textEnd(chunk, at, end))) this.#forward(chunk, end, { kind: 'auth' });
    else {
      this.#note('smtp-credentials-malformed');
      if (!this.#live) this.#flow.pass(end);
      else {
        this.#flow.drop(end);
        this.#flow.send(SERVER, say.CANCEL);
      }
      this.#queue.push({ kind: 'auth' });
    }
    return this.#wait('answer');
  }

  /** An over-long line goes nowhere live, and is refused when its end is seen. */
  #skip(chunk: Buffer, at: number): number {
    const lf = chunk.indexOf(LF, at);
    const end = lf < 0 ? chunk.length : lf + 1;
    if (!this.#live) {
      this.#flow.pass(end);
      if (lf >= 0) {
        this.#mode = 'command';
        this.#queue.push({ kind: 'other' });
      }
      return end;
    }
    if (lf < 0) {
      this.#flow.drop(end);
      return end;
    }
    this.#flow.drop(lf);
    if (this.#queue.length > 0) return this.#wait('replies');
    this.#mode = 'command';
    return this.#answerFor(end, say.LINE_TOO_LONG);
  }

  /** The text of a message, a whole chunk at a time: no work per line. */
  #body(chunk: Buffer, at: number): number {
    const dots = this.#dots;
    dots.begin(chunk, at);
    /** Where the next bytes for the file begin, and where the next dot is looked for. */
    let from = at;
    let search = at;
    /** What the second reading, if there is one, has not had. */
    let unread = at;
    for (;;) {
      const dot = dots.next(chunk, search);
      search = dot + 1;
      const kind = dot === chunk.length ? WAIT : dots.kind(chunk, dot);
      if (kind === PLAIN) continue;
      this.#write(chunk, from, dot);
      from = dot;
      if (kind === STUFFED) {
        this.#held?.stuffedDot();
        from = dot + 1;
        continue;
      }
      if (kind === WAIT) {
        this.#flow.pass(dot, this.#held?.body);
        this.#second?.write(chunk, unread, dot);
        dots.leave(chunk, dot);
        return dot === chunk.length ? dot : LEAVE;
      }
      this.#flow.pass(kind === END ? dot + 3 : dot, this.#held?.body);
      if (kind === END) {
        this.#second?.write(chunk, unread, dot + 3);
        return this.#messageEnds(dot + 3);
      }
      kind satisfies typeof AMBIGUOUS;
      if (this.#lenient) {
        const end = dot + (chunk[dot + 1] === CR && chunk[dot + 2] === LF ? 3 : 2);
        this.#flow.pass(end);
        return this.#messageEnds(end);
      }
      this.#note('smtp-smuggling');
      if (this.#live) {
        this.#close(say.BARE_LINE_END);
        return dot;
      }
      this.#file?.malformed('smtp-smuggling');
      this.#second?.write(chunk, unread, dot);
      unread = dot;
      if (this.#second === undefined || this.#second.over) {
        this.#second = new SecondReading(this.#flow, (flow) => new SmtpDecoder(flow, true));
        unread = dot + 1;
      }
      // Strictly read, its line goes on, and a dot behind a CRLF was stuffed.
      if (dots.atLine(chunk, dot)) from = dot + 1;
    }
  }

  #beginChunk(size: ChunkSize, end: number): number {
    this.#chunkSize = size.size;
    this.#chunkLeft = size.size;
    this.#chunkLast = size.last;
    if (this.#file === undefined && !this.#chunkRefused && this.#envelope?.failed !== true) this.#openMessage(true);
    this.#mode = 'chunk';
    if (size.size === 0) return this.#chunkEnds(end);
    return end;
  }

  #chunkBytes(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#chunkLeft);
    this.#write(chunk, at, end);
    if (this.#live && this.#held === undefined) this.#flow.drop(end);
    else this.#flow.pass(end, this.#held?.body);
    this.#chunkLeft -= end - at;
    return this.#chunkLeft > 0 ? end : this.#chunkEnds(end);
  }

  #chunkEnds(end: number): number {
    this.#mode = 'command';
    if (this.#live && this.#held === undefined) this.#flow.send(CLIENT, say.OUT_OF_SEQUENCE);
    else if (this.#chunkLast) return this.#messageEnds(end);
    else if (this.#live) this.#flow.send(CLIENT, say.chunkTaken(this.#chunkSize));
    return end;
  }

  #write(chunk: Buffer, from: number, to: number): void {
    if (from === to || this.#file === undefined) return;
    this.#file.write(chunk, from, to);
    if (this.#held !== undefined) this.#held.length += to - from;
  }

  // ── Messages ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #openMessage(chunked: boolean): FileStream {
    const facts = this.#envelope?.facts();
    const meta: FileMeta = {
      name: undefined,
      direction: 'upload',
      declaredType: 'message/rfc822',
      refusable: true,
      ...(facts === undefined ? {} : { mail: facts }),
    };
    this.#held = this.#live ? new HeldMessage(this.#flow, meta) : undefined;
    const file = this.#held?.file ?? this.#flow.openFile(meta);
    this.#file = file;
    this.#chunked = chunked;
    this.#uncertain = false;
    if (!chunked) {
      this.#dots.restart();
      this.#mode = 'body';
    }
    return file;
  }

  /** All of the message was sent. */
  #messageEnds(end: number): number {
    this.#mode = 'command';
    this.#uncertain = false;
    this.#second?.end();
    this.#second = undefined;
    if (this.#live) {
      // The verdict may come before the next event.
      this.#wait('verdict');
      this.#file?.end();
      return LEAVE;
    }
    this.#expectFinal(this.#chunked ? 'chunk' : 'message');
    // What looked like its beginning may have been its middle. Told at the end, so that all is read as if it were not.
    if (this.#chunked && this.#commandsLost) this.#file?.gap(0);
    this.#file?.end();
    this.#file = undefined;
    this.#envelope = undefined;
    return end;
  }

  /** A message has one final reply; in LMTP one for each recipient (RFC 2033 section 4.2). A passive BDAT has its first already. */
  #expectFinal(kind: 'chunk' | 'message'): void {
    const replies = this.#finals();
    for (let i = kind === 'chunk' && !this.#live ? 1 : 0; i < replies; i++) this.#queue.push({ kind: 'message' });
  }

  #finals(): number {
    return this.#lmtp ? Math.max(1, this.#envelope?.deliverable ?? 1) : 1;
  }

  /** The message that is being sent will not be finished. */
  #abandon(reason: 'reset' | 'gap'): void {
    this.#second?.end();
    this.#second = undefined;
    this.#file?.abort(reason);
    this.#held?.discard();
    this.#file = undefined;
    this.#held = undefined;
    this.#uncertain = false;
  }

  #forgetTransaction(): void {
    this.#abandon('reset');
    this.#envelope = undefined;
  }

  /** Live: the server's transaction is undone; the client does not hear of it. */
  #undo(): void {
    this.#flow.send(SERVER, say.RSET_COMMAND);
    this.#queue.push({ kind: 'own-rset' });
  }

  /** Live: the message goes to the server now. */
  #deliver(held: HeldMessage, verdict: Verdict): void {
    this.#waiting = 'delivery';
    const edits = verdict.action === 'strip' ? verdict.edits : [];
    if (this.#chunked) {
      // One chunk, whatever pieces it came in: one answer, and no need of pipelining.
      const length = held.stripPlain(edits);
      held.announce(say.lastChunk(length));
      this.#expectFinal('chunk');
      held.release();
      return;
    }
    held.stripDotted(edits);
    held.announce(say.DATA_COMMAND);
    // Until 354 the server would take the body for commands.
    this.#queue.push({ kind: 'own-data' });
  }

  /** Live: the message is blocked; the server has seen nothing of it. */
  #refuse(held: HeldMessage, text: string): void {
    held.discard();
    this.#undo();
    for (let i = this.#finals(); i > 0; i--) this.#flow.send(CLIENT, say.refusal(text));
    this.#settled();
  }

  /** Live: the message has had its final reply. */
  #settled(): void {
    this.#file = undefined;
    this.#held = undefined;
    this.#envelope = undefined;
    this.#go();
  }

  // ── Waiting and answering ──────────────────────────────────────────────────────────────────────────────────────────────

  #wait(waiting: Waiting): typeof LEAVE {
    this.#waiting = waiting;
    this.#flow.stop(CLIENT);
    return LEAVE;
  }

  #go(): void {
    this.#waiting = undefined;
    this.#flow.resume(CLIENT);
  }

  /** The command goes to the server, and its answer is expected. */
  #forward(chunk: Buffer, end: number, expected: Expected): number {
    this.#queue.push(expected);
    if (this.#canonical(chunk, end)) {
      this.#flow.pass(end - 1);
      this.#flow.drop(end);
      this.#flow.send(SERVER, say.CRLF);
    } else this.#flow.pass(end);
    return end;
  }

  /** Notes a line that ends in a bare LF; true when it must be sent on with a CRLF. */
  #canonical(chunk: Buffer, end: number): boolean {
    if (chunk[end - 2] === CR) return false;
    this.#note('smtp-bare-lf-command');
    return this.#live;
  }

  /** Live: we answer in place of the server, when it has answered all that came before (`now`: it is known that it has). */
  #answerFor(end: number, reply: Buffer, event?: SmtpEvent, now = false): number {
    if (!now && this.#queue.length > 0) return this.#wait('replies');
    if (event !== undefined) this.#note(event);
    this.#flow.drop(end);
    this.#flow.send(CLIENT, reply);
    return end;
  }

  /** Live: the session ends here; nothing of an open message reaches the server. */
  #close(reply: Buffer): void {
    this.#forgetTransaction();
    this.#mode = 'closed';
    this.#over = true;
    this.#flow.send(CLIENT, reply);
    this.#flow.finish(CLIENT);
    this.#flow.finish(SERVER);
  }

  #note(event: SmtpEvent, side: Side = CLIENT): void {
    this.#flow.anomaly(event, side);
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #fromServer(chunk: Buffer, at: number): number {
    if (this.#over) {
      this.#flow.drop(chunk.length);
      return LEAVE;
    }
    const end = this.#replies.end(chunk, at, LINE_LIMIT);
    if (end === INCOMPLETE) return LEAVE;
    if (end === TOO_LONG) {
      this.#note('smtp-reply-too-long', SERVER);
      if (this.#live) this.#flow.reset('smtp-reply-too-long');
      else {
        this.#flow.pass(chunk.length);
        if (this.#repliesLost()) this.#flow.resume(CLIENT);
      }
      return LEAVE;
    }
    const code = replyCode(chunk, lastLine(chunk, at, end), end);
    if (code === 0) {
      this.#note('smtp-reply-malformed', SERVER);
      if (this.#live) this.#flow.drop(end);
      else this.#flow.pass(end);
      return end;
    }
    if (this.#live) return this.#liveReply(chunk, at, end, code);
    const waited = this.#waiting !== undefined;
    this.#flow.pass(end);
    if (this.#paired) this.#passiveReply(code);
    else this.#unpairedReply(code);
    if (this.#layering) return this.#startLayer();
    if (!waited || this.#waiting !== undefined) return end;
    // What the server says next, it says to what the client says now: the recording may have it in front of that.
    this.#repliesWait = true;
    this.#flow.stop(SERVER);
    return LEAVE;
  }

  /** A recording: the client has said something. Until a message has ended, nothing that the server answers. */
  #hearReplies(): void {
    if (!this.#repliesWait) return;
    this.#repliesWait = false;
    this.#flow.resume(SERVER);
  }

  #startLayer(): typeof LEAVE {
    this.#layering = false;
    this.#replies.restart();
    this.#tls = true;
    // RFC 3207 section 4.2: what was learnt before is forgotten.
    this.#forgetTransaction();
    this.#flow.layer('tls');
    if (this.#waiting !== undefined) this.#go();
    return LEAVE;
  }

  #liveReply(chunk: Buffer, at: number, end: number, code: number): number {
    const expected = this.#queue.shift();
    if (expected === undefined) {
      // 421 may come at any time (RFC 5321 section 3.8); anything else would be taken for the answer to what comes next.
      if (code === 421) this.#flow.pass(end);
      else {
        this.#note('smtp-reply-unexpected', SERVER);
        this.#flow.drop(end);
      }
      return end;
    }
    if (expected.kind === 'own-rset') this.#flow.drop(end);
    else if (expected.kind === 'own-data') this.#dataAnswered(chunk, at, end, code);
    else {
      const instead = expected.kind === 'hello' && code === 250 ? allowedHello(chunk, at, end) : undefined;
      if (instead === undefined) this.#flow.pass(end);
      else {
        this.#flow.drop(end);
        this.#flow.send(CLIENT, instead);
      }
      this.#learn(expected, code);
      if (expected.kind === 'message' && this.#queue.length === 0 && this.#waiting === 'delivery') this.#settled();
    }
    if (this.#layering) return this.#startLayer();
    if (this.#waiting === 'replies' && this.#queue.length === 0) this.#go();
    return end;
  }

  /** Live: the server answered our DATA. The client had its 354 long ago: what it waits for is the final reply. */
  #dataAnswered(chunk: Buffer, at: number, end: number, code: number): void {
    const held = this.#held;
    if (code === 354 && held !== undefined) {
      this.#flow.drop(end);
      this.#expectFinal('message');
      held.release();
      return;
    }
    const refusal = code >= 400 ? Buffer.from(chunk.subarray(at, end)) : say.NOT_DELIVERED;
    this.#flow.drop(end);
    for (let i = this.#finals(); i > 0; i--) this.#flow.send(CLIENT, refusal);
    held?.discard();
    this.#undo();
    this.#settled();
  }

  /** What the answer to a command changes. */
  #learn(expected: Expected, code: number): void {
    const accepted = code < 400;
    switch (expected.kind) {
      case 'mail':
        if (expected.envelope !== undefined) this.#mailAnswered(expected.envelope, expected.open, accepted);
        break;
      case 'rcpt':
        if (expected.recipient !== undefined) expected.recipient.accepted = accepted;
        break;
      case 'starttls':
        this.#layering = code === 220;
        if (!this.#layering) this.#go();
        break;
      case 'auth':
        this.#mode = code === 334 ? 'credentials' : 'command';
        this.#go();
        break;
      default:
        break;
    }
  }

  #mailAnswered(envelope: Envelope, open: Envelope | undefined, accepted: boolean): void {
    envelope.accepted = accepted;
    if (accepted) {
      // A server that takes MAIL has no transaction open: chunks of an older message will not be continued.
      if (this.#file !== undefined && this.#mode === 'command') this.#abandon('reset');
    } else if (open !== undefined) envelope.continues(open);
  }

  // ── The server, in a recording ─────────────────────────────────────────────────────────────────────────────────────────

  #passiveReply(code: number): void {
    const expected = this.#queue[0];
    if (expected === undefined || (code === 354 && !this.#asksForBody(expected))) {
      if (code === 354 || this.#uncertain || this.#mode === 'guess' || this.#mode === 'resync')
        this.#unpairedReply(code);
      else if (code !== 421) this.#note('smtp-reply-unexpected', SERVER);
      return;
    }
    if (expected.kind === 'data' && code < 300) {
      // It belongs to nothing: the answer to DATA is still to come.
      this.#note('smtp-reply-unexpected', SERVER);
      return;
    }
    this.#queue.shift();
    this.#learn(expected, code);
    switch (expected.kind) {
      case 'data':
      case 'unknown':
        if (code === 354) this.#bodyFollows();
        else if (code === 334) this.#mode = 'credentials';
        this.#go();
        return;
      case 'bad-chunk':
        this.#takeBadChunk(code < 400 ? expected.size : undefined);
        this.#go();
        return;
      case 'chunk':
        if (code >= 400) this.#chunkRefusedBy(expected.envelope);
        break;
      default:
        break;
    }
    if (this.#waiting === 'replies' && this.#queue.every(({ kind }) => kind === 'chunk' || kind === 'message'))
      this.#go();
  }

  /** A recording: a size that not every server reads alike was (or may have been) accepted; `undefined`: refused, or unreadable. */
  #takeBadChunk(size: ChunkSize | undefined): void {
    if (size === undefined || size.size >= 2 ** 31) this.#resyncOnCommands();
    else this.#beginChunk(size, 0);
  }

  #asksForBody(expected: Expected): boolean {
    return expected.kind === 'data' || expected.kind === 'unknown';
  }

  /** A recording: the server discards the message whose chunk it refused. */
  #chunkRefusedBy(envelope: Envelope | undefined): void {
    if (envelope === undefined || envelope !== this.#envelope) return;
    envelope.failed = true;
    if (this.#chunked) this.#abandon('reset');
  }

  #bodyFollows(): void {
    if (this.#file !== undefined) this.#abandon(this.#uncertain ? 'gap' : 'reset');
    this.#openMessage(false);
  }

  /** Replies were lost: only those that can answer but one thing are still believed, until we are in step again. */
  #unpairedReply(code: number): void {
    const last = this.#queue.at(-1);
    if (code === 354) {
      const expecting =
        this.#commandsLost ||
        this.#waiting === 'answer' ||
        this.#mode === 'guess' ||
        this.#mode === 'resync' ||
        this.#uncertain;
      if (!expecting) return this.#note('smtp-reply-unexpected', SERVER);
      // DATA is the last command of a group (RFC 2920 section 3.1): all before it is answered.
      this.#inStep();
      this.#commandsLost = false;
      this.#bodyFollows();
    } else if (this.#waiting === 'answer') {
      if (code === 334) {
        this.#inStep();
        this.#mode = 'credentials';
      } else if (last?.kind === 'starttls' && code === 220) {
        this.#inStep();
        this.#layering = true;
        return;
      } else if (last?.kind === 'data' && code < 300) return;
      else this.#look();
    } else if (this.#mode === 'resync' || (this.#uncertain && this.#mode === 'body')) {
      // The server has read to an end that we have not seen.
      if (this.#mode === 'body') this.#abandon('gap');
      this.#inStep();
      this.#mode = 'command';
      return;
    } else if (this.#mode === 'command' && this.#waiting === undefined && this.#queue.length <= 1) {
      this.#inStep();
      return;
    } else {
      this.#queue.shift();
      if (this.#waiting !== 'replies' || this.#queue.length > 0) return;
    }
    this.#go();
  }

  #inStep(): void {
    this.#queue = [];
    this.#paired = true;
  }

  /** A gap, or the answer that the client waits for will not come. True when the client waited. */
  #repliesLost(): boolean {
    this.#paired = false;
    if (this.#waiting === 'answer') this.#look();
    else this.#queue = [];
    const waited = this.#waiting !== undefined;
    this.#waiting = undefined;
    return waited;
  }

  /** Let the next bytes say what the last command's answer was. */
  #look(): void {
    const last = this.#queue.at(-1);
    this.#queue = [];
    this.#mode = 'guess';
    this.#guessing = last?.kind ?? 'other';
    if (last?.kind === 'bad-chunk') this.#takeBadChunk(last.size);
  }

  #guess(chunk: Buffer, at: number): number {
    const likeness = commandLikeness(chunk, at);
    const tls = this.#guessing === 'starttls' && chunk[at] === 0x16;
    if (likeness === 'more' && !tls) return LEAVE;
    this.#note('smtp-reply-missing');
    this.#mode = 'command';
    if (tls) return this.#startLayer();
    if (likeness === 'no' && this.#guessing === 'data') this.#bodyFollows();
    else if (likeness === 'no' && this.#guessing === 'auth') this.#mode = 'credentials';
    return at;
  }

  // ── Bytes of the client that are missing ───────────────────────────────────────────────────────────────────────────────

  #clientGap(length: number): void {
    this.#paired = false;
    this.#hearReplies();
    if (this.#mode === 'body') {
      this.#file?.gap(length);
      this.#dots.gap();
      this.#second?.end();
      this.#second = undefined;
      this.#uncertain = true;
      return;
    }
    if (this.#mode === 'chunk' && length > 0 && length <= this.#chunkLeft) {
      this.#file?.gap(length);
      this.#chunkLeft -= length;
      if (this.#chunkLeft === 0) this.#chunkEnds(0);
      return;
    }
    if (this.#mode === 'chunk' && this.#chunkLast && length > 0) {
      this.#file?.gap(this.#chunkLeft);
      this.#messageEnds(0);
    } else this.#file?.gap(0); // chunks may go on behind it
    this.#queue = [];
    this.#commandsLost = true;
    this.#mode = 'resync';
    this.#cutLineSkipped = false;
    this.#skipText = false;
    if (this.#waiting !== undefined) this.#go();
  }

  /** Whatever follows, only a command is believed. */
  #resyncOnCommands(): void {
    this.#paired = false;
    this.#mode = 'resync';
    this.#cutLineSkipped = true;
    this.#skipText = true;
  }

  /** Looks for the next command. Lines that are none are a message, but for the first, which may be what a gap left of a command. */
  #resync(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, LINE_LIMIT);
    if (end === INCOMPLETE) return LEAVE;
    if (end !== TOO_LONG && commandLikeness(chunk, at) === 'yes') {
      this.#mode = 'command';
      return at;
    }
    if (end !== TOO_LONG && (!this.#cutLineSkipped || this.#skipText)) {
      this.#cutLineSkipped = true;
      this.#flow.pass(end);
      return end;
    }
    if (this.#skipText) {
      this.#flow.pass(chunk.length);
      return chunk.length;
    }
    if (this.#file === undefined) this.#openMessage(false).gap(0);
    else {
      this.#dots.restart();
      this.#mode = 'body';
    }
    this.#uncertain = true;
    return at;
  }

  /** Live: the server closed. What waits for it will not be delivered. */
  #serverGone(): void {
    const waited = this.#waiting;
    if (waited === undefined && this.#file === undefined) return;
    this.#forgetTransaction();
    if (waited === 'verdict' || waited === 'delivery' || waited === undefined) this.#flow.send(CLIENT, say.SERVER_GONE);
    this.#mode = 'closed';
    this.#over = true;
    this.#flow.finish(SERVER);
    if (waited !== undefined) this.#go();
  }
}
