/**
 * A toy of SMB2 ([MS-SMB2] 2.2), to try the contracts on: the CLOSE of a written file is held `aside` while other messages overtake it;
 * after a `block` the proxy sends a request of its own (delete) and every later message id toward the server is shifted, and
 * shifted back in the answers. A message is: length 4, then command 1, message id 2, file id 1, data. An own CLOSE error answers the client.
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

const HEAD = 8;
export const WRITE = 0x57;
export const CLOSE = 0x43;
export const DELETE = 0x44;
export const ERROR = 0x45;

/** One message's bytes. */
export function message(command: number, id: number, fid: number, data = ''): Buffer {
  const bytes = Buffer.alloc(HEAD + data.length);
  bytes.writeUInt32BE(4 + data.length, 0);
  bytes[4] = command;
  bytes.writeUInt16BE(id, 5);
  bytes[7] = fid;
  bytes.write(data, HEAD, 'latin1');
  return bytes;
}

/** A written file; once closed, its CLOSE waits aside. */
interface Written {
  readonly fid: number;
  readonly stream: FileStream;
  readonly unit: Unit;
  closeId: number;
}

class ToySmb2 implements Decoder {
  readonly #flow: Flow;
  readonly #open = new Map<number, Written>();
  readonly #closing = new Map<FileId, Written>();
  /** Message ids from which on one more is added toward the server, ascending, as the client counts. */
  readonly #shifts: number[] = [];
  readonly #own = new Set<number>();
  #next = 0;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(side: Side, chunk: Buffer): void {
    for (let at = 0; chunk.length - at >= 4; ) {
      const end = at + 4 + chunk.readUInt32BE(at);
      if (end > chunk.length) return;
      if (side === CLIENT) this.#request(chunk, at, end);
      else this.#response(chunk, at, end);
      at = end;
    }
  }

  #request(chunk: Buffer, at: number, end: number): void {
    const id = chunk.readUInt16BE(at + 5);
    const fid = chunk[at + 7] ?? 0;
    this.#next = Math.max(this.#next, id + 1);
    let unit: Unit | undefined;
    if (chunk[at + 4] === WRITE) {
      let file = this.#open.get(fid);
      if (file === undefined) {
        const guard = this.#flow.unit(SERVER, 'aside');
        const stream = this.#flow.openFile({ name: `fid ${fid}`, direction: 'upload' }, guard);
        file = { fid, stream, unit: guard, closeId: 0 };
        this.#open.set(fid, file);
      }
      file.stream.write(chunk, at + HEAD, end);
    } else if (chunk[at + 4] === CLOSE) {
      const file = this.#open.get(fid);
      if (file !== undefined) {
        unit = file.unit;
        file.closeId = id;
        this.#open.delete(fid);
        this.#closing.set(file.stream.id, file);
        file.stream.end();
      }
    }
    this.#forward(chunk, at, end, id + this.#shifts.filter((from) => id >= from).length, SERVER, unit);
  }

  #response(chunk: Buffer, at: number, end: number): void {
    const id = chunk.readUInt16BE(at + 5);
    if (this.#own.delete(id)) return this.#flow.drop(end);
    // Each own request took the id in front of those that it shifted.
    let client = id;
    for (const [index, from] of this.#shifts.entries()) if (id > from + index) client = id - index - 1;
    this.#forward(chunk, at, end, client, CLIENT, undefined);
  }

  /** A message with another id is a message of our own; one with the same id passes as it is. */
  #forward(chunk: Buffer, at: number, end: number, id: number, toward: Side, into: Unit | undefined): void {
    if (id === chunk.readUInt16BE(at + 5)) return this.#flow.pass(end, into);
    const copy = Buffer.from(chunk.subarray(at, end));
    copy.writeUInt16BE(id, 5);
    this.#flow.drop(end);
    this.#flow.send(toward, copy, into);
  }

  verdict(id: FileId, verdict: Verdict): void {
    const file = this.#closing.get(id);
    if (file === undefined) return;
    this.#closing.delete(id);
    if (verdict.action !== 'block') return file.unit.release();
    const own = this.#next + this.#shifts.length;
    this.#own.add(own);
    this.#shifts.push(this.#next);
    file.unit.replace();
    this.#flow.send(SERVER, message(DELETE, own, file.fid));
    this.#flow.send(CLIENT, message(ERROR, file.closeId, file.fid, verdict.replacement));
  }

  end(side: Side): void {
    if (side === CLIENT) for (const file of this.#open.values()) file.stream.abort('reset');
    this.#flow.finish(opposite(side));
  }
  gap(): void {}
  unanswered(): void {}
  wake(): void {}
}

export const TOY_SMB2: Protocol = {
  name: 'toy-smb2',
  service: 'SMB',
  ports: [],
  tlsPorts: [],
  maxUntaken: () => 70_000,
  probe: () => 'no',
  decoders: () => (flow) => new ToySmb2(flow),
};
