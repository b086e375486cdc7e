import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ReplicatedMap } from '../shared/replicated-map.js';
import { scratch } from '../testing/peers/peers.js';
import { CallQueue, type OutgoingCall, parseCall } from './call-queue.js';

const call = (id: string, more: Partial<OutgoingCall> = {}): OutgoingCall => ({
  id,
  kind: 'quarantine',
  ems: 'FCTEMS0000109188',
  address: '10.0.0.1',
  uid: 'A'.repeat(32),
  at: 1,
  ...more,
});

function queueAt(path: string | undefined, problems: string[] = [], most = 10): CallQueue {
  const problem = (what: string): void => void problems.push(what);
  return new CallQueue(new ReplicatedMap({ name: 'calls', most, problem, ...(path === undefined ? {} : { path }) }));
}

const pathOf = (context: TestContext): string => join(scratch(context, 'calls'), 'calls.json');

test('calls come back after a restart, the oldest first, each for its EMS', async (context) => {
  const path = pathOf(context);
  const before = queueAt(path);
  await before.put(call('2', { uid: 'B'.repeat(32), at: 2 }));
  await before.put(call('1'));
  await before.put(call('3', { ems: 'FCTEMS0000000001', at: 0 }));
  const after = queueAt(path);
  assert.deepEqual(
    after.values().map(({ id }) => id),
    ['3', '1', '2'],
  );
  assert.equal(after.first('FCTEMS0000109188')?.id, '1');
  assert.equal(after.first('FCTEMS0000000002'), undefined);
});

test('a later call about the same endpoint takes the place of one that was not made', async () => {
  const queue = queueAt(undefined);
  await queue.put(call('1'));
  await queue.put(call('2', { kind: 'unquarantine', at: 2 }));
  assert.deepEqual(
    queue.values().map(({ id, kind }) => [id, kind]),
    [['2', 'unquarantine']],
  );
  // The first was under way when the second came: the second is still to be made.
  queue.done(call('1'));
  assert.equal(queue.has('2'), true);
  queue.done(call('2'));
  assert.equal(queue.size, 0);
});

test('no more calls wait than there is room for', async () => {
  const queue = queueAt(undefined, [], 2);
  assert.equal(await queue.put(call('1', { uid: '1'.repeat(32) })), true);
  assert.equal(await queue.put(call('2', { uid: '2'.repeat(32) })), true);
  assert.equal(await queue.put(call('3', { uid: '3'.repeat(32) })), false);
  assert.equal(await queue.put(call('4', { uid: '1'.repeat(32) })), true);
});

test('a file that is none is told of and not taken', (context) => {
  const path = pathOf(context);
  const problems: string[] = [];
  writeFileSync(path, '{"entries": [');
  assert.equal(queueAt(path, problems).size, 0);
  assert.match(problems[0] ?? '', /cannot be read, what it kept is lost/);
});

test('calls that are none are passed over: they may come from another node', async (context) => {
  const path = pathOf(context);
  const queue = queueAt(path);
  await queue.put(call('1'));
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('quarantine', 'destroy'));
  assert.deepEqual(queueAt(path).values(), []);
  for (const more of [{ id: 'x' }, { ems: 'a b' }, { address: 'nowhere' }, { uid: 'a' }, { at: 'now' }])
    assert.equal(parseCall(JSON.stringify({ ...call('1'), ...more })), undefined);
  for (const bad of ['', '[]', 'null', '7']) assert.equal(parseCall(bad), undefined);
});

test('a directory that cannot be written is told of, calls are made all the same', async (context) => {
  const problems: string[] = [];
  const queue = queueAt(join(scratch(context, 'calls'), 'missing', 'calls.json'), problems);
  assert.equal(await queue.put(call('1')), true);
  assert.match(problems[0] ?? '', /ENOENT/);
  assert.equal(queue.first('FCTEMS0000109188')?.id, '1');
});
