import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { EICAR, gzipOf, zerosDeflated } from '../../testing/archive-bytes.js';
import { unpackWith } from '../../testing/unpack-recorder.js';
import { crc32 } from './crc32.js';
import { gzipUnpacker } from './gzip.js';

const gzip = gzipUnpacker(DEFAULT_LIMITS);
const eicar = EICAR.toString();

describe('gzip', () => {
  it('gives the file out under the name in its header', async () => {
    const got = await unpackWith(gzip, gzipOf('hello', { name: 'hello.txt' }));
    assert.deepEqual(got.names, ['hello.txt']);
    assert.equal(got.text('hello.txt'), 'hello');
    assert.deepEqual(got.said, []);
    assert.equal(got.children[0]!.state, 'ended');
  });

  it('reads a name as UTF-8, else as Latin-1', async () => {
    assert.deepEqual((await unpackWith(gzip, gzipOf('', { name: 'é' }))).names, ['é']);
    const latin = gzipOf('', { flags: 0x08, optional: Buffer.from([0xe9, 0]) });
    assert.deepEqual((await unpackWith(gzip, latin)).names, ['é']);
  });

  it('joins members that follow one another, as every reader does', async () => {
    const got = await unpackWith(gzip, Buffer.concat([gzipOf('one,'), gzipOf('two')]));
    assert.deepEqual(got.texts, ['one,two']);
    assert.deepEqual(got.said, []);
  });

  it('ARC-037 gives a member behind zeros also alone, and says so', async () => {
    const got = await unpackWith(gzip, Buffer.concat([gzipOf('hello'), Buffer.alloc(8), gzipOf(EICAR)]));
    assert.deepEqual(got.texts, [`hello${eicar}`, eicar]);
    assert.deepEqual(got.said, ['malformed:gzip-members-apart']);
  });

  it('takes zeros at the end as padding', async () => {
    const got = await unpackWith(gzip, Buffer.concat([gzipOf('hello'), Buffer.alloc(100_000)]));
    assert.deepEqual(got.texts, ['hello']);
    assert.deepEqual(got.said, []);
  });

  it('ARC-038 scans what it decoded before garbage, and names the garbage', async () => {
    const got = await unpackWith(gzip, Buffer.concat([gzipOf(EICAR), Buffer.from('garbage')]));
    assert.deepEqual(got.texts, [eicar]);
    assert.deepEqual(got.said, ['malformed:gzip-trailing-data']);
  });

  it('ARC-038 finds a member behind garbage of any length', async () => {
    for (const length of [1, 65_535, 65_536, 200_000]) {
      const got = await unpackWith(gzip, Buffer.concat([gzipOf('hello'), Buffer.alloc(length, 'x'), gzipOf(EICAR)]));
      assert.ok(got.texts.includes(eicar), `${length}`);
      assert.deepEqual(got.said, ['malformed:gzip-trailing-data']);
    }
  });

  it('ARC-039 names a wrong CRC, a wrong size, a cut trailer and a cut stream, and gives out what there is', async () => {
    const whole = gzipOf(EICAR);
    const crc = Buffer.from(whole);
    crc[crc.length - 8]! ^= 1;
    const size = Buffer.from(whole);
    size[size.length - 4]! ^= 1;
    for (const bytes of [crc, size, whole.subarray(0, -1), whole.subarray(0, -8)]) {
      const got = await unpackWith(gzip, bytes);
      assert.deepEqual(got.said, ['unscannable:corrupted']);
      assert.deepEqual(got.texts, [eicar]);
    }
    const cut = await unpackWith(gzip, gzipOf(Buffer.alloc(1000, 'abcdefgh')).subarray(0, 24));
    assert.deepEqual(cut.said, ['unscannable:corrupted']);
    assert.equal(cut.children[0]!.state, 'reset');
  });

  it('ARC-039 checks the header CRC, and reads past FEXTRA and FCOMMENT', async () => {
    const extra = Buffer.from([3, 0, 1, 2, 3]);
    const comment = Buffer.from('a comment\0');
    const good = gzipOf(EICAR, { flags: 0x04 | 0x10, optional: Buffer.concat([extra, comment]) });
    assert.deepEqual((await unpackWith(gzip, good)).texts, [eicar]);
    const header = Buffer.from(gzipOf(EICAR, { flags: 0x02 }).subarray(0, 10));
    const check = Buffer.alloc(2);
    check.writeUInt16LE(crc32(header, 0, 10) & 0xffff);
    assert.deepEqual((await unpackWith(gzip, gzipOf(EICAR, { flags: 0x02, optional: check }))).said, []);
    check[0]! ^= 1;
    const bad = await unpackWith(gzip, gzipOf(EICAR, { flags: 0x02, optional: check }));
    assert.deepEqual(bad.said, ['malformed:gzip-header']);
    assert.deepEqual(bad.texts, [eicar]);
  });

  it('ARC-039 takes a name of just under 64 KiB and refuses a longer header', async () => {
    const fits = 64 * 1024 + 2 - 10 - 1;
    assert.deepEqual((await unpackWith(gzip, gzipOf(EICAR, { name: 'n'.repeat(fits) }))).said, []);
    const got = await unpackWith(gzip, gzipOf(EICAR, { name: 'n'.repeat(fits + 1) }));
    assert.deepEqual(got.said, ['unscannable:corrupted']);
  });

  it('gives out what stands before damage', async () => {
    const bytes = Buffer.concat([
      gzipOf(EICAR).subarray(0, 10),
      Buffer.from([0x00, 68, 0, 187, 255]),
      EICAR,
      Buffer.from([0x07]),
    ]);
    const got = await unpackWith(gzip, bytes);
    assert.equal(got.texts[0]!.slice(0, 68), eicar);
    assert.deepEqual(got.said, ['unscannable:corrupted']);
  });

  it('BMB-004 stops 10 GB of zeros at the ratio, with bounded output', async () => {
    const bomb = Buffer.concat([gzipOf('').subarray(0, 10), zerosDeflated(640), Buffer.alloc(8)]);
    const small = gzipUnpacker({ ...DEFAULT_LIMITS, unpackRatio: 2 });
    const got = await unpackWith(small, bomb, { bytes: 2 ** 40, kept: 16 });
    assert.deepEqual(got.said, ['unscannable:mailbomb']);
    assert.ok(got.outputSize <= 2 * bomb.length + 64 * 1024);
  });

  it('crosses the ratio, its floor, the byte, file, depth and time limits by one', async () => {
    const limits = { ...DEFAULT_LIMITS, ratioFloor: 1000, unpackRatio: 10 };
    const bytes = gzipOf(Buffer.alloc(1000));
    const strict = gzipUnpacker(limits);
    assert.deepEqual((await unpackWith(strict, bytes)).said, []);
    assert.deepEqual((await unpackWith(strict, gzipOf(Buffer.alloc(1001)))).said, ['unscannable:mailbomb']);
    assert.deepEqual((await unpackWith(gzip, bytes, { bytes: 1000 })).said, []);
    const over = await unpackWith(gzip, bytes, { bytes: 999 });
    assert.deepEqual(over.said, ['unscannable:uncompressed-oversize']);
    assert.equal(over.outputSize, 999);
    assert.equal(over.children[0]!.state, 'limit');
    assert.deepEqual((await unpackWith(gzip, bytes, { files: 1 })).said, []);
    assert.deepEqual((await unpackWith(gzip, bytes, { files: 0 })).said, ['unscannable:limit']);
    assert.deepEqual((await unpackWith(gzip, bytes, { nesting: 11 })).said, []);
    assert.deepEqual((await unpackWith(gzip, bytes, { nesting: 12 })).said, ['unscannable:nested']);
    assert.deepEqual((await unpackWith(gzip, bytes, { time: 1 })).said, []);
    assert.deepEqual((await unpackWith(gzip, bytes, { time: 0 })).said, ['unscannable:timeout']);
  });
});
