import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Content } from '../../../core/file.js';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { type CompoundPart, compoundOf } from '../../../testing/compound-bytes.js';
import { peerTest, run, scratch } from '../../../testing/peers/peers.js';
import { UnpackRecorder } from '../../../testing/unpack-recorder.js';
import { ole2Unpacker } from './ole2.js';
import { vbaSources } from './vba.js';

const unpacker = ole2Unpacker(DEFAULT_LIMITS);

interface Unpacked {
  /** Names of a file, and its bytes. */
  readonly files: readonly (readonly [readonly string[], string])[];
  /** What the streams hold that are no files. */
  readonly rest: string;
  readonly said: readonly string[];
}

function unpacked(bytes: Buffer, options = {}): Unpacked {
  const [first, second] = [false, true].map((spooled): Unpacked => {
    const read = (at: number, length: number): Buffer => Buffer.from(bytes.subarray(at, at + length));
    const content: Content = { length: bytes.length, bytes: spooled ? undefined : bytes, read };
    const recorder = new UnpackRecorder({ kept: 1 << 24, ...options });
    if (unpacker.accepts(['msoffice'], content)) void unpacker.unpack(content, recorder);
    const isRest = (meta: { readonly reading?: string }): boolean => meta.reading === 'what the streams hold';
    return {
      files: recorder.children
        .filter(({ meta }) => !isRest(meta))
        .map(({ meta, bytes: kept }) => [
          [meta.name ?? '', ...(meta.otherNames ?? [])].filter((name) => name !== ''),
          kept.toString('latin1'),
        ]),
      rest: recorder.children.find(({ meta }) => isRest(meta))?.bytes.toString('latin1') ?? '',
      said: recorder.said,
    };
  });
  assert.deepEqual(second, first);
  return first!;
}

const wide = (text: string): Buffer => Buffer.from(text, 'utf16le');
const LARGE = 'a large stream, '.repeat(5_000);

/** What the object packager makes of a file. */
function packageOf(name: string, data: string): Buffer {
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const path = `C:\\temp\\${name}\0`;
  const body = Buffer.concat([
    Buffer.from('\x02\0', 'latin1'),
    Buffer.from(`label of ${name}\0${path}`, 'latin1'),
    Buffer.from('\0\0\x03\0', 'latin1'),
    number(path.length),
    Buffer.from(path, 'latin1'),
    number(data.length),
    Buffer.from(data, 'latin1'),
  ]);
  return Buffer.concat([number(body.length), body]);
}

test('streams, small and large, in storages, are put together', () => {
  const { files, rest, said } = unpacked(
    compoundOf([
      { path: ['WordDocument'], data: LARGE },
      { path: ['1Table'], data: 'a small one' },
      { path: ['ObjectPool', '_1', 'deep'], data: 'deep down' },
      { path: ['empty'], data: '' },
    ]),
  );
  assert.deepEqual(files, []);
  assert.deepEqual(said, []);
  assert.equal(rest, `${LARGE}\na small one\ndeep down\n`);
});

test('attachments of a message have their names, in each of its messages', () => {
  const attachment = (storages: readonly string[], name: string, data: string): CompoundPart[] => [
    { path: [...storages, '__substg1.0_37010102'], data },
    { path: [...storages, '__substg1.0_3707001F'], data: wide(name) },
    { path: [...storages, '__substg1.0_3704001E'], data: 'SHORT~1.EXE\0' },
  ];
  const first = '__attach_version1.0_#00000000';
  const { files, rest } = unpacked(
    compoundOf([
      { path: ['__substg1.0_1000001F'], data: wide('the body') },
      ...attachment([first], 'größe.exe', LARGE),
      ...attachment(['__attach_version1.0_#00000001', '__substg1.0_3701000D', first], 'inner.txt', 'within'),
    ]),
  );
  assert.deepEqual(files, [
    [['größe.exe', 'SHORT~1.EXE'], LARGE],
    [['inner.txt', 'SHORT~1.EXE'], 'within'],
  ]);
  assert.equal(rest, `${wide('the body').toString('latin1')}\n`);
});

