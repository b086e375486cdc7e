import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { EICAR, gzipOf, tarOf, zipOf } from '../../testing/archive-bytes.js';
import { contentOf, type RecorderOptions, UnpackRecorder } from '../../testing/unpack-recorder.js';
import { identify } from '../types/identify.js';
import { createUnpackers } from './unpackers.js';

const made = createUnpackers({ limits: DEFAULT_LIMITS });
after(() => made.close());

/** Takes everything apart that comes out of `bytes`, as deep as the unpackers go; what is left, and what was said on the way. */
async function unpackAll(
  bytes: Buffer,
  options: RecorderOptions = {},
): Promise<{ leaves: Buffer[]; said: string[]; depth: number }> {
  const leaves: Buffer[] = [];
  const said: string[] = [];
  let depth = 0;
  const open = async (file: Buffer, nesting: number): Promise<void> => {
    const content = contentOf(file);
    const { types } = identify(content, undefined);
    const unpacker = made.unpackers.find((one) => one.accepts(types, content));
    if (unpacker === undefined) {
      leaves.push(file);
      return;
    }
    depth = Math.max(depth, nesting);
    const recorder = new UnpackRecorder({ ...options, nesting });
    await unpacker.unpack(content, recorder);
    said.push(...recorder.said);
    for (const child of recorder.children) await open(child.bytes, nesting + 1);
  };
  await open(bytes, 0);
  return { leaves, said, depth };
}

describe('all unpackers', () => {
  it('ARC-043 takes a polyglot apart in every way', async () => {
    const got = await unpackAll(Buffer.concat([gzipOf('hello'), zipOf([{ name: 'bad.com', data: EICAR }])]));
    assert.ok(got.leaves.some((leaf) => leaf.equals(EICAR)));
    assert.ok(got.leaves.some((leaf) => leaf.toString() === 'hello'));
  });

  it('answers at once where no child is needed', () => {
    const content = contentOf(tarOf({ name: 'a', data: 'b' }));
    const unpacker = made.unpackers.find((one) => one.accepts(['tar'], content));
    assert.equal(unpacker?.unpack(content, new UnpackRecorder()), undefined);
  });

  it('BMB-006 finds what lies twelve containers deep and says of the thirteenth that it is nested', async () => {
    const wrap = (layers: number): Buffer => {
      let bytes: Buffer = EICAR;
      for (let i = 0; i < layers; i++)
        bytes = [zipOf([{ name: 'x', data: bytes }]), gzipOf(bytes), tarOf({ name: 'x', data: bytes })][i % 3]!;
      return bytes;
    };
    const deep = await unpackAll(wrap(12));
    assert.deepEqual(deep.said, []);
    assert.deepEqual(deep.leaves, [EICAR]);
    for (const layers of [13, 30]) {
      const deeper = await unpackAll(wrap(layers));
      assert.deepEqual(deeper.said, ['unscannable:nested'], `${layers}`);
      assert.deepEqual(deeper.leaves, []);
    }
  });

  it('BMB-002 stops zips in zips at the depth, not at their end', async () => {
    let bytes: Buffer = zipOf([{ name: 'x', data: 'leaf' }]);
    for (let i = 0; i < 20; i++) bytes = zipOf([{ name: 'a', data: bytes }]);
    const got = await unpackAll(bytes);
    assert.deepEqual(got.said, ['unscannable:nested']);
    assert.equal(got.depth, DEFAULT_LIMITS.nesting);
  });
});
