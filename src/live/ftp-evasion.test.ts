/** Servers and clients of FTP that misbehave, before the daemon: what the client is told, what the server gets, what the log has. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { LIVE_LIMITS } from '../core/limits.js';
import { type DaemonSetup, type LogFields, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import {
  collect,
  FtpTalk,
  type PlayedFtp,
  type PlayedFtpOptions,
  playedFtp,
  portOf,
  within,
} from '../testing/peers/played-ftp.js';
import { EICAR } from '../testing/peers/scanned.js';

const EVIL = Buffer.from(EICAR, 'latin1');
const CLEAN = randomBytes(100_000);
/** What was seen of it may be judged as cut, or the connection be gone before. */
const TRANSFER_FAILED = /^(?:425 |426 |550 .*truncated)/;
const BLOCKED = { action: 'blocked', virus: 'EICAR_TEST_FILE' };

interface Behind {
  readonly server: PlayedFtp;
  readonly daemon: RunningDaemon;
  readonly port: number;
  /** A client that has logged in. */
  talk(secure?: boolean): Promise<FtpTalk>;
}

async function behind(
  context: TestContext,
  options: PlayedFtpOptions = {},
  setup: Partial<DaemonSetup> = {},
): Promise<Behind> {
  const server = await playedFtp(context, options);
  server.files.set('evil.com', EVIL);
  server.files.set('clean.bin', CLEAN);
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: server.port }], ...setup });
  const [port = 0] = daemon.ports;
  return { server, daemon, port, talk: (secure) => FtpTalk.signedIn(context, port, secure) };
}

test('FTP-001, FTP-002, FTP-004, FTP-005, FTP-010: bad places and pieces are refused, and the session goes on', async (context) => {
  const places = ['(10,9,8,7,200,1)', '(127,0,0,1,0,22)', '(127,0,0,1,300,1)', '(127,0,0,1,200,1)'];
  const { server, daemon, talk } = await behind(context, {
    answer: (command) => (command === 'PASV' ? `227 Entering Passive Mode ${places.shift()}` : undefined),
  });
  const client = await talk();
  server.heard.length = 0;
  const refused = [
    'PORT 10,9,8,7,200,1',
    'PORT 127,0,0,1,0,22',
    'PORT 127,0,0,1,256,1',
    'EPRT |3|x|1|',
    'REST 50',
    'APPE a',
    'XYZZY',
  ];
  const codes: string[] = [];
  for (const line of ['PASV', 'PASV', 'PASV', ...refused, 'NOOP', 'PASV'])
    codes.push((await client.say(line)).slice(0, 3));
  assert.deepEqual(codes, ['425', '425', '425', '500', '500', '501', '501', '502', '502', '500', '200', '227']);
  // The server never hears of what was refused.
  assert.deepEqual(server.heard, ['PASV', 'PASV', 'PASV', 'NOOP', 'PASV']);
  const refusal = { logdesc: 'Expectation session refused' };
  await daemon.record({ ...refusal, msg: 'foreign-address 10.9.8.7:51201' });
  await daemon.record({ ...refusal, msg: 'low-port 127.0.0.1:22' });
  const expectations = await daemon.ask('diagnose', 'sys', 'session', 'list', 'expectation');
  assert.match(expectations, /act=dnat 127\.0\.0\.1:0->127\.0\.0\.1:\d+\(127\.0\.0\.1:51201\)/);
  assert.match(expectations, /total session 1\n/);
});

test('FTP-006: commands a byte at a time, and two at once, are read whole', async (context) => {
  const { server, daemon, talk } = await behind(context);
  const client = await talk();
  const bytewise = async (line: string): Promise<string> => {
    for (const byte of `${line}\r\n`) await new Promise((resolve) => client.raw.write(byte, resolve));
    return client.reply(line);
  };
  const { stream } = client.dial(portOf(await bytewise('EPSV')));
  const came = collect(stream);
  await bytewise('RETR evil.com');
  assert.match(await client.reply(), /^550 .*EICAR_TEST_FILE/);
  assert.equal((await came).bytes.length, 0);
  await daemon.record({ ...BLOCKED, direction: 'incoming' });

  // The second is heard of only when the first was answered.
  client.raw.write('EPSV\r\nRETR clean.bin\r\n');
  const whole = collect(client.dial(portOf(await client.reply())).stream);
  assert.match(await client.reply(), /^150/);
  assert.match(await client.reply(), /^226/);
  assert.ok((await whole).bytes.equals(CLEAN));
  assert.deepEqual(server.heard.slice(-4), ['EPSV', 'RETR evil.com', 'EPSV', 'RETR clean.bin']);
});

