// Joins the compiled program into one file, dist/program/program.js: Node reads and links some 280 modules for a scan otherwise, which takes longer than
// a small scan. What others import as a library stays as it was compiled. Beside it go a small file for each process and thread that runs it, and the code
// that V8 made of it while it scanned the samples (src/program/start.ts reads both). Processes that need little of it are files of their own.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const compiled = join(root, 'dist/src');
const out = join(root, 'dist/program');
/** Where the program begins, in processes and threads. */
const beginnings = ['cli/main.js', 'capture/worker.js', 'live/worker-process.js', 'fleet/scan-process.js'];
/** Processes and threads of their own: small, and soon begun. */
const children = [
  'scan/yara-child.js',
  'scan/digest-thread-main.js',
  'content/archive/seven-zip-child.js',
  'content/mime/readings/readings-child.js',
];
const names = new Set([...beginnings, ...children].map((entry) => basename(entry)));

/** What is not ours stays where npm put it, but for what every command needs first. */
const joinedPackages = new Set(['commander']);
const packages = {
  name: 'packages',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || joinedPackages.has(path) ? undefined : { path, external: true },
    );
  },
};

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

const LOCATION = "const programUrl = require('node:url').pathToFileURL(__filename).href;";

/** One file of CommonJS. */
const joined = (name, more) =>
  build({
    outfile: join(out, `${name}.js`),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    charset: 'ascii',
    supported: { 'dynamic-import': false },
    banner: { js: LOCATION },
    define: { 'import.meta.url': 'programUrl' },
    logLevel: 'warning',
    ...more,
    plugins: [packages, ...(more.plugins ?? [places])],
  });
const nameOf = (entry) => basename(entry, '.js');

rmSync(out, { recursive: true, force: true });
const exported = beginnings.map((entry) => `'${nameOf(entry)}': () => import('./${entry}'),`);
await Promise.all([
  joined('program', {
    stdin: { contents: `export const beginnings = {${exported.join('')}};`, resolveDir: compiled },
    // What Node puts around a module: whoever compiles the file as it is need not make a second text of it (start.ts).
    banner: {
      js: `// Has commander in it, Copyright (c) 2011 TJ Holowaychuk, MIT licence.\n(function (module, require, __filename) {${LOCATION}`,
    },
    footer: { js: '})' },
  }),
  // It finds the program beside itself.
  joined('start', { entryPoints: [join(compiled, 'program/start.js')], plugins: [] }),
  ...children.map((entry) => joined(nameOf(entry), { entryPoints: [join(compiled, entry)] })),
]);
writeFileSync(join(out, 'package.json'), '{ "type": "commonjs" }\n');
for (const entry of beginnings) {
  const text = `#!/usr/bin/env node\nrequire('./start.js').start('${nameOf(entry)}');\n`;
  writeFileSync(join(out, `${nameOf(entry)}.js`), text, { mode: 0o755 });
}
const kept = spawnSync(process.execPath, [join(root, 'scripts/keep-code.cjs'), join(root, 'samples')], {
  encoding: 'utf8',
});
if (kept.status !== 0) throw new Error(`the program does not run as it was joined: ${kept.stderr}`);
