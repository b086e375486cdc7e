/** What the program says of itself, and `inspectd check`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectd, SAMPLES } from '../testing/program.js';

test('--version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(SAMPLES, '..', 'package.json'), 'utf8')) as { version: string };
  const ran = await inspectd(['--version']);
  assert.deepEqual([ran.status, ran.out], [0, `${version}\n`]);
});

test('--help names every command, and shows how to begin', async () => {
  const { status, out } = await inspectd(['--help']);
  assert.equal(status, 0);
  for (const phrase of ['scan', 'check', 'FortiOS', 'Examples:', 'inspectd scan mail.pcap', 'inspectd help scan'])
    assert.ok(out.includes(phrase), phrase);
});

test('the help of scan names every option, the exit statuses and examples', async () => {
  const { status, out } = await inspectd(['scan', '--help']);
  assert.equal(status, 0);
  for (const option of 'config signatures log log-format files flows extract jobs summary quiet no-progress'.split(' '))
    assert.ok(out.includes(`--${option} `) || out.includes(`--${option}\n`), option);
  for (const phrase of ['.pcapng', 'standard input', 'Exit status: 0 nothing found, 1', 'tcpdump -w - ', 'over 30 s'])
    assert.ok(out.includes(phrase), phrase);
  assert.equal((await inspectd(['help', 'scan'])).out, out);
});

test('without a command it shows its help, and ends with 2', async () => {
  const { status, said } = await inspectd([]);
  assert.equal(status, 2);
  assert.match(said[0] ?? '', /^Usage: inspectd/);
});

test('check says nothing of a configuration that is right, and lists the defaults when asked', async () => {
  const right = await inspectd(['check', '-c', join(SAMPLES, 'utm.conf')]);
  assert.deepEqual([right.status, right.out], [0, '']);
  const defaults = await inspectd(['check', '--defaults']);
  assert.equal(defaults.status, 0);
  for (const phrase of ['oversize', 'mimeParts', 'unpackRatio']) assert.ok(defaults.out.includes(phrase), phrase);
});
