import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { EICAR } from '../../../testing/archive-bytes.js';
import { type UnpackRecorder, unpackWith } from '../../../testing/unpack-recorder.js';
import { encodedTextUnpacker } from './encoded-text.js';

const texts = encodedTextUnpacker(DEFAULT_LIMITS);
const of = (text: string): Promise<UnpackRecorder> => unpackWith(texts, Buffer.from(text, 'latin1'));
const eicar = EICAR.toString();
const B64 = EICAR.toString('base64');
const script = (code: string): string =>
  `<!DOCTYPE html><html><body><script>\r\n${code}\r\n</script></body></html>\r\n`;
const found = async (text: string): Promise<string[]> => {
  const got = await of(text);
  assert.deepEqual(got.said, [], text);
  return got.texts;
};

describe('MIM-137 data URLs', () => {
  it('come out with the type that they say, and the name of a download', async () => {
    for (const [text, name, type] of [
      [
        `<a href="data:application/octet-stream;base64,${B64}" download="a.exe">x</a>`,
        'a.exe',
        'application/octet-stream',
      ],
      [`<a download='b c.exe' href='data:;base64,${B64}'>x</a>`, 'b c.exe', undefined],
      [`<A DOWNLOAD=c.exe HREF="DATA:Text/Plain;charset=x;BASE64,${B64}">x</A>`, 'c.exe', 'text/plain'],
      [`p { background: url(data:image/png;base64,${B64}) }`, undefined, 'image/png'],
      [`<svg><image href="data:image/svg+xml;base64,${B64}"/></svg>`, undefined, 'image/svg+xml'],
      [`open data:text/html;base64,${B64} now`, undefined, 'text/html'],
      [`<img src="data:image/gif;base64,${B64}"><a download="not-its.exe">`, undefined, 'image/gif'],
    ] as const) {
      const got = await of(text);
      assert.deepEqual(got.texts, [eicar], text);
      assert.deepEqual(got.said, []);
      assert.deepEqual([got.names[0], got.children[0]!.meta.declaredType], [name, type]);
    }
  });

  it('may be written over several lines, with percent escapes, without padding, in the URL alphabet', async () => {
    for (const body of [
      B64.replace(/.{20}/g, '$&\r\n  '),
      B64.replace(/[+/=]/g, (c) => `%${c.charCodeAt(0).toString(16)}`),
      B64.replace(/=+$/, ''),
      B64.replaceAll('+', '-').replaceAll('/', '_'),
      B64.replace(/./g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
    ])
      assert.deepEqual(await found(`<a href="data:x/y;base64,${body}">x</a>`), [eicar]);
  });

  it('end at a blank where they stand without quotes', async () => {
    assert.deepEqual(await found(`see data:x/y;base64,QUJDREVGRw== and more words`), ['ABCDEFG']);
  });

  it('are found behind ten thousand that say nothing, and many of them are a limit', async () => {
    assert.deepEqual(await found(`${'data:;base64, '.repeat(20_000)}data:;base64,${B64}`), [eicar]);
    const got = await unpackWith(texts, Buffer.from('<img src="data:;base64,QUJDREVGRw==">'.repeat(10_001)), {
      files: 20_000,
    });
    assert.deepEqual(got.said, ['unscannable:limit']);
    assert.equal(got.children.length, 10_000);
  });
});

describe('MIM-137 scripts that build a file in a web page', () => {
  it('strings of base64 come out', async () => {
    const half = B64.slice(0, 40);
    const rest = B64.slice(40);
    for (const code of [
      `var b = atob('${B64}');`,
      `const b = window.atob( "${B64}" )`,
      `var file = '${B64}';`,
      `var file = \`${B64.replace(/.{64}/, '$&\n')}\`;`,
      `var b = atob("${half}" +\n  "${rest}");`,
      `var b = atob('${half}\\\n${rest}');`,
      `var b = atob("${B64.replaceAll('/', '\\/')}");`,
      `$bytes = [Convert]::FromBase64String("${B64}")`,
      `var file = '${EICAR.toString('hex')}';`,
    ])
      assert.deepEqual(await found(script(code)), [eicar], code);
  });

  it('lists of numbers come out', async () => {
    const numbers = [...EICAR];
    for (const code of [
      `var b = new Uint8Array([${numbers.join(',')}]);`,
      `var b = [ ${numbers.map((n) => `0x${n.toString(16)}`).join(', ')}, ];`,
      `var b = [\n${numbers.map((n) => `    ${n}`).join(',\r\n')}\n];`,
      `s = String.fromCharCode(${numbers.join(',')});`,
      `[Byte[]] $b = ${numbers.map((n) => `0x${n.toString(16).toUpperCase()}`).join(',')};`,
    ])
      assert.deepEqual(await found(script(code)), [eicar], code);
    const high = Buffer.concat([Buffer.from([0x4d, 0x5a, 0x90, 0xff]), EICAR]);
    const got = await of(script(`new Int8Array([${[...high].map((n) => (n > 127 ? n - 256 : n)).join(',')}])`));
    assert.deepEqual(got.children[0]!.bytes, high);
  });

  it('are looked for in what is a script by its type, and in what has a mark of one', async () => {
    const text = Buffer.from(`x = "${B64}"\n`);
    const content = { length: text.length, bytes: text, read: (at: number, n: number) => text.subarray(at, at + n) };
    for (const type of ['javascript', 'html', 'hta', 'genscript', 'python'])
      assert.equal(texts.accepts([type], content), true, type);
    for (const type of ['unknown', 'c/cpp', 'registry']) assert.equal(texts.accepts([type], content), false, type);
    assert.deepEqual(await found(`${text.toString()}${' '.repeat(600_000)}<script>run(x)</script>`), [eicar]);
  });

  it('need sixty-four letters or numbers, but for the argument of atob', async () => {
    const numbers = (count: number): string => `[${'65,'.repeat(count - 1)}65]`;
    assert.deepEqual(await found(script(`a = ${numbers(64)}`)), ['A'.repeat(64)]);
    assert.deepEqual(await found(script(`a = ${numbers(63)}`)), []);
    assert.deepEqual(await found(script(`a = '${'dGVzdDE5'.repeat(8)}'`)), ['test19'.repeat(8)]);
    assert.deepEqual(await found(script(`a = '${'dGVzdDE5'.repeat(7)}dGVzdDE'`)), []);
    // Paths and words are no packed data.
    assert.deepEqual(await found(script(`a = '${'path/to/'.repeat(16)}'`)), []);
    assert.deepEqual(await found(script(`a = atob('QUFB')`)), ['AAA']);
  });

  it('a list that has any other number is none', async () => {
    for (const one of ['256', '-129', '0x100', '1.5', '1e3', ''])
      assert.deepEqual(await found(script(`a = [${'65,'.repeat(100)}${one},${'65,'.repeat(20)}1]`)), [], one);
  });
});

it('looks at each byte of a text a fixed number of times, however it is made', async () => {
  const size = 1 << 20;
  for (const piece of [
    'begin 644 x\n',
    '<~',
    '<~~',
    `"${'A'.repeat(63)}`,
    `[${'1,'.repeat(63)}`,
    ';base64,',
    "atob('",
    '(This file must be converted)\n',
    `${'1'.repeat(127)} `,
    '"AAAA\\\n',
  ]) {
    let read = 0;
    const text = Buffer.from(`<script>${piece.repeat(size / piece.length)}`);
    const content = {
      length: text.length,
      bytes: undefined,
      read(at: number, length: number) {
        const bytes = text.subarray(at, at + length);
        read += bytes.length;
        return bytes;
      },
    };
    texts.accepts(['html'], content);
    assert.ok(read < 64 * size, `${JSON.stringify(piece.slice(0, 20))}: ${(read / size).toFixed(1)}`);
  }
});
