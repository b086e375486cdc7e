/**
 * The rows NAM-* of our list of evasions, from the message to the file filter: whatever a program is called and however that is written, a rule
 * for programs blocks it, and one for programs alone leaves everything else alone.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, test } from 'node:test';
import { mail } from '../testing/ambiguous-mail.js';
import { judging } from '../testing/judging.js';
import { BUILT_IN_PROFILES } from './profiles.js';

/** Blocks programs, by content or by name, and nothing for being odd. */
const judge = judging({
  ...BUILT_IN_PROFILES,
  antivirus: undefined,
  fileFilter: {
    name: 'no-programs',
    log: true,
    scanArchiveContents: true,
    rules: [
      {
        name: 'programs',
        protocols: new Set(['smtp']),
        action: 'block',
        direction: 'any',
        passwordProtected: false,
        fileTypes: new Set(['exe']),
      },
    ],
  },
});
after(() => judge.close());

async function isBlocked(headers: readonly string[], body = 'some text'): Promise<boolean> {
  const { records } = await judge(
    mail([...headers, 'Content-Transfer-Encoding: base64'], Buffer.from(body, 'latin1').toString('base64')),
  );
  return records.includes('file-filter:blocked');
}

const named = (name: string): string[] => [
  'Content-Type: application/octet-stream',
  `Content-Disposition: attachment; filename="${name}"`,
];
const word = (text: string): string => `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
const program = Buffer.alloc(200);
program.write('MZ');
program.writeUInt32LE(64, 60);
program.write('PE\0\0', 64);
const PROGRAM = program.toString('latin1');

const PROGRAMS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'NAM-001 name and filename disagree': [
    ['Content-Type: image/png; name=a.png', 'Content-Disposition: attachment; filename=a.exe'],
    ['Content-Disposition: attachment; filename=a.exe', 'Content-Type: image/png; name=a.png'],
    ['Content-Type: image/png; name=a.exe', 'Content-Disposition: attachment; filename=a.png'],
    ['Content-Disposition: attachment; filename=a.png', 'Content-Type: image/png; name=a.exe'],
  ],
  'NAM-004 continuations': [
    ['Content-Disposition: attachment; filename*0=a.; filename*1=exe'],
    ['Content-Disposition: attachment; filename*1=a.; filename*2=exe'],
    ['Content-Disposition: attachment; filename*1=exe; filename*0=a.'],
  ],
  'NAM-005 percent escapes': [["Content-Disposition: attachment; filename*=UTF-8''a.%65%78%65"]],
  'NAM-008 encoded words': [
    [`Content-Disposition: ${word('attachment; filename="a.exe"')}`],
    named(word('a.exe')),
    named(`${word('a.e')} ${word('xe')}`),
  ],
  'NAM-010 comments': [
    ['Content-Disposition: attachment; filename=a.e()xe'],
    ['Content-Disposition: attachment; filename=a.exe(.gif)'],
    ['Content-Disposition: attachment; filena()me=a.exe'],
  ],
  'NAM-013 NUL': [named('a.exe\0.txt'), named('a.txt\0a.exe'), named('a.txt\0.exe')],
  'NAM-016 blanks and length': [named(`a.pdf${' '.repeat(200)}.exe`), named(`${'a'.repeat(1_000)}.exe`)],
  'NAM-017 paths': [
    named('..\\\\..\\\\a.exe'),
    named('C:\\\\a.exe'),
    named('/etc/a.exe'),
    named('file:///c:/a.exe'),
    named('a.exe/'),
  ],
  'what Windows drops at the end': [named('a.exe.'), named('a.exe. . '), named('a.exe::$DATA'), named('a.EXE ')],
  'double extensions, and text turned around': [
    named('invoice.pdf.exe'),
    named(Buffer.from('invoice\u202efdp.exe').toString('latin1')),
  ],
};
for (const [title, variants] of Object.entries(PROGRAMS))
  test(title, async () => {
    for (const headers of variants) assert.ok(await isBlocked(headers), headers.join(' '));
  });

test('NAM-019 a program by its content, whatever it says it is', async () => {
  for (const headers of [
    ['Content-Type: image/png; name=a.pdf', 'Content-Disposition: attachment; filename=a.pdf'],
    ['Content-Type: text/plain'],
    named('readme.txt'),
  ])
    assert.ok(await isBlocked(headers, PROGRAM), headers.join(' '));
});

test('NAM-020 what is no program passes, however odd its name is', async () => {
  for (const name of [
    'a.png',
    'exe.png',
    'a.exe.txt',
    'my.executive summary.pdf',
    'a.ex',
    'aexe',
    'exe',
    'x.exe.zip',
    '..txt',
    ' . ',
    'a'.repeat(1_000),
    Buffer.from('größe 日本語.pdf').toString('latin1'),
    'a;b,c.txt',
    'it\\"s.txt',
  ])
    assert.ok(!(await isBlocked(named(name), '\x89PNG\r\n\x1a\n')), name);
});
