/** The daemon as a user starts it: with the sample configuration, and with ones that are wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../testing/peers/peers.js';
import { inspectd, MAIN, SAMPLES, scratch } from '../testing/program.js';

const work = scratch();

/** The sample, with ports and a state directory that no other daemon has. */
async function sampleConfig(name: string): Promise<{ path: string; port: number; server: number }> {
  const [port, server] = [await freePort(), await freePort()];
  const path = join(work, `${name}.conf`);
  const text = readFileSync(join(SAMPLES, 'utm.conf'), 'utf8')
    .replace('set extport 2525', `set extport ${port}`)
    .replace('set mappedport 1025', `set mappedport ${server}`);
  assert.ok(text.includes(`set mappedport ${server}`));
  const settings = `config inspectd settings\nset state-directory "${join(work, name)}"\nset workers 1\nset drain-timeout 1\nend\n`;
  writeFileSync(path, `${settings}${text}`);
  return { path, port, server };
}

test('with the sample configuration it says what it listens on, answers commands, and ends on SIGTERM', async () => {
  const { path, port, server } = await sampleConfig('sample');
  const child = spawn(process.execPath, [MAIN, 'serve', '-c', path], { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = new Promise<number | null>((resolve) => child.once('exit', (status) => resolve(status)));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (text: Buffer) => {
      said += text.toString();
      if (said.includes('inspectd: ready\n')) resolve();
    });
    void end.then(() => reject(new Error(said)));
  });
  assert.ok(said.includes(`listening on 127.0.0.1:${port} -> 127.0.0.1:${server} (vip try-smtp)`), said);
  let log = '';
  child.stdout.on('data', (text: Buffer) => {
    log += text.toString();
  });
  const status = await inspectd(['get', 'system', 'status', '-c', path]);
  assert.match(status.out, /^Version: inspectd v[\d.]+\nWorkers: 1 \(0 lost\)\n/);
  const unknown = await inspectd(['diagnose', 'sys', 'sesion', 'list', '-c', path]);
  assert.equal(unknown.status, 2);
  assert.match(unknown.said.join('\n'), /did you mean "?diagnose sys session list/i);
  child.kill('SIGTERM');
  assert.equal(await end, 0);
  assert.match(log, /logdesc="Inspection daemon started".*\n(.*\n)*.*logdesc="Inspection daemon stopped"/);
  const gone = await inspectd(['get', 'system', 'status', '-c', path]);
  assert.equal(gone.status, 2);
  assert.match(gone.said.join('\n'), /no daemon is running there/);
});

test('a port that is taken is named, and nothing is left running', async () => {
  const { path, port } = await sampleConfig('taken');
  const sockets: Socket[] = [];
  const other = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
  const ran = await inspectd(['serve', '-c', path]);
  other.close();
  for (const socket of sockets) socket.destroy();
  assert.equal(ran.status, 2);
  assert.ok(
    ran.said.some((line) => line.includes(`vip try-smtp: cannot listen on 127.0.0.1:${port}`)),
    ran.said.join('\n'),
  );
});

test('a configuration that is wrong is refused by serve and by check, line by line', async () => {
  const path = join(work, 'wrong.conf');
  const vip = (name: string) =>
    `edit "${name}"\nset extip 127.0.0.1\nset mappedip "127.0.0.1"\nset portforward enable\nset extport 2525\nset mappedport 25\nnext\n`;
  writeFileSync(path, `config firewall vip\n${vip('one')}${vip('two')}end\n`);
  for (const command of ['serve', 'check']) {
    const ran = await inspectd([command, '-c', path]);
    assert.equal(ran.status, 2);
    assert.match(ran.said.join('\n'), /line \d+: 127\.0\.0\.1:2525 is vip one's already/);
  }
});
