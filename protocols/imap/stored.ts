/**
 * What the client stores: the command that is being read, and (live) those that wait for their verdict. Live, nothing of them goes to the server
 * before it is judged: we ask for the literals ourselves, and tell the client when a command is refused.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileMeta, FileStream, Verdict } from '../../src/core/file.js';
import { CLIENT, type Flow, type Unit } from '../../src/core/flow.js';
import { Append } from './append.js';
import { HeldAppend } from './held-append.js';
import type { LiteralMark } from './literals.js';
import type { Beginning, Line } from './reader.js';

export interface StoredOwner {
  login(): string | undefined;
  /** The command goes to the server now: its response will come. */
  released(tag: string): void;
  /** The client is to be told this as soon as the server is between two responses. */
  tell(text: string): void;
}

export class Stored {
  readonly #flow: Flow;
  readonly #owner: StoredOwner;
  #append: Append | undefined;
  /** Live: in order; the last may still be coming. */
  readonly #held: HeldAppend[] = [];
  #building: HeldAppend | undefined;

  constructor(flow: Flow, owner: StoredOwner) {
    this.#flow = flow;
    this.#owner = owner;
  }

  // ── The command that is being read ─────────────────────────────────────────────────────────────────────────────────────

  /** A command that stores messages begins. */
  begin(tag: string): void {
    this.#append = new Append((guard) => this.#open(guard));
    if (this.#flow.passive) return;
    this.#building = new HeldAppend(this.#flow, tag);
    this.#held.push(this.#building);
  }

  /** Its beginning is missing from the recording; what follows is a message. */
  resume(): void {
    this.#append = new Append((guard) => this.#open(guard));
    this.#append.takes('?', false);
  }

  get active(): boolean {
    return this.#append !== undefined;
  }

  /** Live: what its present bytes are put into. */
  get unit(): Unit | undefined {
    return this.#building?.unit;
  }

  /** A line of it, up to a literal, is taken. Is that a message, or a piece of one? */
  takes(text: Beginning, mark: LiteralMark, line: Line): boolean {
    this.#flow.pass(line.end, this.#building?.piece(!mark.nonSynchronizing));
    const takes = this.#append?.takes(text.line, text.first) === true;
    if (this.#building !== undefined) {
      if (!mark.nonSynchronizing) this.#flow.send(CLIENT, Buffer.from('+ Go on\r\n'));
      if (this.#append?.catenates === true) this.#building.refusal ??= 'Messages are not put together here';
      this.#building.piece(false);
    }
    return takes;
  }

  write(chunk: Buffer, start: number, end: number): void {
    this.#begun().write(chunk, start, end);
  }

  gap(length: number): void {
    this.#begun().gap(length);
  }

  ended(): void {
    this.#begun().ended();
  }

  /** Its last line is taken. */
  finish(last: string, first: boolean, line: Line): void {
    this.#append?.finish(last, first);
    this.#append = undefined;
    this.#flow.pass(line.end, this.#building?.piece(false));
    this.#building?.complete();
    this.#building = undefined;
    this.#handOn();
  }

  /** It will not be whole. */
  drop(reason: 'gap' | 'reset'): void {
    this.#append?.abort(reason);
    this.#append = undefined;
    if (this.#building === undefined) return;
    this.#building.drop();
    this.#building = undefined;
    this.#held.pop();
  }

  /** A literal begins when its first byte is here: one that the server refuses has no file. */
  #begun(): Append {
    const append = this.#append ?? new Append((guard) => this.#open(guard));
    this.#append = append;
    append.begin(this.unit);
    return append;
  }

  #open(guard: Unit | undefined): FileStream {
    const login = this.#owner.login();
    const meta: FileMeta = {
      name: undefined,
      direction: 'upload',
      declaredType: 'message/rfc822',
      fixedLength: true,
      mail: login === undefined ? {} : { login },
    };
    const file = this.#flow.openFile(meta, guard);
    this.#building?.guard(file.id);
    return file;
  }

  // ── Live: those that wait ──────────────────────────────────────────────────────────────────────────────────────────────

  verdict(file: FileId, verdict: Verdict): void {
    for (const held of this.#held) if (held.judge(file, verdict)) break;
    this.#handOn();
  }

  /** The server asks for a literal: true when it is one of ours. */
  asked(): boolean {
    const [held] = this.#held;
    if (held?.sending !== true) return false;
    this.#send(held);
    this.#handOn();
    return true;
  }

  /** A tagged response: where it comes in the middle of a command, the server does not want the rest. */
  answered(tag: string): void {
    const [held] = this.#held;
    if (held?.sending !== true || held.tag !== tag) return;
    held.drop();
    this.#held.shift();
    this.#handOn();
  }

  /** What is judged goes to the server, in order, or the client is told why not. */
  #handOn(): void {
    for (;;) {
      const [held] = this.#held;
      if (held?.ready !== true) return;
      if (held.refusal === undefined) this.#owner.released(held.tag);
      this.#send(held);
      if (held === this.#held[0]) return;
    }
  }

  #send(held: HeldAppend): void {
    const outcome = held.go();
    if (outcome === 'waits') return;
    this.#held.shift();
    if (outcome === 'sent') return;
    const [reason = ''] = (held.refusal ?? '').split(/\r?\n/, 1);
    this.#owner.tell(`${held.tag} NO ${reason === '' ? 'Message refused' : reason}\r\n`);
  }
}
