import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StuffedDots } from './stuffed-dots.js';

test('counts the dots that stand before a place of the file', () => {
  const dots = new StuffedDots(10);
  for (const at of [0, 5, 5, 9]) dots.note(at);
  assert.deepEqual(
    [0, 1, 5, 6, 9, 10].map((at) => dots.before(at)),
    [0, 1, 1, 3, 3, 4],
  );
});

test('one dot more than the limit, and no place is known any longer', () => {
  const dots = new StuffedDots(2);
  dots.note(1);
  dots.note(2);
  assert.equal(dots.tooMany, false);
  dots.note(3);
  assert.equal(dots.tooMany, true);
});
