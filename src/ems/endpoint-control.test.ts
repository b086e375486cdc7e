import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ReplicatedMap } from '../shared/replicated-map.js';
import { EMS_PASSWORD, EMS_SERIAL, settingsFor, startSimulator, UID } from '../testing/ems.js';
import { scratch } from '../testing/peers/peers.js';
import { until } from '../testing/until.js';
import { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { CALL_AGE, CallQueue } from './call-queue.js';
import { EndpointControl, type EndpointControlOptions } from './endpoint-control.js';
import { EmsSimulator } from './simulator/simulator.js';

const OTHER_SERIAL = 'FCTEMS0000000002';

function controlOf(context: TestContext, more: Partial<EndpointControlOptions> = {}) {
  const registry = new EndpointRegistry();
  const said: string[] = [];
  const problem = (what: string): void => void said.push(what);
  const calls = new CallQueue(new ReplicatedMap({ name: 'calls', most: 100, problem }));
  let id = 0;
  const control = new EndpointControl({
    registry,
    calls,
    lock: { take: () => Promise.resolve(true), free: () => {} },
    stateDirectory: scratch(context, 'control'),
    random: () => 0,
    now: Date.now,
    id: () => String(++id),
    connection: (ems, kind, message) => void said.push(`${ems.settings.name} ${kind}: ${message}`),
    called: (call, failed) => void said.push(`${call.kind} ${call.address}: ${failed ?? 'made'}`),
    problem,
    ...more,
  });
  context.after(() => control.stop());
  return { control, registry, calls, said };
}

async function otherSimulator(context: TestContext): Promise<EmsSimulator> {
  const simulator = await EmsSimulator.start({
    directory: scratch(context, 'other'),
    serial: OTHER_SERIAL,
    username: 'admin',
    password: EMS_PASSWORD,
    listen: { address: '127.0.0.1', port: 0 },
  });
  context.after(() => simulator.close());
  return simulator;
}

test('one EMS has no say in the endpoints of another, and takes its own along when it goes', async (context) => {
  const [first, second] = [await startSimulator(context), await otherSimulator(context)];
  const { control, registry, said } = controlOf(context);
  const one = settingsFor(first);
  const two = settingsFor(second, { name: 'e02', serial: OTHER_SERIAL });
  control.use([one, two]);
  await until('both are connected', () => control.connectors.every(({ state }) => state === 'connected'));
  second.register({ uid: UID, addresses: ['10.66.66.66'] });
  const own = second.register({ addresses: ['10.10.10.77'] });
  await until('it is refused', () => said.some((each) => each.startsWith('e02 refused: not all')));
  await until('its own is known', () => registry.byUid(own.uid) !== undefined);
  assert.deepEqual(registry.byUid(UID)?.addresses, ['10.10.10.25']);
  second.endpoints.remove(UID);
  second.endpoints.change(own.uid, { online: false });
  await until('its own is offline', () => registry.byUid(own.uid)?.online === false);
  assert.equal(registry.byUid(UID)?.emsSerial, EMS_SERIAL);
  control.use([one]);
  assert.deepEqual(
    [...registry.values()].map(({ uid }) => uid),
    [UID],
  );
  control.use([{ ...one, name: 'renamed' }]);
  assert.equal(registry.size, 1);
  control.use([]);
  assert.equal(registry.size, 0);
});

test('who did not change goes on without a new sign-in', async (context) => {
  const simulator = await startSimulator(context);
  const { control } = controlOf(context);
  control.use([settingsFor(simulator)]);
  await until('it is connected', () => control.connectors[0]?.state === 'connected');
  const [before] = control.connectors;
  control.use([settingsFor(simulator)]);
  assert.equal(control.connectors[0], before);
  control.use([settingsFor(simulator, { callTime: 6_000 })]);
  assert.notEqual(control.connectors[0], before);
});

test('a call that another node makes is left to it; one that nobody heard for a day is given up', async (context) => {
  const simulator = await startSimulator(context);
  let mine = false;
  let asked = 0;
  const lock = {
    take: () => {
      asked++;
      return Promise.resolve(mine);
    },
    free: () => {},
  };
  const { control, registry, calls, said } = controlOf(context, { lock });
  control.use([settingsFor(simulator)]);
  await until('the endpoint is known', () => registry.size === 1);
  await control.queue('quarantine', '10.10.10.25');
  await until('it asked whether it may', () => asked >= 2);
  assert.equal(simulator.endpoints.get(UID)?.quarantined, false);
  mine = true;
  await until('it was made', () => simulator.endpoints.get(UID)?.quarantined === true);
  await until('it is told', () => said.includes('quarantine 10.10.10.25: made'));
  await calls.put({
    id: 'a',
    kind: 'unquarantine',
    ems: EMS_SERIAL,
    address: '10.10.10.25',
    uid: UID,
    at: Date.now() - CALL_AGE - 1,
  });
  await until('it is given up', () => said.includes('unquarantine 10.10.10.25: EMS was not reached for a day'));
  assert.equal(simulator.endpoints.get(UID)?.quarantined, true);
});

test('of several endpoints at one address each is told of; by its UID one alone is', async (context) => {
  const simulator = await startSimulator(context);
  const second = simulator.register({ addresses: ['10.10.10.25'] });
  const { control, registry } = controlOf(context);
  control.use([settingsFor(simulator)]);
  await until('both are known', () => registry.size === 2);
  assert.deepEqual(
    (await control.queue('quarantine', '10.10.10.25', second.uid)).map(({ call }) => call.uid),
    [second.uid],
  );
  await until('it is in quarantine', () => simulator.endpoints.get(second.uid)?.quarantined === true);
  assert.equal(simulator.endpoints.get(UID)?.quarantined, false);
  assert.equal((await control.queue('unquarantine', '10.10.10.25')).length, 2);
  await until('it is released', () => simulator.endpoints.get(second.uid)?.quarantined === false);
});
