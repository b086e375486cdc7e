import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { Spares } from '../spares.js';
import { HeldBytes } from './held-bytes.js';

/** Used pages hold what was in them. */
const spares = new Spares(100, 65_536, 65_536);

const PAGE = 65_536;
/** Places near the edges of pages, where mistakes are. */
const place = fc.oneof(
  fc.nat(300),
  fc.integer({ min: PAGE - 150, max: PAGE + 150 }),
  fc.integer({ min: 2 * PAGE - 20, max: 2 * PAGE + 20 }),
);
const move = fc.oneof(
  fc.record({
    kind: fc.constantFrom('put' as const, 'under' as const),
    at: place,
    length: fc.integer({ min: 1, max: 120 }),
    value: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ kind: fc.constant('size' as const), at: place }),
);

/** All of it, as inspection gets it. */
function told(held: HeldBytes): Buffer {
  const out: Buffer[] = [];
  held.tell({
    id: 1,
    write: (chunk, start, end) => void out.push(Buffer.from(chunk.subarray(start, end))),
    writeAt: () => assert.fail('in order'),
    gap: (length) => void out.push(Buffer.alloc(length)),
    malformed: () => {},
    end: () => {},
    abort: () => {},
  });
  return Buffer.concat(out);
}

test('what is put is what is told, read and owed, whatever comes over what', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 30 }), fc.integer({ min: 1, max: 70_000 }), (moves, most) => {
      let file: Buffer = Buffer.alloc(0);
      let owed = new Set<number>();
      let memory = 0;
      const held = new HeldBytes((page) => {
        memory += page.length;
      }, spares);
      const grow = (size: number): void => {
        if (size > file.length) file = Buffer.concat([file, Buffer.alloc(size - file.length)]);
      };
      for (const each of moves) {
        if (each.kind === 'size') {
          held.setSize(each.at);
          file = file.subarray(0, each.at);
          grow(each.at);
          owed = new Set([...owed].filter((at) => at < each.at));
          continue;
        }
        const bytes = Buffer.alloc(each.length, each.value);
        grow(each.at + each.length);
        file = Buffer.from(file);
        if (each.kind === 'put') {
          held.put(each.at, bytes, 0, each.length, true);
          bytes.copy(file, each.at);
          for (let at = each.at; at < each.at + each.length; at++) owed.add(at);
        } else {
          held.putUnder(each.at, bytes, 0, each.length);
          for (let at = each.at; at < each.at + each.length; at++) if (!owed.has(at)) file[at] = each.value;
        }
      }
      assert.equal(held.size, file.length);
      assert.ok(told(held).equals(file));
      const read = Buffer.alloc(file.length);
      const slice = held.slice(0, file.length + 10);
      assert.equal(slice.length, file.length);
      slice.copyTo(read, 0);
      assert.ok(read.equals(file));
      assert.equal(held.memory, memory);
      const server = Buffer.alloc(file.length);
      const given = new Set<number>();
      for (let next = held.takeOwed(most); next !== undefined; next = held.takeOwed(most)) {
        assert.ok(next.data.length > 0 && next.data.length <= most);
        next.data.copyTo(server, next.at);
        for (let at = next.at; at < next.at + next.data.length; at++) given.add(at);
      }
      assert.deepEqual([...given].sort(), [...owed].sort());
      for (const at of owed) assert.equal(server[at], file[at]);
      held.release();
      assert.equal(held.memory, 0);
    }),
  );
});

test('a hole of gigabytes is told as a gap, and costs no memory', () => {
  const held = new HeldBytes(() => {}, spares);
  held.put(2 ** 32, Buffer.from('x'), 0, 1, true);
  held.put(0, Buffer.from('y'), 0, 1, true);
  assert.equal(held.memory, 2 * PAGE);
  let gap = 0;
  held.tell({
    id: 1,
    write: () => {},
    writeAt: () => {},
    gap: (length) => {
      gap += length;
    },
    malformed: () => {},
    end: () => {},
    abort: () => {},
  });
  assert.ok(gap > 2 ** 31);
  assert.equal(held.stretches, 2);
});
