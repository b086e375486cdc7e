/**
 * Ways of writing a mail with one attachment so that its readers differ, by the rows of our list of evasions (MIM-*). For tests: the caller
 * says what is attached, and asserts that it is found or that the mail is refused.
 */
import { Buffer } from 'node:buffer';

const TYPE = 'Content-Type: application/octet-stream; name=att';
const DISPOSITION = 'Content-Disposition: attachment; filename=a.exe';
const MULTIPART = 'multipart/mixed; boundary=foo';

/** The recipe: a text part and an attachment, `body` under `headers`. */
export function mail(headers: readonly string[], body: string, type: string = MULTIPART, boundary = 'foo'): string {
  return [
    'From: a@x.test',
    'MIME-Version: 1.0',
    `Content-Type: ${type}`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain',
    '',
    'hello',
    `--${boundary}`,
    ...headers,
    '',
    body,
    `--${boundary}--`,
    '',
  ].join('\r\n');
}
const CTE = 'Content-Transfer-Encoding';

/** By row: its variants, in latin1. `payload` is attached as a.exe. */
export function ambiguousMail(payload: Buffer): Readonly<Record<string, readonly string[]>> {
  const text = payload.toString('latin1');
  const B64 = payload.toString('base64');
  const LINES = B64.replace(/.{60}/g, '$&\r\n');
  const QUADS = B64.match(/.{4}/g)!;
  const QP = payload.toString('hex').replace(/../g, (byte) => `=${byte.toUpperCase()}`);
  const perChar = (junk: string): string => [...B64].join(junk);
  const base64 = (body: string): string => mail([TYPE, DISPOSITION, 'Content-Transfer-Encoding: base64'], body);
  const quoted = (body: string): string =>
    mail([TYPE, DISPOSITION, 'Content-Transfer-Encoding: quoted-printable'], body);
  const cte = (...lines: string[]): string => mail([TYPE, ...lines, DISPOSITION], LINES);
  const gap = (between: string): string => base64(LINES).replace('base64\r\n\r\n', `base64${between}`);
  const type = (value: string, boundary = 'foo'): string =>
    mail([TYPE, DISPOSITION, 'Content-Transfer-Encoding: base64'], LINES, value, boundary);

  return {
    'MIM-001 canonical base64': [base64(LINES)],
    'MIM-002 junk after every character': ['#', '.', ':', '%'].map((junk) => base64(perChar(junk))),
    'MIM-003 a minus after every character': [base64(perChar('-'))],
    'MIM-004 an underscore after every character': [base64(perChar('_'))],
    'MIM-006 = inside each quad': [base64(QUADS.map((quad) => `${quad.slice(0, 2)}=${quad.slice(2)}`).join(''))],
    'MIM-007 a leading = or ====': [base64(`=${LINES}`), base64(`====\r\n${LINES}`)],
    'MIM-009 two padded chunks': [
      base64(payload.subarray(0, 1).toString('base64') + payload.subarray(1).toString('base64')),
    ],
    'MIM-012 a phase shift before the data': ['A', 'AB', 'ABC'].map((prefix) => base64(`${prefix}\r\n\r\n${LINES}`)),
    'MIM-013 four characters and junk a line': ['A', 'AB', 'ABC'].map((junk) =>
      base64(QUADS.map((quad) => `${quad}${junk}`).join('\r\n')),
    ),
    'MIM-014 # and false data after each quad': [base64(QUADS.map((quad) => `${quad}#QUJD`).join('\r\n'))],
    'MIM-015 a character a line': [base64(perChar('\r\n\r\n'))],
    'MIM-016 a blank or CR after every character': [' ', '\t', '\x0b', '\r'].map((blank) => base64(perChar(blank))),
    'MIM-017 padding in the wrong place': [
      base64(LINES.replace(/(.)(.)==$/, '$1=$2=')),
      base64(LINES.replace(/(.)(.)==$/, '$1==$2')),
    ],
    'MIM-020 a begin-base64 line': [base64(`begin-base64 744 f.pdf\r\n${LINES}\r\n====`)],
    'MIM-021 NUL after every character': [base64(perChar('\0'))],
    'MIM-022 8-bit characters between': [base64(perChar('\xe9'))],
    'MIM-023 lines that are no multiple of four': [3, 5, 6].map((columns) =>
      base64(B64.replace(new RegExp(`.{${columns}}`, 'g'), '$&\r\n')),
    ),
    'MIM-025 mixed line lengths': [base64(B64.replace(/(.{4})(.{20})(.{8})/g, '$1\r\n$2\r\n$3\r\n'))],
    'MIM-030 lower-case hex': [quoted(QP.toLowerCase()), quoted(QP.replace(/=.[A-F]/g, (pair) => pair.toLowerCase()))],
    'MIM-032 blanks after a soft break': [
      quoted(QP.replace(/(=..){20}/g, '$&= \r\n')),
      quoted(QP.replace(/(=..){20}/g, '$&=\t\r\n')),
    ],
    'MIM-035 a line over 998 characters': [quoted(`${'x'.repeat(2000)}${text}  \t `)],
    'MIM-037 an unfinished escape at the end': ['=', '=2', '=@'].map((end) => quoted(QP + end)),
    'MIM-042 three transfer encodings': [
      cte(`${CTE}: base64`, `${CTE}: base64`, `${CTE}: x`),
      cte(`${CTE}: x`, `${CTE}: base64`, `${CTE}: base64`),
    ],
    'MIM-043 two in one value': ['base64,quoted-printable', 'quoted-printable base64'].map((value) =>
      cte(`${CTE}: ${value}`),
    ),
    'MIM-044 an empty or unknown one first or last': [
      cte(`${CTE}:`, `${CTE}: base64`),
      cte(`${CTE}: base64`, `${CTE}:`),
      cte(`${CTE}: xxx`, `${CTE}: base64`),
    ],
    'MIM-046 two colons, none': [cte(`${CTE}:: base64`), cte(`${CTE} base64`), cte(`${CTE} : base64`)],
    'MIM-047 a blank or NUL before the name': [cte(` ${CTE}: base64`), cte(`\0${CTE}: base64`)],
    'MIM-048 NUL in the value': ['\0base64', 'bas\0e64', 'base64\0'].map((value) => cte(`${CTE}: ${value}`)),
    'MIM-049 VT or CR about the colon': [
      cte(`${CTE}:\x0bbase64`),
      cte(`${CTE}:\rbase64`),
      cte(`X: y\r${CTE}: base64`),
      cte(`\r${CTE}: base64`),
    ],
    'MIM-051 comments': ['(xx) base64', 'bas()e64', 'bas(\r\n )e64', 'base64 (xx)'].map((value) =>
      cte(`${CTE}: ${value}`),
    ),
    'MIM-052 folded within the token': [cte(`${CTE}: bas\r\n e64`)],
    'MIM-054 quotes and the like': [
      '"quote"d',
      '"base64"',
      'base\\64',
      'x-base64',
      'base645',
      'base64-',
      'xxbase64',
      'base64xx',
    ].map((value) => cte(`${CTE}: ${value}`)),
    'MIM-055 an encoded word': [cte(`${CTE}: =?UTF-8?B?YmFzZTY0?=`)],
    'MIM-056 a junk line before': ['junk', 'j\xfcnk', ' ', '\t'].map((line) => cte(line, `${CTE}: base64`)),
    'MIM-057 encoded multiparts and messages': [
      type(MULTIPART).replace('MIME-Version', `${CTE}: base64\r\nMIME-Version`),
      mail(['Content-Type: message/rfc822', `${CTE}: base64`], Buffer.from(base64(LINES)).toString('base64')),
    ],
    'MIM-058 an unknown one': ['8bits', 'plain', 'binary64'].map((value) => cte(`${CTE}: ${value}`)),
    'MIM-060 no empty line': [gap('\r\n')],
    'MIM-061 an empty line with blanks': [' ', '\t', '\x0b'].map((blank) => gap(`\r\n${blank}\r\n`)),
    'MIM-062 the first quads in the header': [gap('\r\nABCD\r\n\r\n')],
    'MIM-063 a header that begins with an odd line': ['\r', '\n', '\x0b', ':', ' '].map((line) =>
      mail([`${line}\r\n${TYPE}`, `${CTE}: base64`], LINES),
    ),
    'MIM-064 other ends of the header': ['\r\n\r', '\r\n\n', '\r\r\n', '\n\r\n', '\n\n', '\n\r'].map((ends) =>
      gap(ends),
    ),
    'MIM-065 other line ends in the header': ['\n', '\r', '\n\r', '\r\r\n', '\r\n\n', '\r\n\r'].map((end) =>
      mail([[TYPE, `${CTE}: base64`, DISPOSITION].join(end)], LINES),
    ),
    'MIM-067 a header beyond the limit': [
      mail(
        [`${'X'.repeat(1200)}: y`, ...Array.from({ length: 100_000 }, () => 'X: yyyyyyyy'), TYPE, `${CTE}: base64`],
        LINES,
      ),
      mail([TYPE, `X: ${'y'.repeat(1024 * 1024)}`, `${CTE}: base64`], LINES),
    ],
    'MIM-069 8-bit in names and values, a BOM': [
      mail([TYPE, `X\xe9: \xe9`, `${CTE}: base64`], LINES),
      mail([TYPE, `${CTE}: base64\xe9`], LINES),
      `\xef\xbb\xbf${base64(LINES)}`,
      `\xef\xbb\xbf${type(MULTIPART).slice(type(MULTIPART).indexOf('Content-Type'))}`,
    ],
    'MIM-081 two boundaries': [
      type(`multipart/mixed; boundary=foo; boundary=bad`),
      type('multipart/mixed; boundary=bad; boundary=foo'),
    ],
    'MIM-083 boundary and boundary*': [
      "boundary=bad; boundary*=''foo",
      "boundary*=''foo; boundary=bad",
      "boundary=foo; boundary*=''bad",
      "boundary*=''bad; boundary=foo",
    ].map((parameters) => type(`multipart/mixed; ${parameters}`)),
    'MIM-084 a boundary in pieces': [
      'boundary*0=f; boundary*1=oo',
      'boundary*1=oo; boundary*0=f',
      'boundary*0=foo; boundary*0=bad',
      'boundary*0=f; boundary*2=oo',
    ].map((parameters) => type(`multipart/mixed; ${parameters}`)),
    'MIM-085 a boundary in UTF-16': [
      type("multipart/mixed; boundary*=UTF-16BE''%00f%00o%00o"),
      type("multipart/mixed; boundary*=UTF-16LE''f%00o%00o%00"),
    ],
    'MIM-086 a boundary as an encoded word': [
      type('multipart/mixed; boundary="=?us-ascii?Q?foo?="'),
      type('multipart/mixed; boundary="=?us-ascii?Q?foo?="', '=?us-ascii?Q?foo?='),
    ],
    'MIM-087 comments about the boundary': [
      'bound()ary=foo',
      'boundary()=foo',
      'boundary=(c)foo',
      'boundary=foo(c)',
    ].map((parameter) => type(`multipart/mixed; ${parameter}`)),
    'MIM-088 blanks about the =': [
      'boundary =foo',
      'boundary= foo',
      'boundary=\r\n foo',
      'boundary\t=foo',
      'boundary\\=foo',
    ].map((parameter) => type(`multipart/mixed; ${parameter}`)),
    'MIM-089 semicolons missing, commas, another parameter': [
      'multipart/mixed boundary=foo',
      'multipart/mixed, boundary=foo',
      'multipart/mixed; x="a;boundary=foo"',
      'multipart/mixed; x="a;boundary=foo"; boundary=bad',
    ].map((value) => type(value)),
    'MIM-090 quotes without an end and within': [
      type('multipart/mixed; boundary="foo'),
      type('multipart/mixed; boundary="foo"bar'),
      type('multipart/mixed; boundary="fo\\o"'),
      type('multipart/mixed; boundary=f"o"o'),
    ],
    'MIM-091 a semicolon in the boundary': [
      type('multipart/mixed; boundary=foo;bar'),
      type('multipart/mixed; boundary="foo;bar"'),
      type('multipart/mixed; boundary="foo\\;bar"'),
    ],
    'MIM-092 blanks, CR or NUL at the end of the boundary': [
      ...[' ', '\r', '\0'].map((end) => type(`multipart/mixed; boundary="foo${end}"`)),
      ...[' ', '\r', '\0'].map((end) => type(MULTIPART, `foo${end}`)),
    ],
    'MIM-093 an empty boundary': [type('multipart/mixed; boundary=""', ''), type('multipart/mixed; boundary=" "', '')],
    'MIM-094 a folded boundary': ['abc', 'abcdef', 'abc def'].map((boundary) =>
      type('multipart/mixed; boundary="abc\r\n def"', boundary),
    ),
    'MIM-095 delimiters that only begin like one': ['fooX', 'foo X', 'foo-', 'foo\x0b'].map((boundary) =>
      type(MULTIPART, boundary),
    ),
    'MIM-100 inner and outer boundary alike': ['foo', 'foobar', 'fo'].map((inner) =>
      mail(
        [`Content-Type: multipart/mixed; boundary=${inner}`, '', `--${inner}`, TYPE, `${CTE}: base64`],
        `${LINES}\r\n--${inner}--`,
      ),
    ),
    'MIM-101 a delimiter in a header': ['--foo', '--foo--'].map((line) => mail([TYPE, line, `${CTE}: base64`], LINES)),
    'MIM-102 the outer boundary in inner base64': [
      mail(
        ['Content-Type: multipart/mixed; boundary=foo', '', '--foo', TYPE, `${CTE}: base64`],
        `${LINES.slice(0, 40)}\r\n--#%\r\n${LINES.slice(40)}\r\n--foo--`,
        'multipart/mixed; boundary="#%"',
        '#%',
      ),
    ],
    'MIM-103 no close delimiter': [base64(LINES).replace('--foo--\r\n', '')],
    'MIM-105 an attachment in the epilogue': [
      `${mail(['Content-Type: text/plain'], 'x')}--foo\r\n${TYPE}\r\n${CTE}: base64\r\n\r\n${LINES}\r\n--foo--\r\n`,
    ],
    'MIM-109 long boundaries': [71, 256, 4096, 5000].map((length) =>
      type(`multipart/mixed; boundary=${'b'.repeat(length)}`, 'b'.repeat(length)),
    ),
    'MIM-113 fifty messages in messages': [
      `${'Content-Type: message/rfc822\r\n\r\n'.repeat(50)}${base64(LINES)}`,
      `${'Content-Type: message/rfc822\r\n\r\n'.repeat(20)}${base64(LINES)}`,
    ],
    'MIM-114 a fragment': [mail(['Content-Type: message/partial; id=1; number=1; total=3'], LINES.slice(0, 20))],
    'MIM-116 a digest': [mail([], base64(LINES).replaceAll('foo', 'bar'), 'multipart/digest; boundary=foo')],
    'MIM-117 an attached message by its name': [
      mail(['Content-Type: application/octet-stream; name=a.eml'], base64(LINES).replaceAll('foo', 'bar')),
    ],
    'MIM-119 what needs a key': [
      type('multipart/encrypted; boundary=foo'),
      mail(['Content-Type: application/pkcs7-mime; smime-type=enveloped-data', `${CTE}: base64`], 'QUJD'),
    ],
    'MIM-131 uuencode': ['x-uuencode', 'uue', 'x-uue', 'x-uu'].flatMap((encoding) => [
      mail([TYPE, `${CTE}: ${encoding}`], `begin 644 a.exe\r\n${uuencode(payload)}\`\r\nend`),
      mail([TYPE, `${CTE}: ${encoding}`], uuencode(payload)),
    ]),
  };
}

