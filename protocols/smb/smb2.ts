/**
 * SMB 2 and 3 of one connection, in recordings ([MS-SMB2] 3.2, 3.3): takes compounds apart, pairs answers with requests by their message ids,
 * and hands a file's bytes on as they come, with their place. Sealed messages come here opened; signatures are checked where the keys are
 * known. A recording may lack a side or its beginning: then requests are believed, and handles that nobody saw opened are files without names.
 */
import type { Buffer } from 'node:buffer';
import { CLIENT, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import type { SmbEvent } from './events.js';
import type { SessionKeys } from './smb2-keys.js';
import { COMMAND, fileIdAt, HEADER, type Header, number64, readHeader, SAME_FILE, STATUS } from './smb2-message.js';
import {
  parseControl,
  parseCreate,
  parseCreated,
  parseSetInfo,
  parseTreeConnect,
  parseValidated,
} from './smb2-requests.js';
import { type Setup, Smb2Security } from './smb2-security.js';
import type { Handle, Session, Sessions, Tree } from './smb2-session.js';

const READ_ANSWER = HEADER + 16;
const WRITE_REQUEST = HEADER + 48;
const READ_REQUEST = HEADER + 48;

/** Commands of which all must be there to be read. */
const WHOLE: ReadonlySet<number> = new Set([
  COMMAND.negotiate,
  COMMAND.sessionSetup,
  COMMAND.treeConnect,
  COMMAND.create,
  COMMAND.close,
  COMMAND.setInfo,
  COMMAND.ioctl,
  COMMAND.logoff,
]);

/** A request that waits for its answer. */
interface Asked {
  readonly command: number;
  readonly session: Session | undefined;
  handle: Handle | undefined;
  tree: Tree | undefined;
  /** READ: where. */
  offset: number;
  length: number;
  reads: boolean;
  writes: boolean;
  /** What happens to the file when the server says that it did. */
  whenDone: (() => void) | undefined;
  setup: Setup | undefined;
  /** It asks what the server understood of NEGOTIATE. */
  validates: boolean;
}

/** One side's message as it comes. */
interface Incoming {
  stage: 'head' | 'data' | 'skip';
  /** Of the command being read, counted from the message's first byte. */
  end: number;
  dataStart: number;
  dataEnd: number;
  handle: Handle | undefined;
  /** Where in the file the message's first byte would lie. */
  place: number;
  // What related commands go on with.
  lastHandle: Handle | undefined;
  lastSession: Session | undefined;
  lastTree: number;
  /** It came in a sealed one: that is its signature. */
  sealed: boolean;
}

export class Smb2 {
  readonly #flow: Flow;
  readonly #sessions: Sessions;
  readonly #incoming: readonly [Incoming, Incoming] = [nothing(), nothing()];
  readonly #asked = new Map<number, Asked>();
  readonly #mine = new Set<Session>();
  #heard = false;
  #loose = false;
  readonly #security: Smb2Security;
  /** Whose sessions these are: servers count them alike. Its GUID, which is the same on all channels; this connection's own where it was not seen. */
  #server: string;
  /** The handle of bytes whose request was not seen. */
  #stray: Handle | undefined;
  // The session of the last message, so that its id is text only when it changes.
  #lastHigh = -1;
  #lastLow = -1;
  #last: Session | undefined;

  constructor(flow: Flow, sessions: Sessions) {
    this.#flow = flow;
    this.#sessions = sessions;
    this.#security = new Smb2Security(flow, sessions);
    this.#server = `connection ${flow.id}`;
  }

  /**
   * The bytes [at, to) of a message of `side` that is `length` long and of which `done` were taken before. How many of them are taken; what is
   * left is offered again with more behind it.
   */
  read(side: Side, chunk: Buffer, at: number, to: number, done: number, length: number, sealed = false): number {
    if (side === SERVER) this.#heard = true;
    const incoming = this.#incoming[side];
    incoming.sealed = sealed;
    const base = at - done;
    const have = done + to - at;
    let offset = done;
    for (;;) {
      switch (incoming.stage) {
        case 'head': {
          const next = this.#command(side, incoming, chunk, base, offset, have, length);
          if (next < 0) return offset - done;
          offset = next;
          break;
        }
        case 'data': {
          const end = Math.min(have, incoming.dataEnd);
          // In front of the data lie the header, and padding.
          const start = Math.max(offset, incoming.dataStart);
          if (end > start) this.#data(side, incoming, chunk, base + start, base + end, incoming.place + start);
          offset = Math.max(offset, end);
          if (offset < incoming.dataEnd) return offset - done;
          incoming.stage = 'skip';
          break;
        }
        case 'skip': {
          offset = Math.max(offset, Math.min(have, incoming.end));
          if (offset < incoming.end) return offset - done;
          incoming.stage = 'head';
          if (offset >= length) {
            this.#over(incoming);
            return offset - done;
          }
        }
      }
    }
  }

  /** Some of a message of `side` is missing. True: what is left of it is passed over; false: nobody knows where it ends. */
  lost(side: Side): boolean {
    this.#missed(side);
    const { stage } = this.#incoming[side];
    if (stage === 'head') {
      Object.assign(this.#incoming[side], nothing());
      return false;
    }
    return true;
  }

  /** A message was given up. */
  abandon(side: Side): void {
    this.#missed(side);
    Object.assign(this.#incoming[side], nothing());
  }

  #missed(side: Side): void {
    this.#loose = true;
    if (side !== CLIENT) return;
    for (const session of this.#mine)
      for (const handle of [...session.handles.values(), ...session.waiting])
        session.fileOf(handle, this.#flow)?.missed();
  }

  /** Nothing more comes on this connection. */
  end(): void {
    for (const asked of this.#asked.values()) if (!this.#heard) asked.whenDone?.();
    this.#asked.clear();
    this.#stray?.file?.abort('gap');
    for (const session of this.#mine) this.#sessions.left(session, this.#flow);
  }

  /** The keys of a session, by the id in a transform header. */
  keysOf(high: number, low: number): SessionKeys | undefined {
    return this.#session(high, low)?.keys;
  }

  // ── Commands ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Reads the command at `offset`: where to go on, or -1 when more is needed. */
  #command(
    side: Side,
    incoming: Incoming,
    chunk: Buffer,
    base: number,
    offset: number,
    have: number,
    length: number,
  ): number {
    if (have - offset < HEADER) {
      if (have < length) return -1;
      if (offset < length) this.#odd('smb2-cut', side);
      incoming.end = length;
      incoming.stage = 'skip';
      return offset;
    }
    const at = base + offset;
    const header = readHeader(chunk, at);
    let end = length;
    if (header.next !== 0) {
      if (header.next < HEADER || offset + header.next > length) this.#odd('smb2-bad-compound', side);
      else end = offset + header.next;
    }
    incoming.end = end;
    const { command } = header;
    const answers = side === SERVER;
    if (header.response !== answers) {
      this.#odd('smb2-wrong-direction', side);
      incoming.stage = 'skip';
      return offset;
    }
    const brings = answers
      ? command === COMMAND.read && (header.status === STATUS.success || header.status === STATUS.bufferOverflow)
      : command === COMMAND.write;
    const needed = brings
      ? answers
        ? READ_ANSWER
        : WRITE_REQUEST
      : command === COMMAND.read && !answers
        ? READ_REQUEST
        : HEADER;
    const session =
      header.related && incoming.lastSession !== undefined
        ? incoming.lastSession
        : this.#session(header.sessionHigh, header.sessionLow);
    const checked = header.signed && !incoming.sealed && this.#security.knows(session);
    if (end > have && (checked || WHOLE.has(command))) return -1;
    if (have - offset < needed && have < length) return -1;
    if (end - offset < needed) {
      this.#odd('smb2-cut', side);
      incoming.stage = 'skip';
      return offset;
    }
    if (checked) this.#security.check(side, header, session, chunk.subarray(at, base + end));
    else if (!header.signed && !incoming.sealed) this.#security.unsigned(side, header, session);
    incoming.stage = 'skip';
    incoming.handle = undefined;
    incoming.lastSession = session;
    if (!header.related) incoming.lastTree = header.treeId;
    if (answers) this.#answer(incoming, header, session, chunk, at, base + end, offset);
    else this.#request(incoming, header, session, chunk, at, base + end, offset);
    return offset;
  }

  #request(
    incoming: Incoming,
    header: Header,
    session: Session | undefined,
    chunk: Buffer,
    at: number,
    end: number,
    offset: number,
  ): void {
    const { command } = header;
    if (command === COMMAND.cancel) return;
    const asked: Asked = {
      command,
      session,
      handle: undefined,
      tree: undefined,
      offset: 0,
      length: 0,
      reads: false,
      writes: false,
      whenDone: undefined,
      setup: undefined,
      validates: false,
    };
    const tree = session?.trees.get(header.async ? -1 : incoming.lastTree);
    switch (command) {
      case COMMAND.negotiate:
        this.#security.negotiate(chunk, at, end);
        break;
      case COMMAND.sessionSetup:
        asked.setup = this.#security.setup(session, chunk, at, end);
        break;
      case COMMAND.treeConnect: {
        const share = parseTreeConnect(chunk, at, end);
        asked.tree = { share, disk: !/\\IPC\$$/i.test(share ?? '') };
        break;
      }
      case COMMAND.create: {
        const create = parseCreate(chunk, at, end);
        if (create === undefined || session === undefined) break;
        asked.handle = {
          session,
          tree,
          path: create.path,
          nofile: create.directory || tree?.disk === false,
          file: undefined,
          id: undefined,
          position: 0,
        };
        asked.reads = create.reads;
        asked.writes = create.writes;
        session.waiting.add(asked.handle);
        this.#boundHandles(session);
        incoming.lastHandle = asked.handle;
        break;
      }
      case COMMAND.close:
        if (end - at < HEADER + 24) break;
        asked.handle = this.#handle(incoming, session, fileIdAt(chunk, at + HEADER + 8));
        asked.whenDone = () => this.#closed(asked.handle);
        break;
      case COMMAND.read:
        asked.handle = this.#handle(incoming, session, fileIdAt(chunk, at + HEADER + 16), tree, 'bytes');
        asked.length = chunk.readUInt32LE(at + HEADER + 4);
        asked.offset = number64(chunk, at + HEADER + 8);
        break;
      case COMMAND.write: {
        const handle = this.#handle(incoming, session, fileIdAt(chunk, at + HEADER + 16), tree, 'bytes');
        asked.handle = handle;
        this.#bulk(CLIENT, incoming, handle, offset, {
          start: chunk.readUInt16LE(at + HEADER + 2),
          length: chunk.readUInt32LE(at + HEADER + 4),
          place: number64(chunk, at + HEADER + 8),
        });
        break;
      }
      case COMMAND.setInfo: {
        const set = parseSetInfo(chunk, at, end);
        if (set === undefined) break;
        const handle = this.#handle(incoming, session, set.id);
        asked.handle = handle;
        const { info } = set;
        const file = () => handle?.session.fileOf(handle, this.#flow);
        if (info.kind === 'size') asked.whenDone = () => file()?.setSize(info.size);
        else if (info.kind === 'allocation') asked.whenDone = () => file()?.allocate(info.size);
        else if (info.kind === 'rename') asked.whenDone = () => file()?.rename(info.path);
        break;
      }
      case COMMAND.ioctl: {
        const asks = parseControl(chunk, at, end);
        if (asks === undefined) break;
        const handle = this.#handle(incoming, session, asks.id);
        const { control } = asks;
        asked.handle = handle;
        if (control.kind === 'validate') {
          asked.validates = true;
          this.#security.validate(CLIENT, control.said);
        } else if (control.kind === 'zero') asked.whenDone = () => handle?.file?.zero(control.from, control.to);
        else if (control.kind === 'copy') {
          this.#odd('smb2-server-copy', CLIENT);
          asked.whenDone = () => handle?.session.fileOf(handle, this.#flow)?.unseen();
        }
        break;
      }
    }
    if (this.#asked.size >= this.#flow.limits.smbRequests) {
      if (this.#heard) this.#odd('smb2-requests-limit', CLIENT);
      const [oldest] = this.#asked;
      if (oldest !== undefined) {
        oldest[1].whenDone?.();
        this.#asked.delete(oldest[0]);
      }
    }
    this.#asked.set(header.messageId, asked);
  }

  #answer(
    incoming: Incoming,
    header: Header,
    session: Session | undefined,
    chunk: Buffer,
    at: number,
    end: number,
    offset: number,
  ): void {
    const { command, status } = header;
    // What it says will be said later.
    if (status === STATUS.pending || command === COMMAND.oplockBreak) return;
    const asked = this.#asked.get(header.messageId);
    if (asked !== undefined && asked.command !== command) this.#odd('smb2-other-answer', SERVER);
    this.#asked.delete(header.messageId);
    const done = status === STATUS.success || status === STATUS.bufferOverflow;
    switch (command) {
      case COMMAND.negotiate: {
        if (done && this.#security.negotiated(chunk, at, end)) this.#server = fileIdAt(chunk, at + HEADER + 8);
        return;
      }
      case COMMAND.sessionSetup:
        return this.#security.setUp(header, session, asked?.setup, chunk, at, end);
      case COMMAND.logoff:
        if (done) (asked?.session ?? session)?.end('reset');
        return;
      case COMMAND.treeConnect: {
        if (!done || session === undefined || end - at < HEADER + 16) return;
        const tree = asked?.tree ?? { share: undefined, disk: true };
        tree.disk = chunk[at + HEADER + 2] === 1;
        if (session.trees.size < this.#flow.limits.smbHandles) session.trees.set(header.treeId, tree);
        return;
      }
      case COMMAND.create: {
        const handle = asked?.handle;
        const created = done ? parseCreated(chunk, at, end) : undefined;
        if (created === undefined) {
          if (handle !== undefined) {
            handle.session.forget(handle);
            handle.file?.abort('reset');
          }
          return;
        }
        this.#created(handle ?? this.#nameless(session), created, asked);
        return;
      }
      case COMMAND.read: {
        if (!done) return;
        const handle = asked?.handle ?? this.#strayOf(session);
        const length = chunk.readUInt32LE(at + HEADER + 4);
        if (asked !== undefined && length > asked.length) this.#odd('smb2-data-length', SERVER);
        const place = asked?.handle === undefined ? (handle?.position ?? 0) : asked.offset;
        this.#bulk(SERVER, incoming, handle, offset, { start: chunk[at + HEADER + 2] ?? 0, length, place });
        return;
      }
      case COMMAND.write:
        // Its bytes were taken as they came.
        if (!done && asked?.handle !== undefined)
          asked.handle.session.fileOf(asked.handle, this.#flow)?.malformed('smb2-write-refused' satisfies SmbEvent);
        return;
      case COMMAND.ioctl:
        if (done && asked?.validates === true) this.#security.validate(SERVER, parseValidated(chunk, at, end));
        if (done) asked?.whenDone?.();
        return;
      default:
        if (done) asked?.whenDone?.();
    }
  }

  #created(
    handle: Handle,
    { id, size, directory, fresh }: { id: string; size: number; directory: boolean; fresh: boolean },
    asked: Asked | undefined,
  ): void {
    const { session } = handle;
    session.waiting.delete(handle);
    handle.id = id;
    // Whatever the client calls it.
    handle.nofile = directory || handle.tree?.disk === false;
    session.handles.set(id, handle);
    const opening = asked === undefined ? undefined : { fresh, reads: asked.reads, writes: asked.writes };
    session.fileOf(handle, this.#flow)?.opened(size, opening);
  }

  /** A file's bytes follow, `start` behind the command's header. */
  #bulk(
    side: Side,
    incoming: Incoming,
    handle: Handle | undefined,
    offset: number,
    { start, length, place }: { start: number; length: number; place: number },
  ): void {
    if (length === 0) return;
    const first = offset + start;
    if (start < HEADER || first + length > incoming.end) {
      this.#odd('smb2-data-length', side);
      if (handle !== undefined)
        handle.session.fileOf(handle, this.#flow)?.malformed('smb2-data-length' satisfies SmbEvent);
      if (start < HEADER || first >= incoming.end) return;
    }
    incoming.stage = 'data';
    incoming.dataStart = first;
    incoming.dataEnd = Math.min(first + length, incoming.end);
    incoming.handle = handle;
    incoming.place = place - first;
  }

  #data(side: Side, incoming: Incoming, chunk: Buffer, start: number, end: number, place: number): void {
    const { handle } = incoming;
    if (handle === undefined) return;
    handle.position = place + end - start;
    const file = handle.session.fileOf(handle, this.#flow);
    if (side === CLIENT) file?.write(place, chunk, start, end);
    else file?.read(place, chunk, start, end);
  }

  #over(incoming: Incoming): void {
    incoming.lastHandle = undefined;
    incoming.lastSession = undefined;
  }

  // ── Handles ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #handle(
    incoming: Incoming,
    session: Session | undefined,
    id: string,
    tree?: Tree,
    wanted: 'bytes' | 'any' = 'any',
  ): Handle | undefined {
    if (id === SAME_FILE) return incoming.lastHandle;
    const known = session?.handles.get(id) ?? this.#unanswered(session, id);
    if (known !== undefined) {
      incoming.lastHandle = known;
      return known;
    }
    if (wanted === 'any' || session === undefined) return undefined;
    this.#odd('smb2-unknown-handle', CLIENT);
    const handle = { ...this.#nameless(session), tree, id, nofile: tree?.disk === false };
    session.handles.set(id, handle);
    // What went before is not seen.
    session.fileOf(handle, this.#flow)?.missed();
    this.#boundHandles(session);
    incoming.lastHandle = handle;
    return handle;
  }

  /** The server is not seen: the handle is that of the open that has waited longest. */
  #unanswered(session: Session | undefined, id: string): Handle | undefined {
    if (session === undefined || (this.#heard && !this.#loose)) return undefined;
    const [oldest] = session.waiting;
    if (oldest === undefined) return undefined;
    session.waiting.delete(oldest);
    oldest.id = id;
    session.handles.set(id, oldest);
    return oldest;
  }

  #nameless(session: Session | undefined): Handle {
    const of = session ?? this.#session(-1, -1) ?? this.#sessions.of(this.#server, this.#flow.limits);
    return {
      session: of,
      tree: undefined,
      path: undefined,
      nofile: false,
      file: undefined,
      id: undefined,
      position: 0,
    };
  }

  #strayOf(session: Session | undefined): Handle {
    this.#odd('smb2-unasked-answer', SERVER);
    this.#stray ??= this.#nameless(session);
    return this.#stray;
  }

  #closed(handle: Handle | undefined): void {
    if (handle === undefined) return;
    handle.session.forget(handle);
    handle.file?.movedTo(this.#flow);
    handle.file?.close();
  }

  #boundHandles(session: Session): void {
    if (session.handles.size + session.waiting.size <= this.#flow.limits.smbHandles) return;
    this.#odd('smb2-handles-limit', CLIENT);
    const [oldest] = session.handles.size > 0 ? session.handles.values() : session.waiting;
    if (oldest === undefined) return;
    session.forget(oldest);
    oldest.file?.abort('gap');
    oldest.nofile = true;
  }

  // ── Sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #session(high: number, low: number): Session | undefined {
    if (high === this.#lastHigh && low === this.#lastLow) return this.#last;
    if (high === 0 && low === 0) return undefined;
    const session = this.#sessions.of(`${this.#server} ${high}.${low}`, this.#flow.limits);
    session.channels.add(this.#flow);
    this.#mine.add(session);
    this.#lastHigh = high;
    this.#lastLow = low;
    this.#last = session;
    return session;
  }

  #odd(event: SmbEvent, side: Side): void {
    this.#flow.anomaly(event, side);
  }
}

function nothing(): Incoming {
  return {
    stage: 'head',
    end: 0,
    dataStart: 0,
    dataEnd: 0,
    handle: undefined,
    place: 0,
    lastHandle: undefined,
    lastSession: undefined,
    lastTree: 0,
    sealed: false,
  };
}
