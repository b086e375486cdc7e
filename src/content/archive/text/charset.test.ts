import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { EICAR } from '../../../testing/archive-bytes.js';
import { peerTest, run } from '../../../testing/peers/peers.js';
import { contentOf, spooledContentOf, UnpackRecorder } from '../../../testing/unpack-recorder.js';
import { charsetUnpacker } from './charset.js';

const charsets = charsetUnpacker(DEFAULT_LIMITS);

interface Known {
  readonly types?: readonly string[];
  readonly charset?: string;
  readonly name?: string;
}

/** What a text says, in memory and spooled; undefined where nobody needs to be told. */
function said(bytes: Buffer, { types = ['unknown'], charset, name }: Known = {}): string | undefined {
  const recorders = [contentOf(bytes), spooledContentOf(bytes)].map((content) => {
    const meta = { name, direction: 'upload', ...(charset !== undefined && { charset }) } as const;
    const recorder = new UnpackRecorder();
    if (!charsets.accepts(types, content, meta)) return undefined;
    void charsets.unpack(content, recorder);
    assert.deepEqual(recorder.said, []);
    assert.deepEqual(recorder.names, [name]);
    return recorder.children[0]!.bytes.toString('utf8');
  });
  assert.equal(recorders[0], recorders[1]);
  return recorders[0];
}

const SCRIPT = '<script>run("ä€😀")</script>\r\n';
const le = (text: string): Buffer => Buffer.from(text, 'utf16le');
const be = (text: string): Buffer => le(text).swap16();
const utf32 = (text: string, little: boolean): Buffer => {
  const points = [...text].map((c) => c.codePointAt(0)!);
  const out = Buffer.alloc(points.length * 4);
  for (const [i, point] of points.entries())
    if (little) out.writeUInt32LE(point, i * 4);
    else out.writeUInt32BE(point, i * 4);
  return out;
};
/** Everything but letters and digits shifted. */
const utf7 = (text: string): Buffer =>
  Buffer.from(
    text.replace(/[^A-Za-z0-9]+/g, (odd) => `+${be(odd).toString('base64').replace(/=+$/, '')}-`),
    'latin1',
  );

