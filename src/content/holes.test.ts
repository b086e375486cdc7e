import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Holes } from './holes.js';

test('filling the middle of a hole leaves two', () => {
  const holes = new Holes();
  holes.open(10, 20);
  holes.fill(12, 15);
  assert.equal(holes.count, 2);
  assert.equal(holes.total, 7);
  holes.fill(0, 12);
  assert.equal(holes.total, 5);
  holes.fill(15, 100);
  assert.equal(holes.count, 0);
  assert.equal(holes.total, 0);
});

test('counts what is missing as a set of positions would', () => {
  const stretch = fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 30 }));
  fc.assert(
    fc.property(fc.array(stretch), fc.array(stretch), (opens, fills) => {
      const holes = new Holes();
      const missing = new Set<number>();
      let end = 0;
      for (const [apart, length] of opens) {
        const start = end + apart + 1;
        end = start + length;
        holes.open(start, end);
        for (let at = start; at < end; at++) missing.add(at);
      }
      for (const [start, length] of fills) {
        holes.fill(start * 3, start * 3 + length);
        for (let at = start * 3; at < start * 3 + length; at++) missing.delete(at);
      }
      assert.equal(holes.total, missing.size);
    }),
  );
});
