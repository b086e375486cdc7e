/**
 * 7-Zip for the formats that are not read in process: a few child processes, started when first needed, killed when a job takes too long or
 * brings out too much, and never outliving this one. A child that dies costs its job, not the engine: the container is then `engine-error`.
 *
 * Only an exit code of 0 is trusted. Anything else names the container, and what came out is inspected all the same.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Content, Unpacker } from '../../core/file.js';
import { isEncrypted7z, isEncryptedRar } from '../types/encrypted.js';
import { otherFormat } from './other-formats.js';
import {
  BYTES,
  FRAME_HEADER,
  JSON_LIMIT,
  MEMBER,
  MEMBER_END,
  type MemberFrame,
  OUTCOME,
  type Outcome,
  type ToChild,
} from './seven-zip-messages.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';

const PIECE = 256 * 1024;
/** What a child may use in its life: it retires long before, but it may have lost its parent within a job. */
const PROCESSOR_SECONDS = 900;
/** As much as 7-Zip may write at once. */
const MARGIN = 8 * 1024 * 1024;
/** Types that 7-Zip takes apart, and its name for them; undefined where it is to look itself. */
const FORMATS: ReadonlyMap<string, string | undefined> = new Map([
  ['7z', '7z'],
  ['xz', 'xz'],
  ['bzip2', 'bzip2'],
  ['lzip', 'lzip'],
  ['rar', undefined],
  ['cab', 'cab'],
  ['arj', 'arj'],
  ['lzh', 'lzh'],
  ['iso', undefined],
  ['rpm', 'rpm'],
  ['xar', 'xar'],
  ['dmg', 'dmg'],
  ['chm', undefined],
  ['msi', undefined],
]);
/** One stream without a name: the child gets none either. */
const STREAMS = new Set<string | undefined>(['xz', 'bzip2', 'lzip', 'zstd', 'Z']);

export interface SevenZipOptions {
  /** Processes at most. */
  readonly children: number;
  /** KiB of memory that a child may allocate, where the system can bound it (Linux). */
  readonly memory: number;
  /** Bytes of a container at most: it lies in the child's memory. */
  readonly input: number;
}
export const SEVEN_ZIP_DEFAULTS: SevenZipOptions = { children: 2, memory: 800_000, input: 256 * 1024 * 1024 };

export class SevenZip {
  readonly #options: SevenZipOptions;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  /** Jobs for which no child is free. Each holds a finished file, and those are bounded. */
  readonly #waiting: ((worker: Worker | undefined) => void)[] = [];
  #closed = false;
  readonly #onExit = (): void => this.close();

  constructor(options: SevenZipOptions) {
    this.#options = options;
  }

