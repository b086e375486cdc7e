// Handshakes of node's own TLS, recorded on loopback: every suite and version that it speaks must open with its key log, however it is cut.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, createServer, type TlsOptions } from 'node:tls';
import fc from 'fast-check';
import { CLIENT, SERVER, type Side } from '../../core/flow.js';
import { selfSigned } from '../../testing/peers/certificate.js';
import { pathOf } from '../../testing/peers/peers.js';
import { cut, type Pieces, readTls, startRelay } from '../../testing/peers/tls-recording.js';
import { KeyLog } from './key-log.js';
import { SessionCache } from './tls-layer.js';

const folder = mkdtempSync(join(tmpdir(), 'inspectd-tls-'));
after(() => rmSync(folder, { recursive: true }));

interface Recording {
  readonly pieces: Pieces;
  readonly keys: string;
}

const HELLO = 'hello from the client\r\n'.repeat(10);
const ANSWER = 'an answer from the server\r\n'.repeat(3_000);

/** One session: the client says HELLO, the server ANSWER, and both end. */
async function record(
  context: TestContext,
  server: TlsOptions,
  client: ConnectionOptions = {},
  session?: Buffer,
): Promise<Recording & { session: Buffer | undefined }> {
  const keys: string[] = [];
  const tls = createServer(server, (socket) => {
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('end', () => socket.end(ANSWER));
  });
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
  const relay = await startRelay(context, (tls.address() as AddressInfo).port);
  let ticket: Buffer | undefined;
  await new Promise<void>((resolve, reject) => {
    const socket = connect({
      port: relay.port,
      host: '127.0.0.1',
      servername: 'mail.test',
      rejectUnauthorized: false,
      allowHalfOpen: true,
      ...(session === undefined ? {} : { session }),
      ...client,
    } as ConnectionOptions);
    socket.on('keylog', (line) => keys.push(line.toString()));
    socket.on('session', (bytes) => {
      ticket = bytes;
    });
    socket.on('secureConnect', () => socket.end(HELLO));
    socket.on('data', () => {});
    socket.on('end', resolve);
    socket.on('error', reject);
  });
  tls.close();
  return { pieces: relay.connections[0] ?? [], keys: keys.join(''), session: ticket };
}

/** Certificates are made by openssl; where it is missing these tests are left out, or fail when peers are required. */
const missing = pathOf('openssl') === undefined;
const skip = missing && process.env['INSPECTD_PEERS'] !== 'required' ? 'needs openssl' : false;
const NONE = { key: Buffer.alloc(0), cert: Buffer.alloc(0) };
const pair = (kind: 'rsa' | 'ec'): typeof NONE => {
  if (missing) return NONE;
  const { key, certificate } = selfSigned(folder, kind);
  return { key: readFileSync(key), cert: readFileSync(certificate) };
};
const rsa = pair('rsa');
const ec = pair('ec');
const only = (ciphers: string, options: TlsOptions = {}): TlsOptions => ({
  ...rsa,
  ciphers,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  ...options,
});
const CASES: readonly (readonly [string, TlsOptions, ConnectionOptions?])[] = [
  ...[
    'ECDHE-RSA-AES128-GCM-SHA256',
    'AES256-GCM-SHA384',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'ECDHE-RSA-AES128-SHA',
    'ECDHE-RSA-AES128-SHA256',
    'ECDHE-RSA-AES256-SHA384',
    'AES256-SHA256',
    'AES128-SHA',
    'AES128-CCM',
    'AES256-CCM8',
  ].map((suite) => [`TLS 1.2 ${suite}`, only(suite), { ciphers: suite }] as const),
  [
    'TLS 1.2 DHE-RSA-AES128-GCM-SHA256',
    only('DHE-RSA-AES128-GCM-SHA256', { dhparam: 'auto' }),
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256' },
  ],
  [
    'TLS 1.2 ECDHE-ECDSA-AES128-CCM',
    { ...only('ECDHE-ECDSA-AES128-CCM'), ...ec },
    { ciphers: 'ECDHE-ECDSA-AES128-CCM' },
  ],
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_CCM_SHA256'].map(
    (suite) =>
      [
        `TLS 1.3 ${suite}`,
        { ...rsa, minVersion: 'TLSv1.3', ciphers: suite } as TlsOptions,
        { ciphers: suite } as ConnectionOptions,
      ] as const,
  ),
  [
    'TLS 1.3 behind a HelloRetryRequest',
    { ...rsa, minVersion: 'TLSv1.3', ecdhCurve: 'P-384' },
    { ecdhCurve: 'X25519:P-384' },
  ],
  [
    'TLS 1.0',
    { ...rsa, minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'AES128-SHA@SECLEVEL=0' },
    { minVersion: 'TLSv1', ciphers: 'AES128-SHA@SECLEVEL=0' },
  ],
  [
    'TLS 1.1',
    { ...rsa, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'AES256-SHA@SECLEVEL=0' },
    { minVersion: 'TLSv1.1', ciphers: 'AES256-SHA@SECLEVEL=0' },
  ],
];

