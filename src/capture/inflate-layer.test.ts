import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { constants, createDeflateRaw, deflateRawSync, deflateSync } from 'node:zlib';
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import { DEFAULT_LIMITS, KiB } from '../core/limits.js';
import { InflateLayer } from './inflate-layer.js';

function layerOf(kind: 'deflate' | 'zlib', limits = DEFAULT_LIMITS) {
  const text: [string, string] = ['', ''];
  const said: string[] = [];
  const layer: InflateLayer = new InflateLayer(
    kind,
    {
      receive(side: Side, chunk: Buffer) {
        text[side] += chunk.toString('latin1');
      },
      gap: (side, length) => said.push(`gap ${side} ${length}`),
      opaque: (reason) => said.push(`opaque ${reason}`),
    },
    {
      tls() {},
      anomaly: (code, side) => said.push(`${code} ${side}`),
      opaque: (reason) => said.push(`not read: ${reason}`),
    },
    limits,
  );
  return { layer, text, said };
}

/** A stream as COMPRESS makes it: flushed behind each piece, and never ended. */
async function flushed(...pieces: string[]): Promise<Buffer> {
  const out: Buffer[] = [];
  const deflate = createDeflateRaw();
  deflate.on('data', (chunk: Buffer) => out.push(chunk));
  for (const piece of pieces) {
    deflate.write(piece);
    await new Promise<void>((done) => deflate.flush(constants.Z_SYNC_FLUSH, done));
  }
  return Buffer.concat(out);
}

test('each side is a stream of its own, read in single bytes as in one piece', async () => {
  const [question, answer] = [await flushed('a1 NOOP\r\n', 'a2 NOOP\r\n'), await flushed('a1 OK\r\n', 'a2 OK\r\n')];
  const { layer, text, said } = layerOf('deflate');
  for (const byte of question) layer.receive(CLIENT, Buffer.of(byte));
  layer.receive(SERVER, answer);
  assert.deepEqual(text, ['a1 NOOP\r\na2 NOOP\r\n', 'a1 OK\r\na2 OK\r\n']);
  assert.deepEqual(said, []);
  assert.equal(layer.position(CLIENT), question.length);
});

test('zlib streams have a header and a checksum, and nothing behind it', () => {
  const stream = deflateSync('hello');
  const { layer, text, said } = layerOf('zlib');
  for (const byte of stream) layer.receive(SERVER, Buffer.of(byte));
  assert.equal(text[SERVER], 'hello');
  assert.deepEqual(said, []);
  layer.receive(SERVER, Buffer.of(0));
  assert.deepEqual(said, ['inflate-damaged 1', 'opaque desync']);
});

test('what is no compressed stream, or goes on behind its end, is read no further', () => {
  const cases: ['deflate' | 'zlib', Buffer][] = [
    ['deflate', Buffer.from('a1 OK done\r\n')],
    ['zlib', Buffer.from('150 data\r\n')],
    ['deflate', Buffer.concat([deflateRawSync('x'), Buffer.from('y')])],
  ];
  for (const [kind, bytes] of cases) {
    const { layer, said } = layerOf(kind);
    layer.receive(SERVER, bytes);
    layer.receive(SERVER, bytes);
    assert.deepEqual(said, ['inflate-damaged 1', 'opaque desync'], bytes.toString('latin1'));
  }
});

test('what comes behind missing bytes is not guessed at; the other side is read on', async () => {
  const { layer, text, said } = layerOf('deflate');
  layer.gap(SERVER, 10);
  layer.receive(CLIENT, await flushed('a1 NOOP'));
  assert.deepEqual(said, ['inflate-gap 1', 'gap 1 0']);
  layer.receive(SERVER, await flushed('text'));
  assert.deepEqual(said, ['inflate-gap 1', 'gap 1 0', 'not read: desync', 'gap 1 0']);
  assert.deepEqual(text, ['a1 NOOP', '']);
});

test('output out of proportion stops the stream', () => {
  const limits = { ...DEFAULT_LIMITS, ratioFloor: 128 * KiB, unpackRatio: 2 };
  const { layer, text, said } = layerOf('deflate', limits);
  layer.receive(CLIENT, deflateRawSync(Buffer.alloc(1024 * KiB)));
  assert.deepEqual(said, ['inflate-ratio 0', 'opaque desync']);
  assert.ok(text[CLIENT].length <= 128 * KiB);
});
