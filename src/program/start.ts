/**
 * Where every process and thread of the program begins (scripts/bundle.mjs makes CommonJS of this, since Node 20 keeps no compiled code of modules). All of the
 * program is one file, and beside it lies what V8 made of it when it was built: what was compiled then need not be compiled at every start, which takes longer
 * than scanning a small capture. V8 takes only what its own version made of the same file; otherwise the program is compiled as usual.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const FOLDER = dirname(fileURLToPath(import.meta.url));
const PROGRAM = join(FOLDER, 'program.js');
/** The compiled code. */
export const CODE: string = join(FOLDER, 'program.code');

/** What the program's file exports: each of its beginnings by name. */
interface Loaded {
  readonly exports: { readonly beginnings?: Readonly<Record<string, () => Promise<unknown>>> };
}

/** Compiles the program and begins it as `name`; the script, for whoever keeps its code. */
export function start(name: string): Script {
  // It is ASCII: as Latin-1 it is read faster, and half as large in memory.
  const source = readFileSync(PROGRAM, 'latin1');
  const cachedData = compiledCode();
  const script = new Script(`(function (module, require, __filename) {${source}\n})`, {
    filename: PROGRAM,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const run = script.runInThisContext() as (module: Loaded, require: NodeJS.Require, file: string) => void;
  const loaded: Loaded = { exports: {} };
  run(loaded, createRequire(PROGRAM), PROGRAM);
  const begin = loaded.exports.beginnings?.[name];
  if (begin === undefined) throw new Error(`${PROGRAM} has no beginning "${name}"`);
  // What it rejects with ends the process, as in a module.
  void begin();
  return script;
}

function compiledCode(): Buffer | undefined {
  try {
    return readFileSync(CODE);
  } catch {
    return undefined;
  }
}
