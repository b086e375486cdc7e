import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arena } from '../../core/arena.js';
import { DEFAULT_LIMITS, type Limits } from '../../core/limits.js';
import { codesOf, type RecordedChild, RecordingContainer } from '../../testing/recording-container.js';
import { MIME_ANOMALIES, type MimeAnomaly } from './anomalies.js';
import { createMimeExtractor } from './mime-extractor.js';

const arena = new Arena(64);
const extractor = createMimeExtractor({ arena, limits: DEFAULT_LIMITS });
/** In the arena, for chunks that lie there. */
const place = arena.claim(1024 * 1024);

type Way = 'elsewhere' | 'in the arena' | 'in the arena, with slots';

interface Run {
  readonly pieces?: number;
  readonly cut?: number;
  readonly way?: Way;
  readonly complete?: boolean;
}

function run(message: Buffer, { pieces, cut, way = 'elsewhere', complete = true }: Run = {}): RecordingContainer {
  const container = new RecordingContainer({ extractor, arena, slot: way === 'in the arena, with slots' ? 4096 : 0 });
  const stage = extractor.begin(container);
  const ends: number[] = [];
  if (cut !== undefined) ends.push(cut);
  else for (let at = pieces ?? message.length; at < message.length; at += pieces ?? message.length) ends.push(at);
  ends.push(message.length);
  let start = 0;
  for (const end of ends) {
    if (way === 'elsewhere') {
      // What lies around a chunk is not the chunk's: it must never be looked at.
      const around = Buffer.alloc(end - start + 40, '\r\n--foo\r\n');
      message.copy(around, 20, start, end);
      stage.write(around, 20, 20 + end - start);
    } else {
      message.copy(arena.bytes, place, start, end);
      stage.write(arena.bytes, place, place + end - start);
    }
    start = end;
  }
  stage.finish(complete);
  return container;
}

/** What a run did, as lines: one for each file, indented by depth, with what was found in it below. */
function trace(container: RecordingContainer): string[] {
  const lines: string[] = [];
  const visit = (children: readonly RecordedChild[], indent: string): void => {
    for (const child of children) {
      const { name, declaredType, span, attachment } = child.meta;
      const gaps = child.gaps.map(([at, length]) => ` gap ${length} at ${at}`).join('');
      lines.push(
        `${indent}${name ?? '-'} ${declaredType}${attachment === true ? ' attached' : ''} [${span?.start} ${span?.body} ${child.spanEnd}]${
          child.ended === 'end' ? '' : ` ${child.ended}`
        }${gaps} ${JSON.stringify(child.bytes.toString('latin1'))}`,
      );
      for (const code of codesOf(child.findings).sort()) lines.push(`${indent}  ! ${code}`);
      visit(child.children, `${indent}  `);
    }
  };
  visit(container.children, '');
  for (const code of container.codes.sort()) lines.push(`! ${code}`);
  return lines;
}

const short = (line: string): string => line.replace(/\[\d+ \d+ \d+\] /, '');
const message = (...lines: string[]): Buffer => Buffer.from(lines.join('\r\n'), 'latin1');
const mixed = 'Content-Type: multipart/mixed; boundary=foo';
/** A message of one part, whose header lines and body are given. */
const one = (...lines: string[]): Buffer => message(mixed, '', '--foo', ...lines, '--foo--', '');