for (const [name, server, client] of CASES) {
  test(`${name} opens with its key log, whole and in single bytes`, { skip }, async (context) => {
    const { pieces, keys } = await record(context, server, client);
    for (const size of [100_000, 1, 7, 1_000]) {
      const { text, facts, opaque, odd } = readTls(cut(pieces, size), keys);
      assert.equal(text[CLIENT], HELLO);
      assert.equal(text[SERVER], ANSWER);
      assert.equal(facts?.decrypted, true);
      assert.equal(facts.sni, 'mail.test');
      assert.match(`${facts.version}`, new RegExp(`^${name.slice(0, 7)}$`));
      assert.equal(opaque, undefined);
      assert.deepEqual(odd, []);
    }
    const without = readTls(pieces, '');
    assert.equal(without.opaque, 'tls-no-keys');
    assert.deepEqual(without.text, ['', '']);
    assert.equal(without.facts?.decrypted, false);
    assert.match(`${without.facts.cipher}`, /^TLS_/);
    // Keys of another session open nothing.
    const other = readTls(
      pieces,
      keys.replace(/ [0-9a-f]+$/gm, (secret) => ` ${'0'.repeat(secret.length - 1)}`),
    );
    assert.deepEqual(
      other.text.map((each) => each.replaceAll('[gap]', '')),
      ['', ''],
    );
  });
}

test('a resumed session opens, with its own lines in the log or with what is known of the first', {
  skip,
}, async (context) => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const server: TlsOptions = { ...rsa, minVersion: version, maxVersion: version, ticketKeys: Buffer.alloc(48, 5) };
    const first = await record(context, server);
    assert.ok(first.session !== undefined);
    const again = await record(context, server, {}, first.session);
    const sessions = new SessionCache(10);
    assert.equal(readTls(first.pieces, first.keys, sessions).text[SERVER], ANSWER);
    assert.equal(readTls(again.pieces, again.keys, sessions).text[SERVER], ANSWER);
    if (version === 'TLSv1.2') assert.equal(readTls(again.pieces, '', sessions).text[SERVER], ANSWER);
  }
});

test('a record that was changed gives nothing, and neither does what follows it', { skip }, async (context) => {
  const { pieces, keys } = await record(context, { ...rsa, minVersion: 'TLSv1.3' });
  const changed = pieces.map(([side, chunk]) => [side, Buffer.from(chunk)] as const);
  const last = changed.findLastIndex(([side, chunk]) => side === SERVER && chunk.length > 1_000);
  const [, chunk] = changed[last]!;
  chunk[chunk.length - 100]! ^= 1;
  const { text, odd, opaque } = readTls(changed, keys);
  assert.ok(odd.includes('tls-bad-record'));
  assert.equal(opaque, 'desync');
  assert.ok(ANSWER.startsWith(text[SERVER].replaceAll('[gap]', '')));
});

