/** A simulated EMS of the test's own, with the endpoint of the examples. */
import type { TestContext } from 'node:test';
import type { EmsSettings } from '../ems/settings.js';
import { EmsSimulator } from '../ems/simulator/simulator.js';
import { scratch } from './peers/peers.js';

export const EMS_SERIAL = 'FCTEMS0000109188';
export const UID = 'F4F3263AEBE54777A6509A8FCCDF9284';
export const EMS_PASSWORD = 'sehr-geheim-7';

export async function startSimulator(
  context: TestContext,
  directory = scratch(context, 'ems'),
  port = 0,
): Promise<EmsSimulator> {
  const simulator = await EmsSimulator.start({
    directory,
    serial: EMS_SERIAL,
    username: 'admin',
    password: EMS_PASSWORD,
    listen: { address: '127.0.0.1', port },
  });
  simulator.register({
    uid: UID,
    addresses: ['10.10.10.25'],
    user: 'keithli',
    hostname: 'WIN10-01',
    macs: ['08:5b:0e:ea:7f:d4'],
  });
  context.after(() => simulator.close());
  return simulator;
}

/** How a connector of a test reaches it: quick to notice, quick to give up. */
export function settingsFor(simulator: EmsSimulator, more: Partial<EmsSettings> = {}): EmsSettings {
  return {
    name: 'e01',
    host: '127.0.0.1',
    port: simulator.port,
    serial: EMS_SERIAL,
    username: 'admin',
    password: EMS_PASSWORD,
    callTime: 5_000,
    statusInterval: 1_000,
    outOfSync: 60_000,
    authority: simulator.authority.certificate,
    ...more,
  };
}