/** What is expected: the trace without spans. */
const TABLE: readonly [title: string, message: Buffer, expected: readonly string[]][] = [
  [
    'a message without parts is one file, its last line end included',
    message('Subject: hi', '', 'Hello', ''),
    ['- text/plain "Hello\\r\\n"'],
  ],
  [
    'a message that is an attachment itself has its name',
    message('Content-Type: application/pdf; name="a.pdf"', 'Content-Transfer-Encoding: base64', '', 'JVBERg==', ''),
    ['a.pdf application/pdf attached "%PDF"'],
  ],
  ['a header without a body is an empty file', message('Subject: hi', ''), ['- text/plain ""']],
  ['nothing is no file', message(''), []],
  [
    'text and attachment; the line end before a delimiter is not theirs',
    message(
      mixed,
      '',
      'This is a multi-part message in MIME format.',
      '--foo',
      '',
      'one',
      '',
      '--foo',
      'Content-Type: application/x-a',
      'Content-Disposition: attachment; filename=b.bin',
      'Content-Transfer-Encoding: base64',
      '',
      'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3',
      'ODkrLw==',
      '--foo--',
      '',
    ),
    [
      '- text/plain "one\\r\\n"',
      'b.bin application/x-a attached "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"',
    ],
  ],
  [
    'related in alternative in mixed',
    message(
      mixed,
      '',
      '--foo',
      'Content-Type: multipart/alternative; boundary="foo_alt"',
      '',
      '--foo_alt',
      'Content-Type: text/plain',
      '',
      'plain',
      '--foo_alt',
      'Content-Type: multipart/related; boundary="foo_alt_rel"; type="text/html"',
      '',
      '--foo_alt_rel',
      'Content-Type: text/html; charset=utf-8',
      '',
      '<p>',
      '--foo_alt_rel',
      'Content-Type: image/png; name=i.png',
      'Content-Disposition: inline',
      'Content-Transfer-Encoding: base64',
      '',
      'iVBORw==',
      '--foo_alt_rel--',
      '',
      '--foo_alt--',
      '--foo--',
      '',
    ),
    ['- text/plain "plain"', '- text/html "<p>"', 'i.png image/png attached "\\x89PNG"'.replace('\\x89', '\x89')],
  ],
  [
    'an attached message has parts of its own',
    one(
      'Content-Type: message/rfc822',
      'Content-Disposition: attachment; filename="m.eml"',
      '',
      'Content-Type: multipart/mixed; boundary=bar',
      '',
      '--bar',
      '',
      'in',
      '--bar',
      'Content-Transfer-Encoding: base64',
      '',
      'QUI=',
      '--bar--',
    ),
    [
      'm.eml message/rfc822 attached "Content-Type: multipart/mixed; boundary=bar\\r\\n\\r\\n--bar\\r\\n\\r\\nin\\r\\n--bar\\r\\nContent-Transfer-Encoding: base64\\r\\n\\r\\nQUI=\\r\\n--bar--"',
      '  - text/plain "in"',
      '  - text/plain "AB"',
    ],
  ],
  [
    'a message in a message in a message',
    one('Content-Type: message/rfc822', '', 'Content-Type: message/rfc822', '', 'Subject: x', '', 'deep'),
    [
      '- message/rfc822 "Content-Type: message/rfc822\\r\\n\\r\\nSubject: x\\r\\n\\r\\ndeep"',
      '  - message/rfc822 "Subject: x\\r\\n\\r\\ndeep"',
      '    - text/plain "deep"',
    ],
  ],
  [
    'a message in base64 is decoded and taken apart all the same, which is noted',
    one('Content-Type: message/rfc822', 'Content-Transfer-Encoding: base64', '', 'U3ViamVjdDogeA0KDQpkZWVw'),
    ['- message/rfc822 "Subject: x\\r\\n\\r\\ndeep"', '  - text/plain "deep"', '! mime-encoding-composite'],
  ],
  [
    'the parts of a digest are messages',
    message('Content-Type: multipart/digest; boundary=foo', '', '--foo', '', 'Subject: 1', '', 'a', '--foo--', ''),
    ['- message/rfc822 "Subject: 1\\r\\n\\r\\na"', '  - text/plain "a"'],
  ],
  [
    'quoted-printable: escapes of either case, soft breaks, blanks at the end of a line',
    one('Content-Transfer-Encoding: Quoted-Printable', '', 'a=3Db=3db=20 \t', 'soft= ', 'break=', '', 'c '),
    ['- text/plain "a=b=b \\r\\nsoftbreak\\r\\nc"'],
  ],
  [
    'quoted-printable that is none stays as it is, noted',
    one('Content-Transfer-Encoding: quoted-printable', '', 'a=4 =zz =4x = b='),
    ['- text/plain "a=4 =zz =4x = b"', '! mime-qp-escape'],
  ],
  [
    '8-bit text goes through as it is',
    one('Content-Transfer-Encoding: 8bit', '', 'Gr\xfc\xdfe'),
    ['- text/plain "Gr\xfc\xdfe"'],
  ],
  [
    'binary: bare line ends and dashes are content',
    one('Content-Type: application/x', 'Content-Transfer-Encoding: binary', '', 'a\nb\rc\r\r\n\n--bar\n-\n--\r\n-\0'),
    ['- application/x "a\\nb\\rc\\r\\r\\n\\n--bar\\n-\\n--\\r\\n-\\u0000"'],
  ],
  [
    'uuencode, named by its begin line',
    one('Content-Transfer-Encoding: x-uuencode', '', 'begin 644 a b.txt', '#0V%T', '`', 'end'),
    ['a b.txt text/plain "Cat"'],
  ],
  [
    'uuencode: the name of the header goes before that of the begin line; lost blanks count',
    one(
      'Content-Transfer-Encoding: uue',
      'Content-Type: text/x; name=h',
      '',
      'begin 644 b',
      '%2&5L;&\\',
      '$    ',
      'end',
    ),
    ['h text/x attached "Hello\\u0000\\u0000\\u0000\\u0000"'],
  ],
  [
    'uuencode: a begin line behind the first data names nothing',
    one('Content-Transfer-Encoding: x-uu', '', '#0V%T', 'begin 644 late', '#0V%T', 'end'),
    ['- text/plain "CatCat"'],
  ],
  ['uuencode without a frame', one('Content-Transfer-Encoding: x-uu', '', '#0V%T', '#0V%T'), ['- text/plain "CatCat"']],
  [
    'empty attachments are files of size 0',
    message(
      mixed,
      '',
      '--foo',
      'Content-Disposition: attachment; filename=1',
      '',
      '--foo',
      'Content-Disposition: attachment; filename=2',
      'Content-Transfer-Encoding: base64',
      '',
      '',
      '--foo',
      'Content-Disposition: attachment; filename=3',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '',
      '--foo',
      'Content-Disposition: attachment; filename=4',
      'Content-Transfer-Encoding: uuencode',
      '',
      '--foo--',
    ),
    ['1 text/plain attached ""', '2 text/plain attached ""', '3 text/plain attached ""', '4 text/plain attached ""'],
  ],
  [
    'base64 lines of mixed lengths, blank lines among them',
    one(
      'Content-Transfer-Encoding: BASE64',
      '',
      'Q',
      'UJDRE',
      '',
      'VG',
      'R0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xt',
      '',
    ),
    ['- text/plain "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"', '! mime-base64-lines'],
  ],
  [
    'base64 with junk: skipped, noted, and a line that only begins like a delimiter is junk too',
    one('Content-Transfer-Encoding: base64', '', 'QU#JD', '-QUJD', '--QUJD', '--fooo', 'Q_U-JD'),
    [
      '- text/plain "ABCABCABC~\\u008a(ABC"'.replace('\\u008a', '\x8a'),
      '! mime-base64-junk',
      '! mime-delimiter-prefix',
    ],
  ],
  [
    'base64 in two padded chunks',
    one('Content-Transfer-Encoding: base64', '', 'QQ==', 'QkM='),
    ['- text/plain "ABC"', '! mime-base64-after-padding'],
  ],
  [
    'base64 with too little and too much padding',
    message(
      mixed,
      '',
      '--foo',
      'Content-Transfer-Encoding: base64',
      '',
      'QQ=',
      '--foo',
      'Content-Transfer-Encoding: base64',
      '',
      'QUI',
      '--foo',
      'Content-Transfer-Encoding: base64',
      '',
      '====QUJD',
      '--foo--',
    ),
    [
      '- text/plain "A"',
      '- text/plain "AB"',
      '- text/plain "ABC"',
      '! mime-base64-incomplete',
      '! mime-base64-lines',
      '! mime-base64-padding',
    ],
  ],
  [
    'delimiters may have blanks behind; a prefix is none',
    message(mixed, '', '--foo \t', '', 'one', '--foobar', '--foo', '', 'two', '-- foo', '--foo-- ', 'end'),
    ['- text/plain "one\\r\\n--foobar"', '- text/plain "two\\r\\n-- foo"', '! mime-delimiter-prefix'],
  ],
  [
    'without a close delimiter the last part ends with the message',
    message(mixed, '', '--foo', '', 'one', '--foo', '', 'two', ''),
    ['- text/plain "one"', '- text/plain "two\\r\\n"', '! mime-missing-close'],
  ],
  [
    'an outer delimiter ends the inner multipart',
    message(
      mixed,
      '',
      '--foo',
      'Content-Type: multipart/mixed; boundary=bar',
      '',
      '--bar',
      '',
      'in',
      '--foo',
      '',
      'out',
      '--foo--',
    ),
    ['- text/plain "in"', '- text/plain "out"', '! mime-missing-close'],
  ],
  [
    'a delimiter in a header block ends the part',
    message(mixed, '', '--foo', 'Content-Type: text/x', '--foo', '', 'two', '--foo--'),
    ['- text/x ""', '- text/plain "two"', '! mime-header-delimiter'],
  ],
  [
    'preamble and epilogue: what looks like a part is noted',
    message(mixed, '', 'Content-Type: text/x', '', 'x', '--foo', '', 'one', '--foo--', '--bar', '', 'two'),
    ['- text/plain "one"', '! mime-epilogue-content', '! mime-preamble-content'],
  ],
  [
    'a multipart without a boundary or without a delimiter',
    one('Content-Type: multipart/mixed', '', 'x', '--foo', 'Content-Type: multipart/mixed; boundary=bar', '', 'y'),
    ['- multipart/mixed "x"', '! mime-boundary-missing', '! mime-missing-close'],
  ],
  [
    'headers: folded, of any case, with blanks around',
    one('content-TYPE:  text/x;', '\tname="a', ' b.txt"', 'Content-Transfer-Encoding:', ' base64 ', '', 'QQ=='),
    ['a b.txt text/x attached "A"'],
  ],
  [
    'a line of a mailbox file before the header is none of it',
    message('From a@x.test Sun Nov 22 12:00:00 2026', 'Content-Type: text/x', '', 'x'),
    ['- text/x "x"'],
  ],
  [
    'a list footer behind the close delimiter is no hidden part, nor is raw Japanese a control',
    message('Subject: \x1b$B4A;z\x1b(B', mixed, '', '--foo', '', 'x', '--foo--', '', '-- ', 'To unsubscribe', '-----'),
    ['- text/plain "x"'],
  ],
  [
    'without an empty line the body begins where the fields end',
    one('Content-Transfer-Encoding: base64', 'QUJD', 'QUJD'),
    ['- text/plain "ABCABC"', '! mime-header-junk'],
  ],
  [
    'message/partial cannot be judged alone',
    message('Content-Type: message/partial; id=1; number=1; total=2', '', 'x'),
    ['- message/partial "x"', '! fragmented message/partial'],
  ],
  [
    'what needs a key says so',
    message('Content-Type: multipart/encrypted; boundary=foo', '', '--foo', '', 'x', '--foo--'),
    ['- text/plain "x"', '! encrypted multipart/encrypted'],
  ],
];

