/**
 * Our types against two oracles, file(1) and npm's file-type, over files that any Debian has and files that its programs write: where an
 * oracle knows a type that FortiOS's list has, ours is among them. Where they are wrong, or mean something else, it is listed with the reason.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type Dirent, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileTypeFromBuffer } from 'file-type';
import { peerTest, run, scratch } from '../../testing/peers/peers.js';
import { contentOf } from '../../testing/unpack-recorder.js';
import { identify } from './identify.js';

/** What file(1) calls what FortiOS has a type for. Several: any of them. */
const FILE_TYPES: Readonly<Record<string, string>> = {
  'application/x-executable': 'elf',
  'application/x-pie-executable': 'elf',
  'application/x-sharedlib': 'elf',
  'application/x-object': 'elf',
  'application/x-coredump': 'elf',
  'application/x-dosexec': 'exe dll',
  'application/vnd.microsoft.portable-executable': 'exe dll',
  'application/x-mach-binary': 'mach-o',
  'application/x-java-applet': 'class',
  'application/wasm': 'wasm',
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'image/gif': 'gif',
  'image/tiff': 'tiff',
  'image/bmp': 'bmp',
  'image/x-ms-bmp': 'bmp',
  'audio/x-wav': 'wav',
  'audio/mpeg': 'mp3',
  'audio/flac': 'flac',
  'video/x-msvideo': 'avi',
  'video/mpeg': 'mpeg',
  'video/mp4': 'mov',
  'video/quicktime': 'mov',
  'video/x-ms-asf': 'wma',
  'application/pdf': 'pdf',
  'application/gzip': 'gzip',
  'application/x-xz': 'xz',
  'application/x-bzip2': 'bzip2',
  'application/x-lzip': 'lzip',
  'application/x-tar': 'tar',
  'application/zip': 'zip msofficex',
  'application/java-archive': 'zip',
  'application/x-7z-compressed': '7z',
  'application/x-rar': 'rar',
  'application/x-arj': 'arj',
  'application/x-lzh-compressed': 'lzh',
  'application/vnd.ms-cab-compressed': 'cab',
  'application/x-rpm': 'rpm',
  'application/x-xar': 'xar',
  'application/x-iso9660-image': 'iso',
  'application/x-chrome-extension': 'crx',
  'application/vnd.ms-htmlhelp': 'chm',
  'application/winhlp': 'hlp',
  'application/msword': 'msoffice',
  'application/vnd.ms-excel': 'msoffice',
  'application/vnd.ms-powerpoint': 'msoffice',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'msofficex',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'msofficex',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation': 'msofficex',
  'application/x-bittorrent': 'torrent',
  'text/x-shellscript': 'shellscript',
  'text/x-perl': 'genscript',
  'text/x-php': 'genscript',
  'text/x-ruby': 'genscript',
  'text/x-tcl': 'genscript',
  'text/x-script.python': 'python',
  'text/html': 'html',
  'text/x-msdos-batch': 'bat',
  'message/rfc822': 'mime',
};

/** What npm's file-type calls it. */
const NPM_TYPES: Readonly<Record<string, string>> = {
  elf: 'elf',
  exe: 'exe dll',
  macho: 'mach-o',
  class: 'class',
  wasm: 'wasm',
  png: 'png',
  apng: 'png',
  jpg: 'jpeg',
  gif: 'gif',
  tif: 'tiff',
  bmp: 'bmp',
  wav: 'wav',
  mp3: 'mp3',
  flac: 'flac',
  avi: 'avi',
  mpg: 'mpeg',
  mp4: 'mov',
  mov: 'mov',
  asf: 'wma',
  pdf: 'pdf',
  gz: 'gzip',
  'tar.gz': 'gzip',
  xz: 'xz',
  bz2: 'bzip2',
  lz: 'lzip',
  tar: 'tar',
  zip: 'zip',
  jar: 'zip',
  docx: 'msofficex',
  xlsx: 'msofficex',
  pptx: 'msofficex',
  apk: 'zip',
  '7z': '7z',
  rar: 'rar',
  arj: 'arj',
  cab: 'cab',
  rpm: 'rpm',
  crx: 'crx',
  chm: 'chm',
  cfb: 'msoffice msi hwp',
};

/** Where file(1) is wrong, by its type and the name of the file. */
const MISTAKEN: readonly (readonly [said: string, name: RegExp, why: string])[] = [
  ['text/x-script.python', /\.(md|rst|txt)$/i, 'prose that quotes a line of it'],
  ['text/html', /\.(md|rst|txt|py|pl|pm|php|js)$/i, 'prose and programs that have tags in them'],
  ['text/x-shellscript', /\.(md|rst|txt)$/i, 'prose that quotes a line of it'],
  [
    'text/x-ruby',
    /test-lru\.rb$/,
    'a program of redis without a first line of its own, most of which is the page that it writes',
  ],
];
// Not in the tables, because file(1) guesses: text/x-c and text/x-c++ (any braces), application/javascript, text/x-asm, text/xml.

const ENDINGS = new Set(
  'so o a png gif jpg jpeg bmp tiff tif svg ttf wav mp3 gz xz bz2 zip jar py sh pl pm rb php html htm xml css js mjs ts c h cpp tcl exe dll pdf doc docx class wasm json md txt mo pyc deb rpm iso chm hlp cab bat cmd ps1 vbs torrent'.split(
    ' ',
  ),
);
/** Files of one ending, in how many directory entries they are looked for, and how large they may be. */
const EACH = 40;
const ENTRIES = 120_000;
const LARGEST = 8 << 20;

