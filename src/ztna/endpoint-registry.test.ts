// What is known of endpoints, and who is told of changes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from './endpoint.js';
import { type EndpointChange, EndpointRegistry } from './endpoint-registry.js';

const endpoint = (uid: string, more: Partial<Endpoint> = {}): Endpoint => ({
  uid,
  emsSerial: 'FCTEMS0000109188',
  certificateSerial: 'AB',
  revoked: false,
  online: true,
  domain: undefined,
  user: undefined,
  owner: undefined,
  addresses: ['10.0.0.1'],
  macs: [],
  tags: ['Low'],
  quarantined: false,
  ...more,
});

function watched(most?: number) {
  const registry = new EndpointRegistry(most);
  const told: (readonly EndpointChange[])[] = [];
  const stop = registry.onChange((changes) => told.push(changes));
  return { registry, told, stop };
}

test('listeners hear of what changed, after it holds, and of nothing else', () => {
  const { registry, told, stop } = watched();
  const first = endpoint('A');
  registry.update(first);
  registry.update(endpoint('A'));
  const second = endpoint('A', { tags: ['Low', 'AV-enabled'] });
  registry.onChange(([change]) => assert.equal(registry.byUid('A'), change?.after));
  registry.update(second);
  registry.remove('A');
  registry.remove('A');
  assert.deepEqual(told, [
    [{ uid: 'A', before: undefined, after: first }],
    [{ uid: 'A', before: first, after: second }],
    [{ uid: 'A', before: second, after: undefined }],
  ]);
  stop();
  registry.update(first);
  assert.equal(told.length, 3);
});

test('several changes are told as one', () => {
  const { registry, told } = watched();
  registry.apply([endpoint('A'), endpoint('B')]);
  registry.apply([endpoint('B', { online: false })], ['A']);
  assert.deepEqual(
    told.map((changes) => changes.map(({ uid }) => uid)),
    [
      ['A', 'B'],
      ['A', 'B'],
    ],
  );
});

test('endpoints are found by every address that they have now, and by none that they had', () => {
  const { registry } = watched();
  registry.apply([endpoint('A'), endpoint('B', { addresses: ['10.0.0.1', '10.0.0.2'] })]);
  const at = (address: string): string[] => registry.byAddress(address).map(({ uid }) => uid);
  assert.deepEqual([at('10.0.0.1'), at('10.0.0.2')], [['A', 'B'], ['B']]);
  registry.update(endpoint('B', { addresses: ['10.0.0.3'] }));
  assert.deepEqual([at('10.0.0.1'), at('10.0.0.2'), at('10.0.0.3')], [['A'], [], ['B']]);
  registry.remove('A');
  assert.deepEqual(at('10.0.0.1'), []);
});

test('an endpoint that changes keeps its place', () => {
  const { registry } = watched();
  registry.apply([endpoint('A'), endpoint('B')]);
  registry.update(endpoint('A', { tags: [] }));
  assert.deepEqual(
    [...registry.values()].map(({ uid }) => uid),
    ['A', 'B'],
  );
});

test('there is room for so many and no more; those that are known may change', () => {
  const { registry } = watched(2);
  assert.equal(registry.apply([endpoint('A'), endpoint('B'), endpoint('C')]), false);
  assert.equal(registry.size, 2);
  assert.equal(registry.update(endpoint('B', { tags: [] })), true);
  assert.deepEqual(registry.byUid('B')?.tags, []);
  assert.equal(registry.byUid('C'), undefined);
});
