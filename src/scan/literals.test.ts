import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileLiterals } from './literals.js';

/** Enough literals for the automaton that do not occur in what is searched. */
const OTHERS = Array.from({ length: 20 }, (_, index) => Buffer.from(`\u0000other-${index}`));

function search(patterns: readonly Buffer[], pieces: readonly Buffer[]): number[] {
  const running = compileLiterals(patterns).begin();
  for (const piece of pieces) running.push(piece);
  return running.found();
}

for (const [kind, others] of [
  ['a few literals', []],
  ['many literals', OTHERS],
] as const) {
  test(`${kind} are found wherever they lie and however the bytes are cut`, () => {
    const patterns = ['abcab', 'bcabx', 'cab', 'cab', 'zzzz'].map((text) => Buffer.from(text));
    const bytes = Buffer.from('..abcabcabx..');
    for (let first = 0; first <= bytes.length; first++)
      for (let second = first; second <= bytes.length; second++) {
        const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        assert.deepEqual(search([...patterns, ...others], pieces), [0, 1, 2, 3], `cut at ${first} and ${second}`);
      }
    assert.deepEqual(
      search(
        [...patterns, ...others],
        [...bytes].map((byte) => Buffer.of(byte)),
      ),
      [0, 1, 2, 3],
    );
  });

  test(`${kind} are found as Buffer.includes finds them`, () => {
    const letters = (maxLength: number) => fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength });
    fc.assert(
      fc.property(fc.array(letters(6), { maxLength: 11 }), fc.array(letters(12), { maxLength: 5 }), (words, texts) => {
        const patterns = [...words.map((word) => Buffer.from(word)), ...others];
        const bytes = Buffer.from(texts.join(''));
        const expected = patterns.flatMap((pattern, index) => (bytes.includes(pattern) ? [index] : []));
        assert.deepEqual(
          search(
            patterns,
            texts.map((text) => Buffer.from(text)),
          ),
          expected,
        );
      }),
    );
  });
}

test('literals beyond the states that have a table are found, and those that end inside of others', () => {
  const patterns = Array.from({ length: 400 }, (_, index) =>
    Buffer.from(`signature ${index * 7919} of ${index} bytes`),
  );
  patterns.push(Buffer.from('of 399'));
  const bytes = Buffer.concat([Buffer.from('signature 7919 of 399 signature '), patterns[399]!, patterns[3]!]);
  assert.deepEqual(search(patterns, [bytes.subarray(0, 45), bytes.subarray(45)]), [3, 399, 400]);
});