/** Ways of hiding a file in a mail about which there is nothing odd to one who believes what it says. By name. */
export function hiddenMail(payload: Buffer): Readonly<Record<string, string>> {
  const lines = payload.toString('base64').replace(/.{60}/g, '$&\r\n');
  const usual = mail([TYPE, DISPOSITION, `${CTE}: base64`], lines);
  const top = 'From: a@x.test\r\nTo: b@x.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n';
  return {
    'parts without a Content-Type above them': usual.replace(`Content-Type: ${MULTIPART}\r\n`, ''),
    'a multipart that says it is text': usual.replace('multipart/mixed', 'text/plain'),
    'a multipart of a type that nobody knows': usual.replace('multipart/mixed', 'x-multipart/mixed'),
    'parts in a message that is attached without a Content-Type': mail(
      ['Content-Type: message/rfc822'],
      `Subject: x\r\n\r\n--bar\r\n${TYPE}\r\n${CTE}: base64\r\n\r\n${lines}\r\n--bar--`,
    ),
    'a header that ends before it says how to read the body': `${top}Content-Type: text/plain\r\n\r\n${CTE}: base64\r\n\r\n${lines}`,
    'base64 and nothing else': `${top}\r\n${lines}`,
    'an encoding given as a parameter': mail([`${TYPE}; ${CTE}=base64`], lines),
    'the name of the field as an encoded word': usual.replace(CTE, `=?utf-8?q?${CTE}?=`),
    'base64 of base64': mail([TYPE, `${CTE}: base64`], Buffer.from(lines).toString('base64')),
    'quoted-printable of base64': mail(
      [TYPE, `${CTE}: quoted-printable`],
      lines.replace(/[A-Z]/g, (letter) => `=${letter.charCodeAt(0).toString(16).toUpperCase()}`),
    ),
    'uuencode in a text': `${top}\r\nhello\r\nbegin 644 a.exe\r\n${uuencode(payload)}\`\r\nend\r\n`,
  };
}

function uuencode(bytes: Buffer): string {
  const char = (six: number): string => (six === 0 ? '`' : String.fromCharCode(six + 0x20));
  let lines = '';
  for (let at = 0; at < bytes.length; at += 45) {
    const line = bytes.subarray(at, at + 45);
    lines += char(line.length);
    for (let quad = 0; quad < line.length; quad += 3) {
      const whole = ((line[quad]! << 16) | ((line[quad + 1] ?? 0) << 8) | (line[quad + 2] ?? 0)) >>> 0;
      for (const shift of [18, 12, 6, 0]) lines += char((whole >> shift) & 0x3f);
    }
    lines += '\r\n';
  }
  return lines;
}
