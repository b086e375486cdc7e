/** The daemon in operation: reload, drain, limits, lost workers, its session table, its log file; with a mail server and clients of our own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Conversation } from '../testing/peers/conversation.js';
import { type DaemonSetup, daemonConfig, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { startMailSink } from '../testing/peers/mail-sink.js';
import { freePort, scratch } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';
import { inspectd } from '../testing/program.js';
import { until } from '../testing/until.js';

const INFECTED = `Subject: bad\r\n\r\n${EICAR}\r\n.\r\n`;
const CLEAN = 'Subject: good\r\n\r\nhello\r\n.\r\n';
const ENVELOPE = ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.org>', 'DATA'];

/** A client that was greeted. */
async function greeted(context: TestContext, daemon: RunningDaemon, address?: string): Promise<Conversation> {
  const client = await Conversation.open(context, daemon.ports[0] ?? 0, address);
  assert.match(await client.reply(), /^220 /);
  assert.deepEqual(await client.codes('HELO here'), ['250']);
  return client;
}

/** Sends a mail; the code of the answer. */
async function mailed(client: Conversation, mail: string): Promise<string> {
  assert.deepEqual(await client.codes(...ENVELOPE), ['250', '250', '354']);
  return (await client.say(mail)).slice(0, 3);
}

function rewrite(daemon: RunningDaemon, setup: DaemonSetup, ports: readonly number[] = daemon.ports): void {
  writeFileSync(daemon.configuration, daemonConfig(setup, ports, daemon.directory));
}

const MONITOR = ['config smtp', '    set av-scan monitor', 'end'];

test('a reload changes what is done from the next mail on, opens and closes listeners, and drops no session', async (context) => {
  const sink = await startMailSink(context);
  const setup: DaemonSetup = { doors: [{ kind: 'smtp', to: sink.port }], settings: ['unset workers', 'set workers 2'] };
  const daemon = await startDaemon(context, setup);
  const clients = [await greeted(context, daemon), await greeted(context, daemon), await greeted(context, daemon)];
  for (const client of clients) assert.equal(await mailed(client, INFECTED), '554');
  const other = await freePort();
  rewrite(daemon, { ...setup, doors: [...setup.doors, ...setup.doors], av: MONITOR }, [daemon.ports[0] ?? 0, other]);
  assert.equal(await daemon.ask('execute', 'reload'), 'configuration reloaded\n');
  for (const client of clients) assert.equal(await mailed(client, CLEAN), '250');
  const later = await Conversation.open(context, other);
  await later.reply();
  assert.equal(await mailed(later, INFECTED), '250');
  // A listener that is gone takes nobody any more; who came through it stays.
  rewrite(daemon, setup);
  daemon.process.kill('SIGHUP');
  await until('reloaded by SIGHUP', () => daemon.said().includes('configuration reloaded'));
  await assert.rejects(Conversation.open(context, other), /ECONNREFUSED/);
  assert.equal(await mailed(later, CLEAN), '250');
  assert.equal(await mailed(await greeted(context, daemon), INFECTED), '554');
  assert.equal(sink.mails.length, 5);
});

test('a configuration that is wrong changes nothing, whatever is wrong with it, and the reason is told and logged', async (context) => {
  const sink = await startMailSink(context);
  const setup: DaemonSetup = { doors: [{ kind: 'smtp', to: sink.port }], settings: ['unset workers', 'set workers 2'] };
  const daemon = await startDaemon(context, setup);
  const taken = createServer().listen(0, '127.0.0.1');
  context.after(() => taken.close());
  await once(taken, 'listening');
  const takenPort = (taken.address() as { port: number }).port;
  const free = await freePort();
  const bad: readonly (readonly [change: () => void, reason: RegExp])[] = [
    [() => rewrite(daemon, { ...setup, av: ['set nonsense 1'] }), /utm\.conf:\d+:\d+: .*nonsense/],
    [
      () =>
        rewrite(daemon, { ...setup, doors: [...setup.doors, ...setup.doors, ...setup.doors], av: MONITOR }, [
          daemon.ports[0] ?? 0,
          free,
          takenPort,
        ]),
      new RegExp(`cannot listen on 127.0.0.1:${takenPort}`),
    ],
    [
      () =>
        rewrite(daemon, {
          ...setup,
          av: MONITOR,
          sections: 'config vpn certificate ca\n    edit "x"\n        set ca "no certificate"\n    next\nend\n',
        }),
      /vpn certificate ca/,
    ],
  ];
  for (const [change, reason] of bad) {
    change();
    const ran = await inspectd([
      'execute',
      'reload',
      '-c',
      daemon.configuration,
      '--control',
      join(daemon.directory, 'state/control.sock'),
    ]);
    assert.equal(ran.status, 2, ran.out);
    assert.match(ran.said.join('\n'), reason);
    assert.equal(await mailed(await greeted(context, daemon), INFECTED), '554');
    await assert.rejects(Conversation.open(context, free), /ECONNREFUSED/);
  }
  assert.equal(
    daemon.records().filter((record) => record.get('logdesc') === 'Configuration not reloaded').length,
    bad.length,
  );
});

