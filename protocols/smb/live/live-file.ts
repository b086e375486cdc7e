/**
 * One opened file of a live session. What is written is kept and acknowledged here; the server gets it when the whole was judged: at CLOSE, and before
 * whatever else would show it (FLUSH, a read, a new name, another open). What is read is fetched whole and judged, and reads are answered out of
 * what was judged. What is too much to keep is judged by its beginning, as oversize, and then passes as it comes.
 */
import { Buffer } from 'node:buffer';
import type { FileMeta, FileStream } from '../../../src/core/file.js';
import { CLIENT, type Flow, type Unit } from '../../../src/core/flow.js';
import { nameAlso, streamOf } from '../opened-file.js';
import { COMMAND, fileIdAt, HEADER, STATUS } from '../smb2-message.js';
import type { Spares } from '../spares.js';
import { HeldBytes } from './held-bytes.js';
import { type Command, closeBody, openBody, type Payload, readBody, setSizeBody, writeBody } from './message.js';

/** What a live file asks of its session. */
export interface FileSession {
  readonly flow: Flow;
  /** A request of the proxy's own about this file's tree. */
  ask(command: number, body: Buffer | Payload, payload: number, answered: (answer: Command) => void): void;
  /** Bytes of a read or write that could go at once. */
  readonly mostAtOnce: number;
  /** Another of the largest could go as well. */
  readonly roomy: boolean;
  /** `file` was ended: what is it? */
  judged(file: FileStream, then: (blocked: boolean) => void): void;
  /** Bytes held for all files of the connection. */
  readonly held: { bytes: number };
  readonly pages: Spares;
  /** Lets go of what was read of files that nobody reads just now, where much is held. */
  makeRoom(): void;
}

export interface OpenedAs {
  readonly id: Buffer;
  readonly share: string | undefined;
  readonly path: string | undefined;
  /** The server made it, or emptied it. */
  readonly fresh: boolean;
  readonly reads: boolean;
  readonly writes: boolean;
  readonly size: number;
}

/** What a read comes to: bytes, the end of the file, a status of the server's, or a refusal. */
export type ReadResult = Payload | 'end' | 'blocked' | 'pass' | number;

const READ_DATA = HEADER + 16;
/** Requests of one file that are under way to the server. */
const AHEAD = 4;
const DISK_FULL = 0xc000_007f;

export class LiveFile {
  readonly #session: FileSession;
  readonly opened: OpenedAs;
  /** Where it is now, within its share: a rename changes that. */
  path: string | undefined;
  /** Names that it was given since. */
  readonly #names: string[] = [];
  #writing: HeldBytes | undefined;
  #writingUnit: Unit | undefined;
  /** What lies below what is written is on the server and was not fetched yet. */
  #baseUnknown: boolean;
  #sizeSet = false;
  /** Something of it has gone to the server. */
  #stored = false;
  #reading: HeldBytes | undefined;
  #readingUnit: Unit | undefined;
  #readable = false;
  #writable = false;
  #writeBlocked = false;
  /** It is longer than it was when it was opened. */
  #grown = false;
  #readBlocked = false;
  /** A write that the server refused when it got what was kept. */
  #failure = STATUS.success as number;
  #busy = false;
  readonly #waiting: (() => void)[] = [];

  constructor(session: FileSession, opened: OpenedAs) {
    this.#session = session;
    this.opened = opened;
    this.path = opened.path;
    this.#baseUnknown = !opened.fresh;
  }

  /** Something was written that the server has not got. */
  get dirty(): boolean {
    return this.#writing !== undefined && (this.#writing.stretches > 0 || this.#sizeSet);
  }

  /** What was written may not be. */
  get blocked(): boolean {
    return this.#writeBlocked;
  }

  /** Writes pass: it was judged as oversize, and may. */
  get passesWrites(): boolean {
    return this.#writable;
  }

  get failure(): number {
    return this.#failure;
  }

  /** Its size as its writer knows it. */
  sizeOver(size: number): number {
    const writing = this.#writing;
    if (writing === undefined || !this.dirty) return size;
    return this.#sizeSet ? writing.size : Math.max(size, writing.size);
  }