for (const [title, source, expected] of TABLE) {
  test(title, () => {
    assert.deepEqual(trace(run(source)).map(short), expected);
  });
}

/** The anomalies that no message of the table has. */
const NOTED: Readonly<Partial<Record<MimeAnomaly, Buffer>>> = {
  'mime-mixed-line-ends': Buffer.from('A: b\r\nC: d\n\nx'),
  'mime-bare-cr': one('X: a\rb', '', 'x'),
  'mime-header-name': one('Content-Type : text/plain', '', 'x'),
  'mime-header-control': one('X: a\0b', '', 'x'),
  'mime-header-blank-fold': one('X: y', ' ', 'Content-Type: text/plain', '', 'x'),
  'mime-header-hidden': one('X: y', ' Content-Transfer-Encoding: base64', '', 'x'),
  'mime-header-unfinished': message(mixed, '', '--foo', 'X: y'),
  'mime-header-duplicate': one('Content-Type: a/b', 'Content-Type: a/c', '', 'x'),
  'mime-type-malformed': one('Content-Type: "text/plain"', '', 'x'),
  'mime-charset-duplicate': one('Content-Type: text/plain; charset=utf-8; charset=utf-7', '', 'x'),
  'mime-charset-unknown': one('Content-Type: text/html; charset=x-martian', '', 'x'),
  'mime-disposition-malformed': one('Content-Disposition: =?utf-8?Q?inline?=', '', 'x'),
  'mime-parameter-continuation': one('Content-Disposition: inline; filename*0=a; filename*2=b', '', 'x'),
  'mime-names-many': one(
    `Content-Type: a/b${Array.from({ length: 33 }, (_, index) => `; name=${index}`).join('')}`,
    '',
    'x',
  ),
  'mime-boundary-duplicate': message(
    'Content-Type: multipart/mixed; boundary=a; boundary=b',
    '',
    '--a',
    '',
    'x',
    '--a--',
  ),
  'mime-boundary-malformed': message('Content-Type: multipart/mixed; boundary="a', '', '--a', '', 'x', '--a--'),
  'mime-boundary-long': one(`Content-Type: multipart/mixed; boundary=${'b'.repeat(71)}`, '', 'x'),
  'mime-boundary-reused': one(mixed, '', '--foo', '', 'x', '--foo--'),
  'mime-boundary-on-leaf': one('Content-Type: text/plain; boundary=x', '', 'x'),
  'mime-external-body': one('Content-Type: message/external-body; access-type=URL', '', 'x'),
  'mime-encoding-malformed': one('Content-Transfer-Encoding: "base64"', '', 'QQ=='),
  'mime-encoding-unknown': one('Content-Transfer-Encoding: plain', '', 'x'),
  'mime-delimiter-long': message(mixed, '', `--foo${' '.repeat(65)}`, '', 'x', '--foo--'),
  'mime-multipart-empty': message(mixed, '', '--foo--', ''),
  'mime-uu-junk': one('Content-Transfer-Encoding: uue', '', 'begin 644 x', '#0V%T~~~~~', 'end'),
  'mime-uu-unfinished': one('Content-Transfer-Encoding: uue', '', 'begin 644 x', '#0V%T'),
};

