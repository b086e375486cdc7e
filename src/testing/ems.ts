/** A simulated EMS of the test's own, with the endpoint of the examples. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { EmsSettings } from '../ems/settings.js';
import { EmsSimulator } from '../ems/simulator/simulator.js';
import type { RunningDaemon } from './peers/daemon.js';
import { scratch } from './peers/peers.js';
import { SAMPLES } from './program.js';
import { until } from './until.js';

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

/** The configuration of the quarantine example, with the simulator in the place of its EMS. */
export function quarantineExample(simulator: EmsSimulator): string {
  return readFileSync(join(SAMPLES, 'seeds', 'ems-quarantine.conf'), 'utf8')
    .replace('192.0.2.20', '127.0.0.1')
    .replace('https-port 443', `https-port ${simulator.port}`)
    .replace('"example"', EMS_PASSWORD);
}

/** Accepts the simulator's certificate as a person would, and waits until its endpoints are known. */
export async function accepted(daemon: RunningDaemon): Promise<void> {
  const shown = await daemon.ask('execute', 'fctems', 'verify', 'e01');
  const fingerprint = /Fingerprint: (\S+)/.exec(shown)?.[1] ?? assert.fail(shown);
  await daemon.ask('execute', 'fctems', 'verify', 'e01', fingerprint);
  await until('EMS is connected', async () => /state: connected/.test(await fcnacd(daemon)));
}

/** What the daemon says of its EMS. */
export function fcnacd(daemon: RunningDaemon): Promise<string> {
  return daemon.ask('diagnose', 'test', 'application', 'fcnacd', '2');
}
