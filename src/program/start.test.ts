import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MAIN } from '../testing/program.js';

const BUILT = dirname(MAIN);

/** Where a copy of the program is that may be spoilt, beside the program itself: it finds signatures and kernels from there. */
function copied(context: TestContext): string {
  const folder = mkdtempSync(join(dirname(BUILT), 'program-copy-'));
  context.after(() => rmSync(folder, { recursive: true }));
  cpSync(BUILT, folder, { recursive: true });
  return folder;
}

/** What `--version` says, and whether the kept code was refused; undefined: none was there. */
function begun(folder: string): { readonly version: string; readonly refused: string } {
  const text = `process.argv[2] = '--version'; console.log(require(${JSON.stringify(join(folder, 'start.js'))}).start('main').cachedDataRejected)`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', text, 'main'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const lines = stdout.trim().split('\n').sort();
  return { version: lines[0] ?? '', refused: lines[1] ?? '' };
}

const { version } = JSON.parse(readFileSync(join(dirname(BUILT), '../package.json'), 'utf8')) as { version: string };

test('the code that was kept when the program was built is taken', () => {
  assert.deepEqual(begun(BUILT), { version, refused: 'false' });
});

test('code of another program, broken code or none: the program is compiled as usual', (context) => {
  const folder = copied(context);
  const code = join(folder, 'program.code');
  const whole = readFileSync(code);
  writeFileSync(join(folder, 'program.js'), `${readFileSync(join(folder, 'program.js'), 'latin1')}\n// changed\n`);
  assert.deepEqual(begun(folder), { version, refused: 'true' });
  for (const broken of [whole.subarray(0, whole.length >> 1), Buffer.alloc(0), Buffer.alloc(1000, 0x5a)]) {
    writeFileSync(code, broken);
    assert.deepEqual(begun(folder), { version, refused: 'true' });
  }
  rmSync(code);
  assert.deepEqual(begun(folder), { version, refused: 'undefined' });
});
