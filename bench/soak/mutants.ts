/**
 * FLT-032: the code that decides is changed in one place at a time, and its tests run against it. A change that no test notices is a survivor,
 * listed with its line. Works on a copy of the compiled program.
 */
import { spawn } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SoakOptions, SoakResult } from './soak.js';

const DIST = fileURLToPath(new URL('../..', import.meta.url));
/** Beside it, so that packages and data are found as before. */
const COPY = fileURLToPath(new URL('../../../.mutants', import.meta.url));
/** Where it is decided what passes, and the tests that know. */
const SUBJECTS: readonly { readonly file: string; readonly tests: readonly string[] }[] = [
  { file: 'src/policy/decide.js', tests: ['src/policy/decide.test.js', 'src/stage/connection.test.js'] },
];
const CHANGES: readonly (readonly [found: RegExp, put: string])[] = [
  [/ === /g, ' !== '],
  [/ !== /g, ' === '],
  [/ && /g, ' || '],
  [/ \|\| /g, ' && '],
  [/\btrue\b/g, 'false'],
  [/\bfalse\b/g, 'true'],
  [/ > /g, ' <= '],
  [/ < /g, ' >= '],
  [/'block'/g, "'pass'"],
  [/if \(/g, 'if (!'],
];
const PATIENCE = 60_000;

export async function mutants({ seconds = 3_600 }: SoakOptions): Promise<SoakResult> {
  const stop = Date.now() + seconds * 1000;
  const survivors: string[] = [];
  let tried = 0;
  cpSync(DIST, COPY, { recursive: true });
  for (const { file, tests } of SUBJECTS) {
    const path = join(COPY, file);
    const whole = readFileSync(path, 'utf8');
    try {
      for (const [found, put] of CHANGES)
        for (const { index } of whole.matchAll(found)) {
          const length = (whole.slice(index).match(new RegExp(found.source)) ?? [''])[0].length;
          const line = whole.slice(0, index).split('\n').length;
          const text = whole.split('\n')[line - 1]?.trim() ?? '';
          if (text.startsWith('//') || text.startsWith('*') || text.startsWith('/*')) continue;
          if (Date.now() > stop) break;
          writeFileSync(path, whole.slice(0, index) + put + whole.slice(index + length));
          tried++;
          if (!(await passes(tests))) continue;
          survivors.push(`${file}:${line}: ${found.source.trim()} -> ${put.trim()}: ${text}`);
          process.stderr.write(`survived: ${survivors.at(-1)}\n`);
        }
    } finally {
      writeFileSync(path, whole);
    }
  }
  rmSync(COPY, { recursive: true });
  return { ok: survivors.length === 0, figures: { tried, survived: survivors.length, survivors } };
}

/** The quickest first: most changes fail there. */
async function passes(tests: readonly string[]): Promise<boolean> {
  for (const test of tests) if (!(await passesOne(test))) return false;
  return true;
}

function passesOne(test: string): Promise<boolean> {
  const child = spawn(process.execPath, [join(COPY, test)], { stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  return new Promise((resolve) =>
    child.once('exit', (status) => {
      clearTimeout(timer);
      resolve(status === 0);
    }),
  );
}
