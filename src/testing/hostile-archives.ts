/**
 * Archives for tests, by the rows of our list of evasions (ARC-*, BMB-*) and the verdict that each asks for, and as many harmless ones that are
 * built in the same ways.
 */
import { Buffer } from 'node:buffer';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { crc32 } from '../content/archive/crc32.js';
import {
  EICAR,
  extraOf,
  gzipOf,
  paxRecord,
  TAR_END,
  tarMembers,
  tarOf,
  type ZipMember,
  zerosDeflated,
  zipOf,
} from './archive-bytes.js';
import { compoundOf } from './compound-bytes.js';
import { lzhOf, rar4Of, rar5Of } from './rar-bytes.js';

export interface HostileArchive {
  readonly title: string;
  readonly name: string;
  readonly bytes: Buffer;
  /** `refused`: it cannot be seen whole, and is not clean. */
  readonly verdict: 'infected' | 'refused' | 'clean';
}

const bad: ZipMember = { name: 'bad.com', data: EICAR };
const good: ZipMember = { name: 'good.txt', data: 'hello' };
const packed = deflateRawSync(EICAR);

function program(behind: Buffer): Buffer {
  const bytes = Buffer.alloc(2_048);
  bytes.write('MZ');
  bytes.writeUInt32LE(64, 60);
  bytes.write('PE\0\0', 64);
  return Buffer.concat([bytes, behind]);
}

function infected(): [string, Buffer][] {
  const local = zipOf([bad], { noEnd: true });
  const inner = tarMembers({ name: 'bad.com', data: EICAR });
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
  return [
    ['ARC-001 method in one header', zipOf([{ ...bad, local: { method: 0, size: packed.length } }])],
    ['ARC-001 method in the other', zipOf([{ ...bad, entry: { method: 0, size: packed.length } }])],
    [
      'ARC-002 stored and deflated',
      zipOf([{ name: 'b', method: 0, raw: packed, crc: crc32(EICAR, 0, EICAR.length), size: packed.length }]),
    ],
    ...[0, 1, 67, 0xffffffff].map((size): [string, Buffer] => [
      `ARC-003 size ${size}`,
      zipOf([{ ...bad, local: { size } }]),
    ]),
    [
      'ARC-005 a bad Unicode Path',
      zipOf([{ ...bad, extra: extraOf(0x7075, Buffer.from('\x01\x09\x09\x09\x09other.txt', 'latin1')) }]),
    ],
    ['ARC-006 a directory with data', zipOf([{ ...bad, name: 'test/' }])],
    [
      'ARC-008 a name twice',
      zipOf([
        { ...good, name: 'a' },
        { ...bad, name: 'a' },
      ]),
    ],
    ['ARC-009 odd names', zipOf(['/a/b', 'a//b', 'a\\b', '.../a/b'].map((name) => ({ ...bad, name })))],
    ['ARC-011 not in the directory', zipOf([good, { ...bad, hidden: true }, good])],
    ['ARC-012 in the comment', zipOf([good], { comment: local })],
    [
      'ARC-012 behind a false end',
      zipOf([good], { gap: Buffer.concat([Buffer.from('PK\x05\x06'), Buffer.alloc(18), local]) }),
    ],
    ['ARC-013 first of two', Buffer.concat([zipOf([bad]), zipOf([good])])],
    ['ARC-013 last of two', Buffer.concat([zipOf([good]), zipOf([bad])])],
    ['ARC-014 an end in the comment', zipOf([bad], { comment: zipOf([]) })],
    ['ARC-015 a wrong count', zipOf([good, bad], { count: 65_535 })],
    ['ARC-016 something in front', zipOf([bad], { before: Buffer.from('something else') })],
    ['ARC-019 a wrong CRC', zipOf([{ ...bad, crc: 1 }])],
    ['ARC-021 cut before its end', zipOf([bad], { noEnd: true })],
    ['ARC-022 a name that climbs', zipOf([{ ...bad, name: '../../x' }])],
    ['ARC-024 behind a program', program(zipOf([bad]))],
    [
      'ARC-030 pax before a long name',
      tarOf(
        { type: 'x', data: paxRecord('size', '1024') },
        { name: '././@LongLink', type: 'L', data: 'decoy\0', gnu: true },
        { name: 'decoy', data: inner.subarray(0, 1024) },
      ),
    ],
    [
      'ARC-031 two sizes',
      tarOf({ type: 'x', data: paxRecord('size', `${inner.length}`) }, { name: 'in', data: inner, size: 0 }),
    ],
    [
      'ARC-034 behind the end',
      Buffer.concat([tarOf({ name: 'a', data: 'b' }), tarOf({ name: 'bad.com', data: EICAR })]),
    ],
    [
      'ARC-034 behind a block of zeros',
      Buffer.concat([
        tarMembers({ name: 'a', data: 'b' }),
        TAR_END.subarray(512),
        tarOf({ name: 'bad.com', data: EICAR }),
      ]),
    ],
    ['ARC-035 a bad checksum', tarOf({ name: 'a', data: 'b', badChecksum: true }, { name: 'bad.com', data: EICAR })],
    ['ARC-035 an unknown type', tarOf({ name: 'bad.com', data: EICAR, type: 'q' })],
    ['ARC-037 a member behind zeros', Buffer.concat([gzipOf('hello'), Buffer.alloc(8), gzipOf(EICAR)])],
    ['ARC-038 garbage behind', Buffer.concat([gzipOf(EICAR), Buffer.from('garbage')])],
    ['ARC-041 rar 4', rar4Of([{ name: 'bad.com', data: EICAR }])],
    ['ARC-041 rar 5', rar5Of([{ name: 'bad.com', data: EICAR }])],
    ['ARC-041 rar behind a program', program(rar5Of([{ name: 'bad.com', data: EICAR }]))],
    ['ARC-042 lzh', lzhOf([{ name: 'bad.com', data: EICAR }])],
    ['ARC-042 OLE2', compoundOf([{ path: ['ObjectPool', '_1', 'Package'], data: zipOf([bad]) }])],
    ['ARC-043 a picture and a zip', Buffer.concat([png, zipOf([bad])])],
    ['ARC-043 PDF and zip', Buffer.concat([Buffer.from('%PDF-1.4\n'), zipOf([bad])])],
    ['ARC-043 gzip and zip', Buffer.concat([gzipOf('hello'), zipOf([bad])])],
    ['ARC-045 junk behind', Buffer.concat([EICAR, Buffer.alloc(500, ' ')])],
  ];
}

