import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arena } from '../core/arena.js';
import { type Slot, SlotPool } from './slots.js';

const KiB = 1024;

/** Four stretches of 64 KiB. */
function pool(): { slots: SlotPool; arena: Arena } {
  const arena = new Arena(5);
  return { slots: new SlotPool(arena, { slot: 64 * KiB, slots: 256 * KiB }), arena };
}

function opened(slots: SlotPool, used = 0): Slot {
  const slot = slots.open();
  assert.ok(slot !== undefined);
  slot.used = used;
  return slot;
}

test('a new slot is a whole stretch', () => {
  const { slots } = pool();
  assert.equal(opened(slots, 10).room, 64 * KiB);
});

test('what was freed last is used first', () => {
  const { slots } = pool();
  const first = opened(slots);
  const second = opened(slots);
  slots.close(first);
  slots.close(second);
  assert.equal(opened(slots).at, second.at);
});

test('squeezes the unused halves of open slots when the stretches have run out', () => {
  const { slots } = pool();
  const whole = [opened(slots, 10), opened(slots, 40 * KiB), opened(slots, 40 * KiB), opened(slots, 40 * KiB)];
  const half = opened(slots, 10);
  assert.equal(half.room, 32 * KiB);
  assert.equal(half.at, whole[0]!.at + 32 * KiB);
  assert.equal(whole[0]!.room, 32 * KiB);
  assert.equal(opened(slots).room, 16 * KiB);
});

test('no slot when every byte is in use, and all of it again when all are closed', () => {
  const { slots } = pool();
  const all: Slot[] = [];
  for (let slot = slots.open(); slot !== undefined; slot = slots.open()) {
    slot.used = 1;
    all.push(slot);
  }
  assert.equal(all.length, 64, 'one a page');
  for (const slot of all) slots.close(slot);
  for (let stretch = 0; stretch < 4; stretch++) assert.equal(opened(slots, 64 * KiB).room, 64 * KiB);
});

test('a pool that has less than one page holds nothing', () => {
  assert.equal(new SlotPool(new Arena(1), { slot: 65_536, slots: 4095 }).open(), undefined);
});

test('slots never overlap and keep their bytes, whatever is opened, filled, shrunk and closed', () => {
  const operation = fc.record({
    kind: fc.constantFrom('open', 'fill', 'shrink', 'close'),
    which: fc.nat(30),
    size: fc.integer({ min: 1, max: 64 * KiB }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const { slots, arena } = pool();
      const open: { slot: Slot; mark: number }[] = [];
      let mark = 0;
      for (const { kind, which, size } of operations) {
        const chosen = open[which % Math.max(1, open.length)];
        if (kind === 'open') {
          const slot = slots.open();
          if (slot === undefined) continue;
          mark = (mark % 255) + 1;
          slot.used = Math.min(size, slot.room);
          arena.bytes.fill(mark, slot.at, slot.at + slot.used);
          open.push({ slot, mark });
        } else if (chosen === undefined) continue;
        else if (kind === 'fill') {
          if (size > chosen.slot.room || size <= chosen.slot.used) continue;
          arena.bytes.fill(chosen.mark, chosen.slot.at + chosen.slot.used, chosen.slot.at + size);
          chosen.slot.used = size;
        } else if (kind === 'shrink') {
          chosen.slot.used = Math.min(chosen.slot.used, size);
          slots.shrink(chosen.slot, chosen.slot.used);
        } else {
          slots.close(chosen.slot);
          open.splice(open.indexOf(chosen), 1);
        }
      }
      const spans = open.map(({ slot }) => [slot.at, slot.at + slot.room] as const).sort((a, b) => a[0] - b[0]);
      for (let index = 1; index < spans.length; index++) assert.ok(spans[index - 1]![1] <= spans[index]![0]);
      for (const { slot, mark: expected } of open) {
        assert.ok(slot.used <= slot.room);
        assert.ok(arena.bytes.subarray(slot.at, slot.at + slot.used).every((byte) => byte === expected));
      }
      for (const { slot } of open) slots.close(slot);
      for (let stretch = 0; stretch < 4; stretch++) assert.equal(opened(slots, 64 * KiB).room, 64 * KiB);
    }),
    { numRuns: 200 },
  );
});
