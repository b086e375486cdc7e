/**
 * A server of SMB 2 in memory, and in tests' hands: it keeps files by name, answers what a client needs to move them, and lies where it is told to.
 * Nothing is signed. It is for misbehaviour that no real server shows; real ones are in `peers/`.
 */
import { Buffer } from 'node:buffer';
import * as m from './smb2-messages.js';

const FRAME = 4;
const HEADER = 64;
const BODY = FRAME + HEADER;
const STATUS = { endOfFile: 0xc000_0011, notFound: 0xc000_0034, pending: 0x103 };
export const COMMAND = {
  negotiate: 0,
  sessionSetup: 1,
  treeConnect: 3,
  create: 5,
  close: 6,
  read: 8,
  write: 9,
  ioctl: 11,
  echo: 13,
  setInfo: 17,
} as const;

export interface SmbMischief {
  /** What goes out in place of an answer, or with it. */
  answers?(command: number, answer: Buffer, id: number): readonly Buffer[];
  /** What a file holds when it is read for the `reads`-th time, in place of what it has. */
  content?(name: string, reads: number): Buffer | undefined;
  /** The service of shares: 1 files, 2 pipes. */
  readonly share?: 1 | 2;
  readonly dialect?: number;
  /** It takes nothing that is not signed, and nobody but the client has the key. */
  readonly signs?: boolean;
}

export class MemorySmbServer {
  readonly files = new Map<string, Buffer>();
  /** Commands in the order in which they came. */
  readonly commands: number[] = [];
  /** All that was ever received. */
  readonly received: Buffer[] = [];
  readonly #mischief: SmbMischief;
  readonly #open = new Map<number, { readonly name: string; readonly gone: boolean }>();
  #last = 0;
  #reads = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(mischief: SmbMischief = {}) {
    this.#mischief = mischief;
  }

  /** Takes bytes of the client's; gives what is to be sent. */
  receive(bytes: Buffer): Buffer[] {
    this.received.push(bytes);
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const out: Buffer[] = [];
    for (;;) {
      const length = this.#rest.length < FRAME ? Number.POSITIVE_INFINITY : FRAME + this.#rest.readUIntBE(1, 3);
      if (this.#rest.length < length) return out;
      const message = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      if (message[0] !== 0) continue;
      const command = message.readUInt16LE(FRAME + 12);
      const id = message.readUInt32LE(FRAME + 24);
      this.commands.push(command);
      const answer = this.#answer(command, id, message);
      if (answer === undefined) continue;
      for (const each of this.#mischief.answers?.(command, answer, id) ?? [answer]) out.push(granting(each));
    }
  }

  #answer(command: number, id: number, message: Buffer): Buffer | undefined {
    const file = (at: number): number => message.readUInt32LE(BODY + at);
    switch (command) {
      case COMMAND.negotiate:
        return withSizes(
          m.negotiated(id, this.#mischief.dialect ?? 0x0210, this.#mischief.signs === true ? m.MUST_SIGN : m.MAY_SIGN),
        );
      case COMMAND.sessionSetup:
        return m.sessionSetUp(id, Buffer.alloc(0), { session: 0x1122_3344 }, this.#mischief.signs === true ? 0 : 1);
      case COMMAND.treeConnect:
        return m.treeConnected(id, this.#mischief.share ?? 1);
      case COMMAND.create:
        return this.#create(id, message);
      case COMMAND.close: {
        const opened = this.#open.get(file(8));
        if (opened?.gone === true) this.files.delete(opened.name);
        this.#open.delete(file(8));
        return m.done('close', id);
      }
      case COMMAND.read:
        return this.#read(id, file(16), message);
      case COMMAND.write:
        return this.#write(id, file(16), message);
      case COMMAND.setInfo: {
        const name = this.#open.get(file(16))?.name ?? '';
        if (message[BODY + 3] === 20)
          this.files.set(name, resized(this.files.get(name), message.readUInt32LE(BODY + 32)));
        return m.done('setInfo', id);
      }
      case COMMAND.ioctl:
        return m.controlled(id);
      case COMMAND.echo:
        return m.message(COMMAND.echo, id, true, Buffer.from([4, 0, 0, 0]));
      default:
        return undefined;
    }
  }

  #create(id: number, message: Buffer): Buffer {
    const at = FRAME + message.readUInt16LE(BODY + 44);
    const name = message.toString('utf16le', at, at + message.readUInt16LE(BODY + 46));
    const fresh = !this.files.has(name);
    // Whoever opens to read or delete finds what there is.
    const makes = (message.readUInt32LE(BODY + 24) & 2) !== 0;
    if (fresh && !makes)
      return m.message(COMMAND.create, id, true, Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 0]), { status: STATUS.notFound });
    if (fresh) this.files.set(name, Buffer.alloc(0));
    this.#open.set(++this.#last, { name, gone: (message.readUInt32LE(BODY + 40) & 0x1000) !== 0 });
    return m.created(id, this.#last, this.files.get(name)?.length ?? 0, fresh);
  }

  #read(id: number, file: number, message: Buffer): Buffer {
    const name = this.#open.get(file)?.name ?? '';
    const content = this.#mischief.content?.(name, ++this.#reads) ?? this.files.get(name) ?? Buffer.alloc(0);
    const at = message.readUInt32LE(BODY + 8);
    const data = content.subarray(at, at + message.readUInt32LE(BODY + 4));
    if (data.length > 0) return m.readAnswer(id, data);
    return m.message(COMMAND.read, id, true, Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 0]), { status: STATUS.endOfFile });
  }

  #write(id: number, file: number, message: Buffer): Buffer {
    const name = this.#open.get(file)?.name ?? '';
    const start = FRAME + message.readUInt16LE(BODY + 2);
    const data = message.subarray(start, start + message.readUInt32LE(BODY + 4));
    const at = message.readUInt32LE(BODY + 8);
    const before = this.files.get(name) ?? Buffer.alloc(0);
    const after = resized(before, Math.max(before.length, at + data.length));
    data.copy(after, at);
    this.files.set(name, after);
    const answer = m.done('write', id);
    answer.writeUInt32LE(data.length, BODY + 4);
    return answer;
  }
}

/** Its interim answer: the server will say more later. */
export function pending(answer: Buffer): Buffer {
  const interim = Buffer.concat([answer.subarray(0, BODY), Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 0])]);
  interim.writeUIntBE(interim.length - FRAME, 1, 3);
  interim.writeUInt32LE(STATUS.pending, FRAME + 8);
  interim.writeUInt32LE(interim.readUInt32LE(FRAME + 16) | 2, FRAME + 16);
  return interim;
}

function granting(answer: Buffer): Buffer {
  if (answer.length >= BODY) answer.writeUInt16LE(32, FRAME + 14);
  return answer;
}

function withSizes(answer: Buffer): Buffer {
  for (const at of [28, 32, 36]) answer.writeUInt32LE(1 << 20, BODY + at);
  return answer;
}

function resized(content: Buffer | undefined, size: number): Buffer {
  const out = Buffer.alloc(size);
  content?.copy(out);
  return out;
}
