/** EMS through the daemon: the seeds' quarantine example, bans, reload, with the simulator over real HTTPS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EmsSimulator } from '../ems/simulator/simulator.js';
import { accepted, EMS_PASSWORD, EMS_SERIAL, fcnacd, quarantineExample, startSimulator, UID } from '../testing/ems.js';
import { type DaemonSetup, daemonConfig, type RunningDaemon, runDaemon, startDaemon } from '../testing/peers/daemon.js';
import { freePort, scratch } from '../testing/peers/peers.js';
import { inspectd, SAMPLES } from '../testing/program.js';
import { until } from '../testing/until.js';

/** A server that echoes, and a daemon in front of it that knows the simulator. */
async function protectedEcho(context: TestContext, simulator: EmsSimulator, more: Partial<DaemonSetup> = {}) {
  const echo = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  context.after(() => echo.close());
  const { port } = echo.address() as { port: number };
  const setup: DaemonSetup = { doors: [{ kind: 'other', to: port }], sections: quarantineExample(simulator), ...more };
  const daemon = await startDaemon(context, setup);
  return { daemon, setup };
}

const call = (daemon: RunningDaemon, what: string): Promise<string> =>
  daemon.ask('diagnose', 'endpoint', 'forticlient-ems-rest-api', 'queue-complete-calls', what);

