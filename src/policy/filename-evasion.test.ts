/**
 * Rows NAM of our list of evasions, from message to verdict of the file filter: a rule blocks `exe`, there is no antivirus profile, and the
 * attachment's bytes are those of a text, so that nothing but its name tells. Each way of writing has harmless names beside it.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, test } from 'node:test';
import { EICAR, zipOf } from '../testing/archive-bytes.js';
import { base64Lines, type Judged, judging, mailWith } from '../testing/judging.js';
import { BUILT_IN_PROFILES, type FileFilterRule, PROTOCOL_KEYS, type SessionProfiles } from './profiles.js';

const rule: FileFilterRule = {
  name: 'programs',
  protocols: new Set(PROTOCOL_KEYS),
  action: 'block',
  direction: 'any',
  passwordProtected: false,
  fileTypes: new Set(['exe', 'dll', 'bat', 'hta']),
};
const profiles: SessionProfiles = {
  ...BUILT_IN_PROFILES,
  antivirus: undefined,
  fileFilter: { name: 'names', log: true, scanArchiveContents: true, rules: [rule] },
};
const judge = judging(profiles);
after(() => judge.close());

const TEXT = Buffer.from('Dear Bob,\r\n\r\nhere are the figures.\r\n');
const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), Buffer.alloc(60, 7)]);
/** A program, as far as its headers say. */
const EXE = Buffer.alloc(512);
EXE.write('MZ', 0, 'latin1');
EXE.writeUInt32LE(64, 60);
EXE.write('PE\0\0', 64, 'latin1');
EXE.writeUInt16LE(0x102, 86);

const TYPE = 'Content-Type: application/octet-stream';
const DISPOSITION = 'Content-Disposition: attachment';
/** The header fields of a part, and its bytes. */
const part = (headers: readonly string[], bytes: Buffer = TEXT): Promise<Judged> =>
  judge(mailWith([...headers, 'Content-Transfer-Encoding: base64'], base64Lines(bytes)));
/** One name in a parameter of its own, as bytes in Latin-1. */
const quoted = (name: string): string[] => [TYPE, `${DISPOSITION}; filename="${name}"`];
const utf8 = (name: string): string => Buffer.from(name).toString('latin1');
const word = (text: string, charset = 'UTF-8', bytes: Buffer = Buffer.from(text)): string =>
  `=?${charset}?B?${bytes.toString('base64')}?=`;
const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();
const percent = (bytes: Buffer | string): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/../g, (hex) => `%${hex}`);

interface Row {
  /** Header fields of parts that a reader could store as a program. */
  readonly blocked: readonly (readonly string[])[];
  /** As odd, and no program by any reading. */
  readonly passed: readonly (readonly string[])[];
}

