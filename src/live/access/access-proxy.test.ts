// Who gets through an access proxy and who does not: certificates, requests, servers, rules. Each refused one is on record, and others go on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test as unlimited } from 'node:test';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import {
  type AccessSetup,
  EMS,
  EndpointAuthority,
  type Identity,
  type RunningAccess,
  serverOf,
  startAccess,
  UID,
} from '../../testing/peers/access-proxy.js';
import { freePort } from '../../testing/peers/peers.js';
import { ForwardingRefused } from './forwarding-client.js';

const test = (title: string, body: (context: TestContext) => Promise<void>): void =>
  void unlimited(title, { timeout: 60_000 }, body);

const OTHER_UID = '0123456789ABCDEF0123456789ABCDEF';
const RULE = (lines: readonly string[], id = 4): string =>
  `config firewall proxy-policy
    edit ${id}
        set name "rule-${id}"
        set proxy access-proxy
        set access-proxy "WIN2K16-P1-RDP"
        set srcintf "port1"
        set srcaddr "all"
        set dstaddr "all"
        set schedule "always"
        set logtraffic all
${lines.map((line) => `        ${line}\n`).join('')}    next
end
`;
const AV = RULE([`set ztna-ems-tag "${EMS}_AV-enabled"`, 'set action accept']);

const echo = (socket: Socket): void => {
  socket.pipe(socket);
};

async function running(
  context: TestContext,
  setup: Partial<AccessSetup> = {},
  serve: (socket: Socket) => void = echo,
): Promise<RunningAccess> {
  const server = await serverOf(context, serve);
  const access = await startAccess(context, { rules: AV, server, ...setup });
  await access.endpoint(UID, { ems: EMS, cert: access.identity.serial, tags: 'AV-enabled', user: 'keithli' });
  return access;
}

/** What comes back for what is sent. */
async function asks(stream: Socket, text: string): Promise<string> {
  stream.on('error', () => {});
  stream.resume();
  stream.write(text);
  const [answer] = (await once(stream, 'data')) as [Buffer];
  return answer.toString();
}

/** The status, and the code of its page. */
async function refused(opening: Promise<unknown>): Promise<readonly [status: string, code: string | undefined]> {
  try {
    await opening;
  } catch (error) {
    if (!(error instanceof ForwardingRefused)) throw error;
    return [error.status.split(' ')[1] ?? '', /Error code: (\d{3})/.exec(error.page)?.[1]];
  }
  return assert.fail('it was let in');
}

/** A request as it is written here, with the certificate of the endpoint: all that comes back. */
async function raw(access: RunningAccess, text: string, servername = ''): Promise<string> {
  const stream = tlsConnect({
    host: '127.0.0.1',
    port: access.port,
    ca: access.authority.certificate,
    cert: access.identity.certificate,
    key: access.identity.key,
    ...(servername === '' ? {} : { servername }),
  });
  stream.on('error', () => {});
  let answer = '';
  stream.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  await once(stream, 'secureConnect');
  stream.write(Buffer.from(text, 'latin1'));
  await new Promise<void>((resolve) => {
    stream.once('close', () => resolve());
    // One that was let in does not end by itself.
    stream.on('data', () => {
      if (answer.startsWith('HTTP/1.1 101')) stream.destroy();
    });
  });
  return answer;
}

const FIELDS = ['Host: 127.0.0.1', 'Upgrade: tcp-forwarding/1.0', 'Connection: Upgrade'];
const request = (
  port: number,
  fields: readonly string[] = FIELDS,
  query = `address=127.0.0.1&port=${port}&tls=1`,
): string => [`GET /tcp?${query} HTTP/1.1`, ...fields, '\r\n'].join('\r\n');