function refused(): [string, Buffer][] {
  const kernel = zerosDeflated(1);
  const members = Array.from({ length: 100 }, (_, n) => ({ name: `${n}`, raw: kernel, size: 2 ** 24 }));
  let deep: Buffer = EICAR;
  for (let layer = 0; layer < 30; layer++)
    deep = [zipOf([{ name: 'x', data: deep }]), gzipOf(deep), tarOf({ name: 'x', data: deep })][layer % 3]!;
  return [
    ['ARC-018 an unknown method', zipOf([{ ...bad, method: 97, raw: packed }])],
    ['ARC-023 locked', zipOf([{ ...bad, flags: 1 }])],
    ['ARC-032 a malformed pax record', tarOf({ type: 'x', data: '99 path=x\n' }, { name: 'a', data: 'b' })],
    ['ARC-041 one volume', rar4Of([{ name: 'a', data: Buffer.from('b') }], true)],
    [
      'BMB-001 members that share bytes',
      zipOf([members[0]!, ...members.slice(1).map((one) => ({ ...one, missing: true, entry: { offset: 0 } }))]),
    ],
    ['BMB-001 one long member', zipOf([{ name: 'zeros', raw: zerosDeflated(4), size: 2 ** 26 }])],
    ['BMB-004 zeros', gzipSync(gzipSync(Buffer.alloc(64 << 20)))],
    [
      'BMB-005 more files than are opened',
      zipOf(Array.from({ length: 12_000 }, (_, n) => ({ name: `${n}`, method: 0 }))),
    ],
    ['BMB-006 thirty layers', deep],
  ];
}

