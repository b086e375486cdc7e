/** A Redis of the test's own on a port of loopback. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { ended, freePort, listening, pathOf, serverDirectory } from './peers.js';

/** Its address as `--redis` takes it. */
export async function startRedis(context: TestContext): Promise<string> {
  const port = await freePort();
  let stop = async (): Promise<void> => {};
  const directory = serverDirectory(context, 'redis', () => stop());
  const child = spawn(
    pathOf('redis-server') ?? 'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no'],
    { stdio: 'ignore' },
  );
  stop = () => ended(child);
  await listening(port);
  return `redis://127.0.0.1:${port}`;
}
