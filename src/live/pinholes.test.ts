/** Expectation sessions: who may come through, and what is told of everybody else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Related } from '../core/flow.js';
import { CLIENT } from '../core/flow.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import type { Endpoint } from '../core/session.js';
import { cameHow, type PinholeEvent, Pinholes } from './pinholes.js';

const SERVER_ADDRESS = '127.0.0.1';
const SESSION = {
  id: 7,
  client: { address: '127.0.0.1', port: 40_000 },
  dialled: { address: '127.0.0.9', port: 21 },
  server: { address: SERVER_ADDRESS, port: 21 },
  toServer: '127.0.0.1',
};

interface Setup {
  readonly pinholes: Pinholes;
  readonly events: PinholeEvent[];
  readonly joined: Socket[];
  /** Announces a place for the client to dial; where the hole is. */
  announce(address: string, port: number): Promise<Endpoint | undefined>;
  /** The next event. */
  next(): Promise<PinholeEvent>;
}

function setup(context: TestContext, expectationTime = 30_000): Setup {
  const events: PinholeEvent[] = [];
  const joined: Socket[] = [];
  let heard = (): void => {};
  let told = 0;
  const pinholes = new Pinholes({
    limits: { ...DEFAULT_LIMITS, expectationTime, expectationsPerFlow: 2, expectationsAfter: 1 },
    event: (event) => {
      events.push(event);
      heard();
    },
  });
  context.after(() => {
    pinholes.sessionEnded(SESSION.id);
    for (const socket of joined) socket.destroy();
  });
  return {
    pinholes,
    events,
    joined,
    announce: (address, port) =>
      new Promise((resolve) => {
        const related = { dials: CLIENT, target: { address, port }, tls: undefined } as unknown as Related;
        pinholes.open(SESSION, related, resolve, (client, server) => joined.push(client, server));
      }),
    async next() {
      while (events.length <= told)
        await new Promise<void>((resolve) => {
          heard = resolve;
        });
      return events[told++] as PinholeEvent;
    },
  };
}

/** A data port of the server. */
async function dataPort(context: TestContext): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, SERVER_ADDRESS);
  context.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Knocks; the code of the error that ended it, if any. */
async function knock(context: TestContext, at: Endpoint | undefined, from: string): Promise<string | undefined> {
  assert.ok(at);
  const socket = connect({ host: at.address, port: at.port, localAddress: from });
  context.after(() => socket.destroy());
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.once('close', () => resolve('closed'));
    socket.once('connect', () => resolve(undefined));
  });
}

test('FTP-001, FTP-002: the address of a third host, and ports of services, are refused and told of', async (context) => {
  const { announce, next } = setup(context);
  assert.equal(await announce('127.0.0.77', 5000), undefined);
  assert.deepEqual(await next(), {
    kind: 'refused',
    session: 7,
    target: { address: '127.0.0.77', port: 5000 },
    why: 'foreign-address',
  });
  assert.equal(await announce('', 22), undefined);
  const low = await next();
  assert.ok(low.kind === 'refused' && low.why === 'low-port');
});

test('the client comes through to the server once, and a second connection is refused and told of', async (context) => {
  const { announce, next } = setup(context);
  const at = await announce('', await dataPort(context));
  assert.equal(at?.address, SESSION.dialled.address);
  assert.equal((await next()).kind, 'opened');
  assert.equal(await knock(context, at, '127.0.0.1'), undefined);
  assert.equal((await next()).kind, 'used');
  await knock(context, at, '127.0.0.1');
  const again = await next();
  assert.ok(again.kind === 'intruder' && again.why === 'used');
  assert.match(cameHow(again), /one had come already/);
});

test('FTP-008: another host is refused and told of, and the client still comes through', async (context) => {
  const { announce, next } = setup(context);
  const at = await announce('', await dataPort(context));
  await next();
  await knock(context, at, '127.0.0.5');
  const intruder = await next();
  assert.ok(intruder.kind === 'intruder' && intruder.why === 'another-client' && intruder.by.address === '127.0.0.5');
  assert.equal(await knock(context, at, '127.0.0.1'), undefined);
  assert.equal((await next()).kind, 'used');
});

test('FTP-009: it closes when nobody comes in time, with its session, and there are no more than the limit', async (context) => {
  const late = setup(context, 1);
  const at = await late.announce('', 5001);
  await late.next();
  assert.deepEqual(await late.next().then((event) => event.kind === 'closed' && event.why), 'expired');
  await knock(context, at, '127.0.0.1');
  const tooLate = await late.next();
  assert.ok(tooLate.kind === 'intruder' && tooLate.why === 'expired');
  assert.match(cameHow(tooLate), /too late/);
  // Only so many are heard on, and with their session all fall silent.
  const second = await late.announce('', 5001);
  for (const kind of ['opened', 'closed']) assert.equal((await late.next()).kind, kind);
  assert.equal(await knock(context, at, '127.0.0.1'), 'ECONNREFUSED');
  late.pinholes.sessionEnded(SESSION.id);
  assert.equal(await knock(context, second, '127.0.0.1'), 'ECONNREFUSED');

  const { announce, next, pinholes } = setup(context);
  for (const port of [5002, 5003]) {
    assert.ok(await announce('', port));
    assert.equal((await next()).kind, 'opened');
  }
  assert.equal(await announce('', 5004), undefined);
  const refused = await next();
  assert.ok(refused.kind === 'refused' && refused.why === 'limit');
  pinholes.sessionEnded(SESSION.id);
  const closed = await next();
  assert.ok(closed.kind === 'closed' && closed.why === 'session-ended');
});
