import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Content, FileInfo, Finding, Scanner } from '../core/file.js';
import { remembering } from './remembering.js';

const CONTENT: Content = { length: 0, bytes: Buffer.alloc(0), read: () => Buffer.alloc(0) };
const VIRUS: Finding = { kind: 'infected', virus: 'V', virusId: 1, dtype: 'av-engine', by: 'test' };
const info = (sha256: string | undefined): FileInfo => ({ sha256 }) as FileInfo;

/** A scanner that counts what it is asked. */
function counting(
  answer: (asked: number) => readonly Finding[] | Promise<readonly Finding[]>,
): Scanner & { asked: number } {
  return {
    name: 'counting',
    asked: 0,
    scan() {
      return answer(++this.asked);
    },
  };
}

function setup(
  scanner: Scanner,
  { dtype }: { dtype: string | undefined } = { dtype: 'cached' },
): { scan: (sha256: string | undefined) => ReturnType<Scanner['scan']>; clock: { ms: number } } {
  const clock = { ms: 0 };
  const one = remembering(scanner, { limits: { verdicts: 3, verdictTime: 1_000 }, now: () => clock.ms, dtype });
  return { scan: (sha256) => one.scan(info(sha256), CONTENT), clock };
}

test('the same bytes are scanned once; a virus that was known says so', () => {
  const scanner = counting(() => [VIRUS]);
  const { scan } = setup(scanner);
  assert.deepEqual(scan('a'), [VIRUS]);
  assert.deepEqual(scan('a'), [{ ...VIRUS, dtype: 'cached' }]);
  void scan('b');
  assert.equal(scanner.asked, 2);
  const quiet = setup(
    counting(() => [VIRUS]),
    { dtype: undefined },
  );
  void quiet.scan('a');
  assert.deepEqual(quiet.scan('a'), [VIRUS]);
});

test('what has no hash, could not be scanned, or is too old is scanned again', async () => {
  const scanner = counting(() => []);
  const { scan, clock } = setup(scanner);
  void scan(undefined);
  void scan(undefined);
  assert.equal(scanner.asked, 2);
  void scan('a');
  clock.ms = 1_000;
  void scan('a');
  assert.equal(scanner.asked, 3);
  clock.ms = 1_001;
  void scan('a');
  assert.equal(scanner.asked, 4);
  const failing = counting(() => [{ kind: 'unscannable', reason: 'engine-error', detail: 'timeout' }]);
  const again = setup(failing);
  void again.scan('a');
  void again.scan('a');
  assert.equal(failing.asked, 2);
  const throwing = counting(() => Promise.reject(new Error('gone')));
  const once = setup(throwing);
  await assert.rejects(Promise.resolve(once.scan('a')), /gone/);
  await assert.rejects(Promise.resolve(once.scan('a')), /gone/);
  assert.equal(throwing.asked, 2);
});

test('no more are kept than the limit, those in use last', () => {
  const scanner = counting(() => []);
  const { scan } = setup(scanner);
  for (const each of ['a', 'b', 'c', 'a', 'd', 'a']) void scan(each);
  assert.equal(scanner.asked, 4);
  // `b` was the one unused for longest.
  void scan('c');
  assert.equal(scanner.asked, 4);
  void scan('b');
  assert.equal(scanner.asked, 5);
});

test('who comes with bytes that are being scanned waits for the same answer', async () => {
  let answer = (_: readonly Finding[]): void => {};
  const scanner = counting(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const { scan } = setup(scanner);
  const both = [scan('a'), scan('a')];
  answer([VIRUS]);
  assert.deepEqual(await Promise.all(both), [[VIRUS], [VIRUS]]);
  assert.equal(scanner.asked, 1);
  assert.deepEqual(scan('a'), [{ ...VIRUS, dtype: 'cached' }]);
});
