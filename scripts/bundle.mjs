// Joins the compiled program into few files, dist/program/: Node reads and links some 280 modules for a scan otherwise, which takes longer than
// a small scan. What others import as a library stays as it was compiled.
import { readFileSync, rmSync } from 'node:fs';
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

// Chunks are named by what is in them: old ones would stay.
rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: entries.map((entry) => join(compiled, entry)),
  outdir: out,
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
  plugins: [places],
});
