// What may happen within a session of TLS: new handshakes, new keys, data before the handshake, a session that goes on from an earlier one. By openssl at both ends.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { parseServerHello, type ServerHello } from '../../../protocols/tls/hello.js';
import { CLIENT, SERVER } from '../../core/flow.js';
import { PYTHON } from '../../testing/peers/aiosmtpd.js';
import { selfSigned } from '../../testing/peers/certificate.js';
import { startClient, startServer, Talker } from '../../testing/peers/openssl.js';
import { freePort, peerTest, scratch } from '../../testing/peers/peers.js';
import { cut, type Pieces, readTls, startRelay } from '../../testing/peers/tls-recording.js';
import { SessionCache } from './tls-layer.js';

/** The whole, and cuts that fall everywhere. */
const SIZES = [100_000, 1_000, 7, 1];

/** The first ServerHello of a connection. */
function serverHello(pieces: Pieces): ServerHello {
  const bytes = Buffer.concat(pieces.filter(([side]) => side === SERVER).map(([, chunk]) => chunk));
  const hello = parseServerHello(bytes.subarray(9, 9 + bytes.readUIntBE(6, 3)));
  assert.ok(hello !== undefined);
  return hello;
}

/** That each side said `text`, however the bytes are cut, and nothing odd happened. */
function expectText(pieces: Pieces, keys: string, text: readonly [string, string]): void {
  for (const size of SIZES) {
    const read = readTls(cut(pieces, size), keys);
    assert.deepEqual(read.text, text, `in pieces of ${size}`);
    assert.equal(read.opaque, undefined);
    assert.deepEqual(read.odd, []);
    assert.equal(read.facts?.decrypted, true);
  }
}

/** That of damaged and missing bytes nothing comes out but what was said, in its order, and nothing is thrown. */
function expectNothingElse(pieces: Pieces, keys: string, text: readonly [string, string]): void {
  const small = cut(pieces, 60);
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.nat(small.length - 1), byte: fc.nat(59), value: fc.integer({ min: 0, max: 255 }) }), {
        minLength: 1,
        maxLength: 3,
      }),
      (changes) => {
        const damaged = small.map(([side, chunk]) => [side, Buffer.from(chunk)] as const);
        for (const { at, byte, value } of changes) {
          const chunk = damaged[at]?.[1];
          if (chunk !== undefined) chunk[byte % chunk.length] = value;
        }
        const lost = changes.length === 3 ? changes[0]?.at : undefined;
        const read = readTls(damaged, keys, undefined, lost);
        for (const side of [CLIENT, SERVER] as const) {
          let from = 0;
          for (const said of read.text[side].split('[gap]')) {
            const found = text[side].indexOf(said, from);
            assert.ok(found >= 0, said);
            from = found + said.length;
          }
        }
      },
    ),
    { numRuns: 200 },
  );
}

/** openssl at both ends; the server says each line backwards. `words` are lines, and commands of s_client in brackets with what it says to them. */
async function conversation(
  context: TestContext,
  server: readonly string[],
  client: readonly string[],
  words: readonly (string | readonly [command: string, said: string])[],
): Promise<{ pieces: Pieces; keys: string }> {
  const directory = scratch(context, 'tls');
  const keylog = join(directory, 'keylog');
  const { port } = await startServer(context, selfSigned(directory), ['-rev', ...server]);
  const relay = await startRelay(context, port);
  const talker = startClient(context, relay.port, ['-keylogfile', keylog, ...client]);
  for (const word of words) {
    const [line, said] = typeof word === 'string' ? [word, [...word].reverse().join('')] : word;
    talker.say(line);
    await talker.heard(said);
  }
  await talker.finish();
  return { pieces: relay.connections[0] ?? [], keys: readFileSync(keylog, 'latin1') };
}

const SAID = ['one\ntwo\nthree\nfour\n', 'eno\nowt\neerht\nruof\n'] as const;

for (const suite of [
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'AES128-SHA256',
  'AES256-CCM8',
  'ECDHE-ARIA256-GCM-SHA384',
]) {
  peerTest(
    `a session that is negotiated anew twice is read on with its new keys (${suite})`,
    ['openssl'],
    async (context) => {
      const again = ['R', 'RENEGOTIATING'] as const;
      const { pieces, keys } = await conversation(
        context,
        ['-client_renegotiation', '-cipher', suite],
        ['-tls1_2', '-cipher', suite],
        ['one', again, 'two', 'three', again, 'four'],
      );
      const lines = keys.split('\n').filter((line) => line.startsWith('CLIENT_RANDOM'));
      assert.equal(lines.length, 3);
      expectText(pieces, keys, SAID);
      expectNothingElse(pieces, keys, SAID);
      // With the keys of the first handshake alone, what came before the second.
      const first = readTls(pieces, lines[0] ?? '');
      assert.deepEqual(first.text, ['one\n', 'eno\n']);
      assert.equal(first.opaque, 'tls-no-keys');
    },
  );
}