/** A few of each kind, by their endings; of programs, which have none, more. */
function filesOfThisMachine(): string[] {
  const found = new Map<string, string[]>();
  let entries = 0;
  const walk = (directory: string): void => {
    for (const entry of entriesOf(directory)) {
      if (++entries > ENTRIES) return;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) walk(path);
      if (!entry.isFile()) continue;
      const ending = /\.so[.\d]*$/.test(entry.name) ? 'so' : /\.([a-z0-9]+)$/i.exec(entry.name)?.[1]?.toLowerCase();
      const kind = ending ?? (directory.endsWith('bin') ? 'program' : '');
      if (kind !== 'program' && !ENDINGS.has(kind)) continue;
      const list = found.get(kind) ?? [];
      found.set(kind, list);
      const size = list.length < (kind === 'program' ? 5 * EACH : EACH) ? statSync(path).size : 0;
      if (size > 0 && size < LARGEST && !/[\r\n]/.test(path)) list.push(path);
    }
  };
  for (const directory of ['/usr/bin', '/usr/sbin', '/usr/lib', '/usr/share', '/etc']) {
    entries = 0;
    walk(directory);
  }
  return [...found.values()].flat();
}

/** In an order that does not depend on the file system. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    // Not everybody may read everything.
    return [];
  }
}

/** What the oracles know and we do not; and how often we agreed with each. */
async function compare(paths: readonly string[]): Promise<{ missed: string[]; file: number; npm: number }> {
  const said = run('file', ['--brief', '--mime-type', '--files-from', '-'], { input: paths.join('\n') })
    .trim()
    .split('\n');
  assert.equal(said.length, paths.length);
  const result = { missed: [] as string[], file: 0, npm: 0 };
  for (const [i, path] of paths.entries()) {
    const bytes = readFileSync(path);
    const ours = identify(contentOf(bytes), basename(path)).types;
    const npm = (await fileTypeFromBuffer(bytes))?.ext;
    const mistaken = MISTAKEN.some(([type, name]) => type === said[i] && name.test(path));
    for (const [oracle, type, expected] of [
      ['file', said[i]!, mistaken ? undefined : FILE_TYPES[said[i]!]],
      ['npm', npm, npm === undefined ? undefined : NPM_TYPES[npm]],
    ] as const) {
      if (expected === undefined) continue;
      if (expected.split(' ').some((one) => ours.includes(one))) result[oracle]++;
      else result.missed.push(`${path}: ${oracle} says ${type}, we say ${ours.join()}`);
    }
  }
  return result;
}

peerTest('agrees with file(1) and file-type on the files of this machine', ['file'], async (context) => {
  const paths = filesOfThisMachine();
  const { missed, file, npm } = await compare(paths);
  assert.deepEqual(missed, []);
  assert.ok(file > 200 && npm > 100, `too few files of a known type: ${file} and ${npm} of ${paths.length}`);
  context.diagnostic(`${paths.length} files; file(1) knew a type of FortiOS's list for ${file}, file-type for ${npm}`);
});

/** Programs that write a file of a type, given a text and a picture beside it. */
const WRITERS: readonly (readonly [type: string, name: string, program: string, ...args: string[]])[] = [
  ['tar', 'a.tar', 'tar', '-cf', 'a.tar', 'text'],
  ['tar', 'b.tar', 'tar', '--format=v7', '-cf', 'b.tar', 'text'],
  ['tar', 'c.tar', 'tar', '--format=pax', '-cf', 'c.tar', 'text'],
  ['gzip', 'text.gz', 'gzip', '-k', 'text'],
  ['bzip2', 'text.bz2', 'bzip2', '-k', 'text'],
  ['xz', 'text.xz', 'xz', '-k', 'text'],
  ['zip', 'a.zip', 'zip', '-q', 'a.zip', 'text'],
  ['zip', 'a.jar', 'jar', 'cf', 'a.jar', 'text'],
  ['7z', 'a.7z', '7zz', 'a', 'a.7z', 'text'],
  ['zip', 'b.zip', '7zz', 'a', '-mm=lzma', 'b.zip', 'text'],
  ['xz', 'b.xz', '7zz', 'a', 'b.xz', 'text'],
  ['arj', 'a.arj', 'arj', 'a', 'a.arj', 'text'],
  ['cab', 'a.cab', 'gcab', '-c', 'a.cab', 'text'],
  ['iso', 'a.iso', 'genisoimage', '-quiet', '-o', 'a.iso', 'text'],
  ['elf', 'a.o', 'as', '-o', 'a.o', '/dev/null'],
  ['uue', 'a.uue', 'sh', '-c', 'uuencode text text > a.uue'],
  ['uue', 'b.uue', 'sh', '-c', 'uuencode -m text text > b.uue'],
  ['binhex', 'a.hqx', 'sh', '-c', 'binhex -d text > a.hqx'],
];

for (const [type, name, program, ...args] of WRITERS)
  peerTest(
    `types what ${[program, ...args].join(' ')} writes as ${type}, as the oracles do`,
    ['file', program === 'sh' ? args[1]!.split(' ', 1)[0]! : program],
    async (context) => {
      const directory = scratch(context, 'oracles');
      writeFileSync(join(directory, 'text'), 'Dear Bob,\n\nhere are the figures.\n'.repeat(20));
      execFileSync(program, args, { cwd: directory, stdio: 'ignore' });
      const bytes = readFileSync(join(directory, name));
      for (const called of [name, undefined, 'a.png'])
        assert.deepEqual(identify(contentOf(bytes), called).types, [type], String(called));
      assert.deepEqual((await compare([join(directory, name)])).missed, []);
    },
  );