  /** Nothing is under way with it. */
  get idle(): boolean {
    return !this.#busy;
  }

  /** Runs `task` when nothing else is under way with this file. */
  inTurn(task: () => void): void {
    if (this.#busy) this.#waiting.push(task);
    else task();
  }

  /** Something else is under way with it, until `goOn`. */
  pause(): void {
    this.#busy = true;
  }

  goOn(): void {
    this.#done(() => {});
  }

  // ── Writing ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Keeps what is written. True: it is time to judge and store what is kept. */
  write(at: number, chunk: Buffer, start: number, end: number): boolean {
    const writing = this.#hold();
    writing.put(at, chunk, start, end, true);
    this.forgetRead();
    const { limits } = this.#session.flow;
    return this.#tooMuch(writing) || writing.stretches > limits.smbStretches;
  }

  /** Its size is set, in turn with what is written. */
  setSize(size: number): void {
    this.#hold().setSize(size);
    this.#sizeSet = true;
    this.forgetRead();
  }

  /** It has another name as well. */
  named(path: string): void {
    this.#names.push(path);
  }

  /** Judges what was written so far, as one file, and stores it if it may be. `then` is told whether it may. */
  store(then: (fine: boolean) => void): void {
    const writing = this.#writing;
    if (this.#writeBlocked || writing === undefined || !this.dirty) return then(!this.#writeBlocked);
    this.#busy = true;
    this.#base(writing, (complete) => {
      const tooMuch = this.#tooMuch(writing);
      this.#judge('upload', writing, this.#writingUnit, complete && !tooMuch, (blocked) => {
        if (blocked) {
          this.#writeBlocked = true;
          this.#letGoOfWritten();
          return this.#empty(() => this.#done(() => then(false)));
        }
        this.#replay(writing, () => {
          if (tooMuch) this.#writable = true;
          if (tooMuch) this.#letGoOfWritten();
          this.#done(() => then(true));
        });
      });
    });
  }

  /** Closes what is blocked, and removes what was made for it. `removed`: nothing of it is left, or it was there before. */
  discard(then: (removed: boolean) => void): void {
    const { path } = this;
    this.#busy = true;
    this.#session.ask(COMMAND.close, closeBody(this.opened.id), 0, () => {
      if (!this.opened.fresh || path === undefined) return this.#done(() => then(true));
      this.#session.ask(COMMAND.create, openBody(path, 'delete'), 0, ({ header, bytes }) => {
        if (header.status !== STATUS.success || bytes.length < HEADER + 80) return this.#done(() => then(false));
        const other = Buffer.from(bytes.subarray(HEADER + 64, HEADER + 80));
        this.#session.ask(COMMAND.close, closeBody(other), 0, () => this.#done(() => then(true)));
      });
    });
  }

  /** A part of it was judged and stored before: it does not remain. */
  #empty(then: () => void): void {
    if (!this.#stored) return then();
    this.#stored = false;
    this.#session.ask(COMMAND.setInfo, setSizeBody(this.opened.id, 0), 0, then);
  }

  /** It ends without having been closed: what was written is judged for the record, and gone. */
  drop(): void {
    const writing = this.#writing;
    if (writing !== undefined && this.dirty && !this.#busy) {
      const file = this.#open('upload', this.#writingUnit);
      writing.tell(file);
      file.abort('reset');
      this.#session.judged(file, () => {});
    }
    this.#writing = undefined;
    this.forgetRead();
  }

  /** What it held is given back. */
  end(): void {
    this.#letGoOfWritten();
    this.forgetRead();
  }

  #hold(): HeldBytes {
    if (this.#writing !== undefined) return this.#writing;
    this.#session.makeRoom();
    this.#writingUnit = this.#session.flow.unit(CLIENT, 'aside');
    this.#writing = this.#heldIn(this.#writingUnit);
    return this.#writing;
  }

  #tooMuch({ memory }: HeldBytes): boolean {
    const { smbHeld, heldPerFlow } = this.#session.flow.limits;
    // Where others hold much already, a large one gets less; a small one is never cut short for them.
    return memory > smbHeld || (memory > smbHeld / 4 && this.#session.held.bytes > heldPerFlow - smbHeld / 2);
  }

  /** Fetches what lies below what is written. `then`: is all of it known? */
  #base(writing: HeldBytes, then: (complete: boolean) => void): void {
    if (!this.#baseUnknown) return then(true);
    const known = (complete: boolean): void => {
      if (complete) this.#baseUnknown = false;
      then(complete);
    };
    const { path } = this;
    const { reads, id } = this.opened;
    if (reads) return this.#fetch(id, writing, true, (result) => known(result === 'whole'));
    if (path === undefined) return then(false);
    this.#session.ask(COMMAND.create, openBody(path, 'read'), 0, ({ header, bytes }) => {
      if (header.status !== STATUS.success || bytes.length < HEADER + 80) return then(false);
      const other = Buffer.from(bytes.subarray(HEADER + 64, HEADER + 80));
      this.#fetch(other, writing, true, (result) =>
        this.#session.ask(COMMAND.close, closeBody(other), 0, () => known(result === 'whole')),
      );
    });
  }

  /** Gives the server what it is owed, a stretch after the other, several of them under way. */
  #replay(writing: HeldBytes, then: () => void): void {
    const { id } = this.opened;
    let open = 0;
    let failed = false;
    const next = (): void => {
      while (open === 0 || (open < AHEAD && this.#session.roomy)) {
        const owed = writing.takeOwed(this.#session.mostAtOnce);
        if (owed === undefined) break;
        this.#stored = true;
        open++;
        this.#session.ask(COMMAND.write, writeBody(id, owed.at, owed.data), owed.data.length, ({ header, bytes }) => {
          open--;
          if (header.status !== STATUS.success || bytes.readUInt32LE(HEADER + 4) !== owed.data.length) {
            failed = true;
            this.#failure = header.status !== STATUS.success ? header.status : DISK_FULL;
            writing.forgive();
          }
          next();
        });
      }
      if (open === 0) sized();
    };
    const sized = (): void => {
      if (!this.#sizeSet || failed) return then();
      this.#sizeSet = false;
      this.#session.ask(COMMAND.setInfo, setSizeBody(id, writing.size), 0, ({ header }) => {
        if (header.status !== STATUS.success) this.#failure = header.status;
        then();
      });
    };
    next();
  }

  #letGoOfWritten(): void {
    const writing = this.#writing;
    if (writing !== undefined) this.#session.held.bytes -= writing.memory;
    this.#writing = undefined;
    this.#sizeSet = false;
    this.#writingUnit?.replace();
    this.#writingUnit = undefined;
    writing?.release();
  }

  // ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** `length` bytes from `at`, out of what was judged. `then` may be told at once. */
  read(at: number, length: number, then: (result: ReadResult) => void, again = false): void {
    if (this.#readBlocked) return then('blocked');
    if (this.#readable) return then('pass');
    const reading = this.#reading;
    if (reading === undefined) return this.#readWhole(() => this.read(at, length, then, true), then);
    if (length === 0 || at < reading.size) return then(reading.slice(at, length));
    if (again) return then('end');
    // It may have grown since.
    this.#busy = true;
    this.#session.ask(COMMAND.read, readBody(this.opened.id, at, 1), 1, ({ header }) => {
      if (header.status === STATUS.endOfFile) return this.#done(() => then('end'));
      this.#grown = true;
      this.forgetRead();
      this.#readWhole(() => this.read(at, length, then, true), then);
    });
  }

  /** What was fetched is out of date. */
  forgetRead(): void {
    this.#readBlocked = false;
    this.#readable = false;
    const reading = this.#reading;
    if (reading === undefined) return;
    this.#session.held.bytes -= reading.memory;
    this.#reading = undefined;
    this.#readingUnit?.replace();
    this.#readingUnit = undefined;
    reading.release();
  }

  #readWhole(then: () => void, failed: (status: number) => void): void {
    this.#busy = true;
    this.#session.makeRoom();
    const unit = this.#session.flow.unit(CLIENT, 'aside');
    const bytes = this.#heldIn(unit);
    this.#fetch(this.opened.id, bytes, false, (result) => {
      const dropped = (): void => {
        this.#session.held.bytes -= bytes.memory;
        unit.replace();
        bytes.release();
      };
      if (typeof result === 'number') {
        dropped();
        return this.#done(() => failed(result));
      }
      this.#judge('download', bytes, unit, result === 'whole', (blocked) => {
        this.#readBlocked = blocked;
        if (blocked || result === 'more') dropped();
        else {
          this.#reading = bytes;
          this.#readingUnit = unit;
        }
        this.#readable = !blocked && result === 'more';
        this.#done(then);
      });
    });
  }

  /** Reads all of it from the server. `under`: into what is written. A number: the server's refusal. */
  #fetch(id: Buffer, into: HeldBytes, under: boolean, then: (result: 'whole' | 'more' | number) => void): void {
    // No more numbers are taken than a client takes that reads the file: one that must keep its own can then still be sent.
    const sized = !under && !this.#grown && this.opened.size > 0;
    const size = sized ? this.opened.size : Number.POSITIVE_INFINITY;
    let at = 0;
    let open = 0;
    let result: 'whole' | 'more' | number | undefined;
    const next = (): void => {
      // Where its size is not known, nobody knows either what lies behind an answer that is short.
      while (result === undefined && at < size && (open === 0 || (sized && open < AHEAD && this.#session.roomy))) {
        if (this.#tooMuch(into)) result = 'more';
        else ask(at, Math.min(this.#session.mostAtOnce, size - at));
      }
      if (open === 0) then(result ?? (this.#tooMuch(into) ? 'more' : 'whole'));
    };
    const ask = (from: number, length: number): void => {
      open++;
      at = from + length;
      this.#session.ask(COMMAND.read, readBody(id, from, length), length, ({ header, bytes }) => {
        open--;
        const { status } = header;
        const start = bytes[HEADER + 2] ?? 0;
        const count = bytes.length < READ_DATA ? 0 : bytes.readUInt32LE(HEADER + 4);
        if (status === STATUS.endOfFile) result ??= 'whole';
        else if (status !== STATUS.success && status !== STATUS.bufferOverflow) result = status;
        else if (count === 0 || count > length || start < READ_DATA || start + count > bytes.length) result ??= 'whole';
        else {
          if (under) into.putUnder(from, bytes, start, start + count);
          else into.put(from, bytes, start, start + count, false);
          // What a short answer left out is asked for again.
          if (count < length) at = Math.min(at, from + count);
        }
        next();
      });
    };
    next();
  }

  // ── Judging ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #judge(
    direction: 'upload' | 'download',
    bytes: HeldBytes,
    unit: Unit | undefined,
    complete: boolean,
    then: (blocked: boolean) => void,
  ): void {
    const file = this.#open(direction, unit);
    bytes.tell(file);
    if (!complete) file.gap(0);
    file.end();
    this.#session.judged(file, then);
  }

  #open(direction: 'upload' | 'download', unit: Unit | undefined): FileStream {
    const { path, share } = this.opened;
    const name = path?.replace(/^\\+/, '');
    const meta: FileMeta = { name, direction, ...(share === undefined ? {} : { path: share }) };
    const file = this.#session.flow.openFile(meta, unit);
    const stream = name === undefined ? undefined : streamOf(name);
    if (stream !== undefined) file.renamed?.(stream);
    for (const each of this.#names) nameAlso(file, each);
    return file;
  }

  #heldIn(unit: Unit): HeldBytes {
    const { flow, held, pages } = this.#session;
    return new HeldBytes((page) => {
      held.bytes += page.length;
      flow.send(CLIENT, page, unit);
    }, pages);
  }

  #done(then: () => void): void {
    this.#busy = false;
    then();
    while (!this.#busy) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next();
    }
  }
}

/** A file id in the words of `smb2-message.ts`. */
export function idText(id: Buffer): string {
  return fileIdAt(id, 0);
}
