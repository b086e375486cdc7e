/**
 * Which request an answer belongs to ([MS-CIFS] 3.2.5.1): by MID and PID. A client may use a MID again only when it was answered; where
 * one is under way twice all the same, answers go to them in their order.
 */
import type { Handle, Tree } from './smb1-handles.js';
import type { Header } from './smb1-message.js';
import type { Request } from './smb1-requests.js';
import type { Transaction } from './smb1-transactions.js';

/** One command of a request, with what it is about. */
export interface Asked {
  readonly command: number;
  readonly request: Request;
  readonly handle: Handle | undefined;
  readonly tree: Tree | undefined;
  /** It is known, or believed, what became of it. */
  settled: boolean;
}

/** One request message that awaits its answer. */
export interface Exchange {
  readonly key: number;
  readonly header: Header;
  /** Its commands along the chain. */
  readonly asked: Asked[];
  /** How many of them are answered. */
  answered: number;
  /** What it goes on with in further messages, or opens with. */
  transaction: Transaction | undefined;
}

export class Exchanges {
  readonly #open = new Map<number, Exchange[]>();
  readonly #limit: number;
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False: another one of the same key is under way. */
  add(exchange: Exchange): boolean {
    this.#count++;
    const same = this.#open.get(exchange.key);
    if (same === undefined) {
      this.#open.set(exchange.key, [exchange]);
      return true;
    }
    same.push(exchange);
    return false;
  }

  of(key: number): Exchange | undefined {
    return this.#open.get(key)?.[0];
  }

  /** The newest of the key: what a secondary message goes on with. */
  latest(key: number): Exchange | undefined {
    return this.#open.get(key)?.at(-1);
  }

  remove(exchange: Exchange): void {
    const same = this.#open.get(exchange.key);
    const at = same?.indexOf(exchange) ?? -1;
    if (same === undefined || at < 0) return;
    this.#count--;
    same.splice(at, 1);
    if (same.length === 0) this.#open.delete(exchange.key);
  }

  /** The oldest, where there are more than may be. */
  excess(): Exchange | undefined {
    return this.#count > this.#limit ? this.oldest() : undefined;
  }

  oldest(): Exchange | undefined {
    for (const [first] of this.#open.values()) return first;
    return undefined;
  }
}
