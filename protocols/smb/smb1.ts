/**
 * SMB 1 of one connection, in recordings ([MS-CIFS] 3.2, 3.3; [MS-SMB] 3.2, 3.3): takes messages apart, pairs answers with requests, and
 * hands a file's bytes on as they come, with their place. Live, the frame ends what speaks SMB 1: nothing is held here.
 *
 * What a request does to a file happens when its answer says so, but for the bytes of a write, which are taken as they come. A recording
 * may lack a side: then requests are believed, and answers go by their order. README.md maps the sections and says what is left out.
 */
import { Buffer } from 'node:buffer';
import { CLIENT, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import { bulkOf } from './smb1-bulk.js';
import { type Chain, readChain } from './smb1-chain.js';
import { CLOSE, LOCKING_ANDX, NO_ANDX, NT_CANCEL, TREE_CONNECT, WRITE_RAW } from './smb1-commands.js';
import type { Smb1Event } from './smb1-events.js';
import { type Asked, type Exchange, Exchanges } from './smb1-exchanges.js';
import type { OpenSmb1File } from './smb1-file.js';
import { Smb1Files } from './smb1-files.js';
import type { Handle, Tree } from './smb1-handles.js';
import { type Block, HEADER, type Header, Message, readHeader } from './smb1-message.js';
import { parseOpened, parseService } from './smb1-replies.js';
import { parseRequest, type Request } from './smb1-requests.js';
import type { Smb1Signing } from './smb1-signing.js';
import {
  matters,
  type Part,
  parseOpenedByTransaction,
  parsePart,
  parseTransaction,
  pipeOf,
  Transaction,
} from './smb1-transactions.js';

const MAGIC = Buffer.from('\xffSMB', 'latin1');
/** [MS-CIFS] 2.2.4.32.1: an oplock break, which may cross a raw read; no bytes of a file are told apart from it otherwise. */
const OPLOCK_BREAK = 32 + 1 + 16 + 2;

/** [MS-CIFS] 2.2.4.52.2: the server knows none of the dialects. */
const NO_DIALECT = 0xffff;

/** One side's message as it comes. */
interface Incoming {
  /** `head`: nothing of it was taken. `data`: a file's bytes. `tail`: commands behind them. `skip`: the rest is of no concern. */
  stage: 'head' | 'data' | 'tail' | 'skip';
  /** Where the data ends, counted from the message's first byte. */
  until: number;
  handle: Handle | undefined;
  /** Where in the file the message's first byte would lie: before its beginning, as a rule. */
  place: number;
  header: Header | undefined;
  /** The last block before the tail. */
  last: Block | undefined;
  commands: number;
  exchange: Exchange | undefined;
  /** The exchange goes on after this answer. */
  interim: boolean;
  /** Opened, or connected, by a command of this message: those chained to it mean it. */
  opened: Handle | undefined;
  tree: Tree | undefined;
}

/** The raw message that a WRITE_RAW announced. `asked`: the server has not said whether it may come. */
interface RawWrite {
  readonly exchange: Exchange;
  readonly handle: Handle;
  readonly offset: number;
  state: 'asked' | 'granted' | 'unanswered';
}

export class Smb1 {
  readonly #flow: Flow;
  readonly #files: Smb1Files;
  readonly #exchanges: Exchanges;
  readonly #message: Message;
  readonly #signing: Smb1Signing;
  readonly #incoming: [Incoming, Incoming] = [nothing(), nothing()];
  /** The read that is answered by a message without a header. */
  #rawRead: Exchange | undefined;
  #rawWrite: RawWrite | undefined;
  /** The client goes on when the message that is being read has ended. */
  #resumed = false;
  /** Bytes of transactions that are being put together. */
  #collecting = 0;

  constructor(flow: Flow, openFile: OpenSmb1File, signing: Smb1Signing) {
    this.#flow = flow;
    this.#signing = signing;
    this.#message = new Message(flow.limits.smb1Path);
    this.#files = new Smb1Files(flow, openFile);
    this.#exchanges = new Exchanges(flow.limits.smb1Requests);
  }

  /** May the next message of `side` be a file's bytes and nothing else? Asked before its first bytes are judged by their looks. */
  expectsRaw(side: Side): boolean {
    return side === SERVER ? this.#rawRead !== undefined : this.#rawWrite !== undefined;
  }

  /**
   * The bytes [at, to) of a message of `side` that is `length` long and of which `done` were taken before. How many of them are taken: the
   * rest is offered again at once, or with more behind it when that was none.
   */
  read(side: Side, chunk: Buffer, at: number, to: number, done: number, length: number): number {
    if (side === SERVER) this.#files.heard = true;
    const incoming = this.#incoming[side];
    let offset = done;
    const have = done + to - at;
    const origin = at - done;
    for (;;) {
      switch (incoming.stage) {
        case 'head': {
          const head = this.#head(side, this.#message.at(chunk, origin, offset, have, length), incoming);
          if (head < 0) return offset - done;
          offset = head;
          break;
        }
        case 'data': {
          const end = Math.min(have, incoming.until);
          if (end > offset) this.#data(side, incoming, chunk, origin, offset, end);
          offset = end;
          if (offset < incoming.until) return offset - done;
          incoming.stage = incoming.last === undefined ? 'skip' : 'tail';
          break;
        }
        case 'tail':
          // What is noted of it is noted at its own place: what lies before is taken first.
          if (have < length || offset > done) return offset - done;
          offset = this.#tail(side, this.#message.at(chunk, origin, offset, have, length), incoming);
          break;
        case 'skip':
          if (have === length) this.#over(side);
          return have - done;
      }
    }
  }

  /** Is nothing more of `side` to be read in this push? Asked at the end of each message. */
  pauses(side: Side): boolean {
    if (side === CLIENT) return this.#rawWrite?.state === 'asked';
    const resumed = this.#resumed;
    this.#resumed = false;
    // What the client had waiting comes before what the server says next.
    if (resumed) this.#flow.resume(SERVER);
    return resumed;
  }

  /** Bytes of `side` are missing, and what it was sending is not known any more: its next message begins anew. */
  lost(side: Side): void {
    this.#files.loose = true;
    this.#signing.lost();
    const { exchange } = this.#incoming[side];
    this.#incoming[side] = nothing();
    if (side === CLIENT) {
      this.#files.missed();
      // The raw message may have been among them.
      this.#rawWrite = undefined;
      return;
    }
    if (exchange !== undefined) this.#giveUp(exchange);
    this.#rawRead = undefined;
    this.unanswered();
  }

  /** The answer that a WRITE_RAW waits for will not come: the looks of the next message decide. */
  unanswered(): void {
    if (this.#rawWrite?.state !== 'asked') return;
    this.#rawWrite.state = 'unanswered';
    this.#flow.resume(CLIENT);
  }

  /** Nothing more comes. What was asked for and not answered is believed. */
  end(): void {
    for (let exchange = this.#exchanges.oldest(); exchange !== undefined; exchange = this.#exchanges.oldest())
      this.#giveUp(exchange);
    this.#files.end();
  }

  // ── Messages ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Reads up to where a file's bytes begin, or to the end. How far; -1: more is needed. */
  #head(side: Side, message: Message, incoming: Incoming): number {
    const raw = this.#raw(side, message, incoming);
    if (raw !== undefined) return raw ? 0 : -1;
    if (message.have < Math.min(HEADER + 3, message.length)) return -1;
    if (message.length < HEADER + 3) {
      this.#odd('smb1-cut', side);
      incoming.stage = 'skip';
      return 0;
    }
    const header = readHeader(message);
    if (side === SERVER && !header.reply && header.command === LOCKING_ANDX) {
      // An oplock break: the one request that servers make.
      incoming.stage = 'skip';
      return 0;
    }
    if (this.#signing.wants(header.command) && message.have < message.length) return -1;
    if (!this.#signing.fits(side, header, message)) this.#odd('smb1-bad-signature', side);
    const chain = readChain(message, header.command, HEADER, side === SERVER, this.#flow.limits.smb1Chain);
    if (chain === 'more') return -1;
    // Samba lets a raw write go on in the words of the request.
    const echoed = side === SERVER && header.command === WRITE_RAW;
    if (header.reply !== (side === SERVER) && !echoed) this.#odd('smb1-wrong-direction', side);
    incoming.header = header;
    if (side === SERVER) incoming.exchange = this.#exchanges.of(header.exchange);
    return this.#commands(side, message, incoming, header, chain);
  }

  /** True: the message is a file's bytes. False: it cannot be told yet. */
  #raw(side: Side, message: Message, incoming: Incoming): boolean | undefined {
    if (!this.expectsRaw(side)) return undefined;
    const looks = Math.min(message.have, MAGIC.length);
    const similar = message.bytes.compare(MAGIC, 0, looks, message.origin, message.origin + looks) === 0;
    if (side === SERVER) {
      // Only an oplock break may come before it.
      if (message.length === OPLOCK_BREAK && similar) {
        if (message.have < 10) return false;
        if (message.u8(4) === LOCKING_ANDX && message.u8(9) < 0x80) return undefined;
      }
      const exchange = this.#rawRead;
      this.#rawRead = undefined;
      const asked = exchange?.asked.at(-1);
      if (exchange !== undefined && asked?.request.kind === 'read') {
        this.#exchanges.remove(exchange);
        incoming.handle = asked.handle ?? this.#files.withBytes(asked.request.fid, exchange.header, SERVER);
        incoming.place = asked.request.offset;
      }
    } else {
      const raw = this.#rawWrite;
      if (raw?.state === 'unanswered' && similar) {
        if (message.have < Math.min(MAGIC.length, message.length)) return false;
        this.#rawWrite = undefined;
        return undefined;
      }
      this.#rawWrite = undefined;
      incoming.handle = raw?.handle;
      incoming.place = raw?.offset ?? 0;
    }
    incoming.stage = 'data';
    incoming.until = message.length;
    return true;
  }

  /** Commands behind a file's bytes, all of them here. Where to go on. */
  #tail(side: Side, message: Message, incoming: Incoming): number {
    const { last, header } = incoming;
    incoming.stage = 'skip';
    incoming.last = undefined;
    if (last === undefined || header === undefined) return message.from;
    const limit = this.#flow.limits.smb1Chain - incoming.commands;
    const chain = readChain(message, last.next, last.nextAt, side === SERVER, limit);
    return chain === 'more' ? message.from : this.#commands(side, message, incoming, header, chain);
  }

  /** Where to go on: the first of a file's bytes, if there are any. */
  #commands(side: Side, message: Message, incoming: Incoming, header: Header, chain: Chain): number {
    incoming.stage = 'skip';
    incoming.commands += chain.blocks.length;
    if (chain.odd !== undefined) this.#odd(chain.odd, side);
    const { blocks, bulk } = chain;
    for (const block of blocks) {
      incoming.handle = undefined;
      if (side === CLIENT) this.#request(message, incoming, header, block);
      else this.#answer(message, incoming, header, block);
    }
    if (bulk === undefined) return message.from;
    incoming.stage = 'data';
    incoming.until = bulk.end;
    incoming.place -= bulk.start;
    if (chain.continues) incoming.last = blocks.at(-1);
    if (bulk.odd || chain.odd !== undefined) {
      this.#odd('smb1-data-length', side);
      if (incoming.handle !== undefined) this.#files.fileOf(incoming.handle)?.malformed('smb1-data-length');
    }
    return bulk.start;
  }

  #data(side: Side, incoming: Incoming, chunk: Buffer, origin: number, from: number, to: number): void {
    const { handle } = incoming;
    if (handle === undefined) return;
    const file = this.#files.fileOf(handle);
    const place = incoming.place + from;
    handle.position = place + to - from;
    if (side === CLIENT) file?.write(place, chunk, origin + from, origin + to);
    else file?.read(place, chunk, origin + from, origin + to);
  }

  /** A message has ended. */
  #over(side: Side): void {
    const { exchange, interim } = this.#incoming[side];
    this.#incoming[side] = nothing();
    if (side === SERVER) {
      if (exchange !== undefined && !interim) this.#finish(exchange);
      if (this.#resumed) this.#flow.resume(CLIENT);
      return;
    }
    // Its next message has no header, or is a request: only the answer tells.
    if (this.#rawWrite?.state === 'asked') this.#flow.stop(CLIENT);
    if (exchange !== undefined && !this.#files.heard) this.#believe(exchange);
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #request(message: Message, incoming: Incoming, header: Header, block: Block): void {
    message.short = false;
    const request = parseRequest(message, block, header.unicode);
    if (message.short) this.#odd('smb1-cut', CLIENT);
    if (message.cut) this.#odd('smb1-path-limit', CLIENT);
    message.cut = false;
    switch (request.kind) {
      case 'unknown':
        this.#odd('smb1-unknown-command', CLIENT);
        return this.#asked(incoming, header, block, request);
      case 'secondary':
        return this.#secondary(message, header, block);
      case 'transaction':
        return this.#transaction(message, incoming, header, block);
      case 'session-setup':
        this.#signing.setup(message, block, header.unicode);
        return this.#asked(incoming, header, block, request);
      case 'connect':
        incoming.tree = this.#files.connect(request);
        return this.#asked(incoming, header, block, request);
      case 'write-raw': {
        const handle = incoming.opened ?? this.#files.withBytes(request.fid, header, CLIENT);
        this.#asked(incoming, header, block, request, handle);
        incoming.handle = handle;
        incoming.place = request.offset;
        const bulk = bulkOf(message, block, false);
        const sent = bulk === undefined || bulk === 'more' ? 0 : bulk.end - bulk.start;
        if (request.total <= sent) return;
        const { exchange } = incoming;
        if (exchange !== undefined)
          this.#rawWrite = { exchange, handle, offset: request.offset + sent, state: 'asked' };
        return;
      }
      case 'write': {
        const handle = incoming.opened ?? this.#files.withBytes(request.fid, header, CLIENT);
        incoming.handle = handle;
        incoming.place = request.offset;
        return this.#asked(incoming, header, block, request, handle);
      }
      default:
        return this.#asked(incoming, header, block, request);
    }
  }

  /** Notes a request; its answer, or the lack of one, tells what becomes of it. */
  #asked(
    incoming: Incoming,
    header: Header,
    { command }: Pick<Block, 'command'>,
    request: Request,
    handle = this.#about(incoming, header, request),
  ): void {
    if (command === NT_CANCEL) return;
    incoming.exchange ??= this.#exchange(header);
    const { exchange } = incoming;
    exchange.asked.push({ command, request, handle, tree: incoming.tree, settled: false });
    if (request.kind === 'read' && request.raw) this.#rawRead = exchange;
  }

  /** The handle that a request is about. */
  #about(incoming: Incoming, header: Header, request: Request): Handle | undefined {
    if (request.kind === 'open') {
      incoming.opened = this.#files.open(request, header, incoming.tree);
      return incoming.opened;
    }
    return 'fid' in request ? (incoming.opened ?? this.#files.of(request.fid)) : undefined;
  }

  #exchange(header: Header): Exchange {
    const exchange: Exchange = { key: header.exchange, header, asked: [], answered: 0, transaction: undefined };
    if (!this.#exchanges.add(exchange)) this.#odd('smb1-mid-in-use', CLIENT);
    const excess = this.#exchanges.excess();
    if (excess !== undefined) {
      if (this.#files.heard) this.#odd('smb1-requests-limit', CLIENT);
      this.#giveUp(excess);
    }
    return exchange;
  }

  #transaction(message: Message, incoming: Incoming, header: Header, block: Block): void {
    const part = parsePart(message, block, false);
    if (part === undefined) return this.#asked(incoming, header, block, { kind: 'other' });
    const pipe = pipeOf(message, block, part);
    if (pipe !== undefined) this.#files.pipe(pipe, header);
    if (!matters(block.command, part.function)) return this.#asked(incoming, header, block, { kind: 'other' });
    const size = part.totalParameters + part.totalData;
    if (this.#collecting + size > this.#flow.limits.smb1Transactions) {
      this.#odd('smb1-transactions-limit', CLIENT);
      return this.#asked(incoming, header, block, { kind: 'other' });
    }
    const setup = message.copy(part.setup, part.setup + 2 * part.setupCount);
    const transaction = new Transaction(block.command, part, setup);
    this.#collecting += size;
    incoming.exchange ??= this.#exchange(header);
    incoming.exchange.transaction = transaction;
    this.#collect(transaction, message, part, incoming, header);
  }

  #secondary(message: Message, header: Header, block: Block): void {
    const part = parsePart(message, block, false);
    const exchange = this.#exchanges.latest(header.exchange);
    const transaction = exchange?.transaction;
    if (part === undefined || exchange === undefined || transaction === undefined || transaction.whole) return;
    const incoming = { ...nothing(), exchange };
    this.#collect(transaction, message, part, incoming, header);
    if (!this.#files.heard) this.#believe(exchange);
  }

  #collect(transaction: Transaction, message: Message, part: Part, incoming: Incoming, header: Header): void {
    if (!transaction.add(message, part)) this.#odd('smb1-transaction-part', CLIENT);
    if (!transaction.whole) return;
    const request = parseTransaction(transaction, header.unicode, this.#flow.limits.smb1Path);
    this.#collecting -= transaction.size;
    transaction.release();
    if (request.kind === 'copy') this.#odd('smb1-server-copy', CLIENT);
    this.#asked(incoming, header, transaction, request);
  }

  // ── Answers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #answer(message: Message, incoming: Incoming, header: Header, block: Block): void {
    const { exchange } = incoming;
    if (exchange === undefined) return this.#unasked(message, incoming, header, block);
    const failed = header.failed && block.next === NO_ANDX;
    const asked = exchange.asked[exchange.answered];
    if (asked === undefined) {
      // Behind the last command, or the word to go on with a transaction.
      incoming.interim = exchange.transaction !== undefined && !exchange.transaction.whole && !failed;
      return;
    }
    const { request, handle } = asked;
    if (request.kind === 'write-raw') {
      exchange.answered++;
      asked.settled = true;
      if (failed) this.#refused(asked);
      if (this.#rawWrite?.exchange !== exchange || this.#rawWrite.state !== 'asked') return;
      if (block.command === WRITE_RAW && !failed) this.#rawWrite.state = 'granted';
      else this.#rawWrite = undefined;
      this.#resumed = true;
      return;
    }
    if (asked.command !== block.command) {
      this.#odd('smb1-other-answer', SERVER);
      incoming.interim = true;
      return;
    }
    if (exchange.transaction !== undefined && !failed && parsePart(message, block, true) === undefined) {
      incoming.interim = true;
      return;
    }
    exchange.answered++;
    const settled = asked.settled;
    asked.settled = true;
    if (failed) return this.#refused(asked);
    message.short = false;
    switch (request.kind) {
      case 'open': {
        const opened =
          exchange.transaction === undefined
            ? parseOpened(message, block, header.unicode)
            : parseOpenedByTransaction(message, block, exchange.transaction);
        if (opened === undefined || handle === undefined || message.short) this.#odd('smb1-cut', SERVER);
        else this.#files.opened(handle, opened, request);
        return;
      }
      case 'read':
        incoming.handle = handle ?? this.#files.of(request.fid);
        incoming.place = request.offset;
        return;
      case 'negotiate':
        if (request.smb2 && message.u16(block.words) !== NO_DIALECT) this.#odd('smb1-downgrade', SERVER);
        this.#signing.negotiated(message, block);
        return;
      case 'session-setup':
        if (!this.#signing.setUp(message, block, header)) this.#odd('smb1-bad-signature', SERVER);
        return;
      case 'connect':
        if (asked.tree !== undefined) {
          const tid = block.command === TREE_CONNECT ? message.u16(block.words + 2) : header.tid;
          this.#files.connected(asked.tree, tid, parseService(message, block));
        }
        return;
      default:
        if (!settled) this.#files.happened(asked, exchange.header);
    }
  }

  #refused({ request, handle }: Asked): void {
    if (handle === undefined) return;
    if (request.kind === 'open') this.#files.refused(handle);
    // Its bytes were taken, and may have covered others that the server has.
    if (request.kind === 'write' || (request.kind === 'write-raw' && request.some)) {
      this.#odd('smb1-write-refused', SERVER);
      this.#files.fileOf(handle)?.malformed('smb1-write-refused');
    }
  }

  /** An answer whose request was not seen. */
  #unasked(message: Message, incoming: Incoming, header: Header, block: Block): void {
    if (header.failed) return;
    const opened = parseOpened(message, block, header.unicode);
    const bulk = bulkOf(message, block, true);
    if (opened === undefined && bulk === undefined) {
      if (block.command === CLOSE && this.#files.loose) this.#files.closedUnasked();
      return;
    }
    this.#odd('smb1-unasked-answer', SERVER);
    if (opened !== undefined) return this.#files.openedUnasked(opened, header);
    incoming.handle = this.#files.stray(header);
    incoming.place = incoming.handle.position;
    this.#files.fileOf(incoming.handle)?.gap();
  }

  /** An exchange has been answered: what it did not get to was not done. */
  #finish(exchange: Exchange): void {
    this.#remove(exchange);
    for (const { request, handle } of exchange.asked.slice(exchange.answered))
      if (request.kind === 'open' && handle !== undefined) this.#files.refused(handle);
  }

  /** The answer will not come, or not be told from others. */
  #giveUp(exchange: Exchange): void {
    this.#remove(exchange);
    this.#believe(exchange);
    for (const { request, handle } of exchange.asked)
      if (request.kind === 'open' && handle !== undefined && handle.fid === undefined) this.#files.refused(handle);
  }

  #remove(exchange: Exchange): void {
    this.#exchanges.remove(exchange);
    const { transaction } = exchange;
    if (transaction !== undefined && !transaction.whole) this.#collecting -= transaction.size;
  }

  /** What has not been answered was done, as far as one can tell. */
  #believe(exchange: Exchange): void {
    for (const asked of exchange.asked) {
      if (asked.settled) continue;
      asked.settled = true;
      this.#files.happened(asked, exchange.header);
    }
  }

  #odd(event: Smb1Event, side: Side): void {
    this.#flow.anomaly(event, side);
  }
}

function nothing(): Incoming {
  return {
    stage: 'head',
    until: 0,
    handle: undefined,
    place: 0,
    header: undefined,
    last: undefined,
    commands: 0,
    exchange: undefined,
    interim: false,
    opened: undefined,
    tree: undefined,
  };
}
