/**
 * Live: a message that the server gets only after its verdict. Two held units wait in the line to the server: the command that announces
 * the message, written when the verdict is there, and the message's bytes, guarded by its file.
 */
import { Buffer } from 'node:buffer';
import type { Edit, FileMeta } from '../../src/core/file.js';
import { type Flow, SERVER, type Unit } from '../../src/core/flow.js';
import { CR, LF } from '../../src/core/lines.js';
import { StuffedDots } from '../mail/stuffed-dots.js';
import { SentMessage } from './message.js';

const DOT = 0x2e;
const CRLF = '\r\n';

export class HeldMessage extends SentMessage {
  readonly #command: Unit;
  readonly #body: Unit;
  /** Bytes written to the file. */
  #length = 0;
  readonly #dots: StuffedDots;
  #announced = false;
  #gone = false;

  constructor(flow: Flow, meta: FileMeta, chunked: boolean) {
    const command = flow.unit(SERVER, 'held');
    const body = flow.unit(SERVER, 'held');
    super(flow, flow.openFile(meta, body), chunked, body);
    this.#command = command;
    this.#body = body;
    this.#dots = new StuffedDots(flow.limits.stuffedDots);
  }

  override write(chunk: Buffer, start: number, end: number): void {
    super.write(chunk, start, end);
    this.#length += end - start;
  }

  stuffedDot(): void {
    this.#dots.note(this.#length);
  }

  /** Whatever it means to whom: the session ends here. */
  loneDot(): boolean {
    return false;
  }

  end(): void {
    this.file.end();
  }

  abort(reason: 'reset' | 'gap'): void {
    this.file.abort(reason);
    this.discard();
  }

  /** The server gets the command now. */
  announce(command: Buffer): void {
    this.#announced = true;
    this.#command.replace(command);
  }

  /** The server gets the bytes now, and nothing more can be done about them. */
  release(): void {
    this.#gone = true;
    this.#body.release();
  }

  /** What has not gone never reaches the server. */
  discard(): void {
    if (!this.#announced) this.#command.replace();
    if (!this.#gone) this.#body.replace();
    this.#announced = true;
    this.#gone = true;
  }

  /** Can parts of it be exchanged? */
  get strippable(): boolean {
    return this.chunked || !this.#dots.tooMany;
  }

  /**
   * Exchange parts of a message behind DATA. What is put in is made canonical and dot-stuffed, and leaves no line end before what
   * follows: a dot there would become the first byte of a line without having been stuffed.
   */
  stripDotted(edits: readonly Edit[]): void {
    for (const { start, end, instead } of edits) {
      const from = start + this.#dots.before(start);
      // A dot that was stuffed right behind the part was so for a line start that is no more.
      const to = end + this.#dots.before(end + 1);
      this.#body.edit(from, to, dotted(instead, end >= this.#length));
    }
  }

  /** Exchange parts of a message behind BDAT, which is sent as it is. Returns its new length. */
  stripPlain(edits: readonly Edit[]): number {
    let length = this.#length;
    for (const { start, end, instead } of edits) {
      this.#body.edit(start, end, instead);
      length += instead.length - (end - start);
    }
    return length;
  }
}

function dotted(instead: Buffer, atEnd: boolean): Buffer {
  let end = instead.length;
  while (end > 0 && (instead[end - 1] === CR || instead[end - 1] === LF)) end--;
  const lines = instead
    .toString('latin1', 0, end)
    .split(/\r\n|\r|\n/)
    .map((line) => (line.charCodeAt(0) === DOT ? `.${line}` : line));
  const text = lines.join(CRLF);
  // Never nothing: the bytes before and behind would meet.
  return Buffer.from(atEnd ? `${text}${CRLF}` : text === '' ? ' ' : text, 'latin1');
}