for (const encrypted of [false, true])
  test(`a client with the certificate and the tag gets through, ${encrypted ? 'inside TLS' : 'and TLS comes off behind the answer'}`, async (context) => {
    const access = await running(context, {}, (socket) => {
      // A server that speaks first must not be lost in what comes off.
      socket.write('220 ready\r\n');
      echo(socket);
    });
    const stream = await access.connect({ encrypted });
    stream.on('error', () => {});
    let got = '';
    stream.on('data', (chunk: Buffer) => {
      got += chunk.toString();
    });
    stream.resume();
    stream.write('hello\r\n');
    const big = 'y'.repeat(1 << 20);
    stream.end(big);
    await once(stream, 'end');
    assert.equal(got.length, '220 ready\r\nhello\r\n'.length + big.length);
    assert.ok(got.startsWith('220 ready\r\nhello\r\nyyy'));
    assert.equal('getCipher' in stream, encrypted);
    const record = await access.daemon.record({ logid: '0000000024', policyid: '4' });
    assert.equal(record.get('action'), 'accept');
  });

test('a close_notify between the answer and the stream without TLS is no part of the stream', async (context) => {
  const access = await running(context);
  const stream = (await access.connect()) as Socket;
  // In pieces, as TLS 1.3 writes it: one that only the length tells.
  stream.write(Buffer.from([0x17, 3]));
  await new Promise((resolve) => setImmediate(resolve));
  stream.write(Buffer.from([3, 0, 0x13, ...Array.from({ length: 19 }, () => 0x41)]));
  assert.equal(await asks(stream, 'hello'), 'hello');
  const other = (await access.connect()) as Socket;
  assert.equal(await asks(other, '\x15\x03\x03\x00\x02\x01\x00hello'), 'hello');
});

interface BadCertificate {
  readonly title: string;
  readonly code: string;
  make(authority: EndpointAuthority, directory: string): Identity | undefined;
}
const BAD: readonly BadCertificate[] = [
  {
    title: 'of another authority',
    code: '001',
    make: (_, directory) => new EndpointAuthority(directory, 'other').issue(UID),
  },
  { title: 'that has expired', code: '001', make: (authority) => authority.issue(UID, { days: -1 }) },
  { title: 'for servers', code: '001', make: (authority) => authority.issue(UID, { purpose: 'serverAuth' }) },
  { title: 'that names no endpoint', code: '001', make: (authority) => authority.issue('somebody') },
  { title: 'that EMS has replaced', code: '063', make: (authority) => authority.issue(UID, { days: 2 }) },
  { title: 'of an endpoint that nobody knows', code: '066', make: (authority) => authority.issue(OTHER_UID) },
  { title: 'at all missing', code: '002', make: () => undefined },
];

test('a certificate that proves nothing gets nowhere, is on record, and disturbs nobody', async (context) => {
  let reached = 0;
  const access = await running(context, {}, (socket) => {
    reached++;
    echo(socket);
  });
  const good = await access.connect();
  assert.equal(await asks(good, 'a'), 'a');
  for (const { title, code, make } of BAD) {
    const identity = make(access.authority, access.directory);
    // Absent ones have to be said so: the defaults are those of the good one.
    const options = identity ?? { certificate: undefined as unknown as string, key: undefined as unknown as string };
    assert.deepEqual(await refused(access.connect(options)), ['403', code], title);
  }
  assert.equal(reached, 1);
  assert.equal(await asks(good, 'b'), 'b');
  await access.daemon.record({
    logid: '0000000013',
    policyid: '0',
    msg: 'Denied: The client certificate is not valid.',
  });
  await access.daemon.record({
    logid: '0000000013',
    policyid: '0',
    msg: 'Denied: The client has shown no certificate.',
  });
  await access.daemon.record({ logid: '2101060510', policyid: '0', clientdeviceid: OTHER_UID });
});

test('revoked, offline, in quarantine: the live session ends, and the client is told why it may not come again', async (context) => {
  const access = await running(context);
  for (const [change, back, code] of [
    [{ revoked: 'yes' }, { revoked: 'no' }, '063'],
    [{ online: 'no' }, { online: 'yes' }, '067'],
    [{ quarantined: 'yes' }, { quarantined: 'no' }, '064'],
    [{ tags: 'Low' }, { tags: 'AV-enabled' }, '065'],
  ] as const) {
    const stream = await access.connect();
    assert.equal(await asks(stream, 'a'), 'a');
    const over = new Promise<void>((resolve) => stream.once('close', () => resolve()));
    await access.endpoint(UID, change);
    await over;
    assert.deepEqual(await refused(access.connect()), ['403', code]);
    await access.endpoint(UID, back);
  }
  const gone = await access.connect();
  assert.equal(await asks(gone, 'a'), 'a');
  const over = new Promise<void>((resolve) => gone.once('close', () => resolve()));
  await access.daemon.ask('diagnose', 'endpoint', 'record', 'delete', UID);
  await over;
});

