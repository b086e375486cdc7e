/** Archives that other programs packed, of every format that Debian can make, and stored ones of those that it cannot (rows ARC-041, ARC-042). */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { EICAR } from '../../testing/archive-bytes.js';
import { pathOf, peerTest, scratch } from '../../testing/peers/peers.js';
import { lzhOf, rar4Of, rar5Of } from '../../testing/rar-bytes.js';
import { contentOf, UnpackRecorder } from '../../testing/unpack-recorder.js';
import { identify } from '../types/identify.js';
import { createUnpackers } from './unpackers.js';

const made = createUnpackers({ limits: DEFAULT_LIMITS });
after(() => made.close());

interface Opened {
  readonly types: readonly string[];
  readonly encrypted: boolean;
  readonly files: readonly { readonly name: string; readonly bytes: Buffer }[];
  readonly said: readonly string[];
}

/** What comes out of an archive, and out of what comes out. */
async function opened(bytes: Buffer, nesting = 0): Promise<Opened> {
  const content = contentOf(bytes);
  const { types, encrypted } = identify(content, undefined);
  const files: Opened['files'][number][] = [];
  const said: string[] = [];
  const unpacker = made.unpackers.find((one) => one.accepts(types, content));
  if (unpacker !== undefined) {
    const recorder = new UnpackRecorder({ nesting });
    await unpacker.unpack(content, recorder);
    said.push(...recorder.said);
    for (const { meta, bytes: member } of recorder.children) {
      files.push({ name: meta.name ?? '', bytes: member });
      const inner = nesting < 4 ? await opened(member, nesting + 1) : undefined;
      files.push(...(inner?.files ?? []));
      said.push(...(inner?.said ?? []));
    }
  }
  return { types, encrypted, files, said };
}

async function expectEicar(bytes: Buffer, type: string): Promise<void> {
  const { types, files, said } = await opened(bytes);
  assert.deepEqual(said, []);
  assert.ok(types.includes(type), `${types.join()} and not ${type}`);
  assert.ok(
    files.some((file) => file.bytes.equals(EICAR)),
    JSON.stringify(files.map(({ name, bytes: { length } }) => [name, length])),
  );
}

/** By format: FortiOS's type, the programs, and what makes `out` of the folder `in`, which has eicar.com and other.txt. */
const PACKED: Readonly<Record<string, readonly [string, readonly string[], string]>> = {
  arj: ['arj', ['arj'], 'cd in && arj a -y ../out.arj eicar.com other.txt && mv ../out.arj ../out'],
  cab: ['cab', ['gcab'], 'cd in && gcab -c ../out eicar.com other.txt'],
  'cab, compressed': ['cab', ['gcab'], 'cd in && gcab -c -z ../out eicar.com other.txt'],
  iso: ['iso', ['genisoimage'], 'genisoimage -quiet -o out in'],
  'iso with Joliet and Rock Ridge': ['iso', ['genisoimage'], 'genisoimage -quiet -J -R -o out in'],
  'iso with UDF': ['iso', ['genisoimage'], 'genisoimage -quiet -udf -o out in'],
  'cpio, new': ['unknown', ['cpio'], 'cd in && ls | cpio --quiet -o -H newc >../out'],
  'cpio, old': ['unknown', ['cpio'], 'cd in && ls | cpio --quiet -o -H odc >../out'],
  ar: ['unknown', ['ar'], 'cd in && ar qc ../out eicar.com other.txt'],
  deb: [
    'unknown',
    ['dpkg-deb'],
    'mkdir -p p/DEBIAN && cp in/* p && printf "Package: a\\nVersion: 1\\nArchitecture: all\\nMaintainer: a\\nDescription: a\\n" >p/DEBIAN/control && dpkg-deb -b p out.deb >/dev/null && mv out.deb out',
  ],
  rpm: [
    'rpm',
    ['rpmbuild'],
    'printf "Name: a\\nVersion: 1\\nRelease: 1\\nSummary: a\\nLicense: a\\nBuildArch: noarch\\n%%description\\na\\n%%install\\nmkdir -p %%{buildroot}/a\\ncp \'$PWD/in/eicar.com\' %%{buildroot}/a\\n%%files\\n/a/eicar.com\\n" | sed "s|\\$PWD|$PWD|; s|\'||g" >a.spec && rpmbuild --quiet --define "_topdir $PWD/rpm" -bb a.spec >/dev/null 2>&1 && mv rpm/RPMS/noarch/*.rpm out',
  ],
  'tar.bz2': ['bzip2', ['bzip2', 'tar'], 'tar cjf out -C in .'],
  'tar.xz': ['xz', ['xz', 'tar'], 'tar cJf out -C in .'],
  'tar.zst': ['unknown', ['zstd', 'tar'], 'tar --zstd -cf out -C in .'],
  'tar.Z': ['unknown', ['compress', 'tar'], 'tar cf - -C in . | compress -c >out'],
  squashfs: ['unknown', ['mksquashfs'], 'mksquashfs in out -quiet -no-progress >/dev/null'],
  wim: ['unknown', ['wimcapture'], 'wimcapture in out --quiet'],
  '7z': ['7z', ['7zz'], 'cd in && 7zz a -bso0 ../out.7z . && mv ../out.7z ../out'],
  '7z, stored': ['7z', ['7zz'], 'cd in && 7zz a -bso0 -mx0 ../out.7z . && mv ../out.7z ../out'],
  '7z, PPMd': ['7z', ['7zz'], 'cd in && 7zz a -bso0 -m0=PPMd ../out.7z . && mv ../out.7z ../out'],
  'zip, bzip2': ['zip', ['7zz'], 'cd in && 7zz a -bso0 -tzip -mm=BZip2 ../out.zip . && mv ../out.zip ../out'],
  'zip, deflate64': ['zip', ['7zz'], 'cd in && 7zz a -bso0 -tzip -mm=Deflate64 ../out.zip . && mv ../out.zip ../out'],
  'zip, LZMA': ['zip', ['7zz'], 'cd in && 7zz a -bso0 -tzip -mm=LZMA ../out.zip . && mv ../out.zip ../out'],
  'zip by Info-ZIP': ['zip', ['zip'], 'cd in && zip -q -r ../out.zip . && mv ../out.zip ../out'],
};

