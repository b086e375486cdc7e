/** Ends of FTP that go away, half or wholly, at any byte of a session, or speak too slowly: nothing is half delivered, and nobody waits for ever. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { collect, FtpTalk, type PlayedFtp, playedFtp, within } from '../testing/peers/played-ftp.js';
import { EICAR } from '../testing/peers/scanned.js';

const EVIL = Buffer.from(EICAR, 'latin1');
const CLEAN = Buffer.alloc(5_000, 'nothing bad. ');

/** A relay in front of a server that resets both its ends when so many bytes of the server have come through it. */
async function cutting(
  context: TestContext,
  server: number,
): Promise<{ port: number; cutAt(bytes: number): void; seen(): number }> {
  let left = Number.POSITIVE_INFINITY;
  let seen = 0;
  const relay = createServer((client) => {
    const upstream = connect(server, '127.0.0.1');
    for (const each of [client, upstream]) {
      each.on('error', () => {});
      context.after(() => each.destroy());
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream);
    upstream.on('data', (bytes: Buffer) => {
      seen += bytes.length;
      const part = bytes.subarray(0, Math.max(0, left));
      left -= part.length;
      client.write(part, () => {
        if (left <= 0) client.resetAndDestroy();
      });
    });
  }).listen(0, '127.0.0.1');
  context.after(() => relay.close());
  await once(relay, 'listening');
  return {
    port: (relay.address() as AddressInfo).port,
    cutAt(bytes) {
      left = bytes;
      seen = 0;
    },
    seen: () => seen,
  };
}

interface Behind {
  readonly server: PlayedFtp;
  readonly daemon: RunningDaemon;
  readonly port: number;
}

async function behind(context: TestContext, settings: readonly string[] = []): Promise<Behind> {
  const server = await playedFtp(context);
  server.files.set('evil.com', EVIL);
  server.files.set('clean.bin', CLEAN);
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: server.port }], settings });
  return { server, daemon, port: daemon.ports[0] ?? 0 };
}

/** Settles when no session is open. */
async function idle(daemon: RunningDaemon): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (/total session 0\n/.test(await daemon.ask('diagnose', 'sys', 'session', 'list'))) return;
    await sleep(50);
  }
  assert.fail(`sessions remain: ${await daemon.ask('diagnose', 'sys', 'session', 'list')}`);
}

/** A whole session, as far as it gets: what was fetched of each file. */
async function session(context: TestContext, port: number): Promise<Record<string, number>> {
  const got: Record<string, number> = {};
  const client = await FtpTalk.signedIn(context, port);
  for (const name of ['evil.com', 'clean.bin']) {
    const place = await client.say('EPSV');
    const number = /\|\|\|(\d+)\|/.exec(place)?.[1];
    if (number === undefined) break;
    const came = collect(client.dial(Number(number)).stream);
    const reply = await client.say(`RETR ${name}`);
    const end = reply.startsWith('1') ? await client.reply(name) : reply;
    client.raw.once('close', () => {});
    if (end === 'closed') client.raw.destroy();
    const { bytes, how } = await came;
    got[name] = bytes.length;
    if (end.startsWith('226')) assert.equal(how, 'ended');
  }
  client.raw.destroy();
  return got;
}

test('FLT-014: a server that resets its control connection after any number of bytes leaves no half file, and no session', async (context) => {
  const server = await playedFtp(context);
  server.files.set('evil.com', EVIL);
  server.files.set('clean.bin', CLEAN);
  const relay = await cutting(context, server.port);
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: relay.port }] });
  const [port = 0] = daemon.ports;
  assert.deepEqual(await session(context, port), { 'evil.com': 0, 'clean.bin': CLEAN.length });
  const whole = relay.seen();
  assert.ok(whole > 200, String(whole));
  for (let at = 0; at < whole; at += 7) {
    relay.cutAt(at);
    const got = await session(context, port);
    assert.ok((got['evil.com'] ?? 0) === 0, `evil.com, cut at ${at}`);
    assert.ok([0, CLEAN.length].includes(got['clean.bin'] ?? 0), `clean.bin, cut at ${at}: ${got['clean.bin']}`);
  }
  await idle(daemon);
  const ends = daemon.records().filter((record) => record.get('type') === 'traffic');
  assert.ok(ends.some((record) => record.get('action') === 'server-rst'));
  assert.equal(daemon.records().filter((record) => record.get('logdesc') === 'Inspection failed').length, 0);
});

