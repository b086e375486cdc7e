/** `inspectd scan` as a user runs it: what it takes, what it writes, how it ends. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CLIENT, SERVER } from '../core/flow.js';
import { EICAR } from '../testing/inspecting.js';
import { Conversation, pcapFile } from '../testing/packets.js';
import { capturePath, inspectd, MAIN, rows, SAMPLES, scanned, scratch } from '../testing/program.js';

const work = scratch();
const MAIL = capturePath('smtp-plain-multi');
const CLEAN = capturePath('smtp-plain-pdf');
const TWO = capturePath('smtp-plain-two-mails-one-conn');

function made(name: string, content: Buffer | string): string {
  const path = join(work, name);
  writeFileSync(path, content);
  return path;
}

/** A mail with one attachment a name. */
function mail(attachments: readonly (readonly [name: string, content: Buffer])[]): string {
  const parts = attachments.map(([name, content]) => {
    const body = content.toString('base64').replace(/.{76}/g, '$&\r\n');
    return `--cut\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n filename*=UTF-8''${encodeURIComponent(name)}\r\nContent-Transfer-Encoding: base64\r\n\r\n${body}\r\n`;
  });
  return `From: a@example.test\r\nTo: b@example.test\r\nSubject: test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n${parts.join('')}--cut--\r\n`;
}

/** Sends a mail by SMTP. */
function delivery(message: string, client = '10.1.100.44'): Conversation {
  const talk = new Conversation({ client: { address: client, port: 50_122 } }).open();
  const say = (command: string, reply: string) => talk.send(CLIENT, command).send(SERVER, reply);
  talk.send(SERVER, '220 mx ready\r\n');
  say('EHLO pc\r\n', '250 mx\r\n');
  say('MAIL FROM:<a@example.test>\r\n', '250 ok\r\n');
  say('RCPT TO:<b@example.test>\r\n', '250 ok\r\n');
  say('DATA\r\n', '354 go\r\n');
  say(`${message}.\r\n`, '250 queued\r\n');
  say('QUIT\r\n', '221 bye\r\n');
  return talk.close();
}

describe('a capture may come', () => {
  const fromFile = scanned(work, [MAIL]);
  const same = async (other: Promise<{ status: number | null; log: string; files: string }>, name: string) => {
    const [one, two] = [await fromFile, await other];
    const named = (text: string) => text.replaceAll(JSON.stringify(MAIL), JSON.stringify(name));
    assert.deepEqual([two.status, two.log, two.files], [one.status, one.log, named(one.files)]);
  };
  const bytes = readFileSync(MAIL);
  const pieces = Array.from({ length: Math.ceil(bytes.length / 10_007) }, (_, i) =>
    bytes.subarray(i * 10_007, (i + 1) * 10_007),
  );
  test('on standard input, piece by piece', () => same(scanned(work, ['-'], { input: pieces }), '-'));
  test('on standard input, gzipped', () => same(scanned(work, ['-'], { input: [gzipSync(bytes)] }), '-'));
  test('gzipped, in two members', () => {
    const path = made('mail.pcap.gz', Buffer.concat([gzipSync(bytes.subarray(0, 999)), gzipSync(bytes.subarray(999))]));
    return same(scanned(work, [path]), path);
  });
  test('under any name: its first bytes say what it is', () => {
    const path = made('capture-of-monday', gzipSync(bytes));
    return same(scanned(work, [path]), path);
  });
  test('through a named pipe', { skip: process.platform === 'win32' }, () => {
    const path = join(work, 'pipe');
    execFileSync('mkfifo', [path]);
    spawn('sh', ['-c', 'cat "$0" > "$1"', MAIL, path], { stdio: 'ignore' });
    return same(scanned(work, [path]), path);
  });
});

