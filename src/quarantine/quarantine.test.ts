import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigError } from '../core/errors.js';
import type { Content } from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { readEntry, writeEntry } from './entry.js';
import { deleteQuarantined, findQuarantined, listQuarantine, releaseQuarantined } from './look.js';
import { type Kept, Quarantine, type QuarantineOptions, type QuarantineSettings } from './quarantine.js';

const ANY: QuarantineSettings = { quota: Infinity, largest: Infinity, age: Infinity, full: 'oldest' };
const SIGHTING = {
  session: 7,
  client: '192.0.2.1:1025',
  server: '192.0.2.2:25',
  service: 'SMTPS',
  direction: 'upload',
  names: ['../../etc/a\u001b[2J.exe'],
} as const;

interface Kit {
  readonly directory: string;
  readonly failures: string[];
  quarantine(settings?: Partial<QuarantineSettings>, more?: Partial<QuarantineOptions>): Quarantine;
  names(): string[];
}

function kit(context: TestContext): Kit {
  const base = mkdtempSync(join(tmpdir(), 'inspectd-quarantine-'));
  // A write that was given up may still be clearing up.
  context.after(() => rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }));
  const directory = join(base, 'state', 'quarantine');
  const failures: string[] = [];
  return {
    directory,
    failures,
    quarantine: (settings, more) =>
      new Quarantine({
        directory,
        settings: { ...ANY, ...settings },
        limits: DEFAULT_LIMITS,
        now: Date.now,
        failed: (what) => failures.push(what),
        ...more,
      }),
    names: () => (existsSync(directory) ? readdirSync(directory).sort() : []),
  };
}

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function content(bytes: Buffer): Content {
  return { length: bytes.length, bytes, read: (at, length) => bytes.subarray(at, at + length) };
}

function keep(quarantine: Quarantine, bytes: Buffer, virus = 'EICAR_TEST_FILE'): Promise<Kept> {
  return quarantine.keep(hash(bytes), content(bytes), new Set([virus]), SIGHTING);
}

const filled = (byte: number, length = 1000): Buffer => Buffer.alloc(length, byte);

test('a file is kept under its hash, for its owner alone, with what is known of it beside', async (context) => {
  const { directory, quarantine, names } = kit(context);
  const bytes = filled(1, 3 * 1024 * 1024 + 1);
  assert.equal(await keep(quarantine(), bytes), 'kept');
  const path = join(directory, hash(bytes));
  assert.deepEqual(names(), [hash(bytes), `${hash(bytes)}.json`]);
  assert.ok(readFileSync(path).equals(bytes));
  for (const each of [path, `${path}.json`]) assert.equal(statSync(each).mode & 0o777, 0o600);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const entry = readEntry(readFileSync(`${path}.json`, 'utf8'));
  assert.deepEqual([entry?.size, entry?.viruses, entry?.count], [bytes.length, ['EICAR_TEST_FILE'], 1]);
  assert.deepEqual({ ...entry?.first, time: undefined }, { ...SIGHTING, time: undefined });
});

test('the same file is kept once, and counted, by several processes at a time', async (context) => {
  const { directory, quarantine, names } = kit(context);
  const bytes = filled(2);
  const results = await Promise.all([1, 2, 3].map(() => keep(quarantine(), bytes)));
  assert.deepEqual(results, ['kept', 'kept', 'kept']);
  assert.equal(await keep(quarantine(), bytes, 'Another'), 'kept');
  assert.deepEqual(names(), [hash(bytes), `${hash(bytes)}.json`]);
  const [one] = listQuarantine(directory);
  assert.ok((one?.entry?.count ?? 0) >= 2);
  assert.deepEqual(one?.entry?.viruses, ['EICAR_TEST_FILE', 'Another']);
});

test('a file of one byte more than the largest is not kept', async (context) => {
  const { quarantine, names } = kit(context);
  assert.equal(await keep(quarantine({ largest: 1000 }), filled(1, 1001)), 'too-large');
  assert.deepEqual(names(), []);
  assert.equal(await keep(quarantine({ largest: 1000 }), filled(1, 1000)), 'kept');
});

test('where the quota is full, what came last is refused, or the oldest goes', async (context) => {
  const { directory, quarantine, names, failures } = kit(context);
  const [first, second, third] = [filled(1), filled(2), filled(3)];
  const old = quarantine({ quota: 2000 });
  for (const [at, bytes] of [first, second].entries()) {
    assert.equal(await keep(old, bytes), 'kept');
    utimesSync(join(directory, hash(bytes)), at + 1, at + 1);
  }
  assert.equal(await keep(quarantine({ quota: 2000, full: 'refuse' }), third), 'not-kept');
  assert.deepEqual(failures, ['the quarantine is full']);
  assert.deepEqual(
    names().filter((name) => !name.endsWith('.json')),
    [hash(first), hash(second)].sort(),
  );
  assert.equal(await keep(old, third), 'kept');
  assert.deepEqual(names(), [second, third].flatMap((bytes) => [hash(bytes), `${hash(bytes)}.json`]).sort());
  assert.equal(await keep(old, filled(4, 2001)), 'not-kept');
});

