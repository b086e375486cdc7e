import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import type { Content } from '../../../core/file.js';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { peerTest, run, scratch } from '../../../testing/peers/peers.js';
import { UnpackRecorder } from '../../../testing/unpack-recorder.js';
import { undoing } from './filters.js';
import { pdfUnpacker } from './pdf.js';

const unpacker = pdfUnpacker(DEFAULT_LIMITS);

function contentOf(bytes: Buffer, spooled: boolean): Content {
  const read = (at: number, length: number): Buffer => Buffer.from(bytes.subarray(at, at + length));
  return { length: bytes.length, bytes: spooled ? undefined : bytes, read };
}

/** Names and bytes of files, the text of the streams under `undefined` first, and what was said. */
function unpacked(bytes: Buffer | string, options = {}): { files: [string | undefined, string][]; said: string[] } {
  const source = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'latin1');
  const [first, second] = [false, true].map((spooled) => {
    const recorder = new UnpackRecorder({ kept: 1 << 22, ...options });
    void unpacker.unpack(contentOf(source, spooled), recorder);
    const files = recorder.children.map(({ meta, bytes: kept }): [string | undefined, string] => [
      meta.name,
      kept.toString('latin1'),
    ]);
    return { files, said: recorder.said };
  });
  assert.deepEqual(second, first);
  return first!;
}

const latin1 = (bytes: Buffer): string => bytes.toString('latin1');
const stream = (dictionary: string, data: string, end = '\nendstream endobj\n'): string =>
  `1 0 obj\n<<${dictionary}>>\nstream\r\n${data}${end}`;

const hex = (text: string): string => `${Buffer.from(text, 'latin1').toString('hex')}>`;
/** As Adobe writes it; for texts of whole groups of four. */
const ascii85 = (text: string): string => {
  const bytes = Buffer.from(text, 'latin1');
  let out = '';
  for (let at = 0; at < bytes.length; at += 4) {
    let value = bytes.readUInt32BE(at);
    let group = '';
    for (let i = 0; i < 5; i++) {
      group = String.fromCharCode(0x21 + (value % 85)) + group;
      value = Math.floor(value / 85);
    }
    out += group;
  }
  return `${out}~>`;
};
const TEXT = 'the text of it!!';

for (const [title, filter, data] of [
  ['not packed', '', TEXT],
  ['deflated', '/Filter /FlateDecode', latin1(deflateSync(TEXT))],
  ['deflated, without its checksum', '/Filter/FlateDecode', latin1(deflateSync(TEXT).subarray(0, -4))],
  ['in hex', '/Filter [/ASCIIHexDecode]', hex(TEXT)],
  ['in hex, deflated before', '/Filter [ /AHx /Fl ]', hex(latin1(deflateSync(TEXT)))],
  ['in ASCII85', '/Filter /ASCII85Decode', ascii85(TEXT)],
  ['in runs', '/Filter /RunLengthDecode', `\x0fthe text of it!!\x80`],
  ['under a name with escapes', '/Filter /Fl#61teDecode', latin1(deflateSync(TEXT))],
] as const)
  test(`a stream that is ${title}`, () => {
    assert.deepEqual(unpacked(stream(filter, data)), { files: [[undefined, `${TEXT}\n`]], said: [] });
    assert.deepEqual(unpacked(stream(`${filter}/Length ${data.length}`, data)).files, [[undefined, `${TEXT}\n`]]);
    // A wrong length is put right, one that is said elsewhere not followed.
    assert.deepEqual(unpacked(stream(`${filter}/Length 3`, data)).files, [[undefined, `${TEXT}\n`]]);
    assert.deepEqual(unpacked(stream(`${filter}/Length 3 0 R`, data)).files, [[undefined, `${TEXT}\n`]]);
  });