function folder(context: Parameters<typeof scratch>[0]): string {
  const directory = scratch(context, 'packed');
  mkdirSync(join(directory, 'in'));
  writeFileSync(join(directory, 'in', 'eicar.com'), EICAR);
  writeFileSync(join(directory, 'in', 'other.txt'), 'a text that is packed with it '.repeat(200));
  return directory;
}

function make(directory: string, command: string): Buffer {
  const done = spawnSync('/bin/sh', ['-c', `set -e; ${command}`], { cwd: directory, encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return readFileSync(join(directory, 'out'));
}

for (const [title, [type, programs, command]] of Object.entries(PACKED))
  peerTest(`${title}: what ${programs[0]} packed is taken out`, programs, async (context) => {
    await expectEicar(make(folder(context), command), type);
  });

test('rar 4, rar 5 and lzh with stored members are taken out', async () => {
  const members = [
    { name: 'other.txt', data: Buffer.from('other') },
    { name: 'eicar.com', data: EICAR },
  ];
  await expectEicar(rar4Of(members), 'rar');
  await expectEicar(rar5Of(members), 'rar');
  await expectEicar(lzhOf(members), 'lzh');
});

peerTest('what lzip packed is not opened, and named', ['lzip', 'tar'], async (context) => {
  const { types, said } = await opened(make(folder(context), 'tar --lzip -cf out -C in .'));
  assert.deepEqual([types, said], [['lzip'], ['unscannable:unhandled']]);
});

test('ACE and Outlook stores are not opened, and named', async () => {
  for (const head of ['\x01\x02\x31\0\0\0\x90**ACE**\x14', '!BDN\0\0\0\0SM'])
    assert.deepEqual((await opened(Buffer.from(head, 'latin1'))).said, ['unscannable:unhandled']);
});

/** A program for Windows, as far as its type is concerned. */
function programWith(archive: Buffer): Buffer {
  const program = Buffer.alloc(2_048);
  program.write('MZ');
  program.writeUInt32LE(64, 60);
  program.write('PE\0\0', 64);
  // What unpacks has the signatures in it.
  program.write('Rar!\x1a\x07\0', 1_000, 'latin1');
  program.write("7z\xbc\xaf'\x1c", 1_100, 'latin1');
  return Buffer.concat([program, archive, Buffer.from('what comes behind')]);
}

test('RAR archives that unpack themselves are taken out', async () => {
  const members = [{ name: 'eicar.com', data: EICAR }];
  for (const archive of [rar4Of(members), rar5Of(members)]) {
    const { files } = await opened(programWith(archive));
    assert.ok(files.some(({ bytes }) => bytes.equals(EICAR)));
  }
  assert.deepEqual((await opened(programWith(Buffer.alloc(0)))).said, []);
});

peerTest('a 7z archive that unpacks itself is taken out', ['7zz'], async (context) => {
  const archive = make(folder(context), 'cd in && 7zz a -bso0 ../out.7z . && mv ../out.7z ../out');
  const { files } = await opened(programWith(archive));
  assert.ok(files.some(({ bytes }) => bytes.equals(EICAR)));
});

test('one volume of several, and one that is damaged, are named', async () => {
  assert.ok((await opened(rar4Of([{ name: 'eicar.com', data: EICAR }], true))).said.includes('unscannable:multipart'));
  const cut = rar5Of([{ name: 'eicar.com', data: EICAR }]).subarray(0, -40);
  assert.match((await opened(cut)).said.join(), /^unscannable:(partially)?corrupted$/);
});

for (const [title, command] of [
  ['7z with a password', '7zz a -bso0 -psecret ../out.7z . && mv ../out.7z ../out'],
  ['7z with locked headers', '7zz a -bso0 -psecret -mhe=on ../out.7z . && mv ../out.7z ../out'],
  ['zip with a password', '7zz a -bso0 -tzip -psecret ../out.zip . && mv ../out.zip ../out'],
  ['zip with AES', '7zz a -bso0 -tzip -psecret -mem=AES256 ../out.zip . && mv ../out.zip ../out'],
] as const)
  peerTest(`${title} is encrypted`, ['7zz'], async (context) => {
    const { encrypted, said } = await opened(make(folder(context), `cd in && ${command}`));
    assert.ok(encrypted || said.includes('unscannable:encrypted'), said.join());
  });

test('the programs that these tests name are those that scripts/install-peers installs', () => {
  if (process.env['INSPECTD_PEERS'] !== 'required') return;
  for (const [, programs] of Object.values(PACKED))
    for (const program of programs) assert.ok(pathOf(program) !== undefined, program);
});