for (const [code, source] of Object.entries(NOTED)) {
  test(`notes ${code}, in whatever pieces`, () => {
    const whole = trace(run(source));
    assert.ok(whole.includes(`! ${code}`), whole.join(', '));
    for (let size = 1; size <= source.length; size++) {
      assert.deepEqual(trace(run(source, { pieces: size })), whole);
      assert.deepEqual(trace(run(source, { cut: size })), whole);
    }
  });
}

test('notes a delimiter behind a bare CR, which is one to some readers, in whatever pieces', () => {
  const source = message(mixed, '', '--foo', '', 'text\r--foo\r\n\r\nmore', '--foo--', '');
  const whole = trace(run(source));
  assert.ok(whole.includes('! mime-bare-cr'), whole.join(', '));
  for (let size = 1; size <= source.length; size++) assert.deepEqual(trace(run(source, { pieces: size })), whole);
  const alone = trace(run(message(mixed, '', '--foo', '', 'a\rb\r-c -\r -- \r', '--foo--', '')));
  assert.ok(!alone.includes('! mime-bare-cr'), alone.join(', '));
});

test('every anomaly of the list is one that some message here has', () => {
  const seen = new Set(Object.keys(NOTED));
  for (const [, source] of TABLE) for (const code of run(source).codes) seen.add(code);
  assert.deepEqual(
    MIME_ANOMALIES.filter((code) => !seen.has(code)),
    [],
  );
});

