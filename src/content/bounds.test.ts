/** What a profile sets beside the engine's limits: size, unpacked size, nesting, bzip2. Each is crossed by one. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Inspected } from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { EICAR, inspecting, type Told, told } from '../testing/inspecting.js';
import { gzipUnpacker } from './archive/gzip.js';
import type { InspectionOptions } from './inspection.js';
import type { FileBounds } from './tree.js';

const ANY: FileBounds = { oversize: Infinity, uncompressedOversize: Infinity, nesting: 100, scanBzip2: true };

function inspected(bytes: Buffer, bounds: Partial<FileBounds>, options: Partial<InspectionOptions> = {}): Told {
  const identify: InspectionOptions['identify'] = (content) => ({
    types: [content.read(0, 2).toString('hex') === '1f8b' ? 'gzip' : 'unknown'],
  });
  const inspection = inspecting({ identify, unpackers: [gzipUnpacker(DEFAULT_LIMITS)], ...options });
  let root: Inspected | undefined;
  const file = inspection.open({ name: 'file', direction: 'upload' }, (done) => (root = done), { ...ANY, ...bounds });
  file.write(bytes, 0, bytes.length);
  file.end();
  assert.ok(root !== undefined);
  return told(root);
}

const DETAIL = 'over the limit of the profile';

test('a file one byte over the size limit is not scanned, one of just that size is', () => {
  assert.deepEqual(inspected(EICAR, { oversize: EICAR.length }).findings, ['infected EICAR_TEST_FILE']);
  const over = inspected(EICAR, { oversize: EICAR.length - 1 });
  assert.deepEqual(over.findings, [`unscannable oversize ${DETAIL}`]);
  assert.equal(over.size, EICAR.length);
});

test('a file over the size limit is not unpacked', () => {
  const packed = gzipSync(EICAR);
  const over = inspected(packed, { oversize: packed.length - 1 });
  assert.deepEqual([over.findings, over.children], [[`unscannable oversize ${DETAIL}`], []]);
});

test('what came out of an archive is measured by the limit for unpacked files', () => {
  const packed = gzipSync(EICAR);
  const [fits] = inspected(packed, { uncompressedOversize: EICAR.length }).children;
  assert.deepEqual(fits?.findings, ['infected EICAR_TEST_FILE']);
  const [over] = inspected(packed, { uncompressedOversize: EICAR.length - 1 }).children;
  assert.deepEqual(over?.findings, [`unscannable uncompressed-oversize ${DETAIL}`]);
});

test('archives are opened as deep as the profile says, where the engine allows it', () => {
  const twice = gzipSync(gzipSync(EICAR));
  const deepest = (file: Told): Told => (file.children[0] === undefined ? file : deepest(file.children[0]));
  assert.deepEqual(deepest(inspected(twice, { nesting: 2 })).findings, ['infected EICAR_TEST_FILE']);
  assert.deepEqual(deepest(inspected(twice, { nesting: 1 })).findings, ['unscannable nested nesting']);
});

test('bzip2 is left closed, and said to be, where the profile does not want it opened', () => {
  const identify: InspectionOptions['identify'] = () => ({ types: ['bzip2'] });
  const opened = { name: 'bzip2', accepts: () => true, unpack: () => assert.fail('it was opened') };
  const closed = inspected(Buffer.from('BZh9'), { scanBzip2: false }, { identify, unpackers: [opened] });
  assert.deepEqual(closed.findings, [`unscannable unhandled ${DETAIL}`]);
});
