/** A capture scanned as a user does it, by the program: its rows and log. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MAIN } from '../program.js';
import { run, scratch } from './peers.js';

/** The EICAR test file, in two pieces so that this one is not it. */
export const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');

/** The columns of a row of --files that the tests compare. */
export interface Row {
  readonly name: string | null;
  readonly sha256: string | null;
  readonly service: string;
  readonly transfer: string;
  readonly type: string;
  readonly verdict: string;
  readonly state: string;
}

/** Scans `file`; `options` are more arguments of `inspectd scan`. */
export function scan(
  context: TestContext,
  file: string,
  options: readonly string[] = [],
): { rows: Row[]; log: string } {
  const directory = scratch(context, 'scan');
  const files = join(directory, 'files');
  const log = join(directory, 'log');
  run(process.execPath, [MAIN, 'scan', '--quiet', '--files', files, '--log', log, ...options, file], {
    statuses: [0, 1],
  });
  const rows = readFileSync(files, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
  return { rows, log: readFileSync(log, 'utf8') };
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** That a file of this name and content is among the rows, with the columns of `expected`. */
export function expectFile(rows: readonly Row[], name: string, bytes: Buffer, expected: Partial<Row>): void {
  const row = rows.find((each) => each.name === name && each.sha256 === sha256(bytes));
  assert.ok(row, `${name} was not found among ${JSON.stringify(rows.map((each) => [each.name, each.state]))}`);
  for (const [key, value] of Object.entries(expected)) assert.equal(row[key as keyof Row], value, `${name}: ${key}`);
}

/** Payloads of the tests that are infected say so in their name. */
export const infected = (name: string): boolean => name.includes('eicar');
