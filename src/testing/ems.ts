/** A simulated EMS of the test's own, with the endpoint of the examples. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { EmsSettings } from '../ems/settings.js';
import { EmsSimulator } from '../ems/simulator/simulator.js';
import type { RunningDaemon } from './peers/daemon.js';
import { scratch } from './peers/peers.js';
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

/** The configuration of the quarantine example, its placeholders filled in. */
export function quarantineExample(simulator: EmsSimulator): string {
  return `config system automation-trigger
edit "trigger01"
set trigger-type event-based
set event-type ioc
set ioc-level high
next
end
config system automation-action
edit "action01"
set action-type quarantine-forticlient
set minimum-interval 0
next
end
config system automation-stitch
edit "stitch01"
set status enable
set trigger "trigger01"
set action "action01"
next
end
config firewall address
edit "EMS01"
set type ipmask
set subnet 127.0.0.1 255.255.255.255
next
end
config endpoint-control forticlient-ems
edit "e01"
set address "EMS01"
set serial-number ${EMS_SERIAL}
set rest-api-auth userpass
set https-port ${simulator.port}
set admin-username admin
set admin-password ${EMS_PASSWORD}
set admin-type Windows
next
end
`;
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
