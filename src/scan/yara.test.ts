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
import { compileRules } from './yara-rules.js';

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

/** What a pool of these rules finds in each content. */
async function foundBy(
  paths: readonly string[],
  contents: readonly Content[],
  changes = {},
): Promise<(readonly string[])[]> {
  const pool = await createYaraPool(paths, { limits: { ...DEFAULT_LIMITS, ...changes } });
  try {
    return await Promise.all(contents.map((content) => found(pool, content)));
  } finally {
    pool.close();
  }
}

test('a rule names the virus by its meta, or by its own name', async () => {
  const texts = ['-- plain-bytes worm-bytes --', 'nothing', ''].map(memory);
  assert.deepEqual(await foundBy([NAMED], texts), [['Worm.Test 77', 'plain 0'], [], []]);
});

test('a spooled file is scanned in overlapping windows, and a match is one finding', async () => {
  const texts = Array.from({ length: 100 }, (_, at) => spooled(`${'x'.repeat(at)}worm-bytes${'y'.repeat(100 - at)}`));
  const all = await foundBy([NAMED], texts, { scanWindow: 30, scanOverlap: 15 });
  assert.ok(all.every((one) => one.join() === 'Worm.Test 77'));
});

test('rules of two files may have one name', async () => {
  const other = rules('other.yar', 'rule plain { condition: filesize > 3 }');
  assert.deepEqual(await foundBy([NAMED, other], [memory('plain-bytes')]), [['plain 0']]);
});

test('a rule that does not compile is an error with file and line, and one that may be slow is said to be when asked', () => {
  const bad = rules('bad.yar', 'rule a {\n condition: $b\n}\n');
  assert.throws(() => compileRules([bad], { refuseSlow: false }), {
    code: 'INSPECTD_CONFIG',
    message: `${bad}:2: unknown pattern \`$b\` (this pattern is not declared in the \`strings\` section)`,
  });
  const slow = rules('slow.yar', 'rule a { strings: $a = /(a|aa)+$/ condition: $a }');
  assert.throws(() => compileRules([slow], { refuseSlow: true }), {
    message: `${slow}:1: slow pattern (this pattern may slow down the scan)`,
  });
  assert.equal(compileRules([slow], { refuseSlow: false }).length, 1);
  assert.throws(() => compileRules([join(directory, 'none.yar')], { refuseSlow: false }), /none\.yar: cannot be read/);
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

test('a file waits for a busy process as long as it may, and is unscannable then', async () => {
  const limits = { ...DEFAULT_LIMITS, scanTime: 500, scanWait: 50 };
  const pool = await createYaraPool([ENDLESS], { limits });
  try {
    const results = await Promise.allSettled([found(pool, memory('first')), found(pool, memory('second'))]);
    assert.match(String((results[0] as PromiseRejectedResult).reason), /timeout: longer than 500 ms/);
    assert.match(String((results[1] as PromiseRejectedResult).reason), /busy with other files for 50 ms/);
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

test('rules are exchanged while scans are under way, and those that do not compile are not taken', async () => {
  const before = rules('before.yar', 'rule before { strings: $a = "bytes" condition: $a }');
  const later = rules('later.yar', 'rule later { strings: $a = "bytes" condition: $a }');
  const bad = rules('bad-later.yar', 'rule a { condition: $b }');
  const pool = await createYaraPool([before], { limits: DEFAULT_LIMITS, processes: 2 });
  try {
    const under = Array.from({ length: 40 }, () => found(pool, memory('bytes')));
    await assert.rejects(pool.reload([bad]), ConfigError);
    assert.deepEqual(await found(pool, memory('bytes')), ['before 0']);
    const reloading = pool.reload([later]);
    under.push(...Array.from({ length: 40 }, () => found(pool, memory('bytes'))));
    await reloading;
    assert.deepEqual(await found(pool, memory('bytes')), ['later 0']);
    for (const scan of await Promise.all(under)) assert.ok(['before 0', 'later 0'].includes(scan.join()), scan.join());
  } finally {
    pool.close();
  }
});

test('three thousand rules are compiled once and all of them are looked for', async () => {
  const many = Array.from({ length: 3_000 }, (_, n) => `rule r${n} { strings: $a = "marker-${n}-end" condition: $a }`);
  const pool = await createYaraPool([rules('many.yar', many.join('\n'))], { limits: DEFAULT_LIMITS });
  try {
    for (const n of [0, 1_499, 2_999])
      assert.deepEqual(await found(pool, memory(`${'x'.repeat(10_000)}marker-${n}-end`)), [`r${n} 0`]);
    assert.deepEqual(await found(pool, memory('marker-3000-end')), []);
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
