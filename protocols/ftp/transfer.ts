/**
 * What the control and the data connection know together of one transfer: the control connection knows the name and how it ended in the
 * server's words, the data connection has the bytes and how it ended on the wire. A file has ended well only when both say so.
 */
import { Buffer } from 'node:buffer';
import type { FileMeta, FileStream, Verdict } from '../../src/core/file.js';
import type { Flow, Side, Unit } from '../../src/core/flow.js';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import type { TransferKind } from './commands.js';

export interface TransferFacts {
  readonly kind: TransferKind;
  readonly name: string | undefined;
  readonly path: string | undefined;
  /** The offset that REST gave, or where APPE goes on; undefined: nobody knows. */
  readonly at: number | undefined;
  /** TYPE A. */
  readonly text: boolean;
}

/** What the file's two ends made of it. */
type DataState = 'none' | 'open' | 'ended' | 'cut';
type ReplyState = 'awaited' | 'done' | 'failed' | 'lost';

const NOTHING = Buffer.alloc(0);

export class Transfer {
  readonly facts: TransferFacts;
  /** A name that only the reply gave (STOU). */
  name: string | undefined;
  /** The closing reply, held until the verdict. Live only. */
  closing: Unit | undefined;
  verdict: Verdict | undefined;
  /** The server said that it begins. */
  begun = false;
  /** Live: bytes came since this was asked last. */
  moved = false;
  /** The argument of its command, as it came. */
  readonly bytes: Buffer;
  /** Its data connection, when it is there, though no byte may have come yet. */
  connection: Flow | undefined;
  /** Live: the data connection is gone, or will not come, and gave no verdict. */
  #unjudged = false;
  readonly #control: Flow;
  #file: FileStream | undefined;
  #unit: Unit | undefined;
  #data: DataState = 'none';
  #reply: ReplyState = 'awaited';

  constructor(control: Flow, facts: TransferFacts, bytes: Buffer = NOTHING) {
    this.bytes = bytes;
    this.#control = control;
    this.facts = facts;
    this.name = facts.name;
  }

  get sender(): Side {
    return this.facts.kind === 'upload' ? CLIENT : SERVER;
  }

  /**
   * What the server is to forget: it made a file for an upload that was blocked. Undefined where there is none, or nobody knows its name. One that
   * was cut off is the server's to look after, as it is without us.
   */
  get remains(): Buffer | undefined {
    if (this.facts.kind !== 'upload' || this.verdict?.action !== 'block' || !this.begun || this.#data === 'cut')
      return undefined;
    if (this.facts.name !== undefined) return this.bytes;
    return this.name === undefined ? undefined : Buffer.from(this.name);
  }

  /** There is nothing to wait for: the file is judged, or there is none. */
  get settled(): boolean {
    return (
      this.facts.kind === 'listing' ||
      this.verdict !== undefined ||
      this.#unjudged ||
      (this.#data === 'none' && this.#reply !== 'done')
    );
  }

  /** The server says that it is done, and its data connection was cut, or gave nothing to judge. */
  get broken(): boolean {
    return this.#reply === 'done' && (this.#data === 'cut' || (this.#unjudged && this.verdict === undefined));
  }

  /** Its data connection has not ended yet. */
  get underWay(): boolean {
    return !this.settled && this.#data !== 'ended' && this.#data !== 'cut';
  }

  /** No verdict will come. */
  lost(): void {
    if (this.facts.kind !== 'listing') this.#unjudged = true;
  }

  /** The data connection is there; its bytes are put into `unit` in live flows. */
  opened(flow: Flow, unit: Unit | undefined): void {
    if (this.facts.kind === 'listing' || this.#file !== undefined) return;
    this.#unit = unit;
    this.#data = 'open';
    this.#file = flow.openFile(metaOf(this.facts, this.name), unit);
  }

  /** The file has ended: bytes that come later are another's, or came in another order than they were captured. */
  get concluded(): boolean {
    return this.#file !== undefined && this.#reply !== 'awaited' && (this.#data === 'ended' || this.#data === 'cut');
  }

  get unit(): Unit | undefined {
    return this.#unit;
  }

  get file(): FileStream | undefined {
    return this.#file;
  }

  write(chunk: Buffer, start: number, end: number): void {
    this.moved = true;
    this.#file?.write(chunk, start, end);
  }

  /** The sending end of the data connection has ended: by FIN, or cut. */
  dataEnded(whole: boolean): void {
    if (this.#data === 'ended' || this.#data === 'cut') return;
    this.#data = whole ? 'ended' : 'cut';
    const file = this.#file;
    if (file === undefined) return;
    // In a recording the server's last word is waited for, past the end of the data connection.
    if (whole && this.#control.passive && this.#reply === 'awaited') this.#control.adopt(file);
    else this.#conclude();
  }

  /** The server's closing reply, or none will come. */
  replied(reply: Exclude<ReplyState, 'awaited'>): void {
    if (this.#reply !== 'awaited') return;
    this.#reply = reply;
    // It was transferred, and its data connection was not seen: whatever was in it is missing.
    if (
      this.#data === 'none' &&
      this.connection === undefined &&
      reply === 'done' &&
      this.facts.kind !== 'listing' &&
      this.#control.passive
    ) {
      this.opened(this.#control, undefined);
      this.#file?.gap(0);
      this.#data = 'ended';
    }
    if (this.#data === 'ended' || this.#data === 'cut') this.#conclude();
  }

  #conclude(): void {
    if (this.#data === 'cut' || this.#reply === 'failed') this.#file?.abort('reset');
    else this.#file?.end();
  }
}

function metaOf({ kind, path, at, text }: TransferFacts, name: string | undefined): FileMeta {
  return {
    name,
    direction: kind === 'upload' ? 'upload' : 'download',
    mayTrickle: kind === 'download',
    part: { of: `${path ?? ''}/${name ?? ''}`, at },
    ...(text ? { text } : {}),
    ...(path === undefined ? {} : { path }),
  };
}