for (const suite of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']) {
  peerTest(`keys that are updated, by one side or by both, are followed (${suite})`, ['openssl'], async (context) => {
    const { pieces, keys } = await conversation(
      context,
      ['-ciphersuites', suite],
      ['-tls1_3'],
      ['one', ['k', 'KEYUPDATE'], 'two', ['K', 'KEYUPDATE'], 'three', ['K', 'KEYUPDATE'], ['k', 'KEYUPDATE'], 'four'],
    );
    expectText(pieces, keys, SAID);
    expectNothingElse(pieces, keys, SAID);
  });
}

/** Two sessions with a server, the second resuming the first; the server answers `answer` when it has heard the client. */
async function resumed(
  context: TestContext,
  server: readonly string[],
  client: readonly string[],
  early?: { readonly data: string; readonly said: string },
): Promise<{ first: Pieces; again: Pieces; keys: readonly [string, string] }> {
  const directory = scratch(context, 'tls');
  const session = join(directory, 'session');
  const logs = [join(directory, 'first'), join(directory, 'second')] as const;
  const { port, server: answering } = await startServer(context, selfSigned(directory), server);
  const relay = await startRelay(context, port);
  const once = async (options: readonly string[], reused: string): Promise<void> => {
    const talker = startClient(context, relay.port, [...client, ...options]);
    await talker.heard(reused);
    talker.say('hello');
    await answering.heard('hello\n');
    answering.say('answer');
    await talker.heard('answer\n');
    await talker.finish();
    await answering.heard('DONE');
  };
  await once(['-keylogfile', logs[0], '-sess_out', session], 'New, TLSv1');
  const data = join(directory, 'early');
  if (early !== undefined) writeFileSync(data, early.data);
  await once(
    ['-keylogfile', logs[1], '-sess_in', session, ...(early === undefined ? [] : ['-early_data', data])],
    early?.said ?? 'Reused, TLSv1',
  );
  const [first = [], again = []] = relay.connections;
  return { first, again, keys: [readFileSync(logs[0], 'latin1'), readFileSync(logs[1], 'latin1')] };
}

for (const [how, options] of [
  ['its id', ['-no_ticket']],
  ['its ticket', ['-no_cache']],
] as const) {
  peerTest(
    `a session of TLS 1.2 that is resumed by ${how} opens with its own keys, or with those of the first`,
    ['openssl'],
    async (context) => {
      const { first, again, keys } = await resumed(context, options, [
        '-tls1_2',
        ...options.filter((each) => each === '-no_ticket'),
      ]);
      const text = ['hello\n', 'answer\n'] as const;
      expectText(first, keys[0], text);
      expectText(again, keys[1], text);
      const sessions = new SessionCache(10);
      readTls(first, keys[0], sessions);
      assert.deepEqual(readTls(again, '', sessions).text, text);
      assert.equal(readTls(again, '').opaque, 'tls-no-keys');
    },
  );
}

peerTest(
  'a session of TLS 1.3 that goes on from another opens with its own keys only',
  ['openssl'],
  async (context) => {
    const { first, again, keys } = await resumed(context, [], ['-tls1_3']);
    const text = ['hello\n', 'answer\n'] as const;
    expectText(first, keys[0], text);
    expectText(again, keys[1], text);
    const sessions = new SessionCache(10);
    readTls(first, keys[0], sessions);
    assert.deepEqual(readTls(again, '', sessions).text, ['', '']);
  },
);

/** What is read when the server's record of this number is missing: behind ServerHello and ChangeCipherSpec, 2 is EncryptedExtensions. */
function withoutRecord(pieces: Pieces, number: number, keys: string): Parameters<typeof readTls> {
  const bytes = cut(pieces, 1);
  const places = bytes.flatMap(([side], at) => (side === SERVER ? [at] : []));
  let from = 0;
  const end = (at: number): number =>
    at +
    5 +
    Buffer.concat(places.slice(at + 3, at + 5).map((place) => bytes[place]?.[1] ?? Buffer.of())).readUInt16BE(0);
  for (let record = 0; record < number; record++) from = end(from);
  const first = places[from] ?? 0;
  const lost = places.slice(from, end(from));
  const whole = [SERVER, Buffer.concat(lost.map((place) => bytes[place]?.[1] ?? Buffer.of()))] as const;
  return [
    bytes.flatMap((piece, at) => (at === first ? [whole] : lost.includes(at) ? [] : [piece])),
    keys,
    undefined,
    first,
  ];
}

