/**
 * Commands about files, live ([MS-SMB2] 3.3.5.9 to 3.3.5.21): what is kept and answered here, what is judged before it goes on, and what is refused. Each is done
 * when nothing else is under way with its file.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileStream } from '../../../src/core/file.js';
import { CLIENT, type Flow } from '../../../src/core/flow.js';
import type { SmbEvent } from '../events.js';
import { COMMAND, fileIdAt, HEADER, readHeader, STATUS } from '../smb2-message.js';
import { parseCreate, parseCreated, parseSetInfo } from '../smb2-requests.js';
import type { Spares } from '../spares.js';
import { reconnects, refusedControl, sizePlace, undurable } from './asks.js';
import { type FileSession, idText, LiveFile } from './live-file.js';
import type { LiveSession, LiveTree } from './live-session.js';
import {
  type Command,
  errorBody,
  ownRequest,
  type Payload,
  REFUSAL,
  readAnswerBody,
  readdressed,
  setInfoAnswerBody,
  setStatus,
  writeAnswerBody,
} from './message.js';
import type { ServerWindow } from './window.js';

const CREDIT = 65_536;
/** Own requests ask for so many credits beyond what they take. */
const RESERVE = 64;
/** A read or write of our own is not larger. */
const AT_ONCE = 1024 * 1024;

/** Where the file id lies in a request's body, by command. */
export const FILE_ID: ReadonlyMap<number, number> = new Map([
  [COMMAND.close, 8],
  [COMMAND.flush, 8],
  [COMMAND.lock, 8],
  [COMMAND.ioctl, 8],
  [COMMAND.queryDirectory, 8],
  [COMMAND.changeNotify, 8],
  [COMMAND.read, 16],
  [COMMAND.write, 16],
  [COMMAND.setInfo, 16],
  [COMMAND.queryInfo, 24],
]);

/** FileLinkInformation and its newer form: one more name, and the old one stays. */
const LINKS: readonly number[] = [11, 72];

/** What a command came to, for the next one in its chain. */
export type Then = (answer: Buffer) => void;
/** Sees an answer before the client does, and may give another one in its place. */
export type Look = (answer: Command) => Buffer | undefined;

/** How commands are answered on a connection. */
export interface Answering {
  readonly flow: Flow;
  readonly window: ServerWindow;
  /** The most bytes of one read and one write. */
  readonly most: { readonly read: number; readonly write: number };
  /** Memory for held bytes. */
  readonly pages: Spares;
  sessions(): Iterable<LiveSession>;
  /** Sends a command of the client's on. */
  forward(command: Command, live: LiveSession | undefined, look: Look | undefined, then: Then): void;
  refuse(command: Command, status: number, then: Then): void;
  /** Answers in the server's place. */
  say(command: Command, status: number, body: Buffer | Payload, then: Then): void;
  /** The proxy is about to say something by itself. */
  speaks(): void;
  /** A file was ended: what is it? */
  await(id: FileId, then: (blocked: boolean) => void): void;
  odd(event: SmbEvent): void;
}

export class LiveShares {
  readonly #flow: Flow;
  readonly #answering: Answering;
  readonly #treeOf = new WeakMap<LiveFile, LiveTree>();
  readonly #held = { bytes: 0 };
  /** Bytes of requests that wait here. */
  #parked = 0;
  #stopped = false;

  constructor(answering: Answering) {
    this.#flow = answering.flow;
    this.#answering = answering;
  }

  /** The client is not read for now. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The share that a file lies in. */
  treeOf(file: LiveFile): LiveTree | undefined {
    return this.#treeOf.get(file);
  }

