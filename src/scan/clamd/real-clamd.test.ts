// A real clamd with a small database of its own: asked by the scanner and by the program, and killed, stopped and limited.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Content, FileInfo } from '../../core/file.js';
import { startClamd } from '../../testing/peers/clamd.js';
import { peerTest, scratch } from '../../testing/peers/peers.js';
import { MAIN } from '../../testing/program.js';
import type { ClamdAddress } from './address.js';
import { checkClamd, createClamdScanner } from './clamd-scanner.js';

const LIMITS = { scanTime: 20_000, clamdConnections: 4 };
const MARK = 'inspectd-clamd-test-mark-5d41402a';
const DATABASE = [`Test.Mark:0:*:${Buffer.from(MARK).toString('hex')}`];
const FILE: FileInfo = {
  id: 1,
  meta: { name: 'a', direction: 'upload' },
  parent: undefined,
  depth: 0,
  types: ['unknown'],
  size: 3,
  sha256: undefined,
  state: 'complete',
  encrypted: false,
};

function scan(address: ClamdAddress, bytes: Buffer, scanTime = LIMITS.scanTime) {
  const content: Content = { length: bytes.length, bytes, read: (at, length) => bytes.subarray(at, at + length) };
  return Promise.resolve(createClamdScanner(address, { ...LIMITS, scanTime }).scan(FILE, content));
}

peerTest(
  'a clamd is asked over TCP and over its socket, and finds what its database has',
  ['clamd'],
  async (context) => {
    const clamd = await startClamd(context, DATABASE, ['AlertExceedsMax yes']);
    for (const address of [{ host: '127.0.0.1', port: clamd.port }, { path: clamd.socket }]) {
      assert.deepEqual(await scan(address, Buffer.from('harmless')), []);
      assert.deepEqual(await scan(address, Buffer.alloc(0)), []);
      const found = { kind: 'infected', virus: 'Test.Mark.UNOFFICIAL', virusId: 0, dtype: 'av-engine', by: 'clamd' };
      assert.deepEqual(await scan(address, Buffer.from(`before ${MARK} after`)), [found]);
      assert.deepEqual(await scan(address, gzipSync(Buffer.alloc(3_000_000, MARK))), [found]);
      assert.deepEqual(await checkClamd(address, LIMITS), []);
    }
  },
);

peerTest(
  'a clamd that leaves out what is over its limits is found out, and its answers are no OK',
  ['clamd'],
  async (context) => {
    const silent = await startClamd(context, DATABASE);
    assert.match((await checkClamd({ path: silent.socket }, LIMITS)).join(), /AlertExceedsMax yes/);
    const limited = await startClamd(context, DATABASE, [
      'AlertExceedsMax yes',
      'MaxFileSize 1M',
      'StreamMaxLength 3M',
    ]);
    const over = await scan({ path: limited.socket }, Buffer.concat([Buffer.alloc(2_000_000, 1), Buffer.from(MARK)]));
    assert.deepEqual(
      over.map((finding) => finding.kind === 'unscannable' && finding.reason),
      ['limit'],
    );
    await assert.rejects(scan({ path: limited.socket }, Buffer.alloc(8_000_000, 1)));
  },
);

peerTest('a clamd that is killed or stopped in a scan gives no verdict', ['clamd'], async (context) => {
  const clamd = await startClamd(context, DATABASE);
  clamd.process.kill('SIGSTOP');
  await assert.rejects(scan({ path: clamd.socket }, Buffer.from('harmless'), 300), /no answer within 300 ms/);
  const hanging = scan({ path: clamd.socket }, Buffer.from('harmless'));
  clamd.process.kill('SIGKILL');
  await assert.rejects(hanging);
});

peerTest(
  'inspectd scan --clamd blocks what clamd finds, and what a dead clamd leaves unjudged',
  ['clamd'],
  async (context) => {
    const clamd = await startClamd(context, DATABASE, ['AlertExceedsMax yes']);
    const directory = scratch(context, 'clamd-scan');
    const [bad, good, rows] = ['bad.bin', 'good.bin', 'rows'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(bad, `x ${MARK}`);
    writeFileSync(good, 'x');
    const inspectd = (...inputs: string[]) =>
      spawnSync(process.execPath, [MAIN, 'scan', '--quiet', '--clamd', clamd.socket, '--files', rows, ...inputs], {
        encoding: 'utf8',
      });
    const verdicts = () =>
      readFileSync(rows, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { verdict: string; virus: string[] });
    // Named in the configuration, it is asked just so.
    const configuration = join(directory, 'utm.conf');
    writeFileSync(configuration, `config antivirus settings\n    set clamd "${clamd.socket}"\nend\n`);
    const configured = spawnSync(
      process.execPath,
      [MAIN, 'scan', '--quiet', '-c', configuration, '--files', rows, bad],
      { encoding: 'utf8' },
    );
    assert.match(configured.stderr, /^$/);
    assert.deepEqual(
      verdicts().map((row) => row.virus),
      [['Test.Mark.UNOFFICIAL']],
    );
    const found = inspectd(bad, good);
    assert.equal(found.status, 1, found.stderr);
    assert.deepEqual(
      verdicts().map((row) => [row.verdict, row.virus]),
      [
        ['infected', ['Test.Mark.UNOFFICIAL']],
        ['clean', []],
      ],
    );
    assert.match(found.stdout, /virus="Test\.Mark\.UNOFFICIAL"/);
    clamd.process.kill('SIGKILL');
    const dead = inspectd(good);
    assert.equal(dead.status, 2);
    assert.match(dead.stderr, /inspectd: clamd at .*: connect ECONNREFUSED|ENOENT/);
  },
);
