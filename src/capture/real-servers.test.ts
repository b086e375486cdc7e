// Real servers and clients, captured on loopback and scanned by the program as a user runs it.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PASSWORD, startDovecot, USER } from '../testing/peers/dovecot.js';
import { capture, freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { startPostfix } from '../testing/peers/postfix.js';

const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');

interface Row {
  readonly name: string | null;
  readonly sha256: string | null;
  readonly service: string;
  readonly transfer: string;
  readonly type: string;
  readonly verdict: string;
  readonly state: string;
}

function scan(context: TestContext, file: string): { rows: Row[]; log: string } {
  const directory = scratch(context, 'scan');
  const files = join(directory, 'files');
  const log = join(directory, 'log');
  run(process.execPath, ['dist/src/cli/main.js', 'scan', '--quiet', '--files', files, '--log', log, file], {
    statuses: [0, 1],
  });
  const rows = readFileSync(files, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
  return { rows, log: readFileSync(log, 'utf8') };
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function expectFile(rows: readonly Row[], name: string, bytes: Buffer, expected: Partial<Row>): void {
  const row = rows.find((each) => each.name === name && each.sha256 === sha256(bytes));
  assert.ok(row, `${name} was not found among ${JSON.stringify(rows.map((each) => [each.name, each.state]))}`);
  for (const [key, value] of Object.entries(expected)) assert.equal(row[key as keyof Row], value, `${name}: ${key}`);
}

const PAYLOADS: readonly (readonly [string, Buffer])[] = [
  ['random.bin', randomBytes(300_000)],
  ['eicar.com', Buffer.from(EICAR)],
  ['eicar.com.gz', gzipSync(Buffer.from(EICAR))],
  ['dots.txt', Buffer.from('.\r\n..\r\n.a line\r\nno dot\r\n')],
];
const infected = (name: string) => name.startsWith('eicar');

peerTest(
  'mail that swaks and curl send to Postfix is found whole, with its viruses',
  ['postfix', 'swaks', 'curl', 'tcpdump'],
  async (context) => {
    const directory = scratch(context, 'smtp');
    const port = await freePort();
    await startPostfix(context, port);
    const file = join(directory, 'smtp.pcap');
    const recording = await capture(context, port, file);
    const to = [
      '--server',
      '127.0.0.1',
      '--port',
      String(port),
      '--from',
      'alice@example.test',
      '--to',
      'bob@example.test',
    ];
    const attachments = PAYLOADS.flatMap(([name, bytes]) => {
      writeFileSync(join(directory, name), bytes);
      return [
        '--attach-type',
        'application/octet-stream',
        '--attach-name',
        name,
        '--attach',
        `@${join(directory, name)}`,
      ];
    });
    run('swaks', [...to, ...attachments]);
    run('swaks', [...to, '--pipeline', ...attachments]);
    const boundary = 'next-part';
    const mail = [
      'From: alice@example.test\r\nTo: bob@example.test\r\nSubject: by curl\r\nMIME-Version: 1.0',
      `Content-Type: multipart/mixed; boundary=${boundary}\r\n`,
      ...PAYLOADS.map(
        ([name, bytes]) =>
          `--${boundary}\r\nContent-Type: application/octet-stream; name="${name}"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n${bytes.toString('base64').replace(/.{76}/g, '$&\r\n')}`,
      ),
      `--${boundary}--\r\n`,
    ].join('\r\n');
    run(
      'curl',
      [
        '-sS',
        `smtp://127.0.0.1:${port}`,
        '--mail-from',
        'alice@example.test',
        '--mail-rcpt',
        'bob@example.test',
        '-T',
        '-',
      ],
      { input: mail },
    );
    await recording.stop();

    const { rows, log } = scan(context, file);
    assert.equal(rows.filter((row) => row.type === 'mime').length, 3);
    for (const [name, bytes] of PAYLOADS) {
      assert.equal(rows.filter((row) => row.name === name && row.sha256 === sha256(bytes)).length, 3, name);
      expectFile(rows, name, bytes, {
        service: 'SMTP',
        transfer: 'upload',
        state: 'complete',
        verdict: infected(name) ? 'infected' : 'clean',
      });
    }
    assert.equal(log.trimEnd().split('\n').length, 6);
    assert.match(log, /action="blocked" service="SMTP" .*filename="eicar\.com\.gz"/);
  },
);

peerTest(
  'mail that curl and fetchmail take from Dovecot by POP3 is found whole',
  ['dovecot', 'doveadm', 'curl', 'fetchmail', 'tcpdump'],
  async (context) => {
    const directory = scratch(context, 'pop3');
    const messages = PAYLOADS.map(([name, bytes]) =>
      [
        'From: carol@example.test',
        'To: alice@example.test',
        `Subject: ${name}`,
        'MIME-Version: 1.0',
        `Content-Type: application/octet-stream; name="${name}"`,
        'Content-Transfer-Encoding: base64',
        `Content-Disposition: attachment; filename="${name}"`,
        '',
        bytes.toString('base64').replace(/.{76}/g, '$&\n'),
        '',
      ].join('\n'),
    );
    const port = await freePort();
    await startDovecot(context, port, messages);
    const file = join(directory, 'pop3.pcap');
    const recording = await capture(context, port, file);
    for (let number = 1; number <= messages.length; number++) {
      run('curl', ['-sS', '--user', `${USER}:${PASSWORD}`, `pop3://127.0.0.1:${port}/${number}`]);
    }
    const settings = join(directory, 'fetchmailrc');
    writeFileSync(
      settings,
      `poll 127.0.0.1 service ${port} protocol pop3 user "${USER}" password "${PASSWORD}" mda "/bin/cat >/dev/null" keep fetchall no sslcertck sslproto ""\n`,
      { mode: 0o600 },
    );
    run('fetchmail', [
      '--fetchmailrc',
      settings,
      '--nodetach',
      '--silent',
      '--pidfile',
      join(directory, 'pid'),
      '--idfile',
      join(directory, 'ids'),
    ]);
    await recording.stop();

    const { rows, log } = scan(context, file);
    for (const [name, bytes] of PAYLOADS) {
      assert.equal(rows.filter((row) => row.name === name && row.sha256 === sha256(bytes)).length, 2, name);
      expectFile(rows, name, bytes, {
        service: 'POP3',
        transfer: 'download',
        state: 'complete',
        verdict: infected(name) ? 'infected' : 'clean',
      });
    }
    assert.match(log, /action="attachment-removed" service="POP3" .*recipient="alice"/);
    assert.ok(!log.includes(PASSWORD));
  },
);
