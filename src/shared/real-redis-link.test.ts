/** Maps of two nodes over a real Redis: what is lost, late, emptied or foreign. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { freePort, peerTest } from '../testing/peers/peers.js';
import { startRedisAt } from '../testing/peers/redis.js';
import { until } from '../testing/until.js';
import { RedisLink } from './redis-link.js';
import { ReplicatedMap } from './replicated-map.js';

interface Node {
  readonly map: ReplicatedMap;
  readonly link: RedisLink;
  readonly states: string[];
}

function node(context: TestContext, port: number, name: string, account = ''): Node {
  const map = new ReplicatedMap({ name: 'm', most: 20_000, problem: (what) => assert.fail(what) });
  const states: string[] = [];
  const link = new RedisLink(
    {
      url: `redis://${account}127.0.0.1:${port}`,
      node: name,
      random: () => 0,
      state: (connected, why) => states.push(`${connected ? 'connected' : 'lost'} ${why}`),
    },
    [map],
  );
  context.after(() => link.close());
  return { map, link, states };
}

async function pair(
  context: TestContext,
): Promise<{ port: number; one: Node; two: Node; redis: Redis; stop(): Promise<void> }> {
  const port = await freePort();
  const { stop } = await startRedisAt(context, port);
  const [one, two] = [node(context, port, 'one'), node(context, port, 'two')];
  await until('both are connected', () => one.link.connected && two.link.connected);
  const redis = new Redis(port, '127.0.0.1');
  context.after(() => redis.disconnect());
  return { port, one, two, redis, stop };
}

const same = (a: Node, b: Node): boolean =>
  JSON.stringify([...a.map.entries()].sort()) === JSON.stringify([...b.map.entries()].sort());

peerTest('what one sets and deletes the other has; many at once too', ['redis-server'], async (context) => {
  const { one, two } = await pair(context);
  one.map.set('a', '1');
  await until('it is there', () => two.map.get('a') === '1');
  two.map.delete('a');
  await until('it is gone', () => one.map.size === 0);
  one.map.change(
    Array.from({ length: 12_345 }, (_, at) => ({ key: `k${at}`, value: `"${at}"\n\u00e9` })),
    'here',
  );
  await until('all are there', () => two.map.size === 12_345);
  assert.ok(same(one, two));
  await until('nothing waits', () => one.map.unsent().length === 0);
});

peerTest('a Redis that was emptied is filled again by those who know', ['redis-server'], async (context) => {
  const { one, two, redis } = await pair(context);
  one.map.set('a', '1');
  two.map.set('b', '2');
  await until('both have both', () => one.map.size === 2 && two.map.size === 2);
  await redis.flushall();
  await until('it is filled', async () => (await redis.hlen('inspectd:shared:m')) === 2, 15_000);
  assert.deepEqual([one.map.size, two.map.size], [2, 2]);
  one.map.delete('a');
  await until('it goes on', () => two.map.size === 1);
});

peerTest(
  'a newer value of another node is not deleted by one that has not heard of it',
  ['redis-server'],
  async (context) => {
    const { one, two, redis } = await pair(context);
    one.map.set('a', '1');
    await until('it is there', () => two.map.get('a') === '1');
    // As if the message of another node were still under way.
    await redis.hset('inspectd:shared:m', 'a', '2');
    one.map.delete('a');
    await until('nothing waits', () => one.map.unsent().length === 0);
    assert.equal(await redis.hget('inspectd:shared:m', 'a'), '2');
  },
);

peerTest('what others say on the channel is passed over unless it is a change', ['redis-server'], async (context) => {
  const { one, redis } = await pair(context);
  const say = (message: unknown): Promise<number> =>
    redis.publish('inspectd:shared:changes', typeof message === 'string' ? message : JSON.stringify(message));
  for (const bad of [
    '',
    '{',
    '[]',
    'null',
    {},
    { node: 'x', map: 'm' },
    { node: 'x', map: 'm', changes: {} },
    { node: 'x', map: 'm', changes: [null] },
    { node: 'x', map: 'm', changes: [{ key: 1, value: '1' }] },
    { node: 'x', map: 'm', changes: [{ key: 'k', value: 1 }] },
    { node: 'x', map: 'none', changes: [{ key: 'k', value: '1' }] },
    { node: 'x', map: 'm', changes: [{ key: 'k'.repeat(600), value: '1' }] },
  ])
    await say(bad);
  await say({ node: 'x', map: 'm', changes: [{ key: 'good', value: '1' }] });
  await until('the good one is taken', () => one.map.get('good') === '1');
  assert.equal(one.map.size, 1);
});

peerTest(
  "a lock is one node's until it is free or its time is over; without Redis everyone has it",
  ['redis-server'],
  async (context) => {
    const { one, two, stop } = await pair(context);
    assert.equal(await one.link.take('ems', 60_000), true);
    assert.equal(await two.link.take('ems', 60_000), false);
    two.link.free('ems');
    assert.equal(await two.link.take('ems', 60_000), false, 'it was not its own');
    one.link.free('ems');
    await until('it is free', () => two.link.take('ems', 50));
    await until('its time is over', () => one.link.take('ems', 60_000));
    await stop();
    await until('it is lost', () => !one.link.connected && !two.link.connected);
    assert.deepEqual([await one.link.take('ems', 1), await two.link.take('ems', 1)], [true, true]);
  },
);

peerTest('a Redis that was never there is told of once, and met when it comes', ['redis-server'], async (context) => {
  const port = await freePort();
  const one = node(context, port, 'one');
  one.map.set('a', '1');
  await until('it is told', () => one.states.length > 0);
  assert.match(one.states[0] ?? '', /^lost redis:\/\/127\.0\.0\.1:\d+: ECONNREFUSED$/);
  await startRedisAt(context, port);
  const two = node(context, port, 'two');
  await until('the other has it', () => two.map.get('a') === '1', 15_000);
  await until('it is told again', () => one.states.length > 1);
  assert.equal(one.states.length, 2);
});

peerTest('a password that Redis does not take is told of, and not shown', ['redis-server'], async (context) => {
  const port = await freePort();
  await startRedisAt(context, port, 'right');
  for (const account of ['', ':wrong-one@']) {
    const { states } = node(context, port, 'one', account);
    await until('it is told', () => states.length > 0);
    assert.match(states[0] ?? '', /^lost redis:\/\/127\.0\.0\.1:\d+: it does not let us in: user or password$/);
  }
});
