/** A fleet of worker processes and a real Redis. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ended, peerTest, scratch } from '../testing/peers/peers.js';
import { startRedis } from '../testing/peers/redis.js';
import { CAPTURES, inspectd, MAIN } from '../testing/program.js';

interface Running {
  readonly process: ChildProcess;
  /** Settles when it has said a line that begins so. */
  said(start: string): Promise<void>;
}

async function startWorker(context: TestContext, redis: string): Promise<Running> {
  const child = spawn(process.execPath, [MAIN, 'worker', '--redis', redis, '--lock', '2'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  context.after(() => ended(child));
  let text = '';
  const said = (start: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (text.includes(`inspectd: ${start}`)) resolve();
      };
      child.stderr?.on('data', look);
      look();
    });
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await said('ready');
  return { process: child, said };
}

const FLEET = ['redis-server'];

peerTest('what a fleet finds is what a scan finds, in the same order', FLEET, async (context) => {
  const directory = scratch(context, 'fleet');
  const redis = await startRedis(context);
  await Promise.all([startWorker(context, redis), startWorker(context, redis), startWorker(context, redis)]);
  const outputs = async (name: string, command: readonly string[]): Promise<Record<string, string>> => {
    const paths = ['files', 'flows', 'log'].map((kind) => join(directory, `${name}.${kind}`));
    const [files = '', flows = '', log = ''] = paths;
    const where = ['--quiet', '--summary', 'none', '--files', files, '--flows', flows, '--log', log];
    const ran = await inspectd([...command, ...where, CAPTURES]);
    assert.equal(ran.status, 1, ran.said.join('\n'));
    return { files: readFileSync(files, 'utf8'), flows: readFileSync(flows, 'utf8'), log: readFileSync(log, 'utf8') };
  };
  const here = await outputs('here', ['scan']);
  const there = await outputs('there', ['submit', '--redis', redis]);
  assert.ok((here['files'] ?? '').length > 10_000);
  assert.deepEqual(there, here);
});

peerTest('an input whose worker is killed is taken over, and found whole', FLEET, async (context) => {
  const directory = scratch(context, 'fleet');
  const redis = await startRedis(context);
  const first = await startWorker(context, redis);
  // Rules that take a while keep the first worker at it until it is killed.
  const capture = join(directory, 'large.eml');
  const line = `${'AAAA'.repeat(19)}\n`;
  const head =
    'From: a@example.test\nSubject: large\nMIME-Version: 1.0\nContent-Type: application/octet-stream; name="large.bin"\nContent-Transfer-Encoding: base64\n\n';
  writeFileSync(capture, head + line.repeat(400_000));
  const files = join(directory, 'files');
  const ran = inspectd(['submit', '--redis', redis, '--summary', 'none', '--files', files, capture]);
  const { Redis } = await import('ioredis');
  const client = new Redis(redis);
  context.after(() => client.disconnect());
  while ((await client.llen('bull:inspectd:active')) === 0) await new Promise((resolve) => setImmediate(resolve));
  first.process.kill('SIGKILL');
  await startWorker(context, redis);
  const { status, said } = await ran;
  assert.equal(status, 0, said.join('\n'));
  assert.match(readFileSync(files, 'utf8'), /"name":"large\.bin".*"size":22800000.*"verdict":"clean"/);
});

peerTest('an input that is not there is named, and the others are scanned', FLEET, async (context) => {
  const redis = await startRedis(context);
  const directory = scratch(context, 'fleet');
  const gone = join(directory, 'gone.eml');
  writeFileSync(gone, 'From: a\n\n');
  const worker = await startWorker(context, redis);
  const name = join(CAPTURES, 'smtp-plain-multi.pcap');
  worker.process.kill('SIGSTOP');
  const ran = inspectd(['submit', '--redis', redis, '--summary', 'none', gone, name]);
  const { Redis } = await import('ioredis');
  const client = new Redis(redis);
  context.after(() => client.disconnect());
  const waiting = async (): Promise<number> =>
    (await client.llen('bull:inspectd:wait')) + (await client.llen('bull:inspectd:active'));
  while ((await waiting()) < 2) await new Promise((resolve) => setImmediate(resolve));
  writeFileSync(gone, '');
  (await import('node:fs')).rmSync(gone);
  worker.process.kill('SIGCONT');
  const { status, said, out } = await ran;
  assert.equal(status, 2);
  assert.match(said.join('\n'), /gone\.eml: no such file or directory|gone\.eml: .*gone\.eml/);
  assert.match(out, /EICAR_TEST_FILE/);
});

peerTest('a Redis that is not there is said, without its password', FLEET, async () => {
  const { status, said } = await inspectd(['submit', '--redis', 'redis://:hidden-word@127.0.0.1:1', MAIN]);
  assert.equal(status, 2);
  assert.match(said.join('\n'), /redis:\/\/127\.0\.0\.1:1: Redis does not answer/);
  assert.doesNotMatch(said.join('\n'), /hidden-word/);
});