  /** A command in a share with files. */
  request(command: Command, live: LiveSession, tree: LiveTree | undefined, then: Then): void {
    const { bytes, header } = command;
    if (header.command === COMMAND.create) return this.#create(command, live, tree, then);
    const place = FILE_ID.get(header.command);
    if (place === undefined) return this.#answering.forward(command, live, undefined, then);
    if (bytes.length < HEADER + place + 16) return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
    if (header.command === COMMAND.ioctl) {
      const control = refusedControl(bytes);
      if (control !== undefined) return this.#answering.refuse(command, control, then);
    }
    const file = live.files.get(fileIdAt(bytes, HEADER + place));
    if (file === undefined) {
      if (header.command === COMMAND.read || header.command === COMMAND.write)
        return this.#answering.refuse(command, REFUSAL.fileClosed, then);
      return this.#answering.forward(command, live, undefined, then);
    }
    this.#parked += bytes.length;
    this.#pace();
    file.inTurn(() => {
      this.#parked -= bytes.length;
      this.#pace();
      switch (header.command) {
        case COMMAND.read:
          return this.#read(command, live, file, then);
        case COMMAND.write:
          return this.#write(command, live, file, then);
        case COMMAND.close:
          return this.#close(command, live, file, then);
        // What others see behind a lock, or a flush, must be there.
        case COMMAND.lock:
        case COMMAND.flush:
          return file.store((fine) =>
            fine
              ? this.#answering.forward(command, live, undefined, then)
              : this.#answering.refuse(command, REFUSAL.virusInfected, then),
          );
        case COMMAND.setInfo:
          return this.#setInfo(command, live, file, then);
        case COMMAND.queryInfo:
          return this.#answering.forward(command, live, (answer) => withSize(command, answer, file), then);
        default:
          return this.#answering.forward(command, live, undefined, then);
      }
    });
  }

  /** They are gone with their tree or session. */
  leave(live: LiveSession, answer: Command, gone: (file: LiveFile) => boolean): undefined {
    if (answer.header.status !== STATUS.success) return undefined;
    for (const [id, file] of live.files) {
      if (!gone(file)) continue;
      file.end();
      live.files.delete(id);
    }
    return undefined;
  }

