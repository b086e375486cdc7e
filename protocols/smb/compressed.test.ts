import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { decompressed } from './compressed.js';
import { lz77, lz77Huffman, lznt1 } from './decompress.js';

const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz');
const ABC = Buffer.from('abc'.repeat(100));
const MELODY = Buffer.from(
  'F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0',
);
const MELODY_LZNT1 = Buffer.from(
  '38b08846232000204720410010a24701a045204400084501507900c045200524138805b4024a44ef0358028c0916014845 00be009e000401189000'.replaceAll(
    ' ',
    '',
  ),
  'hex',
);

/** Symbols of nine bits each: a table in which all 512 have that length, so that a symbol's code is the symbol. */
function huffman(symbols: readonly (readonly [symbol: number, bits: number, extra: number])[]): Buffer {
  let text = '';
  for (const [symbol, bits, extra] of symbols) {
    text += symbol.toString(2).padStart(9, '0');
    if (bits > 0) text += extra.toString(2).padStart(bits, '0');
  }
  const words: number[] = [];
  for (let at = 0; at < text.length || words.length < 2; at += 16)
    words.push(Number.parseInt(text.slice(at, at + 16).padEnd(16, '0'), 2));
  const stream = Buffer.alloc(words.length * 2);
  for (const [index, word] of words.entries()) stream.writeUInt16LE(word, 2 * index);
  return Buffer.concat([Buffer.alloc(256, 0x99), stream]);
}

test('plain LZ77 gives what its published examples hold', () => {
  assert.deepEqual(lz77(Buffer.concat([Buffer.from('3f000000', 'hex'), ALPHABET]), 26), ALPHABET);
  assert.deepEqual(lz77(Buffer.from('ffffff1f61626317000fff2601', 'hex'), 300), ABC);
});

test('LZNT1 gives what its published example holds', () => {
  assert.deepEqual(lznt1(MELODY_LZNT1, MELODY.length), MELODY);
});

test('LZ77 with Huffman codes gives literals and matches', () => {
  const literals = [...ALPHABET].map((byte) => [byte, 0, 0] as const);
  assert.deepEqual(lz77Huffman(huffman(literals), 26), ALPHABET);
  // abc, then twelve bytes from three back: 3 is 2 + 1 in one bit, 12 is 3 + 9.
  const match = [256 + 16 + 9, 1, 1] as const;
  const stream = huffman([[0x61, 0, 0], [0x62, 0, 0], [0x63, 0, 0], match]);
  assert.equal(lz77Huffman(stream, 15)?.toString(), 'abc'.repeat(5));
});

test('a message is put together from its clear beginning and what was compressed, or from a chain', () => {
  const header = Buffer.from('fc534d421a00000002000000' + '03000000', 'hex');
  const single = Buffer.concat([header, Buffer.from('top'), Buffer.from('3f000000', 'hex'), ALPHABET]);
  assert.equal(decompressed(single, 1_000)?.toString(), `top${ALPHABET}`);
  const part = (algorithm: number, data: Buffer) => {
    const head = Buffer.alloc(8);
    head.writeUInt16LE(algorithm, 0);
    head.writeUInt16LE(1, 2);
    head.writeUInt32LE(data.length, 4);
    return Buffer.concat([head, data]);
  };
  const pattern = Buffer.from('7a00000005000000', 'hex');
  const packed = Buffer.concat([Buffer.from('1a000000', 'hex'), Buffer.from('3f000000', 'hex'), ALPHABET]);
  const chain = Buffer.concat([
    Buffer.from('fc534d4222000000', 'hex'),
    part(0, Buffer.from('top')),
    part(4, pattern),
    part(2, packed),
  ]);
  assert.equal(decompressed(chain, 1_000)?.toString(), `topzzzzz${ALPHABET}`);
  assert.equal(decompressed(chain, 33), undefined, 'more than the limit');
  const lying = Buffer.from(chain);
  lying.writeUInt32LE(35, 4);
  assert.equal(decompressed(lying, 1_000), undefined, 'another size than was told');
  const ghost = Buffer.from(single);
  ghost.writeUInt32LE(0xffff_ffff, 12);
  assert.equal(decompressed(ghost, 1_000), undefined, 'an offset that overflows');
  const huge = Buffer.from(single);
  huge.writeUInt32LE(0xffff_fff0, 4);
  assert.equal(decompressed(huge, 1_000_000), undefined, 'a size of four gigabytes');
});

test('whatever bytes come, nothing is thrown and nothing but the told size comes out', () => {
  for (const decompress of [lz77, lz77Huffman, lznt1])
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(5_000), (bytes, size) => {
        const out = decompress(Buffer.from(bytes), size);
        assert.ok(out === undefined || out.length === size);
      }),
      { numRuns: 500 },
    );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 200 }), (bytes) => {
      decompressed(Buffer.from(bytes), 100_000);
    }),
  );
});
