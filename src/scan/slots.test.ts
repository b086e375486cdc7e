import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from './slots.js';

test('so many are served at a time, the others in the order in which they came', async () => {
  const slots = new Slots(1, Number.POSITIVE_INFINITY);
  await slots.take();
  const served: number[] = [];
  const waiting = [1, 2].map((each) => slots.take().then(() => served.push(each)));
  await new Promise(setImmediate);
  assert.deepEqual(served, []);
  slots.giveBack();
  await waiting[0];
  assert.deepEqual(served, [1]);
  slots.giveBack();
  await waiting[1];
  slots.giveBack();
  await slots.take();
});

test('who waits too long is told, and does not stand in the way of others', async () => {
  const slots = new Slots(1, 20);
  await slots.take();
  await assert.rejects(slots.take(), /busy with other files for 20 ms/);
  const next = slots.take();
  slots.giveBack();
  await next;
});
