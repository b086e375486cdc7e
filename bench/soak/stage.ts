/** What every long test of the daemon begins with: a server behind it, the daemon, and a look at both every second. */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { SinkCounts } from './sink.js';
import { Subject, type SubjectSetup, type Vitals } from './subject.js';

export interface Scene {
  readonly subject: Subject;
  /** Where clients connect. */
  readonly port: number;
  counts(): Promise<SinkCounts>;
  /** The vitals of every second so far. */
  readonly seen: readonly Vitals[];
  end(): Promise<void>;
}

export async function scene(setup: Omit<SubjectSetup, 'doors'> & { readonly tls?: boolean }): Promise<Scene> {
  const files = setup.tls === true ? certificate() : [];
  const sink = fork(fileURLToPath(new URL('sink.js', import.meta.url)), files);
  const [{ port: to }, port] = [(await answer(sink)) as { port: number }, await freePort()];
  const subject = await Subject.start({ ...setup, doors: [{ port, to, tls: setup.tls === true }] });
  const seen: Vitals[] = [];
  const timer = setInterval(() => {
    try {
      seen.push(subject.vitals());
    } catch {
      // A worker has just gone.
    }
  }, 1_000);
  return {
    subject,
    port,
    seen,
    async counts() {
      sink.send('counts');
      return (await answer(sink)) as SinkCounts;
    },
    async end() {
      clearInterval(timer);
      await subject.end();
      sink.disconnect();
    },
  };
}

/** Memory of all workers together at some moments of a run: at its start, in its middle, at its end, at its highest. */
export function memoryOf(seen: readonly Vitals[]): Record<'start' | 'middle' | 'end' | 'peak', number> {
  const sums = seen.map(({ rssMb }) => rssMb.reduce((sum, each) => sum + each, 0));
  const at = (part: number): number => sums[Math.min(sums.length - 1, Math.floor(sums.length * part))] ?? 0;
  return { start: at(0.1), middle: at(0.5), end: at(0.99), peak: Math.max(0, ...sums) };
}

/** Waits until `holds`, at most so many seconds; whether it did. */
export async function until(seconds: number, holds: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < seconds * 10; tries++) {
    if (await holds()) return true;
    await sleep(100);
  }
  return false;
}

function answer(sink: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => sink.once('message', resolve));
}

function certificate(): string[] {
  const [key, cert] = ['key', 'crt'].map((kind) => join('/tmp', `inspectd-soak-${process.pid}.${kind}`)) as [
    string,
    string,
  ];
  const made = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-subj', '/CN=mail.test', '-days', '9'];
  spawnSync('openssl', ['req', '-x509', ...made], { stdio: 'ignore' });
  return [key, cert];
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
