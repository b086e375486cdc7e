/**
 * A megabyte with the test file at its end, by FTP in clear text and within TLS: whoever stalls, is reset or asks again, not a byte of it is out
 * before the verdict, and nothing of it remains with the server.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { collect, FtpTalk, type PlayedFtp, type PlayedFtpOptions, playedFtp } from '../testing/peers/played-ftp.js';
import { EICAR } from '../testing/peers/scanned.js';

const EVIL = Buffer.concat([randomBytes(1 << 20), Buffer.from(EICAR, 'latin1')]);
/** All but the end of the test file. */
const MOST = EVIL.subarray(0, EVIL.length - 10);

interface Behind {
  readonly server: PlayedFtp;
  readonly daemon: RunningDaemon;
  readonly client: FtpTalk;
  /** Another. */
  again(): Promise<FtpTalk>;
}

async function behind(context: TestContext, secure: boolean, options: PlayedFtpOptions = {}): Promise<Behind> {
  const server = await playedFtp(context, { tls: secure, ...options });
  server.files.set('evil.bin', EVIL);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'ftp', to: server.port }],
    ssl: secure ? ['config ftps', 'set untrusted-server-cert allow', 'end'] : [],
  });
  const again = (): Promise<FtpTalk> => FtpTalk.signedIn(context, daemon.ports[0] ?? 0, secure);
  return { server, daemon, client: await again(), again };
}

/** Waits until the daemon holds this much, by its own account. */
async function holds(daemon: RunningDaemon, bytes: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const held = /^Held: (\d+) bytes$/m.exec(await daemon.ask('get', 'system', 'status'))?.[1];
    if (Number(held) === bytes) return;
    await sleep(50);
  }
  assert.fail(`it never held ${bytes} bytes`);
}

for (const secure of [false, true]) {
  const way = secure ? 'PROT P' : 'clear text';

  test(`${way}: a download that stalls before its end is held whole, and refused when it ends`, async (context) => {
    let finish = (): void => {};
    const { daemon, client } = await behind(context, secure, {
      async answer(command, session) {
        if (command !== 'RETR evil.bin') return undefined;
        const { stream } = await session.data();
        session.say('150 Here it comes');
        stream.resume();
        stream.write(MOST);
        finish = () => stream.end(EVIL.subarray(MOST.length), () => session.say('226 Sent'));
        return '';
      },
    });
    const { stream } = await client.data();
    let got = 0;
    stream.on('data', (chunk: Buffer) => {
      got += chunk.length;
    });
    const came = collect(stream);
    await client.say('RETR evil.bin');
    await holds(daemon, MOST.length);
    assert.equal(got, 0);
    finish();
    assert.match(await client.reply('RETR'), /^550 .*EICAR_TEST_FILE/);
    assert.deepEqual(await came, { bytes: Buffer.alloc(0), how: 'cut' });
    await daemon.record({ action: 'blocked', virus: 'EICAR_TEST_FILE', filename: 'evil.bin', direction: 'incoming' });
    await holds(daemon, 0);
  });

  test(`${way}: of a download that the server resets before its end nothing comes`, async (context) => {
    let what: 'data' | 'control' = 'data';
    let cut = (): void => {};
    const {
      daemon,
      client: first,
      again,
    } = await behind(context, secure, {
      async answer(command, session) {
        if (command !== 'RETR evil.bin') return undefined;
        const { stream, raw } = await session.data();
        session.say('150 Here it comes');
        stream.write(MOST);
        cut = () => {
          (what === 'data' ? raw : session.raw).resetAndDestroy();
          if (what === 'data') session.say('426 Something is wrong');
        };
        return '';
      },
    });
    for (what of ['data', 'control'] as const) {
      const client = what === 'data' ? first : await again();
      const came = collect((await client.data()).stream);
      await client.say('RETR evil.bin');
      await holds(daemon, MOST.length);
      cut();
      assert.match(await client.reply(`RETR ${what}`), what === 'data' ? /^(?:426|550)/ : /^closed$/);
      assert.deepEqual(await came, { bytes: Buffer.alloc(0), how: 'cut' }, what);
      await holds(daemon, 0);
    }
  });

  test(`${way}: of an upload nothing reaches the server before its end, nor after, and its empty file goes`, async (context) => {
    const { server, daemon, client } = await behind(context, secure);
    const { stream } = await client.data();
    stream.resume();
    await client.say('STOR up.bin');
    stream.write(MOST);
    await holds(daemon, MOST.length);
    assert.equal(server.files.get('up.bin')?.length, 0);
    stream.end(EVIL.subarray(MOST.length));
    assert.match(await client.reply('STOR'), /^550 .*EICAR_TEST_FILE/);
    assert.deepEqual(
      server.uploads.map(({ name, bytes }) => [name, bytes.length]),
      [['up.bin', 0]],
    );
    assert.ok(!server.files.has('up.bin'));
    await daemon.record({ action: 'blocked', virus: 'EICAR_TEST_FILE', filename: 'up.bin', direction: 'outgoing' });
  });

  test(`${way}: an upload whose server, or client, is gone before the end leaves nothing that could be used`, async (context) => {
    const ways = ['server data', 'server control', 'client data', 'client control'] as const;
    let what: (typeof ways)[number] = 'server data';
    let cut = (): void => {};
    const {
      server,
      daemon,
      client: first,
      again,
    } = await behind(context, secure, {
      async answer(command, session) {
        if (!command.startsWith('STOR') || !what.startsWith('server')) return undefined;
        session.say('150 Go on');
        const { stream, raw } = await session.data();
        server.files.set('up.bin', Buffer.alloc(0));
        stream.on('data', (chunk: Buffer) => server.files.set('up.bin', chunk));
        cut = () => {
          (what === 'server data' ? raw : session.raw).resetAndDestroy();
          if (what === 'server data') session.say('426 Something is wrong');
        };
        return '';
      },
    });
    for (what of ways) {
      const client = what === 'server data' ? first : await again();
      const { stream, raw } = await client.data();
      stream.resume();
      await client.say('STOR up.bin');
      stream.write(MOST);
      await holds(daemon, MOST.length);
      if (what === 'client data') raw.resetAndDestroy();
      else if (what === 'client control') client.raw.resetAndDestroy();
      else cut();
      if (what.endsWith('data')) assert.match(await client.reply('STOR'), /^(?:426|550)/, what);
      await holds(daemon, 0);
      assert.equal(server.files.get('up.bin')?.length ?? 0, 0, what);
      assert.ok(server.uploads.every(({ bytes, how }) => bytes.length === 0 && how === 'cut'));
    }
  });
}
