import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { EICAR, paxRecord, TAR_END, tarMembers, tarOf } from '../../testing/archive-bytes.js';
import { unpackWith } from '../../testing/unpack-recorder.js';
import { tarUnpacker } from './tar.js';

const tar = tarUnpacker(DEFAULT_LIMITS);
const eicar = EICAR.toString();
const bad = { name: 'bad.com', data: EICAR };
const good = { name: 'good.txt', data: 'hello' };

async function found(bytes: Buffer, code?: string): Promise<void> {
  const got = await unpackWith(tar, bytes);
  assert.ok(
    got.texts.some((text) => text.startsWith(eicar)),
    `not found; ${got.said.join()}`,
  );
  if (code !== undefined) assert.ok(got.said.includes(code), got.said.join());
}

describe('tar', () => {
  it('gives files out, and no directories or links', async () => {
    const got = await unpackWith(
      tar,
      tarOf({ name: 'd/', type: '5' }, good, { name: 'ln', type: '2' }, { ...bad, type: '\0' }, { name: 'empty' }),
    );
    assert.deepEqual(got.names, ['good.txt', 'bad.com', 'empty']);
    assert.deepEqual(got.texts, ['hello', eicar, '']);
    assert.deepEqual(got.said, []);
  });

  it('reads V7, the prefix of ustar, GNU long names and pax names', async () => {
    assert.deepEqual((await unpackWith(tar, tarOf({ ...bad, v7: true }))).names, ['bad.com']);
    assert.deepEqual((await unpackWith(tar, tarOf({ ...bad, prefix: 'a/b' }))).names, ['a/b/bad.com']);
    const long = 'x/'.repeat(100);
    const gnu = tarOf({ name: '././@LongLink', type: 'L', data: `${long}é\0`, gnu: true }, { ...bad, gnu: true });
    assert.deepEqual((await unpackWith(tar, gnu)).names, [`${long}é`]);
    const pax = tarOf({ type: 'x', data: paxRecord('mtime', '1.5') + paxRecord('path', `${long}é`) }, bad);
    assert.deepEqual((await unpackWith(tar, pax)).names, [`${long}é`]);
    assert.deepEqual((await unpackWith(tar, pax)).said, []);
  });

  it('takes an archive without an end, and one with much padding', async () => {
    assert.deepEqual((await unpackWith(tar, tarMembers(bad))).said, []);
    assert.deepEqual((await unpackWith(tar, Buffer.concat([tarOf(bad), Buffer.alloc(10_240)]))).said, []);
  });

  it('ARC-022 takes a name as mere text', async () => {
    await found(tarOf({ ...bad, name: '/abs' }));
    await found(tarOf({ ...bad, name: '../../x' }), 'malformed:tar-name-traversal');
    await found(tarOf({ name: 'ln', type: '2' }, { ...bad, name: 'ln/passwd' }));
  });

  it('ARC-030 walks on both ways when a pax size precedes a long name', async () => {
    // To some readers the size is that of the long name, and the hidden header behind it is the next member.
    const bytes = tarOf(
      { type: 'x', data: paxRecord('size', '1024') },
      { name: '././@LongLink', type: 'L', data: 'decoy\0', gnu: true },
      { name: 'decoy', data: Buffer.concat([tarMembers(bad).subarray(0, 1024)]) },
    );
    await found(bytes, 'malformed:tar-pax-before-long-name');
  });

  it('ARC-031 walks on both ways when the sizes differ', async () => {
    const inner = tarMembers(bad);
    await found(
      tarOf({ type: 'x', data: paxRecord('size', `${inner.length}`) }, { name: 'in', data: inner, size: 0 }),
      'malformed:tar-sizes-differ',
    );
    await found(
      tarOf({ type: 'x', data: paxRecord('size', '0') }, { name: 'in', data: inner }),
      'malformed:tar-sizes-differ',
    );
  });

  it('ARC-032 names a malformed pax record', async () => {
    for (const record of ['99 path=x\n', '0 path=x\n', 'path=x\n', '9 path=xy\n', '-8 path=x\n', '10 size=-1\n'])
      await found(tarOf({ type: 'x', data: record }, bad), 'malformed:tar-pax-record');
  });

  it('ARC-033 does not believe a size of 8 GB in base 256', async () => {
    const size = Buffer.from('800000000000000200000000', 'hex');
    const got = await unpackWith(tar, tarOf({ ...bad, size }));
    assert.deepEqual(got.said, ['unscannable:corrupted']);
    assert.equal(got.children[0]!.state, 'reset');
    assert.ok(got.texts[0]!.startsWith(eicar));
    const negative = Buffer.from('ffffffffffffffffffffffff', 'hex');
    assert.ok((await unpackWith(tar, tarOf({ ...bad, size: negative }))).said.includes('unscannable:corrupted'));
  });

  it('ARC-034 goes on behind the end', async () => {
    await found(Buffer.concat([tarOf(good), tarOf(bad)]), 'malformed:tar-data-after-end');
    await found(Buffer.concat([tarMembers(good), TAR_END.subarray(512), tarOf(bad)]), 'malformed:tar-zero-block');
  });

  it('ARC-035 goes on behind a bad checksum, and unpacks unknown types and links with data', async () => {
    await found(tarOf({ ...good, badChecksum: true }, bad), 'malformed:tar-checksum');
    await found(tarOf({ ...bad, type: 'q' }), 'malformed:tar-type');
    await found(tarOf({ ...bad, type: '2' }), 'malformed:tar-link-with-data');
    await found(tarOf({ name: 'ln', type: '1', size: 2048 }, bad), 'malformed:tar-link-with-data');
    await found(tarOf({ ...bad, type: 'S', gnu: true }), 'unscannable:unhandled');
    await found(tarOf({ ...bad, type: 'M', gnu: true }), 'unscannable:multipart');
  });

  it('names a member that is cut short, and gives out what there is', async () => {
    const got = await unpackWith(tar, tarMembers(bad).subarray(0, 512 + 10));
    assert.deepEqual(got.said, ['unscannable:corrupted']);
    assert.equal(got.texts[0], eicar.slice(0, 10));
  });

  it('takes an extended header of 1 MiB and refuses one byte more', async () => {
    const fits = { name: 'L', type: 'L', data: Buffer.alloc(1024 * 1024, 'n'), gnu: true };
    assert.deepEqual((await unpackWith(tar, tarOf(fits, bad))).said, []);
    const over = await unpackWith(tar, tarOf({ ...fits, data: Buffer.alloc(1024 * 1024 + 1, 'n') }, bad));
    assert.ok(over.said.includes('unscannable:limit'));
  });

  it('BMB-005 stops at more files than may be unpacked', async () => {
    const members = Array.from({ length: 11 }, (_, i) => ({ name: `${i}` }));
    assert.deepEqual((await unpackWith(tar, tarOf(...members), { files: 11 })).said, []);
    const got = await unpackWith(tar, tarOf(...members), { files: 10 });
    assert.deepEqual(got.said, ['unscannable:limit']);
    assert.equal(got.children.length, 10);
  });

  it('stops at the byte, depth and time limits', async () => {
    assert.deepEqual((await unpackWith(tar, tarOf(bad), { bytes: 68 })).said, []);
    assert.deepEqual((await unpackWith(tar, tarOf(bad), { bytes: 67 })).said, ['unscannable:uncompressed-oversize']);
    assert.deepEqual((await unpackWith(tar, tarOf(bad), { nesting: 12 })).said, ['unscannable:nested']);
    assert.deepEqual((await unpackWith(tar, tarOf(good, bad), { time: 10, tick: 4 })).said, ['unscannable:timeout']);
  });

  it('never throws or runs on, whatever byte is changed or wherever it is cut', async () => {
    const bytes = tarOf({ type: 'x', data: paxRecord('size', '5') }, good, bad);
    for (let i = 0; i < bytes.length; i += 3) {
      await unpackWith(tar, bytes.subarray(0, i));
      const changed = Buffer.from(bytes);
      changed[i]! ^= 0x41;
      await unpackWith(tar, changed);
    }
  });
});