describe('MIM-138 what a text says', () => {
  it('in UTF-16 and UTF-32, by its mark, its NULs or its declaration', () => {
    for (const mark of ['\ufeff', ''])
      for (const bytes of [
        le(mark + SCRIPT),
        be(mark + SCRIPT),
        utf32(mark + SCRIPT, true),
        utf32(mark + SCRIPT, false),
      ])
        assert.equal(said(bytes), SCRIPT);
    for (const charset of ['utf-16', 'utf16le', 'ucs-2', 'unicode'])
      assert.equal(said(le(SCRIPT), { charset, types: ['png'] }), SCRIPT);
    for (const charset of ['utf-16', 'utf-16be']) assert.equal(said(be('日本語 text\n'), { charset }), '日本語 text\n');
    for (const charset of ['utf-32', 'utf-32le', 'ucs-4']) assert.equal(said(utf32(SCRIPT, true), { charset }), SCRIPT);
    assert.equal(said(be(SCRIPT), { charset: 'utf-16le' }), SCRIPT, 'its bytes count, not its name');
  });

  it('in UTF-7, by its declaration, a page of its own or its tags', () => {
    for (const charset of ['utf-7', 'unicode-1-1-utf-7', 'x-unicode-2-0-utf-7'])
      assert.equal(said(utf7(SCRIPT), { charset, types: ['base64'] }), SCRIPT);
    assert.equal(said(utf7(SCRIPT)), SCRIPT);
    const page = `<meta charset="utf-7">${utf7('ä+b').toString()} 1 +- 1 +AGE.`;
    assert.equal(said(Buffer.from(page), { types: ['html'] }), '<meta charset="utf-7">ä+b 1 + 1 a.');
  });

  it('in ISO-2022, with what designates and shifts left out', () => {
    const eicar = EICAR.toString();
    for (const [charset, breaks] of [
      ['iso-2022-jp', ['\x1b(B', '\x1b(J', '\x1b$B\x1b(B', '\x1b$@\x1b(J']],
      ['iso-2022-kr', ['\x0e\x0f', '\x1b$)C', '\x0f']],
      ['iso-2022-cn', ['\x1b$)A', '\x1b$*H', '\x0e\x0f']],
    ] as const)
      for (const piece of breaks)
        assert.equal(said(Buffer.from([...eicar].join(piece), 'latin1'), { charset }), eicar, JSON.stringify(piece));
    assert.equal(said(Buffer.from(eicar.replace('-', '\x1b(B-'), 'latin1')), eicar, 'undeclared');
    const colours = 'red \x1b[31mtext\x1b[0m\x1b\n';
    assert.equal(said(Buffer.from(`${colours}\x1b(B`)), colours, 'other sequences stay');
  });

  it('in HZ, whose line ends may be none', () => {
    assert.equal(said(Buffer.from([...EICAR.toString()].join('~\n')), { charset: 'hz-gb-2312' }), EICAR.toString());
    assert.equal(said(Buffer.from('a ~~ b'), { charset: 'hz-gb-2312' }), 'a ~ b');
  });

  it('what stands alone of a pair is replaced', () => {
    assert.equal(said(Buffer.concat([le('\ufeffa'), Buffer.from('3dd8', 'hex'), le('b\udc00')])), 'a\ufffdb\ufffd');
    assert.equal(said(Buffer.from('fffe0000ffffffff', 'hex')), '\ufffd');
  });

  it('keeps the name of the file', () => {
    assert.equal(said(le(`\ufeff${SCRIPT}`), { name: 'a.js' }), SCRIPT);
  });

  it('needs no second reading where the bytes say it', () => {
    for (const [bytes, known] of [
      [Buffer.from('plain text +ADh 1+1=2 ~ \x1b[1mbold\x1b[0m\r\n'), {}],
      [Buffer.from('plain text'), { charset: 'utf-7' }],
      [Buffer.from('plain text'), { charset: 'iso-2022-jp' }],
      [Buffer.from('plain text'), { charset: 'hz-gb-2312' }],
      [Buffer.from('<meta charset="utf-16">text'), { types: ['html'] }],
      [Buffer.from('größe', 'utf8'), { charset: 'utf-8' }],
      [Buffer.from('gr\xf6\xdfe', 'latin1'), { charset: 'iso-8859-1' }],
      [Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), { types: ['elf'] }],
      [Buffer.alloc(4096), {}],
      [Buffer.from('0102030405060708090a0b0c0d0e0f00'.repeat(40), 'hex'), {}],
      [Buffer.from([0xff, 0xfe, 0x41, 0, 0x42, 0]), { types: ['mp3'] }],
      [Buffer.alloc(0), { charset: 'utf-16' }],
    ] as const)
      assert.equal(said(bytes, known), undefined, bytes.toString('latin1', 0, 40));
  });
});

const WORDS = '日本語 <b>text</b> ~ + - 한국어 中文\nsecond line\n';
for (const [codec, charset, text] of [
  ['utf-7', 'utf-7', WORDS],
  ['utf-16', 'utf-16', WORDS],
  ['utf-16-be', 'utf-16be', WORDS],
  ['utf-32', 'utf-32', WORDS],
  ['iso2022_jp', 'iso-2022-jp', '日本語 <b>text</b>\n二\n'],
  ['iso2022_jp_2', 'iso-2022-jp-2', '日本語 <b>text</b>\n한 é\n'],
  ['iso2022_kr', 'iso-2022-kr', '한국어 <b>text</b>\n둘\n'],
  ['hz', 'hz-gb-2312', '中文 <b>te~xt</b>\n二\n'],
] as const)
  peerTest(`agrees with python's ${codec} on what is ASCII, and on all of Unicode's`, ['python3'], async () => {
    const code = `import sys; print(sys.stdin.buffer.read().decode('utf-8').encode('${codec}').hex())`;
    const encoded = run('python3', ['-c', code], { input: Buffer.from(text) });
    const got = said(Buffer.from(encoded.trim(), 'hex'), { charset });
    if (codec.startsWith('utf')) assert.equal(got, text);
    else assert.equal(got?.replace(/\ufffd|[^\0-\x7f]/g, ''), text.replace(/[^\0-\x7f]/g, ''));
  });
