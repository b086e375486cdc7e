// A strict client: against something at the address that is no clamd, or not a healthy one.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Content, FileInfo, Finding } from '../../core/file.js';
import { clamdAddressText, parseClamdAddress } from './address.js';
import { checkClamd, createClamdScanner } from './clamd-scanner.js';
import { findingsOf } from './verdict.js';

const LIMITS = { scanTime: 2_000, clamdConnections: 2 };
const FILE: FileInfo = {
  id: 1,
  meta: { name: 'a', direction: 'upload' },
  parent: undefined,
  depth: 0,
  types: ['unknown'],
  size: 3,
  sha256: undefined,
  state: 'complete',
  encrypted: false,
};

function content(bytes: Buffer): Content {
  return { length: bytes.length, bytes, read: (at, length) => bytes.subarray(at, at + length) };
}

/** What a stand-in heard of one connection. */
interface Heard {
  readonly command: string;
  /** The stream's bytes, when it came to its end. */
  readonly stream: Buffer | undefined;
}

/** Takes a stream apart as clamd does. */
function heard(bytes: Buffer): Heard {
  const nul = bytes.indexOf(0);
  const command = bytes.toString('latin1', 0, Math.max(0, nul));
  const parts: Buffer[] = [];
  for (let at = nul + 1; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (length === 0) return { command, stream: Buffer.concat(parts) };
    parts.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { command, stream: undefined };
}

/** Something that listens, and does this whenever bytes have come. */
async function standIn(context: TestContext, act: (heard: Heard, socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      act(heard(bytes), socket);
    });
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

/** Answers a whole stream with these bytes, and closes. */
function answering(context: TestContext, answer: string): Promise<number> {
  return standIn(context, ({ stream }, socket) => {
    if (stream !== undefined) socket.end(answer, 'latin1');
  });
}

async function scan(port: number, bytes = Buffer.from('abc'), scanTime = LIMITS.scanTime): Promise<readonly Finding[]> {
  const scanner = createClamdScanner({ host: '127.0.0.1', port }, { ...LIMITS, scanTime });
  return scanner.scan(FILE, content(bytes));
}

test('an address is a host and port, or the path of a socket', () => {
  assert.deepEqual(parseClamdAddress('127.0.0.1:3310'), { host: '127.0.0.1', port: 3310 });
  assert.deepEqual(parseClamdAddress('[::1]:3310'), { host: '::1', port: 3310 });
  assert.deepEqual(parseClamdAddress('/run/clamd.ctl'), { path: '/run/clamd.ctl' });
  for (const wrong of ['', 'host', 'host:0', 'host:65536', 'host:x', 'a b:1', '::1:3310'])
    assert.equal(parseClamdAddress(wrong), undefined, wrong);
  assert.equal(clamdAddressText({ host: '::1', port: 3310 }), '[::1]:3310');
});

test('only an exact OK is clean; heuristics that say clamd did not look are no infection', () => {
  assert.deepEqual(findingsOf('stream: OK'), []);
  assert.deepEqual(findingsOf('stream: Win.Test.EICAR_HDB-1 FOUND'), [
    { kind: 'infected', virus: 'Win.Test.EICAR_HDB-1', virusId: 0, dtype: 'av-engine', by: 'clamd' },
  ]);
  const limit = findingsOf('stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND');
  assert.deepEqual(
    limit.map((finding) => finding.kind === 'unscannable' && finding.reason),
    ['limit'],
  );
  const locked = findingsOf('stream: Heuristics.Encrypted.Zip FOUND');
  assert.deepEqual(
    locked.map((finding) => finding.kind === 'unscannable' && finding.reason),
    ['encrypted'],
  );
  for (const odd of [
    ...['', 'OK', 'stream: ok', 'stream: OK ', ' stream: OK', 'stream: foo: OK', 'INSTREAM: OK', 'stream: FOUND'],
    ...['stream: (null) FOUND extra', 'stream: a b FOUND', 'stream: "x" FOUND', 'stream: x ERROR', 'UNKNOWN COMMAND'],
    'INSTREAM size limit exceeded. ERROR',
    "stream: Can't allocate memory ERROR",
  ])
    assert.throws(() => findingsOf(odd), /gave no verdict/, odd);
});

test('the whole file is sent, in pieces, with a length of zero behind the last', async (context) => {
  const sent: Heard[] = [];
  const port = await standIn(context, (all, socket) => {
    if (all.stream === undefined) return;
    sent.push(all);
    socket.end('stream: OK\0');
  });
  const bytes = Buffer.alloc(2_500_000, 'xyz');
  assert.deepEqual(await scan(port, bytes), []);
  assert.deepEqual(await scan(port, Buffer.alloc(0)), []);
  assert.equal(sent[0]?.command, 'zINSTREAM');
  assert.ok(sent[0]?.stream?.equals(bytes) === true);
  assert.equal(sent[1]?.stream?.length, 0);
});

for (const [what, answer, pattern] of [
  ['no answer', '', /closed without an answer/],
  ['an answer without an end', 'stream: OK', /closed within its answer/],
  ['an answer that ends in a line feed', 'COMMAND READ TIMED OUT\n', /closed within its answer/],
  ['two answers, the last of them clean', 'stream: X FOUND\0stream: OK\0', /more than one answer/],
  ['an error', 'INSTREAM size limit exceeded. ERROR\0', /no verdict/],
  ['megabytes of text', `stream: ${'x'.repeat(1_000_000)}`, /has no end|closed within/],
] as const) {
  test(`${what} is no verdict`, async (context) => {
    await assert.rejects(scan(await answering(context, answer)), pattern);
  });
}

test('an OK before the last byte was sent is no verdict', async (context) => {
  const port = await standIn(context, (_heard, socket) => socket.end('stream: OK\0'));
  await assert.rejects(scan(port, Buffer.alloc(64_000_000)), /answered before it had everything|EPIPE|ECONNRESET/);
});

test('silence is no verdict once the deadline is past, whether or not the file is taken', async (context) => {
  const silent = await standIn(context, () => {});
  await assert.rejects(scan(silent, Buffer.from('abc'), 50), /no answer within 50 ms/);
  const deaf = await standIn(context, (_heard, socket) => socket.pause());
  await assert.rejects(scan(deaf, Buffer.alloc(64_000_000), 50), /no answer within 50 ms/);
});

test('nobody at the address is no verdict', async (context) => {
  const port = await standIn(context, () => {});
  const scanner = createClamdScanner({ path: `/nonexistent/${port}` }, LIMITS);
  await assert.rejects(Promise.resolve(scanner.scan(FILE, content(Buffer.from('a')))), /ENOENT/);
});

test('more files than connections wait for their turn', async (context) => {
  let now = 0;
  let most = 0;
  const port = await standIn(context, ({ stream }, socket) => {
    if (stream === undefined) return;
    most = Math.max(most, ++now);
    setImmediate(() => {
      now--;
      socket.end('stream: OK\0');
    });
  });
  const scanner = createClamdScanner({ host: '127.0.0.1', port }, LIMITS);
  const all = await Promise.all(Array.from({ length: 20 }, () => scanner.scan(FILE, content(Buffer.from('abc')))));
  assert.ok(all.every((findings) => findings.length === 0));
  assert.ok(most <= LIMITS.clamdConnections, `${most} at a time`);
});

test('a check says what is not a clamd, and what of a clamd makes its word worth less', async (context) => {
  const clamd = (answer: string) =>
    standIn(context, ({ command, stream }, socket) => {
      if (command === 'zPING') socket.end('PONG\0');
      else if (stream !== undefined) socket.end(answer);
    });
  const at = async (answer: string) => ({ host: '127.0.0.1', port: await clamd(answer) });
  assert.deepEqual(await checkClamd(await at('stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\0'), LIMITS), []);
  assert.match((await checkClamd(await at('stream: OK\0'), LIMITS)).join(), /AlertExceedsMax yes/);
  const other = await standIn(context, (_heard, socket) => socket.end('220 hello\0'));
  await assert.rejects(checkClamd({ host: '127.0.0.1', port: other }, LIMITS), /not a clamd/);
});