  /** Ends every child at once. Jobs under way end as `engine-error`. */
  close(): void {
    this.#closed = true;
    process.off('exit', this.#onExit);
    for (const worker of this.#all) worker.kill();
    for (const waiting of this.#waiting.splice(0)) waiting(undefined);
  }

  /** Child processes that there are. */
  get size(): number {
    return this.#all.size;
  }

  /** `format`: 7-Zip's name, or undefined. Members whose names `wanted` refuses are not given out. Never rejects. */
  async unpack(
    content: Content,
    unpacking: Unpacking,
    format: string | undefined,
    wanted: (name: string) => boolean = () => true,
  ): Promise<void> {
    if (content.length > this.#options.input) {
      unpacking.unscannable('limit', `more than ${this.#options.input} bytes for 7-Zip`);
      return;
    }
    const worker = await this.#take();
    if (worker === undefined) {
      unpacking.unscannable('engine-error', '7-Zip was ended');
      return;
    }
    try {
      if (!unpacking.mayGoOn()) return;
      const outcome = await worker.run(content, unpacking, format, wanted);
      if (outcome?.retiring === true) worker.kill();
      if (outcome !== undefined) conclude(outcome, content, unpacking);
    } catch (error) {
      worker.kill();
      unpacking.unscannable('engine-error', `7-Zip: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#give(worker);
    }
  }

  async #take(): Promise<Worker | undefined> {
    if (this.#closed) return undefined;
    let worker = this.#idle.pop();
    while (worker?.dead === true) worker = this.#idle.pop();
    if (worker !== undefined) return worker;
    if (this.#all.size < this.#options.children) return this.#start();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #start(): Worker {
    if (this.#all.size === 0) process.on('exit', this.#onExit);
    const worker = new Worker(this.#options.memory, () => this.#all.delete(worker));
    this.#all.add(worker);
    return worker;
  }

  #give(worker: Worker): void {
    if (this.#closed) return;
    if (worker.dead) this.#all.delete(worker);
    const next = this.#waiting.shift();
    if (next !== undefined) next(worker.dead ? this.#start() : worker);
    else if (!worker.dead) this.#idle.push(worker);
  }
}

/** The formats by their types or their first bytes. */
export function sevenZipUnpacker(limits: ArchiveLimits, sevenZip: SevenZip): Unpacker {
  const formatOf = (
    types: readonly string[],
    content: Content,
  ): { readonly format: string | undefined } | undefined => {
    const type = types.find((one) => FORMATS.has(one));
    if (type !== undefined) return { format: FORMATS.get(type) };
    const format = otherFormat(content.read(0, 8));
    return format === undefined ? undefined : { format };
  };
  const accepted = new WeakMap<Content, string | undefined>();
  return {
    name: '7-zip',
    accepts(types, content) {
      const found = formatOf(types, content);
      if (found !== undefined) accepted.set(content, found.format);
      return found !== undefined;
    },
    async unpack(content, container) {
      const format = accepted.get(content);
      const unpacking = new Unpacking(container, content.length, limits);
      if (unpacking.mayBegin()) await sevenZip.unpack(content, unpacking, format);
    },
  };
}

/** What 7-Zip's end means for the container. */
function conclude(outcome: Outcome, content: Content, unpacking: Unpacking): void {
  const { status, over, complaint } = outcome;
  // Where the headers themselves are locked, 7-Zip fails as with any damage.
  const encrypted = outcome.encrypted || (status !== 0 && isLocked(content));
  if (outcome.volumes) unpacking.unscannable('multipart', 'archive of several volumes');
  if (encrypted) unpacking.unscannable('encrypted', 'archive with encrypted members or headers');
  if (over === 'files') unpacking.stop('limit', 'more files than may be unpacked');
  else if (over === 'bytes') unpacking.overrun();
  else if (outcome.scattered) unpacking.unscannable('unhandled', 'a member that is not written in order');
  else if (status === 1) unpacking.malformed('archive-warnings');
  else if (status !== 0) {
    const detail = `7-Zip exit ${status}${complaint === '' ? '' : `: ${complaint}`}`;
    const damaged = /data error(?! in encrypted)|crc failed(?! in encrypted)|unexpected end/i.test(complaint);
    if (/unsupported/i.test(complaint) && !damaged) unpacking.unscannable('unhandled', detail);
    else if (!encrypted || (damaged && outcome.encrypted))
      unpacking.unscannable(outcome.members > 0 ? 'partiallycorrupted' : 'corrupted', detail);
  } else if (/data after the end/i.test(complaint)) unpacking.malformed('archive-trailing-data');
}

function isLocked(content: Content): boolean {
  // Kept while more is read.
  const head = Buffer.from(content.read(0, 32));
  if (head.toString('latin1', 0, 2) === '7z') return isEncrypted7z(content, head);
  return head.toString('latin1', 0, 4) === 'Rar!' && isEncryptedRar(content, head);
}

/** Takes what a child says of one job. */
interface Listener {
  member(name: string): void;
  bytes(chunk: Buffer, start: number, end: number): void;
  memberEnd(): void;
  outcome(outcome: Outcome): void;
  /** It died, or what it says makes no sense. */
  failed(why: string): void;
}

/** One child process and the job that it is at. */
class Worker {
  readonly #child: ChildProcess;
  readonly #output: Socket;
  #dead = false;
  #listener: Listener | undefined;
  readonly #header = Buffer.alloc(FRAME_HEADER);
  /** Bytes of the frame's header that are there. */
  #headed = 0;
  /** Bytes of the frame's payload that are missing. */
  #missing = 0;
  #json: Buffer[] = [];

  constructor(memory: number, ended: () => void) {
    const script = fileURLToPath(new URL('./seven-zip-child.js', import.meta.url));
    const node = [process.execPath, '--max-old-space-size=256', script];
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore', 'ipc'];
    // Worker limits do not bind WebAssembly memory, and `ulimit -v` keeps it from starting: the data segment is what can be bounded.
    this.#child =
      process.platform === 'linux'
        ? spawn('/bin/sh', ['-c', `ulimit -d ${memory}; ulimit -t ${PROCESSOR_SECONDS}; exec "$0" "$@"`, ...node], {
            stdio,
            serialization: 'advanced',
          })
        : spawn(node[0]!, node.slice(1), { stdio, serialization: 'advanced' });
    this.#output = this.#child.stdout as Socket;
    const gone = (why: string): void => {
      this.#dead = true;
      ended();
      this.#listener?.failed(why);
    };
    this.#output.on('data', (chunk: Buffer) => {
      try {
        this.#receive(chunk);
      } catch (error) {
        this.#listener?.failed(error instanceof Error ? error.message : String(error));
        this.kill();
      }
    });
    this.#child.on('error', (error) => gone(error.message));
    // Not `exit`: what it said last may still be on its way.
    this.#child.on('close', (code, signal) => gone(`the process ended with ${signal ?? code ?? 'nothing'}`));
    this.#rest();
  }

  get dead(): boolean {
    return this.#dead;
  }

  kill(): void {
    this.#dead = true;
    this.#child.kill('SIGKILL');
  }

  /** An idle child keeps nobody from ending. */
  #rest(): void {
    this.#child.unref();
    this.#child.channel?.unref();
    this.#output.unref();
  }

  #work(): void {
    this.#child.ref();
    this.#child.channel?.ref();
    this.#output.ref();
  }

  /** Undefined when a limit ended it; that was reported. Rejects when the child died. */
  async run(
    content: Content,
    unpacking: Unpacking,
    format: string | undefined,
    wanted: (name: string) => boolean,
  ): Promise<Outcome | undefined> {
    const { bytesLeft, filesLeft, timeLeft } = unpacking.container.budget;
    this.#work();
    let timer: NodeJS.Timeout | undefined;
    try {
      const done = new Promise<Outcome | undefined>((resolve, reject) => {
        let member: Member | undefined;
        const stop = (): void => {
          member?.cut();
          member = undefined;
          this.#listener = undefined;
          this.kill();
          resolve(undefined);
        };
        const late = (): void => {
          unpacking.timedOut();
          stop();
        };
        timer = setTimeout(late, Math.min(Math.max(timeLeft, 0), 2 ** 31 - 1));
        this.#listener = {
          member(name) {
            member = undefined;
            if (!wanted(name)) return;
            member = unpacking.open({ name: STREAMS.has(format) ? undefined : name });
            if (member === undefined) stop();
          },
          bytes(chunk, start, end) {
            if (member !== undefined && !member.write(chunk, start, end)) stop();
          },
          memberEnd() {
            member?.end();
            member = undefined;
          },
          outcome(outcome) {
            member?.cut();
            member = undefined;
            resolve(outcome);
          },
          failed(why) {
            member?.cut();
            member = undefined;
            reject(new Error(why));
          },
        };
      });
      // The promise is awaited below: until then its failure is nobody's.
      done.catch(() => {});
      // A little more than may come out: the limit is crossed here, in the member that crosses it, and the child's stop is the second line.
      const maxBytes = Math.max(0, Math.min(bytesLeft, unpacking.ratioRoom())) + MARGIN;
      await this.#send({ kind: 'job', length: content.length, format, maxBytes, maxFiles: Math.max(0, filesLeft) });
      for (let at = 0; at < content.length && !this.#dead; ) {
        const bytes = content.read(at, PIECE);
        if (bytes.length === 0) break;
        at += bytes.length;
        await this.#send({ kind: 'bytes', bytes });
      }
      return await done;
    } finally {
      clearTimeout(timer);
      this.#listener = undefined;
      this.#rest();
    }
  }

  #send(message: ToChild): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#dead) {
        resolve();
        return;
      }
      this.#child.send(message, (error) => {
        // Of a child that died its end tells.
        if (error === null || !this.#child.connected) resolve();
        else reject(error);
      });
    });
  }

  /** Frames as they come, in any pieces; the bytes of members go on without being gathered. */
  #receive(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length || (this.#headed === FRAME_HEADER && this.#missing === 0)) {
      if (this.#headed < FRAME_HEADER) {
        this.#header[this.#headed++] = chunk[at++]!;
        if (this.#headed < FRAME_HEADER) continue;
        this.#missing = this.#header.readUInt32LE(1);
        if (this.#header[0] !== BYTES && this.#missing > JSON_LIMIT) {
          this.#listener?.failed('a frame of it is too long');
          this.kill();
          return;
        }
      }
      const end = Math.min(chunk.length, at + this.#missing);
      if (this.#header[0] === BYTES) {
        if (end > at) this.#listener?.bytes(chunk, at, end);
      } else if (end > at) this.#json.push(chunk.subarray(at, end));
      this.#missing -= end - at;
      at = end;
      if (this.#missing === 0) this.#frame();
    }
  }

  #frame(): void {
    const kind = this.#header[0];
    this.#headed = 0;
    if (kind === BYTES) return;
    const text = Buffer.concat(this.#json).toString();
    this.#json = [];
    if (kind === MEMBER) this.#listener?.member((JSON.parse(text) as MemberFrame).name);
    else if (kind === MEMBER_END) this.#listener?.memberEnd();
    else if (kind === OUTCOME) this.#listener?.outcome(JSON.parse(text) as Outcome);
  }
}
