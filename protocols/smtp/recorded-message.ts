/** A recording: a message that goes by, of which bytes may be missing, and what an ambiguous dot in it may smuggle. */
import type { Buffer } from 'node:buffer';
import type { FileStream } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow } from '../../src/core/flow.js';
import type { Stop } from '../mail/dotted-text.js';
import type { SmtpEvent } from './events.js';
import { SentMessage } from './message.js';
import { SecondReading } from './second-reading.js';

const SMUGGLING: SmtpEvent = 'smtp-smuggling';

export class RecordedMessage extends SentMessage {
  /** Its end may lie in a gap: a reply of the server will tell. */
  uncertain = false;
  /** Makes the decoder that reads on as a server does that takes any lone dot for the end; undefined: this is one. */
  readonly #lenient: ((flow: Flow) => Decoder) | undefined;
  /** What stands behind an ambiguous dot, read the other way. */
  #second: SecondReading | undefined = undefined;
  /** What the second reading, if there is one, has not had of the chunk. */
  #unread = 0;

  constructor(flow: Flow, file: FileStream, chunked: boolean, lenient: ((flow: Flow) => Decoder) | undefined) {
    super(flow, file, chunked);
    this.#lenient = lenient;
  }

  override readText(chunk: Buffer, at: number): Stop {
    this.#unread = at;
    const stop = super.readText(chunk, at);
    this.#second?.write(chunk, this.#unread, this.at);
    return stop;
  }

  stuffedDot(): void {}

  loneDot(chunk: Buffer, dot: number): boolean {
    if (this.#lenient === undefined) return false;
    this.take(dot);
    this.flow.anomaly(SMUGGLING, CLIENT);
    this.file.malformed(SMUGGLING);
    this.#second?.write(chunk, this.#unread, dot);
    this.#unread = dot;
    if (this.#second === undefined || this.#second.over) {
      this.#second = new SecondReading(this.flow, this.#lenient);
      this.#unread = dot + 1;
    }
    return true;
  }

  /** `length` bytes of its text are missing. */
  gap(length: number): void {
    this.file.gap(length);
    this.text.gap();
    this.#endSecond();
    this.uncertain = true;
  }

  /** It came in chunks; behind a gap it goes on as text that begins with a line. */
  goOnAsText(): void {
    this.text.restart();
  }

  end(): void {
    this.#endSecond();
    this.file.end();
  }

  abort(reason: 'reset' | 'gap'): void {
    this.#endSecond();
    this.file.abort(reason);
  }

  #endSecond(): void {
    this.#second?.end();
    this.#second = undefined;
  }
}