test('FLT-025: told to stop it takes no more clients, lets a mail end, and then ends itself', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    settings: ['set drain-timeout 60'],
  });
  const client = await greeted(context, daemon);
  assert.deepEqual(await client.codes(...ENVELOPE), ['250', '250', '354']);
  client.socket.write('Subject: slow\r\n\r\nfirst half\r\n');
  daemon.process.kill('SIGTERM');
  const gone = once(daemon.process, 'exit');
  await until('closed to new clients', () =>
    Conversation.open(context, daemon.ports[0] ?? 0).then(
      () => false,
      () => true,
    ),
  );
  assert.match(await client.say('second half\r\n.\r\n'), /^250 /);
  assert.deepEqual(await client.codes('QUIT'), ['250']);
  assert.deepEqual(await gone, [0, null]);
  assert.deepEqual(sink.mails, ['Subject: slow\r\n\r\nfirst half\r\nsecond half']);
  const [last] = daemon.records().filter((record) => record.get('type') === 'traffic');
  assert.equal(last?.get('action'), 'close');
});

test('FLT-025: told to stop twice it ends the sessions, and half a mail never becomes one', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    settings: ['set drain-timeout 60'],
  });
  const client = await greeted(context, daemon);
  assert.deepEqual(await client.codes(...ENVELOPE), ['250', '250', '354']);
  client.socket.write('Subject: half\r\n\r\nfirst half\r\n');
  const gone = once(daemon.process, 'exit');
  daemon.process.kill('SIGTERM');
  await daemon.record({ logdesc: 'Inspection daemon stopped' });
  daemon.process.kill('SIGTERM');
  assert.deepEqual(await gone, [0, null]);
  await client.ended();
  await until('the server has heard of it', () => sink.open.size === 0);
  assert.deepEqual(sink.mails, []);
});

test('FLT-025: restarted again and again with a session open, it comes up each time and keeps its records', async (context) => {
  const sink = await startMailSink(context);
  const setup: DaemonSetup = { doors: [{ kind: 'smtp', to: sink.port }], settings: ['set drain-timeout 0'] };
  const directory = scratch(context, 'restarts');
  for (let round = 1; round <= 3; round++) {
    const daemon = await startDaemon(context, {
      ...setup,
      settings: [...(setup.settings ?? []), `set log-file "${directory}/utm.log"`],
    });
    assert.equal(await mailed(await greeted(context, daemon), INFECTED), '554');
    await daemon.stop();
    const lines = readFileSync(join(directory, 'utm.log'), 'utf8').split('\n').slice(0, -1);
    assert.equal(lines.filter((line) => line.includes('subtype="virus"')).length, round);
    assert.equal(lines.filter((line) => line.includes('type="traffic"')).length, round);
  }
});

test('a worker that is lost is replaced, the sessions of the others go on, and the loss is told', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    settings: ['unset workers', 'set workers 2'],
  });
  const workers = readFileSync(`/proc/${daemon.process.pid}/task/${daemon.process.pid}/children`, 'utf8')
    .trim()
    .split(' ');
  const descriptors = (): number[] => workers.map((pid) => readdirSync(`/proc/${pid}/fd`).length);
  const before = descriptors();
  // Whichever of them is awake takes a client; each session has two descriptors.
  const clients: Conversation[] = [];
  while (descriptors().some((count, at) => count < (before[at] ?? 0) + 2)) {
    assert.ok(clients.length < 200, 'one worker takes all clients');
    clients.push(await greeted(context, daemon));
  }
  const gone = new Set<Conversation>();
  for (const client of clients) for (const how of ['end', 'close']) client.socket.once(how, () => gone.add(client));
  process.kill(Number(workers[0]), 'SIGKILL');
  const lost = await daemon.record({ logdesc: 'Inspection process lost' });
  const count = Number(/ended \(SIGKILL\), (\d+) sessions with it/.exec(lost.get('msg') ?? '')?.[1]);
  assert.ok(count > 0 && count < clients.length, `${count} of ${clients.length}`);
  await until('its clients hear of it', () => gone.size === count);
  for (const client of clients) if (!gone.has(client)) assert.equal(await mailed(client, CLEAN), '250');
  assert.equal(gone.size, count);
  await until('replaced', async () => (await daemon.ask('get', 'system', 'status')).includes('Workers: 2 (1 lost)'));
  for (let round = 0; round < 4; round++) assert.equal(await mailed(await greeted(context, daemon), INFECTED), '554');
});

