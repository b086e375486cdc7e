// Joins the compiled program into one file, dist/program/program.js: Node reads and links some 280 modules for a scan otherwise, which takes longer than
// a small scan. What others import as a library stays as it was compiled. Beside it go a small file for each process and thread that it consists of, and
// the code that V8 made of it while it scanned the samples (src/program/start.ts reads both).
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const compiled = join(root, 'dist/src');
const out = join(root, 'dist/program');
/** The program, and what it starts in threads and processes of their own. */
const entries = [
  'cli/main.js',
  'capture/worker.js',
  'live/worker-process.js',
  'fleet/scan-process.js',
  'scan/yara-child.js',
  'content/archive/seven-zip-child.js',
  'content/mime/readings/readings-child.js',
];
const names = new Set(entries.map((entry) => basename(entry)));

/** A module finds what lies beside it (data, other programs) from where it was compiled, or among the entries. */
const places = {
  name: 'places',
  setup({ onLoad }) {
    onLoad({ filter: /dist[\\/].*\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('import.meta.url')) return undefined;
      const place = `new URL('${relative(out, path).split(sep).join('/')}', import.meta.url)`;
      const contents = text.replace(
        /new URL\('(?:\.\/)?([\w-]+\.js)', import\.meta\.url\)|import\.meta\.url/g,
        (found, name) =>
          name !== undefined && names.has(name)
            ? `new URL('./${name}', import.meta.url)`
            : found.replace('import.meta.url', `${place}.href`),
      );
      return { contents, loader: 'js' };
    });
  },
};

/** One file of CommonJS. */
const shape = {
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  charset: 'ascii',
  packages: 'external',
  supported: { 'dynamic-import': false },
  banner: { js: "const programUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'programUrl' },
  logLevel: 'warning',
};

rmSync(out, { recursive: true, force: true });
const beginnings = entries.map((entry) => `'${basename(entry, '.js')}': () => import('./${entry}'),`);
await Promise.all([
  build({
    ...shape,
    stdin: { contents: `export const beginnings = {\n${beginnings.join('\n')}\n};`, resolveDir: compiled },
    outfile: join(out, 'program.js'),
    plugins: [places],
  }),
  build({ ...shape, entryPoints: [join(compiled, 'program/start.js')], outfile: join(out, 'start.js') }),
]);
writeFileSync(join(out, 'package.json'), '{ "type": "commonjs" }\n');
for (const entry of entries) {
  const name = basename(entry, '.js');
  const text = `#!/usr/bin/env node\nrequire('./start.js').start('${name}');\n`;
  writeFileSync(join(out, `${name}.js`), text, { mode: 0o755 });
}
const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/keep-code.cjs'), join(root, 'samples')], {
  encoding: 'utf8',
});
if (status !== 0) throw new Error(`the program does not run as it was joined: ${stderr}`);