const ROWS: Readonly<Record<string, Row>> = {
  'NAM-001 name and filename disagree': {
    blocked: [
      [`${TYPE}; name=a.png`, `${DISPOSITION}; filename=a.exe`],
      [`${TYPE}; name=a.exe`, `${DISPOSITION}; filename=a.png`],
      [`${DISPOSITION}; filename=a.exe`, `${TYPE}; name=a.png`],
      [`${DISPOSITION}; filename=a.png`, `${TYPE}; name=a.exe`],
    ],
    passed: [
      [`${TYPE}; name=a.png`, `${DISPOSITION}; filename=b.gif`],
      [`${DISPOSITION}; filename=exe.png`, `${TYPE}; name=exe`],
    ],
  },
  'NAM-002 a parameter or a field twice': {
    blocked: [
      [TYPE, `${DISPOSITION}; filename=a.png; filename=a.exe`],
      [TYPE, `${DISPOSITION}; filename=a.exe; filename=a.png`],
      [TYPE, `${DISPOSITION}; filename=a.png`, `${DISPOSITION}; filename=a.exe`],
      [`${TYPE}; name=a.png`, `${TYPE}; name=a.exe`],
    ],
    passed: [
      [TYPE, `${DISPOSITION}; filename=a.png; filename=b.png`],
      [`${TYPE}; name=a.png`, `${TYPE}; name=b.png`],
    ],
  },
  'NAM-003 RFC 2231 in one piece, beside a plain name': {
    blocked: [
      [TYPE, `${DISPOSITION}; filename*=UTF-8''a.exe`],
      [TYPE, `${DISPOSITION}; filename=a.png; filename*=UTF-8''a.exe`],
      [TYPE, `${DISPOSITION}; filename*=UTF-8''a.png; filename=a.exe`],
      [`${TYPE}; name*=us-ascii'en'a.exe`],
      [TYPE, `${DISPOSITION}; filename*=''a.exe`],
    ],
    passed: [
      [TYPE, `${DISPOSITION}; filename*=UTF-8''exe.png`],
      [TYPE, `${DISPOSITION}; filename*=UTF-8'exe'a.png`],
    ],
  },
  'NAM-004 RFC 2231 in pieces': {
    blocked: [
      [TYPE, `${DISPOSITION}; filename*0=a.; filename*1=exe`],
      [TYPE, `${DISPOSITION}; filename*1=exe; filename*0=a.`],
      [TYPE, `${DISPOSITION}; filename*1=a.; filename*2=exe`],
      [TYPE, `${DISPOSITION};\r\n filename*0="a.";\r\n filename*1="exe"`],
      [TYPE, `${DISPOSITION}; filename*0=a.`, 'Content-Disposition: x; filename*1=exe'],
      [`${TYPE}; name*0=a.e; name*1=x; name*2=e`],
    ],
    passed: [
      [TYPE, `${DISPOSITION}; filename*0=a.exe; filename*1=.png`],
      [TYPE, `${DISPOSITION}; filename*0=exe; filename*1=.txt`],
    ],
  },
  'NAM-005 percent escapes': {
    blocked: [
      [TYPE, `${DISPOSITION}; filename*=UTF-8''a.%65%78%65`],
      [TYPE, `${DISPOSITION}; filename*0*=UTF-8''a%2E; filename*1*=%65%78%65`],
      [TYPE, `${DISPOSITION}; filename*=UTF-16BE''${percent(utf16('a.exe'))}`],
      [TYPE, `${DISPOSITION}; filename="a.%65%78%65"`],
      [TYPE, `${DISPOSITION}; filename="a%2Eexe"`],
    ],
    passed: [
      [TYPE, `${DISPOSITION}; filename*=UTF-8''100%25.png`],
      [TYPE, `${DISPOSITION}; filename="100%.txt"`],
    ],
  },
  'NAM-006 encoded words': {
    blocked: [
      quoted(word('a.exe')),
      [TYPE, `${DISPOSITION}; filename=${word('a.exe')}`],
      quoted('=?iso-8859-1?Q?a=2Eexe?='),
      quoted(`${word('a.e')} ${word('xe')}`),
      quoted(`${word('a.')}${word('exe')}`),
      [`${TYPE}; name="${word('a.exe')}"`],
    ],
    passed: [
      quoted(word('Rechnung für exe.png')),
      quoted(`${word('a.exe')}.png`),
      quoted(`${word('a.exe')} ${word('.txt')}`),
    ],
  },
  'NAM-007 encoded words in other charsets': {
    blocked: [
      quoted(word('a.exe', 'UTF-16BE', utf16('a.exe'))),
      quoted(word('a.exe', 'x-martian')),
      quoted(word('a.exe', 'UTF-16LE', Buffer.from('a.exe', 'utf16le'))),
    ],
    passed: [quoted(word('a.png', 'UTF-16BE', utf16('a.png'))), quoted(word('請求書.pdf', 'UTF-8'))],
  },
  'NAM-008 the whole field as an encoded word': {
    blocked: [
      [TYPE, `Content-Disposition: ${word('attachment; filename="a.exe"')}`],
      [TYPE, 'Content-Disposition: =?us-ascii?Q?attachment=3B_filename=3Da.exe?='],
      [`Content-Type: ${word('application/octet-stream; name="a.exe"')}`],
    ],
    passed: [[TYPE, `Content-Disposition: ${word('attachment; filename="a.png"')}`]],
  },
  'NAM-009 a blank or a fold in the name': {
    blocked: [
      [TYPE, `${DISPOSITION};\r\n\tfilename="a.exe"`],
      [TYPE, `${DISPOSITION}; filename="a\r\n .exe"`],
      [TYPE, `${DISPOSITION}; filename = a.exe`],
      [TYPE, `${DISPOSITION}; filename=\r\n a.exe`],
      [TYPE, `${DISPOSITION}; filename=my file.exe`],
      [TYPE, `${DISPOSITION}; filename=a.exe b.png`],
    ],
    passed: [
      [TYPE, `${DISPOSITION}; filename="a exe\r\n .png"`],
      [TYPE, `${DISPOSITION}; filename=my exe file.png`],
    ],
  },
  'NAM-010 comments': {
    blocked: [
      [TYPE, `${DISPOSITION}; filename=a.e()xe`],
      [TYPE, `${DISPOSITION}; filename=a.exe(.gif)`],
      quoted('a.exe(.gif)'),
      [TYPE, `${DISPOSITION}; filena()me=a.exe`],
      [TYPE, `${DISPOSITION}; filename=(x)a.exe`],
      [TYPE, `${DISPOSITION} (filename=b.png); filename=a.exe`],
    ],
    passed: [quoted('a (1).png'), quoted('a.png(.exe.gif)'), [TYPE, `${DISPOSITION}; filename=a(b).png`]],
  },
  'NAM-011 quotes and semicolons': {
    blocked: [
      [TYPE, `${DISPOSITION}; filename="a.exe`],
      [TYPE, `${DISPOSITION}; filename=a.exe"`],
      [TYPE, `${DISPOSITION}; filename="a".exe`],
      [TYPE, `${DISPOSITION}; filename='a.exe'`],
      quoted('a.exe\\"'),
      quoted('a\\.exe'),
      quoted('a.exe;.png'),
      quoted('a.png;.exe'),
      [TYPE, `${DISPOSITION}; filename=a.exe;.png`],
      [TYPE, `${DISPOSITION} filename=a.exe`],
    ],
    passed: [quoted("Bob's.png"), quoted('a;b.png'), quoted('say \\"exe\\".png')],
  },
  'NAM-012 marks of writing direction, and characters that nobody sees': {
    blocked: [
      quoted(utf8('invoice\u202efdp.exe')),
      [TYPE, `${DISPOSITION}; filename*=UTF-8''invoice%E2%80%AEfdp.exe`],
      quoted(utf8('a.exe\u202e')),
      quoted(utf8('a.e\u200bxe')),
      quoted(utf8('a.ex\u00ade')),
      quoted(utf8('a.exe\u2066')),
      quoted(utf8('a．exe')),
      quoted(utf8('a.ｅｘｅ')),
    ],
    passed: [
      quoted(utf8('דוח\u200f.pdf')),
      quoted(utf8('exe\u202e.png')),
      quoted(utf8('تقرير.png')),
      quoted(utf8('👩\u200d💻.png')),
    ],
  },
  'NAM-013 NUL and other controls': {
    blocked: [
      quoted('a.exe\0.txt'),
      quoted('a.txt\0.exe'),
      quoted('a.e\0xe'),
      [TYPE, `${DISPOSITION}; filename*=UTF-8''a.exe%00.txt`],
      [TYPE, `${DISPOSITION}; filename*=UTF-8''a.txt%00b.exe`],
      quoted(word('a.exe\0.txt')),
      quoted('a.exe\x01'),
      quoted('a.\texe'),
      [TYPE, `${DISPOSITION}; filename*=UTF-8''a.exe%0A.txt`],
    ],
    passed: [quoted('a.txt\0.png'), [TYPE, `${DISPOSITION}; filename*=UTF-8''a.png%0D%0A`]],
  },
  'NAM-014 dots and blanks at the end': {
    blocked: [
      quoted('a.exe.'),
      quoted('a.exe...'),
      quoted('a.exe   '),
      quoted('a.exe . . '),
      quoted(utf8('a.exe\u00a0')),
      quoted(utf8('a.exe\u3000.')),
      quoted('a.exe\t'),
      [TYPE, `${DISPOSITION}; filename=a.exe.`],
    ],
    passed: [quoted('a.png.'), quoted('a exe.'), quoted('exe. . .')],
  },
  'NAM-015 streams of NTFS': {
    blocked: [
      quoted('a.exe::$DATA'),
      quoted('a.exe:Zone.Identifier'),
      quoted('a.exe:x.txt:$DATA'),
      quoted('a.txt:b.exe'),
      quoted('a.exe.::$DATA'),
    ],
    passed: [quoted('a.png::$DATA'), quoted('Re: exe: a.png')],
  },
  'NAM-016 long names': {
    blocked: [
      quoted(`a.pdf${' '.repeat(200)}.exe`),
      quoted(`${'a'.repeat(1000)}.exe`),
      quoted(`${'a'.repeat(251)}.exe.png`),
      quoted(utf8(`${'ä'.repeat(125)}a.exe.png`)),
      quoted(`a.exe${' '.repeat(250)}.png`),
      [TYPE, `${DISPOSITION};\r\n filename="${'a'.repeat(70)}\r\n ${'b'.repeat(70)}\r\n .exe"`],
    ],
    passed: [
      quoted(`a.exe${' '.repeat(200)}.png`),
      quoted(`${'a'.repeat(1000)}.png`),
      quoted(`${'exe '.repeat(40)}.png`),
    ],
  },
  'NAM-017 paths': {
    blocked: [
      quoted('..\\\\..\\\\a.exe'),
      quoted('..\\..\\a.exe'),
      quoted('C:\\a.exe'),
      quoted('/etc/a.exe'),
      quoted('file:///C:/a.exe'),
      quoted('a.exe/'),
      quoted('a.exe\\\\'),
      quoted('a.png/../a.exe'),
      quoted('C:a.exe'),
      quoted('\\\\\\\\host\\\\share\\\\a.exe'),
    ],
    passed: [quoted('a.exe/a.png'), quoted('C:\\a.exe\\b.png'), quoted('/etc/a')],
  },
  'NAM-018 several extensions, and cases': {
    blocked: [
      quoted('invoice.pdf.exe'),
      quoted('a.png.ExE'),
      quoted('a.txt.scr'),
      quoted('.exe'),
      quoted('a..exe'),
      quoted('a.jpg.bat'),
      quoted('A.EXE'),
    ],
    passed: [quoted('a.exe.png'), quoted('exe'), quoted('a.exes'), quoted('v1.2.com-notes.txt')],
  },
};