test('FTP-007: a browser that is made to speak FTP opens nothing: no way for data without a login', async (context) => {
  const { server, daemon, port } = await behind(context);
  const place = `PORT 127,0,0,1,200,1`;
  const browser = await FtpTalk.open(context, port);
  browser.raw.write(`POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n${place}\r\n`);
  await within(browser.over, 'the end of a session that is none of FTP');
  await daemon.record({ logdesc: 'Protocol anomaly', msg: 'ftp-http, from the client' });

  // Neither does one whose first words are not known as foreign.
  const other = await FtpTalk.open(context, port);
  assert.match(await other.say('X-header: a'), /^500/);
  for (const line of [place, 'EPRT |1|127.0.0.1|51201|', 'EPSV', 'PASV'])
    assert.match(await other.say(line), /^530/, line);
  await other.say('USER tester');
  assert.match(await other.say(place), /^530/);
  assert.deepEqual(server.heard, ['USER tester']);
  await other.say('PASS only-for-this-test');
  assert.match(await other.say('EPSV'), /^229/);
  assert.match(await other.say('REIN'), /^200/);
  assert.match(await other.say('EPSV'), /^530/);
  await daemon.record({ logdesc: 'Protocol anomaly', msg: 'ftp-out-of-order, from the client' });
  assert.equal(daemon.records().filter((record) => record.get('logdesc') === 'Expectation session refused').length, 0);
});

test('FTP-008: another host finds the way refused; the client gets its file all the same', async (context) => {
  const { daemon, talk } = await behind(context);
  const client = await talk();
  const port = portOf(await client.say('EPSV'));
  const thief = await collect(client.dial(port, true, '127.0.0.2').stream);
  assert.equal(thief.how, 'cut');
  const came = collect(client.dial(port).stream);
  await client.say('RETR clean.bin');
  assert.match(await client.reply(), /^226/);
  assert.ok((await came).bytes.equals(CLEAN));
  // A second one of the client's own gets nothing either.
  assert.equal((await collect(client.dial(port).stream)).how, 'cut');
  const refused = (what: RegExp) => (record: LogFields) =>
    record.get('logdesc') === 'Expectation session refused' && what.test(record.get('msg') ?? '');
  await daemon.record({ logdesc: 'Expectation session refused' });
  const records = daemon.records();
  assert.ok(records.some(refused(/^127\.0\.0\.2:\d+ came in place of 127\.0\.0\.1$/)));
  assert.ok(records.some(refused(/^127\.0\.0\.1:\d+ came where one had come already$/)));
});

test('FTP-009: a session has so many ways for data open, and none when it is over', async (context) => {
  const { daemon, talk } = await behind(context);
  const client = await talk();
  const most = LIVE_LIMITS.expectationsPerFlow;
  const ports: number[] = [];
  for (let times = 0; times < most; times++) ports.push(portOf(await client.say('EPSV')));
  assert.match(await client.say('EPSV'), /^425/);
  assert.match(await client.say('PASV'), /^425/);
  const list = (): Promise<string> => daemon.ask('diagnose', 'sys', 'session', 'list', 'expectation');
  assert.match(await list(), new RegExp(`total session ${most}\n`));
  client.control.write('QUIT\r\n');
  await within(client.over, 'the end of a session that said QUIT');
  for (let tries = 0; !/total session 0\n/.test(await list()); tries++) assert.ok(tries < 100, 'ways for data remain');
  for (const port of ports) assert.equal((await collect(client.dial(port).stream)).how, 'cut');
  const refused = daemon.records().filter((record) => record.get('logdesc') === 'Expectation session refused');
  assert.ok(refused.length === 2 && refused.every((record) => record.get('msg')?.startsWith('limit ') === true));
});

