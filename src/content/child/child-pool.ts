/**
 * Child processes that take hostile content apart: a few of them, started when first needed, killed when a job takes too long or brings
 * out too much, and never outliving this one. A child that dies costs its job, not the engine: its content is then `engine-error`.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { ChildMeta, Content } from '../../core/file.js';
import type { Member, Unpacking } from '../archive/unpacking.js';
import {
  BYTES,
  FRAME_HEADER,
  type JobOutcome,
  JSON_LIMIT,
  MEMBER,
  MEMBER_END,
  type MemberFrame,
  OUTCOME,
  type ToChild,
} from './messages.js';

const PIECE = 256 * 1024;
/** What a child may use in its life: it retires long before, but it may have lost its parent within a job. */
const PROCESSOR_SECONDS = 900;
/** As much as a child may write at once. */
const MARGIN = 8 * 1024 * 1024;

export interface ChildPoolOptions {
  /** Processes at most. */
  readonly children: number;
  /** KiB of memory that a child may allocate, where the system can bound it (Linux). */
  readonly memory: number;
  /** Bytes of a content at most: it lies in the child's memory. */
  readonly input: number;
}

export class ChildPool {
  readonly #name: string;
  readonly #script: URL;
  readonly #options: ChildPoolOptions;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  /** Jobs for which no child is free. Each holds a finished file, and those are bounded. */
  readonly #waiting: ((worker: Worker | undefined) => void)[] = [];
  #closed = false;
  readonly #onExit = (): void => this.close();

  /** `name` stands in findings; `script` is what a child runs (child-jobs.ts serves there). */
  constructor(name: string, script: URL, options: ChildPoolOptions) {
    this.#name = name;
    this.#script = script;
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

  /**
   * Has `content` taken apart, its members written into `unpacking`; those for which `memberOf` knows nothing are not given out. What the
   * child said at its end; undefined when there is no such, and a finding says why. Never rejects.
   */
  async run(
    content: Content,
    unpacking: Unpacking,
    task: unknown,
    memberOf: (frame: MemberFrame) => ChildMeta | undefined,
  ): Promise<JobOutcome | undefined> {
    if (content.length > this.#options.input) {
      unpacking.unscannable('limit', `more than ${this.#options.input} bytes for ${this.#name}`);
      return undefined;
    }
    const worker = await this.#take();
    if (worker === undefined) {
      unpacking.unscannable('engine-error', `${this.#name} was ended`);
      return undefined;
    }
    try {
      if (!unpacking.mayGoOn()) return undefined;
      const outcome = await worker.run(content, unpacking, task, memberOf);
      if (outcome?.retiring === true) worker.kill();
      return outcome;
    } catch (error) {
      worker.kill();
      unpacking.unscannable('engine-error', `${this.#name}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
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
    const worker = new Worker(this.#script, this.#options.memory, () => this.#all.delete(worker));
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

/** Takes what a child says of one job. */
interface Listener {
  member(frame: MemberFrame): void;
  bytes(chunk: Buffer, start: number, end: number): void;
  memberEnd(): void;
  outcome(outcome: JobOutcome): void;
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

  constructor(script: URL, memory: number, ended: () => void) {
    const node = [process.execPath, '--max-old-space-size=256', fileURLToPath(script)];
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
    task: unknown,
    memberOf: (frame: MemberFrame) => ChildMeta | undefined,
  ): Promise<JobOutcome | undefined> {
    const { bytesLeft, filesLeft, timeLeft } = unpacking.container.budget;
    this.#work();
    let timer: NodeJS.Timeout | undefined;
    try {
      const done = new Promise<JobOutcome | undefined>((resolve, reject) => {
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
          member(frame) {
            member = undefined;
            const meta = memberOf(frame);
            if (meta === undefined) return;
            member = unpacking.open(meta);
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
      await this.#send({ kind: 'job', length: content.length, task, maxBytes, maxFiles: Math.max(0, filesLeft) });
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
    if (kind === MEMBER) this.#listener?.member(JSON.parse(text) as MemberFrame);
    else if (kind === MEMBER_END) this.#listener?.memberEnd();
    else if (kind === OUTCOME) this.#listener?.outcome(JSON.parse(text) as JobOutcome);
  }
}