test('records are written as a capture grows, before it ends', async () => {
  const child = spawn(process.execPath, [MAIN, 'scan', '--quiet', '-'], { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.write(readFileSync(MAIL));
  // The pipe stays open: a program that waited for its end would never answer.
  const first = await new Promise<Buffer>((resolve) => child.stdout.once('data', resolve));
  assert.match(first.toString(), /virus="EICAR_TEST_FILE"/);
  child.stdin.end();
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 1);
});

test('a reader of standard output that goes away is no failure', async () => {
  for (const rowsToo of [[], ['--files', '-']]) {
    const many = new Array<string>(40).fill(MAIL);
    const child = spawn(process.execPath, [MAIN, 'scan', '--summary', 'none', ...rowsToo, ...many], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stdout.destroy();
    assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
    assert.equal(said, '');
  }
});

test('the exit status is 0 where nothing is found, 1 where policy refuses something', async () => {
  assert.equal((await scanned(work, [CLEAN])).status, 0);
  assert.equal((await scanned(work, [CLEAN, MAIL])).status, 1);
  const watch = made(
    'watch.conf',
    'config antivirus profile\nedit "watch"\nconfig smtp\nset av-scan monitor\nend\nnext\nend\nconfig firewall policy\nedit 7\nset srcaddr "all"\nset dstaddr "all"\nset service "ALL"\nset action accept\nset utm-status enable\nset av-profile "watch"\nnext\nend\n',
  );
  const monitored = await scanned(work, ['-c', watch, MAIL]);
  assert.equal(monitored.status, 0, monitored.said.join('\n'));
  assert.match(monitored.log, / policyid=7 .* action="monitored" /);
});

test('connections are counted over all inputs, files within their connection', async () => {
  const { files, flows, log } = await scanned(work, [CLEAN, TWO, MAIL]);
  const found = rows(files);
  assert.deepEqual(
    rows<{ input: string; flow: number }>(flows).map(({ input, flow }) => [input, flow]),
    [
      [CLEAN, 1],
      [TWO, 2],
      [MAIL, 3],
    ],
  );
  for (const flow of [1, 2, 3]) {
    const own = found.filter((row) => row.flow === flow);
    assert.deepEqual(
      own.map((row) => row.id),
      own.map((_, index) => `${flow}.${index + 1}`),
    );
    assert.ok(own.every((row) => row.parent === null || own.some((other) => other.id === row.parent)));
  }
  assert.equal(found.filter((row) => row.flow === 2 && row.parent === null).length, 2);
  assert.match(log, / sessionid=3 .* filename="eicar\.zip" /);
});

test('directories are walked in order; messages, archives and other files are scanned as they are', async () => {
  const directory = join(work, 'walk');
  mkdirSync(join(directory, 'b', 'c'), { recursive: true });
  writeFileSync(join(directory, 'b', 'c', 'virus.eml'), mail([['virus.bin', EICAR]]));
  writeFileSync(join(directory, 'b', 'archive.gz'), gzipSync(EICAR));
  writeFileSync(join(directory, 'a.txt'), 'nothing here');
  writeFileSync(join(directory, 'z.pcap'), readFileSync(CLEAN));
  const { status, files, flows } = await scanned(work, [directory]);
  assert.equal(status, 1);
  const found = rows(files);
  assert.deepEqual(
    found.map((row) => [row.input.slice(directory.length + 1), row.id, row.parent, row.type, row.verdict]).slice(0, 5),
    [
      ['a.txt', 'f1.1', null, 'unknown', 'clean'],
      ['b/archive.gz', 'f2.1', null, 'gzip', 'infected'],
      ['b/archive.gz', 'f2.2', 'f2.1', 'unknown', 'infected'],
      ['b/c/virus.eml', 'f3.1', null, 'mime', 'infected'],
      ['b/c/virus.eml', 'f3.2', 'f3.1', 'unknown', 'infected'],
    ],
  );
  assert.ok(found.slice(0, 5).every((row) => row.flow === null && row.service === null && row.transfer === null));
  assert.ok(found.slice(5).every((row) => row.input === join(directory, 'z.pcap') && row.flow === 1));
  assert.equal(rows(flows).length, 1);
});

test('--extract keeps every file under its hash, for its owner alone, and nothing under a name from the wire', async () => {
  const kept = join(work, 'deep', 'kept');
  const names = ['../../evil', '/tmp/inspectd-absolute', 'nul\0name', '..', '.', 'dir/sub', 'C:\\x', '-rf'];
  const message = mail(names.map((name, index) => [name, Buffer.from(`content ${index}`)]));
  const capture = made('names.pcap', pcapFile(delivery(message).packets));
  const { status, files } = await scanned(work, ['--extract', kept, capture, capture]);
  assert.equal(status, 0);
  const found = rows(files);
  assert.equal(new Set(found.map((row) => row.sha256)).size, names.length + 1);
  const hashes = new Set(found.map((row) => row.sha256));
  assert.deepEqual(new Set(readdirSync(kept)), hashes);
  for (const name of readdirSync(kept)) {
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(kept, name)))
        .digest('hex'),
      name,
    );
    assert.equal(statSync(join(kept, name)).mode & 0o777, 0o600);
  }
  assert.deepEqual(readdirSync(join(work, 'deep')), ['kept']);
});

describe('the summary', () => {
  test('is for people, on standard error', async () => {
    const { said, out, status } = await inspectd(['scan', '--log', '/dev/null', MAIL]);
    assert.equal(status, 1);
    assert.equal(out, '');
    assert.match(said[0] ?? '', /^Scanned 1 input: 135 packets, 147 kB in \d/);
    assert.ok(said.includes('Connections: 1 inspected (1 SMTP), 0 could not be looked into, 0 ignored.'));
    assert.ok(said.includes('Viruses: EICAR_TEST_FILE (1).'));
  });

  test('or for programs', async () => {
    const { said } = await inspectd(['scan', '--quiet', '--summary', 'json', '--log', '/dev/null', MAIL, CLEAN]);
    assert.equal(said.length, 1);
    const summary = JSON.parse(said[0] ?? '') as Record<string, unknown>;
    assert.deepEqual(summary['connections'], { decoded: { SMTP: 2 }, opaque: {}, ignored: {} });
    assert.deepEqual(summary['viruses'], { EICAR_TEST_FILE: 1 });
    assert.equal(summary['inputs'], 2);
  });

  test('or nothing, and quiet says nothing but what is wrong', async () => {
    for (const option of [['--summary', 'none'], ['--quiet'], ['--quiet', '--no-progress']]) {
      const { said } = await inspectd(['scan', ...option, '--log', '/dev/null', MAIL]);
      assert.deepEqual(said, [], option.join(' '));
    }
    const loud = await inspectd(['scan', '--no-progress', '--log', '/dev/null', MAIL]);
    assert.ok(loud.said.length > 3);
  });
});

