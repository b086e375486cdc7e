/** A Redis of the test's own on a port of loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { ended, freePort, listening, pathOf, serverDirectory } from './peers.js';

/** Its address as `--redis` takes it. */
export async function startRedis(context: TestContext): Promise<string> {
  const port = await freePort();
  await startRedisAt(context, port);
  return `redis://127.0.0.1:${port}`;
}

/** One that a test stops, and starts again, by itself. It forgets everything when it ends. */
export async function startRedisAt(
  context: TestContext,
  port: number,
  password?: string,
): Promise<{ readonly process: ChildProcess; stop(): Promise<void> }> {
  let stop = async (): Promise<void> => {};
  const directory = serverDirectory(context, 'redis', () => stop());
  const child = spawn(
    pathOf('redis-server') ?? 'redis-server',
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no'],
      ...(password === undefined ? [] : ['--requirepass', password]),
    ],
    { stdio: 'ignore' },
  );
  stop = () => ended(child);
  await listening(port);
  return { process: child, stop };
}
