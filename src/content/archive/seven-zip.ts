/**
 * 7-Zip for the formats that are not read in process: a few child processes, started when first needed, killed when a job takes too long or
 * brings out too much, and never outliving this one. A child that dies costs its job, not the engine: the container is then `engine-error`.
 *
 * Only an exit code of 0 is trusted. Anything else names the container, and what came out is inspected all the same.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Content, Unpacker } from '../../core/file.js';
import type { FromChild, Outcome, ToChild } from './seven-zip-messages.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';

const PIECE = 256 * 1024;
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
/** Formats that FortiOS has no name for. */
const MAGICS: readonly (readonly [string, Buffer])[] = [
  ['zstd', Buffer.from('28b52ffd', 'hex')],
  ['Z', Buffer.from('1f9d', 'hex')],
  ['wim', Buffer.from('MSWIM\0\0\0', 'latin1')],
  ['ar', Buffer.from('!<arch>\n', 'latin1')],
  ['cpio', Buffer.from('070701', 'latin1')],
  ['cpio', Buffer.from('070702', 'latin1')],
  ['cpio', Buffer.from('070707', 'latin1')],
  ['squashfs', Buffer.from('hsqs', 'latin1')],
  ['vhdx', Buffer.from('vhdxfile', 'latin1')],
];
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
      if (outcome !== undefined) conclude(outcome, unpacking);
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
    if (!types.includes('unknown')) return undefined;
    const head = content.read(0, 8);
    const magic = MAGICS.find(([, bytes]) => head.subarray(0, bytes.length).equals(bytes));
    return magic === undefined ? undefined : { format: magic[0] };
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
function conclude(outcome: Outcome, unpacking: Unpacking): void {
  const { status, over, complaint } = outcome;
  if (outcome.volumes) unpacking.unscannable('multipart', 'archive of several volumes');
  if (outcome.encrypted) unpacking.unscannable('encrypted', 'archive with encrypted members or headers');
  if (over === 'files') unpacking.stop('limit', 'more files than may be unpacked');
  else if (over === 'bytes') unpacking.overrun();
  else if (status === 1) unpacking.malformed('archive-warnings');
  else if (status !== 0) {
    const detail = `7-Zip exit ${status}${complaint === '' ? '' : `: ${complaint}`}`;
    if (
      /unsupported|can ?not open the file as|is not supported archive/i.test(complaint) &&
      !/data error|crc failed/i.test(complaint)
    )
      unpacking.unscannable('unhandled', detail);
    else if (
      !outcome.encrypted ||
      /data error(?! in encrypted)|crc failed(?! in encrypted)|unexpected end/i.test(complaint)
    )
      unpacking.unscannable(outcome.members > 0 ? 'partiallycorrupted' : 'corrupted', detail);
  } else if (/data after the end/i.test(complaint)) unpacking.malformed('archive-trailing-data');
}

/** One child process and the job that it is at. */
class Worker {
  readonly #child: ChildProcess;
  #dead = false;
  #receive: ((message: FromChild) => void) | undefined;
  #fail: ((why: string) => void) | undefined;

  constructor(memory: number, ended: () => void) {
    const script = fileURLToPath(new URL('./seven-zip-child.js', import.meta.url));
    const node = [process.execPath, '--max-old-space-size=256', script];
    const stdio: StdioOptions = ['ignore', 'ignore', 'ignore', 'ipc'];
    // Worker limits do not bind WebAssembly memory, and `ulimit -v` keeps it from starting: the data segment is what can be bounded.
    this.#child =
      process.platform === 'linux'
        ? spawn('/bin/sh', ['-c', `ulimit -d ${memory}; exec "$0" "$@"`, ...node], { stdio, serialization: 'advanced' })
        : spawn(node[0]!, node.slice(1), { stdio, serialization: 'advanced' });
    const gone = (why: string): void => {
      this.#dead = true;
      ended();
      this.#fail?.(why);
    };
    this.#child.on('message', (message) => this.#receive?.(message as FromChild));
    this.#child.on('error', (error) => gone(error.message));
    this.#child.on('exit', (code, signal) => gone(`the process ended with ${signal ?? code ?? 'nothing'}`));
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
  }

  /** Undefined when a limit ended it; that was reported. Rejects when the child died. */
  async run(
    content: Content,
    unpacking: Unpacking,
    format: string | undefined,
    wanted: (name: string) => boolean,
  ): Promise<Outcome | undefined> {
    const { bytesLeft, filesLeft, timeLeft } = unpacking.container.budget;
    this.#child.ref();
    this.#child.channel?.ref();
    let timer: NodeJS.Timeout | undefined;
    try {
      const done = new Promise<Outcome | undefined>((resolve, reject) => {
        let member: Member | undefined;
        const stop = (): void => {
          member?.cut();
          member = undefined;
          this.#receive = undefined;
          this.#fail = undefined;
          this.kill();
          resolve(undefined);
        };
        this.#fail = (why) => {
          member?.cut();
          reject(new Error(why));
        };
        timer = setTimeout(
          () => {
            unpacking.timedOut();
            stop();
          },
          Math.min(Math.max(timeLeft, 0), 2 ** 31 - 1),
        );
        this.#receive = (message) => {
          if (message.kind === 'done') resolve(message);
          else if (message.kind === 'member') {
            if (!wanted(message.name)) return;
            const name = STREAMS.has(format) ? undefined : message.name;
            member = unpacking.open({ name, declaredSize: message.size });
            if (member === undefined) stop();
          } else if (message.kind === 'bytes') {
            if (member !== undefined && !member.write(message.bytes, 0, message.bytes.length)) stop();
          } else {
            member?.end();
            member = undefined;
          }
        };
      });
      // The promise is awaited below: until then its failure is nobody's.
      done.catch(() => {});
      // What the ratio allows at most, so that the child stops before the parent has to.
      const maxBytes = Math.max(0, Math.min(bytesLeft, unpacking.ratioRoom()));
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
      this.#receive = undefined;
      this.#fail = undefined;
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
        if (error === null) resolve();
        else if (this.#dead) resolve();
        else reject(error);
      });
    });
  }
}