test('processes that write at the same time do not go over the quota together', async (context) => {
  const { directory, quarantine } = kit(context);
  await Promise.all([1, 2, 3, 4, 5, 6].map((byte) => keep(quarantine({ quota: 2500 }), filled(byte))));
  const total = listQuarantine(directory).reduce((sum, { size }) => sum + size, 0);
  assert.ok(total <= 2500, String(total));
});

test('without a quota ours bounds bytes and files', async (context) => {
  const { directory, quarantine } = kit(context);
  const few = quarantine({}, { limits: { ...DEFAULT_LIMITS, quarantineFiles: 2, quarantineBytes: 2500 } });
  for (let byte = 1; byte <= 4; byte++) await keep(few, filled(byte, 100));
  assert.equal(listQuarantine(directory).length, 2);
  assert.equal(await keep(few, filled(9, 2501)), 'not-kept');
});

test('what is too old goes, and what a process left half-written', async (context) => {
  const { directory, quarantine, names } = kit(context);
  const bytes = filled(1);
  const aged = quarantine({ age: 3_600_000 });
  await keep(aged, bytes);
  const left = join(directory, '.1-1.partial');
  writeFileSync(left, 'half');
  await aged.sweep();
  assert.equal(names().length, 3);
  for (const path of [left, join(directory, hash(bytes))]) utimesSync(path, 1, 1);
  await aged.sweep();
  assert.deepEqual(names(), []);
});

test('a disk that fails or does not answer is told, and never thrown', async (context) => {
  const { directory, quarantine, failures, names } = kit(context);
  mkdirSync(join(directory, '..'), { recursive: true });
  writeFileSync(directory, 'a file where the directory should be');
  assert.equal(await keep(quarantine(), filled(1)), 'not-kept');
  rmSync(directory);
  const broken: Content = { length: 10, bytes: undefined, read: () => Buffer.alloc(0) };
  assert.equal(await quarantine().keep(hash(filled(1)), broken, new Set(), SIGHTING), 'not-kept');
  const never = quarantine({}, { limits: { ...DEFAULT_LIMITS, quarantineTime: 0 } });
  const slow: Content = { length: 1e9, bytes: undefined, read: () => filled(1, 1) };
  assert.equal(await never.keep(hash(filled(2)), slow, new Set(), SIGHTING), 'not-kept');
  assert.equal(failures.length, 3, failures.join('\n'));
  // What was cut does not stay.
  while (names().length > 0) await new Promise(setImmediate);
});

test('more files than may wait are refused', async (context) => {
  const { quarantine, failures } = kit(context);
  const one = quarantine({}, { limits: { ...DEFAULT_LIMITS, quarantineWaiting: 1 } });
  assert.deepEqual(await Promise.all([keep(one, filled(1)), keep(one, filled(2))]), ['kept', 'not-kept']);
  assert.deepEqual(failures, ['too many files at once']);
});

test('a directory without room for a file of facts keeps the file', async (context) => {
  const { directory, quarantine } = kit(context);
  const bytes = filled(1);
  await keep(quarantine(), bytes);
  writeFileSync(join(directory, `${hash(bytes)}.json`), '{"sha256":');
  assert.equal(listQuarantine(directory)[0]?.entry, undefined);
  await keep(quarantine(), bytes);
  assert.equal(listQuarantine(directory)[0]?.entry?.count, 1);
});

test('a file is found by the beginning of its hash, copied out once, and removed', async (context) => {
  const { directory, quarantine, names } = kit(context);
  const bytes = filled(1);
  await keep(quarantine(), bytes);
  for (const wrong of ['', 'ab', '../..', 'zzzz', `${hash(bytes)}0`])
    assert.throws(() => findQuarantined(directory, wrong), ConfigError);
  const found = findQuarantined(directory, hash(bytes).slice(0, 8).toUpperCase());
  const to = join(directory, '..', 'sample');
  releaseQuarantined(directory, found, to);
  assert.ok(readFileSync(to).equals(bytes));
  assert.equal(statSync(to).mode & 0o777, 0o600);
  assert.throws(() => releaseQuarantined(directory, found, to), /cannot be written/);
  deleteQuarantined(directory, found);
  assert.deepEqual(names(), []);
  assert.deepEqual(listQuarantine(join(directory, 'none')), []);
});

test('the facts of a file are cut where a peer sent too much, and read back', () => {
  const names = Array.from({ length: 1000 }, () => 'x'.repeat(5000));
  const sighting = { ...SIGHTING, time: 'now', names };
  const entry = { sha256: 'a'.repeat(64), size: 1, viruses: [], count: 1, first: sighting, last: sighting };
  const text = writeEntry(entry);
  assert.ok(text.length < 300_000);
  assert.equal(readEntry(text)?.first.names.length, 100);
  for (const bad of ['', '[]', 'null', '{}', text.replace('"count":1', '"count":"1"'), text.replace('"aaaa', '"../a')])
    assert.equal(readEntry(bad), undefined);
});
