/**
 * POP3 (RFC 1939, 2449, 2595, 5034, 6856): pairs answers with commands, takes the messages of RETR and TOP out, holds each reply from
 * its `+OK` until the verdict, and lets the client see only capabilities that keep the session readable. README.md says what is held when.
 *
 * A client's lines pass as they come; the client is stopped only where its next line cannot be read without the answer (AUTH, STLS), or
 * must not overtake it. A recording may lack either side or any stretch: then answers are read by their looks, and nothing is asked.
 * Deliberately not here: MIME, the sizes that a server announces (only a hint, and the sender's), other line ends than LF.
 */
import { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, opposite, type Protocol, SERVER, type Side } from '../../src/core/flow.js';
import { KiB } from '../../src/core/limits.js';
import { LF, lineEnd, TOO_LONG, textEnd } from '../../src/core/lines.js';
import { beginsTls } from '../../src/core/tls-record.js';
import { mechanismKnown, saslLogin } from '../mail/sasl.js';
import { type Answer, type Command, parseCommand } from './commands.js';
import type { Pop3Event } from './events.js';
import { Message } from './message.js';
import { probe } from './probe.js';
import { allowedCapability, looksListed, statusAt } from './replies.js';

const DOT = 0x2e;
const REFUSAL = Buffer.from('-ERR Command not supported\r\n');
const NOTHING = Buffer.alloc(0);

export const pop3: Protocol = {
  name: 'pop3',
  service: 'POP3',
  ports: [110],
  tlsPorts: [995],
  // One line; a message leaves no more than a lone dot.
  maxUntaken: ({ line }) => line + KiB,
  probe,
  decoders: () => (flow) => new Pop3(flow),
};

/**
 * What the server's next bytes are. `status`: the first line of an answer. `second`: a recording's line behind a `+OK` of which we do not
 * know what it answers. `hunt`: what follows missing bytes. `rest`: the rest of a line that they cut. `long`: the rest of a line that is too long.
 */
type ServerState = 'status' | 'list' | 'capabilities' | 'message' | 'second' | 'hunt' | 'rest' | 'long';

class Pop3 implements Decoder {
  readonly #flow: Flow;

  /** What the commands without an answer ask for, oldest first; the greeting counts as one. */
  #awaited: Answer[] = ['line'];
  #server: ServerState = 'status';
  #message: Message | undefined;
  /** Messages that wait for their verdict. */
  readonly #held = new Map<FileId, Message>();
  /** Missing bytes since the last message was understood: told to the one that they may have begun. */
  #missing: number | undefined;
  /** What follows a too long line of the server. */
  #afterLong: ServerState = 'status';

