import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { FileMeta, Inspected } from '../core/file.js';
import { EICAR, inspecting, told } from '../testing/inspecting.js';
import type { Inspection } from './inspection.js';

const FILE: FileMeta = { name: 'a.bin', direction: 'upload' };

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes `pieces` as one file; fails unless it is done with when it has ended. */
function inspect(inspection: Inspection, ...pieces: readonly Buffer[]): Inspected {
  let root: Inspected | undefined;
  const file = inspection.open(FILE, (inspected) => {
    root = inspected;
  });
  for (const piece of pieces) file.write(piece, 0, piece.length);
  file.end();
  assert.ok(root !== undefined, 'done was called within end()');
  return root;
}

test('hashes, scans and hands back a file within its end', () => {
  const clean = Buffer.from('nothing to see');
  const root = inspect(inspecting(), clean.subarray(0, 3), clean.subarray(3));
  assert.deepEqual(told(root), { name: 'a.bin', size: 14, state: 'complete', findings: [], children: [] });
  assert.equal(root.info.sha256, sha256(clean));
});

test('finds EICAR however the file was cut', () => {
  const inspection = inspecting();
  const bytes = Buffer.concat([Buffer.from('before '), EICAR, Buffer.from(' after')]);
  for (let cut = 1; cut < bytes.length; cut++) {
    const root = inspect(inspection, bytes.subarray(0, cut), bytes.subarray(cut));
    assert.deepEqual(told(root).findings, ['infected EICAR_TEST_FILE'], `cut at ${cut}`);
  }
});

test('an empty file is a file of size 0 with the hash of nothing', () => {
  const root = inspect(inspecting());
  assert.equal(root.info.size, 0);
  assert.equal(root.info.sha256, sha256(Buffer.alloc(0)));
  assert.deepEqual(root.findings, []);
});

test('takes a file in memory up to the slot limit and spools one byte more, with the same result', () => {
  for (const size of [65_536, 65_537, 65_536 * 3 + 5]) {
    const bytes = Buffer.alloc(size, 'x');
    EICAR.copy(bytes, size - EICAR.length);
    const root = inspect(inspecting(), bytes.subarray(0, 1000), bytes.subarray(1000, 65_530), bytes.subarray(65_530));
    assert.equal(root.info.sha256, sha256(bytes), `${size}`);
    assert.equal(root.info.size, size);
    assert.deepEqual(told(root).findings, ['infected EICAR_TEST_FILE']);
  }
});
