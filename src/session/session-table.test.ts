import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type SessionEntry, type SessionFilter, SessionTable } from './session-table.js';

function entry(id: number, more: Partial<SessionEntry> = {}): SessionEntry {
  return {
    id,
    client: { address: '192.0.2.1', port: 1000 + id },
    dialled: { address: '192.0.2.9', port: 25 },
    server: { address: '198.51.100.1', port: 2525 },
    policyId: 1,
    timeout: 3600,
    ...more,
  };
}

const ids = (table: SessionTable, filter?: SessionFilter): number[] => [...table.select(filter)].map(({ id }) => id);

test('a session counts what it carried and when it last did, and is gone when it is removed', () => {
  let now = 1000;
  const table = new SessionTable(() => now);
  table.add(entry(1));
  now = 5000;
  table.count(1, 10, 20);
  now = 9000;
  // The same totals are no news.
  table.count(1, 10, 20);
  const row = table.get(1);
  assert.deepEqual([row?.sent, row?.received, row?.started, row?.active], [10, 20, 1000, 5000]);
  table.count(2, 1, 1);
  table.remove(2);
  assert.equal(table.size, 1);
  table.remove(1);
  assert.deepEqual([table.size, table.get(1), ids(table, { src: '192.0.2.1' })], [0, undefined, []]);
});

test('a session that becomes dirty shows it until policy was asked again; one that is blocked falls under no policy', () => {
  let now = 0;
  const table = new SessionTable(() => now);
  table.add(entry(1));
  const states = (): string[] => [...(table.get(1)?.states ?? [])];
  table.dirty(1, true);
  assert.deepEqual(states(), ['dirty', 'may_dirty', 'acct-ext']);
  table.dirty(1, false);
  assert.deepEqual(states(), ['log', 'redir', 'may_dirty']);
  now = 5_000;
  table.block(1, 30);
  assert.deepEqual(states(), ['block', 'may_dirty', 'authed', 'acct-ext']);
  assert.equal(table.get(1)?.expires, 35_000);
  table.block(7, 30);
  table.dirty(7, true);
});

test('every filter must hold; dst is what was dialled or where it is led', () => {
  const table = new SessionTable(() => 0);
  table.add(entry(1));
  table.add(entry(2, { client: { address: '2001:db8::1', port: 9 }, policyId: 2 }));
  table.add(entry(3, { dialled: { address: '192.0.2.9', port: 143 }, policyId: 2 }));
  assert.deepEqual(ids(table), [1, 2, 3]);
  assert.deepEqual(ids(table, { src: '192.0.2.1' }), [1, 3]);
  assert.deepEqual(ids(table, { policy: 2 }), [2, 3]);
  assert.deepEqual(ids(table, { policy: 2, dport: 25 }), [2]);
  assert.deepEqual(ids(table, { dst: '192.0.2.9' }), [1, 2, 3]);
  assert.deepEqual(ids(table, { dst: '198.51.100.1', sport: 1003 }), [3]);
  assert.deepEqual(ids(table, { src: '192.0.2.77' }), []);
});

test('an index leaves what looking at all would, whatever came and went', () => {
  const operation = fc.record({
    id: fc.integer({ min: 1, max: 12 }),
    add: fc.boolean(),
    address: fc.constantFrom('a', 'b'),
    policyId: fc.integer({ min: 1, max: 2 }),
    port: fc.constantFrom(25, 143),
  });
  const filter = fc.record(
    { src: fc.constantFrom('a', 'b'), policy: fc.integer({ min: 1, max: 3 }), dport: fc.constantFrom(25, 143, 1) },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), filter, (operations, wanted) => {
      const table = new SessionTable(() => 0);
      const model = new Map<number, SessionEntry>();
      for (const { id, add, address, policyId, port } of operations) {
        if (!add) {
          table.remove(id);
          model.delete(id);
        } else if (!model.has(id)) {
          const made = entry(id, {
            client: { address, port: 1 },
            policyId,
            dialled: { address: 'x', port },
          });
          table.add(made);
          model.set(id, made);
        }
      }
      const expected = [...model.values()].filter(
        ({ client, policyId, dialled }) =>
          (wanted.src === undefined || client.address === wanted.src) &&
          (wanted.policy === undefined || policyId === wanted.policy) &&
          (wanted.dport === undefined || dialled.port === wanted.dport),
      );
      assert.deepEqual(
        ids(table, wanted).sort((a, b) => a - b),
        expected.map(({ id }) => id).sort((a, b) => a - b),
      );
    }),
  );
});

test('numbers are handed out once, and begin anew where 32 bits end', () => {
  const table = new SessionTable(() => 0, 0xffff_fff0);
  assert.equal(table.takeIds(10), 0xffff_fff0);
  assert.equal(table.takeIds(10), 1);
  assert.equal(table.takeIds(1), 11);
});
