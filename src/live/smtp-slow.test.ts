/** Clients and servers of SMTP that are slow, silent or not there, and a daemon that is out of descriptors. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type DaemonSetup, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { freePort, peerTest, run } from '../testing/peers/peers.js';
import { dial, type Peer, startScripted } from '../testing/peers/scripted.js';
import { betweenSmtp, ENVELOPE, greeted, plainMessage, sendData, startSmtp } from '../testing/peers/scripted-smtp.js';
import { until } from '../testing/until.js';

const CLEAN = plainMessage('nothing but text');

/** Says `text` a byte at a time, again and again, and far more slowly than it is read, until the other end goes. */
async function dribble(peer: Peer, text: string): Promise<void> {
  let at = 0;
  const timer = setInterval(() => peer.say(text[at++ % text.length] ?? ''), 100);
  await peer.left().finally(() => clearInterval(timer));
}

/** That the daemon ended the session for the reason. */
async function ended(daemon: RunningDaemon, peer: Peer, msg: string): Promise<void> {
  await daemon.record({ type: 'traffic', srcport: String(peer.port), action: 'timeout', msg });
}

const SLOW: Partial<DaemonSetup> = { settings: ['set slow-timeout 2', 'set idle-timeout 60'] };

test('FLT-016: a client that sends a byte now and then, in a command, a header, a body or a chunk, is ended though it is never idle', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context, {}, SLOW);
  const places: readonly (readonly [before: readonly string[], text: string])[] = [
    [[], 'NOOP x'],
    [[...ENVELOPE, 'DATA'], 'Subject'],
    [[...ENVELOPE, 'DATA', 'Subject: x\r\n'], 'line\r\n'],
    [ENVELOPE, 'BDAT 100000 LAST\r\n'],
  ];
  await Promise.all(
    places.map(async ([before, text]) => {
      const one = await client();
      for (const line of before)
        if (line.startsWith('Subject')) one.say(`${line}\r\n`);
        else await one.ask(line);
      if (text.startsWith('BDAT')) one.say(text);
      await dribble(one, text);
      await ended(daemon, one, 'too-slow');
    }),
  );
  assert.deepEqual(server.messages, []);
  assert.match(await sendData(await client(), CLEAN), /^250 /);
});

test('FLT-016: a handshake that comes a byte now and then is ended, behind STARTTLS and from the first byte on', async (context) => {
  const server = await startSmtp(context, { capabilities: ['STARTTLS'] });
  const daemon = await startDaemon(context, {
    doors: [
      { kind: 'smtp', to: server.port },
      { kind: 'smtps', to: server.port },
    ],
    settings: ['set handshake-timeout 2', 'set idle-timeout 60'],
  });
  const [plain = 0, implicit = 0] = daemon.ports;
  const upgraded = await greeted(context, plain);
  assert.match(await upgraded.ask('STARTTLS'), /^220 /);
  const hello = `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${'\0'.repeat(500)}`;
  await Promise.all([
    dribble(upgraded, hello),
    dial(context, implicit).then((one) => dribble(one, hello)),
    dial(context, implicit).then((silent) => silent.left()),
  ]);
  assert.match(await sendData(await greeted(context, plain, { tls: true }), CLEAN), /^250 /);
});

test('FLT-016: a server whose greeting or reply comes a byte now and then is ended as well', async (context) => {
  const slow = await startScripted(context, { serve: (peer) => dribble(peer, '220-mx ') });
  const { daemon, client } = await betweenSmtp(
    context,
    {
      async answer(line, peer) {
        if (line !== 'NOOP') return undefined;
        await dribble(peer, '250-');
        return undefined;
      },
    },
    SLOW,
  );
  const other = await startDaemon(context, { doors: [{ kind: 'smtp', to: slow.port }], ...SLOW });
  const one = await client();
  one.say('NOOP\r\n');
  const two = await dial(context, other.ports[0] ?? 0);
  await Promise.all([one.left(), two.left()]);
  await ended(daemon, one, 'too-slow');
  await ended(other, two, 'too-slow');
});

