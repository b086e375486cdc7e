import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { decompressed } from './compressed.js';
import { lz4, lz77, lz77Huffman, lznt1 } from './decompress.js';

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

/** A length of LZ4 behind its four bits. */
function more(length: number): number[] {
  return length < 15 ? [] : [...Array<number>(Math.floor((length - 15) / 255)).fill(255), (length - 15) % 255];
}

/** A block of these sequences (literals, then a match), and the last literals; with what comes out of it. */
function lz4Block(
  sequences: readonly (readonly [literals: Buffer, back: number, length: number])[],
  last: Buffer,
): [Buffer, Buffer] {
  const block: number[] = [];
  const out: number[] = [];
  for (const [literals, back, length] of sequences) {
    out.push(...literals);
    const offset = 1 + (back % Math.max(1, out.length));
    block.push((Math.min(15, literals.length) << 4) | Math.min(15, length), ...more(literals.length), ...literals);
    block.push(offset & 255, offset >> 8, ...more(length));
    for (let i = 0; i < length + 4; i++) out.push(out[out.length - offset] ?? 0);
  }
  block.push(Math.min(15, last.length) << 4, ...more(last.length), ...last);
  return [Buffer.from(block), Buffer.concat([Buffer.from(out), last])];
}

test('LZ4 gives literals and matches of every length', () => {
  assert.deepEqual(lz4(Buffer.concat([Buffer.from('f00b', 'hex'), ALPHABET]), 26), ALPHABET);
  // As the lz4 program writes it: abc, then 292 bytes from three back, then five literals.
  assert.deepEqual(lz4(Buffer.from('3f6162630300ff12506263616263', 'hex'), 300), ABC);
  const bytes = (most: number) => fc.uint8Array({ minLength: 1, maxLength: most }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(bytes(600), fc.nat(700), fc.nat(700)), { maxLength: 6 }),
      bytes(600),
      (sequences, last) => {
        const [block, plain] = lz4Block(sequences, last);
        assert.deepEqual(lz4(block, plain.length), plain);
        assert.equal(lz4(block, plain.length + 1), undefined, 'less than was told');
        assert.equal(lz4(block, plain.length - 1), undefined, 'more than was told');
        assert.equal(lz4(block.subarray(0, -1), plain.length), undefined, 'cut');
        assert.equal(lz4(Buffer.concat([block, Buffer.alloc(1)]), plain.length), undefined, 'something behind it');
      },
    ),
  );
});

test('LZ4 that goes back to before the beginning, nowhere or past the told size gives nothing', () => {
  assert.equal(lz4(Buffer.from('10610200106263', 'hex'), 6), undefined);
  assert.equal(lz4(Buffer.from('10610000106263', 'hex'), 6), undefined);
  const long = Buffer.concat([Buffer.from('1f610100', 'hex'), Buffer.alloc(5_000, 255), Buffer.from('001062', 'hex')]);
  assert.equal(lz4(long, 1_000), undefined);
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
  const newer = Buffer.concat([
    Buffer.from('fc534d421d000000', 'hex'),
    part(0, Buffer.from('top')),
    part(5, Buffer.concat([Buffer.from('1a000000f00b', 'hex'), ALPHABET])),
  ]);
  assert.equal(decompressed(newer, 1_000)?.toString(), `top${ALPHABET}`);
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
  for (const decompress of [lz77, lz77Huffman, lznt1, lz4])
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
