/** FTPS with peers that misbehave on data connections: certificates that are another's, ends without close_notify, and silence. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type DaemonSetup, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import {
  collect,
  FtpTalk,
  type PlayedFtp,
  type PlayedFtpOptions,
  playedFtp,
  portOf,
} from '../testing/peers/played-ftp.js';
import { EICAR } from '../testing/peers/scanned.js';

const EVIL = Buffer.from(EICAR, 'latin1');
const CLEAN = randomBytes(100_000);

interface Behind {
  readonly server: PlayedFtp;
  readonly daemon: RunningDaemon;
  /** With AUTH TLS and PROT P. */
  talk(): Promise<FtpTalk>;
}

async function behind(
  context: TestContext,
  options: PlayedFtpOptions = {},
  setup: Partial<DaemonSetup> = {},
): Promise<Behind> {
  const server = await playedFtp(context, { tls: true, ...options });
  server.files.set('evil.com', EVIL);
  server.files.set('clean.bin', CLEAN);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'ftp', to: server.port }],
    ssl: ['config ftps', 'set untrusted-server-cert allow', 'end'],
    ...setup,
  });
  return { server, daemon, talk: () => FtpTalk.signedIn(context, daemon.ports[0] ?? 0, true) };
}

test('FTP-020: within TLS files pass and are blocked; whoever else dials finds nothing', async (context) => {
  const { server, daemon, talk } = await behind(context);
  const client = await talk();
  const clean = await client.fetch('clean.bin');
  assert.match(clean.reply, /^226/);
  assert.ok(clean.bytes.equals(CLEAN));
  const evil = await client.fetch('evil.com');
  assert.match(evil.reply, /^550 .*EICAR_TEST_FILE/);
  assert.deepEqual([evil.bytes.length, evil.how], [0, 'cut']);
  assert.match(await client.store('up.bin', CLEAN), /^226/);
  assert.match(await client.store('up.com', EVIL), /^550/);
  assert.equal(server.files.get('up.bin')?.equals(CLEAN), true);
  assert.ok(!server.files.has('up.com'));
  assert.equal(server.heard.at(-1), 'DELE up.com');

  const port = portOf(await client.say('EPSV'));
  assert.equal((await collect(client.dial(port, true, '127.0.0.2').stream)).how, 'cut');
  const refused = await daemon.record({ logdesc: 'Expectation session refused' });
  assert.match(refused.get('msg') ?? '', /^127\.0\.0\.2:\d+ came in place of 127\.0\.0\.1$/);
});

test('FTP-020: a server with another certificate on its data connection is not that of the control connection', async (context) => {
  const { server, daemon, talk } = await behind(context, { otherDataCertificate: true });
  const client = await talk();
  const down = await client.fetch('clean.bin');
  assert.deepEqual([down.bytes.length, down.how], [0, 'cut']);
  assert.match(down.reply, /^4/);
  assert.match(await client.store('up.bin', CLEAN), /^4/);
  assert.ok(server.uploads.every(({ bytes }) => bytes.length === 0));
  await daemon.record({ subtype: 'ssl', eventtype: 'ssl-anomaly', action: 'blocked' });
});

test('FTP-021: an upload within TLS that was cut without close_notify is no whole file to the server', async (context) => {
  const { server, daemon, talk } = await behind(context);
  const client = await talk();
  for (const name of ['cut.bin', 'empty.bin']) {
    const { stream, raw } = await client.data();
    stream.resume();
    await client.say(`STOR ${name}`);
    // FIN, as a cable that is pulled, or somebody in between, would have it.
    if (name === 'cut.bin') stream.write(CLEAN, () => raw.end());
    else {
      // An empty write would do, but for Node: it goes past TLS, which then may write beside it, and asserts that it does not.
      if ((stream as { secureConnecting?: boolean }).secureConnecting === true) await once(stream, 'secureConnect');
      raw.end();
    }
    assert.match(await client.reply(name), /^(?:426|550)/);
  }
  assert.deepEqual(
    server.uploads.map(({ bytes, how }) => [bytes.length, how]),
    [
      [0, 'cut'],
      [0, 'cut'],
    ],
  );
  assert.match(await client.store('after.bin', CLEAN), /^226/);
  assert.equal(daemon.records().filter((record) => record.get('subtype') === 'virus' && record.has('virus')).length, 0);
});

test('FTP-021: a download within TLS that was cut without close_notify is no whole file to the client', async (context) => {
  const { talk } = await behind(context, {
    async answer(command, session) {
      if (command !== 'RETR cut.bin') return undefined;
      const { stream, raw } = await session.data();
      session.say('150 Here it comes');
      stream.write(CLEAN, () => raw.end());
      return '226 Sent';
    },
  });
  const client = await talk();
  client.control.write('NOOP\r\n');
  await client.reply('NOOP');
  const came = collect((await client.data()).stream);
  assert.match(await client.say('RETR cut.bin'), /^150/);
  assert.match(await client.reply('RETR'), /^(?:426|550)/);
  assert.deepEqual(await came, { bytes: Buffer.alloc(0), how: 'cut' });
  assert.match((await client.fetch('clean.bin')).reply, /^226/);
});

test('FLT-016: a client that does not begin TLS on its data connection is not waited for, nor one that says something else', async (context) => {
  const { server, daemon, talk } = await behind(context, {}, { settings: ['set handshake-timeout 1'] });
  const client = await talk();
  for (const words of ['', EICAR]) {
    const { stream } = await client.data('EPSV', true);
    stream.write(words);
    assert.match(await client.say('STOR silent.com'), /^150/);
    assert.match(await client.reply('STOR'), /^426/);
    await collect(stream);
  }
  assert.ok(server.uploads.every(({ bytes }) => bytes.length === 0));
  await daemon.record({ subtype: 'ssl', action: 'blocked' });
  assert.match((await client.fetch('clean.bin')).reply, /^226/);
});

test('PROT C within AUTH TLS: data in clear text is judged as well, and TLS on it is none', async (context) => {
  const { server, daemon, talk } = await behind(context);
  const client = await talk();
  assert.match(await client.say('PROT C'), /^200/);
  for (const name of ['clean.bin', 'evil.com']) {
    const came = collect((await client.data('EPSV', true)).stream);
    await client.say(`RETR ${name}`);
    assert.match(await client.reply(name), name === 'clean.bin' ? /^226/ : /^550/);
    assert.ok((await came).bytes.equals(name === 'clean.bin' ? CLEAN : Buffer.alloc(0)));
  }
  await daemon.record({ service: 'FTP', action: 'blocked', filename: 'evil.com' });
  const { stream } = await client.data('EPSV', true);
  await client.say('STOR up.com');
  stream.end(EVIL);
  assert.match(await client.reply('STOR'), /^550/);
  assert.ok(!server.files.has('up.com'));
});
