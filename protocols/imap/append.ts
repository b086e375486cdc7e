/**
 * Messages that a client stores: APPEND (RFC 9051 §6.3.12), several in one command (RFC 3502), put together out of pieces (RFC 4469), or in place of
 * another (RFC 8508). Follows the text of the command between its literals and says which of them are messages.
 */
import type { Buffer } from 'node:buffer';
import type { FileStream } from '../../src/core/file.js';
import type { Unit } from '../../src/core/flow.js';
import { parseData } from './syntax.js';

export interface AppendSink {
  open(guard: Unit | undefined): FileStream;
}

export class Append {
  readonly #sink: AppendSink;
  #file: FileStream | undefined;
  #catenating = false;
  /** How much of the command's text was looked at. */
  #seen = 0;

  constructor(sink: AppendSink) {
    this.#sink = sink;
  }

  /** Is the literal behind `text` (the command up to it, literals as strings) a message, or a piece of one? */
  takes(text: string): boolean {
    // Without a mailbox in front of it, it is the mailbox.
    const data = parseData(text.replace(/^\S+ (?:UID )?(?:APPEND|REPLACE \S+)/i, ''));
    if (data.length === 0) return false;
    const since = text.slice(this.#seen);
    if (/\bCATENATE \(/i.test(since)) this.#catenating = true;
    return !this.#catenating || /\bTEXT ~?$/i.test(text);
  }

  begin(text: string, guard: Unit | undefined): void {
    this.#urls(text);
    this.#file ??= this.#sink.open(guard);
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

  /** The command went on, or is at its end. */
  follow(text: string): void {
    this.#urls(text);
    if (this.#catenating && text.endsWith(')')) {
      this.#close();
      this.#catenating = false;
    }
  }

  abort(reason: 'gap' | 'reset'): void {
    this.#file?.abort(reason);
    this.#file = undefined;
  }

  /** A piece that the server has already: its bytes never cross the connection. */
  #urls(text: string): void {
    const since = text.slice(this.#seen);
    this.#seen = text.length;
    if (/\bCATENATE \(/i.test(since)) this.#catenating = true;
    if (!this.#catenating || !/(?:^|[ (])URL /i.test(since)) return;
    this.#file ??= this.#sink.open(undefined);
    this.#file.gap(0);
  }

  #close(): void {
    this.#file?.end();
    this.#file = undefined;
  }
}