test('FLT-015: a client that half-closes behind its commands gets its answers, and both ends are let go', async (context) => {
  const { server, daemon, port } = await behind(context);
  const client = await FtpTalk.signedIn(context, port);
  const came = collect((await client.data()).stream);
  client.raw.end('RETR clean.bin\r\nQUIT\r\n');
  assert.match(await client.reply('RETR'), /^150/);
  assert.match(await client.reply('RETR'), /^226/);
  assert.ok((await came).bytes.equals(CLEAN));
  assert.match(await client.reply('QUIT'), /^221/);
  await within(client.over, 'the end of a session that said QUIT');
  assert.equal(server.heard.at(-1), 'QUIT');
  await idle(daemon);
});

test('FLT-015: data connections that are half closed from the wrong end, or from both at once, still carry their files', async (context) => {
  const { server, daemon, port } = await behind(context);
  const client = await FtpTalk.signedIn(context, port);
  // The receiver has nothing to say.
  for (const name of ['clean.bin', 'evil.com']) {
    const { stream, raw } = await client.data();
    const came = collect(stream);
    raw.end();
    await client.say(`RETR ${name}`);
    assert.match(await client.reply(name), name === 'clean.bin' ? /^226/ : /^550/);
    assert.equal((await came).bytes.length, name === 'clean.bin' ? CLEAN.length : 0);
  }
  assert.match(await client.store('empty.bin', Buffer.alloc(0)), /^226/);
  assert.equal(server.files.get('empty.bin')?.length, 0);
  client.raw.destroy();
  await idle(daemon);
});

test('FLT-015: a server that half-closes its control connection ends the session', async (context) => {
  let gone: Promise<unknown> | undefined;
  const server = await playedFtp(context, {
    answer(command, { raw }) {
      if (command !== 'NOOP') return undefined;
      gone = once(raw, 'close');
      raw.end('421 Going down\r\n');
      return '';
    },
  });
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: server.port }] });
  const client = await FtpTalk.signedIn(context, daemon.ports[0] ?? 0);
  assert.match(await client.say('NOOP'), /^421/);
  await within(client.over, 'the end of a session whose server is going down');
  assert.ok(gone);
  await within(gone, "the end of the server's connection");
  await idle(daemon);
});

test('FLT-015: a server that half-closes before a blocked upload could be taken back leaves nobody waiting', async (context) => {
  const server = await playedFtp(context, {
    answer(command, session) {
      if (!command.startsWith('DELE')) return undefined;
      session.control.end();
      return '';
    },
  });
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: server.port }] });
  const client = await FtpTalk.signedIn(context, daemon.ports[0] ?? 0);
  assert.match(await client.store('up.com', EVIL), /^550 .*EICAR_TEST_FILE/);
  await within(client.over, 'the end of a session whose server is gone');
  assert.equal(server.files.get('up.com')?.length, 0);
  await idle(daemon);
});

test('FLT-016: whoever says nothing, at the beginning, in a command or on a data connection, is let go in time', async (context) => {
  const { server, daemon, port } = await behind(context, ['set idle-timeout 1']);
  const silent = await FtpTalk.open(context, port);
  const midway = await FtpTalk.open(context, port);
  midway.raw.write('USER te');
  const waiting = await FtpTalk.signedIn(context, port);
  const data = await waiting.data();
  const came = collect(data.stream);
  await waiting.say('STOR slow.com');
  data.stream.write(EVIL.subarray(0, 40));
  for (const each of [silent, midway, waiting]) await within(each.over, 'the end of a session that is idle');
  assert.equal((await came).how, 'cut');
  await idle(daemon);
  assert.ok(server.uploads.every(({ bytes, how }) => bytes.length === 0 && how === 'cut'));
  const ends = daemon.records().filter((record) => record.get('type') === 'traffic');
  assert.deepEqual(
    ends.map((record) => [record.get('action'), record.get('msg')]),
    [
      ['timeout', 'idle'],
      ['timeout', 'idle'],
      ['timeout', 'idle'],
    ],
  );
});
