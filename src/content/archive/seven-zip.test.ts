import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, describe, it } from 'node:test';
import type { SevenZipModuleFactory } from '7z-wasm';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { EICAR, zipOf } from '../../testing/archive-bytes.js';
import { contentOf, type RecorderOptions, UnpackRecorder } from '../../testing/unpack-recorder.js';
import { identify } from '../types/identify.js';
import { createUnpackers } from './unpackers.js';

const made = createUnpackers({ limits: DEFAULT_LIMITS });
after(() => made.close());
const eicar = EICAR.toString();

async function unpack(bytes: Buffer, options: RecorderOptions = {}, unpackers = made): Promise<UnpackRecorder> {
  const content = contentOf(bytes);
  const { types } = identify(content, undefined);
  const recorder = new UnpackRecorder(options);
  for (const unpacker of unpackers.unpackers)
    if (unpacker.accepts(types, content)) await unpacker.unpack(content, recorder);
  return recorder;
}

/** An archive made by 7-Zip itself. */
async function make(extension: string, files: Record<string, Buffer | string>, ...options: string[]): Promise<Buffer> {
  const factory = createRequire(import.meta.url)('7z-wasm') as SevenZipModuleFactory;
  const seven = await factory({ print: () => {}, printErr: () => {} });
  seven.FS.mkdir('/w');
  seven.FS.chdir('/w');
  for (const [name, data] of Object.entries(files)) seven.FS.writeFile(name, Buffer.from(data));
  seven.callMain(['a', ...options, `o.${extension}`, ...Object.keys(files)]);
  return Buffer.from(seven.FS.readFile(`o.${extension}`, { encoding: 'binary' }));
}

/** ISO 9660 with one file. */
function isoOf(data: Buffer): Buffer {
  const both = (target: Buffer, at: number, value: number): void => {
    target.writeUInt32LE(value, at);
    target.writeUInt32BE(value, at + 4);
  };
  const record = (name: Buffer, sector: number, length: number, flags: number): Buffer => {
    const entry = Buffer.alloc(33 + name.length + ((name.length + 1) % 2));
    entry[0] = entry.length;
    both(entry, 2, sector);
    both(entry, 10, length);
    entry[25] = flags;
    entry.writeUInt16LE(1, 28);
    entry.writeUInt16BE(1, 30);
    entry[32] = name.length;
    name.copy(entry, 33);
    return entry;
  };
  const image = Buffer.alloc(20 * 2048);
  const volume = image.subarray(16 * 2048);
  volume.write('\x01CD001\x01', 0, 'latin1');
  volume.fill(' ', 8, 72);
  both(volume, 80, 20);
  volume.writeUInt16LE(1, 120);
  volume.writeUInt16BE(1, 122);
  volume.writeUInt16LE(1, 124);
  volume.writeUInt16BE(1, 126);
  volume.writeUInt16LE(2048, 128);
  volume.writeUInt16BE(2048, 130);
  record(Buffer.from([0]), 18, 2048, 2).copy(volume, 156);
  volume[881] = 1;
  image.write('\xffCD001\x01', 17 * 2048, 'latin1');
  const entries = [record(Buffer.from([0]), 18, 2048, 2), record(Buffer.from([1]), 18, 2048, 2)];
  Buffer.concat([...entries, record(Buffer.from('EICAR.COM;1'), 19, data.length, 0)]).copy(image, 18 * 2048);
  data.copy(image, 19 * 2048);
  return image;
}

