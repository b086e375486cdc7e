/**
 * SMB 2 and 3 live ([MS-SMB2] 3.2, 3.3): the proxy is the client's server for what it keeps, and the server's client for all else. Compounds are
 * taken apart and their commands done one after the other; requests go on under numbers of the proxy's own (`window.ts`); files are kept and judged
 * (`live-file.ts`). Sessions whose messages nobody but their ends can sign are handed to `signed-smb2.ts`.
 */
import { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../../../src/core/file.js';
import { CLIENT, type Flow, SERVER } from '../../../src/core/flow.js';
import type { SmbEvent } from '../events.js';
import { DIALECT, type SessionKeys, signatureFits } from '../smb2-keys.js';
import { COMMAND, fileIdAt, HEADER, readHeader, SAME_FILE, STATUS } from '../smb2-message.js';
import { parseTreeConnect } from '../smb2-requests.js';
import { type Setup, Smb2Security } from '../smb2-security.js';
import { Session, type Sessions } from '../smb2-session.js';
import { hasFiles, refusedControl } from './asks.js';
import type { LiveFile } from './live-file.js';
import type { LiveSession } from './live-session.js';
import { FILE_ID, LiveShares, type Look, type Then } from './live-shares.js';
import {
  type Command,
  commandsIn,
  errorBody,
  ownAnswer,
  type Payload,
  REFUSAL,
  readdressed,
  setId,
  setStatus,
} from './message.js';
import { SignedSmb2 } from './signed-smb2.js';
import { ServerWindow } from './window.js';
import type { Wire } from './wire.js';

const CREDIT = 65_536;

/** What a client signs in a session that need not be signed: those that protect what was negotiated. */
const SIGNED_BY_CUSTOM: ReadonlySet<number> = new Set([
  COMMAND.treeConnect,
  COMMAND.ioctl,
  COMMAND.sessionSetup,
  COMMAND.logoff,
]);

/** Statuses that a server gives before it looks at signatures, and answers that come without. */
const NEED_NO_SIGNATURE: ReadonlySet<number> = new Set([
  COMMAND.negotiate,
  COMMAND.sessionSetup,
  COMMAND.oplockBreak,
  COMMAND.cancel,
]);

const STUCK = { taken: 'smb2-signed-late', many: 'smb2-requests-limit', other: 'smb2-other-answer' } as const;

const NOTHING: Then = () => {};

export class LiveSmb2 {
  readonly #flow: Flow;
  readonly #sessions: Sessions;
  readonly #wire: Wire;
  readonly #security: Smb2Security;
  readonly #window: ServerWindow;
  readonly #live = new Map<string, LiveSession>();
  readonly #awaited = new Map<FileId, (blocked: boolean) => void>();
  readonly #most = { read: CREDIT, write: CREDIT };
  readonly #shares: LiveShares;
  /** Requests of the client's that have no answer yet. */
  #open = 0;
  /** How many of them went on. */
  #forwarded = 0;
  #over = false;
  /** The proxy has said something by itself: numbers may differ from here on. */
  #spoke = false;
  #signed: SignedSmb2 | undefined;

  constructor(flow: Flow, sessions: Sessions, wire: Wire) {
    this.#flow = flow;
    this.#sessions = sessions;
    this.#wire = wire;
    this.#security = new Smb2Security(flow, sessions);
    this.#window = new ServerWindow(wire, flow.limits.smbRequests, (why) => this.#end(STUCK[why]));
    this.#shares = new LiveShares({
      flow,
      window: this.#window,
      most: this.#most,
      pages: sessions.pages,
      sessions: () => this.#live.values(),
      forward: (command, live, look, then) => this.#forward(command, live, look, then),
      refuse: (command, status, then) => this.#refuse(command, status, then),
      say: (command, status, body, then) => this.#say(command, status, body, then),
      speaks: () => {
        this.#spoke = true;
      },
      await: (id, then) => this.#awaited.set(id, then),
      odd: (event) => this.#odd(event),
    });
  }

  /** The keys of a session, by the id in a transform header. */
  keysOf(high: number, low: number): SessionKeys | undefined {
    return this.#live.get(sessionName(high, low))?.session.keys;
  }

  /** It was ended. */
  get over(): boolean {
    return this.#over;
  }

  /** The client is not read for now. */
  get stopped(): boolean {
    return this.#shares.stopped;
  }

  /** Has anything been numbered anew? Then nobody but us can carry the connection on. */
  get spoke(): boolean {
    return this.#spoke;
  }

  /** NEGOTIATE of SMB 1 went to the server, which answers it in SMB 2. */
  smb1Negotiated(): void {
    this.#window.skip();
    this.#open++;
  }

  /** A message of the client's; `bytes` and `wire` are ours. True: it was answered, and nothing of it is needed any more. */
  client(bytes: Buffer, sealed: boolean, wire: Buffer | undefined): boolean {
    const commands = commandsIn(bytes, sealed, wire);
    if (commands === undefined) return this.#end('smb2-cut');
    if (commands.some(({ header }) => header.response)) return this.#end('smb2-wrong-direction');
    if (commands.some(({ header }) => header.messageId > Number.MAX_SAFE_INTEGER)) return this.#end('smb2-cut');
    if (this.#signed !== undefined) {
      this.#signed.client(commands, bytes, wire);
      return false;
    }
    let live: LiveSession | undefined;
    for (const command of commands) {
      if (!command.header.related) live = this.#sessionOf(command);
      const signed = this.#signedBy(command, live, commands.length > 1);
      if (signed === 'wrong') return this.#end('smb2-bad-signature');
      if (signed === 'unknown') return this.#handOver(() => this.#signed?.client(commands, bytes, wire));
    }
    const [only] = commands;
    if (only === undefined || commands.length > 1) {
      this.#chain(commands, 0, undefined);
      return false;
    }
    const before = this.#forwarded;
    let answered = false;
    this.#first(only, () => {
      answered = true;
    });
    return answered && this.#forwarded === before;
  }

  /** A message of the server's. True: it was to the proxy alone, and nothing of it is needed any more. */
  server(bytes: Buffer, sealed: boolean, wire: Buffer | undefined): boolean {
    const commands = commandsIn(bytes, sealed, wire);
    if (commands === undefined) return this.#end('smb2-cut');
    if (commands.some(({ header }) => !header.response)) return this.#end('smb2-wrong-direction');
    if (this.#signed !== undefined) {
      this.#signed.server(commands, bytes, wire);
      return false;
    }
    let ours = true;
    for (const command of commands) {
      if (!this.#flow.passive) ours = this.#trusted(command) && this.#answer(command) && ours;
    }
    return ours;
  }

  verdict(id: FileId, verdict: Verdict): void {
    const then = this.#awaited.get(id);
    this.#awaited.delete(id);
    then?.(verdict.action === 'block' || verdict.action === 'strip');
    this.#signed?.verdict(id, verdict);
  }

  wake(now: number): void {
    this.#signed?.wake(now);
  }

  /** The client says no more: what it wrote and did not close is not stored. */
  clientEnded(): void {
    for (const { files } of this.#live.values()) for (const file of files.values()) file.drop();
    this.#signed?.clientEnded();
  }

  // ── The client's commands ──────────────────────────────────────────────────────────────────────────────────────────────

  /** The commands of a compound, one after the other; what is related goes on with the file of the one before. */
  #chain(commands: readonly Command[], at: number, before: Buffer | undefined): void {
    const command = commands[at];
    if (command === undefined) return;
    if (!command.header.related || before === undefined) {
      const related = commands[at + 1]?.header.related === true;
      this.#first(command, related ? (answer) => this.#chain(commands, at + 1, answer) : NOTHING);
      if (!related) this.#chain(commands, at + 1, undefined);
      return;
    }
    const previous = commands[at - 1];
    const bytes = Buffer.from(command.bytes);
    // Session and tree are those of the command before, whatever stands here.
    if (previous !== undefined) previous.bytes.copy(bytes, 36, 36, 48);
    const place = FILE_ID.get(command.header.command);
    const next = (then: Buffer): void => this.#chain(commands, at + 1, then);
    if (place !== undefined && bytes.length >= HEADER + place + 16) {
      if (fileIdAt(bytes, HEADER + place) === SAME_FILE) {
        const known = lastFile(before, previous);
        if (known === undefined) {
          const status = before.readUInt32LE(8);
          this.#open++;
          return this.#refuse(command, status === STATUS.success ? REFUSAL.invalidParameter : status, next);
        }
        known.copy(bytes, HEADER + place);
      }
    }
    const related = { ...command, bytes, header: readHeader(bytes, 0) };
    if (command.header.command === COMMAND.changeNotify && commands[at + 1]?.header.related === true) {
      // What waits for it would wait for ever: servers refuse that too (3.3.4.2).
      this.#open++;
      return this.#refuse(related, REFUSAL.internalError, next);
    }
    (commands as Command[])[at] = related;
    this.#first(related, next);
  }

  /** Who signed it? `unknown`: somebody whose key nobody here has, and who does so for more than what is signed by custom. */
  #signedBy(
    { header, bytes, sealed }: Command,
    live: LiveSession | undefined,
    compound: boolean,
  ): 'right' | 'wrong' | 'unknown' {
    if (live === undefined || sealed || !header.signed || header.command === COMMAND.cancel) return 'right';
    const { keys } = live.session;
    if (keys !== undefined) return signatureFits(this.#sessions.crypto, keys, bytes) ? 'right' : 'wrong';
    const custom = SIGNED_BY_CUSTOM.has(header.command) && !compound;
    return custom || this.#security.signing(live.session) === undefined ? 'right' : 'unknown';
  }

  /** May it be done? */
  #first(command: Command, then: Then): void {
    const { header, sealed } = command;
    if (header.command === COMMAND.cancel) return this.#cancel(command);
    if (++this.#open > this.#flow.limits.smbRequests) {
      this.#end('smb2-requests-limit');
      return;
    }
    const live = this.#sessionOf(command);
    const signing = live === undefined ? undefined : this.#security.signing(live.session);
    if (signing?.required === true && !sealed && !header.signed && !NEED_NO_SIGNATURE.has(header.command))
      return this.#refuse(command, REFUSAL.accessDenied, then);
    this.#request(command, live, then);
  }

  #request(command: Command, live: LiveSession | undefined, then: Then): void {
    const { bytes, header } = command;
    const end = bytes.length;
    switch (header.command) {
      case COMMAND.negotiate:
        this.#security.negotiate(bytes, 0, end);
        return this.#forward(command, undefined, (answer) => this.#negotiated(answer), then, true);
      case COMMAND.sessionSetup:
        return this.#setup(command, live, then);
    }
    if (live === undefined) {
      // What belongs to no session that was set up here is not seen by us as the server would see it.
      if (header.command !== COMMAND.echo) return this.#refuse(command, REFUSAL.sessionDeleted, then);
      return this.#forward(command, undefined, undefined, then);
    }
    switch (header.command) {
      case COMMAND.logoff:
        return this.#shares.leaving(live, [...live.files.values()], () =>
          this.#forward(command, live, (answer) => this.#shares.leave(live, answer, () => true), then),
        );
      // Who waits for this sees what was written until now. What is under way may itself wait for this.
      case COMMAND.oplockBreak:
        return this.#shares.settled(
          [...live.files.values()].filter(({ idle }) => idle),
          () => this.#forward(command, live, undefined, then),
        );
      case COMMAND.treeConnect:
        return this.#treeConnect(command, live, then);
      case COMMAND.treeDisconnect: {
        const tree = live.trees.get(header.treeId);
        const within = (file: LiveFile): boolean => this.#shares.treeOf(file) === tree;
        return this.#shares.leaving(live, [...live.files.values()].filter(within), () =>
          this.#forward(command, live, (answer) => this.#shares.leave(live, answer, within), then),
        );
      }
    }
    const tree = live.trees.get(header.treeId);
    if (tree?.disk === false) {
      const control = header.command === COMMAND.ioctl ? refusedControl(bytes) : undefined;
      if (control !== undefined) return this.#refuse(command, control, then);
      return this.#forward(command, live, undefined, then);
    }
    this.#shares.request(command, live, tree, then);
  }

  // ── Sessions and trees ─────────────────────────────────────────────────────────────────────────────────────────────────

  #negotiated(answer: Command): undefined {
    const { bytes, header } = answer;
    if (header.status !== STATUS.success) return undefined;
    if (!this.#security.negotiated(bytes, 0, bytes.length)) return undefined;
    this.#window.multiCredit = (bytes.readUInt32LE(HEADER + 24) & 4) !== 0;
    this.#most.read = Math.max(4096, bytes.readUInt32LE(HEADER + 32));
    this.#most.write = Math.max(4096, bytes.readUInt32LE(HEADER + 36));
    return undefined;
  }

  #setup(command: Command, live: LiveSession | undefined, then: Then): void {
    const { bytes } = command;
    if (bytes.length < HEADER + 24) return this.#refuse(command, REFUSAL.invalidParameter, then);
    // A channel of a session that is open elsewhere: halves of a file could come over each.
    if ((bytes[HEADER + 2] ?? 0) & 1) {
      this.#odd('smb2-channel-refused');
      return this.#refuse(command, REFUSAL.notSupported, then);
    }
    const setup = this.#security.setup(live?.session, bytes, 0, bytes.length);
    // Keys of 3.1.1 come of every byte of this, its number included; who logs in again goes on with those that there are.
    const hashed = this.#security.agreement.dialect === DIALECT.smb311 && live?.established !== true;
    this.#forward(command, live, (answer) => this.#setUp(answer, setup), then, hashed);
  }

  #setUp(answer: Command, setup: Setup | undefined): undefined {
    const { header, bytes } = answer;
    const name = sessionName(header.sessionHigh, header.sessionLow);
    let live = this.#live.get(name);
    if (live === undefined) {
      if (header.status !== STATUS.success && header.status !== STATUS.moreProcessing) return undefined;
      if (this.#live.size >= this.#flow.limits.smbSessions) {
        this.#end('smb2-requests-limit');
        return undefined;
      }
      live = { session: new Session(name), trees: new Map(), files: new Map(), established: false };
      this.#live.set(name, live);
    }
    this.#security.setUp(header, live.session, setup, bytes, 0, bytes.length);
    if (header.status !== STATUS.success && header.status !== STATUS.moreProcessing) this.#forget(name, live);
    live.established ||= header.status === STATUS.success;
    const signing = this.#security.signing(live.session);
    if (header.status === STATUS.success && signing?.required === true && signing.keys === undefined)
      this.#handOver(() => {});
    return undefined;
  }

  #forget(name: string, { files }: LiveSession): void {
    for (const file of files.values()) file.end();
    this.#live.delete(name);
  }

  #treeConnect(command: Command, live: LiveSession, then: Then): void {
    const share = parseTreeConnect(command.bytes, 0, command.bytes.length);
    const known = (answer: Command): undefined => {
      const { header, bytes } = answer;
      if (header.status !== STATUS.success || bytes.length < HEADER + 16) return undefined;
      if (live.trees.size >= this.#flow.limits.smbHandles) this.#end('smb2-handles-limit');
      else live.trees.set(header.treeId, { share, disk: hasFiles(share, bytes[HEADER + 2]) });
      return undefined;
    };
    this.#forward(command, live, known, then);
  }

  // ── To the server, and back ────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sends a command of the client's on. `then` sees the answer before the client does, after `look`, which may give another one in its place.
   * `fixed`: it must keep its number.
   */
  #forward(command: Command, live: LiveSession | undefined, look: Look | undefined, then: Then, hashed = false): void {
    this.#forwarded++;
    const { header, wire, sealed } = command;
    const keys = live?.session.keys;
    const fixed = hashed || (header.signed && !sealed && keys === undefined);
    const id = header.messageId;
    this.#window.send({
      bytes: readdressed(command, id),
      keys,
      seal: sealed,
      from: { id, wire, fixed },
      interim: (answer) => this.#relay(id, answer, keys, undefined),
      answered: (answer) => {
        const other = look?.(answer);
        this.#open--;
        this.#relay(id, answer, keys, other);
        then(other ?? answer.bytes);
      },
    });
  }

  /** An answer under the client's number. */
  #relay(id: number, answer: Command, keys: SessionKeys | undefined, other: Buffer | undefined): void {
    if (other === undefined && answer.header.messageId === id && answer.wire !== undefined)
      return this.#wire.forward(CLIENT, answer.wire);
    const bytes = other ?? readdressed(answer, id);
    setId(bytes, id);
    this.#wire.send(CLIENT, bytes, keys, answer.sealed);
  }

  /** True: it was to the proxy. */
  #answer(command: Command): boolean {
    const to = this.#window.answer(command);
    if (to === undefined) this.#unasked(command);
    return to === 'proxy';
  }

  /** An answer to no request that was numbered anew, or what a server says by itself. */
  #unasked(command: Command): void {
    const { header, bytes, wire } = command;
    if (header.command === COMMAND.negotiate && !this.#spoke && this.#open > 0) {
      // To the NEGOTIATE of SMB 1.
      this.#open--;
      this.#negotiated(command);
      this.#window.granted(bytes.readUInt16LE(14));
      this.#relay(header.messageId, command, undefined, undefined);
      return;
    }
    if (header.command !== COMMAND.oplockBreak) return this.#odd('smb2-unasked-answer');
    if (wire !== undefined) this.#wire.forward(CLIENT, wire);
    else this.#wire.send(CLIENT, Buffer.from(bytes), this.#sessionOf(command)?.session.keys, command.sealed);
  }

  /** Is an answer signed as its session wants it? What the proxy signs anew it must have checked. */
  #trusted({ header, bytes, sealed }: Command): boolean {
    if (sealed || NEED_NO_SIGNATURE.has(header.command) || header.status === STATUS.pending) return true;
    const live = this.#live.get(sessionName(header.sessionHigh, header.sessionLow));
    const keys = live?.session.keys;
    if (live === undefined || keys === undefined) return true;
    if (header.signed) {
      if (header.status !== STATUS.success || signatureFits(this.#sessions.crypto, keys, bytes)) return true;
      this.#end('smb2-bad-signature');
      return false;
    }
    if (this.#security.signing(live.session)?.required !== true || header.status !== STATUS.success) return true;
    this.#end('smb2-unsigned');
    return false;
  }

  #refuse(command: Command, status: number, then: Then): void {
    this.#say(command, status, errorBody(), then);
  }

  /** Answers in the server's place. */
  #say(command: Command, status: number, body: Buffer | Payload, then: Then): void {
    this.#spoke = true;
    this.#open--;
    const bytes = ownAnswer(command, status, body);
    setStatus(bytes, status);
    this.#wire.send(CLIENT, bytes, this.#sessionOf(command)?.session.keys, command.sealed);
    then(bytes);
  }

  #cancel(command: Command): void {
    const { header, wire, sealed } = command;
    const number = header.async ? header.messageId : this.#window.numberOf(header.messageId);
    if (number === undefined) return;
    const keys = this.#sessionOf(command)?.session.keys;
    if (number === header.messageId && wire !== undefined) return this.#wire.forward(SERVER, wire);
    if (header.signed && keys === undefined && !sealed) return;
    this.#wire.send(SERVER, readdressed(command, number), keys, sealed);
  }

  // ── The connection ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #sessionOf({ header }: Command): LiveSession | undefined {
    return this.#live.get(sessionName(header.sessionHigh, header.sessionLow));
  }

  /** Nobody here can sign for this session: from now on nothing of the connection is changed. */
  #handOver(then: () => void): false {
    if (this.#spoke) return this.#end('smb2-signed-late');
    this.#odd('smb2-signed');
    const trees = [...this.#live.values()].map(({ session, trees: known }) => ({ session: session.id, trees: known }));
    this.#signed = new SignedSmb2(this.#flow, this.#wire, this.#sessions.pages, trees);
    then();
    return false;
  }

  #odd(event: SmbEvent): void {
    this.#flow.anomaly(event, CLIENT);
  }

  #end(event: SmbEvent): false {
    this.#over = true;
    this.#flow.anomaly(event, CLIENT);
    this.#flow.reset(event);
    return false;
  }
}

/** A session of a connection, by its id. */
export function sessionName(high: number, low: number): string {
  return `${high}.${low}`;
}

/** The file of the command before: of its answer, if that opened it, or as its request named it. */
function lastFile(answer: Buffer, request: Command | undefined): Buffer | undefined {
  const status = answer.readUInt32LE(8);
  if (status !== STATUS.success && status !== STATUS.bufferOverflow) return undefined;
  if (answer.readUInt16LE(12) === COMMAND.create)
    return answer.length < HEADER + 80 ? undefined : answer.subarray(HEADER + 64, HEADER + 80);
  const place = FILE_ID.get(answer.readUInt16LE(12));
  return place === undefined || request === undefined
    ? undefined
    : request.bytes.subarray(HEADER + place, HEADER + place + 16);
}
