import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Content } from '../../core/file.js';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { UnpackRecorder } from '../../testing/unpack-recorder.js';
import { rtfUnpacker } from './rtf.js';

const unpacker = rtfUnpacker(DEFAULT_LIMITS);

function unpacked(text: string, options = {}): { files: string[]; said: string[] } {
  const bytes = Buffer.from(text, 'latin1');
  const [first, second] = [false, true].map((spooled) => {
    const read = (at: number, length: number): Buffer => Buffer.from(bytes.subarray(at, at + length));
    const content: Content = { length: bytes.length, bytes: spooled ? undefined : bytes, read };
    const recorder = new UnpackRecorder({ kept: 1 << 24, ...options });
    if (unpacker.accepts(['unknown'], content)) void unpacker.unpack(content, recorder);
    return { files: recorder.children.map((child) => child.bytes.toString('latin1')), said: recorder.said };
  });
  assert.deepEqual(second, first);
  return first!;
}

const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');
const rtf = (object: string): string => `{\\rtf1 Hello{\\object\\objemb{\\*\\objdata ${object}}} bye 0123}`;

for (const [title, object] of [
  ['as it is', hex('an object')],
  ['in lines', hex('an object').replace(/../g, '$&\r\n')],
  ['in capitals', hex('an object').toUpperCase()],
  ['with control words between', hex('an object').replace(/.{4}/g, '$&\\bin0 \\xyz12 ')],
  ['with groups between', hex('an object').replace(/.{4}/g, '$&{\\*}')],
  ['with letters that are no digits between', hex('an object').replace(/.{4}/g, '$&ghij')],
] as const)
  test(`an object, ${title}`, () => {
    assert.deepEqual(unpacked(rtf(object)), { files: ['an object'], said: [] });
  });

test('a file within an object is given by itself as well', () => {
  const zip = 'PK\x03\x04 and more';
  assert.deepEqual(unpacked(rtf(hex(`header of the object${zip}`))).files, [`header of the object${zip}`, zip]);
});

test('several objects, one that has no end, and none', () => {
  assert.deepEqual(unpacked(`{\\rt{\\objdata ${hex('one')}}{\\objdata ${hex('two')}`).files, ['one', 'two']);
  assert.deepEqual(unpacked('{\\rtf1 nothing}').files, []);
  assert.deepEqual(unpacked(`prose about \\objdata ${hex('one')}`).files, []);
});

test('what comes out is bounded, and whatever the text is, reading ends well', () => {
  assert.equal(unpacked(rtf(hex('x'.repeat(100_000))), { bytes: 1_000 }).said.length, 1);
  assert.equal(unpacked(`{\\rtf1${`{\\objdata ${hex('y')}}`.repeat(2_000)}`).said.join(), 'unscannable:limit');
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('\\objdata', '{', '}', '\\', '4d5a', 'a', '\\bin5 ', '-1', ' '), { maxLength: 60 }),
      (words) => {
        unpacked(`{\\rtf1${words.join('')}`);
      },
    ),
  );
});
