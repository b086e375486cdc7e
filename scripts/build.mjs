// Builds everything into dist/: TypeScript with project references, the WebAssembly kernels, and the program in few files.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const run = (script, ...args) => {
  const done = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
};
run('node_modules/typescript/bin/tsc', '-b', ...process.argv.slice(2));
if (existsSync(join(root, 'scripts/build-kernels.mjs'))) run('scripts/build-kernels.mjs');
if (existsSync(join(root, 'scripts/bundle.mjs'))) run('scripts/bundle.mjs');
