// Runs every compiled test with node's own runner, and says plainly which outside servers were not there to test against.
//   node scripts/test.mjs [FILTER...]    only the test files whose path has FILTER in it
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const filters = process.argv.slice(2);
// A compiled test whose source is gone (a renamed file) must not run.
const files = readdirSync(join(root, 'dist'), { recursive: true })
  .filter((name) => name.endsWith('.test.js') && existsSync(join(root, name.replace(/\.js$/, '.ts'))))
  .filter((name) => filters.length === 0 || filters.some((word) => name.includes(word)))
  .map((name) => join(root, 'dist', name))
  .sort();
if (files.length === 0) {
  console.error(
    `no test file ${filters.length > 0 ? `matches ${filters.join(' ')}` : `below ${relative('.', join(root, 'dist'))}`}`,
  );
  process.exit(1);
}
const skipped = [];
// One more than there are cores: most tests wait for other programs for a third of their time.
const stream = run({ files, concurrency: availableParallelism() + 1, timeout: 10 * 60_000 });
stream.on('test:fail', () => {
  process.exitCode = 1;
});
stream.on('test:pass', (test) => {
  if (test.skip !== undefined) skipped.push(`${test.name}${typeof test.skip === 'string' ? `: ${test.skip}` : ''}`);
});
stream.on('end', () => {
  if (skipped.length > 0)
    console.log(`Left out (${skipped.length}):\n${skipped.map((line) => `  ${line}`).join('\n')}`);
});
stream.compose(new spec()).pipe(process.stdout);
