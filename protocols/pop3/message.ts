/**
 * A message on its way to the client: its text goes to the file without the stuffed dots, its bytes into the held unit. Where bytes are
 * missing it watches for the next answer. A lone dot between line ends that are not both CRLF is noted, and ends the message only when
 * the server's own status line ended in a bare LF.
 */

import { Buffer } from 'node:buffer';
import type { Edit, FileStream } from '../../src/core/file.js';
import { type Flow, SERVER, type Unit } from '../../src/core/flow.js';
import { CR, LF } from '../../src/core/lines.js';
import { behindLoneDot, DottedText, END, LONE_DOT, type TextSink } from '../mail/dotted-text.js';
import { messageOfLength } from '../mail/replacement.js';
import { StuffedDots } from '../mail/stuffed-dots.js';
import type { Pop3Event } from './events.js';
import { statusAt } from './replies.js';

const DOT = 0x2e;
const LF_DOT = Buffer.from('\n.');
const AMBIGUOUS_END: Pop3Event = 'pop3-ambiguous-end';

/**
 * How reading stopped. `more`: the chunk is used up, but for what cannot be told yet. `end`: behind the message. `ambiguous`: live, at a
 * lone dot. `overrun`: bytes are missing, and then came what looks like the next answer.
 */
export type Progress = 'more' | 'end' | 'ambiguous' | 'overrun';

export class Message implements TextSink {
  readonly file: FileStream;
  /** Holds the status line and the stuffed message. */
  readonly unit: Unit;
  /** Where `read` stopped. */
  at = 0;
  /** Bytes of it are missing. */
  gapped = false;
  /** Bytes of the file so far: the message without stuffed dots and final line. */
  length = 0;

  readonly #flow: Flow;
  /** The status line, for a message that replaces this one. */
  readonly #status: Buffer;
  /** The server ends its lines in a bare LF. */
  readonly #bareLf: boolean;
  readonly #text: DottedText;
  readonly #dots: StuffedDots;

  /** `status`: the line that announced it, kept. */
  constructor(flow: Flow, file: FileStream, unit: Unit, status: Buffer) {
    this.file = file;
    this.unit = unit;
    this.#flow = flow;
    this.#status = status;
    this.#bareLf = status.at(-1) === LF && status.at(-2) !== CR;
    this.#text = new DottedText(this, this.#bareLf);
    this.#dots = new StuffedDots(flow.limits.stuffedDots);
  }

  gap(length: number): void {
    this.file.gap(length);
    this.gapped = true;
    this.#text.gap();
  }

  /** Takes what it can from `at` on. */
  read(chunk: Buffer, at: number): Progress {
    const to = this.gapped ? this.#nextAnswer(chunk, at) : chunk.length;
    const stop = this.#text.read(to === chunk.length ? chunk : chunk.subarray(0, to), at);
    this.at = this.#text.at;
    if (stop === LONE_DOT && this.#flow.passive) this.at = behindLoneDot(chunk, this.at);
    this.#flow.pass(this.at, this.unit);
    if (stop === END) return 'end';
    if (stop === LONE_DOT) return this.#flow.passive ? 'end' : 'ambiguous';
    return this.at < chunk.length && isAnswer(chunk, this.at) ? 'overrun' : 'more';
  }

  /** Bytes are missing, and the end may have been among them: where a line begins that is, or may be, the next answer. */
  #nextAnswer(chunk: Buffer, at: number): number {
    let line = this.#text.behindLf ? at : nextLine(chunk, at);
    while (line < chunk.length && !isAnswer(chunk, line) && statusAt(chunk, line) !== 'partial')
      line = nextLine(chunk, line);
    return line;
  }

  write(chunk: Buffer, start: number, end: number): void {
    this.file.write(chunk, start, end);
    this.length += end - start;
  }

  stuffedDot(): void {
    // In a recording nothing is ever exchanged.
    if (!this.#flow.passive) this.#dots.note(this.length);
  }

  /** A recording goes on to the end that everybody sees, unless the server itself ends lines so. */
  loneDot(chunk: Buffer, dot: number): boolean {
    this.#flow.pass(dot, this.unit);
    this.#flow.anomaly(AMBIGUOUS_END, SERVER);
    this.file.malformed(AMBIGUOUS_END);
    if (!this.#flow.passive) return false;
    const endsInLf = chunk[dot + 1] === LF || chunk[dot + 2] === LF;
    return !(this.#bareLf && endsInLf && this.#text.startsLine(chunk, dot));
  }

  /** Exchange parts of the message in its unit. False when it is no longer known where they lie. */
  strip(edits: readonly Edit[]): boolean {
    if (this.#dots.tooMany) return false;
    for (const { start, end, instead } of edits) this.unit.edit(this.#inUnit(start), this.#inUnit(end), stuff(instead));
    return true;
  }

  /** Where the file's byte `offset` lies in the unit; a stuffed dot in front of it goes with it. */
  #inUnit(offset: number): number {
    return this.#status.length + offset + this.#dots.before(offset);
  }

  /** A whole reply in place of this one, as long as was announced, with `text` as its message. */
  replacement(text: string): Buffer {
    return Buffer.concat([this.#status, stuff(messageOfLength(text, this.length)), Buffer.from('.\r\n')]);
  }
}

function isAnswer(chunk: Buffer, at: number): boolean {
  const status = statusAt(chunk, at);
  return status === 'ok' || status === 'err';
}

/** Where the line behind the one at `at` begins; the chunk's length when that has no end. */
function nextLine(chunk: Buffer, at: number): number {
  const lf = chunk.indexOf(LF, at);
  return lf < 0 ? chunk.length : lf + 1;
}

/** A dot in front of each line that begins with one. */
function stuff(bytes: Buffer): Buffer {
  if (bytes[0] !== DOT && !bytes.includes(LF_DOT)) return bytes;
  return Buffer.from(bytes.toString('latin1').replace(/(^|\n)\./g, '$1..'), 'latin1');
}
