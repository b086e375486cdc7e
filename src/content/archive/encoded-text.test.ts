import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { EICAR } from '../../testing/archive-bytes.js';
import { unpackWith } from '../../testing/unpack-recorder.js';
import { encodedTextUnpacker } from './encoded-text.js';

const texts = encodedTextUnpacker(DEFAULT_LIMITS);
const eicar = EICAR.toString();

/** Lines of 45 bytes, as uuencode writes them. */
function uu(bytes: Buffer, name = 'a.com', eol = '\r\n'): string {
  const lines = [`begin 644 ${name}`];
  const six = (value: number) => String.fromCharCode(value === 0 ? 0x60 : value + 0x20);
  for (let at = 0; at < bytes.length; at += 45) {
    const part = bytes.subarray(at, at + 45);
    let line = six(part.length);
    for (let i = 0; i < part.length; i += 3) {
      const joined = (part[i]! << 16) | ((part[i + 1] ?? 0) << 8) | (part[i + 2] ?? 0);
      line += six(joined >> 18) + six((joined >> 12) & 63) + six((joined >> 6) & 63) + six(joined & 63);
    }
    lines.push(line);
  }
  return [...lines, '`', 'end', ''].join(eol);
}

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
      const got = await of(`Hello,${eol}${eol}here it is:${eol}${uu(EICAR, 'a.com', eol)}${eol}Bye${eol}`);
      assert.deepEqual(got.names, ['a.com']);
      assert.deepEqual(got.texts, [eicar]);
      assert.deepEqual(got.said, []);
    }
  });

  it('takes several out, also behind much text', async () => {
    const got = await of(`${uu(Buffer.from('one'), '1')}${'a line of text\r\n'.repeat(30_000)}${uu(EICAR, '2')}`);
    assert.deepEqual(got.texts, ['one', eicar]);
  });

  it('names a file that has no end', async () => {
    const got = await of(uu(EICAR).replace('end\r\n', ''));
    assert.deepEqual(got.texts, [eicar]);
    assert.deepEqual(
      got.said.filter((one) => one.startsWith('malformed')),
      [],
      'its empty line ends it',
    );
    assert.deepEqual((await of(uu(EICAR).replace('`\r\nend\r\n', ''))).said, ['malformed:mime-uu-unfinished']);
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

  it('names what it does not read', async () => {
    const binHex = '(This file must be converted with BinHex 4.0)\r\n\r\n:#94KEQKE!"%!`0B"58:!*J:\r\n';
    assert.deepEqual((await of(`see:\r\n${binHex}`)).said, ['unscannable:unhandled']);
    assert.deepEqual((await of('begin-base64 644 a.com\r\nWDVPIVAl\r\n====\r\n')).said, ['unscannable:unhandled']);
    assert.deepEqual((await of('begin 644 a.com\r\n4EiIEpimq\r\n+\r\nend\r\n')).said, ['unscannable:unhandled']);
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
    ]) {
      const got = await of(prose);
      assert.deepEqual([got.texts, got.said], [[], []], prose);
    }
  });

  it('is not asked about what is no text', () => {
    const bytes = Buffer.from(`\0${uu(EICAR)}`);
    assert.equal(
      texts.accepts([], { length: bytes.length, bytes, read: (at, n) => bytes.subarray(at, at + n) }),
      false,
    );
  });

  it('stops at the budget', async () => {
    const got = await unpackWith(texts, Buffer.from(uu(Buffer.alloc(9000))), { bytes: 1000 });
    assert.deepEqual(got.said, ['unscannable:uncompressed-oversize']);
  });

  it('looks at ten thousand lines that might begin a file, and says so when there are more', async () => {
    const line = 'begin 644 x\r\nno data\r\n';
    assert.deepEqual((await of(line.repeat(10_000))).said, []);
    assert.deepEqual((await of(line.repeat(10_001))).said, ['unscannable:limit']);
  });
});