test('a delimiter line with more blanks than are looked at is still a delimiter, and noted', () => {
  const source = message(mixed, '', `--foo${' '.repeat(9000)}`, '', 'x', '--foo--');
  for (const pieces of [source.length, 1000, 7]) {
    assert.deepEqual(trace(run(source, { pieces })).map(short), ['- text/plain "x"', '! mime-delimiter-long']);
  }
});

test('a trace is the same whole, at every chunk size and at every two-part split, wherever the chunks lie', () => {
  for (const [title, source] of TABLE) {
    const whole = trace(run(source));
    for (const way of ['elsewhere', 'in the arena', 'in the arena, with slots'] as const) {
      for (let size = 1; size <= source.length; size++) {
        assert.deepEqual(trace(run(source, { pieces: size, way })), whole, `${title}: pieces of ${size} ${way}`);
        assert.deepEqual(trace(run(source, { cut: size, way })), whole, `${title}: cut at ${size} ${way}`);
      }
    }
  }
});

test('a message with bare LF throughout is read alike and not noted; one with both is', () => {
  const [, source, expected] = TABLE[4]!;
  const lf = Buffer.from(source.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  assert.deepEqual(
    trace(run(lf)).map(short),
    expected.map((line) => line.replaceAll('\\r\\n', '\\n')),
  );
  for (const at of [mixed.length, lf.lastIndexOf('--foo--') - 1, lf.indexOf('ODkr') - 1]) {
    const both = Buffer.concat([lf.subarray(0, at), Buffer.from('\r'), lf.subarray(at)]);
    assert.deepEqual(run(both).codes, ['mime-mixed-line-ends']);
  }
});

test('spans say where a part lies in the message', () => {
  const source = message(
    mixed,
    '',
    '--foo',
    'X: y',
    '',
    'one',
    '--foo',
    'Content-Transfer-Encoding: base64',
    '',
    'QUJD',
    '--foo--',
  );
  const text = source.toString('latin1');
  const at = (part: RecordedChild): [string, string] => {
    const { start, body } = part.meta.span!;
    return [text.slice(start, body), text.slice(body, part.spanEnd)];
  };
  const { children } = run(source);
  assert.deepEqual(children.map(at), [
    ['X: y\r\n\r\n', 'one'],
    ['Content-Transfer-Encoding: base64\r\n\r\n', 'QUJD'],
  ]);
});

test('the headers of a message: addresses alone, the subject decoded with its blanks', () => {
  const headers = (...lines: string[]): unknown => run(message(...lines, '', 'x')).headersGiven;
  assert.deepEqual(headers('From: "Doe, J" <j@x.test>', 'To: a@x.test, B (c, d) <b@x.test>', 'Subject: virus '), {
    from: 'j@x.test',
    to: 'a@x.test, b@x.test',
    cc: undefined,
    subject: 'virus ',
  });
  assert.deepEqual(
    headers(
      'From: j@x.test',
      'To: Team: a@x.test, <b@x.test>;',
      'Cc: "q q"@x.test',
      'Subject: =?utf-8?B?w6k=?=',
      ' =?iso-8859-1?q?=E8?=',
    ),
    {
      from: 'j@x.test',
      to: 'a@x.test, b@x.test',
      cc: '"q q"@x.test',
      subject: '\u00e9\u00e8',
    },
  );
  assert.deepEqual(headers('X: y'), { from: undefined, to: undefined, cc: undefined, subject: undefined });
});

test('names: as a person would write them, and every other that a reader might take', () => {
  const names = (...lines: string[]): (string | undefined)[] => {
    const [child] = run(one(...lines, '', 'x')).children;
    return [child!.meta.name, ...(child!.meta.otherNames ?? [])];
  };
  const type = (parameters: string): string => `Content-Type: application/octet-stream; ${parameters}`;
  const file = (parameters: string): string => `Content-Disposition: attachment; ${parameters}`;
  assert.deepEqual(names(file('filename="a b.txt"')), ['a b.txt']);
  assert.deepEqual(names(file("filename*=UTF-8''%e2%82%ac%20rates.exe")), ['\u20ac rates.exe']);
  assert.deepEqual(names(file('filename*0*=ISO-8859-1\'de\'Gr%FC; filename*1="%DFe."; filename*2*=%65xe')), [
    'Gr\u00fc%DFe.exe',
  ]);
  assert.deepEqual(names(file('filename*1=exe; filename*0=a.')), ['a.exe']);
  assert.deepEqual(names(file('filename="=?UTF-8?B?0L7RgtGH0ZHRgi5wZGY=?="')), ['\u043e\u0442\u0447\u0451\u0442.pdf']);
  assert.deepEqual(names(file('filename="=?utf-8?Q?a=2Ee?='), ' =?utf-8?Q?xe?="'), ['a.exe']);
  assert.deepEqual(names(type('name=a.png'), file('filename=a.exe')), ['a.exe', 'a.png']);
  assert.deepEqual(names(file('filename=a.txt; filename=a.exe')), ['a.txt', 'a.exe']);
  assert.deepEqual(names(file("filename=a.txt; filename*=utf-8''a.exe")), ['a.exe', 'a.txt']);
  assert.deepEqual(names(file('filename=my report.exe')), ['my report.exe', 'my']);
  assert.deepEqual(names(file('filename="C:\\dir\\a.exe"')), ['C:\\dir\\a.exe']);
  assert.ok(names(file('filename=a.e()xe')).includes('a.exe'));
  assert.ok(names(file('filena()me=a.exe')).includes('a.exe'));
  assert.deepEqual(names('Content-Disposition: =?us-ascii?Q?attachment=3B_filename=3Da=2Eexe?='), ['a.exe']);
  assert.deepEqual(names(file("filename*=no-such-charset''%ff.exe")), ['\ufffd.exe']);
  assert.deepEqual(names(file('filename="Gr\xc3\xbc\xc3\x9fe"')), ['Gr\u00fc\u00dfe']);
  assert.deepEqual(names(file('filename="a\tb.exe"')), ['ab.exe']);
});

test('long base64 lines, a large body and pieces of any size give the same bytes', () => {
  const content = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * index) & 0xff));
  for (const columns of [76, 900, 10_000]) {
    const body = content.toString('base64').replace(new RegExp(`.{1,${columns}}`, 'g'), '$&\r\n');
    const source = Buffer.concat([
      message(mixed, '', '--foo', 'Content-Transfer-Encoding: base64', '', ''),
      Buffer.from(`${body}--foo--\r\n`),
    ]);
    for (const way of ['elsewhere', 'in the arena', 'in the arena, with slots'] as const) {
      for (const pieces of [source.length, 65_536, 1460, 77]) {
        const container = run(source, { pieces, way });
        assert.ok(container.children[0]!.bytes.equals(content), `${columns} columns, pieces of ${pieces}, ${way}`);
        assert.deepEqual(container.codes, []);
      }
    }
  }
});

