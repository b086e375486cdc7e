/** An EMS that was taken over, hangs, or is something else: refused, told, without effect on what was known. */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { EMS_PASSWORD, EMS_SERIAL } from '../testing/ems.js';
import { described, envelope, type HostileEms, report, startHostileEms } from '../testing/hostile-ems.js';
import { until } from '../testing/until.js';
import { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { EMS_API } from './api.js';
import { EmsConnector } from './connector.js';
import type { EmsSettings } from './settings.js';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** Follows it; the first full report is a good one with one endpoint. */
function follow(context: TestContext, ems: HostileEms, more: Partial<EmsSettings> = {}) {
  const registry = new EndpointRegistry();
  const events: string[] = [];
  const settings: EmsSettings = {
    name: 'e01',
    host: '127.0.0.1',
    port: ems.port,
    serial: EMS_SERIAL,
    username: 'admin',
    password: EMS_PASSWORD,
    callTime: 1_000,
    statusInterval: 200,
    outOfSync: 60_000,
    authority: ems.authority,
    ...more,
  };
  const connector = new EmsConnector(settings, {
    sink: registry,
    random: () => 0,
    now: () => Date.now(),
    event: (kind, message) => void events.push(`${kind}: ${message}`),
  });
  const running = connector.run();
  context.after(async () => {
    connector.stop();
    await running;
  });
  return { connector, registry, events };
}

/** What comes after one good report, and what is said of it. */
const ANSWERS: readonly (readonly [title: string, answer: Answer, said: RegExp])[] = [
  ['no JSON', (response) => void response.end('<html>no</html>'), /^refused: the reply is not JSON$/],
  [
    'half a reply',
    (response) => void response.writeHead(200, { 'content-length': 99 }).end('{'),
    /^lost: the (reply was cut off|connection failed)/,
  ],
  ['a status of 500', (response) => void response.writeHead(500).end('x'), /^refused: it answered with status 500$/],
  [
    'a redirect',
    (response) => void response.writeHead(302, { location: 'https://evil.test/' }).end(),
    /^refused: it answered with status 302$/,
  ],
  [
    'text that is not UTF-8',
    (response) => void response.end(Buffer.from([0x7b, 0xff, 0x7d])),
    /^refused: the reply is not UTF-8$/,
  ],
  [
    'compressed bytes',
    (response) => void response.setHeader('content-encoding', 'gzip').end('x'),
    /^refused: the reply is encoded$/,
  ],
  ['an answer that never begins', () => {}, /^lost: no whole reply within 1\.2 s$/],
  [
    'an answer that never ends',
    (response) => {
      const timer = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(timer));
    },
    /^lost: no whole reply within 1\.2 s$/,
  ],
  [
    'an answer as long as it can',
    (response) => {
      const chunk = Buffer.alloc(1024 * 1024, ' ');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    },
    /^refused: the reply is longer than 16777216 bytes$/,
  ],
  [
    'headers without end',
    (response) => void response.setHeader('x', 'y'.repeat(30_000)).end(),
    /^refused: the reply is not HTTP \(HPE_HEADER_OVERFLOW\)$/,
  ],
  ['a list for an object', (response) => void response.end('[]'), /^refused: the reply has no "result"/],
  ['a text for a number', (response) => void response.end(envelope({}, '1')), /^refused: the reply has no "result"/],
  ['a refusal', (response) => void response.end(envelope({}, -1)), /^refused: retval -1$/],
  ['no report', (response) => void response.end(envelope(null)), /^refused: the tag report is no object$/],
  [
    'a deep nest',
    (response) => void response.end(`{"result":{"retval":1},"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    /^refused: the tag report is no object$/,
  ],
  [
    'a wrong endpoint',
    (response) =>
      void response.end(envelope(report({ full: false, revision: 2, endpoints: [described({ online: 'yes' })] }))),
    /^refused: endpoint 0{31}A: "online" must be true or false$/,
  ],
  [
    'a wrong one behind a right one',
    (response) =>
      void response.end(
        envelope(
          report({ full: false, revision: 2, endpoints: [described({ tags: ['Evil'] }), described({ uid: 'x' })] }),
        ),
      ),
    /^refused: a UID must be 32/,
  ],
  [
    'a number that is none',
    (response) => void response.end(envelope(report({ full: false, revision: 1.5 }))),
    /^refused: "revision" is no number$/,
  ],
  [
    'a prototype',
    (response) => void response.end('{"result":{"retval":1},"data":{"__proto__":{"boot":"b1"}}}'),
    /^refused: "boot" is no identifier$/,
  ],
];

for (const [title, answer, said] of ANSWERS)
  test(`${title}: refused and said once, what was known goes on holding`, async (context) => {
    const ems = await startHostileEms(context, (path, request, response) => {
      if (path !== EMS_API.tags) return false;
      if (request.url?.includes('since=') === true) answer(response, request);
      else response.end(envelope(report({ endpoints: [described()] })));
      return true;
    });
    const { registry, events, connector } = follow(context, ems);
    await until('it is said', () => events.length >= 2);
    assert.match(events[1] ?? '', said);
    assert.deepEqual(
      [...registry.values()].map(({ tags }) => tags),
      [['Low']],
    );
    assert.equal(connector.state, 'not-connected');
    assert.ok(!events.join().includes(EMS_PASSWORD));
  });

test('pages that never end, out of order, or too large are refused whole', async (context) => {
  let pages: (after: string) => Record<string, unknown> = () => report({});
  const ems = await startHostileEms(context, (path, request, response) => {
    if (path !== EMS_API.tags) return false;
    const after = new URL(request.url ?? '', 'https://ems').searchParams.get('after') ?? '';
    response.end(envelope(pages(after)));
    return true;
  });
  for (const [bad, said] of [
    [() => report({ more: true }), /an empty page is not the last/],
    [() => report({ more: true, endpoints: [described()] }), /not in order/],
    [() => report({ endpoints: Array.from({ length: 501 }, () => described()) }), /more than 500 endpoints at once/],
    [
      (after: string) => report({ more: true, boot: after === '' ? 'b1' : 'b2', endpoints: [described()] }),
      /began anew/,
    ],
  ] as const) {
    pages = bad;
    const { registry, events } = follow(context, ems);
    await until('it is said', () => events.length > 0);
    assert.match(events[0] ?? '', said);
    assert.equal(registry.size, 0);
  }
});

test('one that answers at once though nothing changed does not keep us busy', async (context) => {
  const ems = await startHostileEms(context, (path, request, response) => {
    if (path !== EMS_API.tags) return false;
    response.end(envelope(report({ full: request.url?.includes('since=') !== true })));
    return true;
  });
  const { connector } = follow(context, ems, { statusInterval: 600_000 });
  const asked = (): number => ems.requests.get(EMS_API.tags) ?? 0;
  await until('it asks for changes', () => asked() === 2);
  // One that did not pause would be far beyond this before it is hurried on.
  await until('it pauses', () => connector.lastError === undefined && connector.state === 'connected');
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  assert.equal(asked(), 2);
  await until('it asks again when it is to', () => {
    connector.hurry();
    return asked() === 3;
  });
});

test('sign-in that sets no cookies, evil ones, or loops is refused', async (context) => {
  let answer: Answer = () => {};
  const ems = await startHostileEms(context, (path, request, response) => {
    if (path === EMS_API.signIn) answer(response, request);
    else if (path === EMS_API.serialNumber) response.writeHead(401).end();
    else return false;
    return true;
  });
  for (const [cookies, said] of [
    [[], /set no csrftoken and session cookie/],
    [['csrftoken=a'], /set no csrftoken/],
    [['csrftoken=a b', 'sessionid=c'], /a cookie is none/],
    [['csrftoken=a', `sessionid=${'x'.repeat(5_000)}`], /cookies are too long/],
    [['csrftoken=a', 'sessionid=b'], /forgets at once who has signed in/],
  ] as const) {
    answer = (response) => void response.setHeader('set-cookie', [...cookies]).end(envelope({}));
    const { events } = follow(context, ems);
    await until('it is said', () => events.length > 0);
    assert.match(events[0] ?? '', said);
  }
});

test('every call brings the cookies, the CSRF token and where it comes from', async (context) => {
  const ems = await startHostileEms(context, () => false);
  const { connector } = follow(context, ems);
  await until('it is connected', () => connector.state === 'connected');
  const { headers } = ems.last.get(EMS_API.tags) ?? assert.fail();
  assert.deepEqual(
    [headers.cookie, headers['x-csrftoken'], headers.referer],
    ['csrftoken=abc; sessionid=def', 'abc', 'https://127.0.0.1'],
  );
  const signIn = ems.last.get(EMS_API.signIn) ?? assert.fail();
  assert.deepEqual(JSON.parse(signIn.body), { name: 'admin', password: EMS_PASSWORD });
});

test('something that is not TLS, and a port where nobody is, are told', async (context) => {
  const ems = await startHostileEms(context, () => false);
  const { createServer } = await import('node:net');
  const plain = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('220 hello\r\n');
  });
  await new Promise<void>((resolve) => {
    plain.listen(0, '127.0.0.1', resolve);
  });
  const { port } = plain.address() as { port: number };
  const first = follow(context, ems, { port });
  await until('it is said', () => first.events.length > 0);
  assert.match(first.events[0] ?? '', /^lost: it cannot be reached: /);
  plain.close();
  const second = follow(context, ems, { port });
  await until('it is said', () => second.events.length > 0);
  assert.match(second.events[0] ?? '', /^lost: it cannot be reached: ECONNREFUSED$/);
});
