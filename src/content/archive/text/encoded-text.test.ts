import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { EICAR } from '../../../testing/archive-bytes.js';
import { uuOf } from '../../../testing/encoded-bytes.js';
import { contentOf, unpackWith } from '../../../testing/unpack-recorder.js';
import { encodedTextUnpacker } from './encoded-text.js';

const texts = encodedTextUnpacker(DEFAULT_LIMITS);
const eicar = EICAR.toString();

function yenc(bytes: Buffer, begin = 'line=128 size=68 name=a.com'): Buffer {
  const data: number[] = [];
  for (const byte of bytes) {
    const c = (byte + 42) & 0xff;
    if (c === 0 || c === 10 || c === 13 || c === 61) data.push(61, (c + 64) & 0xff);
    else data.push(c);
  }
  return Buffer.concat([Buffer.from(`=ybegin ${begin}\r\n`), Buffer.from(data), Buffer.from('\r\n=yend size=68\r\n')]);
}

async function of(text: string | Buffer) {
  return unpackWith(texts, Buffer.from(text));
}

describe('files written as text', () => {
  it('takes uuencoded files out of a text, under their names, with either line end', async () => {
    for (const eol of ['\r\n', '\n']) {
      const got = await of(`Hello,${eol}${eol}here it is:${eol}${uuOf(EICAR, 'a.com', eol)}${eol}Bye${eol}`);
      assert.deepEqual(got.names, ['a.com']);
      assert.deepEqual(got.texts, [eicar]);
      assert.deepEqual(got.said, []);
    }
  });

  it('takes several out, also behind much text', async () => {
    const got = await of(`${uuOf(Buffer.from('one'), '1')}${'a line of text\r\n'.repeat(30_000)}${uuOf(EICAR, '2')}`);
    assert.deepEqual(got.texts, ['one', eicar]);
  });

  it('names a file that has no end', async () => {
    const got = await of(uuOf(EICAR).replace('end\r\n', ''));
    assert.deepEqual(got.texts, [eicar]);
    assert.deepEqual(
      got.said.filter((one) => one.startsWith('malformed')),
      [],
      'its empty line ends it',
    );
    assert.deepEqual((await of(uuOf(EICAR).replace('`\r\nend\r\n', ''))).said, ['malformed:mime-uu-unfinished']);
  });

  it('takes a yEnc file out, and says when it is one part of several or has no end', async () => {
    const got = await of(Buffer.concat([Buffer.from('hi\r\n\r\n'), yenc(EICAR)]));
    assert.deepEqual(got.names, ['a.com']);
    assert.deepEqual(got.texts, [eicar]);
    assert.deepEqual(got.said, []);
    const part = await of(yenc(EICAR, 'part=1 total=2 line=128 size=136 name=a.com'));
    assert.deepEqual(part.said, ['unscannable:multipart']);
    const open = yenc(EICAR);
    assert.deepEqual((await of(open.subarray(0, open.length - 18))).said, ['malformed:yenc-unfinished']);
  });

  it('names OpenPGP messages', async () => {
    const pgp = '-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n';
    assert.deepEqual((await of(pgp)).said, ['unscannable:encrypted']);
  });

  it('leaves prose alone', async () => {
    for (const prose of [
      'begin 644 is how it starts\r\nand then comes the data\r\n',
      'To begin 644 a.com\r\n#86)C\r\n',
      'begin at the beginning\r\nand go on\r\n',
      'the line =ybegin name= is\r\n',
      '=ybegin\r\n',
      'He wrote (This file must be converted with BinHex 4.0) and\r\n: that was that\r\n',
      '(This file must be converted with BinHex 4.0)\r\nis how those begin\r\n',
      '> -----BEGIN PGP MESSAGE-----\r\n',
      '-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----\r\n',
      '-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n',
      'begin-base64 644 a.com is what such a file begins with\r\nand so on\r\n',
      'The mark is (<~ ~>), or <~~> for short, never <~more\r\n than ~ that.\r\n',
      'xbtoa Begin is its first line\r\n',
      'A data URL is data:TYPE;base64,DATA and nothing else.\r\n',
      'Call atob(text) with the text.\r\n',
      `A token of a page: "${'QUJD'.repeat(30)}".\r\n`,
      `{"sizes": [${'128, '.repeat(100)}1], "hash": "${'0f'.repeat(64)}"}\r\n`,
      `<script>var sizes = [${'256, '.repeat(100)}1];</script>\r\n`,
      `<script>var few = [${'77,'.repeat(62)}1]; var short = '${'QUJD'.repeat(15)}QUJ';</script>\r\n`,
    ]) {
      const got = await of(prose);
      assert.deepEqual([got.texts, got.said], [[], []], prose);
    }
  });

  it('is not asked about what is no text; a few NULs before one do not matter', () => {
    const asked = (text: string): boolean => texts.accepts([], contentOf(Buffer.from(text)));
    assert.equal(asked(`${'\0'.repeat(64)}${uuOf(EICAR)}`), true);
    assert.equal(asked(`${'\0'.repeat(65)}${uuOf(EICAR)}`), false);
    assert.equal(asked(`a\0\r\n${uuOf(EICAR)}`), false);
    assert.equal(asked('nothing in it'), false);
  });

  it('stops at the budget', async () => {
    const got = await unpackWith(texts, Buffer.from(uuOf(Buffer.alloc(9000))), { bytes: 1000 });
    assert.deepEqual(got.said, ['unscannable:uncompressed-oversize']);
  });

  it('looks at ten thousand places where a file might begin, and says so when there are more', async () => {
    const line = 'begin 644 x\r\nno data\r\n';
    assert.deepEqual((await of(line.repeat(10_000))).said, []);
    assert.deepEqual((await of(line.repeat(10_001))).said, ['unscannable:limit']);
  });
});
