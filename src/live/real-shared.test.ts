/** Two daemons that share bans, calls and endpoints through a real Redis, without it, and when it is back. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { accepted, fcnacd, quarantineExample, startSimulator, UID } from '../testing/ems.js';
import { startMailSink } from '../testing/mail-sink.js';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { freePort, peerTest } from '../testing/peers/peers.js';
import { startRedisAt } from '../testing/peers/redis.js';
import { until } from '../testing/until.js';

interface Pair {
  readonly first: RunningDaemon;
  readonly second: RunningDaemon;
}

async function pair(context: TestContext, port: number, sections = ''): Promise<Pair> {
  const sink = await startMailSink(context);
  const start = (): Promise<RunningDaemon> =>
    startDaemon(context, {
      doors: [{ kind: 'smtp', to: sink.port }],
      settings: [`set redis-url "redis://:secret-of-redis@127.0.0.1:${port}"`],
      sections,
    });
  return { first: await start(), second: await start() };
}

const SECRET = 'secret-of-redis';
const bans = (daemon: RunningDaemon): Promise<string> => daemon.ask('diagnose', 'user', 'banned-ip', 'list');
const ban = (daemon: RunningDaemon, address: string): Promise<string> =>
  daemon.ask('diagnose', 'user', 'banned-ip', 'add', 'src4', address, '3600');
const unban = (daemon: RunningDaemon, address: string): Promise<string> =>
  daemon.ask('diagnose', 'user', 'banned-ip', 'delete', 'src4', address);
const banned = (daemon: RunningDaemon, address: string, wanted = true): Promise<void> =>
  until(
    `${address} is ${wanted ? '' : 'not '}banned`,
    async () => (await bans(daemon)).includes(`${address} `) === wanted,
    20_000,
  );

peerTest(
  'a ban holds on every node, over the loss of Redis, and what each did meanwhile is joined',
  ['redis-server'],
  async (context) => {
    const port = await freePort();
    let redis = await startRedisAt(context, port, SECRET);
    const { first, second } = await pair(context, port);
    for (const daemon of [first, second]) await daemon.record({ logid: '0100099126' });
    await ban(first, '192.0.2.1');
    await banned(second, '192.0.2.1');
    await ban(second, '192.0.2.2');
    await banned(first, '192.0.2.2');
    await redis.stop();
    for (const daemon of [first, second]) {
      const record = await daemon.record({ logid: '0100099125' });
      assert.match(record.get('msg') ?? '', /^redis:\/\/127\.0\.0\.1:\d+: .*; what was last known goes on holding$/);
    }
    assert.ok((await bans(first)).includes('192.0.2.1') && (await bans(second)).includes('192.0.2.1'));
    await ban(first, '192.0.2.3');
    assert.ok(!(await bans(second)).includes('192.0.2.3'));
    // It comes back without a memory: what the nodes know is put there anew.
    redis = await startRedisAt(context, port, SECRET);
    await banned(second, '192.0.2.3');
    await banned(second, '192.0.2.1');
    await unban(second, '192.0.2.1');
    await banned(first, '192.0.2.1', false);
    const text = [first, second].map(
      (daemon) =>
        daemon.said() +
        daemon
          .records()
          .map((each) => [...each].join())
          .join(),
    );
    assert.ok(!text.join().includes(SECRET));
  },
);

peerTest(
  'a Redis that hangs is left, and told so; a ban of the other node arrives when it goes on',
  ['redis-server'],
  async (context) => {
    const port = await freePort();
    const redis = await startRedisAt(context, port, SECRET);
    const { first, second } = await pair(context, port);
    for (const daemon of [first, second]) await daemon.record({ logid: '0100099126' });
    redis.process.kill('SIGSTOP');
    await first.record({ logid: '0100099125' });
    await ban(first, '192.0.2.4');
    redis.process.kill('SIGCONT');
    await banned(second, '192.0.2.4');
  },
);

peerTest(
  'a node that cannot reach EMS enforces what another learns of it, and its calls are made by the other',
  ['redis-server'],
  async (context) => {
    const port = await freePort();
    await startRedisAt(context, port, SECRET);
    const simulator = await startSimulator(context);
    const { first, second } = await pair(context, port, quarantineExample(simulator));
    // The certificate is accepted on one node only: the other gets no word out of EMS.
    await accepted(first);
    await until('the other knows the endpoint', async () => /endpoints: 1/.test(await fcnacd(second)));
    const said = second.ask(
      'diagnose',
      'endpoint',
      'forticlient-ems-rest-api',
      'queue-complete-calls',
      'Q-10.10.10.25',
    );
    await until('EMS was told', () => simulator.endpoints.get(UID)?.quarantined === true, 20_000);
    for (const daemon of [first, second]) await daemon.record({ logid: '0107045114', fctuid: UID });
    assert.match(await said, /Call completed/);
  },
);
