import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { FileStream } from '../../src/core/file.js';
import { Assembly, guessedHeader } from './assembly.js';

/** A file that keeps what is written to it. */
function fileOf(): { file: FileStream; bytes: Buffer } {
  const bytes = Buffer.alloc(16_384);
  const file = {
    writeAt: (at: number, chunk: Buffer, start: number, end: number) => chunk.copy(bytes, at, start, end),
  } as unknown as FileStream;
  return { file, bytes };
}

const write = (assembly: Assembly, at: number, text: string): void => {
  assembly.write(at, Buffer.from(text), 0, text.length);
  assembly.cover(at, at + text.length, 10);
};

test('a header that comes last fills the room in front of the content to the byte, in lines that are header fields', () => {
  for (const length of [0, 1, 68, 69, 70, 71, 72, 73, 74, 75, 500, 8_100]) {
    const { file, bytes } = fileOf();
    const assembly = new Assembly(file, undefined);
    write(assembly, 0, 'content');
    const header = `A: ${'x'.repeat(length)}\r\n\r\n`;
    assert.equal(assembly.head(header), true);
    const text = bytes.toString('latin1');
    const end = text.indexOf('\r\n\r\ncontent');
    assert.ok(end > 0, String(length));
    for (const line of text.slice(0, end).split('\r\n'))
      assert.match(line, /^X-Filler: \.+$|^ \.+$|^A: x*$/, String(length));
    assert.ok(text.slice(0, end + 4).endsWith(header));
  }
});

test('a header that there is no room for is refused', () => {
  const assembly = new Assembly(fileOf().file, undefined);
  assert.equal(assembly.head(`A: ${'x'.repeat(8_190)}\r\n\r\n`), false);
  assert.equal(assembly.headed, false);
});

test('it is whole when all of it is there, in whatever order it came', () => {
  const assembly = new Assembly(fileOf().file, '\r\n');
  assembly.total = 10;
  write(assembly, 5, '56789');
  assert.equal(assembly.whole, false);
  assert.equal(assembly.reach, 0);
  write(assembly, 2, '2345');
  assert.equal(assembly.whole, false);
  write(assembly, 0, '01');
  assert.equal(assembly.whole, true);
  assert.equal(assembly.longest, 5);
});

test('more pieces apart than the limit are too many', () => {
  const assembly = new Assembly(fileOf().file, '\r\n');
  for (let piece = 0; piece < 3; piece++) assert.equal(assembly.cover(piece * 10, piece * 10 + 1, 3), true);
  assert.equal(assembly.cover(90, 91, 3), false);
});

test('an encoding is guessed by what the content looks like', () => {
  const guess = (text: string): string | undefined => /: (\S+)/.exec(guessedHeader(Buffer.from(text)))?.[1];
  assert.equal(guess(`${'QUJD'.repeat(19)}\r\nQUJD`), 'base64');
  assert.equal(guess('QUJDRA=='), 'base64');
  assert.equal(guess('caf=C3=A9'), 'quoted-printable');
  assert.equal(guess('a line that goes=\r\non'), 'quoted-printable');
  assert.equal(guess('Hello, you.\r\n'), undefined);
  assert.equal(guess(''), undefined);
});