test('FTP-013: what is stored already may not get a name that the file filter blocks; SITE makes no content', async (context) => {
  const { server, daemon, talk } = await behind(
    context,
    {},
    {
      sections: `config file-filter profile
    edit "ff"
        config rules
            edit "programs"
                set protocol ftp
                set action block
                set file-type "exe" "bat"
            next
        end
    next
end
`,
      policy: ['set file-filter-profile "ff"'],
    },
  );
  const client = await talk();
  assert.match(await client.store('readme.txt', Buffer.from('nothing bad')), /^226/);
  assert.match(await client.say('RNFR readme.txt'), /^200/);
  assert.match(await client.say('RNTO readme.exe'), /^550 /);
  assert.match(await client.say('RNTO readme.bak'), /^200/);
  await daemon.record({ subtype: 'file-filter', action: 'blocked', filename: 'readme.exe' });
  for (const line of ['SITE CPFR readme.txt', 'SITE CPTO readme.exe', 'SITE SYMLINK a b', 'SITE EXEC ls'])
    assert.match(await client.say(line), /^502/, line);
  assert.match(await client.say('SITE CHMOD 600 readme.txt'), /^200/);
  assert.match(await client.say('XRMD old'), /^200/);
  const behindIt = server.heard.slice(server.heard.indexOf('STOR readme.txt') + 1);
  assert.deepEqual(behindIt, ['RNFR readme.txt', 'RNTO readme.bak', 'SITE CHMOD 600 readme.txt', 'XRMD old']);
});

test('FTP-015: a file is held whatever comes first, its bytes, 150 or 226', async (context) => {
  const { server, talk } = await behind(context, {
    async answer(command, session) {
      const [, how = '', name = ''] = /^RETR (early|late|silent)-(.*)$/.exec(command) ?? [];
      const content = server.files.get(name);
      if (content === undefined) return undefined;
      const { stream } = await session.data();
      stream.resume();
      if (how === 'late') {
        session.say('150 Here it comes');
        session.say('226 Sent');
        // The client's next command shows that what was said has gone through.
        session.control.once('data', () => stream.end(content));
      } else {
        stream.write(content);
        if (how === 'early') session.say('150 Here it comes');
        stream.end(() => session.say('226 Sent'));
      }
      return '';
    },
  });
  const client = await talk();
  for (const how of ['early', 'late', 'silent'])
    for (const name of ['evil.com', 'clean.bin']) {
      const came = collect((await client.data()).stream);
      client.control.write(`RETR ${how}-${name}\r\n`);
      if (how !== 'silent') assert.match(await client.reply(), /^150/);
      if (how === 'late') client.control.write('NOOP\r\n');
      const expected = name === 'evil.com' ? /^550 .*EICAR_TEST_FILE/ : /^226/;
      assert.match(await client.reply(), expected, `${how} ${name}`);
      if (how === 'late') assert.match(await client.reply(), /^200/);
      const { bytes } = await came;
      assert.ok(name === 'evil.com' ? bytes.length === 0 : bytes.equals(CLEAN), `${how} ${name}`);
    }
});

test('FTP-015: a data connection carries one transfer: what comes behind it is of the same file, a second command is refused', async (context) => {
  const { server, daemon, talk } = await behind(context, {
    async answer(command, session) {
      if (command !== 'RETR first.bin') return undefined;
      const { stream } = await session.data();
      session.say('150 Here it comes');
      stream.write('half of a file ');
      session.say('226 Sent, and the next one follows');
      // What the daemon asks next would be the second transfer.
      session.control.once('data', () => stream.end(EVIL));
      return '';
    },
  });
  const client = await talk();
  const came = collect((await client.data()).stream);
  client.control.write('RETR first.bin\r\nRETR second.bin\r\nNOOP\r\n');
  assert.match(await client.reply(), /^150/);
  assert.match(await client.reply(), /^550 .*EICAR_TEST_FILE/);
  assert.match(await client.reply(), /^425/);
  assert.match(await client.reply(), /^200/);
  assert.equal((await came).bytes.length, 0);
  assert.ok(!server.heard.includes('RETR second.bin'));
  await daemon.record({ ...BLOCKED, filename: 'first.bin' });
});

