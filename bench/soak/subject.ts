/** The daemon under a long test: started as users start it, on loopback, and looked at from outside (/proc). */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { daemonConfig } from '../../src/testing/peers/daemon.js';

const MAIN = fileURLToPath(new URL('../../program/main.js', import.meta.url));

export interface SubjectSetup {
  /** Server ports, and the same number of ports for clients. */
  readonly doors: readonly { readonly port: number; readonly to: number; readonly tls: boolean }[];
  readonly workers: number;
  /** Lines of `config inspectd settings`. */
  readonly settings?: readonly string[];
}

/** What its worker processes have, one number each. */
export interface Vitals {
  readonly rssMb: readonly number[];
  readonly descriptors: readonly number[];
}

export class Subject {
  readonly directory: string;
  readonly configuration: string;
  #process: ChildProcess | undefined;

  /** Settles when it listens. */
  static async start(setup: SubjectSetup): Promise<Subject> {
    const subject = new Subject(setup);
    await subject.start();
    return subject;
  }

  private constructor(setup: SubjectSetup) {
    this.directory = mkdtempSync(join(tmpdir(), 'inspectd-soak-'));
    this.configuration = join(this.directory, 'utm.conf');
    mkdirSync(join(this.directory, 'state'));
    const { doors, workers, settings = [] } = setup;
    const text = daemonConfig(
      {
        doors: doors.map(({ to, tls }) => ({ kind: tls ? 'smtps' : 'smtp', to })),
        settings: [`set workers ${workers}`, ...settings],
      },
      doors.map(({ port }) => port),
      this.directory,
    );
    writeFileSync(this.configuration, text);
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [MAIN, 'serve', '-c', this.configuration], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (text: Buffer) => {
        said += text.toString();
        if (said.includes('inspectd: ready')) resolve();
      });
      child.once('exit', () => reject(new Error(said)));
    });
  }

  /** Ends it as SIGTERM does, and removes what it wrote. */
  async end(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  ask(...words: string[]): string {
    const { stdout } = spawnSync(process.execPath, [MAIN, ...words, '-c', this.configuration], { encoding: 'utf8' });
    return stdout;
  }

  workers(): number[] {
    const pid = this.#process?.pid ?? 0;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  }

  vitals(): Vitals {
    const workers = this.workers();
    return {
      rssMb: workers.map((pid) => {
        const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
        return Math.round(kilobytes / 1024);
      }),
      descriptors: workers.map((pid) => readdirSync(`/proc/${pid}/fd`).length),
    };
  }

  log(): string {
    return readFileSync(join(this.directory, 'utm.log'), 'utf8');
  }
}