test('messages in base64 in messages in base64: deeper than there is scratch memory', () => {
  let source = message('Subject: innermost', '', 'found');
  for (let depth = 0; depth < 6; depth++) {
    const body = source.toString('base64').replace(/.{1,76}/g, '$&\r\n');
    source = Buffer.concat([one('Content-Type: message/rfc822', 'Content-Transfer-Encoding: base64', '', body)]);
  }
  for (const way of ['elsewhere', 'in the arena'] as const) {
    let container: { readonly children: readonly RecordedChild[] } = run(source, { pieces: 100, way });
    for (let depth = 0; depth < 6; depth++) container = container.children[0]!;
    assert.equal(container.children[0]!.bytes.toString(), 'found');
  }
});

function limited(limits: Partial<Limits>, source: Buffer): RecordingContainer {
  const own = createMimeExtractor({ arena: new Arena(16), limits: { ...DEFAULT_LIMITS, ...limits } });
  const container = new RecordingContainer({ extractor: own });
  const stage = own.begin(container);
  stage.write(source, 0, source.length);
  stage.finish(true);
  return container;
}

test('a header block at the limit is read; one byte more is over it, and what fits of it still counts', () => {
  const source = message('Content-Transfer-Encoding: base64', 'X: y', '', 'QUJD');
  const length = source.indexOf('QUJD');
  assert.deepEqual(limited({ mimeHeaders: length }, source).codes, []);
  const over = limited({ mimeHeaders: length - 1 }, source);
  assert.deepEqual(over.codes, ['limit mime-headers']);
  assert.equal(over.children[0]!.bytes.toString(), 'ABC');
  const long = limited({ mimeHeaders: 100 }, message(`X: ${'y'.repeat(100_000)}`, 'A: b', '', 'body'));
  assert.deepEqual(long.codes, ['limit mime-headers']);
  assert.equal(long.children[0]!.bytes.toString(), 'body');
});