test('FTP-015: who is gone before the end is told so, and neither end waits', async (context) => {
  const { server, talk } = await behind(context, {
    async answer(command, session) {
      if (!command.startsWith('RETR cut')) return undefined;
      const { raw, stream } = await session.data();
      session.say('150 Here it comes');
      stream.write(CLEAN, () => raw.resetAndDestroy());
      // It lies.
      return '226 Sent';
    },
  });
  const client = await talk();
  const came = collect((await client.data()).stream);
  await client.say('RETR cut.bin');
  assert.match(await client.reply('RETR'), TRANSFER_FAILED);
  assert.deepEqual(await came, { bytes: Buffer.alloc(0), how: 'cut' });

  const upload = await client.data();
  await client.say('STOR cut.bin');
  upload.stream.write(CLEAN, () => upload.raw.resetAndDestroy());
  assert.match(await client.reply('STOR'), TRANSFER_FAILED);
  assert.deepEqual(
    server.uploads.map(({ bytes, how }) => [bytes.length, how]),
    [[0, 'cut']],
  );
  assert.match(await client.store('whole.bin', CLEAN), /^226/);
  assert.equal(server.files.get('whole.bin')?.equals(CLEAN), true);
});

test('FTP-016: a listing that is cut is no whole one', async (context) => {
  const { talk } = await behind(context, {
    async answer(command, session) {
      if (command !== 'LIST') return undefined;
      const { raw } = await session.data();
      session.say('150 Here it comes');
      // The client's next command shows that what was sent has gone through.
      raw.write('one.txt\r\n');
      session.control.once('data', () => {
        raw.resetAndDestroy();
        session.say('426 Something is wrong');
      });
      return '';
    },
  });
  const client = await talk();
  const { stream } = await client.data();
  const first = once(stream, 'data');
  const came = collect(stream);
  await client.say('LIST');
  await within(first, 'the beginning of a listing');
  client.control.write('STAT\r\n');
  assert.match(await client.reply('LIST'), /^426/);
  assert.deepEqual(await came, { bytes: Buffer.from('one.txt\r\n'), how: 'cut' });
});

test('FTP-016: listings and replies are no files, and have their bounds', async (context) => {
  const { daemon, talk } = await behind(context, {
    answer(command, session) {
      if (command === 'STAT') return `211-Here\r\n ${EICAR}\r\n211 End`;
      if (command === 'LIST') return session.send(EVIL).then(() => '');
      if (command === 'HELP') {
        session.control.write('214-This goes on\r\n');
        session.control.write(' and on\r\n'.repeat(100_001));
        return '';
      }
      return undefined;
    },
  });
  const client = await talk();
  assert.match(await client.say('STAT'), /EICAR-STANDARD/);
  const came = collect((await client.data()).stream);
  await client.say('LIST');
  assert.match(await client.reply(), /^226/);
  assert.ok((await came).bytes.equals(EVIL));
  client.control.write('HELP\r\n');
  await within(client.over, 'the end of a session with a reply that has no end');
  await daemon.record({ logdesc: 'Protocol anomaly', msg: 'ftp-reply-unended, from the server' });
  assert.equal(daemon.records().filter((record) => record.get('type') === 'utm').length, 0);
});

test('FTP-017: a line without an end is no reason to wait: the session is cut', async (context) => {
  const { daemon, port } = await behind(context);
  const client = await FtpTalk.open(context, port);
  client.raw.write(`USER ${'a'.repeat(1 << 20)}`);
  await within(client.over, 'the end of a session with an endless line');
  await daemon.record({ logdesc: 'Protocol anomaly', msg: 'ftp-line-too-long, from the client' });
});

test('FTP-017: signals of Telnet are no part of a command, and a reply without an end is cut', async (context) => {
  const { server, daemon, talk } = await behind(context, {
    answer: (command, session) => {
      if (command.startsWith('\xff')) return '500 What?';
      if (command !== 'SYST') return undefined;
      session.control.write(`215 ${'x'.repeat(1 << 20)}`);
      return '';
    },
  });
  const client = await talk();
  const { stream } = await client.data();
  client.raw.write(Buffer.from('\xff\xf4\xff\xf2RETR evil.com\r\n', 'latin1'));
  // This server reads signals as letters of another command; a file that it sent would be one to us.
  assert.match(await client.reply(), /^500/);
  client.raw.write('SYST\r\n');
  await within(client.over, 'the end of a session with an endless reply');
  await daemon.record({ logdesc: 'Protocol anomaly', msg: 'ftp-line-too-long, from the server' });
  assert.equal((await collect(stream)).bytes.length, 0);
  assert.ok(server.heard.some((line) => line.endsWith('RETR evil.com')));
});
