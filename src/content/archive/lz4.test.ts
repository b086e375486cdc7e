import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Content } from '../../core/file.js';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { peerTest, run, scratch } from '../../testing/peers/peers.js';
import { UnpackRecorder } from '../../testing/unpack-recorder.js';
import { lz4Unpacker } from './lz4.js';
import { Xxh32 } from './xxh32.js';

const unpacker = lz4Unpacker(DEFAULT_LIMITS);

function contentOf(bytes: Buffer): Content {
  return { length: bytes.length, bytes, read: (at, length) => bytes.subarray(at, at + length) };
}

function unpacked(bytes: Buffer, options = {}): { files: Buffer[]; said: string[] } {
  const recorder = new UnpackRecorder({ kept: 1 << 26, ...options });
  assert.ok(unpacker.accepts(['unknown'], contentOf(bytes)));
  void unpacker.unpack(contentOf(bytes), recorder);
  return { files: recorder.children.map((child) => child.bytes), said: recorder.said };
}

function hashOf(text: string, pieces = text.length): number {
  const hash = new Xxh32();
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieces) hash.update(bytes, at, Math.min(bytes.length, at + pieces));
  return hash.digest();
}

test('xxHash of 32 bits, whatever the pieces', () => {
  // Out of the specification's own test vectors, and of xxhsum.
  assert.equal(hashOf('', 1), 0x02cc5d05);
  assert.equal(hashOf('abc'), 0x32d153ff);
  const text = 'Nobody inspects the spammish repetition';
  assert.equal(hashOf(text), 0xe2293b2f);
  for (let pieces = 1; pieces < text.length; pieces++) assert.equal(hashOf(text, pieces), 0xe2293b2f);
});

/** A frame of one stored block without checksums. */
function frame(data: Buffer): Buffer {
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0]);
  const check = new Xxh32();
  check.update(head, 4, 6);
  head[6] = (check.digest() >>> 8) & 0xff;
  const length = Buffer.alloc(4);
  length.writeUInt32LE((data.length | 0x8000_0000) >>> 0);
  return Buffer.concat([head, length, data, Buffer.alloc(4)]);
}

test('frames one after another are one file; skippable ones are skipped, and what is none is named', () => {
  const skippable = Buffer.from('502a4d1803000000616263', 'hex');
  const two = Buffer.concat([frame(Buffer.from('one ')), skippable, frame(Buffer.from('two'))]);
  assert.deepEqual(unpacked(two), { files: [Buffer.from('one two')], said: [] });
  const trailing = unpacked(Buffer.concat([frame(Buffer.from('one')), Buffer.from('junk')]));
  assert.deepEqual(trailing, { files: [Buffer.from('one')], said: ['malformed:archive-trailing-data'] });
});

test('a frame that is cut or changed is damaged, and what came out before is inspected', () => {
  const whole = frame(Buffer.from('some text'));
  for (let cut = 5; cut < whole.length; cut++) {
    const { said } = unpacked(whole.subarray(0, cut));
    assert.equal(said.length, 1, String(cut));
    assert.match(said[0]!, /^unscannable:(partially)?corrupted$/);
  }
  const changed = Buffer.from(whole);
  changed[5] = 0x50;
  assert.deepEqual(unpacked(changed).said, ['unscannable:corrupted']);
});

test('whatever the bytes are, reading ends well', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, legacy) => {
      const head = legacy ? Buffer.from('02214c18', 'hex') : frame(Buffer.alloc(0)).subarray(0, 7);
      unpacked(Buffer.concat([head, bytes]));
    }),
    { numRuns: 300 },
  );
});

peerTest('what the lz4 program packs is unpacked, in each of its ways', ['lz4'], async (context) => {
  const directory = scratch(context, 'lz4');
  const text = Buffer.from('a text that is packed well, since it is the same again and again; '.repeat(40_000));
  const mixed = Buffer.concat([text, randomBytes(300_000), text]);
  const file = join(directory, 'file');
  writeFileSync(file, mixed);
  for (const way of [['-1'], ['-9'], ['-B4', '-BD'], ['-B7', '-BX'], ['--no-frame-crc'], ['--content-size'], ['-l']]) {
    run('lz4', ['-q', '-f', ...way, file, `${file}.lz4`]);
    const { files, said } = unpacked(readFileSync(`${file}.lz4`));
    assert.deepEqual(said, [], way.join(' '));
    assert.ok(files[0]!.equals(mixed), way.join(' '));
  }
  run('lz4', ['-q', '-f', '-9', file, `${file}.lz4`]);
  // What comes out is bounded, whatever the frame says.
  const { said } = unpacked(readFileSync(`${file}.lz4`), { bytes: 100_000 });
  assert.equal(said.length, 1);
});