test('more clients than there is room for are told to come later, each in its protocol', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: (['smtp', 'pop3', 'imap', 'ftp'] as const).map((kind) => ({ kind, to: sink.port })),
    settings: ['set max-sessions 1'],
  });
  const client = await greeted(context, daemon);
  const words = [
    /^421 4\.3\.2 .*\r\n$/,
    /^-ERR \[SYS\/TEMP\] .*\r\n$/,
    /^\* BYE \[UNAVAILABLE\] .*\r\n$/,
    /^421 .*\r\n$/,
  ];
  for (const [at, expected] of words.entries())
    assert.match(await (await Conversation.open(context, daemon.ports[at] ?? 0)).ended(), expected);
  assert.equal(await mailed(client, CLEAN), '250');
  client.socket.end();
  await until('room', async () => /session_count=0 /.test(await daemon.ask('diagnose', 'sys', 'session', 'stat')));
  await greeted(context, daemon);
});

test('FLT-018: a server that cannot be reached, or says nothing, is told to the client, and on record', async (context) => {
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  context.after(() => silent.close());
  await once(silent, 'listening');
  const daemon = await startDaemon(context, {
    doors: [
      { kind: 'smtp', to: await freePort() },
      { kind: 'imap', to: (silent.address() as { port: number }).port },
    ],
    settings: ['set greeting-timeout 1'],
  });
  const words = [/^421 4\.3\.2 /, /^\* BYE \[UNAVAILABLE\] /];
  for (const [at, expected] of words.entries())
    assert.match(await (await Conversation.open(context, daemon.ports[at] ?? 0)).ended(), expected);
  await daemon.record({ type: 'traffic', action: 'ip-conn', msg: 'ECONNREFUSED' });
  await daemon.record({ type: 'traffic', action: 'timeout', msg: 'no-greeting' });
});

test('FLT-016: who is idle for too long is ended, and who sends too slowly in the middle of a mail', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    settings: ['set idle-timeout 3', 'set slow-timeout 1'],
  });
  const idle = await greeted(context, daemon);
  const slow = await greeted(context, daemon);
  assert.deepEqual(await slow.codes(...ENVELOPE), ['250', '250', '354']);
  const drip = setInterval(() => slow.socket.write('a'), 100);
  context.after(() => clearInterval(drip));
  await slow.ended();
  await daemon.record({ type: 'traffic', action: 'timeout', msg: 'too-slow' });
  await idle.ended();
  await daemon.record({ type: 'traffic', action: 'timeout', msg: 'idle' });
  assert.deepEqual(sink.mails, []);
});

test('the session table shows, filters, counts and clears', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [
      { kind: 'smtp', to: sink.port },
      { kind: 'smtp', to: sink.port },
    ],
  });
  const [one, two] = [
    await greeted(context, daemon),
    await Conversation.open(context, daemon.ports[1] ?? 0, '127.0.0.1', '127.0.0.2'),
  ];
  await two.reply();
  assert.equal(await mailed(one, CLEAN), '250');
  const list = (): Promise<string> => daemon.ask('diagnose', 'sys', 'session', 'list');
  const all = await list();
  assert.match(all, /total session 2\n$/);
  const { localPort } = one.socket;
  assert.ok(
    all.includes(
      `hook=pre dir=org act=dnat 127.0.0.1:${localPort}->127.0.0.1:${daemon.ports[0]}(127.0.0.1:${sink.port})`,
    ),
  );
  // What it counts is what crossed the client's wire, as soon as its worker has told.
  const counts = new RegExp(`org=${one.socket.bytesWritten}/\\d+/1 reply=${one.socket.bytesRead}/`);
  await until('counted', async () => counts.test(await list()));
  const filtered = async (...filter: string[]): Promise<string> => {
    await daemon.ask('diagnose', 'sys', 'session', 'filter', 'clear');
    await daemon.ask('diagnose', 'sys', 'session', 'filter', ...filter);
    return list();
  };
  assert.match(await filtered('src', '127.0.0.2'), /127\.0\.0\.2:\d+->.*total session 1\n$/s);
  assert.match(await filtered('sport', String(localPort)), /total session 1\n$/);
  assert.match(await filtered('policy', '2'), /total session 0\n$/);
  assert.match(await filtered('policy', '1'), /total session 2\n$/);
  assert.match(await filtered('dst', '127.0.0.9'), /total session 0\n$/);
  assert.match(await filtered('dport', String(daemon.ports[1])), /127\.0\.0\.2:\d+->.*total session 1\n$/s);
  assert.equal(await daemon.ask('diagnose', 'sys', 'session', 'clear'), '1 sessions cleared\n');
  await two.ended();
  assert.equal(await mailed(one, CLEAN), '250');
  await one.codes('QUIT');
  // The record of the end has the bytes of the wire.
  const record = await daemon.record({ type: 'traffic', srcip: '127.0.0.1', srcport: String(localPort) });
  assert.equal(record.get('sentbyte'), String(one.socket.bytesWritten));
  assert.equal(record.get('rcvdbyte'), String(one.socket.bytesRead));
});

