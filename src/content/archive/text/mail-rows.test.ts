/** Rows MIM-131 to MIM-139 of our list of evasions, from message to verdict; and as much harmless mail that is written in the same ways. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, test } from 'node:test';
import { EICAR } from '../../../testing/archive-bytes.js';
import { ascii85Of, binHexOf, btoaOf, uuOf, XX_LETTERS } from '../../../testing/encoded-bytes.js';
import { base64Lines, judging, mailWith } from '../../../testing/judging.js';

const judge = judging();
after(() => judge.close());

const LETTER = Buffer.from('Dear Bob,\r\n\r\nhere are the figures of this month: 12, 17 and 25.\r\n');
const PICTURE = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), Buffer.alloc(60, 7)]);
const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le');
const utf7 = (text: string): string =>
  text.replace(
    /[^A-Za-z0-9 \r\n]+/g,
    (odd) => `+${Buffer.from(odd, 'utf16le').swap16().toString('base64').replace(/=+$/, '')}-`,
  );
const attached = (type: string, name: string, body: string, encoding = 'base64'): string =>
  mailWith(
    [
      `Content-Type: ${type}; name="${name}"`,
      `Content-Transfer-Encoding: ${encoding}`,
      `Content-Disposition: attachment; filename="${name}"`,
    ],
    encoding === 'base64' ? base64Lines(body) : body,
  );
const shown = (type: string, body: Buffer | string): string =>
  mailWith([`Content-Type: ${type}`, 'Content-Transfer-Encoding: base64'], base64Lines(body));
const page = (inner: string): string => `<!DOCTYPE html><html><body>${inner}</body></html>\r\n`;
const wide32 = (text: string): Buffer => {
  const out = Buffer.alloc(text.length * 4);
  for (let i = 0; i < text.length; i++) out.writeUInt32LE(text.charCodeAt(i), i * 4);
  return out;
};

/** Ways to carry `bytes`; the harmless file goes every way that the virus goes. */
const ROWS: Readonly<Record<string, (bytes: Buffer) => readonly string[]>> = {
  'MIM-131 uuencode as transfer encoding': (bytes) =>
    ['x-uuencode', 'uue', 'x-uue', 'x-uu'].map((encoding) =>
      attached('application/octet-stream', 'a.dat', uuOf(bytes), encoding),
    ),
  'MIM-132 uuencode within base64, and in a text': (bytes) => [
    attached('application/octet-stream', 'a.uu', uuOf(bytes)),
    mailWith(['Content-Type: text/plain'], 'x', `Hi\r\n\r\n${uuOf(bytes)}`),
  ],
  'MIM-134 BinHex': (bytes) => [
    attached('application/mac-binhex40', 'a.hqx', binHexOf({ data: bytes }), '7bit'),
    attached('application/mac-binhex40', 'a.hqx', binHexOf({ resource: bytes })),
    mailWith(['Content-Type: text/plain'], 'x', `Hi\r\n\r\n${binHexOf({ data: bytes })}`),
  ],
  'MIM-136 xxencode, begin-base64, btoa and Ascii85': (bytes) =>
    [
      uuOf(bytes, 'a.dat', '\r\n', XX_LETTERS),
      `begin-base64 644 a.dat\r\n${base64Lines(bytes)}\r\n====\r\n`,
      btoaOf(bytes, '\r\n'),
      `<~${ascii85Of(bytes)}~>\r\n`,
    ].flatMap((text) => [mailWith(['Content-Type: text/plain'], text), attached('text/plain', 'a.txt', text)]),
  'MIM-137 data URLs and scripts in a page': (bytes) =>
    [
      `<a href="data:application/octet-stream;base64,${bytes.toString('base64')}" download="a.dat">open</a>`,
      `<img src="data:image/png;base64,${bytes.toString('base64')}">`,
      `<script>var b = new Blob([atob("${bytes.toString('base64')}")]);</script>`,
      `<script>var b = new Blob([new Uint8Array([${[...bytes].join(',')}])]);</script>`,
    ].flatMap((inner) => [
      shown('text/html; charset=utf-8', page(inner)),
      attached('text/html', 'a.html', page(inner)),
    ]),
  'MIM-138 a script in UTF-7, UTF-16, UTF-32, ISO-2022': (bytes) => {
    const text = bytes.toString('latin1');
    return [
      shown('text/plain; charset=utf-7', utf7(text)),
      shown('text/html; charset=utf-7', utf7(page(text))),
      shown('text/html', `<meta charset=utf-7>${utf7(text)}`),
      shown('text/plain; charset=utf-16', utf16(text)),
      shown('text/plain; charset=utf-16le', utf16(text).subarray(2)),
      shown('text/plain', utf16(text)),
      shown('text/html; charset="utf-16be"', Buffer.from(utf16(text)).swap16()),
      shown('text/plain; charset=utf-32', wide32(text)),
      attached('text/plain; charset=iso-2022-kr', 'a.txt', `\x1b$)C${[...text].join('\x0e\x0f')}`),
      attached('text/plain; charset=iso-2022-jp', 'a.txt', [...text].join('\x1b(B')),
      attached('application/octet-stream', 'a.js', utf16(text).toString('latin1'), 'binary'),
    ];
  },
};