test('files that were put into a document are taken out under their names', () => {
  const { files } = unpacked(
    compoundOf([
      { path: ['ObjectPool', '_1', '\x01Ole10Native'], data: packageOf('bad.exe', LARGE) },
      { path: ['ObjectPool', '_2', 'Package'], data: 'a document in a document' },
      { path: ['ObjectPool', '_3', '\x01Ole10Native'], data: '\x05\0\0\0bytes' },
      { path: ['odd'], data: 'PK\x03\x04 is a file' },
    ]),
  );
  assert.deepEqual(files, [
    [['label of bad.exe', 'bad.exe'], LARGE],
    [[], 'a document in a document'],
    [[], 'bytes'],
    [[], 'PK\x03\x04 is a file'],
  ]);
});

test('macros are unpacked, wherever they stand in their stream', () => {
  // A chunk of eight letters and the same eight again ([MS-OVBA] 2.4.1.3), and one that is cut within its letters.
  const container = Buffer.concat([
    Buffer.from('010bb000', 'hex'),
    Buffer.from('Attribut'),
    Buffer.from('010570', 'hex'),
    Buffer.from('09b0004162', 'hex'),
  ]);
  assert.deepEqual(vbaSources(container), [Buffer.from('AttributAttributAb')]);
  assert.deepEqual(vbaSources(Buffer.from('no\0Attribut')), []);
  const { rest } = unpacked(
    compoundOf([
      { path: ['Macros', 'VBA', 'Module1'], data: Buffer.concat([Buffer.from('compiled code'), container]) },
    ]),
  );
  assert.ok(rest.endsWith('\nAttributAttributAb\n'));
});

test('chains that lead in circles, into each other or out of the file end', () => {
  const whole = compoundOf([
    { path: ['one'], data: LARGE },
    { path: ['two'], data: LARGE },
  ]);
  // The allocation table is at the end: its first entries are the first stream's.
  const table = whole.length - Math.ceil(whole.length / 512 / 127) * 512;
  for (const to of [0, 3, 0x00ff_ffff, 0xffff_fffc]) {
    const changed = Buffer.from(whole);
    changed.writeUInt32LE(to, table + 4);
    assert.ok(unpacked(changed).rest.length < 3 * LARGE.length);
  }
  for (let cut = 0; cut < whole.length; cut += 997) unpacked(whole.subarray(0, cut));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 40 }), (changes) => {
      const changed = Buffer.from(whole);
      for (const [at, byte] of changes) changed[at < 512 ? at : whole.length - (at % 2_048) - 1] = byte;
      unpacked(changed);
    }),
    { numRuns: 200 },
  );
});

test('what comes out is bounded', () => {
  const many = compoundOf(Array.from({ length: 1_500 }, (_, n) => ({ path: [`_${n}`, 'Package'], data: 'x' })));
  assert.ok(unpacked(many).said.includes('unscannable:limit'));
  assert.equal(unpacked(compoundOf([{ path: ['a'], data: LARGE }]), { bytes: 1_000 }).said.length, 1);
});

peerTest('what libgsf writes is read', ['gsf'], async (context) => {
  const directory = scratch(context, 'gsf');
  const names = ['small', 'large', 'larger'];
  const texts = ['a few words', LARGE, LARGE.repeat(20)];
  for (const [at, name] of names.entries()) writeFileSync(join(directory, name), texts[at]!);
  const out = join(directory, 'out.ole');
  run('gsf', ['createole', out, ...names.map((name) => join(directory, name))]);
  const { rest, said } = unpacked(readFileSync(out));
  assert.deepEqual(said, []);
  for (const text of texts) assert.ok(rest.includes(`${text}\n`));
});
