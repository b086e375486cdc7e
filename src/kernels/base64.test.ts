import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arena } from '../core/arena.js';
import { type Base64Kernel, loadBase64Kernel, plainBase64Kernel, roomFor } from './base64.js';
import {
  ACCUMULATOR,
  AFTER_PADDING,
  BAD_PADDING,
  COUNT,
  FLAGS,
  JUNK,
  LAST,
  LAST_CRLF,
  LAST_LF,
  OUT,
  PADDED,
  SAW_BARE_CR,
  SAW_BARE_LF,
  SAW_CRLF,
} from './base64-registers.js';

const arena = new Arena(64);
const text = arena.claim(512 * 1024);
const room = arena.claim(512 * 1024);
const compiled = loadBase64Kernel(arena);
const plain = plainBase64Kernel(arena);

interface Outcome {
  readonly decoded: Buffer;
  /** Where it stopped, in the source. */
  readonly stopped: number;
  readonly flags: number;
  readonly rest: number;
}

/** Decodes `source` in pieces that end at `cuts`, on with the same registers. */
function decode(kernel: Base64Kernel, source: Buffer, lenient: boolean, cuts: readonly number[] = []): Outcome {
  kernel.registers.fill(0);
  source.copy(arena.bytes, text);
  arena.bytes.fill(0xee, room, room + roomFor(source.length) + 64);
  let at = 0;
  let out = room;
  for (const cut of [...cuts.filter((cut) => cut < source.length).sort((a, b) => a - b), source.length]) {
    const before = out;
    const stopped = kernel.decode(text + at, text + cut, out, lenient) - text;
    out = kernel.registers[OUT]!;
    assert.ok(out - before <= roomFor(cut - at));
    at = stopped;
    if (stopped < cut) break;
  }
  return {
    decoded: Buffer.from(arena.bytes.subarray(room, out)),
    stopped: at,
    flags: kernel.registers[FLAGS]!,
    rest: kernel.registers[COUNT]! * 0x1000000 + kernel.registers[ACCUMULATOR]!,
  };
}

function lines(encoded: string, columns: number, lineEnd = '\r\n'): Buffer {
  return Buffer.from(encoded.replace(new RegExp(`.{1,${columns}}`, 'g'), `$&${lineEnd}`), 'latin1');
}

const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => (index * 37 + 11) & 0xff));

test('the compiled kernel is there: this build has it and this runtime knows WebAssembly SIMD', () => {
  assert.equal(compiled.compiled, true);
});

test('decodes every byte value at every line length as Buffer does', () => {
  const source = bytes(999);
  for (const kernel of [compiled, plain]) {
    for (const columns of [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 72, 75, 76, 77, 152, 900, 2000]) {
      const outcome = decode(kernel, lines(source.toString('base64'), columns), false);
      assert.deepEqual(outcome.decoded, source);
      assert.equal(outcome.flags & SAW_CRLF, SAW_CRLF);
      assert.equal(outcome.flags & (SAW_BARE_LF | SAW_BARE_CR | JUNK), 0);
    }
  }
});

test('knows the 64 characters and no others, in a vector and alone', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (const kernel of [compiled, plain]) {
    for (let c = 0; c < 256; c++) {
      if (c === 0x0a || c === 0x0d) continue;
      const known = alphabet.includes(String.fromCharCode(c));
      for (const at of [0, 5, 15, 16, 40, 75]) {
        const line = Buffer.alloc(76, 'A');
        line[at] = c;
        const { stopped } = decode(kernel, Buffer.concat([line, Buffer.from('\r\n')]), false);
        assert.equal(stopped, known ? 78 : at, `character ${c} at ${at}`);
      }
    }
  }
});

test('strict stops at padding, at a dash, at a blank; the quad in hand stays in the registers', () => {
  for (const kernel of [compiled, plain]) {
    for (const stop of ['=', '-', ' ', '\0', '.', '_']) {
      const outcome = decode(kernel, Buffer.from(`QUJDREVG\r\nRU${stop}QUJD`, 'latin1'), false);
      assert.equal(outcome.decoded.toString(), 'ABCDEF');
      assert.equal(outcome.stopped, 12);
      assert.equal(outcome.rest, 2 * 0x1000000 + ((17 << 6) | 20));
    }
  }
});

