import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ReplicatedMap } from '../shared/replicated-map.js';
import { scratch } from '../testing/peers/peers.js';
import { until } from '../testing/until.js';
import { BanList, printBans } from './ban-list.js';

const mapAt = (path?: string, most = 100): ReplicatedMap =>
  new ReplicatedMap({
    name: 'bans',
    most,
    problem: (what) => assert.fail(what),
    ...(path === undefined ? {} : { path }),
  });

test('a ban holds until it is taken off, and each change is told once', () => {
  const bans = new BanList(mapAt(), () => 1_000);
  const told: unknown[] = [];
  bans.onChange((added, removed) => told.push([added, removed]));
  assert.equal(bans.add('192.0.2.1', 0, 'admin'), true);
  bans.add('192.0.2.1', 60, 'av');
  assert.deepEqual([...bans.values()], [{ address: '192.0.2.1', created: 1_000, expires: 61_000, cause: 'av' }]);
  assert.equal(bans.remove('192.0.2.1'), true);
  assert.equal(bans.remove('192.0.2.1'), false);
  assert.deepEqual(told, [
    [['192.0.2.1'], []],
    [[], ['192.0.2.1']],
  ]);
});

test('an address of IPv6 is one, however it is written', () => {
  const bans = new BanList(mapAt(), () => 0);
  bans.add('2001:DB8:0:0::1', 0, 'admin');
  assert.equal(bans.has('2001:db8::1'), true);
  assert.equal(bans.remove('2001:db8::0:1'), true);
});

test('a ban runs out by itself, and one that ran out while nobody looked is not taken up again', async (context) => {
  const path = join(scratch(context, 'bans'), 'bans.json');
  const map = mapAt(path);
  const bans = new BanList(map, Date.now);
  bans.add('192.0.2.1', 1, 'admin');
  bans.add('192.0.2.2', 3600, 'admin');
  await map.saved();
  await until('it has run out', () => !bans.has('192.0.2.1'));
  assert.deepEqual(
    [...bans.values()].map(({ address }) => address),
    ['192.0.2.2'],
  );
  bans.close();
  await map.saved();
  const again = mapAt(path);
  const late = new BanList(again, () => Date.now() + 3_700_000);
  assert.equal(late.size, 0);
  late.close();
  await again.saved();
});

test('what is no ban is not taken: it may come from another node', () => {
  const map = mapAt();
  const bans = new BanList(map, () => 0);
  for (const [key, value] of [
    ['nowhere', '{"created":0,"cause":"admin"}'],
    ['192.0.2.1', '{"created":0,"cause":"whim"}'],
    ['192.0.2.2', '{"created":"0","cause":"admin"}'],
    ['192.0.2.3', '{'],
    ['192.0.2.4', 'null'],
  ] as const)
    map.change([{ key, value }], 'elsewhere');
  assert.equal(bans.size, 0);
});

test('the list is bounded', () => {
  const bans = new BanList(mapAt(undefined, 1), () => 0);
  assert.equal(bans.add('192.0.2.1', 0, 'admin'), true);
  assert.equal(bans.add('192.0.2.2', 0, 'admin'), false);
});

test('bans are printed in columns', () => {
  const created = new Date(2024, 0, 17, 13, 6, 5).getTime();
  assert.equal(
    printBans([
      { address: '172.16.200.55', created, expires: created + 120_000, cause: 'av' },
      { address: '10.0.0.1', created, expires: undefined, cause: 'admin' },
    ]),
    `src-ip-addr   created                  expires                  cause
172.16.200.55 Wed Jan 17 13:06:05 2024 Wed Jan 17 13:08:05 2024 AV
10.0.0.1      Wed Jan 17 13:06:05 2024 indefinite               Administrative
`,
  );
  assert.equal(printBans([]), 'src-ip-addr created expires cause\n');
});
