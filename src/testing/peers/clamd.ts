/** A clamd of the test's own: a small database, a port of loopback and a Unix socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ended, freePort, listening, pathOf, serverDirectory } from './peers.js';

export interface RunningClamd {
  readonly port: number;
  readonly socket: string;
  readonly process: ChildProcess;
}

/** `signatures` are lines of an .ndb file (`Name:0:*:hex`), `settings` lines of its configuration. */
export async function startClamd(
  context: TestContext,
  signatures: readonly string[],
  settings: readonly string[] = [],
): Promise<RunningClamd> {
  let running: ChildProcess | undefined;
  const base = serverDirectory(context, 'clamd', () => (running === undefined ? undefined : ended(running)));
  const database = join(base, 'database');
  mkdirSync(database);
  writeFileSync(join(database, 'test.ndb'), signatures.map((line) => `${line}\n`).join(''));
  const port = await freePort();
  const socket = join(base, 'clamd.ctl');
  const lines = [
    ...[`DatabaseDirectory ${database}`, `LocalSocket ${socket}`, 'TCPAddr 127.0.0.1', `TCPSocket ${port}`],
    ...['Foreground yes', 'User root', `TemporaryDirectory ${base}`, ...settings],
  ];
  writeFileSync(join(base, 'clamd.conf'), lines.map((line) => `${line}\n`).join(''));
  running = spawn(pathOf('clamd') ?? 'clamd', ['-c', join(base, 'clamd.conf')], { stdio: 'ignore' });
  await listening(port);
  return { port, socket, process: running };
}
