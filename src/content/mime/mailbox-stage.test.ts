import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { Arena } from '../../core/arena.js';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { RecordingContainer } from '../../testing/recording-container.js';
import { createMimeExtractor } from './mime-extractor.js';

const extractor = createMimeExtractor({ arena: new Arena(16), limits: DEFAULT_LIMITS });
const FROM = 'From a@x.test Mon Nov  2 10:00:00 2026';

/** Each child as its declared type and its bytes. */
function childrenOf(source: string, piece = source.length, complete = true): string[] {
  const container = new RecordingContainer();
  const stage = extractor.begin(container);
  const bytes = Buffer.from(source, 'latin1');
  for (let at = 0; at < bytes.length; at += piece) stage.write(bytes, at, Math.min(bytes.length, at + piece));
  stage.finish(complete);
  return container.children.map((child) => `${child.meta.declaredType}: ${child.bytes.toString('latin1')}`);
}

test('each further message of a mailbox is a file, whatever the line ends and the pieces', () => {
  for (const eol of ['\n', '\r\n']) {
    const one = ['From: a', '', 'one', ''].join(eol);
    const two = ['From: b', '', 'From here on', '>From quoted', ''].join(eol);
    const source = [FROM, one, FROM, two, FROM, ''].join(eol);
    const expected = [`text/plain: one${eol}${eol}`, `message/rfc822: ${two}${eol}`, 'message/rfc822: '];
    for (let piece = 1; piece <= source.length; piece++)
      assert.deepEqual(childrenOf(source, piece), expected, `pieces of ${piece}`);
  }
});

test('what does not begin with a From line is one message, whatever is in it', () => {
  const source = `From: a\n\none\n\n${FROM}\ntwo\n`;
  assert.deepEqual(childrenOf(source), [`text/plain: one\n\n${FROM}\ntwo\n`]);
});

test('a line that is longer than a separator separates nothing', () => {
  const long = `From a@x.test 10:00 ${'x'.repeat(600)}`;
  for (const piece of [1, 7, 10_000])
    assert.deepEqual(childrenOf(`${FROM}\nFrom: a\n\n${long}\nend\n`, piece), [`text/plain: ${long}\nend\n`]);
});

test('what was held back for a separator at the end belongs to the message', () => {
  for (const rest of ['\nFro', '\nFrom a 10:00'])
    assert.deepEqual(childrenOf(`${FROM}\nFrom: a\n\none${rest}`), [`text/plain: one${rest}`]);
});
