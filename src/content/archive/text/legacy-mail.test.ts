import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { EICAR } from '../../../testing/archive-bytes.js';
import { ascii85Of, binHexOf, btoaOf, uuOf, XX_LETTERS } from '../../../testing/encoded-bytes.js';
import { type RecorderOptions, type UnpackRecorder, unpackWith } from '../../../testing/unpack-recorder.js';
import { encodedTextUnpacker } from './encoded-text.js';

const texts = encodedTextUnpacker(DEFAULT_LIMITS);
const of = (text: string, options?: RecorderOptions): Promise<UnpackRecorder> =>
  unpackWith(texts, Buffer.from(text, 'latin1'), options);
const EOLS = ['\r\n', '\n'] as const;
const base64Lines = (bytes: Buffer, eol: string): string => bytes.toString('base64').replace(/.{60}/g, `$&${eol}`);
const beginBase64 = (bytes: Buffer, eol = '\n', begin = 'begin-base64 644 a.com'): string =>
  `${begin}${eol}${base64Lines(bytes, eol)}${eol}====${eol}`;

/** Each way to write a file; all but Ascii85 and btoa have a name. */
const WAYS: Readonly<Record<string, (bytes: Buffer, eol: string) => string>> = {
  xxencode: (bytes, eol) => uuOf(bytes, 'a.com', eol, XX_LETTERS),
  'begin-base64': beginBase64,
  BinHex: (bytes, eol) => binHexOf({ data: bytes }, eol),
  Ascii85: (bytes, eol) => `<~${ascii85Of(bytes).replace(/.{70}/g, `$&${eol}`)}~>${eol}`,
  btoa: (bytes, eol) => btoaOf(bytes, eol),
};

describe('files that mail carried before MIME', () => {
  for (const [way, write] of Object.entries(WAYS)) {
    it(`MIM-134 MIM-136 takes out what ${way} wrote, between lines of text`, async () => {
      for (const eol of EOLS) {
        const got = await of(
          `Hello,${eol}${eol}${write(EICAR, eol)}${eol}Bye${eol}${write(Buffer.from('another file'), eol)}`,
        );
        assert.deepEqual(got.texts, [EICAR.toString(), 'another file']);
        assert.deepEqual(got.said, []);
        assert.deepEqual(got.names, way.includes('8') || way === 'btoa' ? [undefined, undefined] : ['a.com', 'a.com']);
      }
    });

    it(`gives back any bytes that ${way} wrote`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ minLength: 9, maxLength: 400 }), fc.nat(300), async (array, run) => {
          const bytes = Buffer.concat([array, Buffer.alloc(run, array[0]), Buffer.from([0x90, 0x90, 0])]);
          const got = await of(write(bytes, '\r\n'));
          assert.deepEqual(got.said, []);
          assert.deepEqual(
            got.children.map((child) => child.bytes),
            [bytes],
          );
        }),
        { numRuns: 60 },
      );
    });

    it(`stops ${way} at the budget`, async () => {
      const got = await of(write(Buffer.from('0123456789'.repeat(900)), '\n'), { bytes: 1000 });
      assert.deepEqual(got.said, ['unscannable:uncompressed-oversize']);
      assert.deepEqual(
        got.children.map((child) => child.state),
        ['limit'],
      );
    });
  }

  it('says when the end is missing', async () => {
    const xx = WAYS['xxencode']!(EICAR, '\n');
    for (const [text, said] of [
      [xx.slice(0, xx.indexOf('\n+\n') + 1), 'malformed:xx-unfinished'],
      [beginBase64(EICAR).replace('====', ''), 'malformed:begin-base64-unfinished'],
      [binHexOf({ data: EICAR }).slice(0, -12), 'malformed:binhex-unfinished'],
      [btoaOf(EICAR).replace(/xbtoa End.*\n/, ''), 'malformed:btoa-unfinished'],
    ] as const) {
      const got = await of(text);
      assert.deepEqual(got.said, [said]);
      assert.ok(got.texts[0]!.startsWith(EICAR.toString().slice(0, 60)), said);
    }
  });

  it('says when something stands in the data that cannot, and reads on', async () => {
    for (const [text, said] of [
      [WAYS['xxencode']!(EICAR, '\n').replace('\n+\n', '\n*junk*\n+\n'), 'malformed:xx-junk'],
      [beginBase64(EICAR).replace('\n====', '\n*\n===='), 'malformed:begin-base64-junk'],
      [binHexOf({ data: EICAR }).replace('\n:', '\n:~'), 'malformed:binhex-junk'],
      [btoaOf(EICAR).replace('\nxbtoa End', '~\nxbtoa End'), 'malformed:btoa-junk'],
      [btoaOf(EICAR, '\n', 90), 'malformed:btoa-size'],
    ] as const) {
      const got = await of(text);
      assert.deepEqual(got.said, [said]);
      assert.equal(got.texts[0], EICAR.toString(), said);
    }
  });
});

describe('BinHex', () => {
  it('gives out both forks', async () => {
    const got = await of(binHexOf({ name: 'Read Me', data: Buffer.from('data'), resource: EICAR }));
    assert.deepEqual(got.names, ['Read Me', 'Read Me.rsrc']);
    assert.deepEqual(got.texts, ['data', EICAR.toString()]);
    const resource = await of(binHexOf({ resource: EICAR }));
    assert.deepEqual(resource.names, ['a.com.rsrc']);
  });

  it('says when a CRC is wrong: of the header, of the data, of the resource fork', async () => {
    for (const wrong of [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ] as const) {
      const got = await of(binHexOf({ data: EICAR, resource: Buffer.from('r'), wrong }));
      assert.deepEqual(got.said, ['malformed:binhex-crc']);
      assert.deepEqual(got.texts, [EICAR.toString(), 'r']);
    }
  });

  it('ends where the file ends, whatever follows', async () => {
    const got = await of(`${binHexOf({ data: EICAR })}and ${binHexOf({ data: Buffer.from('second') })}`);
    assert.deepEqual(got.texts, [EICAR.toString()], 'the second does not begin a line');
  });

  it('does not multiply: a run is bounded by the sizes that the header says', async () => {
    const got = await of(binHexOf({ data: Buffer.alloc(100_000, 'x') }), { bytes: 5000 });
    assert.deepEqual(got.said, ['unscannable:uncompressed-oversize']);
  });
});

it('begin-base64 may have its name in base64, too', async () => {
  const got = await of(beginBase64(EICAR, '\n', `begin-base64-encoded 644 ${Buffer.from('ä.exe').toString('base64')}`));
  assert.deepEqual(got.names, ['ä.exe']);
});
