import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { beginnings } from '../../types/beginnings.js';
import { BASE64_WAYS, decodeBase64 } from './base64-readings.js';
import { bodyStarts, stretches } from './regions.js';
import { type SweepEnd, sweep, type View } from './sweep.js';
import { decodeQuotedPrintable, decodeUuLines } from './text-readings.js';

const way = (words: string) => BASE64_WAYS.find(({ name }) => name.includes(words))!;
const decoded = (text: string, words: string, skip = 0): string =>
  decodeBase64(Buffer.from(text, 'latin1'), 0, text.length, way(words), skip).toString('latin1');
const LIMITS = { regions: 1_000, bytes: 1 << 30 };

function swept(text: string | Buffer, limits = LIMITS): { views: View[]; end: SweepEnd; bytes: number } {
  const views: View[] = [];
  const end = sweep(Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1'), limits, (view) => views.push(view));
  return { views, end, bytes: views.reduce((sum, { bytes }) => sum + bytes.length, 0) };
}

// QUJDREVGR0g= is ABCDEFGH.
const WAYS: readonly (readonly [string, string, string])[] = [
  ['all else skipped', 'QU#JD\r\nRE=VGR-0g=', 'ABCDEFGH'],
  ['= as zero', 'QUJDRE=GR0g=', 'ABCD@\x06GH\0'],
  ['from = to =', 'QUI=Q0RFRkdI', 'ABCDEFGH'],
  ['line by line', 'QUJDA\r\nREVG\r\nR0g', 'ABCDEFGH'],
  ['line by line in fours', 'QUJDAB\r\nREVGA\r\nR0hJABC', 'ABCDEFGHI'],
  ['cut at junk', 'QUJD#AAAA\r\nREVG,AAAA\r\nR0g=', 'ABCDEFGH'],
  ['whole lines only', 'Content-Type: x\r\nQUJD\r\nnot this!\r\nREVG R0g=', 'ABCDEFGH'],
  ['- and _', '-_-_QUJD', '\xfb\xff\xbfABC'],
];
for (const [words, text, expected] of WAYS)
  test(`base64, ${words}`, () => {
    assert.equal(decoded(text, words), expected);
  });

test('base64 is begun at any character, and what is no group of four is flushed', () => {
  assert.equal(decoded('xQUJD', 'all else skipped', 1), 'ABC');
  assert.equal(decoded('QUJDRA', 'all else skipped'), 'ABCD');
  assert.equal(decoded('QUJDREU', 'all else skipped'), 'ABCDE');
  assert.equal(decoded('QUJDR', 'all else skipped'), 'ABC');
});

test('quoted-printable: escapes in either case, soft line ends with blanks, three ways with escapes that are none', () => {
  const text = Buffer.from('=4d=4D= \r\nx=\t\ny=Z1=4', 'latin1');
  const read = (bad: 'kept' | 'equals dropped' | 'dropped') =>
    decodeQuotedPrintable(text, 0, text.length, bad).toString();
  assert.equal(read('kept'), 'MMxy=Z1=4');
  assert.equal(read('equals dropped'), 'MMxyZ14');
  assert.equal(read('dropped'), 'MMxy');
});

test('uuencode without its begin line; lines that do not say their length are passed over', () => {
  const text = Buffer.from('Subject: x\r\n#0V%T\r\n#9&]G\r\nthe end\r\n', 'latin1');
  assert.equal(decodeUuLines(text, 0, text.length)?.toString(), 'Catdog');
  const none = Buffer.from('hello there\r\n');
  assert.equal(decodeUuLines(none, 0, none.length), undefined);
});

test('stretches lie between lines of dashes, however they end; bodies begin behind empty lines and where no field stands', () => {
  const text = Buffer.from('a\r\n--x\rb\n --y\r\n\r\nc');
  const found = stretches(text, 10)!.map(({ start, end }) => text.toString('latin1', start, end));
  assert.deepEqual(found, ['a\r\n', 'b\n', '\r\nc']);
  assert.equal(stretches(text, 1), undefined);
  const part = Buffer.from('A: b\r\n c\r\n\r\nfirst\r\n\r\nsecond');
  assert.deepEqual(
    bodyStarts(part, { start: 0, end: part.length }).map((at) => part.toString('latin1', at)),
    ['first\r\n\r\nsecond', 'second'],
  );
  const gapless = Buffer.from('A: b\r\nQUJD\r\n');
  assert.deepEqual(bodyStarts(gapless, { start: 0, end: gapless.length }), [6]);
});

test('a file is found where it begins in noise', () => {
  const program = Buffer.alloc(100);
  program.write('MZ');
  program.writeUInt32LE(64, 60);
  program.write('PE\0\0', 64);
  const noise = Buffer.concat([Buffer.from('MZ noise PK\x03\x03'), Buffer.from('PK\x03\x04 zip'), program]);
  assert.deepEqual(beginnings(noise), [noise.indexOf('PK\x03\x04'), noise.indexOf('MZ', 5)]);
  assert.deepEqual(beginnings(Buffer.from('PK\x03\x04')), []);
});

const PAYLOAD = 'the payload that is looked for in every reading of it';
const b64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

test('encodings within encodings are followed, and names are found wherever they stand', () => {
  const twice = `Content-Type: x; name="a.txt"; filename*0*=UTF-8''b%2Eexe\r\n\r\n${b64(`x\r\n\r\n${b64(PAYLOAD)}`)}`;
  const { views } = swept(twice);
  assert.ok(views.some(({ bytes, how }) => bytes.includes(PAYLOAD) && how.includes('; then ')));
  assert.ok(views[0]!.names.includes('a.txt') && views[0]!.names.includes('b.exe'));
  const inner = b64(`From: x\r\nContent-Type: text/plain\r\n\r\n${PAYLOAD}`);
  assert.ok(swept(inner).views.some(({ declaredType }) => declaredType === 'message/rfc822'));
});

test('work and output grow with the size of the message, not faster, and end at their bounds', () => {
  const message = (lines: number): string =>
    `--a\r\nContent-Transfer-Encoding: base64\r\n\r\n${'QUJDREVGR0hJ#=4D-_\r\n'.repeat(lines)}--a--\r\n`;
  const [one, four] = [swept(message(500)), swept(message(2_000))];
  assert.equal(one.end, 'complete');
  assert.equal(four.views.length, one.views.length);
  assert.ok(four.bytes < 4.5 * one.bytes, `${one.bytes} ${four.bytes}`);
  // A thousand stretches take no more than one of their size.
  const cut = swept('--a\r\nQUJDREVGR0hJQUJDREVGR0hJ#=4D\r\n'.repeat(900));
  const uncut = swept('QUJDREVGR0hJQUJDREVGR0hJ#=4D\r\n'.repeat(900));
  assert.ok(cut.bytes < 4 * uncut.bytes, `${cut.bytes} ${uncut.bytes}`);
  assert.equal(swept('--a\r\n'.repeat(1_001)).end, 'regions');
  const bounded = swept(message(2_000), { ...LIMITS, bytes: 100_000 });
  assert.equal(bounded.end, 'bytes');
  assert.ok(bounded.bytes <= 100_000);
});

test('whatever the message is, the sweep ends well, and what is in the clear is among its views', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '--',
      '--a\r\n',
      '\r\n',
      '\n',
      '\r',
      '=',
      '==',
      'QUJD',
      'begin 644 a\r\n',
      'Content-Type: x\r\n',
      '\0',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const message = Buffer.from(pieces.join(''), 'latin1');
      const { views, end } = swept(message);
      assert.equal(end, 'complete');
      if (message.length >= 16) assert.ok(views.some(({ bytes }) => bytes.equals(message)));
    }),
    { numRuns: 300 },
  );
});