test('parts are taken up to the limit and not one more', () => {
  const parts = (count: number): Buffer =>
    message(mixed, '', ...Array.from({ length: count }, () => '--foo\r\n\r\nx'), '--foo--');
  assert.equal(limited({ mimeParts: 3 }, parts(3)).children.length, 3);
  assert.deepEqual(limited({ mimeParts: 3 }, parts(3)).codes, []);
  assert.equal(limited({ mimeParts: 3 }, parts(4)).children.length, 3);
  assert.deepEqual(limited({ mimeParts: 3 }, parts(4)).codes, ['limit mime-parts']);
});

test('a million empty parts are bounded and said to be', () => {
  const container = limited(
    {},
    Buffer.concat([message(mixed, '', ''), Buffer.from('--foo\r\n\r\n'.repeat(1_000_000))]),
  );
  assert.equal(container.children.length, DEFAULT_LIMITS.mimeParts);
  assert.deepEqual(container.codes, ['limit mime-parts']);
});

test('multiparts are opened to the limit; the one beyond is looked at as it is', () => {
  const nested = (depth: number): Buffer =>
    message(
      ...Array.from({ length: depth }, (_, level) => [
        `Content-Type: multipart/mixed; boundary=b${level}`,
        '',
        `--b${level}`,
      ]).flat(),
      '',
      'x',
      ...Array.from({ length: depth }, (_, level) => `--b${depth - 1 - level}--`),
    );
  assert.deepEqual(trace(limited({ mimeDepth: 3 }, nested(3))).map(short), ['- text/plain "x"']);
  const over = limited({ mimeDepth: 3 }, nested(4));
  assert.deepEqual(over.codes, ['limit mime-depth']);
  assert.equal(over.children[0]!.bytes.toString(), '--b3\r\n\r\nx\r\n--b3--');
});

test('messages within messages count for the depth too', () => {
  const nested = (depth: number): Buffer =>
    message(...Array.from({ length: depth }, () => ['Content-Type: message/rfc822', '']).flat(), '', 'x');
  const deepest = (files: readonly RecordedChild[], codes: string[]): string[] => {
    for (const file of files) {
      codes.push(...codesOf(file.findings));
      deepest(file.children, codes);
    }
    return codes;
  };
  assert.deepEqual(deepest(limited({ mimeDepth: 3 }, nested(3)).children, []), []);
  assert.deepEqual(deepest(limited({ mimeDepth: 3 }, nested(4)).children, []), ['limit mime-depth']);
});

test('when no more files may be opened, that is said', () => {
  const container = new RecordingContainer({ budget: { filesLeft: 0 } });
  const stage = extractor.begin(container);
  stage.write(message('', 'x'), 0, 3);
  stage.finish(true);
  assert.deepEqual(container.codes, ['limit unpacked-files']);
});