/** What is packed as everybody packs. */
function harmless(): [string, Buffer][] {
  const members = [good, { name: 'd/', method: 0 }, { name: 'd/other.txt', data: 'there '.repeat(100) }];
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt32LE(0x08074b50);
  const tarred = [
    { name: 'a.txt', data: 'hello' },
    { name: 'd/', type: '5' },
    { name: 'd/b.txt', data: 'there' },
  ];
  const office = (part: string): Buffer =>
    zipOf([
      { name: '[Content_Types].xml', data: '<Types/>' },
      { name: part, data: '<x/>' },
    ]);
  const of = (count: number): ZipMember[] => Array.from({ length: count }, (_, n) => ({ name: `f${n}`, data: `${n}` }));
  const files = [
    { name: 'a.txt', data: Buffer.from('hello') },
    { name: 'b.txt', data: Buffer.from('there') },
  ];
  return [
    ['zip', zipOf(members)],
    ['zip, stored', zipOf(members.map((one) => ({ ...one, method: 0 })))],
    ['zip with a comment', zipOf(members, { comment: Buffer.from('made by hand') })],
    ['zip with descriptors', zipOf([{ ...good, flags: 8, local: { crc: 0, packed: 0, size: 0 }, descriptor }])],
    ['zip with names in UTF-8', zipOf([{ ...good, name: 'größe.txt', flags: 0x800 }])],
    ['an empty zip', zipOf([])],
    ['zip of a thousand', zipOf(of(1_000))],
    ['zip in a zip', zipOf([{ name: 'in.zip', method: 0, data: zipOf(members) }])],
    ['zip in a zip, packed', zipOf([{ name: 'in.zip', data: zipOf(members) }])],
    ['a zip that unpacks itself', program(zipOf(members))],
    ['docx', office('word/document.xml')],
    ['xlsx', office('xl/workbook.xml')],
    ['pptx', office('ppt/presentation.xml')],
    [
      'jar',
      zipOf([
        { name: 'META-INF/MANIFEST.MF', data: 'Manifest-Version: 1.0\r\n' },
        { name: 'A.class', data: Buffer.from('cafebabe00000034', 'hex') },
      ]),
    ],
    [
      'apk',
      zipOf([
        { name: 'AndroidManifest.xml', data: '\x03\0\x08\0' },
        { name: 'classes.dex', data: 'dex\n035\0' },
      ]),
    ],
    [
      'epub',
      zipOf([
        { name: 'mimetype', method: 0, data: 'application/epub+zip' },
        { name: 'a.xhtml', data: '<html/>' },
      ]),
    ],
    ['tar', tarOf(...tarred)],
    ['tar with pax headers', tarOf({ type: 'x', data: paxRecord('mtime', '1700000000.5') }, ...tarred)],
    [
      'tar with a long name',
      tarOf({ name: '././@LongLink', type: 'L', data: `${'n'.repeat(150)}\0`, gnu: true }, ...tarred),
    ],
    ['tar with links', tarOf(...tarred, { name: 'ln', type: '2' }, { name: 'hard', type: '1' })],
    ['tar of version 7', tarOf({ name: 'a', data: 'b', v7: true })],
    ['tar with much padding', Buffer.concat([tarOf(...tarred), Buffer.alloc(10_240)])],
    ['tar.gz', gzipSync(tarOf(...tarred))],
    ['gzip', gzipSync('hello')],
    ['gzip with a name', gzipOf('hello', { name: 'a.txt' })],
    ['gzip of several members', Buffer.concat([gzipSync('one'), gzipSync('two'), gzipSync('three')])],
    ['gzip with zeros behind', Buffer.concat([gzipSync('hello'), Buffer.alloc(512)])],
    ['gzip of nothing', gzipSync('')],
    ['gzip that packs well', gzipSync(Buffer.alloc(4 << 20, 'text '))],
    ['rar 4', rar4Of(files)],
    ['rar 5', rar5Of(files)],
    ['lzh', lzhOf(files)],
    [
      'doc',
      compoundOf([
        { path: ['WordDocument'], data: 'text '.repeat(2_000) },
        { path: ['1Table'], data: 'table' },
      ]),
    ],
    [
      'msg',
      compoundOf([
        { path: ['__properties_version1.0'], data: Buffer.alloc(64) },
        { path: ['__attach_version1.0_#00000000', '__substg1.0_37010102'], data: 'attached' },
      ]),
    ],
    ['rtf with an object', Buffer.from(`{\\rtf1{\\object{\\*\\objdata ${Buffer.from('an object').toString('hex')}}}}`)],
    ['pdf', Buffer.from('%PDF-1.4\n1 0 obj\n<</Length 5>>\nstream\nhello\nendstream\nendobj\ntrailer<<>>\n%%EOF\n')],
    [
      'seven layers',
      [0, 1, 2, 3, 4, 5, 6].reduce((bytes: Buffer) => zipOf([{ name: 'x', data: bytes }]), Buffer.from('hello')),
    ],
    ['a program', program(Buffer.alloc(0))],
  ];
}

export function hostileArchives(): HostileArchive[] {
  const all = (list: [string, Buffer][], verdict: HostileArchive['verdict']): HostileArchive[] =>
    list.map(([title, bytes], at) => ({ title, name: `${verdict}-${at}.dat`, bytes, verdict }));
  return [...all(infected(), 'infected'), ...all(refused(), 'refused'), ...all(harmless(), 'clean')];
}
