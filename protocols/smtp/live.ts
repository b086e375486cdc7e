/**
 * SMTP on a live connection. The server hears of DATA and BDAT only after the verdict; until then we answer for it. What we cannot follow
 * is refused, and what the server may offer is only what we can follow.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileMeta, Verdict } from '../../src/core/file.js';
import { CLIENT, SERVER, type Side } from '../../src/core/flow.js';
import { LF } from '../../src/core/lines.js';
import { allowedHello, offers } from './capabilities.js';
import { type Expected, LEAVE, SmtpDecoder } from './decoder.js';
import type { SmtpEvent } from './events.js';
import { chunkSizeOf, type Verb, verbAt } from './grammar.js';
import { HeldMessage } from './held.js';
import * as say from './replies.js';

export class LiveSmtp extends SmtpDecoder<HeldMessage> {
  /** Both ends were told that the session is over. */
  #over = false;
  /** The server knows BDAT: one that does not would take the octets of a chunk for commands. */
  #chunking = false;

  end(side: Side): void {
    if (side === CLIENT) {
      // A message that waits for its verdict was sent whole: it is not cut by this.
      if (this.waiting !== 'verdict' && this.waiting !== 'delivery') this.abandon('reset');
      this.mode = 'closed';
      if (!this.#over) this.flow.finish(SERVER);
    } else if (!this.#over) {
      this.#serverGone();
      this.flow.finish(CLIENT);
    }
  }

  /** Nothing is missing of a live flow, and answers come or the connection ends. */
  gap(): void {}
  unanswered(): void {}

  verdict(id: FileId, verdict: Verdict): void {
    const held = this.message;
    if (held === undefined || held.file.id !== id || this.waiting !== 'verdict') return;
    if (verdict.action === 'block' || (verdict.action === 'strip' && !held.strippable))
      this.#refuse(held, verdict.replacement, verdict.temporary === true);
    else this.#deliver(held, verdict);
  }

  // ── The client ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  protected suspicious(end: number, event: SmtpEvent, reply: Buffer): number {
    return this.#answerFor(end, reply, event);
  }

  protected comesTooSoon(verb: Verb | undefined): boolean {
    return verb === 'DATA' || verb === 'BDAT' || verb === 'STARTTLS';
  }

  // A server answers 503 to MAIL in a transaction; one that does not would lose our place in the chunks.
  protected override mail(chunk: Buffer, start: number, text: number, end: number): number {
    if (this.message !== undefined) return this.#answerFor(end, say.OUT_OF_SEQUENCE);
    return super.mail(chunk, start, text, end);
  }

  protected override rcpt(chunk: Buffer, start: number, text: number, end: number): number {
    if (this.message !== undefined) return this.#answerFor(end, say.OUT_OF_SEQUENCE);
    return super.rcpt(chunk, start, text, end);
  }

  protected data(chunk: Buffer, start: number, text: number, end: number): number {
    if (text - start > 'DATA'.length) return this.#answerFor(end, say.BAD_ARGUMENT);
    if (this.message !== undefined) {
      this.note('smtp-bdat-data-mixed');
      this.forgetTransaction();
      this.#undo();
      return this.#answerNow(end, say.OUT_OF_SEQUENCE);
    }
    if (this.envelope?.accepted !== true) return this.#answerFor(end, say.OUT_OF_SEQUENCE);
    if (this.envelope.deliverable === 0) return this.#answerFor(end, say.NO_RECIPIENTS);
    this.noteBareLf(chunk, end);
    this.flow.drop(end);
    this.openMessage(false);
    this.flow.send(CLIENT, say.GO_AHEAD);
    return end;
  }

  protected bdat(chunk: Buffer, start: number, text: number, end: number): number {
    const size = chunkSizeOf(chunk.toString('latin1', start, text));
    if (size === undefined || !size.plain) {
      this.forgetTransaction();
      this.#undo();
      this.note('smtp-bdat-malformed');
      return this.#answerNow(end, say.BAD_ARGUMENT);
    }
    this.noteBareLf(chunk, end);
    this.flow.drop(end);
    // A chunk that nobody accepts is swallowed and refused. Behind an envelope that was refused, honest clients have sent it already.
    if (this.envelope === undefined || !this.#chunking) this.note('smtp-bdat-misplaced');
    else if (this.message === undefined && this.envelope.accepted === true && this.envelope.deliverable > 0)
      this.openMessage(true);
    return this.beginChunk(size, end);
  }

  protected refuseCredentials(end: number): void {
    this.flow.drop(end);
    this.flow.send(SERVER, say.CANCEL);
  }

  protected longest(chunk: Buffer, at: number): number {
    const { line, smtpCommand, smtpAuth } = this.flow.limits;
    const auth = this.mode === 'credentials' || verbAt(chunk, at, chunk.length) === 'AUTH';
    return Math.min(line, auth ? smtpAuth : smtpCommand);
  }

  /** It goes nowhere, and is refused when its end is seen. */
  protected skip(chunk: Buffer, at: number): number {
    const lf = chunk.indexOf(LF, at);
    if (lf < 0) {
      this.flow.drop(chunk.length);
      return chunk.length;
    }
    this.flow.drop(lf);
    if (this.queue.length > 0) return this.wait('replies');
    this.mode = 'command';
    if (this.credentialsSkipped) {
      // The server waits for a line of its exchange.
      this.credentialsSkipped = false;
      this.refuseCredentials(lf + 1);
      this.queue.push({ kind: 'auth' });
      return this.wait('answer');
    }
    return this.#answerFor(lf + 1, say.LINE_TOO_LONG);
  }

  /** We answer in place of the server, when it has answered all that came before. */
  #answerFor(end: number, reply: Buffer, event?: SmtpEvent): number {
    if (this.queue.length > 0) return this.wait('replies');
    if (event !== undefined) this.note(event);
    return this.#answerNow(end, reply);
  }

  /** The same where it is known that it has. */
  #answerNow(end: number, reply: Buffer): number {
    this.flow.drop(end);
    this.flow.send(CLIENT, reply);
    return end;
  }

  // ── Its messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

  protected makeMessage(meta: FileMeta, chunked: boolean): HeldMessage {
    return new HeldMessage(this.flow, meta, chunked);
  }

  protected loneDot(_chunk: Buffer, dot: number): number {
    this.note('smtp-smuggling');
    this.#close(say.BARE_LINE_END);
    return dot;
  }

  protected takeForeign(end: number): void {
    this.flow.drop(end);
  }

  protected chunkEnds(end: number): number {
    this.mode = 'command';
    if (this.message === undefined) this.flow.send(CLIENT, say.OUT_OF_SEQUENCE);
    else if (this.chunk.last) return this.messageEnds();
    else this.flow.send(CLIENT, say.chunkTaken(this.chunk.size));
    return end;
  }

  protected messageEnds(): typeof LEAVE {
    this.mode = 'command';
    // The verdict may come before the next event.
    this.wait('verdict');
    this.message?.end();
    return LEAVE;
  }

  /** The message goes to the server now. */
  #deliver(held: HeldMessage, verdict: Verdict): void {
    this.waiting = 'delivery';
    const edits = verdict.action === 'strip' ? verdict.edits : [];
    if (held.chunked) {
      // One chunk, whatever pieces it came in: one answer, and no need of pipelining.
      held.announce(say.lastChunk(held.stripPlain(edits)));
      this.#handOver(held);
      return;
    }
    held.stripDotted(edits);
    held.announce(say.DATA_COMMAND);
    // Until 354 the server would take the body for commands.
    this.queue.push({ kind: 'own-data' });
  }

  #handOver(held: HeldMessage): void {
    for (let i = this.finals; i > 0; i--) this.queue.push({ kind: 'message' });
    held.release();
  }

  /** The message is blocked; the server has seen nothing of it. */
  #refuse(held: HeldMessage, text: string, temporary: boolean): void {
    held.discard();
    this.#undo();
    for (let i = this.finals; i > 0; i--) this.flow.send(CLIENT, say.refusal(text, temporary));
    this.#settled();
  }

  /** The server's transaction is undone; the client does not hear of it. */
  #undo(): void {
    this.flow.send(SERVER, say.RSET_COMMAND);
    this.queue.push({ kind: 'own-rset' });
  }

  /** The message has had its final reply. */
  #settled(): void {
    this.message = undefined;
    this.envelope = undefined;
    this.go();
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  protected override fromServer(chunk: Buffer, at: number): number {
    if (!this.#over) return super.fromServer(chunk, at);
    this.flow.drop(chunk.length);
    return LEAVE;
  }

  protected replyTooLong(): void {
    this.flow.reset('smtp-reply-too-long');
  }

  protected strayReply(end: number): void {
    this.flow.drop(end);
  }

  protected reply(chunk: Buffer, at: number, end: number, code: number): number {
    const expected = this.queue.shift();
    if (code === 354 && expected?.kind !== 'own-data') {
      // It takes for text what follows, and we do not know why.
      this.note('smtp-reply-unexpected', SERVER);
      this.flow.reset('smtp-reply-unexpected');
      return LEAVE;
    }
    if (expected === undefined) {
      this.#unasked(end, code);
      return end;
    }
    if (expected.kind === 'own-rset') this.flow.drop(end);
    else if (expected.kind === 'own-data') this.#dataAnswered(chunk, at, end, code);
    else {
      this.#passReply(expected, chunk, at, end, code);
      this.learn(expected, code);
      if (expected.kind === 'message' && this.queue.length === 0 && this.waiting === 'delivery') this.#settled();
    }
    if (this.layering) return this.startLayer();
    if (this.waiting === 'replies' && this.queue.length === 0) this.go();
    return end;
  }

  /** 421 may come at any time (RFC 5321 section 3.8); anything else would be taken for the answer to what comes next. */
  #unasked(end: number, code: number): void {
    if (code === 421) this.flow.pass(end);
    else {
      this.note('smtp-reply-unexpected', SERVER);
      this.strayReply(end);
    }
  }

  #passReply(expected: Expected, chunk: Buffer, at: number, end: number, code: number): void {
    // Some clients read what any acceptance offers.
    const greets = expected.kind === 'hello' && code < 300;
    if (greets) this.#chunking = offers(chunk, at, end, 'CHUNKING');
    const instead = greets ? allowedHello(chunk, at, end) : undefined;
    if (instead === undefined) this.flow.pass(end);
    else {
      this.flow.drop(end);
      this.flow.send(CLIENT, instead);
    }
  }

  /** The server answered our DATA. The client had its 354 long ago: what it waits for is the final reply. */
  #dataAnswered(chunk: Buffer, at: number, end: number, code: number): void {
    this.flow.drop(end);
    const held = this.message;
    if (code === 354 && held !== undefined) {
      this.#handOver(held);
      return;
    }
    const refusal = code >= 400 ? Buffer.from(chunk.subarray(at, end)) : say.NOT_DELIVERED;
    for (let i = this.finals; i > 0; i--) this.flow.send(CLIENT, refusal);
    held?.discard();
    this.#undo();
    this.#settled();
  }

  // Inside TLS the server says anew what it knows.
  protected override startLayer(): typeof LEAVE {
    this.#chunking = false;
    return super.startLayer();
  }

  // ── The end of the session ─────────────────────────────────────────────────────────────────────────────────────────────

  /** We end it; nothing of an open message reaches the server. */
  #close(reply: Buffer): void {
    this.forgetTransaction();
    this.mode = 'closed';
    this.#over = true;
    this.flow.send(CLIENT, reply);
    this.flow.finish(CLIENT);
    this.flow.finish(SERVER);
  }

  /** The server closed. What waits for it will not be delivered. */
  #serverGone(): void {
    const waited = this.waiting;
    if (waited === undefined && this.message === undefined) return;
    this.forgetTransaction();
    if (waited === 'verdict' || waited === 'delivery' || waited === undefined) this.flow.send(CLIENT, say.SERVER_GONE);
    this.mode = 'closed';
    this.#over = true;
    this.flow.finish(SERVER);
    if (waited !== undefined) this.go();
  }
}