test('runs are repeated, and LZW follows its codes', () => {
  const undone = (name: string, data: Buffer): string => {
    const out: Buffer[] = [];
    const write = (chunk: Buffer, start: number, end: number): boolean => {
      out.push(Buffer.from(chunk.subarray(start, end)));
      return true;
    };
    const chain = undoing([name], { write, end: () => {} })!;
    for (const byte of data) chain.write(Buffer.of(byte), 0, 1);
    chain.end();
    return Buffer.concat(out).toString('latin1');
  };
  assert.equal(undone('RunLengthDecode', Buffer.from('\xfda\x01bc\x80', 'latin1')), 'aaaabc');
  // ISO 32000-1, example of §7.4.4.2.
  assert.equal(undone('LZWDecode', Buffer.from('800b6050220c0c8501', 'hex')), '-----A---B');
});

test('embedded files have their names; what else is a file is given as one', () => {
  const program = Buffer.alloc(200);
  program.write('MZ');
  program.writeUInt32LE(64, 60);
  program.write('PE\0\0', 64);
  const document = [
    '%PDF-1.7\n5 0 obj\n<</Type/Filespec/F(a\\(1\\).txt)/UF<FEFF0062002E0065007800 65>/EF<</F 6 0 R>>>>\nendobj\n',
    stream('/Type /EmbeddedFile /Filter /FlateDecode', latin1(deflateSync('the file'))),
    stream('/Filter /FlateDecode', latin1(deflateSync(program))),
    stream('/Filter /DCTDecode', 'a picture'),
  ].join('');
  const { files, said } = unpacked(document);
  assert.deepEqual(said, []);
  assert.deepEqual(files[0], ['a(1).txt', 'the file']);
  assert.deepEqual(files[1], [undefined, `${latin1(program)}\n`]);
  assert.deepEqual(files[2], [undefined, latin1(program)]);
});

test('an embedded file whose filter is not known is named, and a bomb is stopped', () => {
  assert.deepEqual(unpacked(stream('/EmbeddedFile /Filter /Crypt', 'x')).said, ['unscannable:unhandled']);
  const bomb = stream('/Filter /FlateDecode', latin1(deflateSync(Buffer.alloc(10_000_000))));
  assert.equal(unpacked(bomb, { bytes: 1_000_000 }).said.length, 1);
});

test('words that are no streams, and streams without an end, are read well and in linear time', () => {
  assert.deepEqual(unpacked('%PDF-1.4 upstream and stream of words').files, []);
  const endless = stream('', 'x').replace('endstream', '').repeat(20_000);
  assert.equal(unpacked(endless).files.length, 1);
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          'stream',
          'endstream',
          '<<',
          '>>',
          'obj',
          '/Filter/Fl',
          '/Filter/LZW',
          '\n',
          '/EF',
          '(a',
          'x\x9c',
        ),
        { maxLength: 80 },
      ),
      (words) => {
        unpacked(words.join(''));
      },
    ),
  );
});

peerTest('a file that qpdf puts into a document is found, however it is packed', ['qpdf'], async (context) => {
  const directory = scratch(context, 'pdf');
  const page = join(directory, 'page.pdf');
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>',
  ];
  writeFileSync(
    page,
    `%PDF-1.4\n${objects.map((object, at) => `${at + 1} 0 obj\n${object}\nendobj\n`).join('')}trailer\n<</Size 4/Root 1 0 R>>\n`,
  );
  const attached = join(directory, 'attached.txt');
  const text = 'a file within a document\n'.repeat(100);
  writeFileSync(attached, text);
  for (const options of [[], ['--object-streams=generate'], ['--stream-data=uncompress'], ['--linearize']]) {
    const out = join(directory, 'out.pdf');
    run('qpdf', [page, '--add-attachment', attached, '--', ...options, out], { statuses: [0, 3] });
    const { files, said } = unpacked(readFileSync(out));
    assert.deepEqual(said, []);
    const found = files.find(([, bytes]) => bytes === text);
    assert.ok(found !== undefined, options.join(' '));
  }
});
