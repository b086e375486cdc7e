import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Collection, type Storage } from '../content/collection.js';
import { type Digested, isPending } from '../content/digest.js';
import { SlotPool } from '../content/slots.js';
import { Spool } from '../content/spool.js';
import { Arena } from '../core/arena.js';
import { KiB, MiB } from '../core/limits.js';
import { sharedArena } from '../kernels/memory.js';
import { DigestThread } from './digest-thread.js';

/** Files are longer. */
const PIECE = 128 * KiB;
const MARK = Buffer.from('a mark of our own that no file has by chance');

function digesting(
  context: TestContext,
  { slot = 2 * MiB, slots = 16 * MiB, thread = undefined as ConstructorParameters<typeof DigestThread>[2] } = {},
): Storage & { digests: DigestThread } {
  const arena = sharedArena(300);
  const digests = new DigestThread(arena, [MARK], thread);
  context.after(() => digests.close());
  const pool = new SlotPool(arena, { slot: PIECE, slots });
  const spool = new Spool(tmpdir(), 1 << 30);
  return { arena, slots: pool, spool, slotLimit: slot, digests, promised: 0, spare: { left: 0 } };
}

function patterned(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + seed * 7 + (at >> 8)) & 0xff;
  return bytes;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** What becomes of it, when it is done. */
function sealed(collection: Collection): Promise<Digested> {
  const { digest } = collection.seal();
  return isPending(digest) ? new Promise((resolve) => digest.whenDone(resolve)) : Promise.resolve(digest);
}

test('files of every size have the digest that they have, and are searched where that was worth it', async (context) => {
  const storage = digesting(context);
  for (const size of [0, 1, 4095, 4096, 65_536, 256 * KiB, 256 * KiB + 1, 1_000_000, 2 * MiB, 2 * MiB + 1, 5 * MiB]) {
    const bytes = patterned(size, size);
    const collection = new Collection(storage);
    for (let at = 0; at < size; at += 70_000) collection.append(bytes, at, Math.min(size, at + 70_000));
    const digested = await sealed(collection);
    collection.release();
    assert.deepEqual(digested, { sha256: sha256(bytes), searched: size >= 4096 }, `${size} bytes`);
  }
});

test('a literal is found wherever it lies, also where two pieces of a file meet', async (context) => {
  const storage = digesting(context);
  for (const at of [0, 256 * KiB - 1, 256 * KiB - MARK.length + 1, 256 * KiB, 700_000 - MARK.length]) {
    const bytes = patterned(700_000, 3);
    MARK.copy(bytes, at);
    const collection = new Collection(storage);
    for (let from = 0; from < bytes.length; from += 1000) collection.append(bytes, from, from + 1000);
    assert.deepEqual(await sealed(collection), { sha256: sha256(bytes), searched: false }, `at ${at}`);
    collection.release();
  }
});

test('whatever order files are written, moved, rewritten and dropped in, each has its own digest', async (context) => {
  const storage = digesting(context, { slot: MiB, slots: 4 * MiB });
  const step = fc.record({
    file: fc.nat(5),
    length: fc.integer({ min: 1, max: 400_000 }),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    what: fc.constantFrom('append', 'append', 'append', 'place', 'end', 'drop'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const open = new Map<number, { collection: Collection; bytes: Buffer }>();
      const ended: Promise<void>[] = [];
      const end = (file: number): void => {
        const { collection, bytes } = open.get(file)!;
        open.delete(file);
        ended.push(
          sealed(collection).then((digested) => {
            collection.release();
            assert.equal(digested.sha256, sha256(bytes));
            assert.ok(digested.searched || bytes.length < 4096 || bytes.length > MiB || digested.failure === undefined);
          }),
        );
      };
      for (const [index, { file, length, at, what }] of steps.entries()) {
        const one = open.get(file) ?? { collection: new Collection(storage), bytes: Buffer.alloc(0) };
        open.set(file, one);
        const chunk = patterned(length, index);
        if (what === 'append') {
          assert.equal(one.collection.append(chunk, 0, length), undefined);
          one.bytes = Buffer.concat([one.bytes, chunk]);
        } else if (what === 'place') {
          const to = Math.floor(at * one.bytes.length * 1.2);
          assert.equal(one.collection.place(to, chunk, 0, length), undefined);
          const larger = Buffer.alloc(Math.max(one.bytes.length, to + length));
          one.bytes.copy(larger);
          chunk.copy(larger, to);
          one.bytes = larger;
        } else if (what === 'end') end(file);
        else {
          one.collection.release();
          open.delete(file);
        }
      }
      for (const file of [...open.keys()]) end(file);
      await Promise.all(ended);
    }),
    { numRuns: 60 },
  );
});

test('more files than the ring has room for are all answered, in their order', async (context) => {
  const storage = digesting(context, { slot: 8 * KiB, slots: 16 * MiB });
  const order: number[] = [];
  const all: Promise<unknown>[] = [];
  for (let index = 0; index < 1900; index++) {
    const bytes = patterned(5000, index);
    const collection = new Collection(storage);
    collection.append(bytes, 0, bytes.length);
    all.push(
      sealed(collection).then((digested) => {
        collection.release();
        order.push(index);
        assert.equal(digested.sha256, sha256(bytes));
      }),
    );
  }
  await Promise.all(all);
  assert.deepEqual(order, [...order.keys()]);
});

test('a thread that was ended is not waited for: the digest is made here, of what is under way and of what comes', async (context) => {
  const storage = digesting(context);
  const [early, half, late] = [patterned(MiB, 1), patterned(600_000, 2), patterned(500_000, 3)];
  const [one, two, three] = [new Collection(storage), new Collection(storage), new Collection(storage)];
  one.append(early, 0, early.length);
  two.append(half, 0, 400_000);
  const pending = sealed(one);
  storage.digests.close();
  two.append(half, 400_000, half.length);
  three.append(late, 0, late.length);
  assert.equal((await pending).sha256, sha256(early));
  assert.deepEqual(await sealed(two), { sha256: sha256(half), searched: false });
  assert.deepEqual(await sealed(three), { sha256: sha256(late), searched: false });
});

test('so is one that never answers, or that cannot begin', async (context) => {
  const silent = {
    program: new URL('data:text/javascript,Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0)'),
    patience: 50,
  };
  const broken = { program: new URL('data:text/javascript,throw new Error()'), patience: 10_000 };
  for (const thread of [silent, broken]) {
    const storage = digesting(context, { thread });
    const bytes = patterned(100_000, 4);
    const collection = new Collection(storage);
    collection.append(bytes, 0, bytes.length);
    const pending = sealed(collection);
    if (thread === silent) assert.equal(storage.digests.next(), true);
    assert.deepEqual(await pending, { sha256: sha256(bytes), searched: false });
    assert.equal(storage.digests.alive, false);
    await sleep(0);
  }
});

test('memory of one thread has no digest thread', () => {
  assert.throws(() => new DigestThread(new Arena(1), []), /one thread/);
});