test('a change that leaves the session allowed costs it no byte', async (context) => {
  const access = await running(context);
  const stream = await access.connect();
  assert.equal(await asks(stream, 'a'), 'a');
  await access.endpoint(UID, { tags: 'Low,AV-enabled' });
  await access.endpoint(OTHER_UID, { tags: 'AV-enabled' });
  await access.endpoint(OTHER_UID, { online: 'no' });
  assert.equal(await asks(stream, 'b'), 'b');
});

test('a server that is not mapped, a port, a name and a path that lead nowhere: refused with the code for it', async (context) => {
  const access = await running(context);
  const { server } = access;
  const to = (address: string, port = server) => refused(access.connect({ to: { address, port } }));
  assert.deepEqual(await to('127.0.0.2'), ['403', '022']);
  assert.deepEqual(await to('127.0.0.1', 9), ['403', '022']);
  assert.deepEqual(await to('::1'), ['403', '022']);
  assert.match(await raw(access, request(server).replace('/tcp', '/ssh')), /^HTTP\/1\.1 403 .*Error code: 021/s);
  assert.match(await raw(access, request(server).replace('/tcp', '/tcp/..')), /^HTTP\/1\.1 403 .*Error code: 021/s);
});

test('a server that cannot be reached is a 504', async (context) => {
  const closed = await freePort();
  const access = await running(context, { server: closed });
  assert.deepEqual(await refused(access.connect({ to: { address: '127.0.0.1', port: closed } })), ['504', undefined]);
  assert.deepEqual(await refused(access.connect({ to: { address: '127.0.0.1', port: closed }, encrypted: true })), [
    '504',
    undefined,
  ]);
  await access.daemon.record({ type: 'traffic', action: 'ip-conn', policyid: '4' });
});

/** What two readers could understand differently, or nobody should. */
const SMUGGLED: readonly (readonly [title: string, status: string, make: (port: number) => string])[] = [
  ['Content-Length', '400', (port) => request(port, [...FIELDS, 'Content-Length: 5'])],
  ['Transfer-Encoding', '400', (port) => request(port, [...FIELDS, 'Transfer-Encoding: chunked'])],
  ['both', '400', (port) => request(port, [...FIELDS, 'Content-Length: 0', 'Transfer-Encoding: chunked'])],
  ['two Hosts', '400', (port) => request(port, [...FIELDS, 'Host: elsewhere'])],
  ['two Upgrades', '400', (port) => request(port, [...FIELDS, 'Upgrade: websocket'])],
  ['no Host', '400', (port) => request(port, FIELDS.slice(1))],
  ['a blank before the colon', '400', (port) => request(port, [...FIELDS, 'Transfer-Encoding : chunked'])],
  ['a folded field', '400', (port) => request(port, [...FIELDS, 'X: a', ' Transfer-Encoding: chunked'])],
  ['a bare LF', '400', (port) => request(port, [...FIELDS, 'X: a\nTransfer-Encoding: chunked'])],
  ['a bare CR', '400', (port) => request(port, [...FIELDS, 'X: a\rTransfer-Encoding: chunked'])],
  ['NUL', '400', (port) => request(port, [...FIELDS, 'X: a\0b'])],
  ['a field without a name', '400', (port) => request(port, [...FIELDS, ': a'])],
  ['HTTP/1.0', '400', (port) => request(port).replace('HTTP/1.1', 'HTTP/1.0')],
  ['HTTP/2.0', '400', (port) => request(port).replace('HTTP/1.1', 'HTTP/2.0')],
  ['another method', '405', (port) => request(port).replace('GET', 'CONNECT')],
  ['no upgrade', '426', (port) => request(port, FIELDS.slice(0, 1))],
  ['another upgrade', '426', (port) => request(port, ['Host: 127.0.0.1', 'Upgrade: websocket', 'Connection: Upgrade'])],
  ['a parameter twice', '400', (port) => request(port, FIELDS, `address=127.0.0.1&port=${port}&port=22&tls=1`)],
  ['two question marks', '400', (port) => request(port, FIELDS, `address=127.0.0.1&port=${port}&tls=1?tls=0`)],
  ['no port', '400', () => request(0, FIELDS, 'address=127.0.0.1&tls=1')],
  ['an address in other numbers', '400', (port) => request(port, FIELDS, `address=0x7f.1&port=${port}&tls=1`)],
  ['a line in the address', '400', (port) => request(port, FIELDS, `address=127.0.0.1%0d%0aX&port=${port}&tls=1`)],
  ['a second request behind it', '400', (port) => request(port) + request(port)],
  ['bytes behind it', '400', (port) => `${request(port)}x`],
];

