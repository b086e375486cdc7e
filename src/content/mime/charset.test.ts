import assert from 'node:assert/strict';
import { test } from 'node:test';
import { charsetOf } from './charset.js';
import { parseParameters } from './header-parameters.js';

function read(value: string): [string | undefined, string[]] {
  const noted: string[] = [];
  const { token, parameters } = parseParameters(value);
  return [charsetOf(token, parameters, { note: (code) => noted.push(code) }), noted];
}

test('a charset that readers know is no oddity, however it is called', () => {
  const names =
    'utf-8 UTF8 us-ascii ascii iso-8859-1 ISO-8859-15 windows-1252 cp1252 cp850 ibm850 koi8-r gb2312 gbk gb18030 big5 shift_jis';
  const more =
    'euc-kr ks_c_5601-1987 iso-2022-jp iso-2022-kr hz-gb-2312 utf-7 utf-16 utf-32le unicode unknown-8bit x-unknown ansi macintosh x-mac-roman';
  for (const name of `${names} ${more} tis-620 latin1 iso-8859-8-i cp932 windows-31j utf-8mb4`.split(' '))
    for (const type of ['text/html', 'text/plain'])
      for (const quote of ['', '"'])
        assert.deepEqual(read(`${type}; charset=${quote}${name}${quote}`), [name.toLowerCase(), []]);
  assert.deepEqual(read('text/html'), [undefined, []]);
  assert.deepEqual(read("text/html; charset*=us-ascii'en'utf-8"), ['utf-8', []]);
});

test('MIM-139 a page in a charset that nobody knows, or in none, is noted; EBCDIC is one of them', () => {
  for (const name of ['x-martian', '""', '', 'cp037', 'ibm500', 'utf', '8859'])
    assert.deepEqual(read(`text/html; charset=${name}`)[1], ['mime-charset-unknown'], name);
  assert.deepEqual(read('text/plain; charset=x-martian'), ['x-martian', []]);
});

test('MIM-139 two charsets that differ are noted, and the one that hides more is read', () => {
  assert.deepEqual(read('text/plain; charset=utf-8; charset=UTF-7'), ['utf-7', ['mime-charset-duplicate']]);
  assert.deepEqual(read("text/html; charset=utf-8; charset*=''utf-16"), ['utf-16', ['mime-charset-duplicate']]);
  assert.deepEqual(read('text/html; charset=utf-8; charset="UTF-8"'), ['utf-8', []]);
  assert.deepEqual(read('image/png; charset=utf-8; charset=binary'), ['utf-8', []]);
});
