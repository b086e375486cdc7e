/** Sessions of the access proxy, and an EMS that tells of their endpoints over HTTPS: what changes there ends them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Change } from '../../ems/simulator/endpoints.js';
import type { EmsSimulator } from '../../ems/simulator/simulator.js';
import { EMS_PASSWORD, fcnacd, startSimulator, UID } from '../../testing/ems.js';
import { type RunningAccess, serverOf, startAccess } from '../../testing/peers/access-proxy.js';
import { until } from '../../testing/until.js';

const RULE = readFileSync('samples/seeds/ztna-posture-tag.conf', 'latin1');

async function protectedBy(context: TestContext, simulator: EmsSimulator, more = ''): Promise<RunningAccess> {
  const server = await serverOf(context, (socket) => socket.pipe(socket));
  const access = await startAccess(context, {
    rules: RULE,
    server,
    sections: `config vpn certificate ca
    edit "EMS"
        set ca "${simulator.authority.certificate}"
    next
end
config authentication setting
    set user-cert-ca "EMS"
end
config endpoint-control fctems
    edit 1
        set name "e01"
        set server "127.0.0.1"
        set https-port ${simulator.port}
        set serial-number FCTEMS0000109188
        set admin-username admin
        set admin-password ${EMS_PASSWORD}
        set verifying-ca "EMS"
        ${more}
    next
end
`,
  });
  await until('EMS is connected', async () => /state: connected/.test(await fcnacd(access.daemon)));
  return access;
}

async function session(access: RunningAccess, simulator: EmsSimulator): Promise<Socket> {
  const pem = readFileSync(simulator.authority.pathOf(UID), 'utf8');
  const socket = await access.connect({ certificate: pem, key: pem });
  socket.on('error', () => {});
  socket.resume();
  socket.write('hello');
  await once(socket, 'data', { signal: AbortSignal.timeout(20_000) });
  return socket;
}

const CHANGES: readonly (readonly [what: string, away: Change, back: Change])[] = [
  ['its antivirus is switched off', { antivirus: false }, { antivirus: true }],
  ['it goes offline', { online: false }, { online: true }],
  ['its certificate is revoked', { revoked: true }, { revoked: false }],
];

for (const [what, away, back] of CHANGES)
  test(`an endpoint of EMS: when ${what} its session ends, and none is let in until that is over`, async (context) => {
    const simulator = await startSimulator(context);
    const access = await protectedBy(context, simulator);
    const socket = await session(access, simulator);
    simulator.endpoints.change(UID, away);
    await until('the session is ended', () => socket.closed);
    await assert.rejects(session(access, simulator));
    simulator.endpoints.change(UID, back);
    await until('a session is let in', () =>
      session(access, simulator).then(
        () => true,
        () => false,
      ),
    );
    await access.daemon.record({ logid: '2101060510', clientdeviceid: UID });
  });

test('an endpoint of EMS that is quarantined by Q- has its session ended, U- lets it in', async (context) => {
  const simulator = await startSimulator(context);
  const access = await protectedBy(context, simulator);
  const ask = (call: string): Promise<string> =>
    access.daemon.ask('diagnose', 'endpoint', 'forticlient-ems-rest-api', 'queue-complete-calls', call);
  const socket = await session(access, simulator);
  // Its address is not the one that it comes from here: the certificate tells who it is.
  assert.match(await ask('Q-10.10.10.25'), /Call completed/);
  await until('the session is ended', () => socket.closed);
  await assert.rejects(session(access, simulator));
  await ask('U-10.10.10.25');
  await until('it is released', async () =>
    /Quarantined: no/.test(await access.daemon.ask('diagnose', 'endpoint', 'record', 'list')),
  );
  await session(access, simulator);
});

test('an EMS that is silent for longer than the threshold: the sessions that rest on its tags end', async (context) => {
  const simulator = await startSimulator(context);
  const access = await protectedBy(context, simulator, 'set out-of-sync-threshold 2\nset status-check-interval 1');
  const socket = await session(access, simulator);
  await simulator.close();
  await until('the session is ended', () => socket.closed, 20_000);
  await access.daemon.record({ logid: '0107099104', fctemsname: 'e01' });
});
