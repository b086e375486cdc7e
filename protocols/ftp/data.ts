/**
 * A data connection (RFC 959 §3.2, §3.4): the bytes of one transfer in stream, block or deflate mode, or a listing. What is transferred is
 * what the control connection asked for by then; bytes that nobody asked for become a file without a name.
 */
import type { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, opposite, SERVER, type Side } from '../../src/core/flow.js';
import { BlockMode } from './block-mode.js';
import type { FtpEvent } from './events.js';
import { Transfer } from './transfer.js';

/** How bytes lie on data connections: MODE S, B, Z. */
export type Mode = 'S' | 'B' | 'Z';

/** An announced data connection, as both connections see it. */
export interface DataLink {
  readonly control: Flow;
  readonly mode: Mode;
  /** It is inside TLS (PROT P). */
  readonly tls: boolean;
  /** What was asked for on it. */
  transfer: Transfer | undefined;
  /** The connection, when it is there. */
  flow: Flow | undefined;
  /** Live: it was there, and is gone. */
  over: boolean;
  /** Live: the control connection is told that the transfer's verdict is there. */
  judged(transfer: Transfer, verdict: Verdict): void;
}

export class FtpData implements Decoder {
  readonly #flow: Flow;
  readonly #link: DataLink;
  readonly #blocks: BlockMode | undefined;
  #inflating = false;
  #cut = false;
  /** MODE B says by itself where a file ends. */
  #complete = false;

  constructor(flow: Flow, link: DataLink) {
    this.#flow = flow;
    this.#link = link;
    link.flow = flow;
    if (link.transfer !== undefined) link.transfer.connection = flow;
    if (link.mode === 'B')
      this.#blocks = new BlockMode({
        write: (chunk, start, end) => this.#link.transfer?.write(chunk, start, end),
        endOfFile: () => {
          this.#complete = true;
        },
      });
  }

  push(side: Side, chunk: Buffer): void {
    if (this.#link.mode === 'Z' && !this.#inflating) {
      this.#inflating = true;
      this.#flow.layer('zlib');
      return;
    }
    const transfer = this.#transferOf(side);
    if (side !== transfer.sender) {
      this.#odd('ftp-data-wrong-way', side);
      this.#flow.drop(chunk.length);
      return;
    }
    if (transfer.facts.kind === 'listing') {
      this.#flow.pass(chunk.length);
      return;
    }
    this.#open(transfer);
    if (this.#blocks === undefined) {
      transfer.write(chunk, 0, chunk.length);
      this.#flow.pass(chunk.length, transfer.unit);
      return;
    }
    const end = this.#blocks.read(chunk, 0);
    if (end >= 0) {
      this.#flow.pass(end, transfer.unit);
      return;
    }
    this.#odd('ftp-bad-block', side);
    transfer.file?.malformed('ftp-bad-block' satisfies FtpEvent);
    transfer.write(chunk, 0, chunk.length);
    this.#flow.pass(chunk.length, transfer.unit);
  }

  end(side: Side): void {
    const transfer = this.#link.transfer;
    const sends = transfer !== undefined && side === transfer.sender;
    // What was cut is cut for the other side as well: a listing that ends properly is taken for a whole one.
    if (!this.#cut && (!sends || transfer.facts.kind === 'listing')) this.#flow.finish(opposite(side));
    if (!sends) return;
    if (transfer.facts.kind !== 'listing') this.#open(transfer);
    transfer.dataEnded(!this.#cut && (this.#blocks === undefined || this.#complete));
  }

  cut(): void {
    this.#cut = true;
  }

  gap(side: Side, length: number): void {
    // A recording that begins in the middle has lost the beginning of the file.
    const transfer = this.#transferOf(side);
    if (side !== transfer.sender || transfer.facts.kind === 'listing') return;
    this.#open(transfer);
    transfer.file?.gap(length);
  }

  verdict(_file: FileId, verdict: Verdict): void {
    const { transfer } = this.#link;
    if (transfer === undefined) return;
    transfer.verdict = verdict;
    const { unit } = transfer;
    if (!this.#flow.passive) {
      // What was cut has not come to the end that FIN, or a close_notify, would tell of.
      if (verdict.action === 'block') this.#refuse(transfer);
      else if (this.#cut) this.#flow.reset('cut');
      else {
        if (verdict.action === 'strip')
          for (const { start, end, instead } of verdict.edits) unit?.edit(start, end, instead);
        unit?.release();
        this.#flow.finish(opposite(transfer.sender));
      }
    }
    this.#link.judged(transfer, verdict);
  }

  unanswered(): void {}
  wake(): void {}

  /**
   * Live: nothing more of it goes to its receiver. A server has got nothing of an upload yet; its data connection is reset. Within TLS it is
   * ended: OpenSSL forgets the session of a connection that is cut off, and servers want all later ones to resume it. The sender of
   * an upload has ended already, and hears on the control connection what became of it.
   */
  #refuse({ facts, unit }: Transfer): void {
    if (facts.kind !== 'upload' || this.#cut) return this.#flow.reset('blocked');
    this.#flow.finish(CLIENT);
    if (!this.#link.tls) return this.#flow.reset('blocked', SERVER);
    unit?.replace();
    this.#flow.finish(SERVER);
  }

  /** What was asked for; when nothing was, what the bytes themselves say: a file of the side that sends them. */
  #transferOf(side: Side): Transfer {
    const known = this.#link.transfer;
    if (known?.concluded === true && known.facts.kind !== 'listing') {
      // The server was done before these bytes were captured.
      const late = new Transfer(this.#link.control, { ...known.facts, name: known.name });
      late.connection = this.#flow;
      late.replied('done');
      this.#link.transfer = late;
      return late;
    }
    if (known === undefined) {
      this.#odd('ftp-data-unasked', side);
      const kind = side === CLIENT ? 'upload' : 'download';
      const transfer = new Transfer(this.#link.control, {
        kind,
        name: undefined,
        path: undefined,
        at: undefined,
        text: false,
      });
      transfer.connection = this.#flow;
      transfer.replied('lost');
      this.#link.transfer = transfer;
      return transfer;
    }
    known.connection = this.#flow;
    return known;
  }

  #open(transfer: Transfer): void {
    if (transfer.file === undefined)
      transfer.opened(this.#flow, this.#flow.passive ? undefined : this.#flow.unit(opposite(transfer.sender), 'held'));
  }

  #odd(event: FtpEvent, side: Side): void {
    this.#flow.anomaly(event, side);
  }
}
