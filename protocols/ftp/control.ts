/**
 * The control connection (RFC 959 §5.4): commands wait in a queue for their replies, replies are paired with them in order, and what both say
 * together announces data connections and names what goes over them.
 *
 * A recording is followed as it goes: pipelined commands, lost stretches, one side alone; behind missing bytes a reply is taken for what its code
 * says. Live, one command at a time is let through, replies that name a place are held until the pinhole is there, the reply that closes
 * a transfer waits for its verdict, and what could not be judged is refused before the server hears of it.
 */
import { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, opposite, SERVER, type Side, type Unit } from '../../src/core/flow.js';
import { INCOMPLETE, lineEnd, TOO_LONG, textEnd } from '../../src/core/lines.js';
import type { Endpoint } from '../../src/core/session.js';
import { beginsTls } from '../../src/core/tls-record.js';
import { type Place, parseExtended, parseHostPort, parseLong, placeInReply } from './addresses.js';
import { type Command, commandLine, decodeText, isKnown, mayOffer, parseCommand, transferKind } from './commands.js';
import { type DataLink, FtpData, type Mode } from './data.js';
import { WorkingDirectory } from './directory.js';
import type { FtpEvent } from './events.js';
import { refusalOf } from './refusals.js';
import { codeAt, quotedDirectory, uniqueName } from './replies.js';
import { Transfer } from './transfer.js';

const LF = 0x0a;
/** Who sends these speaks something else, or makes somebody speak (NAT slipstreaming). */
const FOREIGN = /^(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT|HELO|EHLO) /i;

/** A command that waits for its reply. The greeting is answered to nobody. */
interface Pending {
  readonly verb: string;
  readonly argument: string;
  readonly transfer: Transfer | undefined;
  /** Live: it is a command of ours, which takes back what is left of this upload; the client hears nothing of it. */
  readonly undoes?: Transfer;
}

/** A reply of many lines of which the last is still to come. */
interface OpenReply {
  readonly code: number;
  readonly text: string;
  lines: number;
  /** Live: all its lines, where we may have to say something else in its place. */
  readonly unit: Unit | undefined;
}

export class FtpControl implements Decoder {
  readonly #flow: Flow;
  readonly #awaited: Pending[] = [{ verb: '', argument: '', transfer: undefined }];
  readonly #directory = new WorkingDirectory();
  /** The first command is still to come. */
  #silent = true;
  #clientSkips = false;
  #serverSkips = false;
  /** The reply of many lines that is under way: its code and how many there were. */
  #reply: OpenReply | undefined;
  /** The recording lacks bytes, or a side: replies may have lost their commands. */
  #loose = false;
  /** It was cut off. */
  #over = false;
  /** Live: the server has said its last word. */
  #silenced = false;

