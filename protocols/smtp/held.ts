/**
 * Live: a message that the server gets only after its verdict. Two held units wait in the line to the server: the command that announces
 * the message, written when the verdict is there, and the message's bytes, guarded by its file.
 */
import { Buffer } from 'node:buffer';
import type { Edit, FileMeta, FileStream } from '../../src/core/file.js';
import { type Flow, SERVER, type Unit } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';

const DOT = 0x2e;
const CRLF = '\r\n';

export class HeldMessage {
  /** Where its bytes go. */
  readonly body: Unit;
  readonly file: FileStream;
  /** Bytes written to the file. */
  length = 0;
  /** Where in the file a stuffed dot was left out of it, ascending. */
  readonly #stuffed: number[] = [];
  #tooManyDots = false;
  readonly #command: Unit;
  #announced = false;
  #gone = false;

  constructor(flow: Flow, meta: FileMeta) {
    this.#command = flow.unit(SERVER, 'held');
    this.body = flow.unit(SERVER, 'held');
    this.file = flow.openFile(meta, this.body);
  }

  /** A stuffed dot stands in the body, and not in the file, at the file's present end. */
  stuffedDot(): void {
    if (this.#stuffed.length < DEFAULT_LIMITS.stuffedDots) this.#stuffed.push(this.length);
    else this.#tooManyDots = true;
  }

  /** The server gets the command now. */
  announce(command: Buffer): void {
    this.#announced = true;
    this.#command.replace(command);
  }

  /** The server gets the bytes now, and nothing more can be done about them. */
  release(): void {
    this.#gone = true;
    this.body.release();
  }

  /** What has not gone never reaches the server. */
  discard(): void {
    if (!this.#announced) this.#command.replace();
    if (!this.#gone) this.body.replace();
    this.#announced = true;
    this.#gone = true;
  }

  /** Can parts of it be exchanged? */
  get strippable(): boolean {
    return !this.#tooManyDots;
  }

  /**
   * Exchange parts of a message behind DATA. What is put in is made canonical and dot-stuffed, and leaves no line end before what
   * follows: a dot there would become the first byte of a line without having been stuffed.
   */
  stripDotted(edits: readonly Edit[]): void {
    for (const { start, end, instead } of edits) {
      const from = start + this.#dotsBefore(start);
      // A dot that was stuffed right behind the part was so for a line start that is no more.
      const to = end + this.#dotsBefore(end + 1);
      this.body.edit(from, to, dotted(instead, end >= this.length));
    }
  }

  /** Exchange parts of a message behind BDAT, which is sent as it is. Returns its new length. */
  stripPlain(edits: readonly Edit[]): number {
    let length = this.length;
    for (const { start, end, instead } of edits) {
      this.body.edit(start, end, instead);
      length += instead.length - (end - start);
    }
    return length;
  }

  /** How many stuffed dots stand before the file's byte `at`. */
  #dotsBefore(at: number): number {
    let low = 0;
    let high = this.#stuffed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#stuffed[middle] as number) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function dotted(instead: Buffer, atEnd: boolean): Buffer {
  const lines = instead
    .toString('latin1')
    .replace(/(?:\r\n|\r|\n)+$/, '')
    .split(/\r\n|\r|\n/)
    .map((line) => (line.charCodeAt(0) === DOT ? `.${line}` : line));
  const text = lines.join(CRLF);
  // Never nothing: the bytes before and behind would meet.
  return Buffer.from(atEnd ? `${text}${CRLF}` : text === '' ? ' ' : text, 'latin1');
}