test('lenient takes padding as the end of a quad and goes on behind it, noting that', () => {
  for (const kernel of [compiled, plain]) {
    const padded = decode(kernel, Buffer.from('QQ==\r\n'), true);
    assert.equal(padded.decoded.toString(), 'A');
    assert.equal(padded.flags & (PADDED | AFTER_PADDING | BAD_PADDING | JUNK), PADDED);
    const chunks = decode(kernel, Buffer.from('QQ==QUI=QUJD'), true);
    assert.equal(chunks.decoded.toString(), 'AABABC');
    assert.equal(chunks.flags & (AFTER_PADDING | BAD_PADDING | JUNK), AFTER_PADDING);
    const within = decode(kernel, Buffer.from('QU=JD=QUJD'), true);
    assert.equal(within.decoded.toString(), 'ABCABC');
    assert.equal(within.flags & BAD_PADDING, BAD_PADDING);
  }
});

test('lenient skips junk, and stops at a dash only where a line begins', () => {
  for (const kernel of [compiled, plain]) {
    const outcome = decode(kernel, Buffer.from('Q-U#J\0D\r\n-QUJD'), true);
    assert.equal(outcome.decoded.toString(), 'ABC');
    assert.equal(outcome.stopped, 9);
    assert.equal(outcome.flags & JUNK, JUNK);
    assert.equal(outcome.flags & LAST, LAST_LF | LAST_CRLF);
  }
});

test('tells bare LF and bare CR from CRLF', () => {
  const seen = (source: string): number =>
    decode(compiled, Buffer.from(source), true).flags & (SAW_CRLF | SAW_BARE_LF | SAW_BARE_CR);
  assert.equal(seen('QUJD\r\nQUJD\r\n'), SAW_CRLF);
  assert.equal(seen('QUJD\nQUJD\n'), SAW_BARE_LF);
  assert.equal(seen('QUJD\rQUJD'), SAW_BARE_CR);
  assert.equal(seen('QUJD\r\r\nQUJD'), SAW_BARE_CR | SAW_CRLF);
});

/** Text as hostile as it comes: lines of any length with junk among them. */
const hostile = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.uint8Array({ maxLength: 300 }).map((raw) => Buffer.from(raw).toString('base64')) },
      { weight: 2, arbitrary: fc.constant(`${'QUJD'.repeat(19)}\r\n`.repeat(3)) },
      { weight: 4, arbitrary: fc.constantFrom('\r\n', '\n', '\r', '=', '==', '-', ' ', '#', '\0', '\xe9', 'A', 'AB') },
    ),
    { maxLength: 30 },
  )
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));

test('the compiled kernel and the plain code agree on any input, cut anywhere', () => {
  fc.assert(
    fc.property(hostile, fc.boolean(), fc.array(fc.nat(2000), { maxLength: 6 }), (source, lenient, cuts) => {
      const whole = decode(plain, source, lenient);
      assert.deepEqual(decode(compiled, source, lenient), whole);
      assert.deepEqual(decode(compiled, source, lenient, cuts), whole);
      assert.deepEqual(decode(plain, source, lenient, cuts), whole);
    }),
    { numRuns: 1000 },
  );
});

test('what was encoded comes back, whatever the line lengths', () => {
  const lengths = fc.array(fc.constantFrom(1, 4, 60, 64, 72, 75, 76, 80, 900), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), lengths, (raw, columns) => {
      const encoded = Buffer.from(raw).toString('base64');
      let broken = '';
      for (let at = 0, line = 0; at < encoded.length; line++) {
        const length = columns[line % columns.length]!;
        broken += `${encoded.slice(at, at + length)}\r\n`;
        at += length;
      }
      assert.deepEqual(decode(compiled, Buffer.from(broken), true).decoded, Buffer.from(raw));
    }),
    { numRuns: 300 },
  );
});
