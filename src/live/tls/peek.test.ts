/** The client's hello is read however it is cut, and put back; what is none is told at once, what never ends in time. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { peekClientHello, readHello } from './peek.js';

/** Both ends of a pipe: what is written on one is read on the other. */
function pair(): [Duplex, Duplex] {
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write: (chunk, _, done) => {
        other().push(chunk);
        done();
      },
      final: (done) => {
        other().push(null);
        done();
      },
    });
  const one: Duplex = end(() => two);
  const two: Duplex = end(() => one);
  return [one, two];
}

/** The first flight of Node's client. */
async function helloOf(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const [near, far] = pair();
  const client: TLSSocket = tlsConnect({ socket: near, rejectUnauthorized: false, ...options });
  client.on('error', () => {});
  const [chunk] = (await new Promise((resolve) => far.once('data', (data) => resolve([data])))) as [Buffer];
  client.destroy();
  return chunk;
}

test('a hello is read at every cut, in one record or in many, and every byte is put back', async () => {
  const hello = await helloOf({ servername: 'mail.example.com', ALPNProtocols: ['imap', 'smtp'] });
  // The same handshake message, in records of seven bytes.
  const records: Buffer[] = [];
  for (let at = 5; at < hello.length; at += 7) {
    const piece = hello.subarray(at, at + 7);
    records.push(Buffer.from([0x16, 3, 1, 0, piece.length]), piece);
  }
  for (const bytes of [hello, Buffer.concat(records)])
    for (let cut = 0; cut < bytes.length; cut += 3) {
      const [near, far] = pair();
      far.write(bytes.subarray(0, cut));
      const peeked = peekClientHello(near, 65_536, 10_000);
      setImmediate(() => far.write(Buffer.concat([bytes.subarray(cut), Buffer.from('more')])));
      const found = await peeked;
      assert.equal(found?.serverName, 'mail.example.com');
      assert.deepEqual(found?.alpn, ['imap', 'smtp']);
      assert.equal(found?.badName, false);
      assert.equal(
        (near.read() as Buffer).toString('hex'),
        `${bytes.toString('hex')}${Buffer.from('more').toString('hex')}`,
      );
    }
});

test('what is no hello is told at its first wrong byte', () => {
  const cases: readonly (readonly [bytes: number[], read: 'more' | undefined])[] = [
    [[], 'more'],
    [[0x16], 'more'],
    [[0x15], undefined],
    [[0x47, 0x45, 0x54], undefined],
    // SSL 2.0.
    [[0x80, 0x2e, 0x01], undefined],
    [[0x16, 2, 0], undefined],
    [[0x16, 3, 1, 0, 0], undefined],
    // A record longer than records may be.
    [[0x16, 3, 1, 0x7f, 0xff], undefined],
    [[0x16, 3, 1, 0, 4, 2, 0, 0, 0], undefined],
    [[0x16, 3, 1, 0, 4, 1, 0, 0], 'more'],
  ];
  for (const [bytes, read] of cases) assert.equal(readHello(Buffer.from(bytes)), read, bytes.join(' '));
});

test('FLT-016: a hello that never ends is given up: too long, too late, or when the client has gone', async () => {
  const [long, far] = pair();
  far.write(Buffer.concat([Buffer.from([0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]), Buffer.alloc(2_000)]));
  assert.equal(await peekClientHello(long, 1_000, 10_000), undefined);
  const [late] = pair();
  assert.equal(await peekClientHello(late, 1_000, 1), undefined);
  const [left, gone] = pair();
  gone.write(Buffer.from([0x16, 3, 1]));
  gone.end();
  assert.equal(await peekClientHello(left, 1_000, 10_000), undefined);
});

test('TLS-013: a server name that is none is told apart from no name', async () => {
  const hello = await helloOf({ servername: 'mail.example.com' });
  const named = Buffer.from('mail.example.com');
  const at = hello.indexOf(named);
  for (const [byte, bad] of [
    [0x00, true],
    [0x20, true],
    [0xc3, true],
    [0x78, false],
  ] as const) {
    const changed = Buffer.from(hello);
    changed[at + 4] = byte;
    const read = readHello(changed);
    assert.ok(read !== undefined && read !== 'more');
    assert.equal(read.badName, bad);
    assert.equal(read.serverName === undefined, bad);
  }
  const without = readHello(await helloOf({}));
  assert.ok(without !== undefined && without !== 'more');
  assert.deepEqual([without.badName, without.serverName], [false, undefined]);
});