test('FLT-016: who is idle between commands, or for a server that never answers, is ended in the time for that', async (context) => {
  const { daemon, client } = await betweenSmtp(
    context,
    { answer: (line) => (line === 'NOOP' ? new Promise(() => {}) : undefined) },
    { settings: ['set idle-timeout 2'] },
  );
  const [idle, waiting] = [await client(), await client()];
  waiting.say('NOOP\r\n');
  await Promise.all([idle.left(), waiting.left()]);
  await ended(daemon, idle, 'idle');
  await ended(daemon, waiting, 'idle');
});

async function daemonBefore(
  context: TestContext,
  to: number,
  settings: readonly string[] = [],
): Promise<RunningDaemon> {
  return startDaemon(context, { doors: [{ kind: 'smtp', to }], settings });
}

test('FLT-018: where the server refuses, the client is told to come again, and so is every later one', async (context) => {
  const daemon = await daemonBefore(context, await freePort());
  for (let count = 0; count < 3; count++) {
    const one = await dial(context, daemon.ports[0] ?? 0);
    assert.match(await one.reply(), /^421 /);
    assert.equal(await one.left(), 'end');
    one.end();
    await daemon.record({ type: 'traffic', srcport: String(one.port), action: 'ip-conn', msg: 'ECONNREFUSED' });
  }
});

test('FLT-018: where the server takes the connection and says nothing, the client is told so, whether it spoke itself or not', async (context) => {
  const silent = await startScripted(context, {});
  const daemon = await daemonBefore(context, silent.port, ['set greeting-timeout 1']);
  const [quiet, early] = [await dial(context, daemon.ports[0] ?? 0), await dial(context, daemon.ports[0] ?? 0)];
  early.say('EHLO early.example.test\r\n');
  for (const one of [quiet, early]) {
    assert.match(await one.reply(), /^421 /);
    await one.left();
    await ended(daemon, one, 'no-greeting');
  }
  for (const peer of silent.peers) await peer.left();
});

test('FLT-018: a server that closes without a greeting, or ends in its middle, is no reason to wait', async (context) => {
  for (const greeting of [undefined, '220-mx']) {
    const closing = await startScripted(context, {
      ...(greeting === undefined ? {} : { greeting }),
      serve: (peer) => Promise.resolve(peer.end()),
    });
    const daemon = await daemonBefore(context, closing.port);
    const one = await dial(context, daemon.ports[0] ?? 0);
    await one.left();
    one.end();
    await daemon.record({ type: 'traffic', srcport: String(one.port) });
  }
});

// A quarter of all is kept: with twelve more there is room for one session, with twenty for a few.
for (const spare of [12, 20])
  peerTest(
    `FLT-018: with ${spare} descriptors left, the daemon lives: who is served goes on, and later clients get in`,
    ['prlimit'],
    async (context) => {
      const server = await startSmtp(context);
      const daemon = await daemonBefore(context, server.port);
      const port = daemon.ports[0] ?? 0;
      const primary = daemon.process.pid ?? 0;
      // What each of its processes has open already, and so many more.
      const workers = readFileSync(`/proc/${primary}/task/${primary}/children`, 'utf8').trim().split(' ');
      for (const pid of [String(primary), ...workers])
        run('prlimit', ['--pid', pid, `--nofile=${readdirSync(`/proc/${pid}/fd`).length + spare}`]);
      const first = await greeted(context, port);
      const many = await Promise.all(Array.from({ length: 150 }, () => dial(context, port)));
      // Some are served, the others wait, or were told to come again.
      await Promise.any(
        many.map((one) => one.left()).concat(many.slice(0, 1).map((one) => one.reply().then(() => 'end'))),
      );
      // What cannot be scanned for want of them is to come again.
      assert.match(await sendData(first, CLEAN), /^(?:250|451) /);
      await daemon.record({ type: 'event', logdesc: 'Clients turned away for lack of room' });
      for (const one of many) one.reset();
      let later: Peer | undefined;
      // The daemon hears of the resets when it comes to them: who is turned away until then comes again, as mail servers do.
      await until('a later client gets in', async () => {
        const one = await dial(context, port);
        const said = await one.reply().catch(() => '');
        if (said.startsWith('220')) later = one;
        else one.reset();
        return later !== undefined;
      });
      assert.ok(later !== undefined);
      assert.match(await sendData(later, CLEAN), /^250 /);
      assert.equal(daemon.process.exitCode, null);
      assert.doesNotMatch(daemon.said(), /uncaught| {4}at /);
    },
  );
