/**
 * A toy of FTP (RFC 959), to try the contracts on: the 227 line is a held unit that the answer to `expect` rewrites; the data connection
 * is a related flow whose decoder shares a transfer with its parent's; the server's closing reply waits for the transfer's verdict; a
 * refused STOR ends with 550. One transfer at a time, passive mode only.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileStream, Verdict } from '../../core/file.js';
import {
  CLIENT,
  type Decoder,
  type Flow,
  opposite,
  type Protocol,
  SERVER,
  type Side,
  type Unit,
} from '../../core/flow.js';
import { lineEnd } from '../../core/lines.js';

/** What the two connections know together of one transfer. */
interface Transfer {
  name: string;
  direction: 'upload' | 'download';
  /** The verdict, when there is one. */
  verdict: Verdict | undefined;
  /** The closing reply, held, when it came before the verdict. */
  reply: Unit | undefined;
}

function settleReply(transfer: Transfer): void {
  const { verdict, reply } = transfer;
  if (verdict === undefined || reply === undefined) return;
  if (verdict.action === 'block') reply.replace(Buffer.from(`550 ${verdict.replacement}\r\n`));
  else reply.release();
  transfer.reply = undefined;
}

class ToyFtp implements Decoder {
  readonly #flow: Flow;
  #transfer: Transfer = idle();

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(side: Side, chunk: Buffer): void {
    for (let at = 0, end = lineEnd(chunk, 0, 1_000); end > 0; at = end, end = lineEnd(chunk, at, 1_000)) {
      const line = chunk.toString('latin1', at, end - 2);
      if (side === CLIENT) this.#command(line, end);
      else this.#reply(line, end);
    }
  }

  #command(line: string, end: number): void {
    const transfer = /^(RETR|STOR) (.+)$/.exec(line);
    if (transfer !== null) {
      this.#transfer.name = transfer[2] ?? '';
      this.#transfer.direction = transfer[1] === 'STOR' ? 'upload' : 'download';
    }
    this.#flow.pass(end);
  }

  #reply(line: string, end: number): void {
    const passive = /^227 .*\((\d+,\d+,\d+,\d+),(\d+),(\d+)\)/.exec(line);
    if (passive !== null) {
      const unit = this.#flow.unit(CLIENT, 'held');
      this.#flow.pass(end, unit);
      const [, host = '', high = '0', low = '0'] = passive;
      const target = { address: host.replaceAll(',', '.'), port: Number(high) * 256 + Number(low) };
      const transfer = idle();
      this.#transfer = transfer;
      const decode = (data: Flow) => new ToyFtpData(data, transfer);
      this.#flow.expect({ dials: CLIENT, target, tls: false, decode }, (at) => {
        if (at === undefined) unit.replace(Buffer.from('425 No data connection\r\n'));
        else if (at.address === target.address && at.port === target.port) unit.release();
        else {
          const place = `${at.address.replaceAll('.', ',')},${at.port >> 8},${at.port & 255}`;
          unit.replace(Buffer.from(`227 Entering Passive Mode (${place})\r\n`));
        }
      });
    } else if (/^(226|426|451)/.test(line)) {
      this.#transfer.reply = this.#flow.unit(CLIENT, 'held');
      this.#flow.pass(end, this.#transfer.reply);
      settleReply(this.#transfer);
    } else this.#flow.pass(end);
  }

  end(side: Side): void {
    this.#flow.finish(opposite(side));
  }
  verdict(): void {}
  gap(): void {}
  unanswered(): void {}
  wake(): void {}
}

function idle(): Transfer {
  return { name: '', direction: 'download', verdict: undefined, reply: undefined };
}

class ToyFtpData implements Decoder {
  readonly #flow: Flow;
  readonly #transfer: Transfer;
  #file: FileStream | undefined;
  #unit: Unit | undefined;
  #toward: Side = CLIENT;

  constructor(flow: Flow, transfer: Transfer) {
    this.#flow = flow;
    this.#transfer = transfer;
  }

  push(side: Side, chunk: Buffer): void {
    this.#open(side)?.write(chunk, 0, chunk.length);
    this.#flow.pass(chunk.length, this.#unit);
  }

  #open(side: Side): FileStream | undefined {
    if (this.#file === undefined) {
      this.#toward = opposite(side);
      this.#unit = this.#flow.unit(this.#toward, 'held');
      const { name, direction } = this.#transfer;
      this.#file = this.#flow.openFile({ name, direction }, this.#unit);
    }
    return this.#file;
  }

  end(side: Side): void {
    const sender = this.#transfer.direction === 'upload' ? CLIENT : SERVER;
    if (side === sender) this.#open(side)?.end();
    else this.#flow.finish(opposite(side));
  }

  verdict(_file: FileId, verdict: Verdict): void {
    this.#transfer.verdict = verdict;
    if (verdict.action === 'block') this.#flow.reset('blocked');
    else {
      this.#unit?.release();
      this.#flow.finish(this.#toward);
    }
    settleReply(this.#transfer);
  }
  gap(): void {}
  unanswered(): void {}
  wake(): void {}
}

export const TOY_FTP: Protocol = {
  name: 'toy-ftp',
  service: 'FTP',
  ports: [],
  tlsPorts: [],
  maxUntaken: () => 2_000,
  probe: () => 'no',
  decoders: () => (flow) => new ToyFtp(flow),
};