  #link: DataLink | undefined;
  /** The place that the client listened at last. */
  #active: Place | undefined;
  #transfer: Transfer | undefined;
  /** Live: an upload that the client may not follow with other commands than those for a transfer under way. */
  #upload: Transfer | undefined;
  /** Live. */
  #loggedIn = false;
  /** Live: a file is to be called otherwise, if it may. */
  #renaming: { readonly file: FileId; readonly unit: Unit; readonly command: Command } | undefined;
  /** Live: transfers whose closing reply came before their data had ended, and when that is looked at again; 'asked': what time it is. */
  readonly #waiting = new Set<Transfer>();
  #patience: number | 'asked' | undefined;
  #mode: Mode = 'S';
  #rest = 0;
  /** TYPE A, which is the default (RFC 959 §5.1). */
  #text = true;
  #sized: { readonly name: string; readonly size: number } | undefined;
  /** PROT as the server accepted it. */
  #protection: 'C' | 'P' | undefined;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(side: Side, chunk: Buffer): void {
    for (let at = 0; at >= 0 && at < chunk.length; )
      at = side === CLIENT ? this.#clientLine(chunk, at) : this.#serverLine(chunk, at);
  }

  end(side: Side): void {
    this.#flow.finish(opposite(side));
    if (side === CLIENT) return;
    this.#conclude(this.#loose ? 'lost' : 'failed');
    if (this.#flow.passive) return;
    // Nothing that the client says will be answered; but that it goes, too, must be heard.
    this.#silenced = true;
    for (const { undoes } of this.#awaited.splice(0)) if (undoes !== undefined) this.#refuse(undoes);
    this.#upload = undefined;
    this.#flow.resume(CLIENT);
  }

  cut(): void {
    this.#over = true;
    this.#conclude(this.#loose ? 'lost' : 'failed');
  }

  gap(side: Side): void {
    this.#loose = true;
    if (side === CLIENT) this.#clientSkips = true;
    else {
      this.#serverSkips = true;
      this.#reply = undefined;
    }
    // A recording that begins in the middle is told so of both sides, before any byte.
    if (this.#silent) this.#clientSkips = this.#serverSkips = false;
    this.#awaited.length = 0;
  }

  verdict(file: FileId, verdict: Verdict): void {
    const renaming = this.#renaming;
    if (renaming?.file === file) {
      this.#renaming = undefined;
      if (verdict.action !== 'block') {
        this.#awaited.push({ ...renaming.command, transfer: undefined });
        renaming.unit.release();
        return;
      }
      renaming.unit.replace();
      this.#flow.send(CLIENT, refusal(verdict));
      this.#flow.resume(CLIENT);
      // A file that the data connection left to us.
    } else if (this.#transfer !== undefined) this.#transfer.verdict ??= verdict;
  }

  unanswered(): void {
    this.#loose = true;
  }

  /** Live: a closing reply waits for a data connection on which nothing moves, or which never came. */
  wake(now: number): void {
    if (this.#patience === undefined) return;
    for (const transfer of this.#waiting) {
      if (transfer.closing === undefined || !transfer.underWay) this.#waiting.delete(transfer);
      else if (this.#patience !== 'asked' && !transfer.moved) {
        this.#waiting.delete(transfer);
        this.#odd('ftp-data-unended', SERVER);
        transfer.lost();
        transfer.connection?.reset('ftp-data-unended' satisfies FtpEvent);
        this.#settle(transfer);
      }
      transfer.moved = false;
    }
    this.#patience = this.#waiting.size > 0 ? now + this.#flow.limits.dataTime : undefined;
    if (this.#patience !== undefined) this.#flow.wakeAt(this.#patience);
  }

  // ── The client ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes a line. Where the next begins, or -1: nothing more is to be taken now. */
  #clientLine(chunk: Buffer, at: number): number {
    // A handshake: the answer to AUTH was lost.
    if (!this.#clientSkips && this.#flow.passive && beginsTls(chunk, at)) {
      this.#startTls();
      return -1;
    }
    const end = lineEnd(chunk, at, this.#flow.limits.line);
    if (this.#clientSkips || end === TOO_LONG) return this.#skip(CLIENT, chunk, at, end);
    if (end === INCOMPLETE) return -1;
    const command = parseCommand(chunk, at, textEnd(chunk, at, end));
    if (this.#silent && FOREIGN.test(chunk.toString('latin1', at, Math.min(end, at + 16)))) {
      this.#odd('ftp-http', CLIENT);
      this.#flow.bypass('unknown-protocol');
      return -1;
    }
    this.#silent = false;
    if (!this.#flow.passive) return this.#admit(command, end);
    this.#flow.pass(end);
    if (command.verb === '') this.#odd('ftp-malformed-command', CLIENT);
    else if (!isKnown(command.verb)) this.#odd('ftp-unknown-command', CLIENT);
    return this.#follow(command) ? end : -1;
  }

  /** Live: lets one command through and no other before its reply, or answers it ourselves. */
  #admit(command: Command, end: number): number {
    if (this.#silenced) {
      this.#flow.drop(end);
      return end;
    }
    // What is answered before a transfer's end would be taken for that; and the end of an upload may need a command of ours.
    const busy = this.#upload !== undefined || this.#awaited.some(({ transfer }) => transfer !== undefined);
    if (busy && !DURING.has(command.verb)) {
      this.#flow.stop(CLIENT);
      return -1;
    }
    const refusal = refusalOf(command);
    if (refusal !== undefined) {
      this.#odd(isKnown(command.verb) ? 'ftp-command-refused' : 'ftp-unknown-command', CLIENT);
      this.#flow.drop(end);
      this.#flow.send(CLIENT, Buffer.from(`${refusal}\r\n`));
      return end;
    }
    this.#flow.stop(CLIENT);
    const untimely = this.#untimely(command.verb);
    if (untimely !== undefined) {
      this.#odd('ftp-out-of-order', CLIENT);
      this.#flow.drop(end);
      this.#flow.send(CLIENT, untimely);
      this.#flow.resume(CLIENT);
      return -1;
    }
    if (command.verb === 'RNTO') {
      this.#admitName(command, end);
      return -1;
    }
    if (isActive(command.verb)) {
      this.#flow.drop(end);
      this.#admitActive(command);
      return -1;
    }
    this.#flow.pass(end);
    this.#follow(command);
    return -1;
  }

  /** Live: what the client is told whose command is none yet. Nobody opens a way for data who has not logged in, and each carries one transfer. */
  #untimely(verb: string): Buffer | undefined {
    if (!this.#loggedIn && (isActive(verb) || isPassive(verb))) return NOT_LOGGED_IN;
    const link = this.#link;
    if (transferKind(verb) === undefined || (link !== undefined && link.transfer === undefined)) return undefined;
    return NO_CONNECTION;
  }

  /** Live: another name for what is stored already waits until it is judged. */
  #admitName(command: Command, end: number): void {
    const unit = this.#flow.unit(SERVER, 'held');
    this.#flow.pass(end, unit);
    // To policy it is an upload of no bytes; in a recording nothing waits, and there is no such file.
    const { name, path } = this.#directory.locate(command.argument);
    const meta = { name, direction: 'upload' as const, ...(path === undefined ? {} : { path }) };
    const file = this.#flow.openFile(meta, unit);
    this.#renaming = { file: file.id, unit, command };
    file.end();
  }

  /** Live: the server is sent to our pinhole, and never learns of the client's place. */
  #admitActive(command: Command): void {
    const place = activePlace(command);
    const refused = (): void => {
      this.#flow.send(CLIENT, REFUSED_PLACE);
      this.#flow.resume(CLIENT);
    };
    if (place === undefined) {
      this.#odd('ftp-bad-address', CLIENT);
      return refused();
    }
    this.#active = place;
    this.#expect(SERVER, place, (at) => {
      if (at === undefined) return refused();
      this.#awaited.push({ ...command, transfer: undefined });
      this.#flow.send(SERVER, Buffer.from(`${activeCommand(command.verb, at)}\r\n`));
    });
  }

  /** What a command means for what follows. False when nothing of the client is to be read before the answer. */
  #follow({ verb, argument, bytes }: Command): boolean {
    if (this.#awaited.length >= this.#flow.limits.pipelined) {
      this.#odd('ftp-pipelined-limit', CLIENT);
      this.#awaited.length = 0;
      this.#loose = true;
    }
    const kind = transferKind(verb);
    let transfer: Transfer | undefined;
    if (kind !== undefined) {
      const { name, path } = verb === 'STOU' ? { name: undefined, path: undefined } : this.#directory.locate(argument);
      const at = verb === 'APPE' ? (this.#sized?.name === argument ? this.#sized.size : undefined) : this.#rest;
      transfer = new Transfer(this.#flow, { kind, name, path, at, text: this.#text }, bytes);
      if (kind === 'upload' && !this.#flow.passive) this.#upload = transfer;
      this.#rest = 0;
      this.#transfer = transfer;
      if (this.#flow.passive && this.#mode !== 'B') this.#announceAgain();
      if (this.#link !== undefined) {
        this.#link.transfer = transfer;
        transfer.connection = this.#link.flow;
        if (this.#link.over) transfer.lost();
      }
    }
    this.#awaited.push({ verb, argument, transfer });
    switch (verb) {
      case 'PORT':
      case 'EPRT':
      case 'LPRT':
        this.#announceActive(activePlace({ verb, argument }));
        break;
      case 'REST':
        this.#rest = /^\d{1,15}$/.test(argument) ? Number(argument) : 0;
        break;
      case 'AUTH':
        this.#flow.stop(CLIENT);
        return false;
      case 'CCC':
        this.#flow.stop(CLIENT);
        return false;
    }
    return true;
  }

  // ── The server ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #serverLine(chunk: Buffer, at: number): number {
    const end = lineEnd(chunk, at, this.#flow.limits.line);
    if (this.#serverSkips || end === TOO_LONG) return this.#skip(SERVER, chunk, at, end);
    if (end === INCOMPLETE) return -1;
    const text = textEnd(chunk, at, end);
    const found = codeAt(chunk, at, text);
    const open = this.#reply;
    if (open !== undefined) {
      if (found === undefined || found.more || found.code !== open.code) {
        const hidden =
          this.#awaited[0]?.verb === 'FEAT' && !this.#flow.passive && !mayOffer(decodeText(chunk.subarray(at, text)));
        return this.#within(open, end, hidden);
      }
      this.#reply = undefined;
      return this.#complete(open.code, `${open.text}\n${said(chunk, at, text)}`, end, open.unit);
    }
    if (found === undefined) {
      this.#odd('ftp-malformed-reply', SERVER);
      if (!this.#flow.passive) {
        this.#flow.reset('ftp-malformed-reply' satisfies FtpEvent);
        return -1;
      }
      this.#flow.pass(end);
      return end;
    }
    if (!found.more) return this.#complete(found.code, said(chunk, at, text), end, undefined);
    const unit = this.#mayChange(found.code) ? this.#flow.unit(CLIENT, 'held') : undefined;
    this.#reply = { code: found.code, text: said(chunk, at, text), lines: 1, unit };
    this.#take(end, unit);
    return end;
  }

  /** A line in the middle of a reply. */
  #within(reply: OpenReply, end: number, hidden: boolean): number {
    if (hidden) this.#flow.drop(end);
    else this.#take(end, reply.unit);
    if (++reply.lines <= this.#flow.limits.replyLines) return end;
    this.#odd('ftp-reply-unended', SERVER);
    this.#reply = undefined;
    this.#loose = true;
    if (this.#flow.passive) return end;
    this.#flow.reset('ftp-reply-unended' satisfies FtpEvent);
    return -1;
  }

  /** A part of a reply goes to the client, unless it answers a command of ours. */
  #take(end: number, unit: Unit | undefined): void {
    if (this.#awaited[0]?.undoes === undefined) this.#flow.pass(end, unit);
    else this.#flow.drop(end);
  }

  /** Live: the client may hear something else than this answer to the oldest command. */
  #mayChange(code: number): boolean {
    const [pending] = this.#awaited;
    if (this.#flow.passive || pending === undefined || code < 200) return false;
    return pending.transfer !== undefined || isPassive(pending.verb);
  }

  /** The last line of a reply, which ends at `end`; those before it are in `unit`. */
  #complete(code: number, text: string, end: number, unit: Unit | undefined): number {
    const [pending] = this.#awaited;
    if (pending === undefined && !this.#loose) this.#odd('ftp-unexpected-reply', SERVER);
    if (code < 200) {
      this.#take(end, undefined);
      this.#preliminary(pending, text);
      return end;
    }
    this.#awaited.shift();
    if (pending?.undoes !== undefined) {
      this.#flow.drop(end);
      this.#refuse(pending.undoes);
      return end;
    }
    const verb = pending?.verb;
    if (code >= 227 && code <= 229 && (verb === undefined ? this.#loose : isPassive(verb)))
      this.#announcePassive(code, text, end, unit);
    else if (pending?.transfer !== undefined || (verb === undefined && this.#transfer !== undefined && closes(code)))
      this.#closeTransfer(pending?.transfer ?? this.#transfer, code, end, unit);
    else {
      this.#flow.pass(end, unit);
      unit?.release();
      this.#learn(pending, code, text);
      if (this.#flow.passive && (verb === 'AUTH' || verb === 'CCC'))
        return this.#secured(verb, pending?.argument ?? '', code) ? -1 : end;
      if (verb === 'AUTH' && this.#secured(verb, pending?.argument ?? '', code)) return -1;
    }
    if (!this.#flow.passive) this.#flow.resume(CLIENT);
    return end;
  }

  /** 1xx: a transfer begins. */
  #preliminary(pending: Pending | undefined, text: string): void {
    // Commands may be lost, or never recorded: the server often says what it sends.
    if (
      pending?.transfer === undefined &&
      this.#loose &&
      this.#link !== undefined &&
      this.#link.transfer === undefined
    ) {
      const name = / for (.+?) \(\d+ bytes\)/.exec(text)?.[1];
      if (name !== undefined && !/^(?:\/bin\/ls|file list)$/.test(name)) {
        this.#transfer = new Transfer(this.#flow, {
          kind: 'download',
          ...this.#directory.locate(name),
          at: undefined,
          text: this.#text,
        });
        this.#link.transfer = this.#transfer;
      }
    }
    const transfer = pending?.transfer;
    if (transfer !== undefined) {
      transfer.begun = true;
      transfer.name ??= uniqueName(text);
    }
    if (!this.#flow.passive && transfer !== undefined) this.#flow.resume(CLIENT);
  }

  /** The reply that closes a transfer. */
  #closeTransfer(transfer: Transfer | undefined, code: number, end: number, unit: Unit | undefined): void {
    if (transfer === undefined) return this.#flow.pass(end);
    transfer.replied(code < 300 ? 'done' : 'failed');
    // Refused: the announced connection still waits for something to carry.
    if (transfer.file === undefined && code >= 400 && this.#link?.transfer === transfer)
      this.#link.transfer = undefined;
    if (this.#flow.passive || (transfer.settled && !transfer.broken && transfer.verdict?.action !== 'block')) {
      if (this.#upload === transfer) this.#upload = undefined;
      this.#flow.pass(end, unit);
      unit?.release();
      return;
    }
    transfer.closing = unit ?? this.#flow.unit(CLIENT, 'held');
    this.#flow.pass(end, transfer.closing);
    this.#settle(transfer);
    if (!transfer.underWay) return;
    transfer.moved = true;
    this.#waiting.add(transfer);
    if (this.#patience !== undefined) return;
    this.#patience = 'asked';
    this.#flow.wakeAt(0);
  }

  /** Live: lets the closing reply go once the file is judged, or says in its place why the file did not. */
  #settle(transfer: Transfer): void {
    const { closing, verdict } = transfer;
    if (closing === undefined || !transfer.settled) return;
    if (verdict?.action === 'block') {
      const { remains } = transfer;
      if (remains === undefined || this.#silenced) return this.#refuse(transfer);
      // The server got nothing of it, and has made a file of that.
      this.#awaited.push({ verb: 'DELE', argument: '', transfer: undefined, undoes: transfer });
      this.#flow.send(SERVER, commandLine('DELE', remains));
      return;
    }
    transfer.closing = undefined;
    if (transfer.broken) closing.replace(transfer.connection === undefined ? NO_CONNECTION : CUT);
    else closing.release();
    this.#uploaded(transfer);
  }

  /** The client is told that the file was blocked. */
  #refuse(transfer: Transfer): void {
    const { closing, verdict } = transfer;
    transfer.closing = undefined;
    if (verdict !== undefined) closing?.replace(refusal(verdict));
    this.#uploaded(transfer);
  }

  #uploaded(transfer: Transfer): void {
    if (this.#upload !== transfer) return;
    this.#upload = undefined;
    this.#flow.resume(CLIENT);
  }

  /** What a reply tells of the session. */
  #learn(pending: Pending | undefined, code: number, text: string): void {
    const verb = pending?.verb ?? '';
    const argument = pending?.argument ?? '';
    const accepted = code < 400;
    switch (verb) {
      case 'PASS':
      case 'ACCT':
        if (code < 300) this.#loggedIn = true;
        break;
      case 'USER':
      case 'REIN':
        this.#directory.set(undefined);
        // 232: by the certificate that TLS showed (RFC 2228).
        this.#loggedIn = code === 230 || code === 232;
        break;
      case 'PWD':
      case 'XPWD':
        if (code === 257) this.#directory.set(quotedDirectory(text));
        break;
      case 'CWD':
      case 'XCWD':
        if (accepted) this.#directory.enter(argument);
        break;
      case 'CDUP':
      case 'XCUP':
        if (accepted) this.#directory.enter('..');
        break;
      case 'MODE':
        if (accepted) this.#mode = modeOf(argument);
        break;
      case 'TYPE':
        if (accepted) this.#text = /^[AE]/i.test(argument);
        break;
      case 'REST':
        if (!accepted) this.#rest = 0;
        break;
      case 'SIZE': {
        const size = /^(\d{1,15})/.exec(text)?.[1];
        this.#sized = code === 213 && size !== undefined ? { name: argument, size: Number(size) } : undefined;
        break;
      }
      case 'PROT':
        if (accepted) this.#protection = /^[PE]/i.test(argument) ? 'P' : 'C';
        break;
      case 'PORT':
      case 'EPRT':
      case 'LPRT':
        if (!accepted) this.#link = undefined;
        break;
      case '':
        if (code === 257) this.#directory.set(quotedDirectory(text));
        break;
    }
  }

  /** An answer to AUTH or CCC. True when the rest of the bytes is another layer's. */
  #secured(verb: string, mechanism: string, code: number): boolean {
    this.#flow.resume(CLIENT);
    if (verb === 'CCC') {
      if (code >= 300) return false;
      this.#flow.layer('clear');
      return true;
    }
    if (code !== 234 && code !== 334) return false;
    if (!/^(?:TLS|SSL)/i.test(mechanism)) {
      this.#flow.bypass('switched-protocol');
      return true;
    }
    // AUTH SSL and TLS-P protect the data connections as well (draft-murray-auth-ftp-ssl §3).
    if (/^(?:SSL|TLS-P)/i.test(mechanism)) this.#protection = 'P';
    this.#startTls();
    return true;
  }

  #startTls(): void {
    this.#reply = undefined;
    this.#awaited.length = 0;
    this.#flow.resume(CLIENT);
    this.#flow.layer('tls');
  }

  // ── Data connections ───────────────────────────────────────────────────────────────────────────────────────────────────

  #announceActive(place: Place | undefined): void {
    if (place === undefined) {
      this.#odd('ftp-bad-address', CLIENT);
      return;
    }
    this.#active = place;
    this.#expect(SERVER, place, () => {});
  }

  /**
   * A transfer that nobody named a new place for: the server dials the last place that the client named, or else the port that the client's own
   * end of the control connection has (RFC 959 §3.2).
   */
  #announceAgain(): void {
    if (this.#link !== undefined && !(this.#link.flow !== undefined && this.#link.transfer !== undefined)) return;
    this.#expect(SERVER, this.#active ?? { address: undefined, port: 0 }, () => {});
  }

  #announcePassive(code: number, text: string, end: number, lines: Unit | undefined): void {
    const place = placeInReply(code, text);
    if (place === undefined) {
      this.#odd('ftp-bad-address', SERVER);
      if (this.#flow.passive) return this.#flow.pass(end);
      this.#flow.drop(end);
      if (lines === undefined) this.#flow.send(CLIENT, NO_CONNECTION);
      else lines.replace(NO_CONNECTION);
      return;
    }
    this.#active = undefined;
    if (this.#flow.passive) {
      this.#flow.pass(end);
      this.#expect(CLIENT, place, () => {});
      return;
    }
    const unit = lines ?? this.#flow.unit(CLIENT, 'held');
    this.#flow.pass(end, unit);
    this.#expect(CLIENT, place, (at) => {
      if (at === undefined) unit.replace(NO_CONNECTION);
      else if (at.port === place.port && (place.address === undefined || at.address === place.address)) unit.release();
      else unit.replace(Buffer.from(`${passiveReply(code, at)}\r\n`));
    });
  }

  #expect(dials: Side, { address, port }: Place, ready: (at: Endpoint | undefined) => void): void {
    const link = this.#newLink();
    this.#link = link;
    const target = { address: address ?? '', port };
    // Without PROT P it is clear text by the standard (RFC 4217 §9), but not with every server, nor with TLS from the beginning.
    const related = { dials, target, tls: this.#protection === 'P' ? true : undefined };
    // Of two that come for one transfer, from wherever, the second is inspected for itself.
    const decode = (flow: Flow): FtpData => new FtpData(flow, link.flow !== undefined ? this.#newLink() : link);
    const over = (): void => {
      link.over = true;
      const { transfer } = link;
      if (transfer === undefined || transfer.verdict !== undefined) return;
      transfer.lost();
      this.#settle(transfer);
    };
    this.#flow.expect({ ...related, decode, over }, ready);
  }

  #newLink(): DataLink {
    return {
      control: this.#flow,
      mode: this.#mode,
      tls: this.#protection === 'P',
      transfer: undefined,
      flow: undefined,
      over: false,
      // Nobody waits for the closing reply of a connection that is gone.
      judged: (transfer) => {
        if (!this.#over) this.#settle(transfer);
      },
    };
  }

  // ── Both ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** No more replies will come. */
  #conclude(reply: 'failed' | 'lost'): void {
    for (const { transfer } of this.#awaited) transfer?.replied(reply);
    this.#transfer?.replied(reply);
  }

  /** Goes past the rest of a line that is too long, or that missing bytes cut; live the connection ends. */
  #skip(side: Side, chunk: Buffer, at: number, end: number): number {
    const skips = side === CLIENT ? this.#clientSkips : this.#serverSkips;
    if (!skips && end === TOO_LONG) {
      this.#odd('ftp-line-too-long', side);
      if (!this.#flow.passive) {
        this.#flow.reset('ftp-line-too-long' satisfies FtpEvent);
        return -1;
      }
      this.#loose = true;
    }
    const next = chunk.indexOf(LF, at) + 1;
    const skipping = next === 0;
    if (side === CLIENT) this.#clientSkips = skipping;
    else this.#serverSkips = skipping;
    this.#flow.pass(skipping ? chunk.length : next);
    return skipping ? -1 : next;
  }

  #odd(event: FtpEvent, side: Side): void {
    this.#flow.anomaly(event, side);
  }
}

/** Commands by which a client names the place where it listens. */
function isActive(verb: string): boolean {
  return verb === 'PORT' || verb === 'EPRT' || verb === 'LPRT';
}

/** Commands by which a client asks for a place that it can dial. */
function isPassive(verb: string): boolean {
  return verb === 'PASV' || verb === 'EPSV' || verb === 'LPSV';
}

function activePlace({ verb, argument }: Pick<Command, 'verb' | 'argument'>): Place | undefined {
  if (verb === 'PORT') return parseHostPort(argument);
  return verb === 'EPRT' ? parseExtended(argument) : parseLong(argument);
}

/** The same command for another place; a family that it cannot name is EPRT's. */
function activeCommand(verb: string, { address, port }: Endpoint): string {
  if (address.includes(':')) return `EPRT |2|${address}|${port}|`;
  if (verb === 'EPRT') return `EPRT |1|${address}|${port}|`;
  return `PORT ${[...address.split('.'), port >> 8, port & 255].join()}`;
}

/** Why a file was blocked; 451 where it may pass another time (RFC 959 §4.2.1). */
function refusal({ replacement, temporary }: Verdict): Buffer {
  const [first = ''] = replacement.split(/\r?\n/);
  return Buffer.from(`${temporary === true ? 451 : 550} ${first}\r\n`);
}

const REFUSED_PLACE = Buffer.from('500 No data connections to this place\r\n');
const CUT = Buffer.from('426 The data connection did not end as it should\r\n');
const NOT_LOGGED_IN = Buffer.from('530 Log in first\r\n');
const NO_CONNECTION = Buffer.from('425 Cannot open a data connection\r\n');

/** What RFC 959 §4.1.3 foresees while a transfer is under way. */
const DURING = new Set(['ABOR', 'STAT']);

/** Does this code close a transfer, when its command is not known? */
function closes(code: number): boolean {
  return code === 226 || code === 250 || code === 425 || code === 426 || code === 450 || code === 451 || code >= 550;
}

function said(chunk: Buffer, at: number, end: number): string {
  return decodeText(chunk.subarray(Math.min(at + 4, end), end));
}

function modeOf(argument: string): Mode {
  const mode = argument.trim().toUpperCase();
  return mode === 'B' || mode === 'Z' ? mode : 'S';
}

function passiveReply(code: number, { address, port }: Endpoint): string {
  if (code === 229) return `229 Entering Extended Passive Mode (|||${port}|)`;
  const numbers = [...address.split('.').map(Number), port >> 8, port & 255];
  if (code === 228)
    return `228 Entering Long Passive Mode (4,4,${numbers.slice(0, 4).join()},2,${numbers.slice(4).join()})`;
  return `227 Entering Passive Mode (${numbers.join()})`;
}
