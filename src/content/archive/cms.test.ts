import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { unpackWith } from '../../testing/unpack-recorder.js';
import { cmsUnpacker } from './cms.js';

const cms = cmsUnpacker(DEFAULT_LIMITS);
const MAIL = Buffer.from('Content-Type: text/plain\r\n\r\nsigned words\r\n');

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 0x80 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}
/** Of indefinite length. */
const ber = (tag: number, ...parts: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([tag, 0x80]), ...parts, Buffer.from([0, 0])]);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const PKCS7 = '2a864886f70d0107';
const VERSION = der(0x02, Buffer.from([1]));
const DIGESTS = der(0x31, der(0x30, oid('608648016503040201'), der(0x05)));
const SIGNERS = der(0x31, der(0x30, VERSION));

function signed(content: readonly Buffer[], wrap: typeof der = der): Buffer {
  return wrap(
    0x30,
    oid(`${PKCS7}02`),
    wrap(0xa0, wrap(0x30, VERSION, DIGESTS, wrap(0x30, oid(`${PKCS7}01`), ...content), SIGNERS)),
  );
}

describe('CMS', () => {
  it('gives out what is signed, in one piece or several, of definite length or not', async () => {
    const pieces = [der(0x04, MAIL.subarray(0, 9)), der(0x04, MAIL.subarray(9))];
    for (const bytes of [
      signed([der(0xa0, der(0x04, MAIL))]),
      signed([ber(0xa0, ber(0x24, ...pieces))], ber),
      signed([der(0xa0, der(0x24, ...pieces))]),
    ]) {
      const got = await unpackWith(cms, bytes);
      assert.deepEqual(got.texts, [MAIL.toString()]);
      assert.deepEqual(got.said, []);
    }
  });

  it('has nothing to give out of a signature alone', async () => {
    for (const wrap of [der, ber]) {
      const got = await unpackWith(cms, signed([], wrap));
      assert.deepEqual([got.texts, got.said], [[], []]);
    }
  });

  it('names what is enciphered or compressed', async () => {
    for (const [type, said] of [
      [`${PKCS7}03`, 'unscannable:encrypted'],
      [`${PKCS7}06`, 'unscannable:encrypted'],
      ['2a864886f70d0109100117', 'unscannable:encrypted'],
      ['2a864886f70d0109100109', 'unscannable:unhandled'],
    ] as const) {
      for (const wrap of [der, ber])
        assert.deepEqual((await unpackWith(cms, wrap(0x30, oid(type), wrap(0xa0, VERSION)))).said, [said]);
    }
  });

  it('says of what is cut anywhere behind its type that it is corrupted', async () => {
    const whole = signed([der(0xa0, der(0x04, MAIL))]);
    const end = whole.indexOf(MAIL) + MAIL.length;
    for (let length = 20; length < end; length++)
      assert.deepEqual(
        (await unpackWith(cms, whole.subarray(0, length))).said,
        ['unscannable:corrupted'],
        String(length),
      );
  });

  it('is not asked about other sequences', () => {
    const bytes = der(0x30, VERSION, DIGESTS);
    assert.equal(cms.accepts([], { length: bytes.length, bytes, read: (at, n) => bytes.subarray(at, at + n) }), false);
  });
});
