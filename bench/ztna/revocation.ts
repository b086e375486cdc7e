/**
 * How long bytes still pass after an endpoint loses a tag: the daemon as users run it, live sessions through its access proxy, the server
 * sending all the time. The clock runs from before the change is sent to the control socket until the client's last byte, so that the
 * figure holds the command, the primary process, the message to the workers, and the kernel's queues.
 *
 *     node dist/bench/ztna/revocation.js [SESSIONS] [CHANGES]
 *
 * Beside it stands what the machine takes for a byte to the server and back, without us, at the same moments: on one that is busy with
 * something else both grow.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ask } from '../../src/control/client.js';
import { EMS, startAccess } from '../../src/testing/peers/access-proxy.js';
import type { FromClients, FromServer, ToClients, ToServer } from './messages.js';

const sessions = Number(process.argv[2] ?? 10_000);
const endpoints = Number(process.argv[3] ?? 250);
/** Of each endpoint that loses its tag; all others belong to one that keeps it. */
const EACH = 4;
const SETTLE = 5_000;
const RULE = `config firewall proxy-policy
    edit 4
        set proxy access-proxy
        set access-proxy "WIN2K16-P1-RDP"
        set srcaddr "all"
        set dstaddr "all"
        set ztna-ems-tag "${EMS}_AV-enabled"
        set action accept
        set schedule "always"
        set logtraffic all
    next
end
`;

const ends: (() => unknown)[] = [];
// All that the helpers of tests ask of a test.
const context = { after: (end: () => unknown) => ends.push(end) } as unknown as TestContext;

function child(name: string): ChildProcess {
  const process = fork(fileURLToPath(new URL(name, import.meta.url)));
  ends.push(() => process.kill());
  return process;
}

async function answer<T>(from: ChildProcess): Promise<T> {
  const [message] = (await once(from, 'message')) as [T];
  return message;
}

const uidOf = (endpoint: number): string => endpoint.toString(16).toUpperCase().padStart(32, '0');

async function main(): Promise<void> {
  const server = child('server.js');
  const { port } = await answer<FromServer>(server);
  const access = await startAccess(context, { rules: RULE, server: port, settings: ['set workers 2'] });
  const control = join(access.directory, 'state', 'control.sock');
  const command = (uid: string, ...words: string[]): Promise<void> =>
    ask(control, ['diagnose', 'endpoint', 'record', 'update', uid, ...words], () => {});
  const certificates = [];
  for (let endpoint = 0; endpoint <= endpoints; endpoint++) {
    const made = access.authority.issue(uidOf(endpoint));
    certificates.push({ ...made, sessions: endpoint < endpoints ? EACH : sessions - endpoints * EACH });
    await command(uidOf(endpoint), 'ems', EMS, 'cert', made.serial, 'tags', 'AV-enabled,Low');
  }
  const clients = child('clients.js');
  const work = {
    gateway: access.port,
    server: port,
    authorities: access.authority.certificate,
    endpoints: certificates,
  };
  const began = process.hrtime.bigint();
  clients.send({ kind: 'open', work } satisfies ToClients);
  const opened = await answer<Extract<FromClients, { kind: 'opened' }>>(clients);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const live = (await access.daemon.ask('diagnose', 'sys', 'session', 'stat')).match(/session_count=(\d+)/)?.[1];
  process.stdout.write(
    `${live} live sessions of ${endpoints} endpoints, opened in ${seconds.toFixed(0)} s (${opened.failed} failed)\n`,
  );

  // What opening them left to do is done by then.
  await sleep(SETTLE);
  const echo = connect(port, '127.0.0.1');
  echo.setNoDelay(true);
  const roundTrips: number[] = [];
  const lastByte: number[] = [];
  const closed: number[] = [];
  for (let endpoint = 0; endpoint < endpoints; endpoint++) {
    server.send({ kind: 'hot', endpoint } satisfies ToServer);
    await sleep(30);
    const asked = Number(process.hrtime.bigint());
    echo.write('ping');
    await once(echo, 'data');
    roundTrips.push((Number(process.hrtime.bigint()) - asked) / 1e6);
    const told = answer<Extract<FromClients, { kind: 'ended' }>>(clients);
    const changed = Number(process.hrtime.bigint());
    await command(uidOf(endpoint), 'tags', 'Low');
    clients.send({ kind: 'report', endpoint } satisfies ToClients);
    const ended = await told;
    lastByte.push(Math.max(0, (ended.lastByte - changed) / 1e6));
    closed.push((ended.lastClose - changed) / 1e6);
  }
  process.stdout.write(`${cpus().length} × ${cpus()[0]?.model ?? ''}, Node ${process.version}\n`);
  process.stdout.write(`sessions of an endpoint: ${EACH}; changes: ${endpoints}\n`);
  print('a byte to the server and back, without us', roundTrips);
  print('last byte passed after', lastByte);
  print('last session closed after', closed);
}

function print(what: string, times: number[]): void {
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(2);
  process.stdout.write(`${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms\n`);
}

try {
  await main();
} finally {
  for (const end of ends.reverse()) await end();
}
process.exit(0);
