/** What front doors read, at every split of it, and what they refuse. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { readConnect } from './http-connect.js';
import { readProxyHeader } from './proxy-protocol.js';
import { readSocks } from './socks5.js';
import { readSslProxy } from './sslproxy.js';
import { resolved } from './wanted.js';

/** What `read` makes of a client that sends `pieces` and then ends, and what the client was answered. */
async function given<T>(
  pieces: readonly Buffer[],
  read: (socket: Socket) => Promise<T | undefined>,
): Promise<{ value: T | undefined; answer: Buffer }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const client = connect({
    host: '127.0.0.1',
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    noDelay: true,
  });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const answered: Buffer[] = [];
  client.on('data', (chunk: Buffer) => answered.push(chunk));
  const value = read(socket);
  for (const piece of pieces) {
    client.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.end();
  const result = await value;
  socket.end();
  await once(client, 'close');
  socket.destroy();
  server.close();
  return { value: result, answer: Buffer.concat(answered) };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
/** In two pieces, cut at every place, and byte by byte. */
function* splits(whole: Buffer): Generator<Buffer[]> {
  for (let at = 0; at <= whole.length; at++)
    yield [whole.subarray(0, at), whole.subarray(at)].filter(({ length }) => length > 0);
  yield [...whole].map((byte) => Buffer.from([byte]));
}

const V2 = bytes('\r\n\r\n\0\r\nQUIT\n');
const v2 = (command: number, family: number, body: Buffer): Buffer =>
  Buffer.concat([V2, Buffer.from([command, family, body.length >> 8, body.length & 255]), body]);
const V4_BODY = Buffer.from([10, 0, 0, 7, 192, 0, 2, 9, 0x9c, 0x40, 0, 25]);

test('PROXY protocol: version 1 and 2 say who the client is, at every split; what follows is kept', async () => {
  const v6 = Buffer.alloc(36);
  v6.write('20010db8', 0, 'hex');
  v6[15] = 1;
  v6.write('20010db8', 16, 'hex');
  v6[31] = 2;
  v6.writeUInt16BE(40_000, 32);
  v6.writeUInt16BE(25, 34);
  for (const [head, client, dialled] of [
    [bytes('PROXY TCP4 10.0.0.7 192.0.2.9 40000 25\r\n'), '10.0.0.7 40000', '192.0.2.9 25'],
    [bytes('PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n'), '2001:db8::1 40000', '2001:db8::2 25'],
    [v2(0x21, 0x11, V4_BODY), '10.0.0.7 40000', '192.0.2.9 25'],
    [v2(0x21, 0x11, Buffer.concat([V4_BODY, Buffer.from([4, 0, 1, 9])])), '10.0.0.7 40000', '192.0.2.9 25'],
    [v2(0x21, 0x21, v6), '2001:db8::1 40000', '2001:db8::2 25'],
  ] as const)
    for (const pieces of splits(Buffer.concat([head, bytes('EHLO')]))) {
      const { value } = await given(pieces, readProxyHeader);
      assert.equal(`${value?.client?.address} ${value?.client?.port}`, client);
      assert.equal(`${value?.dialled?.address} ${value?.dialled?.port}`, dialled);
      assert.ok('EHLO'.startsWith(value?.ahead.toString() ?? 'x'), 'the rest stays');
    }
  for (const itself of [
    bytes('PROXY UNKNOWN\r\n'),
    bytes('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'),
    v2(0x20, 0, Buffer.alloc(0)),
  ]) {
    const { value } = await given([itself], readProxyHeader);
    assert.equal(value?.client, undefined);
    assert.ok(value !== undefined);
  }
});

test('PROXY protocol: what is none is refused', async () => {
  for (const bad of [
    'EHLO client\r\n',
    'PROXY TCP4 10.0.0.7 192.0.2.9 40000\r\n',
    'PROXY TCP4 10.0.0.7 192.0.2.9 40000 65536\r\n',
    'PROXY TCP4 10.0.0.7 192.0.2.9 040 25\r\n',
    'PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n',
    'PROXY TCP4 10.0.0.7 192.0.2.9 40000 25 x\r\n',
    `PROXY TCP4 ${'1'.repeat(200)}\r\n`,
    'PROXY TCP4 10.0.0.7',
    '',
  ])
    assert.equal((await given([bytes(bad)], readProxyHeader)).value, undefined, bad);
  for (const bad of [
    v2(0x31, 0x11, V4_BODY),
    v2(0x22, 0x11, V4_BODY),
    v2(0x21, 0x11, V4_BODY.subarray(1)),
    v2(0x21, 0x31, V4_BODY),
  ])
    assert.equal((await given([bad], readProxyHeader)).value, undefined, bad.toString('hex'));
});

test('SOCKS 5: addresses and names, at every split; what it cannot do is answered', async () => {
  const hello = Buffer.from([5, 2, 2, 0]);
  const port = Buffer.from([0, 25]);
  for (const [where, address] of [
    [Buffer.from([1, 192, 0, 2, 9]), '192.0.2.9'],
    [Buffer.concat([Buffer.from([4]), Buffer.from('20010db8000000000000000000000002', 'hex')]), '2001:db8::2'],
    [Buffer.concat([Buffer.from([3, 4]), bytes('mail')]), 'mail'],
  ] as const)
    for (const pieces of splits(Buffer.concat([hello, Buffer.from([5, 1, 0]), where, port, bytes('HI')]))) {
      const { value, answer } = await given(pieces, readSocks);
      assert.deepEqual(value?.to, { address, port: 25 });
      assert.deepEqual([...answer], [5, 0]);
      assert.equal(value?.accept[1], 0);
      assert.equal(value?.unreachable[1], 4);
    }
  for (const [said, code] of [
    [Buffer.from([5, 1, 2]), [5, 0xff]],
    [Buffer.concat([hello, Buffer.from([5, 2, 0, 1])]), [5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]],
    [Buffer.concat([hello, Buffer.from([5, 1, 0, 9, 0, 0])]), [5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]],
    [Buffer.from([4, 1, 0, 25]), []],
  ] as const) {
    const { value, answer } = await given([said], readSocks);
    assert.equal(value, undefined);
    assert.deepEqual([...answer], [...code]);
  }
});

test('HTTP CONNECT: the target, at every split; anything else is answered by its status', async () => {
  const request = bytes('CONNECT mail.example:25 HTTP/1.1\r\nHost: mail.example:25\r\n\r\nHI');
  for (const pieces of splits(request)) {
    const { value } = await given(pieces, readConnect);
    assert.deepEqual(value?.to, { address: 'mail.example', port: 25 });
  }
  const v6 = await given([bytes('CONNECT [2001:db8::2]:25 HTTP/1.1\r\n\r\n')], readConnect);
  assert.deepEqual(v6.value?.to, { address: '2001:db8::2', port: 25 });
  for (const [said, status] of [
    ['GET / HTTP/1.1\r\n\r\n', 405],
    ['CONNECT mail.example HTTP/1.1\r\n\r\n', 405],
    ['CONNECT a b:1 HTTP/1.1\r\n\r\n', 400],
    ['CONNECT mail.example:70000 HTTP/1.1\r\n\r\n', 405],
    ['nonsense\r\n\r\n', 400],
    [`CONNECT mail.example:25 HTTP/1.1\r\n${'A: b\r\n'.repeat(200)}\r\n`, 431],
    [`CONNECT mail.example:25 HTTP/1.1\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`, 431],
  ] as const) {
    const { value, answer } = await given([bytes(said)], readConnect);
    assert.equal(value, undefined);
    assert.match(answer.toString(), new RegExp(`^HTTP/1\\.1 ${status} `), said.slice(0, 60));
  }
});

test('SSLproxy: where the other half is awaited, who the client is, where it went', async () => {
  const line = 'SSLproxy: [127.0.0.1]:34649,[192.168.3.24]:47286,[192.168.111.130]:443,s\r\n';
  for (const pieces of splits(bytes(`${line}EHLO`))) {
    const { value } = await given(pieces, readSslProxy);
    assert.deepEqual(value?.back, { address: '127.0.0.1', port: 34_649 });
    assert.deepEqual(value?.client, { address: '192.168.3.24', port: 47_286 });
    assert.deepEqual(value?.dialled, { address: '192.168.111.130', port: 443 });
    assert.equal(value?.tls, true);
  }
  for (const bad of [
    'SSLproxy: [127.0.0.1]:34649\r\n',
    'EHLO x\r\n',
    line.replace('127.0.0.1', 'name'),
    line.replace('443', '99999'),
  ])
    assert.equal((await given([bytes(bad)], readSslProxy)).value, undefined, bad);
});

test('names are looked up, what is no name is not', async () => {
  assert.deepEqual(await resolved({ address: '127.0.0.1', port: 1 }), { address: '127.0.0.1', port: 1 });
  assert.match((await resolved({ address: 'localhost', port: 1 }))?.address ?? '', /^(127\.0\.0\.1|::1)$/);
  assert.equal(await resolved({ address: 'a b', port: 1 }), undefined);
  assert.equal(await resolved({ address: 'x'.repeat(300), port: 1 }), undefined);
});
