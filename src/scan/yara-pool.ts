/**
 * YARA rules run in processes of their own, because that is the only place where they can be stopped: the library has no timeout, and
 * a worker thread does not end while it is in native code. A scan that takes longer than `limits.scanTime` is killed, and the file
 * is `engine-error` with the name of the rule file that was running; a process that dies by itself likewise. The next scan starts
 * another. Idle processes do not keep the program alive. New rules are compiled beside the old ones, which go on until then.
 */
import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ConfigError, SourceError } from '../core/errors.js';
import type { Content, Finding, Scanner } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import { type Signature, YARA } from './signatures.js';
import type { Answer } from './yara-child.js';
import { windows } from './yara-rules.js';

export interface YaraPool extends Scanner {
  /**
   * Takes the rules of `paths` from now on; scans under way end with those that they began with. Rejects as `createYaraPool` does, and
   * then all stays as it was.
   */
  reload(paths: readonly string[]): Promise<void>;
  /** Kills its processes. Scans under way end as engine errors. */
  close(): void;
}

export interface YaraPoolOptions {
  readonly limits: Pick<Limits, 'scanTime' | 'scanWindow' | 'scanOverlap'> & Partial<Pick<Limits, 'scanWait'>>;
  /** Processes at most: one. More than are started at once only when all are busy. */
  readonly processes?: number;
  /** Started at once: one. */
  readonly atOnce?: number;
}

/** Resolves when the rules have compiled; rejects with ConfigError (a rule, with file and line) or SourceError (no YARA-X here). */
export async function createYaraPool(paths: readonly string[], options: YaraPoolOptions): Promise<YaraPool> {
  const pool = new Pool(paths, options);
  await pool.start(options.atOnce ?? 1);
  return pool;
}

class Pool implements YaraPool {
  readonly name = YARA;
  #paths: readonly string[];
  readonly #limits: YaraPoolOptions['limits'];
  readonly #most: number;
  readonly #idle: Runner[] = [];
  readonly #all = new Set<Runner>();
  /** Scans that wait for a process, the first come first. */
  readonly #queue: (() => void)[] = [];
  #closed = false;
  readonly #atExit = (): void => this.close();

