import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { EMS_PASSWORD, EMS_SERIAL, settingsFor, startSimulator, UID } from '../testing/ems.js';
import { freePort, scratch } from '../testing/peers/peers.js';
import { until } from '../testing/until.js';
import { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { EMS_API } from './api.js';
import { backOff, type ConnectorContext, EmsConnector } from './connector.js';
import { KeptEndpoints } from './kept-endpoints.js';
import type { EmsSettings } from './settings.js';

interface Following {
  readonly connector: EmsConnector;
  readonly registry: EndpointRegistry;
  readonly events: string[];
}

function follow(context: TestContext, settings: EmsSettings, more: Partial<ConnectorContext> = {}): Following {
  const registry = new EndpointRegistry();
  const events: string[] = [];
  const connector = new EmsConnector(settings, {
    sink: registry,
    random: () => 0,
    now: () => Date.now(),
    event: (kind, message) => void events.push(`${kind}: ${message}`),
    ...more,
  });
  const running = connector.run();
  context.after(async () => {
    connector.stop();
    await running;
  });
  return { connector, registry, events };
}

const tags = ({ registry }: Following): string => registry.byUid(UID)?.tags.join() ?? '';

test('endpoints are taken as EMS tells of them, in its order of tags', async (context) => {
  const simulator = await startSimulator(context);
  const following = follow(context, settingsFor(simulator));
  await until('the endpoint is known', () => following.registry.size === 1);
  assert.deepEqual(following.registry.byUid(UID), {
    uid: UID,
    emsSerial: EMS_SERIAL,
    certificateSerial: simulator.endpoints.get(UID)?.certificateSerial,
    revoked: false,
    online: true,
    domain: undefined,
    user: 'keithli',
    owner: undefined,
    addresses: ['10.10.10.25'],
    macs: ['08:5b:0e:ea:7f:d4'],
    tags: ['AV-enabled', 'all_registered_clients', 'Low'],
    quarantined: false,
  });
  assert.equal(following.connector.state, 'connected');
});

test('a change is told at once, a removal too, and an EMS that begins anew is read anew', async (context) => {
  const directory = scratch(context, 'ems');
  const port = await freePort();
  const first = await startSimulator(context, directory, port);
  // Longer than the test: what arrives was notified, not polled.
  const following = follow(context, settingsFor(first, { statusInterval: 60_000 }));
  await until('the endpoint is known', () => following.connector.state === 'connected');
  first.endpoints.change(UID, { antivirus: false });
  await until('the tag is gone', () => tags(following) === 'all_registered_clients,Low');
  const other = first.register({ addresses: ['10.10.10.26'] });
  await until('another is known', () => following.registry.size === 2);
  first.endpoints.remove(other.uid);
  await until('it is gone', () => following.registry.size === 1);
  await first.close();
  const second = await startSimulator(context, directory, port);
  second.endpoints.change(UID, { antivirus: true });
  await until('the tag is back', () => tags(following) === 'AV-enabled,all_registered_clients,Low');
  assert.equal(following.events.at(-1), 'connected: 1 endpoints');
});

test('an expired session is signed in anew without a gap', async (context) => {
  const simulator = await startSimulator(context);
  const following = follow(context, settingsFor(simulator));
  await until('it is connected', () => following.connector.state === 'connected');
  simulator.expireSessions();
  simulator.endpoints.change(UID, { antivirus: false });
  await until('the tag is gone', () => tags(following) === 'all_registered_clients,Low');
  await until('it has signed in again', () => simulator.requests.get(EMS_API.signIn) === 2);
  simulator.endpoints.change(UID, { lowRisk: false });
  await until('another tag is gone', () => tags(following) === 'all_registered_clients');
  assert.deepEqual(following.events, ['connected: 1 endpoints']);
});

test('more endpoints than a page holds are all taken', async (context) => {
  const simulator = await startSimulator(context);
  const template = simulator.endpoints.get(UID);
  assert.ok(template);
  for (let at = 0; at < 1_234; at++)
    simulator.endpoints.put({ ...template, uid: at.toString(16).toUpperCase().padStart(32, '0'), addresses: [] });
  const following = follow(context, settingsFor(simulator));
  await until('all are known', () => following.registry.size === 1_235);
});

test('what nobody confirms for the threshold holds no more, and holds again when EMS is back', async (context) => {
  const directory = scratch(context, 'ems');
  const port = await freePort();
  const first = await startSimulator(context, directory, port);
  const following = follow(context, settingsFor(first, { outOfSync: 1_500, statusInterval: 200 }));
  await until('it is connected', () => following.connector.state === 'connected');
  await first.close();
  assert.equal(tags(following), 'AV-enabled,all_registered_clients,Low', 'not at once');
  await until('it is out of sync', () => following.connector.state === 'out-of-sync');
  assert.deepEqual([tags(following), following.registry.byUid(UID)?.online], ['', false]);
  assert.ok(following.events.includes('out-of-sync: no news for 1.5 s: the tags of 1 endpoints hold no more'));
  await startSimulator(context, directory, port);
  await until('it is back', () => tags(following) === 'AV-enabled,all_registered_clients,Low', 15_000);
  assert.equal(following.registry.byUid(UID)?.online, true);
});

test('what was last known survives a restart, as long as it holds', async (context) => {
  const simulator = await startSimulator(context);
  const path = join(scratch(context, 'kept'), 'e01.json');
  const keep = (): KeptEndpoints => new KeptEndpoints(path, (what) => assert.fail(what));
  const before = follow(context, settingsFor(simulator), { kept: keep() });
  await until('it is connected', () => before.connector.state === 'connected');
  before.connector.stop();
  assert.ok(existsSync(path));
  await simulator.close();
  const again = follow(context, settingsFor(simulator), { kept: keep() });
  assert.equal(tags(again), 'AV-enabled,all_registered_clients,Low');
  assert.equal(again.connector.state, 'not-connected');
  const late = follow(context, settingsFor(simulator), { kept: keep(), now: () => Date.now() + 61_000 });
  assert.equal(late.registry.size, 0);
  assert.equal(late.connector.state, 'out-of-sync');
  const other = follow(context, settingsFor(simulator, { serial: 'FCTEMS0000000001' }), { kept: keep() });
  assert.equal(other.registry.size, 0);
});

test('what another node knows is taken where it is newer, and only while it holds', async (context) => {
  const simulator = await startSimulator(context);
  const connected = follow(context, settingsFor(simulator));
  await until('it is connected', () => connected.connector.state === 'connected');
  const known = connected.registry.byUid(UID) ?? assert.fail();
  const at = connected.connector.at ?? assert.fail();
  const tagged =
    (...names: string[]) =>
    () =>
      new Map([[UID, { ...known, tags: names }]]);
  const { connector, registry, events } = follow(context, settingsFor(simulator, { port: await freePort() }));
  const now = Date.now();
  connector.learn(tagged('old'), at, now - 61_000);
  assert.equal(registry.size, 0, 'it does not hold any more');
  connector.learn(tagged('one'), at, now);
  assert.deepEqual([registry.byUid(UID)?.tags, connector.state], [['one'], 'not-connected']);
  assert.ok(events.includes('connected: 1 endpoints, as another node knows them'));
  connector.learn(tagged('older'), { ...at, revision: at.revision - 1 }, now + 1);
  assert.deepEqual(registry.byUid(UID)?.tags, ['one']);
  connector.learn(tagged('newer'), { ...at, revision: at.revision + 1 }, now);
  assert.deepEqual(registry.byUid(UID)?.tags, ['newer']);
  // Who reaches EMS believes another only if that one is ahead in the same life of EMS.
  connected.connector.learn(tagged('other'), { boot: 'other', revision: 999 }, Date.now());
  assert.equal(tags(connected), 'AV-enabled,all_registered_clients,Low');
  connected.connector.learn(tagged('ahead'), { ...at, revision: at.revision + 5 }, Date.now());
  assert.equal(tags(connected), 'ahead');
  // Its EMS does not know that revision, and tells all anew.
  await until('EMS has the last word', () => tags(connected) === 'AV-enabled,all_registered_clients,Low');
});

for (const [title, more, expected] of [
  ['a wrong password', { password: 'wrong' }, /^lost: it does not let "admin" sign in \(status 401\)$/],
  [
    'another serial number',
    { serial: 'FCTEMS0000000001' },
    /^lost: its serial number is FCTEMS0000109188, not FCTEMS0000000001$/,
  ],
  ['a certificate that nobody vouches for', { authority: undefined }, /^lost: its certificate is not accepted: /],
  [
    'a certificate for another name',
    { host: '127.0.0.2' },
    /^lost: (it cannot be reached|its certificate is not accepted)/,
  ],
] as const)
  test(`${title}: nothing is taken, it is said once, and no secret is in it`, async (context) => {
    const simulator = await startSimulator(context);
    const { registry, events, connector } = follow(context, settingsFor(simulator, more));
    await until('it is said', () => events.length > 0);
    assert.match(events[0] ?? '', expected);
    connector.hurry();
    await until('it is tried again', () => connector.lastError !== undefined);
    assert.equal(registry.size, 0);
    assert.ok(events.every((event) => !event.includes(EMS_PASSWORD) && !event.includes('wrong')));
    assert.equal(events.length, 1);
  });

test('the certificate that was accepted by hand, and it alone, is accepted', async (context) => {
  const simulator = await startSimulator(context);
  const { presentedCertificate } = await import('./request.js');
  const settings = settingsFor(simulator, { authority: undefined });
  const { fingerprint, issuer } = await presentedCertificate(
    { ...settings, fingerprint: undefined },
    5_000,
    AbortSignal.timeout(5_000),
  );
  assert.equal(issuer, EMS_SERIAL);
  const good = follow(context, settings, { fingerprint });
  await until('it is connected', () => good.connector.state === 'connected');
  const bad = follow(context, settings, { fingerprint: fingerprint.replace(/^../, 'FF').replace(/..$/, '00') });
  await until('it is refused', () => bad.events.length > 0);
  assert.match(bad.events[0] ?? '', /not the one that was accepted/);
});

test('tries lie ever further apart, up to a minute, and not all nodes try at once', () => {
  assert.deepEqual(
    [1, 2, 3, 10, 1_000].map((failures) => backOff(failures, 1)),
    [1_000, 2_000, 4_000, 60_000, 60_000],
  );
  assert.equal(backOff(3, 0), 2_000);
});
