/**
 * Where every process and thread of the program begins (scripts/bundle.mjs makes CommonJS of this, since Node 20 keeps no compiled code of modules). All of the
 * program is one file, and beside it lies what V8 made of it when it was built: what was compiled then need not be compiled at every start, which takes longer
 * than scanning a small capture. V8 takes only what its own version made, but looks neither at what it was made of nor whether it is whole: that is what the
 * seal in front of it is for. Where it does not hold the program is compiled as usual.
 */
import { createHash } from 'node:crypto';
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

const SEAL = 32;

/** What the file of the code holds: `code` is what V8 made of `source`. */
export function kept(source: Buffer, code: Buffer): Buffer {
  return Buffer.concat([sealOf(source, code), code]);
}

function sealOf(source: Buffer, code: Buffer): Buffer {
  return createHash('sha256').update(source).update(code).digest();
}

/** The code that was kept of `source`; undefined: none, or it is damaged, or of another program. */
function codeOf(source: Buffer): Buffer | undefined {
  let file: Buffer;
  try {
    file = readFileSync(CODE);
  } catch {
    return undefined;
  }
  const code = file.subarray(SEAL);
  return file.subarray(0, SEAL).equals(sealOf(source, code)) ? code : undefined;
}

/** Compiles the program and begins it as `name`; the script, and what it was compiled from, for whoever keeps its code. */
export function start(name: string): { readonly script: Script; readonly source: Buffer } {
  const source = readFileSync(PROGRAM);
  const cachedData = codeOf(source);
  // It is ASCII: as Latin-1 it is read faster, and half as large in memory.
  const script = new Script(source.toString('latin1'), {
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
  return { script, source };
}