for (const suite of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']) {
  peerTest(`data before the handshake is read where the server takes it (${suite})`, ['openssl'], async (context) => {
    const early = 'early words\n'.repeat(500);
    const { again, keys } = await resumed(context, ['-early_data', '-ciphersuites', suite], ['-tls1_3'], {
      data: early,
      said: 'Early data was accepted',
    });
    assert.match(keys[1], /^CLIENT_EARLY_TRAFFIC_SECRET /m);
    expectText(again, keys[1], [`${early}hello\n`, 'answer\n']);
    expectNothingElse(again, keys[1], [`${early}hello\n`, 'answer\n']);
    // Where the server's answer to it was lost it is missing, and so it is where its keys were not logged; what follows is there.
    const unanswered = readTls(...withoutRecord(again, 2, keys[1]));
    assert.equal(unanswered.text[CLIENT], '[gap]hello\n');
    assert.ok(unanswered.odd.includes('tls-early-data'));
    const without = readTls(again, keys[1].replace(/^CLIENT_EARLY_TRAFFIC_SECRET .*$/m, ''));
    assert.deepEqual(without.text, ['[gap]hello\n', 'answer\n']);
    assert.ok(without.odd.includes('tls-early-data'));
  });
}

peerTest('data before the handshake that the server does not want is not read', ['openssl'], async (context) => {
  // It promises to take such data with its tickets, and is asked for another group.
  const early = 'early words\n'.repeat(500);
  const { again, keys } = await resumed(
    context,
    ['-early_data', '-groups', 'P-384'],
    ['-tls1_3', '-groups', 'X25519:P-384'],
    { data: early, said: 'Early data was rejected' },
  );
  assert.match(keys[1], /^CLIENT_EARLY_TRAFFIC_SECRET /m);
  for (const size of SIZES) {
    const { text, opaque } = readTls(cut(again, size), keys[1]);
    assert.deepEqual(text, ['hello\n', 'answer\n'], `in pieces of ${size}`);
    assert.equal(opaque, undefined);
  }
});

for (const [version, suite] of [
  ['tls1', 'AES128-SHA@SECLEVEL=0'],
  ['tls1_1', 'AES256-SHA@SECLEVEL=0'],
  ['tls1_2', 'AES128-SHA'],
  ['tls1_2', 'ECDHE-RSA-AES256-SHA384'],
  ['tls1_2', 'CAMELLIA128-SHA256'],
  ['tls1_2', 'ECDHE-RSA-CAMELLIA256-SHA384'],
] as const) {
  for (const encryptThenMac of [true, false]) {
    peerTest(
      `records of CBC open where the MAC is made ${encryptThenMac ? 'of what is encrypted' : 'before encryption'} (${version}, ${suite})`,
      ['openssl'],
      async (context) => {
        const { pieces, keys } = await conversation(
          context,
          [...(encryptThenMac ? [] : ['-no_etm']), '-cipher', suite],
          [`-${version}`, '-cipher', suite],
          ['one', 'two', 'three', 'four'],
        );
        assert.equal(serverHello(pieces).encryptThenMac, encryptThenMac);
        expectText(pieces, keys, SAID);
      },
    );
  }
}

peerTest('behind close_notify the connection goes on in clear', [PYTHON, 'openssl'], async (context) => {
  const directory = scratch(context, 'tls');
  const { key, certificate } = selfSigned(directory);
  const keylog = join(directory, 'keylog');
  const port = await freePort();
  const relay = await startRelay(context, port);
  const server = new Talker(context, PYTHON, [
    '-u',
    '-c',
    `import socket, ssl
listener = socket.create_server(('127.0.0.1', ${port})); print('ready')
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain('${certificate}', '${key}')
plain, _ = listener.accept()
sealed = context.wrap_socket(plain, server_side=True)
sealed.recv(100); sealed.sendall(b'200 clear from now on\\r\\n')
plain = sealed.unwrap()
plain.recv(100); plain.sendall(b'257 in clear\\r\\n'); plain.recv(100)`,
  ]);
  await server.heard('ready');
  const client = new Talker(context, PYTHON, [
    '-u',
    '-c',
    `import socket, ssl
context = ssl.create_default_context(); context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.keylog_filename = '${keylog}'; context.maximum_version = ssl.TLSVersion.TLSv1_2
plain = socket.create_connection(('127.0.0.1', ${relay.port}))
sealed = context.wrap_socket(plain)
sealed.sendall(b'CCC\\r\\n'); sealed.recv(100)
plain = sealed.unwrap()
plain.sendall(b'PWD\\r\\n'); print(plain.recv(100)); plain.close()`,
  ]);
  await client.heard('257 in clear');
  await client.finish();
  expectText(relay.connections[0] ?? [], readFileSync(keylog, 'latin1'), [
    'CCC\r\nPWD\r\n',
    '200 clear from now on\r\n257 in clear\r\n',
  ]);
});
