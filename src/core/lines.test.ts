import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { INCOMPLETE, lineEnd, TOO_LONG, textEnd } from './lines.js';

test('finds the end of a CRLF line and of a bare LF line', () => {
  const bytes = Buffer.from('NOOP\r\nQUIT\n');
  assert.equal(lineEnd(bytes, 0, 100), 6);
  assert.equal(textEnd(bytes, 0, 6), 4);
  assert.equal(lineEnd(bytes, 6, 100), 11);
  assert.equal(textEnd(bytes, 6, 11), 10);
});

test('an unfinished line is incomplete up to the limit and too long one byte past it', () => {
  assert.equal(lineEnd(Buffer.from('12345678'), 0, 8), INCOMPLETE);
  assert.equal(lineEnd(Buffer.from('123456789'), 0, 8), TOO_LONG);
  assert.equal(lineEnd(Buffer.from('1234567\n'), 0, 8), 8);
  assert.equal(lineEnd(Buffer.from('12345678\n'), 0, 8), TOO_LONG);
});
