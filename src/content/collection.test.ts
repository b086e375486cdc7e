import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arena } from '../core/arena.js';
import type { Content } from '../core/file.js';
import { Collection, type Storage } from './collection.js';
import { digestsHere, isPending } from './digest.js';
import { eachPiece, lasting } from './pieces.js';
import { SlotPool } from './slots.js';
import { Spool, SpoolFile } from './spool.js';

const KiB = 1024;

function storage(
  options: { slot?: number; piece?: number; slots?: number; spool?: number; spare?: number; directory?: string } = {},
): Storage {
  const arena = new Arena(40);
  const slot = options.slot ?? 64 * KiB;
  const piece = options.piece ?? slot;
  return {
    arena,
    slots: new SlotPool(arena, { slot: piece, slots: options.slots ?? 256 * KiB }),
    spool: new Spool(options.directory ?? tmpdir(), options.spool ?? 1 << 30),
    slotLimit: slot,
    digests: digestsHere,
    promised: 0,
    spare: { left: options.spare ?? 1 << 30 },
  };
}

function patterned(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + seed * 7 + (at >> 8)) & 0xff;
  return bytes;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function whole(content: Content): Buffer {
  const pieces: Buffer[] = [];
  eachPiece(content, (piece) => pieces.push(Buffer.from(piece)));
  return Buffer.concat(pieces);
}

/** Seals, compares content and hash with `expected`, and gives everything back. */
function sealsAs(collection: Collection, expected: Buffer): void {
  const { content, digest, failure } = collection.seal();
  assert.ok(!isPending(digest));
  const hash = digest.sha256;
  assert.equal(failure, undefined);
  assert.equal(content.length, expected.length);
  assert.ok(whole(content).equals(expected));
  assert.ok(content.read(0, expected.length + 1).equals(expected));
  assert.equal(hash, sha256(expected));
  collection.release();
}

test('is one view of the arena up to the slot limit, where pieces are as large, and a spooled file one byte beyond it', () => {
  for (const size of [64 * KiB, 64 * KiB + 1]) {
    const bytes = patterned(size);
    const collection = new Collection(storage());
    assert.equal(collection.append(bytes, 0, 1000), undefined);
    assert.equal(collection.append(bytes, 1000, size), undefined);
    assert.equal(collection.seal().content.bytes !== undefined, size === 64 * KiB);
    collection.release();
  }
});

test('spools from the first byte when every slot is in use', () => {
  const store = storage({ slots: 4 * KiB });
  const first = new Collection(store);
  first.append(patterned(3 * KiB), 0, 3 * KiB);
  const second = new Collection(store);
  const bytes = patterned(200 * KiB, 2);
  for (let at = 0; at < bytes.length; at += 1500) second.append(bytes, at, Math.min(at + 1500, bytes.length));
  sealsAs(second, bytes);
  sealsAs(first, patterned(3 * KiB));
});

test('a kernel fills the room that was reserved, in the slot and in the tail of a spooled file', () => {
  const store = storage({ slot: 128 * KiB });
  const collection = new Collection(store);
  const bytes = patterned(500 * KiB);
  for (let at = 0; at < bytes.length; at += 5000) {
    const length = Math.min(5000, bytes.length - at);
    const room = collection.reserve(length + 100);
    assert.notEqual(room, -1);
    bytes.copy(store.arena.bytes, room, at, at + length);
    collection.grew(length);
  }
  sealsAs(collection, bytes);
});

test('room is reserved in one piece: what is left of the one before stays empty', () => {
  for (const piece of [4 * KiB, 8 * KiB]) {
    const store = storage({ piece });
    const collection = new Collection(store);
    const bytes = patterned(60 * KiB);
    for (let at = 0; at < bytes.length; at += 3000) {
      const length = Math.min(3000, bytes.length - at);
      const room = collection.reserve(length);
      if (at + length > 50_000 && room === -1) {
        // The pieces have run out, a third of each being left: other bytes still find room.
        collection.append(bytes, at, at + length);
        continue;
      }
      bytes.copy(store.arena.bytes, room, at, at + length);
      collection.grew(length);
    }
    assert.equal(collection.reserve(piece + 1), -1);
    sealsAs(collection, bytes);
  }
});

test('a file in pieces is read as any other, and what was read stays', () => {
  const collection = new Collection(storage({ piece: 4 * KiB }));
  const bytes = patterned(50 * KiB);
  for (let at = 0; at < bytes.length; at += 1111) collection.append(bytes, at, Math.min(at + 1111, bytes.length));
  const { content } = collection.seal();
  assert.equal(content.bytes, undefined);
  assert.equal(content.pieces?.length, 13);
  fc.assert(
    fc.property(fc.nat(52 * KiB), fc.nat(20 * KiB), (at, length) => {
      const read = lasting(content, at, length);
      content.read(0, 10);
      assert.ok(read.equals(bytes.subarray(at, at + length)));
    }),
  );
  collection.release();
});

test('there is no room to reserve without a slot', () => {
  const store = storage({ slots: 4 * KiB });
  const first = new Collection(store);
  first.append(patterned(3 * KiB), 0, 3 * KiB);
  assert.equal(new Collection(store).reserve(10), -1);
});