describe('7-Zip in its child', () => {
  it('ARC-042 opens 7z, xz, bzip2, wim and iso', async () => {
    for (const extension of ['7z', 'xz', 'bz2', 'wim']) {
      const got = await unpack(await make(extension, { 'bad.com': EICAR }));
      assert.deepEqual(got.texts, [eicar], extension);
      assert.deepEqual(got.said, [], extension);
      assert.deepEqual(got.names, [extension === 'xz' || extension === 'bz2' ? undefined : 'bad.com']);
    }
    const iso = await unpack(isoOf(EICAR));
    assert.deepEqual(iso.texts, [eicar]);
    assert.deepEqual(iso.names, ['EICAR.COM']);
  });

  it('ARC-018 opens zip members of methods that are not known here, once', async () => {
    for (const method of ['Deflate64', 'BZip2', 'LZMA', 'PPMd']) {
      const got = await unpack(await make('zip', { 'bad.com': EICAR }, `-mm=${method}`, '-mx=9'));
      assert.ok(got.texts.includes(eicar), method);
      assert.deepEqual(got.said, [], method);
      assert.equal(got.children.length, 1);
    }
    const nonsense = await unpack(zipOf([{ name: 'x', method: 97, raw: EICAR }]));
    assert.ok(nonsense.said.length > 0);
  });

  it('keeps several members, their folders and their order', async () => {
    const got = await unpack(await make('7z', { 'a.txt': 'one', 'b.txt': 'two', empty: '' }));
    assert.deepEqual([...got.names].sort(), ['a.txt', 'b.txt', 'empty']);
    assert.equal(got.text('b.txt'), 'two');
    assert.deepEqual(got.said, []);
  });

  it('ARC-023 ARC-041 calls locked members and locked headers encrypted, with what names there are', async () => {
    const members = await unpack(await make('7z', { 'bad.com': EICAR }, '-psecret'));
    assert.deepEqual(members.said, ['unscannable:encrypted']);
    assert.deepEqual(members.names, ['bad.com']);
    assert.deepEqual(members.texts, ['']);
    const headers = await unpack(await make('7z', { 'bad.com': EICAR }, '-psecret', '-mhe=on'));
    assert.deepEqual(headers.said, ['unscannable:encrypted']);
  });

  it('names what is damaged or cut, and gives out what there is', async () => {
    const xz = await make('xz', { 'bad.com': EICAR });
    const cut = await unpack(xz.subarray(0, -20));
    assert.deepEqual(cut.said, ['unscannable:partiallycorrupted']);
    assert.deepEqual(cut.texts, [eicar]);
    const seven = await make('7z', { 'bad.com': EICAR });
    assert.deepEqual((await unpack(seven.subarray(0, -5))).said, ['unscannable:corrupted']);
    const data = Buffer.from(await make('7z', { 'bad.com': EICAR }, '-mx=0'));
    data[40]! ^= 1;
    assert.deepEqual((await unpack(data)).said, ['unscannable:partiallycorrupted']);
  });

  it('BMB-004 stops 10 GB of zeros in bzip2 and xz at the ratio', async () => {
    for (const extension of ['bz2', 'xz']) {
      const piece = await make(extension, { zeros: Buffer.alloc(16 * 1024 * 1024) });
      const bomb = Buffer.concat(Array.from({ length: 640 }, () => piece));
      const small = createUnpackers({ limits: { ...DEFAULT_LIMITS, unpackRatio: 10 } });
      const got = await unpack(bomb, { bytes: 2 ** 40, kept: 16 }, small);
      small.close();
      assert.deepEqual(got.said, ['unscannable:mailbomb'], extension);
      assert.ok(got.outputSize <= Math.max(DEFAULT_LIMITS.ratioFloor, bomb.length * 10) + 1024 * 1024);
    }
  });

  it('crosses the byte, file, depth and input limits by one', async () => {
    const bytes = await make('7z', { a: Buffer.alloc(500, 'a'), b: Buffer.alloc(500, 'b') });
    assert.deepEqual((await unpack(bytes, { bytes: 1000 })).said, []);
    assert.deepEqual((await unpack(bytes, { bytes: 999 })).said, ['unscannable:uncompressed-oversize']);
    assert.deepEqual((await unpack(bytes, { files: 2 })).said, []);
    assert.deepEqual((await unpack(bytes, { files: 1 })).said, ['unscannable:limit']);
    assert.deepEqual((await unpack(bytes, { nesting: 12 })).said, ['unscannable:nested']);
    const exact = createUnpackers({ limits: DEFAULT_LIMITS, sevenZip: { input: bytes.length } });
    const less = createUnpackers({ limits: DEFAULT_LIMITS, sevenZip: { input: bytes.length - 1 } });
    assert.deepEqual((await unpack(bytes, {}, exact)).said, []);
    assert.deepEqual((await unpack(bytes, {}, less)).said, ['unscannable:limit']);
    exact.close();
  });

  it('kills a child that is late, says so, and serves the next job with another', async () => {
    const bytes = await make('7z', { a: 'hello' });
    const one = createUnpackers({ limits: DEFAULT_LIMITS, sevenZip: { children: 1 } });
    const [late, next] = await Promise.all([unpack(bytes, { time: 1 }, one), unpack(bytes, {}, one)]);
    assert.deepEqual(late.said, ['unscannable:timeout']);
    assert.deepEqual(next.texts, ['hello']);
    one.close();
  });

  it('works off more jobs than there are children', async () => {
    const bytes = await make('7z', { a: 'hello' });
    const got = await Promise.all(Array.from({ length: 8 }, () => unpack(bytes)));
    for (const one of got) assert.deepEqual(one.texts, ['hello']);
  });

  it('calls a child that is too large for its memory an engine error, not clean', {
    skip: process.platform !== 'linux',
  }, async () => {
    const tiny = createUnpackers({ limits: DEFAULT_LIMITS, sevenZip: { memory: 1000 } });
    const got = await unpack(await make('7z', { a: 'hello' }), {}, tiny);
    assert.deepEqual(got.said, ['unscannable:engine-error']);
    tiny.close();
  });

  it('says so when it was closed', async () => {
    const closed = createUnpackers({ limits: DEFAULT_LIMITS });
    closed.close();
    assert.deepEqual((await unpack(await make('7z', { a: 'x' }), {}, closed)).said, ['unscannable:engine-error']);
  });
});