  /** They are about to be gone with their tree or session: what was written to them is stored, and what may not be is removed. */
  leaving(live: LiveSession, files: readonly LiveFile[], then: () => void): void {
    const [file, ...others] = files;
    if (file === undefined) return then();
    const next = (): void => this.leaving(live, others, then);
    file.inTurn(() => file.store((fine) => (fine ? next() : this.#discard(live, file, next))));
  }

  /** Stores what was written to files that nobody closed. */
  settled(files: readonly LiveFile[], then: () => void): void {
    const [file, ...others] = files;
    if (file === undefined) return then();
    file.inTurn(() => file.store(() => this.settled(others, then)));
  }

  #create(command: Command, live: LiveSession, tree: LiveTree | undefined, then: Then): void {
    const { bytes } = command;
    const asked = parseCreate(bytes, 0, bytes.length);
    if (asked === undefined) return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
    // What was kept for a handle is gone with its connection.
    if (reconnects(bytes)) return this.#answering.refuse(command, REFUSAL.objectNameNotFound, then);
    if (live.files.size >= this.#flow.limits.smbHandles) {
      this.#answering.odd('smb2-handles-limit');
      return this.#answering.refuse(command, REFUSAL.insufficientResources, then);
    }
    const key = asked.path?.toLowerCase();
    const same = [...live.files.values()].filter(
      (file) => file.dirty && this.#treeOf.get(file) === tree && file.path?.toLowerCase() === key,
    );
    const opened = (answer: Command): undefined => {
      const created =
        answer.header.status === STATUS.success ? parseCreated(answer.bytes, 0, answer.bytes.length) : undefined;
      if (created === undefined) return undefined;
      const file = new LiveFile(this.#fileSession(live, bytes, command.sealed), {
        id: Buffer.from(answer.bytes.subarray(HEADER + 64, HEADER + 80)),
        share: tree?.share,
        path: asked.path,
        fresh: created.fresh && !created.directory,
        reads: asked.reads,
        writes: asked.writes,
        size: created.size,
      });
      if (tree !== undefined) this.#treeOf.set(file, tree);
      live.files.get(created.id)?.end();
      live.files.set(created.id, file);
      return undefined;
    };
    const changed = undurable(bytes);
    const asks = changed === undefined ? command : { ...command, bytes: changed, wire: undefined };
    this.settled(same, () => this.#answering.forward(asks, live, opened, then));
  }

  #read(command: Command, live: LiveSession, file: LiveFile, then: Then): void {
    const { bytes } = command;
    if (bytes.length < HEADER + 48 || bytes.readUInt32LE(HEADER + 36) !== 0)
      return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
    const length = bytes.readUInt32LE(HEADER + 4);
    const at = Number(bytes.readBigUInt64LE(HEADER + 8));
    if (length > this.#answering.most.read) return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
    if (length > 0 && at + length > Number.MAX_SAFE_INTEGER)
      return this.#answering.refuse(command, STATUS.endOfFile, then);
    const least = bytes.readUInt32LE(HEADER + 32);
    file.store((fine) => {
      if (!fine) return this.#answering.refuse(command, REFUSAL.virusInfected, then);
      file.read(at, length, (result) => {
        if (result === 'pass') return this.#answering.forward(command, live, undefined, then);
        if (result === 'end') return this.#answering.refuse(command, STATUS.endOfFile, then);
        if (result === 'blocked') return this.#answering.refuse(command, REFUSAL.virusInfected, then);
        if (typeof result === 'number') return this.#answering.refuse(command, result, then);
        if (result.length < least) return this.#answering.refuse(command, STATUS.endOfFile, then);
        this.#answering.say(command, STATUS.success, readAnswerBody(result), then);
      });
    });
  }

  #write(command: Command, live: LiveSession, file: LiveFile, then: Then): void {
    const { bytes } = command;
    if (bytes.length < HEADER + 48) return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
    const start = bytes.readUInt16LE(HEADER + 2);
    const length = bytes.readUInt32LE(HEADER + 4);
    const at = Number(bytes.readBigUInt64LE(HEADER + 8));
    const channel = bytes.readUInt32LE(HEADER + 32);
    if (file.blocked) return this.#answering.refuse(command, REFUSAL.virusInfected, then);
    const within = start >= HEADER + 48 && start + length <= bytes.length;
    if (
      (!within && length > 0) ||
      channel !== 0 ||
      length > this.#answering.most.write ||
      at + length > Number.MAX_SAFE_INTEGER
    ) {
      if (!within) this.#answering.odd('smb2-data-length');
      return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
    }
    if (file.passesWrites || length === 0) return this.#answering.forward(command, live, undefined, then);
    this.#outdate(live, file);
    const due = file.write(at, bytes, start, start + length);
    const done = (): void => this.#answering.say(command, STATUS.success, writeAnswerBody(length), then);
    if (!due) return done();
    file.store((fine) => (fine ? done() : this.#answering.refuse(command, REFUSAL.virusInfected, then)));
  }

  /** What was read of the same file by other handles is not what is in it any more. */
  #outdate(live: LiveSession, { path }: LiveFile): void {
    for (const file of live.files.values()) if (file.path === path) file.inTurn(() => file.forgetRead());
  }

  #setInfo(command: Command, live: LiveSession, file: LiveFile, then: Then): void {
    const set = parseSetInfo(command.bytes, 0, command.bytes.length);
    if (set === undefined) return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
    const { info } = set;
    if (info.kind === 'rename') {
      const moves = !LINKS.includes(command.bytes[HEADER + 3] ?? 0);
      const moved = ({ header }: Command): undefined => {
        if (moves && header.status === STATUS.success) file.path = info.path;
        return undefined;
      };
      file.named(info.path);
      return this.#named(file, info.path, (fine) =>
        fine
          ? this.#answering.forward(command, live, moved, then)
          : this.#answering.refuse(command, REFUSAL.accessDenied, then),
      );
    }
    if ((info.kind === 'size' || info.kind === 'allocation') && file.dirty) {
      if (info.size > Number.MAX_SAFE_INTEGER) return this.#answering.refuse(command, REFUSAL.invalidParameter, then);
      if (info.kind === 'size' || info.size < file.sizeOver(0)) file.setSize(info.size);
      return this.#answering.say(command, STATUS.success, setInfoAnswerBody(), then);
    }
    file.forgetRead();
    this.#answering.forward(command, live, undefined, then);
  }

