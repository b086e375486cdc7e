import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CASES } from './cases.js';
import { datasetPaths, readIndex } from './dataset.js';

function bench(program: string, ...argv: string[]): string {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const done = spawnSync(process.execPath, [path, ...argv], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout;
}

test('the same seed gives the same capture, and the limit program finds every file in its bytes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  try {
    const one = CASES.find(({ name }) => name === 'scan-mixed');
    assert.ok(one !== undefined);
    const [first, second] = [join(folder, '1'), join(folder, '2')];
    for (const where of [first, second]) bench('generate.js', where, one.name, '1', '7');
    const [a, b] = [datasetPaths(first, one.capture, 1, 7), datasetPaths(second, one.capture, 1, 7)];
    assert.ok(readFileSync(a.capture).equals(readFileSync(b.capture)));
    assert.ok(readIndex(a).captureBytes >= 1_000_000);
    assert.ok(readIndex(a).files.length > 0);
    // It checks the sums itself, and fails where one differs.
    for (const decoder of ['native', 'kernel']) {
      const limit = JSON.parse(bench('limit.js', first, one.name, '1', '7', decoder)) as { seconds: number };
      assert.ok(limit.seconds > 0);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