test('behind lost bytes the next record that opens is found, and the gap is told', { skip }, async (context) => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { pieces, keys } = await record(context, { ...rsa, minVersion: version, maxVersion: version });
    const small = cut(pieces, 4_000);
    const lost = small.findIndex(
      ([side], index) => side === SERVER && index > small.length - 14 && index < small.length - 8,
    );
    assert.ok(lost > 0);
    const { text, odd } = readTls(small, keys, undefined, lost);
    assert.ok(odd.includes('tls-gap'));
    assert.match(text[SERVER], /\[gap\]/);
    for (const part of text[SERVER].split('[gap]')) assert.ok(ANSWER.includes(part));
    assert.ok(text[SERVER].length > ANSWER.length / 3, `${text[SERVER].length}`);
  }
});

/** Where the records of a side begin, and their lengths. */
function recordsOf(pieces: Pieces, side: Side): { at: number; length: number }[] {
  const bytes = Buffer.concat(pieces.filter(([of]) => of === side).map(([, chunk]) => chunk));
  const records: { at: number; length: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 5 + bytes.readUInt16BE(at + 3);
    records.push({ at, length });
    at += length;
  }
  return records;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`what was lost of a handshake behind the hellos hides nothing of what follows (${version})`, {
    skip,
  }, async (context) => {
    const { pieces, keys } = await record(context, { ...rsa, minVersion: version, maxVersion: version });
    const small = cut(pieces, 60);
    for (const side of [CLIENT, SERVER] as const) {
      const records = recordsOf(pieces, side);
      // Behind the client's data stands its close_notify; the server's first is a full record.
      const data = side === CLIENT ? records.at(-2) : records.find(({ length }) => length > 10_000);
      const [hello] = records;
      let at = 0;
      let lost = 0;
      for (const [index, [of, chunk]] of small.entries()) {
        if (of !== side) continue;
        const within = at >= (hello?.length ?? 0) && at + chunk.length <= (data?.at ?? 0);
        at += chunk.length;
        if (!within) continue;
        lost++;
        const read = readTls(small, keys, undefined, index);
        assert.equal(read.text[side].replaceAll('[gap]', ''), [HELLO, ANSWER][side], `piece ${index}`);
        assert.equal(read.opaque, undefined);
      }
      assert.ok(lost > 0);
    }
  });
}

test('whatever bytes come, nothing is thrown, and nothing comes out that was not authenticated', {
  skip,
}, async (context) => {
  const { pieces, keys } = await record(context, { ...rsa, minVersion: 'TLSv1.2' });
  const small = cut(pieces, 500);
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          at: fc.nat(small.length - 1),
          byte: fc.nat(499),
          value: fc.integer({ min: 1, max: 255 }),
          drop: fc.boolean(),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      (changes) => {
        const mutated: [Side, Buffer][] = small.map(([side, chunk]) => [side, Buffer.from(chunk)]);
        for (const { at, byte, value, drop } of changes) {
          const piece = mutated[at];
          if (piece === undefined || piece[1].length === 0) continue;
          if (drop) mutated[at] = [piece[0], Buffer.alloc(0)];
          else piece[1][byte % piece[1].length]! ^= value;
        }
        const { text } = readTls(mutated, keys);
        for (const part of text[CLIENT].split('[gap]')) assert.ok(HELLO.includes(part) || part === '');
        for (const part of text[SERVER].split('[gap]')) assert.ok(ANSWER.includes(part) || part === '');
      },
    ),
    { numRuns: 150 },
  );
});

test('lines that are none of a key log are counted and left out', () => {
  const log = new KeyLog();
  log.add('# comment\n\nCLIENT_RANDOM 00 11\nnonsense\nCLIENT_RANDOM zz 11\nEXPORTER_SECRET aa bb\n');
  assert.equal(log.size, 1);
  assert.equal(log.badLines, 2);
  assert.equal(log.firstBadLine, 4);
});