test('requests that could be read in two ways are refused: none reaches the server', async (context) => {
  let reached = 0;
  const access = await running(context, {}, () => reached++);
  for (const [title, status, make] of SMUGGLED)
    assert.equal((await raw(access, make(access.server))).split(' ')[1], status, title);
  assert.equal(reached, 0);
  await access.daemon.record({ logid: '0000000013', msg: 'Denied: a body' });
});

test('headers that do not end are refused, however long they go on', async (context) => {
  const access = await running(context);
  const long = request(access.server, [...FIELDS, `X: ${'a'.repeat(20_000)}`]);
  assert.match(await raw(access, long), /^HTTP\/1\.1 431 /);
  const many = request(access.server, [...FIELDS, ...Array.from({ length: 100 }, (_, at) => `X${at}: a`)]);
  assert.match(await raw(access, many), /^HTTP\/1\.1 400 /);
  await access.daemon.record({ msg: 'Denied: header too large' });
});

test('a client that asks TLS for one host and HTTP for another is misdirected', async (context) => {
  const access = await running(context);
  const at = (host: string) => request(access.server, [`Host: ${host}`, ...FIELDS.slice(1)]);
  assert.match(await raw(access, at('other.test'), 'vip.test'), /^HTTP\/1\.1 421 /);
  assert.match(await raw(access, at('vip.test:443'), 'vip.test'), /^HTTP\/1\.1 101 /);
});

test('what is no TLS, and TLS that goes no further, is ended and holds nobody up', async (context) => {
  const access = await running(context, { settings: ['set handshake-timeout 1'] });
  const plain = connect(access.port, '127.0.0.1');
  plain.on('error', () => {});
  plain.resume();
  plain.write('GET /tcp HTTP/1.1\r\n\r\n');
  const silent = connect(access.port, '127.0.0.1');
  silent.on('error', () => {});
  silent.resume();
  silent.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
  await Promise.all([plain, silent].map((each) => new Promise<void>((resolve) => each.once('close', () => resolve()))));
  assert.equal(await asks(await access.connect(), 'a'), 'a');
});

test('a rule that denies decides before those below it, and says so', async (context) => {
  const rules = RULE([`set ztna-ems-tag "${EMS}_Malicious-File-Detected"`, 'set action deny'], 3) + AV;
  const access = await running(context, { rules });
  const stream = await access.connect();
  assert.equal(await asks(stream, 'a'), 'a');
  const over = new Promise<void>((resolve) => stream.once('close', () => resolve()));
  await access.endpoint(UID, { tags: 'AV-enabled,Malicious-File-Detected' });
  await over;
  const live = await access.daemon.record({ logid: '2101060511', policyid: '3', dstport: String(access.server) });
  assert.equal(live.get('msg'), 'Connection is blocked because proxy-policy action is deny.');
  assert.deepEqual(await refused(access.connect()), ['403', '064']);
  await access.daemon.record({ logid: '2101060511', policyid: '3', dstport: String(access.port) });
});

