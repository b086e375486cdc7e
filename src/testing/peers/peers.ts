/**
 * Tests against software that we did not write. Each starts its own servers on loopback, with configurations of its own; scripts/install-peers
 * installs the programs (Debian). Where one is missing the test is left out and named, or fails when INSPECTD_PEERS=required.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** A test that needs `programs`, and root: servers change their user. */
export function peerTest(
  title: string,
  programs: readonly string[],
  body: (context: TestContext) => Promise<void>,
): void {
  const missing = programs.filter((program) => pathOf(program) === undefined);
  if (process.getuid?.() !== 0) missing.push('root rights');
  if (missing.length === 0) test(title, body);
  else if (process.env['INSPECTD_PEERS'] === 'required')
    test(title, () => assert.fail(`missing: ${missing.join(', ')} (run scripts/install-peers)`));
  else test(title, { skip: `needs ${missing.join(', ')}` }, () => {});
}

/** Packages that scripts/install-peers only unpacks. */
export const UNPACKED = '/usr/local/lib/inspectd-peers';

/** Where a program is, also where users' PATH does not look. A path is itself. */
export function pathOf(program: string): string | undefined {
  // Its name says nothing by itself.
  if (program === 'nullmailer-smtp') return pathOf(join(UNPACKED, 'usr/lib/nullmailer/smtp'));
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  const unpacked = ['usr/sbin', 'usr/bin'].map((name) => join(UNPACKED, name));
  for (const directory of isAbsolute(program) ? [''] : [...directories, ...unpacked]) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

const scratches: string[] = [];
process.once('exit', () => {
  for (const each of scratches) rmSync(each, { recursive: true, force: true });
});

/** A directory that goes with the test's process: what was started in it ends before, in whatever order hooks run. */
export function scratch(_context: TestContext, name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `inspectd-${name}-`));
  scratches.push(directory);
  return directory;
}

/** A server's directory: `stop` is called after the test, then the directory goes. */
export function serverDirectory(
  context: TestContext,
  name: string,
  stop: (directory: string) => void | Promise<void>,
): string {
  const directory = mkdtempSync(join(tmpdir(), `inspectd-${name}-`));
  // Servers change their user, and must get in.
  chmodSync(directory, 0o755);
  context.after(async () => {
    await stop(directory);
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
  return directory;
}

/** Runs a program to its end; what it printed. Fails the test unless it ends with 0, or one of `statuses`. */
export function run(
  program: string,
  args: readonly string[],
  options: { input?: string | Buffer; statuses?: readonly number[] } = {},
): string {
  const done = spawnSync(pathOf(program) ?? program, args, {
    encoding: 'utf8',
    timeout: 60_000,
    ...(options.input === undefined ? {} : { input: options.input }),
  });
  assert.ok(
    (options.statuses ?? [0]).includes(done.status ?? -1),
    `${program} ended with ${done.status ?? done.signal}: ${done.stderr}${done.stdout}`,
  );
  return done.stdout;
}

/** Ends a child that we started; when it is gone. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

/** Below those that the system gives to connections by itself, which would take one between here and its use. */
const [FIRST_PORT, LAST_PORT] = [10_000, 32_000];

/** A TCP port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** Waits until somebody listens on a port of loopback. */
export async function listening(port: number, address = '127.0.0.1'): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, address);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    await sleep(50);
  }
  assert.fail(`nothing listens on port ${port}`);
}

/** tcpdump on loopback, writing what goes through a port, or what a filter lets through, to `file`. `stop` returns when every packet so far is in it. */
export async function capture(
  context: TestContext,
  what: number | string,
  file: string,
): Promise<{ stop(): Promise<void> }> {
  const tcpdump: ChildProcess = spawn(
    pathOf('tcpdump') ?? 'tcpdump',
    ['-i', 'lo', '-U', '-s', '0', '-B', '8192', '-w', file, typeof what === 'number' ? `tcp port ${what}` : what],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  context.after(() => tcpdump.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    let said = '';
    tcpdump.stderr?.on('data', (text: Buffer) => {
      said += text.toString();
      if (said.includes('listening on')) resolve();
    });
    tcpdump.once('exit', () => reject(new Error(`tcpdump: ${said}`)));
  });
  return {
    async stop() {
      // Packets come to tcpdump in batches, and on a busy machine late.
      await sleep(1500);
      for (let size = -1, tries = 0; size !== statSync(file).size && tries < 30; tries++) {
        size = statSync(file).size;
        await sleep(300);
      }
      const gone = new Promise((resolve) => tcpdump.once('exit', resolve));
      tcpdump.kill('SIGINT');
      await gone;
    },
  };
}
