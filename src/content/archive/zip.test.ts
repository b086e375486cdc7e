import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { EICAR, extraOf, type ZipMember, zerosDeflated, zipOf } from '../../testing/archive-bytes.js';
import { unpackWith } from '../../testing/unpack-recorder.js';
import { crc32 } from './crc32.js';
import { zipUnpacker } from './zip.js';

const zip = zipUnpacker(DEFAULT_LIMITS);
const eicar = EICAR.toString();
const packed = deflateRawSync(EICAR);
const bad: ZipMember = { name: 'bad.com', data: EICAR };
const good: ZipMember = { name: 'good.txt', data: 'hello' };

/** It is found, and the container is not taken for a plain one. */
async function found(bytes: Buffer, code?: string): Promise<void> {
  const got = await unpackWith(zip, bytes);
  assert.ok(
    got.texts.some((text) => text.startsWith(eicar)),
    `not found; ${got.said.join()}`,
  );
  if (code !== undefined) assert.ok(got.said.includes(code), got.said.join());
}

describe('zip', () => {
  it('gives stored and deflated members out in order, and no directories', async () => {
    const got = await unpackWith(zip, zipOf([{ name: 'd/', method: 0 }, { name: 'e/' }, good, { ...bad, method: 0 }]));
    assert.deepEqual(got.names, ['good.txt', 'bad.com']);
    assert.deepEqual(got.texts, ['hello', eicar]);
    assert.deepEqual(got.said, []);
  });

  it('takes sizes from the directory where a descriptor follows the data', async () => {
    const descriptor = Buffer.alloc(16);
    descriptor.writeUInt32LE(0x08074b50, 0);
    const streamed: ZipMember = { ...bad, flags: 8, local: { crc: 0, packed: 0, size: 0 }, descriptor };
    assert.deepEqual((await unpackWith(zip, zipOf([streamed, good]))).said, []);
    assert.deepEqual((await unpackWith(zip, zipOf([streamed, good]))).texts, [eicar, 'hello']);
  });

  it('reads names as UTF-8, code page 437 or by the Unicode Path field', async () => {
    const unicode = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), Buffer.from('ü.txt')]);
    unicode.writeUInt32LE(crc32(Buffer.from('u.txt'), 0, 5), 1);
    const got = await unpackWith(
      zip,
      zipOf([
        { name: 'é', flags: 0x800 },
        { name: Buffer.from([0x81]), data: 'x' },
        { name: 'u.txt', data: 'x', extra: extraOf(0x7075, unicode) },
      ]),
    );
    assert.deepEqual(got.names, ['é', 'ü', 'ü.txt']);
    assert.deepEqual(got.children[2]!.meta.otherNames, ['u.txt']);
    assert.deepEqual(got.said, []);
  });

  it('ARC-001 unpacks both ways when the headers disagree on the method', async () => {
    await found(zipOf([{ ...bad, local: { method: 0, size: packed.length } }]), 'malformed:zip-headers-differ');
    await found(zipOf([{ ...bad, entry: { method: 0, size: packed.length } }]), 'malformed:zip-headers-differ');
  });

  it('ARC-002 inflates what both headers call stored', async () => {
    const member = { name: 'bad.com', method: 0, raw: packed, crc: crc32(EICAR, 0, 68), size: packed.length };
    await found(zipOf([member]), 'malformed:zip-stored-deflate');
  });

  it('ARC-003 finds a member whose sizes contradict one another', async () => {
    for (const size of [0, 1, 67, 69, 0xffffffff]) {
      await found(zipOf([{ ...bad, local: { size } }]), 'malformed:zip-headers-differ');
      await found(zipOf([{ ...bad, size }]), 'malformed:zip-sizes');
      await found(zipOf([{ ...bad, local: { packed: size } }]), 'malformed:zip-headers-differ');
      await found(zipOf([{ ...bad, entry: { packed: size } }]));
    }
  });

  it('ARC-005 gives all names of a bad Unicode Path field', async () => {
    const data = Buffer.concat([Buffer.from([1, 9, 9, 9, 9]), Buffer.from('other.txt')]);
    const got = await unpackWith(zip, zipOf([{ ...bad, extra: extraOf(0x7075, data) }]));
    assert.deepEqual(got.said, ['malformed:zip-unicode-path']);
    assert.deepEqual([got.names[0], ...(got.children[0]!.meta.otherNames ?? [])].sort(), ['bad.com', 'other.txt']);
  });

  it('ARC-006 unpacks data under a name of a directory', async () => {
    await found(zipOf([{ ...bad, name: 'test/' }]));
    await found(zipOf([{ ...bad, name: 'test\\' }]));
  });

  it('ARC-008 unpacks every member of a name', async () => {
    await found(
      zipOf([
        { ...good, name: 'a' },
        { ...bad, name: 'a' },
      ]),
    );
    await found(
      zipOf([
        { ...bad, name: 'a' },
        { ...good, name: 'a' },
      ]),
    );
  });

  it('ARC-009 ARC-010 ARC-022 takes any name as mere text', async () => {
    const names = ['/a/b', 'a//b', 'a\\b', './a/b', '.../a/b', 'test.TXT', 'C:x', '/abs'];
    const got = await unpackWith(zip, zipOf(names.map((name) => ({ ...bad, name }))));
    assert.deepEqual(got.names, names);
    assert.deepEqual(got.said, []);
    await found(zipOf([{ ...bad, name: '../../x' }]), 'malformed:zip-name-traversal');
  });

  it('ARC-011 finds a member that the directory does not have, and names an entry without a member', async () => {
    await found(zipOf([good, { ...bad, hidden: true }, good]), 'malformed:zip-hidden-member');
    await found(zipOf([bad, { name: 'gone', missing: true, entry: { offset: 7 } }]), 'malformed:zip-member-missing');
  });

  it('ARC-012 finds a member in the comment, and one behind a false end in a gap', async () => {
    const local = zipOf([bad], { noEnd: true });
    await found(zipOf([good], { comment: local }), 'malformed:zip-hidden-member');
    await found(
      zipOf([good], { gap: Buffer.concat([Buffer.from('PK\x05\x06'), Buffer.alloc(18), local]) }),
      'malformed:zip-hidden-member',
    );
  });

  it('does not take a zip stored in a zip for hidden members', async () => {
    const inner = zipOf([bad]);
    const got = await unpackWith(zip, zipOf([{ name: 'in.zip', method: 0, data: inner }, good]));
    assert.deepEqual(got.said, []);
    assert.deepEqual(got.names, ['in.zip', 'good.txt']);
  });

  it('ARC-013 finds the members of both of two zips in a row', async () => {
    await found(Buffer.concat([zipOf([bad]), zipOf([good])]), 'malformed:zip-hidden-member');
    await found(Buffer.concat([zipOf([good]), zipOf([bad])]), 'malformed:zip-hidden-member');
  });

  it('ARC-014 finds what an end record in a comment hides, and names wrong disk numbers', async () => {
    const empty = zipOf([]);
    await found(zipOf([bad], { comment: empty }));
    const got = await unpackWith(zip, zipOf([bad], { comment: empty }));
    assert.ok(got.said.some((one) => one.startsWith('malformed:')));
    await found(zipOf([bad], { disk: 1 }), 'unscannable:multipart');
  });

  it('ARC-015 goes by the entries that there are, and names a wrong count', async () => {
    for (const count of [0, 1, 3, 65_535]) await found(zipOf([good, bad], { count }), 'malformed:zip-entry-count');
  });

  it('ARC-016 reads the directory that the offset names and the one before the end record', async () => {
    const other = zipOf([bad]);
    const decoy = zipOf([good], { before: other, directoryOffset: other.length - 22 - 46 - 7 });
    await found(decoy, 'malformed:zip-directories');
    await found(zipOf([bad], { before: Buffer.from('something else') }));
  });

  it('ARC-018 calls a method that it does not know unhandled', async () => {
    for (const method of [9, 12, 14, 93, 95, 97, 98]) {
      const got = await unpackWith(zip, zipOf([{ ...bad, method, raw: EICAR }]));
      assert.deepEqual(got.said, ['unscannable:unhandled']);
    }
  });

  it('ARC-018 ARC-023 gives a locked member out by its name only', async () => {
    for (const member of [
      { ...bad, flags: 1 },
      { ...bad, method: 99, raw: EICAR },
      { ...bad, entry: { flags: 1 } },
    ]) {
      const got = await unpackWith(zip, zipOf([member, good]));
      assert.ok(got.said.includes('unscannable:encrypted'));
      assert.deepEqual(got.names, ['bad.com', 'good.txt']);
      assert.deepEqual(got.texts, ['', 'hello']);
    }
  });

  it('ARC-019 scans a member whose CRC is wrong, and says so', async () => {
    await found(zipOf([{ ...bad, crc: 1 }]), 'unscannable:partiallycorrupted');
    await found(zipOf([{ ...bad, method: 0, crc: 1 }]), 'unscannable:partiallycorrupted');
  });

  it('ARC-021 unpacks a zip that is cut before its directory', async () => {
    const whole = zipOf([bad, good]);
    await found(whole.subarray(0, whole.length - 30), 'unscannable:corrupted');
    await found(zipOf([bad], { noEnd: true }), 'unscannable:corrupted');
  });

  it('ARC-024 opens what stands behind an executable or a megabyte of anything', async () => {
    const got = await unpackWith(zip, zipOf([bad], { before: Buffer.alloc(1024 * 1024, 'MZ') }));
    assert.deepEqual(got.texts, [eicar]);
    assert.deepEqual(got.said, []);
  });

  it('reads zip64 sizes, and names an end record that differs from its zip64 part', async () => {
    const sizes = Buffer.alloc(16);
    sizes.writeBigUInt64LE(68n, 0);
    sizes.writeBigUInt64LE(BigInt(packed.length), 8);
    const wide = { ...bad, packed: 0xffffffff, size: 0xffffffff, extra: extraOf(1, sizes) };
    const got = await unpackWith(zip, zipOf([wide]));
    assert.deepEqual(got.said, []);
    assert.deepEqual(got.texts, [eicar]);
  });

  it('ARC-017 names an end record that contradicts its zip64 record', async () => {
    const plain = zipOf([bad]);
    const end = plain.subarray(plain.length - 22);
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(9n, 32);
    record.writeBigUInt64LE(BigInt(end.readUInt32LE(12)), 40);
    record.writeBigUInt64LE(BigInt(end.readUInt32LE(16)), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(plain.length - 22), 8);
    await found(Buffer.concat([plain.subarray(0, -22), record, locator, end]), 'malformed:zip64-end-differs');
  });

  it('BMB-001 stops before members that share bytes', async () => {
    const kernel = zerosDeflated(1);
    const members = Array.from({ length: 100 }, (_, i) => ({ name: `${i}`, raw: kernel, size: 2 ** 24 }));
    const bytes = zipOf([
      members[0]!,
      ...members.slice(1).map((one) => ({ ...one, missing: true, entry: { offset: 0 } })),
    ]);
    const got = await unpackWith(zip, bytes);
    assert.deepEqual(
      got.said.filter((one) => one.startsWith('unscannable')),
      ['unscannable:mailbomb'],
    );
    assert.equal(got.outputSize, 0);
  });

  it('BMB-001 stops one long member at the ratio', async () => {
    const got = await unpackWith(zip, zipOf([{ name: 'zeros', raw: zerosDeflated(4), size: 2 ** 26 }]), {
      bytes: 2 ** 40,
      kept: 16,
    });
    assert.deepEqual(got.said, ['unscannable:mailbomb']);
    assert.ok(got.outputSize <= 250 * 70_000);
  });

  it('BMB-005 stops at more entries than files may be unpacked', async () => {
    const members = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `d${i}/`, method: 0 }));
    assert.deepEqual((await unpackWith(zip, zipOf(members(10)), { files: 10 })).said, []);
    assert.deepEqual((await unpackWith(zip, zipOf(members(12)), { files: 10 })).said, ['unscannable:limit']);
  });

  it('stops at the byte, depth and time limits', async () => {
    const bytes = zipOf([good, bad]);
    assert.deepEqual((await unpackWith(zip, bytes, { bytes: 73 })).said, []);
    assert.deepEqual((await unpackWith(zip, bytes, { bytes: 72 })).said, ['unscannable:uncompressed-oversize']);
    assert.deepEqual((await unpackWith(zip, bytes, { nesting: 12 })).said, ['unscannable:nested']);
    assert.deepEqual((await unpackWith(zip, bytes, { time: 10, tick: 5 })).said, ['unscannable:timeout']);
  });

  it('never throws, whatever byte is changed or wherever it is cut', async () => {
    const bytes = zipOf([good, { ...bad, method: 0 }], { before: Buffer.from('x') });
    for (let i = 0; i < bytes.length; i++) {
      await unpackWith(zip, bytes.subarray(0, i));
      for (const value of [0, 0xff, bytes[i]! ^ 1]) {
        const changed = Buffer.from(bytes);
        changed[i] = value;
        await unpackWith(zip, changed);
      }
    }
  });
});
