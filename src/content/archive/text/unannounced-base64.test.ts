import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { Content } from '../../../core/file.js';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { UnpackRecorder } from '../../../testing/unpack-recorder.js';
import { unannouncedBase64Unpacker } from './unannounced-base64.js';

const unpacker = unannouncedBase64Unpacker(DEFAULT_LIMITS);
const LONG = 'a text that is long enough to be worth decoding, which a greeting is not';
const B64 = Buffer.from(LONG).toString('base64');

/** As a spool file is: each read is valid until the next. */
function spooled(bytes: Buffer): Content {
  const window = Buffer.alloc(bytes.length);
  return {
    length: bytes.length,
    bytes: undefined,
    read(at, length) {
      window.fill(0);
      bytes.copy(window, 0, at, Math.min(bytes.length, at + length));
      return window.subarray(0, Math.max(0, Math.min(length, bytes.length - at)));
    },
  };
}

function decoded(text: string): string[] {
  const bytes = Buffer.from(text, 'latin1');
  const [first, second] = [
    { length: bytes.length, bytes, read: (at: number, length: number) => bytes.subarray(at, at + length) },
    spooled(bytes),
  ].map((content) => {
    if (!unpacker.accepts(['unknown'], content)) return [];
    const recorder = new UnpackRecorder({ files: 20_000, kept: 1 << 23 });
    void unpacker.unpack(content, recorder);
    assert.deepEqual(recorder.said, []);
    return recorder.children.map((file) => file.bytes.toString('latin1'));
  });
  assert.deepEqual(second, first);
  return first!;
}

for (const [title, text, expected] of [
  ['alone, in one line', B64, [LONG]],
  ['among other text', `Dear all,\r\n\r\n${B64}\r\nbye\r\n`, [LONG]],
  ['in lines, with empty ones between', B64.replace(/.{20}/g, '$&\n\n'), [LONG]],
  ['two, each with padding', `${B64}=\r\n${B64}=\r\n`.replace('==', '='), [LONG, LONG]],
  ['a word and short lines are none', 'hello\r\nthere\r\nQUJD\r\n', []],
  ['a line with a blank is none', `${B64.slice(0, 40)} ${B64.slice(40)}\r\n`, []],
  ['nor is what has a NUL in front', `some bytes\0\n${B64}\n`, []],
] as const)
  test(`base64 in a text: ${title}`, () => {
    assert.deepEqual(decoded(text), expected);
  });

test('a stretch longer than a piece is decoded whole', () => {
  const large = 'x'.repeat(3_000_000);
  const lines = Buffer.from(large).toString('base64').replace(/.{75}/g, '$&\r\n');
  assert.deepEqual(decoded(lines), [large]);
});

test('too many stretches are a limit', () => {
  const bytes = Buffer.from(`${B64}\n-\n`.repeat(10_001));
  const content = {
    length: bytes.length,
    bytes,
    read: (at: number, length: number) => bytes.subarray(at, at + length),
  };
  const recorder = new UnpackRecorder({ files: 20_000, kept: 1 << 23 });
  assert.ok(unpacker.accepts(['unknown'], content));
  void unpacker.unpack(content, recorder);
  assert.deepEqual(recorder.said, ['unscannable:limit']);
});
