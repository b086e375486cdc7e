import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SourceError } from '../core/errors.js';
import { keepNumber, keptNumber } from './session-numbers.js';

test('the next number is kept; where there is none, or nonsense, numbers begin with one', () => {
  const directory = mkdtempSync(join(tmpdir(), 'numbers-'));
  try {
    assert.equal(keptNumber(directory), 1);
    keepNumber(directory, 4097);
    assert.equal(keptNumber(directory), 4097);
    for (const text of ['', 'x\n', '12', '0\n', '99999999999\n', '4294967296\n']) {
      writeFileSync(join(directory, 'session-number'), text);
      assert.equal(keptNumber(directory), 1, text);
    }
    assert.throws(() => keepNumber(join(directory, 'nowhere'), 1), SourceError);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
