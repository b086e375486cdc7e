import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_IN_MESSAGES, MESSAGE_TYPES, renderMessage, TAG_VALUE } from './replacement-messages.js';
import { type Replaced, replacementPart } from './replacement-part.js';

const headers = { from: 'a@x', to: 'b@y', cc: undefined, subject: 's' };
const kinds: Replaced[] = [{ kind: 'part' }, { kind: 'content' }, { kind: 'message', headers }];

for (const replaced of kinds) {
  test(`a replaced ${replaced.kind} has exactly the length asked for, from no byte to more than the text needs`, () => {
    for (let length = 0; length <= 700; length++) {
      const bytes = replacementPart(replaced, 'An attachment was removed.\n"a.exe" carried a virus.', length);
      assert.equal(bytes.length, length);
      // It may be the end of a message, behind which the protocol's own end has to begin a line.
      if (length >= 2) assert.match(bytes.toString('latin1'), /\r\n$/, `at ${length}`);
      // No bare CR and no bare LF: a receiver would count other bytes than were announced.
      assert.doesNotMatch(bytes.toString('latin1'), /\r(?!\n)|(?<!\r)\n/, `at ${length}`);
    }
  });
}

test('the text stays whole wherever there is room for it', () => {
  const text = 'removed';
  const full = replacementPart({ kind: 'part' }, text, undefined);
  assert.equal(
    full.toString(),
    'Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nremoved\r\n',
  );
  assert.equal(
    replacementPart({ kind: 'part' }, text, full.length - 1)
      .toString()
      .trimEnd(),
    '\r\nremoved',
  );
  assert.equal(replacementPart({ kind: 'part' }, text, 11).toString(), '\r\nremoved\r\n');
  assert.equal(replacementPart({ kind: 'part' }, text, 6).toString(), '\r\nre\r\n');
  assert.equal(replacementPart({ kind: 'part' }, text, 1).toString(), ' ');
});

test('text that is not ASCII says so', () => {
  assert.match(
    replacementPart({ kind: 'part' }, 'é', undefined).toString(),
    /^Content-Type: text\/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\né\r\n$/,
  );
});

test('no line of the text can be a delimiter or the end of a message', () => {
  const body = replacementPart({ kind: 'content' }, '.\r\n--boundary--\n..', undefined).toString();
  assert.equal(body, ' .\r\n --boundary--\r\n ..\r\n');
});

test('a subject of any length and script becomes encoded words of lawful length', () => {
  const subject = 'ж'.repeat(10_000);
  const text = replacementPart({ kind: 'message', headers: { ...headers, subject } }, 'x', undefined).toString();
  for (const word of text.match(/=\?\S+\?=/g) ?? []) assert.ok(word.length <= 75);
  assert.ok(text.length < 2_000);
});

test('tags are filled in once; unknown ones stay, values lose what could end or turn a line', () => {
  assert.equal(renderMessage('%%FILE%% %%NOPE%% %%VIRUS%%', { FILE: '%%VIRUS%%', VIRUS: 'v' }), '%%VIRUS%% %%NOPE%% v');
  assert.equal(renderMessage('%%FILE%%', { FILE: 'a\r\nb\u202ec' }), 'a  b c');
  assert.equal(renderMessage('%%FILE%%', { FILE: 'x'.repeat(TAG_VALUE + 1) }).length, TAG_VALUE + 1);
  assert.equal(renderMessage('[%%QUARFILENAME%%]', {}), '[]');
});

test('each type has a built-in text', () => {
  const types = Object.values(MESSAGE_TYPES).flat();
  assert.deepEqual(Object.keys(BUILT_IN_MESSAGES).sort(), [...types].sort());
});
