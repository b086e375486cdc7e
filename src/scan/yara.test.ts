import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError } from '../core/errors.js';
import type { Content, FileInfo, Finding, Inspected, Scanner } from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { inspecting, told } from '../testing/inspecting.js';
import { createYaraPool } from './yara-pool.js';
import { createYaraScanner } from './yara-scanner.js';

const directory = mkdtempSync(join(tmpdir(), 'yara-test-'));
after(() => rmSync(directory, { recursive: true }));

function rules(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const NAMED = rules(
  'named.yar',
  'rule worm { meta: virus = "Worm.Test" virus_id = 77 strings: $a = "worm-bytes" condition: $a }\n' +
    'rule plain { strings: $a = "plain-bytes" condition: $a }\n',
);
/** Runs for minutes; YARA-X does not warn of it. */
const ENDLESS = rules('endless.yar', 'rule endless { condition: for all i in (0..20000000000) : (i >= 0) }\n');

const INFO: FileInfo = {
  id: 1,
  meta: { name: 'a', direction: 'upload' },
  parent: undefined,
  depth: 0,
  types: ['unknown'],
  size: 0,
  sha256: undefined,
  state: 'complete',
  encrypted: false,
};

function memory(text: string): Content {
  const bytes = Buffer.from(text);
  return { length: bytes.length, bytes, read: (at, length) => bytes.subarray(at, at + length) };
}

function spooled(text: string): Content {
  return { ...memory(text), bytes: undefined };
}

async function found(scanner: Scanner, content: Content): Promise<readonly string[]> {
  const findings: readonly Finding[] = await scanner.scan(INFO, content);
  return findings.map((finding) => {
    assert.ok(finding.kind === 'infected');
    assert.equal(finding.by, 'yara');
    assert.equal(finding.dtype, 'av-engine');
    return `${finding.virus} ${finding.virusId}`;
  });
}

test('a rule names the virus by its meta, or by its own name', async () => {
  const scanner = createYaraScanner([NAMED], DEFAULT_LIMITS);
  assert.deepEqual(await found(scanner, memory('-- plain-bytes worm-bytes --')), ['Worm.Test 77', 'plain 0']);
  assert.deepEqual(await found(scanner, memory('nothing')), []);
  assert.deepEqual(await found(scanner, memory('')), []);
});

test('a spooled file is scanned in overlapping windows, and a match is one finding', async () => {
  const scanner = createYaraScanner([NAMED], { scanWindow: 30, scanOverlap: 15 });
  for (let at = 0; at < 100; at++) {
    const text = `${'x'.repeat(at)}worm-bytes${'y'.repeat(100 - at)}`;
    assert.deepEqual(await found(scanner, spooled(text)), ['Worm.Test 77'], `at ${at}`);
  }
});

test('rules of two files may have one name', async () => {
  const other = rules('other.yar', 'rule plain { condition: filesize > 3 }');
  assert.deepEqual(await found(createYaraScanner([NAMED, other], DEFAULT_LIMITS), memory('plain-bytes')), ['plain 0']);
});

test('a rule that does not compile, or a slow one without a deadline, is an error with file and line', () => {
  const bad = rules('bad.yar', 'rule a {\n condition: $b\n}\n');
  assert.throws(() => createYaraScanner([bad], DEFAULT_LIMITS), {
    code: 'INSPECTD_CONFIG',
    message: `${bad}:2: unknown pattern \`$b\` (this pattern is not declared in the \`strings\` section)`,
  });
  const slow = rules('slow.yar', 'rule a { strings: $a = /(a|aa)+$/ condition: $a }');
  assert.throws(() => createYaraScanner([slow], DEFAULT_LIMITS), {
    message: `${slow}:1: slow pattern (this pattern may slow down the scan)`,
  });
  assert.throws(() => createYaraScanner([join(directory, 'none.yar')], DEFAULT_LIMITS), /none\.yar: cannot be read/);
});

test('a pool finds the same, in memory and in windows, one file after the other', async () => {
  const pool = await createYaraPool([NAMED], { limits: { ...DEFAULT_LIMITS, scanWindow: 30, scanOverlap: 15 } });
  try {
    const scans = [
      memory('worm-bytes'),
      memory('nothing'),
      spooled(`${'x'.repeat(25)}worm-bytes${'y'.repeat(50)}plain-bytes`),
      memory(''),
    ];
    assert.deepEqual(await Promise.all(scans.map((content) => found(pool, content))), [
      ['Worm.Test 77'],
      [],
      ['Worm.Test 77', 'plain 0'],
      [],
    ]);
  } finally {
    pool.close();
  }
});

test('a pool says what is wrong with a rule before anything is scanned', async () => {
  const bad = rules('bad-too.yar', 'rule a {\n condition: $b\n}\n');
  await assert.rejects(createYaraPool([bad], { limits: DEFAULT_LIMITS }), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(
      error.message,
      `${bad}:2: unknown pattern \`$b\` (this pattern is not declared in the \`strings\` section)`,
    );
    return true;
  });
});

test('a rule that does not end is killed at its deadline and named, and the next scan works', async () => {
  const picky = rules(
    'picky.yar',
    'rule picky { condition: uint8(0) == 0x65 and for all i in (0..20000000000) : (i >= 0) }\n',
  );
  const pool = await createYaraPool([NAMED, picky], { limits: { ...DEFAULT_LIMITS, scanTime: 300 } });
  try {
    const [endless, waiting] = await Promise.allSettled([
      found(pool, memory('endless')),
      found(pool, memory('worm-bytes')),
    ]);
    assert.ok(endless.status === 'rejected');
    assert.equal((endless.reason as Error).message, `timeout: longer than 300 ms in ${picky}`);
    assert.deepEqual(waiting, { status: 'fulfilled', value: ['Worm.Test 77'] });
  } finally {
    pool.close();
  }
});

test('a file whose rule did not end is unscannable, with the name of the rule file', async () => {
  const pool = await createYaraPool([ENDLESS], { limits: { ...DEFAULT_LIMITS, scanTime: 100 } });
  try {
    const root = await new Promise<Inspected>((resolve) => {
      const file = inspecting({ scanners: [pool] }).open(INFO.meta, resolve);
      file.write(Buffer.from('x'), 0, 1);
      file.end();
    });
    assert.deepEqual(told(root).findings, [`unscannable engine-error yara: timeout: longer than 100 ms in ${ENDLESS}`]);
  } finally {
    pool.close();
  }
});

test('closing a pool ends a scan under way as a failure', async () => {
  const pool = await createYaraPool([ENDLESS], { limits: DEFAULT_LIMITS });
  const scan = found(pool, memory('x'));
  setImmediate(() => pool.close());
  await assert.rejects(scan, /^SourceError: closed/);
  await assert.rejects(found(pool, memory('x')), /the pool is closed/);
});
