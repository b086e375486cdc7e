/**
 * Messages that a client stores: APPEND (RFC 9051 §6.3.12), several in one command (RFC 3502), put together out of pieces (CATENATE, RFC 4469), or in
 * place of another (REPLACE, RFC 8508). Follows the text of the command between its literals, each line once, and says which of them are messages.
 */
import type { Buffer } from 'node:buffer';
import type { FileStream } from '../../src/core/file.js';
import type { Unit } from '../../src/core/flow.js';

const COMMAND = /^\S+ (?:APPEND|(?:UID )?REPLACE \S+) ?/i;
const QUOTED = /"(?:\\.|[^"\\])*"/g;

/** Is the command one that stores messages? */
export function stores(head: string): boolean {
  return COMMAND.test(`${head} `);
}

export class Append {
  readonly #open: (guard: Unit | undefined) => FileStream;
  #file: FileStream | undefined;
  /** The mailbox's name came. */
  #named = false;
  #catenating = false;

  /** `open` starts the file of a message. */
  constructor(open: (guard: Unit | undefined) => FileStream) {
    this.#open = open;
  }

  /** It puts messages together out of pieces. */
  get catenates(): boolean {
    return this.#catenating;
  }

  /** The command goes on with `line`, up to a literal: is that a message, or a piece of one? `first`: the line begins the command. */
  takes(line: string, first: boolean): boolean {
    const text = this.#follow(line, first);
    if (!this.#named) {
      this.#named = true;
      if (text.trim() === '') return false;
    }
    return !this.#catenating || /\bTEXT $/i.test(text);
  }

  begin(guard: Unit | undefined): void {
    this.#file ??= this.#open(guard);
  }

  write(chunk: Buffer, start: number, end: number): void {
    this.#file?.write(chunk, start, end);
  }

  gap(length: number): void {
    this.#file?.gap(length);
  }

  /** The literal is complete. */
  ended(): void {
    if (!this.#catenating) this.#close();
  }

  /** The command is at its end. A message that was to go on is cut. */
  finish(line: string, first: boolean): void {
    this.#follow(line, first);
    this.abort('reset');
  }

  abort(reason: 'gap' | 'reset'): void {
    this.#file?.abort(reason);
    this.#file = undefined;
  }

  /** Notes where a message of pieces begins and ends. The line without the command, quoted strings emptied. */
  #follow(line: string, first: boolean): string {
    const text = (first ? line.replace(COMMAND, '') : line).replace(QUOTED, '""');
    for (const found of text.matchAll(/\bCATENATE \(|\bURL (?="|$)|\)/gi)) {
      if (found[0] === ')') {
        if (this.#catenating) this.#close();
        this.#catenating = false;
      } else if (/^CATENATE/i.test(found[0])) this.#catenating = true;
      // A piece that the server has already: its bytes never cross the connection.
      else if (this.#catenating) {
        this.begin(undefined);
        this.#file?.gap(0);
      }
    }
    return text;
  }

  #close(): void {
    this.#file?.end();
    this.#file = undefined;
  }
}
