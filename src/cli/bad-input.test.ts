/** What is wrong is said in one line that names it and says where; what can be read is read all the same; the exit status is 2. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { capturePath, inspectd, type Ran, rows, scanned, scratch } from '../testing/program.js';

const work = scratch();
const MAIL = capturePath('smtp-plain-multi');
const bytes = readFileSync(MAIL);
const FILE_HEADER = 24;

function made(name: string, content: Buffer | string): string {
  const path = join(work, name);
  writeFileSync(path, content);
  return path;
}

/** Offset of record `count` of the sample. */
function record(count: number): number {
  let at = FILE_HEADER;
  for (let i = 0; i < count; i++) at += 16 + bytes.readUInt32LE(at + 8);
  return at;
}

function failedWith(ran: Ran, ...lines: (string | RegExp)[]): void {
  assert.equal(ran.status, 2, ran.said.join('\n'));
  assert.equal(ran.said.length, lines.length, ran.said.join('\n'));
  for (const [index, line] of lines.entries()) {
    if (typeof line === 'string') assert.equal(ran.said[index], `inspectd: ${line}`);
    else assert.match(ran.said[index] ?? '', line);
  }
}

/** The first packets: the mail up to its third part, the infected archive. */
const PACKETS = 57;

describe('a capture that ends early is read as far as it goes', () => {
  for (const [name, end, line] of [
    ['in-packet.pcap', record(PACKETS) + 16 + 100, /truncated: the last record has 116 of its 1\d+ bytes/],
    ['in-header.pcap', record(PACKETS) + 8, /truncated: the last record has 8 of its 16 bytes/],
  ] as const)
    test(name, async () => {
      const path = made(name, bytes.subarray(0, end));
      const ran = await scanned(work, [path]);
      failedWith(ran, line);
      const [said = ''] = ran.said;
      assert.ok(said.startsWith(`inspectd: ${path}: `));
      assert.ok(said.endsWith(`(at byte ${record(PACKETS)}, after ${PACKETS} packets)`), said);
      const found = rows(ran.files);
      assert.ok(found.some((row) => row.name === 'eicar.zip' && row.verdict === 'infected'));
      const cut = found.at(-1);
      assert.deepEqual([cut?.state, cut?.verdict, cut?.reason], ['truncated', 'unscannable', 'truncated']);
      assert.match(ran.log, /virus="EICAR_TEST_FILE"/);
    });
});

test('a packet of four gigabytes is not believed, and what comes before it is read', async () => {
  const length = Buffer.alloc(16);
  length.fill(0xff, 8);
  const path = made('huge.pcap', Buffer.concat([bytes.subarray(0, record(PACKETS)), length, Buffer.alloc(1000)]));
  const ran = await scanned(work, [path]);
  failedWith(ran, /huge\.pcap: a packet record claims 4294967295 bytes.* \(at byte \d+, after 57 packets\)$/);
  assert.ok(rows(ran.files).some((row) => row.name === 'eicar.zip'));
});

test('a broken gzip file is read as far as it goes', async () => {
  const packed = gzipSync(bytes);
  const ran = await scanned(work, [made('cut.pcap.gz', packed.subarray(0, packed.length / 2))]);
  failedWith(ran, /cut\.pcap\.gz: gzip: unexpected end of file/);
  assert.ok(rows(ran.files).some((row) => row.name === 'eicar.zip'));
});

test('what is no capture, or not there, is named; the others are scanned', async () => {
  const noise = made('noise.pcap', Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919 + 13) & 0xff)));
  const empty = made('empty.pcap', '');
  const dangling = join(work, 'dangling.pcap');
  symlinkSync('nowhere', dangling);
  const circle = join(work, 'circle.pcap');
  symlinkSync('circle.pcap', circle);
  const ran = await scanned(work, [
    join(work, 'missing.pcap'),
    dangling,
    circle,
    join(empty, 'below'),
    noise,
    MAIL,
    empty,
    capturePath('smtp-plain-pdf'),
  ]);
  failedWith(
    ran,
    `${work}/missing.pcap: no such file or directory`,
    `${dangling}: no such file or directory`,
    `${circle}: its links lead in a circle`,
    `${empty}/below: a part of the path is not a directory`,
    `${noise}: neither pcap nor pcapng: it begins with none of their marks (at byte 0, after 0 packets)`,
    `${empty}: empty file (at byte 0, after 0 packets)`,
  );
  assert.deepEqual([...new Set(rows(ran.files).map((row) => row.input))], [MAIL, capturePath('smtp-plain-pdf')]);
});

test('several workers say what one says', async () => {
  const cut = made('cut2.pcap', bytes.subarray(0, 60_000));
  const rules = made('bad2.yar', 'rule x {');
  for (const args of [
    [cut, MAIL],
    ['--signatures', rules, MAIL],
  ]) {
    const one = await scanned(work, ['--jobs', '1', ...args]);
    assert.deepEqual(await scanned(work, ['--jobs', '2', ...args]), one);
    assert.equal(one.status, 2);
    assert.equal(one.said.length, 1);
  }
});

