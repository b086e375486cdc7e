/** aiosmtpd: an SMTP server that says little of itself (no PIPELINING, no CHUNKING) and forgets what it is told. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { ended, listening } from './peers.js';

/** The system's own: aiosmtpd is installed beside it. */
export const PYTHON = '/usr/bin/python3';

export async function startAiosmtpd(context: TestContext, port: number): Promise<void> {
  const server = spawn(PYTHON, ['-m', 'aiosmtpd', '-n', '-l', `127.0.0.1:${port}`, '-c', 'aiosmtpd.handlers.Sink'], {
    stdio: 'ignore',
  });
  context.after(() => ended(server));
  await listening(port);
}
