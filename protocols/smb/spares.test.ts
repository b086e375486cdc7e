import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Spares } from './spares.js';

const KiB = 1024;

test('what was given is taken again, whole or in part, and is whole when it comes back', () => {
  const spares = new Spares(2, 64 * KiB, 1024 * KiB);
  const first = spares.take(200 * KiB);
  spares.give(first);
  const second = spares.take(100 * KiB);
  assert.equal(second.buffer, first.buffer);
  assert.equal(second.length, 100 * KiB);
  spares.give(second);
  assert.equal(spares.take(200 * KiB).buffer, first.buffer);
});

test('small buffers are not kept: their memory is shared with others', () => {
  const spares = new Spares(2, 64 * KiB, 1024 * KiB);
  for (let count = 0; count < 10; count++) spares.give(spares.take(100));
  const large = spares.take(64 * KiB);
  assert.equal(large.length, 64 * KiB);
  assert.equal(large.buffer.byteLength, 64 * KiB);
});

test('no more are kept than it says, and none that are larger', () => {
  const spares = new Spares(2, 64 * KiB, 128 * KiB);
  const taken = [64, 64, 64, 200].map((size) => spares.take(size * KiB));
  for (const each of taken) spares.give(each);
  const again = [64, 64, 64].map((size) => spares.take(size * KiB).buffer);
  assert.equal(again.filter((buffer) => taken.some((each) => each.buffer === buffer)).length, 2);
});
