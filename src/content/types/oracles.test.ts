/**
 * Types by content against two programs that others wrote: `file-type` of npm and file(1), over what lies on a Debian machine. Where one of them
 * knows a type that FortiOS has a name for, that is among ours.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { fileTypeFromBuffer } from 'file-type';
import type { Content } from '../../core/file.js';
import { peerTest, run } from '../../testing/peers/peers.js';
import { identify } from './identify.js';

const FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/lib', '/usr/share'];
/** Of each ending, and in all. */
const OF_ENDING = 25;
const ALL = 4_000;
const LARGEST = 4 * 1024 * 1024;

/** Names of `file-type`. Left out: what FortiOS has no name for, and where the other looks at a name that ours leaves to it. */
const BY_ENDING: Readonly<Record<string, string>> = {
  '7z': '7z',
  arj: 'arj',
  avi: 'avi',
  bmp: 'bmp',
  bz2: 'bzip2',
  cab: 'cab',
  chm: 'chm',
  class: 'class',
  crx: 'crx',
  deb: 'unknown',
  docx: 'msofficex',
  elf: 'elf',
  exe: 'exe',
  flac: 'flac',
  gif: 'gif',
  gz: 'gzip',
  jpg: 'jpeg',
  lz: 'lzip',
  macho: 'mach-o',
  mov: 'mov',
  mp3: 'mp3',
  pdf: 'pdf',
  png: 'png',
  rar: 'rar',
  rpm: 'rpm',
  tar: 'tar',
  tif: 'tiff',
  wasm: 'wasm',
  wav: 'wav',
  xz: 'xz',
  zip: 'zip',
};

/** What file(1) says. */
const BY_MIME: Readonly<Record<string, string>> = {
  'application/gzip': 'gzip',
  'application/java-archive': 'zip',
  'application/pdf': 'pdf',
  'application/vnd.microsoft.portable-executable': 'exe',
  'application/x-7z-compressed': '7z',
  'application/x-bzip2': 'bzip2',
  'application/x-dosexec': 'exe',
  'application/x-executable': 'elf',
  'application/x-java-applet': 'class',
  'application/x-object': 'elf',
  'application/x-pie-executable': 'elf',
  'application/x-rpm': 'rpm',
  'application/x-sharedlib': 'elf',
  'application/x-tar': 'tar',
  'application/x-xz': 'xz',
  'application/zip': 'zip',
  'audio/mpeg': 'mp3',
  'audio/x-wav': 'wav',
  'image/bmp': 'bmp',
  'image/gif': 'gif',
  'image/jpeg': 'jpeg',
  'image/png': 'png',
  'image/tiff': 'tiff',
  'text/html': 'html',
  'text/x-perl': 'genscript',
  'text/x-script.python': 'python',
  'text/x-shellscript': 'shellscript',
};

/** Types that are one in the other, or that two programs draw the line between elsewhere. */
const INSTEAD: Readonly<Record<string, readonly string[]>> = {
  exe: ['dll'],
  zip: ['msofficex', 'crx'],
};

/** Paths, the same each time: a few of each ending from every folder. */
function sample(): string[] {
  const found: string[] = [];
  const counts = new Map<string, number>();
  const visit = (folder: string): void => {
    let entries: import('node:fs').Dirent[];
    try {
      entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch {
      return;
    }
    for (const entry of entries) {
      if (found.length >= ALL) return;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) {
        const ending = `${folder.split('/', 3).join('/')} ${extname(entry.name)}`;
        const count = counts.get(ending) ?? 0;
        counts.set(ending, count + 1);
        if (count < OF_ENDING) found.push(path);
      }
    }
  };
  FOLDERS.forEach(visit);
  return found;
}

/** Up to the largest size; undefined for what is empty or cannot be read. */
function contentAt(path: string): Content | undefined {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    if (size === 0 || size > LARGEST) return undefined;
    const bytes = Buffer.alloc(size);
    readSync(fd, bytes, 0, size, 0);
    return { length: size, bytes, read: (at, length) => bytes.subarray(at, at + length) };
  } finally {
    closeSync(fd);
  }
}

/** Paths where ours has not the type that another says. */
async function disagreements(
  of: (path: string, content: Content) => Promise<string | undefined>,
): Promise<{ compared: number; wrong: string[] }> {
  const wrong: string[] = [];
  let compared = 0;
  for (const path of sample()) {
    const content = contentAt(path);
    const expected = content === undefined ? undefined : await of(path, content);
    if (content === undefined || expected === undefined) continue;
    compared++;
    const { types } = identify(content, path);
    if (![expected, ...(INSTEAD[expected] ?? [])].some((type) => types.includes(type)))
      wrong.push(`${path}: ${types.join()} and not ${expected}`);
  }
  return { compared, wrong };
}

test('what file-type knows is known', async () => {
  const { compared, wrong } = await disagreements(async (_path, content) => {
    const found = await fileTypeFromBuffer(content.bytes!);
    return found === undefined ? undefined : BY_ENDING[found.ext];
  });
  assert.deepEqual(wrong, []);
  if (process.env['INSPECTD_PEERS'] === 'required') assert.ok(compared > 100, String(compared));
});

peerTest('what file(1) knows is known', ['file'], async () => {
  const paths = sample();
  const answers = run('file', ['--brief', '--mime-type', '--files-from', '-'], { input: `${paths.join('\n')}\n` })
    .trimEnd()
    .split('\n');
  assert.equal(answers.length, paths.length);
  const byPath = new Map(paths.map((path, at) => [path, answers[at]!]));
  const { compared, wrong } = await disagreements(async (path, content) => {
    const mime = byPath.get(path) ?? '';
    // Of text it goes by words that stand anywhere, in manuals too: only what begins as a page or a script is compared.
    const plain = /^(#!|\s*<(!doctype html|html))/i.test(content.read(0, 256).toString('latin1'));
    return mime.startsWith('text/') && !plain ? undefined : BY_MIME[mime];
  });
  assert.deepEqual(wrong, []);
  assert.ok(compared > 100, String(compared));
});
