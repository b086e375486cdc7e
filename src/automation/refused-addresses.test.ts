import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReplicatedMap } from '../shared/replicated-map.js';
import type { Endpoint } from '../ztna/endpoint.js';
import { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { BanList } from './ban-list.js';
import { RefusedAddresses } from './refused-addresses.js';

const endpoint = (uid: string, addresses: readonly string[], quarantined: boolean): Endpoint => ({
  uid,
  emsSerial: 'FCTEMS0000109188',
  certificateSerial: undefined,
  revoked: false,
  online: true,
  domain: undefined,
  user: undefined,
  owner: undefined,
  addresses,
  macs: [],
  tags: [],
  quarantined,
});

test('an address is refused while it is banned or of an endpoint in quarantine, and told when that begins and ends', () => {
  const registry = new EndpointRegistry();
  const map = new ReplicatedMap({ name: 'bans', most: 10, problem: (what) => assert.fail(what) });
  const bans = new BanList(map, () => 0);
  registry.update(endpoint('old', ['10.0.0.9'], true));
  const told: unknown[] = [];
  const refused = new RefusedAddresses(bans, registry, (added, removed) => told.push([added, removed]));
  const news = (): unknown[] => told.splice(0);
  assert.deepEqual(refused.values(), ['10.0.0.9']);
  registry.update(endpoint('a', ['10.0.0.1'], false));
  assert.deepEqual(news(), []);
  registry.update(endpoint('a', ['10.0.0.1'], true));
  assert.deepEqual(news(), [[['10.0.0.1'], []]]);
  bans.add('10.0.0.1', 0, 'admin');
  registry.update(endpoint('b', ['10.0.0.1'], true));
  assert.deepEqual(news(), [], 'it was refused already');
  registry.update(endpoint('a', ['10.0.0.2'], true));
  assert.deepEqual(news(), [[['10.0.0.2'], []]], 'it moved; another is still there');
  registry.update(endpoint('a', ['10.0.0.2'], false));
  assert.deepEqual(news(), [[[], ['10.0.0.2']]]);
  registry.remove('b');
  assert.deepEqual(news(), [], 'it is banned still');
  bans.clear();
  assert.deepEqual(news(), [[[], ['10.0.0.1']]]);
  assert.deepEqual(refused.values(), ['10.0.0.9']);
  bans.add('10.0.0.9', 0, 'admin');
  registry.update(endpoint('c', ['10.0.0.4'], true));
  news();
  refused.useQuarantine(false);
  assert.deepEqual(news(), [[[], ['10.0.0.4']]], 'the other is banned');
  registry.update(endpoint('d', ['10.0.0.5'], true));
  assert.deepEqual([news(), refused.values()], [[], ['10.0.0.9']]);
  refused.useQuarantine(true);
  assert.deepEqual(news(), [[['10.0.0.4', '10.0.0.5'], []]]);
  refused.close();
  bans.add('10.0.0.3', 0, 'admin');
  assert.deepEqual(news(), []);
});
