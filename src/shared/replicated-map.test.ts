import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { scratch } from '../testing/peers/peers.js';
import { type MapChange, ReplicatedMap } from './replicated-map.js';

function mapAt(path?: string, most = 100): ReplicatedMap {
  const problem = (what: string): void => assert.fail(what);
  return new ReplicatedMap({ name: 'm', most, problem, ...(path === undefined ? {} : { path }) });
}

const content = (map: ReplicatedMap): Record<string, string> => Object.fromEntries(map.entries());

test('only what changes is told, and where it came from', () => {
  const map = mapAt();
  const told: unknown[] = [];
  map.onChange((changes, origin) => told.push([origin, ...changes.map(({ key, value }) => [key, value])]));
  map.set('a', '1');
  map.set('a', '1');
  map.delete('b');
  map.change(
    [
      { key: 'a', value: undefined },
      { key: 'c', value: '3' },
    ],
    'elsewhere',
  );
  assert.deepEqual(told, [
    ['here', ['a', '1']],
    ['elsewhere', ['a', undefined], ['c', '3']],
  ]);
});

test('what is too much, too long in key or value, is refused', () => {
  const map = mapAt(undefined, 1);
  assert.equal(map.set('k'.repeat(513), ''), false);
  assert.equal(map.set('k', 'v'.repeat(65_537)), false);
  assert.equal(map.set('k'.repeat(512), 'v'.repeat(65_536)), true);
  assert.equal(map.set('other', 'v'), false);
});

test('what the others have not heard is newer than what they say, and outlives a restart', async (context) => {
  const path = join(scratch(context, 'map'), 'm.json');
  const map = mapAt(path);
  map.set('kept', '0');
  map.share();
  map.replace(
    new Map([
      ['a', '1'],
      ['b', '2'],
    ]),
    'epoch-1',
  );
  map.set('a', 'mine');
  map.delete('b');
  await map.saved();
  const again = mapAt(path);
  again.share();
  assert.equal(again.epoch, 'epoch-1');
  again.change(
    [
      { key: 'a', value: 'theirs' },
      { key: 'b', value: 'theirs' },
      { key: 'c', value: '3' },
    ],
    'elsewhere',
  );
  assert.deepEqual(content(again), { a: 'mine', c: '3' });
  assert.deepEqual(again.unsent(), [
    { key: 'a', value: 'mine', was: '1' },
    { key: 'b', was: '2', value: undefined },
  ]);
  const sent = again.unsent();
  again.set('a', 'newer');
  again.sent(sent);
  assert.deepEqual(again.unsent(), [{ key: 'a', value: 'newer', was: '1' }]);
  await again.saved();
});

test('two maps that hear of each other late, twice and in turns become one', () => {
  const operation = fc.record({
    here: fc.boolean(),
    key: fc.constantFrom('a', 'b', 'c'),
    value: fc.option(fc.constantFrom('1', '2', '3'), { nil: undefined }),
    deliver: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
      // A server between them, as the link has it: a change is made there, and told to both.
      const there = new Map<string, string>();
      const maps = [mapAt(), mapAt()];
      const inboxes: MapChange[][] = [[], []];
      for (const map of maps) map.share();
      const deliver = (): void => {
        for (const [at, map] of maps.entries()) {
          const unsent = map.unsent();
          for (const { key, value, was } of unsent) {
            if (value === undefined ? there.get(key) !== was : false) continue;
            if (value === undefined) there.delete(key);
            else there.set(key, value);
            inboxes[1 - at]?.push({ key, value });
          }
          map.sent(unsent);
        }
        for (const [at, map] of maps.entries()) map.change(inboxes[at]?.splice(0) ?? [], 'elsewhere');
      };
      for (const { here, key, value, deliver: now } of operations) {
        maps[here ? 0 : 1]?.change([{ key, value }], 'here');
        if (now) deliver();
      }
      deliver();
      for (const map of maps) map.replace(there, 'epoch');
      assert.deepEqual(content(maps[0] ?? mapAt()), Object.fromEntries(there));
      assert.deepEqual(content(maps[1] ?? mapAt()), Object.fromEntries(there));
    }),
  );
});