  constructor(paths: readonly string[], options: YaraPoolOptions) {
    this.#paths = paths;
    this.#limits = options.limits;
    this.#most = options.processes ?? 1;
    process.once('exit', this.#atExit);
  }

  /** All compile the same, so the first says whether it can be done. */
  async start(atOnce: number): Promise<void> {
    const first = this.#spawn(this.#paths);
    const others = Array.from({ length: Math.max(0, Math.min(atOnce, this.#most) - 1) }, () =>
      this.#spawn(this.#paths),
    );
    try {
      await first.ready;
    } catch (error) {
      this.close();
      throw error;
    }
    for (const runner of [...others, first]) this.#giveBack(runner);
  }

  async reload(paths: readonly string[]): Promise<void> {
    const runner = this.#spawn(paths);
    try {
      await runner.ready;
    } catch (error) {
      this.#all.delete(runner);
      runner.kill('its rules are not used');
      throw error;
    }
    this.#paths = paths;
    for (const old of this.#idle.splice(0)) this.#retire(old);
    this.#giveBack(runner);
  }

  async scan(_info: unknown, content: Content): Promise<readonly Finding[]> {
    const runner = await this.#take();
    const { scanWait = Number.POSITIVE_INFINITY } = this.#limits;
    let deadline = Number.isFinite(scanWait)
      ? setTimeout(() => runner.kill(`not ready within ${scanWait} ms`), scanWait)
      : undefined;
    try {
      await runner.ready;
      clearTimeout(deadline);
      deadline = setTimeout(
        () => runner.kill(`timeout: longer than ${this.#limits.scanTime} ms`),
        this.#limits.scanTime,
      );
      const found: Signature[] = [];
      for (const window of windows(content, this.#limits)) found.push(...(await runner.scan(window)));
      return yaraFindings(found);
    } finally {
      clearTimeout(deadline);
      this.#giveBack(runner);
    }
  }

  close(): void {
    this.#closed = true;
    process.off('exit', this.#atExit);
    for (const runner of this.#all) runner.kill('closed');
    for (const next of this.#queue.splice(0)) next();
  }

  async #take(): Promise<Runner> {
    for (;;) {
      if (this.#closed) throw new SourceError('the pool is closed');
      const idle = this.#idle.pop();
      if (idle !== undefined) {
        if (idle.alive) return idle.busy();
        this.#all.delete(idle);
      } else if (this.#all.size < this.#most) return this.#spawn(this.#paths);
      else await this.#turn();
    }
  }

  /** Settles when a process may be free; rejects with SourceError when that takes too long. */
  #turn(): Promise<void> {
    const wait = this.#limits.scanWait ?? Number.POSITIVE_INFINITY;
    return new Promise((resolve, reject) => {
      const next = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = Number.isFinite(wait)
        ? setTimeout(() => {
            this.#queue.splice(this.#queue.indexOf(next), 1);
            reject(new SourceError(`busy with other files for ${wait} ms`));
          }, wait)
        : undefined;
      this.#queue.push(next);
    });
  }

  #spawn(paths: readonly string[]): Runner {
    const runner = new Runner(paths);
    this.#all.add(runner);
    return runner;
  }

  #giveBack(runner: Runner): void {
    runner.rest();
    if (!runner.alive) this.#all.delete(runner);
    // Of rules that are not those of today.
    else if (runner.paths !== this.#paths) this.#retire(runner);
    else this.#idle.push(runner);
    this.#queue.shift()?.();
  }

  #retire(runner: Runner): void {
    this.#all.delete(runner);
    runner.kill('retired');
  }
}

/** One process. */
class Runner {
  /** Settles when it has compiled the rules, or cannot. */
  readonly ready: Promise<void>;
  /** It can be given a scan. */
  alive = true;
  readonly paths: readonly string[];
  readonly #child: ChildProcess;
  #answered: ((found: readonly Signature[]) => void) | undefined;
  #failed: (error: Error) => void;
  #running: string | undefined;
  #killedFor: string | undefined;

  constructor(paths: readonly string[]) {
    this.paths = paths;
    const script = fileURLToPath(new URL('./yara-child.js', import.meta.url));
    this.#child = spawn(process.execPath, [script, ...paths], { stdio: ['pipe', 'pipe', 'ignore'] });
    let isReady!: () => void;
    this.#failed = () => {};
    this.ready = new Promise((resolve, reject) => {
      isReady = resolve;
      this.#failed = reject;
    });
    // Whoever waits hears of it; nobody waiting is no crash.
    this.ready.catch(() => {});
    createInterface({ input: this.#child.stdout! }).on('line', (line) =>
      this.#hear(JSON.parse(line) as Answer, isReady),
    );
    // A process that died closes its input first; what matters is its end.
    this.#child.stdin!.on('error', () => {});
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('close', (code, signal) => this.#end(`ended with ${signal ?? code}`));
  }

  /** Answers when the process has, or has ended: the bytes, in pieces, are not read after that. */
  scan(pieces: readonly Buffer[]): Promise<readonly Signature[]> {
    return new Promise((resolve, reject) => {
      if (!this.alive) {
        reject(new SourceError(this.#killedFor ?? 'the process has ended'));
        return;
      }
      this.#answered = resolve;
      this.#failed = reject;
      const header = Buffer.alloc(4);
      header.writeUInt32LE(pieces.reduce((sum, piece) => sum + piece.length, 0));
      const input = this.#child.stdin!;
      input.cork();
      input.write(header);
      for (const piece of pieces) input.write(piece);
      input.uncork();
    });
  }

  kill(why: string): void {
    this.#killedFor ??= why;
    this.alive = false;
    this.#child.kill('SIGKILL');
  }

  /** The program waits for it. */
  busy(): this {
    this.#child.ref();
    for (const stream of this.#sockets()) stream.ref();
    return this;
  }

  /** The program does not wait for it. */
  rest(): void {
    this.#running = undefined;
    this.#child.unref();
    for (const stream of this.#sockets()) stream.unref();
  }

  /** Pipes of a child are sockets, whatever their declared type says. */
  #sockets(): Socket[] {
    return [this.#child.stdin as unknown as Socket, this.#child.stdout as unknown as Socket];
  }

  #hear(answer: Answer, isReady: () => void): void {
    if ('ready' in answer) isReady();
    else if ('running' in answer) this.#running = this.paths[answer.running];
    else if ('found' in answer) this.#answered?.(answer.found);
    else this.#failed(answer.config ? new ConfigError(answer.unusable) : new SourceError(answer.unusable));
  }

  #end(how: string): void {
    this.alive = false;
    const where = this.#running === undefined ? '' : ` in ${this.#running}`;
    this.#failed(new SourceError(`${this.#killedFor ?? how}${where}`));
  }
}

/** One finding a virus, in the order found: windows overlap, and rules may share a name. */
function yaraFindings(found: readonly Signature[]): Finding[] {
  const byVirus = new Map(found.map((signature) => [signature.virus, signature]));
  return [...byVirus.values()].map(({ virus, virusId }) => ({
    kind: 'infected',
    virus,
    virusId,
    dtype: 'av-engine',
    by: YARA,
  }));
}