test('a client that no policy lets in is reset, with a record', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    sections:
      'config firewall address\n    edit "friends"\n        set subnet 127.0.0.2 255.255.255.255\n    next\nend\n',
    policy: ['unset srcaddr', 'set srcaddr "friends"'],
  });
  const stranger = await Conversation.open(context, daemon.ports[0] ?? 0);
  assert.equal(await stranger.ended(), '');
  await daemon.record({ type: 'traffic', action: 'deny', srcip: '127.0.0.1', policyid: '0' });
  const friend = await Conversation.open(context, daemon.ports[0] ?? 0, '127.0.0.1', '127.0.0.2');
  assert.match(await friend.reply(), /^220 /);
  assert.equal(sink.heard.length, 1);
});

test('a VIP may be of IPv6', async (context) => {
  const sink = await startMailSink(context, '::1');
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port, toAddress: '::1', address: '::1' }],
  });
  const client = await greeted(context, daemon, '::1');
  assert.equal(await mailed(client, INFECTED), '554');
  assert.equal(await mailed(client, CLEAN), '250');
  assert.deepEqual(sink.mails, ['Subject: good\r\n\r\nhello']);
  const record = await daemon.record({ type: 'utm', subtype: 'virus' });
  assert.deepEqual([record.get('srcip'), record.get('dstip')], ['::1', '::1']);
  assert.match(
    await daemon.ask('diagnose', 'sys', 'session', 'list'),
    /act=dnat \[::1\]:\d+->\[::1\]:\d+\(\[::1\]:\d+\)/,
  );
});

test('Prometheus reads what was done', async (context) => {
  const sink = await startMailSink(context);
  const metrics = await freePort();
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    settings: [`set metrics "127.0.0.1:${metrics}"`],
  });
  const client = await greeted(context, daemon);
  assert.equal(await mailed(client, INFECTED), '554');
  assert.equal(await mailed(client, CLEAN), '250');
  const read = async (): Promise<string> => (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  await until('counted', async () => (await read()).includes('inspectd_records_total{kind="infected"} 1'));
  const text = await read();
  assert.match(text, /^inspectd_files_total\{action="block"\} 1$/m);
  assert.match(text, /^inspectd_files_total\{action="pass"\} 1$/m);
  assert.match(text, /^inspectd_sessions_open 1$/m);
  assert.match(text, /^inspectd_workers 1$/m);
  assert.match(text, /^inspectd_held_bytes 0$/m);
});

test('the log file is opened anew when it was moved away, and no record is lost', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: sink.port }] });
  const client = await greeted(context, daemon);
  assert.equal(await mailed(client, INFECTED), '554');
  const [path, old] = [join(daemon.directory, 'utm.log'), join(daemon.directory, 'utm.log.1')];
  renameSync(path, old);
  daemon.process.kill('SIGUSR2');
  const viruses = (file: string): number => {
    try {
      return readFileSync(file, 'utf8').split('subtype="virus"').length - 1;
    } catch {
      return 0;
    }
  };
  await until('a new file', async () => {
    assert.equal(await mailed(client, INFECTED), '554');
    return viruses(path) > 0;
  });
  assert.ok(viruses(old) >= 1);
  await daemon.stop();
  assert.equal((await inspectd(['execute', 'log', 'display', '-c', daemon.configuration])).status, 2);
});

test('two daemons on one control socket: the second says so, and the first goes on', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: sink.port }] });
  const second = join(daemon.directory, 'second.conf');
  const setup: DaemonSetup = { doors: [{ kind: 'smtp', to: sink.port }] };
  writeFileSync(second, daemonConfig(setup, [await freePort()], daemon.directory));
  const ran = await inspectd(['serve', '-c', second]);
  assert.equal(ran.status, 2);
  assert.match(ran.said.join('\n'), /control\.sock/);
  assert.equal(await mailed(await greeted(context, daemon), INFECTED), '554');
});