  /** A new name: with what is written, or by itself. */
  #named(file: LiveFile, path: string, then: (fine: boolean) => void): void {
    if (file.dirty) return file.store(then);
    const { share } = file.opened;
    const unit = this.#flow.unit(CLIENT, 'aside');
    const name = path.replace(/^\\+/, '');
    const meta = { name, direction: 'upload', ...(share === undefined ? {} : { path: share }) } as const;
    const stream = this.#flow.openFile(meta, unit);
    stream.end();
    file.pause();
    this.#answering.await(stream.id, (blocked) => {
      unit.replace();
      then(!blocked);
      file.goOn();
    });
  }

  #close(command: Command, live: LiveSession, file: LiveFile, then: Then): void {
    file.store((fine) => {
      if (fine && file.failure === STATUS.success)
        return this.#answering.forward(command, live, (answer) => this.#closed(live, file, answer), then);
      if (fine) {
        // The server did not take all that was acknowledged: now is the time to say so.
        const failed = (answer: Command): Buffer => {
          this.#closed(live, file, answer);
          return withStatus(answer, file.failure);
        };
        return this.#answering.forward(command, live, failed, then);
      }
      this.#discard(live, file, () => this.#answering.refuse(command, REFUSAL.virusInfected, then));
    });
  }

  #discard(live: LiveSession, file: LiveFile, then: () => void): void {
    file.discard((removed) => {
      if (!removed) this.#answering.odd('smb2-remains');
      file.end();
      live.files.delete(idText(file.opened.id));
      then();
    });
  }

  #closed(live: LiveSession, file: LiveFile, { header }: Command): undefined {
    if (header.status !== STATUS.success) return undefined;
    file.end();
    live.files.delete(idText(file.opened.id));
    return undefined;
  }

  #fileSession(live: LiveSession, like: Buffer, sealed: boolean): FileSession {
    const header = Buffer.from(like.subarray(0, HEADER));
    const signs = readHeader(header, 0).signed && live.session.keys !== undefined;
    const window = this.#answering.window;
    const most = (limit: number): number => Math.min(limit, AT_ONCE, Math.max(1, window.credits) * CREDIT);
    const limits = (): number =>
      most(window.multiCredit ? Math.min(this.#answering.most.read, this.#answering.most.write) : CREDIT);
    return {
      flow: this.#flow,
      held: this.#held,
      pages: this.#answering.pages,
      makeRoom: () => this.#makeRoom(),
      get mostAtOnce(): number {
        return Math.min(limits(), AT_ONCE);
      },
      get roomy(): boolean {
        return window.multiCredit && window.credits * CREDIT >= AT_ONCE;
      },
      judged: (file: FileStream, then) => this.#answering.await(file.id, then),
      ask: (command, body, payload, answered) => {
        this.#answering.speaks();
        const charge = window.multiCredit ? Math.max(1, Math.ceil(payload / CREDIT)) : 0;
        const bytes = ownRequest(header, command, body, charge, RESERVE);
        if (signs) bytes.writeUInt32LE(8, 16);
        window.send({ bytes, keys: live.session.keys, seal: sealed, from: undefined, answered });
      },
    };
  }

  #makeRoom(): void {
    const enough = this.#flow.limits.heldPerFlow / 4;
    for (const { files } of this.#answering.sessions())
      for (const file of files.values()) {
        if (this.#held.bytes <= enough) return;
        if (file.idle) file.forgetRead();
      }
  }

  /** A client that sends on while its files are judged is not read. */
  #pace(): void {
    const much = this.#parked > 2 * this.#flow.limits.smbMessage;
    if (much === this.#stopped) return;
    this.#stopped = much;
    if (much) this.#flow.stop(CLIENT);
    else this.#flow.resume(CLIENT);
  }
}

/** The answer to a question for a file's size, with what was written and is kept; undefined: as it is. */
function withSize(request: Command, answer: Command, file: LiveFile): Buffer | undefined {
  if (!file.dirty || answer.header.status !== STATUS.success) return undefined;
  const at = sizePlace(request.bytes, answer.bytes);
  if (at === undefined) return undefined;
  const bytes = readdressed(answer, 0);
  const size = file.sizeOver(Number(bytes.readBigUInt64LE(at)));
  bytes.writeBigUInt64LE(BigInt(size), at);
  return bytes;
}

/** The answer with another status, as an error has it. */
function withStatus(answer: Command, status: number): Buffer {
  const bytes = Buffer.concat([answer.bytes.subarray(0, HEADER), errorBody()]);
  bytes.writeUInt32LE(0, 20);
  setStatus(bytes, status);
  return bytes;
}