test('a configuration is refused line by line', async () => {
  const config = made('bad.conf', 'config antivirus profile\nedit x\nset colour red\nset size 3\nnext\nend\n');
  const lines = [
    `${config}:3:5: "config antivirus profile" has no option "colour"`,
    `${config}:4:5: "config antivirus profile" has no option "size"`,
  ];
  failedWith(await inspectd(['check', '-c', config]), ...lines);
  failedWith(await inspectd(['scan', '-c', config, MAIL]), ...lines);
  const missing = join(work, 'missing.conf');
  failedWith(await inspectd(['check', '-c', missing]), `${missing}: cannot be read: no such file or directory`);
});

test('a bad signature file is refused with its line', async () => {
  const literals = made('bad.literals', '# mine\nnonsense\n');
  for (const command of [['check'], ['scan', MAIL]])
    failedWith(await inspectd([...command, '--signatures', literals]), /bad\.literals:2: /);
  const rules = made('bad.yar', 'rule a { condition: true }\nrule b {');
  failedWith(await inspectd(['scan', MAIL, '--signatures', rules]), /bad\.yar:2: /);
  // The capture is read while rules are compiled: nothing of it may be told.
  for (const input of [MAIL, made('mail.eml', 'Subject: a mail\r\n\r\ntext\r\n')]) {
    const ran = await scanned(work, ['--signatures', rules, input]);
    failedWith(ran, /bad\.yar:2: /);
    assert.deepEqual([ran.files, ran.flows, ran.log], ['', '', '']);
  }
  const kept = join(work, 'kept');
  failedWith(await inspectd(['scan', MAIL, '--signatures', rules, '--extract', kept]), /bad\.yar:2: /);
  assert.deepEqual(readdirSync(kept), []);
  failedWith(await inspectd(['check', '--signatures', rules]), /bad\.yar:2: /);
});

test('usage that is not understood is refused in one line', async () => {
  const hint = '(inspectd --help explains)';
  failedWith(await inspectd(['scan']), `missing required argument 'input' ${hint}`);
  failedWith(await inspectd(['scan', '--nonsense', MAIL]), `unknown option '--nonsense' ${hint}`);
  failedWith(await inspectd(['scan', '--jobs', '0', MAIL]), /'0' is invalid\. give a whole number from 1 to 999/);
  failedWith(
    await inspectd(['scan', '--log-format', 'xml', MAIL]),
    /Allowed choices are default, csv, cef, rfc5424, json/,
  );
  failedWith(await inspectd(['frobnicate']), `unknown command 'frobnicate' ${hint}`);
});

describe('an output that cannot be written is named', () => {
  const nowhere = join(work, 'nowhere', 'file');
  for (const option of ['--log', '--files', '--flows'])
    test(option, async () => {
      const ran = await inspectd(['scan', '--quiet', option, nowhere, MAIL]);
      failedWith(ran, /nowhere\/file.* cannot be (opened|written): .*no such file or directory/);
      assert.equal(ran.out, '');
    });

  for (const option of ['--log', '--files', '--flows'])
    test(`${option} on a device that is full`, { skip: process.platform !== 'linux' }, async () => {
      const ran = await inspectd(['scan', '--quiet', '--jobs', '2', option, '/dev/full', MAIL, MAIL]);
      failedWith(ran, /\/dev\/full.*no space left on/);
    });

  test('--extract below a file, and where no directory can be made', {
    skip: process.platform !== 'linux',
  }, async () => {
    const file = made('file', '');
    failedWith(
      await inspectd(['scan', '--extract', file, MAIL]),
      `--extract ${file}: cannot be made: there is a file of this name`,
    );
    failedWith(await inspectd(['scan', '--extract', '/proc/x/y', MAIL]), /--extract \/proc\/x\/y: cannot be made: /);
  });

  const proc = { skip: process.platform !== 'linux' };
  test('--extract where files cannot be kept: said once, and the scan goes on', proc, async () => {
    // A directory in which nobody can make a file, not even root.
    const ran = await scanned(work, ['--extract', '/proc/self', MAIL, MAIL]);
    failedWith(ran, /files cannot be kept there: /);
    const found = rows(ran.files);
    assert.equal(found.filter((row) => row.name === 'eicar.zip' && row.verdict === 'infected').length, 2);
    assert.deepEqual([...new Set(found.map((row) => row.verdict))].sort(), ['clean', 'infected']);
  });
});

test('without a rule engine for this machine literals and hashes are searched for, and it is said', async () => {
  const rule = made('rule.yar', 'rule any { condition: true }');
  const without = made(
    'without-yara.cjs',
    `const { Module } = require('node:module'); const load = Module._load;
     Module._load = (name, ...rest) => { if (name === '@litko/yara-x') throw new Error('no binary'); return load(name, ...rest); };`,
  );
  const env = { NODE_OPTIONS: `--require ${without}` };
  for (const jobs of ['1', '2']) {
    const ran = await scanned(work, ['--jobs', jobs, '--signatures', rule, MAIL, MAIL], { env });
    failedWith(ran, /YARA rules cannot be used: @litko\/yara-x does not run on /);
    assert.equal(rows(ran.files).filter((row) => row.name === 'eicar.zip' && row.verdict === 'infected').length, 2);
  }
  failedWith(await inspectd(['check', '--signatures', rule], { env }), /YARA rules cannot be used: /);
});

test('a scan that nothing is wrong with says nothing when it is quiet', async () => {
  mkdirSync(join(work, 'nothing'));
  const ran = await scanned(work, [join(work, 'nothing')]);
  assert.deepEqual([ran.status, ran.said, ran.files], [0, [], '']);
});