for (const [row, { blocked, passed }] of Object.entries(ROWS)) {
  test(`${row}: blocked`, async () => {
    const missed: string[] = [];
    for (const headers of blocked) {
      const { action, records } = await part(headers);
      if (action !== 'block' || records.join() !== 'file-filter:blocked') missed.push(JSON.stringify(headers));
    }
    assert.deepEqual(missed, []);
  });
  test(`${row}: harmless names pass`, async () => {
    const alarms: string[] = [];
    for (const headers of passed) if ((await part(headers)).action !== 'pass') alarms.push(JSON.stringify(headers));
    assert.deepEqual(alarms, []);
  });
}

test('NAM-019 the content decides, whatever the name and the declared type say', async () => {
  for (const headers of [
    ['Content-Type: image/png', `${DISPOSITION}; filename=a.pdf`],
    ['Content-Type: text/plain; name=a.txt'],
    ['Content-Type: image/png'],
  ]) {
    assert.equal((await part(headers, EXE)).action, 'block');
    assert.equal((await part(headers, PNG)).action, 'pass');
    assert.equal((await part(headers, zipOf([{ name: 'a.png', data: EXE }]))).action, 'block');
  }
});

test('NAM-020 a picture that is called one passes, under each profile', async () => {
  const headers = ['Content-Type: image/png; name="a.png"', `${DISPOSITION}; filename="a.png"`];
  assert.equal((await part(headers, PNG)).action, 'pass');
  const message = mailWith([...headers, 'Content-Transfer-Encoding: base64'], base64Lines(PNG));
  const judged = await judge(message, { profiles: BUILT_IN_PROFILES });
  assert.deepEqual([judged.action, judged.verdict, judged.decision.verdict.edits], ['pass', 'clean', []]);
});

test('names within an archive are read the same way', async () => {
  for (const name of ['a.exe', 'dir/a.exe', 'a.exe.', 'a.txt\0.exe', utf8('x\u202efdp.exe')])
    assert.equal(
      (await part(quoted('a.zip'), zipOf([{ name: Buffer.from(name, 'latin1'), data: TEXT }]))).action,
      'block',
      name,
    );
  assert.equal((await part(quoted('a.zip'), zipOf([{ name: 'exe/a.exe.png', data: TEXT }]))).action, 'pass');
});

test('a name costs what its length says', async () => {
  // With the virus in it, so that the antivirus profile has something to find behind the name.
  const name = `${'. '.repeat(20_000)}\0;:%`.repeat(4);
  const judged = await judge(mailWith([...quoted(name), 'Content-Transfer-Encoding: base64'], base64Lines(EICAR)), {
    profiles: BUILT_IN_PROFILES,
  });
  assert.equal(judged.verdict, 'infected');
});