  /** `response`: the client's next line belongs to an AUTH exchange. `long`: the rest of a line that is too long. */
  #client: 'command' | 'response' | 'long' = 'command';
  /** Why the client is stopped. */
  #stopped: 'no' | 'answer' | 'idle' | 'room' = 'no';
  /** The client was resumed in this push. */
  #resumed = false;
  #login: string | undefined;
  #mechanism = '';
  #tooMany = false;
  /** The recording lacks bytes: answers may have lost their commands. */
  #loose = false;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(side: Side, chunk: Buffer): void {
    if (side === CLIENT) this.#pushClient(chunk);
    else this.#pushServer(chunk);
  }

  // ── The client ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #pushClient(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const end = lineEnd(chunk, at, this.#flow.limits.line);
      // A handshake of TLS: the answer to STLS was lost.
      if (this.#loose && this.#client === 'command' && beginsTls(chunk, at)) {
        this.#startTls();
        return;
      }
      if (this.#client === 'long' || end === TOO_LONG) {
        at = this.#skipCommand(chunk, at);
        if (at < 0) return;
        continue;
      }
      if (end < 0) return;
      const line = chunk.toString('utf8', at, textEnd(chunk, at, end));
      if (this.#client === 'response') {
        this.#login = saslLogin(this.#mechanism, line) ?? this.#login;
        // Only the first response names anybody.
        this.#mechanism = '';
        this.#flow.pass(end);
        this.#stop('answer');
        return;
      }
      if (!this.#command(parseCommand(line), end)) return;
      at = end;
    }
  }

  /** Takes one command, or leaves it and stops the client: false when nothing more is to be taken now. */
  #command(command: Command, end: number): boolean {
    if (this.#awaited.length >= this.#flow.limits.pipelined) {
      if (!this.#tooMany) this.#odd('pop3-pipelined-limit', CLIENT);
      this.#tooMany = true;
      this.#stop('room');
      return false;
    }
    const { answer } = command;
    const foreign = command.mechanism !== undefined && !mechanismKnown(command.mechanism);
    if (answer === 'unknown' || foreign) {
      if (!this.#flow.passive && this.#busy) {
        this.#stop('idle');
        return false;
      }
      this.#odd(foreign ? 'pop3-unknown-mechanism' : 'pop3-unknown-command', CLIENT);
      if (!this.#flow.passive) {
        this.#flow.drop(end);
        this.#flow.send(CLIENT, Buffer.from(REFUSAL));
        return true;
      }
    }
    // Behind a gap nobody knows what is still owed; who waits for each answer is owed this one alone.
    if (this.#loose) this.#awaited.length = 0;
    // A client that waits for its message has it; its end lay in the gap.
    if (this.#message?.gapped === true && this.#awaited.length === 0) this.#cutMessage('gap');
    this.#awaited.push(answer);
    this.#flow.pass(end);
    this.#login = command.login ?? this.#login;
    if (answer !== 'sasl' && answer !== 'tls') return true;
    // An initial response has named somebody already.
    this.#mechanism = command.login === undefined ? (command.mechanism ?? '') : '';
    this.#stop('answer');
    return false;
  }

  #stop(why: 'answer' | 'idle' | 'room'): void {
    this.#stopped = why;
    this.#flow.stop(CLIENT);
  }

  #resume(why: 'answer' | 'idle' | 'room'): void {
    if (this.#stopped !== why) return;
    this.#stopped = 'no';
    this.#resumed = true;
    this.#flow.resume(CLIENT);
  }

  /** An answer is owed, or on its way. */
  get #busy(): boolean {
    return this.#awaited.length > 0 || this.#server !== 'status';
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #pushServer(chunk: Buffer): void {
    for (let at = 0; at >= 0 && at < chunk.length; ) {
      if (this.#server === 'message' && this.#message !== undefined) at = this.#readMessage(this.#message, chunk, at);
      else at = this.#readLine(chunk, at);
      if (!this.#resumed) continue;
      // What the client had waiting comes before the next answer, which may be its own.
      this.#resumed = false;
      if (at >= 0) this.#flow.resume(SERVER);
      return;
    }
  }

  /** Takes what belongs to the message. Where to go on, or -1: nothing more is to be taken now. */
  #readMessage(message: Message, chunk: Buffer, at: number): number {
    switch (message.read(chunk, at)) {
      case 'more':
        return message.at < chunk.length ? -1 : message.at;
      case 'ambiguous':
        this.#failed('pop3-ambiguous-end');
        return -1;
      case 'overrun':
        this.#loose = true;
        this.#cutMessage('gap');
        return message.at;
      case 'end':
        this.#message = undefined;
        this.#server = 'status';
        this.#held.set(message.file.id, message);
        message.file.end();
        this.#answered();
        return message.at;
    }
  }

  #readLine(chunk: Buffer, at: number): number {
    if (this.#server === 'hunt') return this.#hunt(chunk, at);
    if (this.#server === 'rest') return this.#skipRest(chunk, at);
    const end = lineEnd(chunk, at, this.#flow.limits.line);
    if (this.#server === 'long' || end === TOO_LONG) return this.#skipReply(chunk, at);
    if (end < 0) return -1;
    switch (this.#server) {
      case 'list':
      case 'capabilities':
        return this.#readListed(chunk, at, end);
      case 'second':
        return this.#readSecond(chunk, at, end);
      default:
        return this.#readStatus(chunk, at, end);
    }
  }

  /** Recordings only: behind missing bytes, looks for the next thing that can be understood. */
  #hunt(chunk: Buffer, at: number): number {
    const status = statusAt(chunk, at);
    if (status === 'partial') return -1;
    if (status !== 'none') {
      this.#server = 'status';
      return at;
    }
    // The rest of a cut line; of a message, if that is what the missing bytes began.
    if (this.#awaited[0] === 'message' || this.#awaited[0] === 'top') {
      const top = this.#awaited.shift() === 'top';
      this.#openMessage(NOTHING, top);
      return at;
    }
    this.#server = 'rest';
    return this.#skipRest(chunk, at);
  }

  #skipRest(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at) + 1;
    this.#flow.pass(end === 0 ? chunk.length : end);
    if (end === 0) return -1;
    this.#server = 'second';
    return end;
  }

  /** The first line of an answer. */
  #readStatus(chunk: Buffer, at: number, end: number, long = false): number {
    const status = statusAt(chunk, at);
    const answer = this.#awaited[0];
    if (status === 'challenge' && (answer === 'sasl' || (answer === undefined && this.#flow.passive))) {
      this.#flow.pass(end);
      this.#client = 'response';
      this.#resume('answer');
      return end;
    }
    if (status !== 'ok' && status !== 'err') {
      this.#odd('pop3-malformed-reply', SERVER);
      if (this.#failed('pop3-malformed-reply')) return -1;
      this.#flow.pass(end);
      return end;
    }
    if (answer === undefined && status === 'ok' && !this.#loose) {
      this.#odd('pop3-unexpected-reply', SERVER);
      if (this.#failed('pop3-unexpected-reply')) return -1;
    }
    this.#awaited.shift();
    this.#missing = undefined;
    if (status === 'ok' && (answer === 'message' || answer === 'top')) {
      this.#openMessage(long ? NOTHING : Buffer.from(chunk.subarray(at, end)), answer === 'top');
      this.#flow.pass(end, long ? undefined : this.#message?.unit);
      return end;
    }
    this.#flow.pass(end);
    if (status === 'ok') {
      if (answer === 'tls') return this.#startTls();
      if (answer === 'list' || answer === 'capabilities') {
        this.#server = answer;
        return end;
      }
      if (answer === undefined || answer === 'unknown' || (this.#loose && answer === 'line')) {
        this.#server = 'second';
        return end;
      }
    }
    if (answer === 'sasl' || answer === 'tls') {
      this.#client = 'command';
      this.#resume('answer');
    }
    this.#answered();
    return end;
  }

  /** RFC 2595 §4: the session begins anew inside TLS, without a greeting. */
  #startTls(): number {
    this.#cutMessage('gap');
    this.#server = 'status';
    this.#awaited.length = 0;
    this.#login = undefined;
    this.#client = 'command';
    this.#resume('answer');
    this.#flow.layer('tls');
    return -1;
  }

  /** A line of a listing. */
  #readListed(chunk: Buffer, at: number, end: number): number {
    const text = textEnd(chunk, at, end);
    if (chunk[at] === DOT && text === at + 1) {
      this.#flow.pass(end);
      this.#server = 'status';
      this.#answered();
      return end;
    }
    const status = statusAt(chunk, at);
    if (status === 'ok' || status === 'err') {
      this.#odd('pop3-list-cut', SERVER);
      if (this.#failed('pop3-list-cut')) return -1;
      this.#server = 'status';
      // An error in the middle is the listing's own end; anything else answers the next command.
      if (status === 'ok' || this.#awaited.length > 0) return at;
      this.#flow.pass(end);
      this.#answered();
      return end;
    }
    const line =
      this.#server === 'capabilities' && !this.#flow.passive ? chunk.toString('latin1', at, text) : undefined;
    const allowed = line === undefined ? undefined : allowedCapability(line);
    if (line === allowed) this.#flow.pass(end);
    else {
      this.#flow.drop(end);
      if (allowed !== undefined) this.#flow.send(CLIENT, Buffer.from(`${allowed}\r\n`, 'latin1'));
    }
    return end;
  }

  /** Recordings only: the line behind a `+OK` that answers we do not know what. */
  #readSecond(chunk: Buffer, at: number, end: number): number {
    if (statusAt(chunk, at) !== 'none') {
      this.#server = 'status';
      this.#answered();
    } else if (looksListed(chunk.toString('latin1', at, Math.min(textEnd(chunk, at, end), at + 100))))
      this.#server = 'list';
    else {
      // It answers the first command that asks for a message; the answers to those before it were lost.
      const asked = this.#awaited.findIndex((answer) => answer === 'message' || answer === 'top');
      const top = this.#awaited[asked] === 'top';
      this.#awaited.splice(0, asked + 1);
      this.#openMessage(NOTHING, top);
    }
    return at;
  }

  #openMessage(status: Buffer, top: boolean): void {
    const unit = this.#flow.unit(CLIENT, 'held');
    const mail = this.#login === undefined ? {} : { login: this.#login };
    const meta = {
      name: undefined,
      direction: 'download',
      declaredType: 'message/rfc822',
      fixedLength: !top,
      partial: top,
      mail,
    } as const;
    this.#message = new Message(this.#flow, this.#flow.openFile(meta, unit), unit, status);
    this.#server = 'message';
    if (this.#missing !== undefined) this.#message.gap(this.#missing);
    this.#missing = undefined;
  }

  /** An answer is complete: somebody may be waiting for that. */
  #answered(): void {
    if (this.#awaited.length < this.#flow.limits.pipelined) this.#resume('room');
    if (!this.#busy) this.#resume('idle');
  }

  #cutMessage(reason: 'gap' | 'reset'): void {
    const message = this.#message;
    if (message === undefined) return;
    this.#message = undefined;
    this.#server = 'status';
    message.file.abort(reason);
    // Nothing of it goes, so that what was judged before it may.
    message.unit.replace();
  }

  // ── Both ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Goes past a client's line that is too long; live the connection ends instead. Where to go on, or -1. */
  #skipCommand(chunk: Buffer, at: number): number {
    if (this.#client !== 'long') {
      this.#odd('pop3-line-too-long', CLIENT);
      if (this.#failed('pop3-line-too-long')) return -1;
      if (this.#client === 'command') this.#awaited.push('unknown');
      this.#client = 'long';
    }
    const end = chunk.indexOf(LF, at) + 1;
    this.#flow.pass(end === 0 ? chunk.length : end);
    if (end === 0) return -1;
    this.#client = 'command';
    return end;
  }

  /** Goes past a server's line that is too long, having understood its beginning; live the connection ends instead. */
  #skipReply(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at) + 1;
    const to = end === 0 ? chunk.length : end;
    if (this.#server === 'long') {
      this.#flow.pass(to);
      if (end > 0) this.#server = this.#afterLong;
      return end === 0 ? -1 : end;
    }
    if (this.#server === 'second' && statusAt(chunk, at) === 'none') {
      // A message's lines may be as long as they like.
      this.#openMessage(NOTHING, false);
      return at;
    }
    this.#odd('pop3-line-too-long', SERVER);
    if (this.#failed('pop3-line-too-long')) return -1;
    if (this.#server === 'list' || this.#server === 'capabilities') this.#flow.pass(to);
    else {
      this.#server = 'status';
      if (this.#readStatus(chunk, at, to, true) < 0) return -1;
    }
    if (end > 0) return end;
    this.#afterLong = this.#server;
    this.#server = 'long';
    return -1;
  }

  #odd(event: Pop3Event, side: Side): void {
    this.#flow.anomaly(event, side);
  }

  /** Live, nothing is forwarded on a guess. */
  #failed(reason: Pop3Event): boolean {
    if (this.#flow.passive) return false;
    this.#message?.file.abort('reset');
    this.#message = undefined;
    this.#flow.reset(reason);
    return true;
  }

  end(side: Side): void {
    if (side === SERVER && this.#message !== undefined) {
      this.#odd('pop3-message-cut', SERVER);
      this.#cutMessage('reset');
    }
    this.#flow.finish(opposite(side));
  }

  gap(side: Side, length: number): void {
    // A recording that begins in the middle: not even a greeting is owed.
    if (length === 0) this.#awaited.length = 0;
    if (side === CLIENT) {
      this.#loose = true;
      this.#client = 'command';
      this.#stopped = 'no';
      return;
    }
    if (this.#message !== undefined) {
      this.#message.gap(length);
      return;
    }
    this.#loose = true;
    this.#missing = length;
    this.#odd('pop3-resync', SERVER);
    if (this.#server !== 'list' && this.#server !== 'capabilities') this.#server = 'hunt';
    if (this.#stopped === 'no') return;
    // The answer that the client was stopped for may have been among them.
    this.unanswered(CLIENT);
    this.#flow.resume(CLIENT);
  }

  unanswered(side: Side): void {
    if (side !== CLIENT) return;
    this.#loose = true;
    this.#awaited.length = 0;
    this.#client = 'command';
    this.#stopped = 'no';
  }

  verdict(id: FileId, verdict: Verdict): void {
    const message = this.#held.get(id);
    if (message === undefined) return;
    this.#held.delete(id);
    if (verdict.action === 'block' || (verdict.action === 'strip' && !message.strip(verdict.edits)))
      message.unit.replace(message.replacement(verdict.replacement));
    else message.unit.release();
  }

  wake(): void {}
}
