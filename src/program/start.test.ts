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

/** What `--version` says, and whether V8 refused the kept code; undefined: it was given none. */
function begun(folder: string): { readonly version: string; readonly refused: string } {
  const text = `process.argv[2] = '--version'; console.log(require(${JSON.stringify(join(folder, 'start.js'))}).start('main').script.cachedDataRejected)`;
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
  const [code, program] = [join(folder, 'program.code'), join(folder, 'program.js')];
  const whole = readFileSync(code);
  const compiled = { version, refused: 'undefined' };
  const flipped = (at: number): Buffer => {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 0x55;
    return bytes;
  };
  // V8 itself would take these, and crash.
  const damaged = [31, 32, 1000, 50_000, whole.length - 1].map(flipped);
  for (const broken of [...damaged, whole.subarray(0, whole.length >> 1), Buffer.alloc(0), Buffer.alloc(1000, 0x5a)]) {
    writeFileSync(code, broken);
    assert.deepEqual(begun(folder), compiled);
  }
  writeFileSync(code, whole);
  // As long as it was: V8 looks at nothing else.
  writeFileSync(program, readFileSync(program, 'latin1').replace('// dist/src', '// DIST/src'));
  assert.deepEqual(begun(folder), compiled);
  rmSync(code);
  assert.deepEqual(begun(folder), compiled);
});
