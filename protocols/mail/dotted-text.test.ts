import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { behindLoneDot, DottedText, END, LONE_DOT, MORE } from './dotted-text.js';

/** Reads `text` in pieces of `sizes`, offering again what was left, as the engine does: what came out. */
function read(text: string, sizes: readonly number[], goOn = true, bareLf = false) {
  const wire = Buffer.from(text, 'latin1');
  let message = '';
  let stuffed = 0;
  const lone: number[] = [];
  let taken = 0;
  const reader = new DottedText(
    {
      write: (chunk, start, end) => {
        assert.ok(start < end && end <= chunk.length);
        message += chunk.toString('latin1', start, end);
      },
      stuffedDot: () => stuffed++,
      loneDot: (_chunk, dot) => {
        lone.push(taken + dot);
        return goOn;
      },
    },
    bareLf,
  );
  for (let to = 0, turn = 0; to < wire.length; turn++) {
    to = Math.min(wire.length, to + (sizes[turn % sizes.length] ?? 1));
    const chunk = Buffer.from(wire.subarray(taken, to));
    const stop = reader.read(chunk, 0);
    chunk.fill(0x2e);
    taken += reader.at;
    if (stop !== MORE) return { message, stuffed, lone, stop, taken };
  }
  return { message, stuffed, lone, stop: MORE, taken };
}

/** The same, a line at a time: right by its looks, and slow. */
function slowly(text: string) {
  const end = /^\.\r\n|\r\n\.\r\n/.exec(text);
  const before = end === null ? text : text.slice(0, end.index === 0 && text.startsWith('.') ? 0 : end.index + 2);
  const lone = [...before.matchAll(/(?<=^|[\r\n\0])\.(?=\n|\r[\s\S])/g)].map(({ index }) => index);
  const strict = before.replace(/(^|\r\n)\./g, '$1');
  const firstLf = text.indexOf('\n');
  const bare = firstLf >= 0 && text[firstLf - 1] !== '\r';
  const message = bare ? before.replace(/(^|\r\n)\.|(?<!\r)(\n)\.(?![\r\n])/g, '$1$2') : strict;
  return { message, lone, ended: end !== null, taken: end === null ? text.length : end.index + end[0].length };
}

const TEXT = fc
  .array(fc.constantFrom('\r\n', '\n', '\r', '\0', '.', '..', 'a', 'bc', '\r\n..', '\n.\n', 'long '.repeat(12)), {
    maxLength: 40,
  })
  .map((parts) => parts.join(''));

test('however the bytes are cut, a text is what a slow reading of its lines makes of it', () => {
  fc.assert(
    fc.property(TEXT, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }), (text, sizes) => {
      // Behind it something follows, so that nothing is left undecided.
      const whole = `${text}x\r\n.\r\nrest`;
      const got = read(whole, sizes);
      const wanted = slowly(whole);
      assert.equal(got.stop, END);
      assert.deepEqual([got.message, got.lone, got.taken], [wanted.message, wanted.lone, wanted.taken]);
    }),
    { numRuns: 3000 },
  );
});

test('what a dot is that ends the chunk is not told before the bytes behind it have come', () => {
  for (const [text, taken] of [
    ['a\r\n.', 3],
    ['a\r\n.\r', 3],
    ['a\n.', 2],
    ['a.', 2],
  ] as const)
    assert.deepEqual([read(text, [10]).stop, read(text, [10]).taken], [MORE, taken], JSON.stringify(text));
});

test('each form of a lone dot that is not CRLF.CRLF is told, and ends the text where nobody goes on', () => {
  for (const text of ['\n.\n', '\n.\r\n', '\r.\r\r', '\r\n.\n', '\r\n.\r\r', '\r\n\0.\r\n', '\r.\r\n', '\n.\rx']) {
    const got = read(`a${text}`, [100], false);
    assert.equal(got.stop, LONE_DOT, JSON.stringify(text));
    assert.equal(got.taken, `a${text}`.indexOf('.'));
  }
  assert.equal(behindLoneDot(Buffer.from('.\n.'), 0), 2);
  assert.equal(behindLoneDot(Buffer.from('.\r\n'), 0), 3);
});

test('behind a bare LF dots are stuffed only where the sender ends its lines so, by its first or as told', () => {
  assert.equal(read('a\r\nb\n..c\n', [100]).message, 'a\r\nb\n..c\n');
  assert.equal(read('a\n..b\n', [100]).message, 'a\n.b\n');
  assert.equal(read('a\n..b\n', [100], true, true).message, 'a\n.b\n');
});

test('behind a gap a dot starts no line', () => {
  const written: string[] = [];
  const reader = new DottedText({
    write: (chunk, start, end) => written.push(chunk.toString('latin1', start, end)),
    stuffedDot: () => {},
    loneDot: () => true,
  });
  reader.read(Buffer.from('a\r\n'), 0);
  reader.gap();
  assert.equal(reader.read(Buffer.from('.\r\nb'), 0), MORE);
  assert.equal(written.join(''), 'a\r\n.\r\nb');
});
