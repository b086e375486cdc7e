// Compiles the WebAssembly kernels of src/kernels/assembly into dist/src/kernels, for memory of one thread and for shared memory (NAME-shared.wasm), each
// only when it or this script is newer than its output.
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sources = join(root, 'src/kernels/assembly');
const target = join(root, 'dist/src/kernels');
const changed = (path) => statSync(path).mtimeMs;
const stale = readdirSync(sources)
  .filter((name) => name.endsWith('.ts'))
  .flatMap((name) =>
    [false, true].map((shared) => {
      const output = join(target, name.replace(/\.ts$/, shared ? '-shared.wasm' : '.wasm'));
      return { source: join(sources, name), output, shared };
    }),
  )
  .filter(
    ({ source, output }) =>
      !existsSync(output) || changed(output) < Math.max(changed(source), changed(fileURLToPath(import.meta.url))),
  );

if (stale.length > 0) {
  mkdirSync(target, { recursive: true });
  const { default: asc } = await import('assemblyscript/asc');
  for (const { source, output, shared } of stale) {
    // The memory is the arena's. The stub runtime, never used, leaves no data segment and no start function: a kernel loads without a trace.
    const flags = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd'];
    if (shared) flags.push('--enable', 'threads', '--sharedMemory', '--maximumMemory', '65536');
    const { error } = await asc.main(
      [relative(root, source), '-o', relative(root, output), '--baseDir', root, ...flags],
      {
        stdout: process.stdout,
        stderr: process.stderr,
      },
    );
    if (error) {
      console.error(`cannot compile ${relative(root, source)}: ${error.message}`);
      process.exit(1);
    }
  }
}