test('tags: all of a list, any of a group in it, none of a negated one', async (context) => {
  const sections = `config firewall addrgrp
    edit "managed"
        set category ztna-ems-tag
        set member "EMS_ZTNA_one" "EMS_ZTNA_two"
    next
end
config firewall address
    edit "EMS_ZTNA_one"
        set type dynamic
        set sub-type ems-tag
        set obj-tag "one"
    next
    edit "EMS_ZTNA_two"
        set type dynamic
        set sub-type ems-tag
        set obj-tag "two"
    next
end
`;
  const rules =
    RULE([`set ztna-ems-tag "managed" "${EMS}_AV-enabled"`, 'set ztna-tags-match-logic and', 'set action accept'], 1) +
    RULE([`set ztna-ems-tag "${EMS}_bad"`, 'set ztna-ems-tag-negate enable', 'set action accept'], 2);
  const access = await running(context, { sections, rules });
  const ruleFor = async (tags: string): Promise<string> => {
    await access.endpoint(UID, { tags });
    const stream = await access.connect();
    const port = String((stream as TLSSocket).localPort);
    stream.on('error', () => {});
    stream.end();
    stream.resume();
    const record = await access.daemon.record({ logid: '0000000024', srcport: port });
    return record.get('policyid') ?? '';
  };
  assert.equal(await ruleFor('two,AV-enabled,bad'), '1');
  assert.equal(await ruleFor('AV-enabled'), '2');
  assert.equal(await ruleFor('one'), '2');
  await access.endpoint(UID, { tags: 'one,bad' });
  assert.deepEqual(await refused(access.connect()), ['403', '065']);
});

test('a rule with users wants one to sign in, and one that it allows', async (context) => {
  const sections = `config user local
    edit "keith"
        set type password
        set passwd "not-in-any-log"
    next
    edit "other"
        set type password
        set passwd "neither"
    next
end
config user group
    edit "staff"
        set member "keith"
    next
end
`;
  const access = await running(context, { sections, rules: RULE(['set groups "staff"', 'set action accept']) });
  assert.deepEqual(await refused(access.connect()), ['401', undefined]);
  assert.deepEqual(await refused(access.connect({ user: { name: 'keith', password: 'wrong' } })), ['401', undefined]);
  assert.deepEqual(await refused(access.connect({ user: { name: 'other', password: 'neither' } })), ['403', '061']);
  const stream = await access.connect({ user: { name: 'keith', password: 'not-in-any-log' } });
  assert.equal(await asks(stream, 'a'), 'a');
  stream.end();
  const record = await access.daemon.record({ logid: '0000000024' });
  assert.equal(record.get('user'), 'keith');
  const all = access.daemon.records().flatMap((each) => [...each.values()]);
  assert.ok(!all.some((value) => value.includes('not-in-any-log')));
});

test('without log-blocked-traffic the denied are not on record', async (context) => {
  const access = await running(context, { proxy: ['set log-blocked-traffic disable'] });
  await access.endpoint(UID, { tags: '' });
  assert.deepEqual(await refused(access.connect()), ['403', '065']);
  await access.endpoint(UID, { tags: 'AV-enabled' });
  const stream = await access.connect();
  stream.end();
  stream.resume();
  await access.daemon.record({ logid: '0000000024' });
  assert.deepEqual(
    access.daemon.records().filter((each) => each.get('action') === 'deny'),
    [],
  );
});

test('rules of an access proxy let nobody in by another door', async (context) => {
  const door = await freePort();
  const server = await serverOf(context, echo);
  const sections = `config firewall vip
    edit "plain"
        set extip 127.0.0.1
        set mappedip "127.0.0.1"
        set portforward enable
        set extport ${door}
        set mappedport ${server}
    next
end
`;
  await running(context, { sections, server, rules: RULE(['set action accept']) });
  const client = connect(door, '127.0.0.1');
  client.on('error', () => {});
  client.resume();
  client.write('a');
  let got = 0;
  client.on('data', () => got++);
  await new Promise<void>((resolve) => client.once('close', () => resolve()));
  assert.equal(got, 0);
});
