import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { unpackWith } from '../../testing/unpack-recorder.js';
import { tnefUnpacker } from './tnef.js';

const tnef = tnefUnpacker(DEFAULT_LIMITS);
const SIGNATURE = Buffer.from('789f3e220100', 'hex');

function attribute(level: number, id: number, data: Buffer | string): Buffer {
  const bytes = Buffer.from(data);
  const head = Buffer.alloc(9);
  head[0] = level;
  head.writeUInt32LE(id, 1);
  head.writeUInt32LE(bytes.length, 5);
  const checksum = Buffer.alloc(2);
  checksum.writeUInt16LE(bytes.reduce((sum, byte) => (sum + byte) & 0xffff, 0));
  return Buffer.concat([head, bytes, checksum]);
}
const VERSION = attribute(1, 0x00089006, Buffer.from([0, 0, 1, 0]));
const render = attribute(2, 0x00069002, Buffer.alloc(14));
const title = (name: string) => attribute(2, 0x00018010, `${name}\0`);
const data = (bytes: string) => attribute(2, 0x0006800f, bytes);
const properties = (bytes: string) => attribute(2, 0x00069005, bytes);

describe('TNEF', () => {
  it('gives out attachments under their names, whether the title comes before the data or behind', async () => {
    const bytes = [SIGNATURE, VERSION, render, title('a.txt'), data('one'), render, data('two'), title('b.txt')];
    const got = await unpackWith(tnef, Buffer.concat(bytes));
    assert.deepEqual(got.names, ['a.txt', 'b.txt']);
    assert.deepEqual(got.texts, ['one', 'two']);
    assert.deepEqual(got.said, []);
  });

  it("gives out an attachment's properties, in which objects may lie", async () => {
    const got = await unpackWith(tnef, Buffer.concat([SIGNATURE, render, title('o'), properties('object')]));
    assert.deepEqual(got.texts, ['object']);
  });

  it('says of what is cut within an attribute that it is corrupted', async () => {
    const whole = Buffer.concat([SIGNATURE, VERSION, render, title('a.txt'), data('one')]);
    for (const length of [whole.length - 3, whole.length - 6, SIGNATURE.length + 3])
      assert.deepEqual(
        (await unpackWith(tnef, whole.subarray(0, length))).said,
        ['unscannable:corrupted'],
        String(length),
      );
  });
});