async function dial(context: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  context.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** What was sent comes back; the session is let in. */
async function works(socket: Socket): Promise<void> {
  socket.write('hello');
  const [data] = (await once(socket, 'data', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
  assert.equal(data.toString(), 'hello');
}

/** It is reset, as soon as it is there or a little later. */
async function turnedAway(context: TestContext, port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  context.after(() => socket.destroy());
  await closes(socket);
}

async function closes(socket: Socket): Promise<void> {
  await until('the session is ended', () => socket.closed);
}

test('the quarantine example: Q- ends the sessions of an endpoint and keeps it out, U- lets it in again', async (context) => {
  const simulator = await startSimulator(context);
  simulator.endpoints.change(UID, { addresses: ['127.0.0.1'] });
  const { daemon } = await protectedEcho(context, simulator);
  await accepted(daemon);
  const before = await dial(context, daemon.ports[0] ?? 0);
  await works(before);
  assert.equal(
    await call(daemon, 'Q-127.0.0.1'),
    `Call queued: quarantine 127.0.0.1 (UID ${UID}, EMS ${EMS_SERIAL})\nCall completed.\n`,
  );
  assert.equal(simulator.endpoints.get(UID)?.quarantined, true);
  await closes(before);
  const record = await daemon.record({ logid: '0107045114' });
  assert.deepEqual(
    ['type', 'subtype', 'level', 'logdesc', 'fctemssn', 'user', 'ip', 'fctuid'].map((name) => record.get(name)),
    ['event', 'endpoint', 'notice', 'FortiClient endpoint quarantined', EMS_SERIAL, 'keithli', '127.0.0.1', UID],
  );
  await turnedAway(context, daemon.ports[0] ?? 0);
  await daemon.record({ type: 'traffic', action: 'deny' });
  await call(daemon, 'U-127.0.0.1');
  await daemon.record({ logid: '0107045115' });
  await works(await dial(context, daemon.ports[0] ?? 0));
  const log = readFileSync(join(daemon.directory, 'utm.log'), 'utf8');
  assert.ok(!log.includes(EMS_PASSWORD) && !daemon.said().includes(EMS_PASSWORD), 'no password is in a log');
});

test('a Linux endpoint cannot be quarantined, and that is said; nor can one that nobody knows', async (context) => {
  const simulator = await startSimulator(context);
  const template = simulator.endpoints.get(UID);
  assert.ok(template);
  simulator.endpoints.put({ ...template, os: 'linux', addresses: ['10.10.10.30'] });
  const { daemon } = await protectedEcho(context, simulator);
  await accepted(daemon);
  await assert.rejects(call(daemon, 'Q-10.10.10.30'), /not supported on FortiClient \(Linux\)/);
  await assert.rejects(call(daemon, 'Q-10.10.10.99'), /no endpoint that EMS told of is at 10\.10\.10\.99/);
  await assert.rejects(call(daemon, 'X-10.10.10.30'), /give Q-ADDRESS/);
  const record = await daemon.record({ logid: '0107099106' });
  assert.match(record.get('msg') ?? '', /^quarantine 10\.10\.10\.30: .*Linux/);
});

test('a banned address has its sessions ended and gets none until it is taken off the list', async (context) => {
  const simulator = await startSimulator(context);
  const { daemon } = await protectedEcho(context, simulator);
  const before = await dial(context, daemon.ports[0] ?? 0);
  await works(before);
  await daemon.ask('diagnose', 'user', 'banned-ip', 'add', 'src4', '127.0.0.1', '3600', 'admin');
  await closes(before);
  assert.match(
    await daemon.ask('diagnose', 'user', 'banned-ip', 'list'),
    /^src-ip-addr created +expires +cause\n127\.0\.0\.1 +\w{3} \w{3} \d\d [\d:]{8} 20\d\d \w{3} \w{3} \d\d [\d:]{8} 20\d\d Administrative\n$/,
  );
  await turnedAway(context, daemon.ports[0] ?? 0);
  await daemon.record({ logid: '0100099123', ip: '127.0.0.1' });
  await daemon.ask('diagnose', 'user', 'banned-ip', 'clear');
  await works(await dial(context, daemon.ports[0] ?? 0));
});

test('every process refuses a banned address, also one that takes the place of another', async (context) => {
  const simulator = await startSimulator(context);
  const { daemon } = await protectedEcho(context, simulator, { settings: ['set workers 2'] });
  const sockets = await Promise.all(Array.from({ length: 20 }, () => dial(context, daemon.ports[0] ?? 0)));
  await Promise.all(sockets.map((socket) => works(socket)));
  await daemon.ask('diagnose', 'user', 'banned-ip', 'add', 'src4', '127.0.0.1', '3600');
  for (const socket of sockets) await closes(socket);
  const path = `/proc/${daemon.process.pid}/task/${daemon.process.pid}/children`;
  const workers = readFileSync(path, 'utf8').trim().split(' ').map(Number);
  for (const worker of workers) process.kill(worker, 'SIGKILL');
  await daemon.record({ logid: '0100099005' });
  await until('others took their place', async () => /Workers: 2 /.test(await daemon.ask('get', 'system', 'status')));
  const denied = (): number => daemon.records().filter((each) => each.get('action') === 'deny').length;
  const before = denied();
  await until('a client comes as far as policy', async () => {
    // Nobody listens until the first of them does.
    await turnedAway(context, daemon.ports[0] ?? 0).catch(() => undefined);
    return denied() > before;
  });
  await daemon.ask('diagnose', 'user', 'banned-ip', 'clear');
  await works(await dial(context, daemon.ports[0] ?? 0));
});

test('metrics count endpoints, quarantine, bans and calls, and show how EMS is', async (context) => {
  const simulator = await startSimulator(context);
  const port = await freePort();
  const { daemon } = await protectedEcho(context, simulator, { settings: [`set metrics 127.0.0.1:${port}`] });
  await accepted(daemon);
  await call(daemon, 'Q-10.10.10.25');
  await daemon.ask('diagnose', 'user', 'banned-ip', 'add', 'src4', '192.0.2.1', '60');
  await daemon.record({ logid: '0107045114' });
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  for (const line of [
    'inspectd_endpoints 1',
    'inspectd_endpoints_quarantined 1',
    'inspectd_banned_addresses 1',
    'inspectd_ems{state="connected"} 1',
    'inspectd_ems{state="out-of-sync"} 0',
    'inspectd_ems_calls_waiting 0',
    'inspectd_ems_calls_total{how="done"} 1',
    'inspectd_automation_total{what="triggered"} 0',
  ])
    assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
});

test('check takes the example as it stands, and says what is wrong with one that is', async (context) => {
  const good = readFileSync(join(SAMPLES, 'seeds', 'ems-quarantine.conf'), 'utf8');
  const path = join(scratch(context, 'check'), 'x.conf');
  for (const [text, status, said] of [
    [good, 0, /^$/],
    [good.replace('set trigger "trigger01"', ''), 2, /stitch "stitch01": trigger is missing/],
    [
      good.replace('"EMS01"\n\nset serial', '"EMS02"\n\nset serial'),
      2,
      /there is no "EMS02" in "config firewall address"/,
    ],
    [good.replace('255.255.255.255', '255.255.0.0'), 2, /"EMS01" of an EMS must be one/],
    [
      `${good}\nconfig inspectd settings\nset automation-webhook 127.0.0.1:1\nend`,
      2,
      /automation-webhook needs an automation-token/,
    ],
    [`${good}\nconfig inspectd settings\nset redis-url "http://:secret@x"\nend`, 2, /redis-url: allowed: redis:/],
  ] as const) {
    writeFileSync(path, text);
    const ran = await inspectd(['check', '-c', path]);
    assert.equal(ran.status, status, ran.said.join('\n'));
    assert.match(ran.said.join('\n'), said);
    assert.ok(!ran.said.join().includes('secret'));
  }
});

test('a call that EMS does not hear is kept over a restart and made when it is there', async (context) => {
  const simulator = await startSimulator(context);
  const { daemon, setup } = await protectedEcho(context, simulator);
  await accepted(daemon);
  const { port } = simulator;
  await simulator.close();
  assert.match(await call(daemon, 'Q-10.10.10.25'), /the call is kept/);
  await daemon.stop();
  const again = await inspectd(['check', '-c', daemon.configuration]);
  assert.equal(again.status, 0, again.said.join('\n'));
  const second = await runDaemon(
    context,
    daemon.directory,
    daemonConfig(setup, daemon.ports, daemon.directory),
    daemon.ports,
  );
  const back = await startSimulator(context, simulator.directory, port);
  await until('it was made', () => back.endpoints.get(UID)?.quarantined === true, 20_000);
  await second.record({ logid: '0107099105' });
});

test('an edited configuration is followed, a wrong one changes nothing', async (context) => {
  const simulator = await startSimulator(context);
  const { daemon, setup } = await protectedEcho(context, simulator);
  await accepted(daemon);
  const rewrite = (sections: string): void =>
    writeFileSync(daemon.configuration, daemonConfig({ ...setup, sections }, daemon.ports, daemon.directory));
  const good = setup.sections ?? '';
  rewrite(good.replace('255.255.255.255', '255.255.255.0'));
  await assert.rejects(daemon.ask('execute', 'reload'), /the address "EMS01" of an EMS must be one/);
  assert.match(await fcnacd(daemon), /state: connected/);
  rewrite(good.replace(EMS_PASSWORD, 'another'));
  await daemon.ask('execute', 'reload');
  await daemon.record({ logid: '0107099102', msg: 'it does not let "admin" sign in (status 401)' });
  assert.match(await fcnacd(daemon), /state: not-connected\n {2}endpoints: 1\n/, 'what was last known is kept');
  rewrite(good);
  await daemon.ask('execute', 'reload');
  await until('EMS is connected', async () => /state: connected/.test(await fcnacd(daemon)));
  rewrite(good.slice(0, good.indexOf('config endpoint-control')));
  await daemon.ask('execute', 'reload');
  assert.equal(await fcnacd(daemon), 'no EMS is configured\n');
  await assert.rejects(call(daemon, 'Q-10.10.10.25'), /no endpoint that EMS told of/);
});