test('bytes that lie in the arena are copied within it', () => {
  const store = storage();
  const at = store.arena.claim(KiB);
  const bytes = patterned(KiB);
  bytes.copy(store.arena.bytes, at);
  const collection = new Collection(store);
  collection.append(store.arena.bytes, at, at + KiB);
  collection.append(store.arena.bytes.subarray(at, at + KiB), 10, KiB);
  sealsAs(collection, Buffer.concat([bytes, bytes.subarray(10)]));
});

test('what nobody wrote is zeros, also in a slot that held another file', () => {
  const store = storage();
  const old = new Collection(store);
  old.append(Buffer.alloc(64 * KiB, 0xff), 0, 64 * KiB);
  old.release();
  const collection = new Collection(store);
  collection.place(100, Buffer.from('late'), 0, 4);
  collection.place(200, Buffer.alloc(0), 0, 0);
  sealsAs(collection, Buffer.concat([Buffer.alloc(100), Buffer.from('late'), Buffer.alloc(96)]));
});

test('pieces put at any position give the file that a plain buffer gives', () => {
  const piece = fc.record({
    at: fc.nat(300 * KiB),
    length: fc.integer({ min: 1, max: 100 * KiB }),
    append: fc.boolean(),
    seed: fc.nat(255),
  });
  const sizes = fc.record({
    slot: fc.constantFrom(4 * KiB, 64 * KiB, 256 * KiB, 400 * KiB),
    largest: fc.constantFrom(4 * KiB, 32 * KiB, 400 * KiB),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), sizes, (pieces, { slot, largest }) => {
      const collection = new Collection(storage({ slot, piece: Math.min(slot, largest), slots: 256 * KiB }));
      let model: Buffer = Buffer.alloc(0);
      for (const { at, length, append, seed } of pieces) {
        const bytes = patterned(length, seed);
        const position = append ? model.length : at;
        assert.equal(collection.place(position, bytes, 0, length), undefined);
        const next = Buffer.alloc(Math.max(model.length, position + length));
        model.copy(next);
        bytes.copy(next, position);
        model = next;
      }
      sealsAs(collection, model);
    }),
    { numRuns: 150 },
  );
});

test('the spool takes bytes up to its limit and not one more', () => {
  const store = storage({ slot: 4 * KiB, spool: 100 * KiB });
  const bytes = patterned(100 * KiB);
  const fits = new Collection(store);
  assert.equal(fits.append(bytes, 0, bytes.length), undefined);
  const over = new Collection(store);
  over.append(bytes, 0, 4 * KiB);
  assert.deepEqual(over.append(bytes, 0, 1), { reason: 'limit', detail: 'spool' });
  sealsAs(over, bytes.subarray(0, 4 * KiB));
  sealsAs(fits, bytes);
  const again = new Collection(store);
  assert.equal(again.append(bytes, 0, bytes.length), undefined, 'room is given back');
  again.release();
});

test('a spool that cannot be opened is a failure, and what memory holds stays readable', () => {
  const store = storage({ slot: 4 * KiB, directory: '/nonexistent/spool' });
  const collection = new Collection(store);
  const bytes = patterned(5 * KiB);
  assert.equal(collection.append(bytes, 0, 4 * KiB), undefined);
  const failure = collection.append(bytes, 4 * KiB, 5 * KiB);
  assert.equal(failure?.reason, 'engine-error');
  assert.match(failure.detail, /^spool: ENOENT/);
  sealsAs(collection, bytes.subarray(0, 4 * KiB));
});

test('a full disk is a failure, and what memory holds stays readable', { skip: !existsSync('/dev/full') }, () => {
  class FullDisk extends Spool {
    override open(): SpoolFile {
      return new SpoolFile(openSync('/dev/full', 'r+'), this);
    }
  }
  const store = { ...storage({ slot: 4 * KiB }), spool: new FullDisk('', 1 << 30) };
  const collection = new Collection(store);
  const bytes = patterned(5 * KiB);
  collection.append(bytes, 0, 4 * KiB);
  const failure = collection.append(bytes, 4 * KiB, 5 * KiB);
  assert.equal(failure?.reason, 'engine-error');
  assert.match(failure.detail, /^spool: ENOSPC/);
  assert.equal(collection.reserve(KiB), -1);
  sealsAs(collection, bytes.subarray(0, 4 * KiB));
});

test('spool files have no name', () => {
  const directory = mkdtempSync(join(tmpdir(), 'spool-test-'));
  try {
    const collection = new Collection(storage({ slot: 4 * KiB, directory }));
    collection.append(patterned(10 * KiB), 0, 10 * KiB);
    assert.deepEqual(readdirSync(directory), []);
    sealsAs(collection, patterned(10 * KiB));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('what is only kept in case it is needed takes no more than is to spare, and gives it back', () => {
  const store = storage({ spare: 3000 });
  const first = new Collection(store, true);
  assert.equal(first.append(patterned(2000), 0, 2000), undefined);
  const second = new Collection(store, true);
  assert.deepEqual(second.append(patterned(2000), 0, 2000), { reason: 'limit', detail: 'readingMemory' });
  second.release();
  assert.equal(store.spare.left, 1000);
  first.release();
  assert.equal(store.spare.left, 3000);
  const third = new Collection(store, true);
  assert.equal(third.append(patterned(2000), 0, 2000), undefined);
  third.release();
});
