/**
 * Runs every case file of a folder as a test: in every way, and against the traces that stand in it. With INSPECTD_REGENERATE=1 in the
 * environment the traces are written anew instead; whoever does that reads the difference and says why in the commit.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Protocol } from '../core/flow.js';
import { parseCaseFile } from './case-file.js';
import { everySplit } from './split.js';

/** Registers one test a file; call it from a test file. */
export function testCases(folder: URL, protocols: readonly Protocol[]): void {
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith('.md')) continue;
    test(`case ${name.slice(0, -3)}`, () => {
      const at = new URL(name, folder);
      const text = readFileSync(at, 'utf8');
      const file = parseCaseFile(text, protocols);
      const traces = everySplit(file.session);
      if (process.env['INSPECTD_REGENERATE'] === '1') {
        const renewed = file.withTraces(traces);
        if (renewed !== text) writeFileSync(at, renewed);
        return;
      }
      for (const [mode, trace] of traces) assert.equal(trace, file.trace(mode), `${mode} trace of ${name}`);
    });
  }
}
