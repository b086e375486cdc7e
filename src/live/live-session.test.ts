/** The watch over a session: time is an argument, so that hours of it take no time. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, before, type TestContext, test } from 'node:test';
import { LIVE_LIMITS } from '../core/limits.js';
import { BUILT_IN_PROFILES } from '../policy/profiles.js';
import { InspectionStage } from '../stage/stage.js';
import { FtpTalk, type PlayedFtp, playedFtp, within } from '../testing/peers/played-ftp.js';
import { LiveSession, type SessionEnd } from './live-session.js';
import { Pinholes } from './pinholes.js';

const LIMITS = { ...LIVE_LIMITS, idleTime: 600_000, slowTime: 60_000, slowBytes: 1_000, greetingTime: 30_000 };

let stage: InspectionStage;
before(async () => {
  stage = await InspectionStage.start({ limits: LIMITS });
});
after(() => stage.close());

interface Watched {
  readonly port: number;
  /** The session of the client that comes next. */
  readonly session: Promise<LiveSession>;
  readonly ended: Promise<SessionEnd>;
}

/** A door of its own in front of a server of FTP, for one client. */
async function watched(context: TestContext): Promise<Watched & { readonly server: PlayedFtp }> {
  const server = await playedFtp(context);
  return { server, ...(await watchedFor(context, server.port)) };
}

async function watchedFor(context: TestContext, server: number): Promise<Watched> {
  const door = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
  context.after(() => door.close());
  await once(door, 'listening');
  const { port } = door.address() as AddressInfo;
  let settle: (end: SessionEnd) => void = () => {};
  const ended = new Promise<SessionEnd>((resolve) => {
    settle = resolve;
  });
  const intf = { name: 'unknown-0', role: 'undefined' };
  const session = (once(door, 'connection') as Promise<[Socket]>).then(([client]) => {
    const each = new LiveSession(
      client,
      {
        id: 1,
        client: { address: '127.0.0.1', port: client.remotePort ?? 0 },
        dialled: { address: '127.0.0.1', port },
        server: { address: '127.0.0.1', port: server },
        match: {
          facts: { id: 1, type: 'policy' },
          srcUuid: undefined,
          dstUuid: undefined,
          profiles: BUILT_IN_PROFILES,
        },
        srcIntf: intf,
        dstIntf: intf,
        service: 'FTP',
        tls: { implicit: false, inspect: false, key: 'ftps' },
      },
      {
        stage,
        limits: LIMITS,
        intercept: async () => undefined,
        pinholes: new Pinholes({ limits: LIMITS, event: () => {} }),
        event: () => {},
        opened: () => {},
        closed: (_, end) => settle(end),
      },
      0,
    );
    void each.run();
    return each;
  });
  return { port, session, ended };
}

/** Waits until so many bytes of the client have come. */
async function came(session: LiveSession, bytes: number): Promise<void> {
  const there = async (): Promise<void> => {
    while (session.clientBytes.sent < bytes) await new Promise((resolve) => setImmediate(resolve));
  };
  await within(there(), `${bytes} bytes of the client`);
}

test('FLT-016: a command of a byte every ten seconds is no reason to wait: fewer than the least in the time that is given end it', async (context) => {
  const { port, session: coming, ended } = await watched(context);
  const client = await FtpTalk.open(context, port);
  const session = await coming;
  // Whole commands are nobody's business, however rarely they come.
  let now = 0;
  for (let times = 0; times < 10; times++) {
    await client.say('NOOP');
    now += 59_000;
    session.watch(now);
  }
  const start = session.clientBytes.sent;
  for (let bytes = 1; bytes <= 5; bytes++) {
    client.raw.write('x');
    await came(session, start + bytes);
    now += 10_000;
    session.watch(now);
  }
  session.watch(now + 11_000);
  await within(client.over, 'the end of a session that is too slow');
  assert.deepEqual(await ended, { how: 'timeout', reason: 'too-slow', side: undefined });
});

test('FLT-016: an upload of a byte every ten seconds ends its session, and the server has nothing of it', async (context) => {
  const { server, port, session: coming, ended } = await watched(context);
  const client = await FtpTalk.signedIn(context, port);
  const session = await coming;
  const { stream } = await client.data();
  await client.say('STOR slow.bin');
  session.watch(1_000);
  const start = session.clientBytes.sent;
  for (let bytes = 1; bytes <= 5; bytes++) {
    stream.write('x');
    await came(session, start + bytes);
    session.watch(1_000 + bytes * 10_000);
  }
  session.watch(70_000);
  await within(client.over, 'the end of a session that is too slow');
  assert.equal((await ended).reason, 'too-slow');
  assert.deepEqual(server.files.get('slow.bin'), Buffer.alloc(0));
});

test('FLT-016: an upload that is as fast as it must be goes on for as long as it likes', async (context) => {
  const { server, port, session: coming } = await watched(context);
  const client = await FtpTalk.signedIn(context, port);
  const session = await coming;
  const { stream } = await client.data();
  stream.resume();
  await client.say('STOR steady.bin');
  const start = session.clientBytes.sent;
  for (let times = 1; times <= 20; times++) {
    stream.write(Buffer.alloc(LIMITS.slowBytes, 'x'));
    await came(session, start + times * LIMITS.slowBytes);
    session.watch(times * 59_000);
  }
  stream.end();
  assert.match(await client.reply('STOR'), /^226/);
  assert.equal(server.files.get('steady.bin')?.length, 20 * LIMITS.slowBytes);
  session.abort('over');
});

test('FLT-016: a server that says nothing is not waited for, and the client hears why', async (context) => {
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  context.after(() => silent.close());
  await once(silent, 'listening');
  const { port, session: coming, ended } = await watchedFor(context, (silent.address() as AddressInfo).port);
  const opening = FtpTalk.open(context, port);
  const session = await coming;
  // Its connection stands before it can be silent.
  while (session.connection === undefined) await new Promise((resolve) => setImmediate(resolve));
  session.watch(29_000);
  session.watch(31_000);
  assert.deepEqual(await within(ended, 'the end of a session without a greeting'), {
    how: 'timeout',
    reason: 'no-greeting',
    side: undefined,
  });
  assert.match((await opening).greeting, /^(?:421 |closed)/);
});