for (const [row, ways] of Object.entries(ROWS)) {
  test(`${row}: found`, async () => {
    for (const [way, message] of ways(EICAR).entries()) {
      const { verdict, action, records } = await judge(message);
      assert.deepEqual([action, verdict], ['block', 'infected'], `${way}: ${records.join()}`);
    }
  });
  test(`${row}: a harmless file is clean`, async () => {
    for (const bytes of [LETTER, PICTURE])
      for (const [way, message] of ways(bytes).entries()) {
        // A picture is no text in any charset.
        if (bytes === PICTURE && row.startsWith('MIM-138')) continue;
        const { verdict, action } = await judge(message);
        assert.deepEqual([action, verdict], ['pass', 'clean'], `${way}: ${message}`);
      }
  });
}

test('MIM-139 an unknown, empty or second charset: the virus is found, and the page is odd or malformed without one', async () => {
  for (const charset of ['x-martian', '', '""', 'utf-8; charset=utf-7', 'utf-7; charset=utf-8']) {
    const carrying = (text: string) =>
      shown(`text/html; charset=${charset}`, charset.includes('7') ? utf7(page(text)) : page(text));
    assert.equal((await judge(carrying(EICAR.toString()))).verdict, 'infected', charset);
    assert.match((await judge(carrying('hello'))).verdict, /^(malformed|clean) mime-charset-/, charset);
  }
});

test('MIM-139 what harmless mail says of its charset is no oddity', async () => {
  for (const charset of [
    'utf-8',
    'UTF8',
    '"iso-8859-1"',
    'us-ascii',
    'windows-1252',
    'iso-2022-jp',
    'ks_c_5601-1987',
    'unknown-8bit',
    'utf-8; charset="UTF-8"',
  ])
    for (const type of ['text/plain', 'text/html'])
      assert.equal((await judge(shown(`${type}; charset=${charset}`, page('Guten Tag')))).verdict, 'clean', charset);
});

test('harmless mail that has such things in it is clean', async () => {
  const picture = PICTURE.toString('base64');
  for (const message of [
    shown('text/html; charset=utf-8', page(`<img src="data:image/png;base64,${picture}">`.repeat(200))),
    shown(
      'text/css',
      `.icon { background: url(data:image/svg+xml;base64,${Buffer.from('<svg/>').toString('base64')}) }`,
    ),
    attached(
      'text/javascript',
      'a.js',
      `//# sourceMappingURL=data:application/json;base64,${Buffer.from('{"version":3}').toString('base64')}\n`,
    ),
    attached(
      'application/json',
      'lock.json',
      JSON.stringify({ integrity: `sha512-${'Ab0+'.repeat(21)}==`, sizes: Array.from({ length: 99 }, (_, i) => i) }),
    ),
    attached(
      'text/plain',
      'notes.txt',
      'To decode: begin 644 is the first line, <~ and ~> are marks, data:;base64, begins a URL.\r\n',
    ),
    shown('text/plain; charset=iso-2022-jp', '\x1b$B$3$s$K$A$O\x1b(B world\r\n\x1b$BF|K\\8l\x1b(B\r\n'),
    shown('text/plain; charset=iso-2022-kr', '\x1b$)C\r\n\x0e>H3g\x0f hello\r\n'),
    shown('text/plain; charset=utf-16', utf16('Grüße aus Köln\r\n')),
    attached(
      'application/octet-stream',
      'export.reg',
      utf16('Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\A]\r\n').toString('latin1'),
      'binary',
    ),
  ])
    assert.equal((await judge(message)).verdict, 'clean', message);
});