/** Writes `pieces`, a number standing for a gap of that many bytes. */
function withGaps(...pieces: (string | number)[]): RecordingContainer {
  const container = new RecordingContainer({ extractor, arena });
  const stage = extractor.begin(container);
  for (const piece of pieces) {
    if (typeof piece === 'number') stage.gap(piece);
    else stage.write(Buffer.from(piece, 'latin1'), 0, piece.length);
  }
  stage.finish(true);
  return container;
}

test('a gap in a body: the file has it, and decoding goes on at the next line', () => {
  const head = `${mixed}\r\n\r\n--foo\r\nContent-Transfer-Encoding: base64\r\n\r\n`;
  const base64 = withGaps(`${head}QUJDRE`, 10, 'VGR\r\nR0hJ\r\n--foo\r\n\r\na\r\n-', 3, 'b\r\n--foo--');
  assert.deepEqual(
    base64.children.map((child) => [child.bytes.toString(), child.gaps]),
    [
      ['ABCDGHI', [[4, 0]]],
      ['a\r\n-b', [[4, 3]]],
    ],
  );
  assert.equal(base64.children[1]!.spanEnd, head.length + 6 + 10 + 3 + 2 + 6 + 7 + 2 + 4 + 3 + 1);
});

test('a gap that took the line end before a delimiter does not hide the delimiter', () => {
  for (const encoding of ['7bit', 'base64', 'quoted-printable']) {
    const { children } = withGaps(
      `${mixed}\r\n\r\n--foo\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\nQUJD`,
      10,
      '--foo\r\n\r\nb\r\n--foo--',
    );
    assert.equal(children.length, 2, encoding);
    assert.equal(children[1]!.bytes.toString(), 'b');
  }
});

test('a gap in headers is said; the next delimiter is found', () => {
  const container = withGaps(`${mixed}\r\n\r\n--foo\r\nContent-Ty`, 20, 'x\r\n--foo\r\n\r\nb\r\n--foo--');
  assert.deepEqual(container.codes, ['gap mime-headers']);
  assert.equal(container.children[1]!.bytes.toString(), 'b');
});

test('a message that was cut: the open file is aborted, and nothing is said to be missing', () => {
  for (const encoding of ['7bit', 'base64', 'quoted-printable', 'uuencode']) {
    const container = run(message(mixed, '', '--foo', `Content-Transfer-Encoding: ${encoding}`, '', 'QUJDRE'), {
      complete: false,
    });
    assert.equal(container.children[0]!.ended, 'reset', encoding);
    assert.deepEqual(
      container.codes.filter((code) => code === 'mime-missing-close'),
      [],
    );
  }
});

test('it takes messages by their type, and attached files that are named as messages', () => {
  assert.equal(extractor.accepts({ name: undefined, declaredType: 'message/rfc822' }), true);
  assert.equal(extractor.accepts({ name: 'a.EML', declaredType: 'application/octet-stream' }), true);
  for (const name of ['a.mbox', 'a.mht', 'a.mhtml', 'a.nws']) assert.equal(extractor.accepts({ name }), true);
  assert.equal(extractor.accepts({ name: 'a.txt', declaredType: 'text/plain' }), false);
});

test('whatever comes, in whatever pieces: no throw, every file ends, and the pieces make no difference', () => {
  const word = fc.constantFrom(
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '--foo',
    '--foo--',
    '--bar',
    '--',
    '-',
    mixed,
    'Content-Type: multipart/mixed; boundary="bar"',
    'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: base64',
    'Content-Transfer-Encoding: quoted-printable',
    'Content-Transfer-Encoding: x-uue',
    'QUJDREVG',
    '=',
    '=4',
    ' ',
    'begin 644 x',
    '#0V%T',
    'end',
    ':',
    '\0',
    'x',
  );
  const hostile = fc.array(word, { maxLength: 40 }).map((words) => Buffer.from(words.join(''), 'latin1'));
  fc.assert(
    fc.property(hostile, fc.integer({ min: 1, max: 30 }), fc.boolean(), (source, pieces, lead) => {
      const whole = lead ? Buffer.concat([message(mixed, '', '--foo', ''), source]) : source;
      const first = run(whole);
      const visit = (files: readonly RecordedChild[]): void => {
        for (const file of files) {
          assert.equal(file.ended, 'end');
          visit(file.children);
        }
      };
      visit(first.children);
      assert.deepEqual(trace(run(whole, { pieces })), trace(first));
      assert.deepEqual(trace(run(whole, { pieces, way: 'in the arena, with slots' })), trace(first));
    }),
    { numRuns: 2000 },
  );
});
