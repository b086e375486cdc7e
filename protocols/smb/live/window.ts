/**
 * The proxy as the server's client: it numbers requests anew, since it makes some itself and answers some of the client's itself, and sends no
 * more than the server's credits allow ([MS-SMB2] 3.2.4.1.2, 3.3.1.1). A request that cannot be changed (signed, without credentials; part of what
 * 3.1.1 hashes) must keep its number: the numbers in front of it that were not used go to an ECHO.
 */
import type { Buffer } from 'node:buffer';
import { SERVER } from '../../../src/core/flow.js';
import type { SessionKeys } from '../smb2-keys.js';
import { STATUS } from '../smb2-message.js';
import { type Command, chargeOf, creditsOf, echo, setId } from './message.js';
import type { Wire } from './wire.js';

export interface Outgoing {
  /** One command; ours. */
  readonly bytes: Buffer;
  readonly keys: SessionKeys | undefined;
  readonly seal: boolean;
  /** The client's own number, and its bytes as they came, when they are to stay as they are if they can. */
  readonly from: { readonly id: number; readonly wire: Buffer | undefined; readonly fixed: boolean } | undefined;
  /** The answer that ends it. */
  answered(answer: Command): void;
  /** The server says that it will answer later. */
  interim?(answer: Command): void;
}

/** More than this an ECHO does not take at once. */
const MOST_CHARGE = 256;
/** A server that gives no more credits is not asked more often. */
const MOST_BEGGED = 64;

export class ServerWindow {
  readonly #wire: Wire;
  readonly #most: number;
  /** A request that must keep its number cannot, too many wait, or an answer is one to another command: the connection cannot go on. */
  readonly #stuck: (why: 'taken' | 'many' | 'other') => void;
  /** Requests may be of more than one credit. */
  multiCredit = false;
  #next = 0;
  #credits = 1;
  #begged = 0;
  #queue: Outgoing[] = [];
  readonly #asked = new Map<number, Outgoing>();
  readonly #byClient = new Map<number, number>();

  constructor(wire: Wire, most: number, stuck: (why: 'taken' | 'many' | 'other') => void) {
    this.#wire = wire;
    this.#most = most;
    this.#stuck = stuck;
  }

  /** Requests that could go at once. */
  get credits(): number {
    return this.#queue.length > 0 ? 0 : this.#credits;
  }

  /** The next number is the one that the client would use too, unless this differs. */
  get next(): number {
    return this.#next;
  }

  /** A message of another kind took the first number (the NEGOTIATE of SMB 1). */
  skip(): void {
    this.#next++;
    this.#credits--;
  }

  granted(credits: number): void {
    this.#credits += credits;
    this.#pump();
  }

  send(out: Outgoing): void {
    if (this.#queue.length + this.#asked.size >= this.#most) return this.#stuck('many');
    this.#queue.push(out);
    this.#pump();
  }

  /** The server's number of a request of the client's that waits for its answer. */
  numberOf(clientId: number): number | undefined {
    return this.#byClient.get(clientId);
  }

  /** An answer of the server's: to whose request? `undefined`: nobody asked. */
  answer(command: Command): 'proxy' | 'client' | undefined {
    const { messageId, status, async } = command.header;
    const out = this.#asked.get(messageId);
    if (out === undefined) return undefined;
    if (out.bytes.readUInt16LE(12) !== command.header.command) {
      this.#stuck('other');
      return 'client';
    }
    this.#credits += creditsOf(command.bytes);
    if (status === STATUS.pending && async) out.interim?.(command);
    else {
      this.#asked.delete(messageId);
      if (out.from !== undefined) this.#byClient.delete(out.from.id);
      out.answered(command);
    }
    this.#pump();
    return out.from === undefined ? 'proxy' : 'client';
  }

  #pump(): void {
    for (let out = this.#queue[0]; out !== undefined; out = this.#queue[0]) {
      if (out.from?.fixed === true && out.from.id !== this.#next) {
        if (out.from.id < this.#next) return this.#stuck('taken');
        if (!this.#fill(out.from.id - this.#next)) return;
        continue;
      }
      const charge = chargeOf(out.bytes);
      if (charge > this.#credits) return this.#beg(charge);
      this.#begged = 0;
      this.#queue.shift();
      this.#go(out, charge);
    }
  }

  /** With too few credits and nothing under way that brings more, an ECHO asks for them. */
  #beg(charge: number): void {
    if (this.#asked.size > 0 || this.#credits < 1) return;
    if (++this.#begged > MOST_BEGGED) return this.#stuck('many');
    const one = this.multiCredit ? 1 : 0;
    this.#go({ bytes: echo(one, charge), keys: undefined, seal: false, from: undefined, answered: () => {} }, 1);
  }

  /** Uses up numbers; false: no credits for it yet. */
  #fill(numbers: number): boolean {
    const charge = this.multiCredit ? Math.min(numbers, this.#credits, MOST_CHARGE) : 1;
    if (charge < 1 || this.#credits < 1) return false;
    const bytes = echo(this.multiCredit ? charge : 0);
    this.#go({ bytes, keys: undefined, seal: false, from: undefined, answered: () => {} }, charge);
    return true;
  }

  #go(out: Outgoing, charge: number): void {
    const id = this.#next;
    this.#next += charge;
    this.#credits -= charge;
    this.#asked.set(id, out);
    const { from } = out;
    if (from !== undefined) this.#byClient.set(from.id, id);
    if (from?.wire !== undefined && from.id === id) return this.#wire.forward(SERVER, from.wire);
    setId(out.bytes, id);
    this.#wire.send(SERVER, out.bytes, out.keys, out.seal);
  }
}
