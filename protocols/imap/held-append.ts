/**
 * Live: a command that stores messages, kept from the server until all of them are judged. We answer for the server while the command comes; then
 * it is handed on piece by piece, each synchronizing literal when the server asks for it, or none of it is, and the client is told so.
 * What a server would say while it waits for a literal, it says of nothing that was not judged.
 */
import type { FileId, Verdict } from '../../src/core/file.js';
import { type Flow, SERVER, type Unit } from '../../src/core/flow.js';

interface Piece {
  readonly unit: Unit;
  /** The server is to ask for what follows. */
  readonly asked: boolean;
}

/** What it came to: the server has it, or waits for what follows; or the client is to be told why not. */
export type Outcome = 'waits' | 'sent' | 'refused';

export class HeldAppend {
  readonly tag: string;
  readonly #flow: Flow;
  readonly #pieces: Piece[] = [];
  /** Not judged yet, with the units that they lie in. */
  readonly #files = new Map<FileId, Unit>();
  #complete = false;
  /** Why it is refused. */
  refusal: string | undefined;
  #sending = false;

  constructor(flow: Flow, tag: string) {
    this.#flow = flow;
    this.tag = tag;
  }

  /** A unit for its next bytes; `asked`: a synchronizing literal follows them. */
  piece(asked: boolean): Unit {
    const unit = this.#flow.unit(SERVER, 'held');
    this.#pieces.push({ unit, asked });
    return unit;
  }

  /** The last piece's unit. */
  get unit(): Unit | undefined {
    return this.#pieces.at(-1)?.unit;
  }

  /** The last piece is `file`. */
  guard(file: FileId): void {
    if (this.unit !== undefined) this.#files.set(file, this.unit);
  }

  /** True: it is one of its messages. What is stripped keeps the length that was announced. */
  judge(file: FileId, { action, replacement, edits }: Verdict): boolean {
    const unit = this.#files.get(file);
    if (unit === undefined) return false;
    this.#files.delete(file);
    if (action === 'strip' && edits.every(({ start, end, instead }) => instead.length === end - start))
      for (const { start, end, instead } of edits) unit.edit(start, end, instead);
    else if (action === 'block' || action === 'strip') this.refusal ??= replacement;
    return true;
  }

  /** The client has sent all of it. */
  complete(): void {
    this.#complete = true;
  }

  /** Everything is here and judged. */
  get ready(): boolean {
    return this.#complete && !this.#sending && this.#files.size === 0;
  }

  /** The server has been given its beginning. */
  get sending(): boolean {
    return this.#sending;
  }

  /** Hands it on, as far as the server lets it; or drops it when it is refused. */
  go(): Outcome {
    if (this.refusal !== undefined && !this.#sending) {
      this.drop();
      return 'refused';
    }
    this.#sending = true;
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece === undefined) return 'sent';
      piece.unit.release();
      if (piece.asked) return 'waits';
    }
  }

  /** Nothing more of it goes to the server. */
  drop(): void {
    for (const { unit } of this.#pieces) unit.replace();
    this.#pieces.length = 0;
  }
}
