/** docs/output.md names every word that rows can hold. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FLOW_STATES } from '../capture/events.js';
import { UNSCANNABLE_REASONS } from '../core/file.js';
import { BYPASS_REASONS } from '../core/flow.js';
import { ACTIONS, FILE_VERDICTS } from '../policy/outcome.js';
import { capturePath, rows, SAMPLES, scanned, scratch } from '../testing/program.js';

const work = scratch();
const text = readFileSync(join(SAMPLES, '..', 'docs', 'output.md'), 'utf8');

test('every reason, state, verdict and action is described', () => {
  for (const word of [...UNSCANNABLE_REASONS, ...BYPASS_REASONS, ...FLOW_STATES, ...FILE_VERDICTS, ...ACTIONS])
    assert.ok(text.includes(`\`${word}\``), word);
});

test('every field of a row is described', async () => {
  const { files, flows } = await scanned(work, [capturePath('smtp-plain-pdf')]);
  for (const row of [...rows<object>(files), ...rows<object>(flows)])
    for (const field of Object.keys(row)) assert.ok(text.includes(`\`${field}\``), field);
});
