// Real servers and clients, captured on loopback and scanned by the program as a user runs it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PYTHON, startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { PASSWORD, startDovecot, USER } from '../testing/peers/dovecot.js';
import { startExim } from '../testing/peers/exim.js';
import { message, type Part, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { POP3_CLIENTS } from '../testing/peers/pop3-clients.js';
import { startPostfix } from '../testing/peers/postfix.js';
import { EICAR, expectFile, infected, type Row, scan, sha256 } from '../testing/peers/scanned.js';
import { bareLfClient, FILE_CLIENTS, MESSAGE_CLIENTS } from '../testing/peers/smtp-clients.js';

const PAYLOADS: readonly (readonly [string, Buffer])[] = [
  ['random.bin', randomBytes(300_000)],
  ['eicar.com', Buffer.from(EICAR)],
  ['eicar.com.gz', gzipSync(Buffer.from(EICAR))],
  ['dots.txt', Buffer.from('.\r\n..\r\n.a line\r\nno dot\r\n')],
];
/** Sends with every client to one server; every file must be found, with its virus. */
async function expectMailOfAll(
  context: TestContext,
  start: (context: TestContext, port: number) => Promise<unknown>,
): Promise<void> {
  const directory = scratch(context, 'smtp');
  const port = await freePort();
  await start(context, port);
  const file = join(directory, 'smtp.pcap');
  const recording = await capture(context, port, file);
  const expected: Part[] = [];
  for (const client of MESSAGE_CLIENTS) {
    const mails = ['first', 'second'].map((mark) => partsOf(`${client.name.replace(/\W/g, '')}-${mark}`));
    expected.push(...mails.flat());
    client.send(
      context,
      port,
      mails.map((parts, at) => message(`${client.name} ${at}`, parts)),
    );
  }
  const attached: [string, Buffer][] = [];
  for (const client of FILE_CLIENTS) {
    const files = PAYLOADS.map(([name, bytes]): [string, Buffer] => [`${client.name}-${name}`, bytes]);
    // Text has LFs where it lies and CRLFs on the wire.
    for (const [name, bytes] of files)
      writeFileSync(
        join(directory, name),
        name.endsWith('.txt') ? bytes.toString('latin1').replaceAll('\r\n', '\n') : bytes,
      );
    attached.push(...files);
    client.attach(
      context,
      port,
      files.map(([name]) => join(directory, name)),
    );
  }
  await recording.stop();

  const { rows, log } = scan(context, file);
  const found: Partial<Row> = { service: 'SMTP', transfer: 'upload', state: 'complete' };
  for (const { name, bytes } of expected)
    expectFile(rows, name, bytes, { ...found, verdict: infected(name) ? 'infected' : 'clean' });
  for (const [name, bytes] of attached)
    expectFile(rows, name, bytes, { ...found, verdict: infected(name) ? 'infected' : 'clean' });
  assert.equal(
    rows.filter((row) => row.type === 'mime').length,
    2 * MESSAGE_CLIENTS.length + FILE_CLIENTS.length,
    'messages',
  );
  const bad = [...expected.map((part) => part.name), ...attached.map(([name]) => name)].filter(infected);
  assert.equal(log.trimEnd().split('\n').length, bad.length, 'log records');
  for (const name of bad) assert.ok(log.includes(`filename="${name}"`), name);
}

const SMTP_CLIENT_PROGRAMS = [...MESSAGE_CLIENTS, ...FILE_CLIENTS].flatMap((client) => client.programs);

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

for (const [server, programs, start] of [
  ['Postfix', ['postfix'], startPostfix],
  ['Exim', ['exim4'], startExim],
  ['aiosmtpd', [PYTHON], startAiosmtpd],
] as const) {
  peerTest(
    `mail that ${[...MESSAGE_CLIENTS, ...FILE_CLIENTS].map(({ name }) => name).join(', ')} send to ${server} is found whole, with its viruses`,
    [...programs, ...SMTP_CLIENT_PROGRAMS, 'tcpdump'],
    (context) => expectMailOfAll(context, start),
  );
}

for (const [server, programs, start] of [
  ['Postfix', ['postfix'], startPostfix],
  ['Exim', ['exim4'], startExim],
] as const) {
  peerTest(
    `mail whose lines end in bare LF is found as ${server} takes it`,
    [...programs, ...bareLfClient.programs, 'tcpdump'],
    async (context) => {
      const port = await freePort();
      await start(context, port);
      const file = join(scratch(context, 'lf'), 'smtp.pcap');
      const recording = await capture(context, port, file);
      const mails = ['first', 'second'].map((mark) => partsOf(mark));
      bareLfClient.send(
        context,
        port,
        mails.map((parts) => message('bare LF', parts)),
      );
      await recording.stop();
      const { rows } = scan(context, file);
      for (const { name, bytes } of mails.flat()) {
        const text = name.endsWith('.txt') ? Buffer.from(bytes.toString().replaceAll('\r\n', '\n')) : bytes;
        expectFile(rows, name, text, { state: 'complete', verdict: infected(name) ? 'infected' : 'clean' });
      }
    },
  );
}

peerTest(
  `mail that ${POP3_CLIENTS.map(({ name }) => name).join(', ')} take from Dovecot is found whole, with its viruses`,
  ['dovecot', 'doveadm', 'tcpdump', ...POP3_CLIENTS.flatMap((client) => client.programs)],
  async (context) => {
    const directory = scratch(context, 'pop3');
    const mails = ['first', 'second', 'third'].map((mark) => partsOf(mark));
    const port = await freePort();
    await startDovecot(
      context,
      port,
      mails.map((parts, at) => message(`mail ${at}`, parts)),
    );
    for (const client of POP3_CLIENTS) {
      const file = join(directory, `${client.name.replace('::', '')}.pcap`);
      const recording = await capture(context, port, file);
      client.fetch(context, port);
      await recording.stop();
      const { rows, log } = scan(context, file);
      for (const { name, bytes } of mails.flat())
        expectFile(rows, name, bytes, {
          service: 'POP3',
          transfer: 'download',
          state: 'complete',
          verdict: infected(name) ? 'infected' : 'clean',
        });
      assert.equal(
        log.trimEnd().split('\n').length,
        mails.flat().filter(({ name }) => infected(name)).length,
        client.name,
      );
    }
  },
);