describe('log lines', () => {
  for (const [format, line] of [
    [
      'default',
      /^date=2026-11-22 time=04:04:54 eventtime=1795320294058529000 tz="\+0000" logid="0211008194" .* srcintf="unknown-0" /,
    ],
    ['csv', /^date=2026-11-22,time=04:04:54,.*,virus="EICAR_TEST_FILE",/],
    ['cef', /CEF:0\|Fortinet\|.*virus/i],
    ['rfc5424', /^<\d+>1 2026-11-22T04:04:54\S* /],
    ['json', /^\{.*"virus":"EICAR_TEST_FILE".*\}$/],
  ] as const)
    test(`in the format ${format}`, async () => {
      const ran = await inspectd(['scan', '--quiet', '--log-format', format, MAIL], { env: { TZ: 'UTC' } });
      assert.equal(ran.status, 1);
      assert.equal(ran.out.split('\n').length, 2);
      assert.match(ran.out.trimEnd(), line);
    });

  test('have the time of the configuration, else of the environment', async () => {
    const configured = await scanned(work, ['-c', join(SAMPLES, 'utm.conf'), MAIL], { env: { TZ: 'UTC' } });
    assert.equal(configured.status, 1, configured.said.join('\n'));
    // America/Los_Angeles, in November.
    assert.match(configured.log, /^date=2026-11-21 time=20:04:54 eventtime=1795320294058529000 tz="-0800" /);
    assert.match(configured.log, / policyid=1 poluuid="325d4516-74a8-51ec-db9b-a5511f9a7842" /);
    assert.match(configured.log, / profile="test-av" /);
    const local = await scanned(work, [MAIL], { env: { TZ: 'Asia/Tokyo' } });
    assert.match(
      local.log,
      /^date=2026-11-22 time=13:04:54 eventtime=\d+ tz="\+0900" .* policyid=0 policytype="policy" /,
    );
  });

  test('are added to a file that is there', async () => {
    const log = made('old.log', 'before\n');
    await inspectd(['scan', '--quiet', '--log', log, MAIL]);
    assert.match(readFileSync(log, 'utf8'), /^before\ndate=/);
  });
});

test('the size limit of the profile: what is larger is not scanned, and blocked or let through as it says', async () => {
  const config = (options: string) =>
    made(
      `size-${options.length}.conf`,
      `config antivirus profile\nedit "av"\nconfig smtp\nset av-scan block\nend\nnext\nend\nconfig firewall profile-protocol-options\nedit "small"\nset oversize-log enable\nconfig smtp\nset ports 25\nset oversize-limit 1\n${options}end\nnext\nend\nconfig firewall policy\nedit 1\nset srcaddr "all"\nset dstaddr "all"\nset service "ALL"\nset action accept\nset utm-status enable\nset profile-protocol-options "small"\nset av-profile "av"\nnext\nend\n`,
    );
  const large = Buffer.concat([EICAR, Buffer.alloc(1024 * 1024 + 1 - EICAR.length, '\n')]);
  const capture = (name: string, content: Buffer) =>
    made(name, pcapFile(delivery(mail([['large.bin', content]])).packets));
  const over = capture('over.pcap', large);
  for (const [options, status, action] of [
    ['set options oversize\n', 1, 'blocked'],
    ['', 0, 'passthrough'],
  ] as const) {
    const ran = await scanned(work, ['-c', config(options), over]);
    const row = rows(ran.files).find((one) => one.name === 'large.bin');
    assert.deepEqual([row?.verdict, row?.reason, row?.virus], ['unscannable', 'oversize', []]);
    assert.equal(ran.status, status, ran.said.join('\n'));
    assert.match(ran.log, new RegExp(` eventtype="oversize" .* action="${action}" `));
  }
  const fits = await scanned(work, ['-c', config(''), capture('fits.pcap', large.subarray(0, -1))]);
  assert.equal(rows(fits.files).find((row) => row.name === 'large.bin')?.verdict, 'infected');
});

test('rules of the user find what the built-in signatures do not', async () => {
  const rule = made('pdf.yar', 'rule Any_PDF { strings: $a = "%PDF-" condition: $a at 0 }');
  const { status, log, files } = await scanned(work, ['--signatures', rule, CLEAN]);
  assert.equal(status, 1);
  assert.match(log, / virus="Any_PDF" /);
  assert.deepEqual(rows(files).find((row) => row.type === 'pdf')?.virus, ['Any_PDF']);
});
