/** The simulated EMS as a user starts it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ended, freePort, scratch } from '../testing/peers/peers.js';
import { inspectd, MAIN } from '../testing/program.js';
import { until } from '../testing/until.js';

test('it says where it is and where the keys of endpoints are, never its password, and ends when told', async (context) => {
  const directory = scratch(context, 'ems-sim');
  const port = await freePort();
  const file = join(directory, 'password');
  writeFileSync(file, 'very-secret\n');
  const child = spawn(
    process.execPath,
    [
      ...[MAIN, 'ems-sim', '--directory', directory, '--listen', `127.0.0.1:${port}`, '--password-file', file],
      ...['--endpoint', '10.0.0.1', '--endpoint', '10.0.0.2,anna,linux'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  context.after(() => ended(child));
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  await until('it is ready', () => said.includes('inspectd: ready'));
  assert.match(said, /endpoint F4F3263AEBE54777A6509A8FCCDF9284 \(keithli\) at 10\.0\.0\.1: \S+\.pem\n/);
  assert.match(said, /endpoint [0-9A-F]{32} \(anna\) at 10\.0\.0\.2: /);
  assert.match(said, /this is a simulator, not FortiClient EMS/);
  assert.ok(said.includes(`https://127.0.0.1:${port}/`) && !said.includes('very-secret'));
  assert.ok(existsSync(join(directory, 'endpoints', 'F4F3263AEBE54777A6509A8FCCDF9284.pem')));
  const printed = await inspectd(['ems-sim', '--directory', directory, '--print-ca']);
  assert.equal(printed.status, 0);
  assert.ok(!printed.out.includes('PRIVATE KEY'));
  assert.match(new X509Certificate(printed.out).subject, /CN=FCTEMS0000109188$/);
  await ended(child);
  assert.equal(child.exitCode, 0);
});

test('what is wrong with its options is said', async (context) => {
  const directory = scratch(context, 'ems-sim');
  const run = async (...options: string[]): Promise<string> => {
    const ran = await inspectd(['ems-sim', '--directory', directory, ...options], { env: { EMS_SIM_PASSWORD: 'x' } });
    assert.equal(ran.status, 2);
    return ran.said.join('\n');
  };
  assert.match(await run('--listen', 'somewhere'), /--listen: give ADDRESS:PORT/);
  assert.match(await run('--serial', 'no serial'), /--serial: /);
  assert.match(await run('--password-file', join(directory, 'none')), /cannot be read/);
  assert.match(await run('--listen', '127.0.0.1:0', '--endpoint', 'nowhere'), /--endpoint nowhere: give ADDRESS/);
  assert.match(await run('--listen', '127.0.0.1:0', '--endpoint', '10.0.0.1,x,beos'), /--endpoint 10\.0\.0\.1,x,beos/);
  assert.match(await run('--print-ca', '--directory', join(directory, 'none')), /no simulator was started there/);
  const without = await inspectd(['ems-sim', '--directory', directory], { env: { EMS_SIM_PASSWORD: '' } });
  assert.match(without.said.join(), /give the password of its administrator/);
});
