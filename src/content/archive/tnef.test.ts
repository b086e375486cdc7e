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

const INTERFACE = Buffer.from('0703020000000000c000000000000046', 'hex');
const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const tag = (type: number, id: number): Buffer => number(type + id * 0x10000);
const long = (id: number, value: number): Buffer => Buffer.concat([tag(0x0003, id), number(value)]);
/** Values of variable length; without any, eight bytes of a time. */
const variable = (type: number, id: number, ...values: readonly Buffer[]): Buffer =>
  Buffer.concat([
    tag(type, id),
    ...(values.length === 0 ? [Buffer.alloc(8)] : [number(values.length)]),
    ...values.flatMap((value) => [number(value.length), value, Buffer.alloc((4 - (value.length % 4)) % 4)]),
  ]);
/** By a name. */
const named = (property: Buffer): Buffer =>
  Buffer.concat([
    property.subarray(0, 4),
    Buffer.alloc(16, 1),
    number(1),
    number(6),
    Buffer.from('nm\0', 'utf16le'),
    Buffer.alloc(2),
    property.subarray(4),
  ]);
const properties = (...list: readonly Buffer[]): Buffer =>
  attribute(2, 0x00069005, Buffer.concat([number(list.length), ...list]));

describe('TNEF', () => {
  it('gives out attachments under their names, whether the title comes before the data or behind', async () => {
    const bytes = [SIGNATURE, VERSION, render, title('a.txt'), data('one'), render, data('two'), title('b.txt')];
    const got = await unpackWith(tnef, Buffer.concat(bytes));
    assert.deepEqual(got.names, ['a.txt', 'b.txt']);
    assert.deepEqual(got.texts, ['one', 'two']);
    assert.deepEqual(got.said, []);
  });

  it('gives out what lies among the properties of an attachment: data, embedded messages and objects', async () => {
    const inner = Buffer.concat([SIGNATURE, VERSION, render, title('virus.com'), data('deep')]);
    for (const [value, type] of [
      [Buffer.from('data'), 0x0102],
      [inner, 0x000d],
      [Buffer.from('d0cf11e0a1b11ae1', 'hex'), 0x000d],
    ] as const) {
      const held = type === 0x000d ? Buffer.concat([INTERFACE, value]) : value;
      const list = properties(
        long(0x3705, 5),
        variable(0x0040, 0x3007),
        variable(0x001e, 0x3704, Buffer.from('SHORT.MSG\0')),
        variable(0x001f, 0x3707, Buffer.from('a long name.msg\0', 'utf16le')),
        named(variable(0x001f, 0x8001, Buffer.from('x\0', 'utf16le'))),
        variable(0x101f, 0x3a00, Buffer.from('one\0', 'utf16le'), Buffer.from('two\0', 'utf16le')),
        variable(type, 0x3701, held),
      );
      const got = await unpackWith(tnef, Buffer.concat([SIGNATURE, render, title('T.MSG'), list]));
      assert.deepEqual(got.said, []);
      assert.deepEqual(got.names, ['T.MSG']);
      assert.deepEqual(got.children[0]!.meta.otherNames, ['SHORT.MSG', 'a long name.msg']);
      assert.ok(got.children[0]!.bytes.equals(value));
    }
    assert.deepEqual((await unpackWith(tnef, inner)).texts, ['deep']);
  });

  it('gives out the text and the page of the message', async () => {
    const list = Buffer.concat([
      variable(0x001f, 0x1000, Buffer.from('text\0', 'utf16le')),
      variable(0x0102, 0x1013, Buffer.from('<html>')),
    ]);
    const body = attribute(1, 0x00069003, Buffer.concat([number(2), list]));
    const got = await unpackWith(tnef, Buffer.concat([SIGNATURE, VERSION, attribute(1, 0x0002800c, 'old'), body]));
    assert.deepEqual(got.said, []);
    assert.deepEqual(
      got.children.map((child) => [child.meta.declaredType, child.meta.charset, child.size]),
      [
        [undefined, undefined, 3],
        [undefined, 'utf-16le', 10],
        ['text/html', undefined, 6],
      ],
    );
  });

  it('says of properties that it cannot read that they are corrupted, and gives them out as they are', async () => {
    for (const list of [
      attribute(2, 0x00069005, 'object'),
      attribute(
        2,
        0x00069005,
        Buffer.concat([number(1), variable(0x0102, 0x3701, Buffer.from('data')).subarray(0, 14)]),
      ),
      attribute(2, 0x00069005, Buffer.concat([number(1), variable(0x0099, 0x3701, Buffer.from('data'))])),
      attribute(2, 0x00069005, number(10_001)),
    ]) {
      const got = await unpackWith(tnef, Buffer.concat([SIGNATURE, render, title('o'), list]));
      assert.deepEqual(got.said, ['unscannable:corrupted']);
      assert.ok(got.children[0]!.bytes.equals(list.subarray(9, -2)));
    }
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
