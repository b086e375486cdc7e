import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import { TlsOrClear } from './tls-or-clear.js';

const HELLO = Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 9]);
const TEXT = Buffer.from('EHLO there\r\n');

/** What came out: `tls C 10` for bytes given to the reader of TLS, `clear S 4` for text. */
function run(pieces: readonly (readonly [Side, Buffer])[], end: boolean): string[] {
  const said: string[] = [];
  const sums = new Map<string, number>();
  const add = (what: string, side: Side, length: number) => {
    const key = `${what} ${side === CLIENT ? 'C' : 'S'}`;
    sums.set(key, (sums.get(key) ?? 0) + length);
  };
  const layer = new TlsOrClear({
    patience: 64,
    inner: {
      receive: (side, chunk) => add('clear', side, chunk.length),
      gap: () => {},
      opaque: () => {},
    },
    openTls: () => ({ receive: (side, chunk) => add('tls', side, chunk.length), gap: () => {}, position: () => 0 }),
    injected: (side) => said.push(`injected by ${side === CLIENT ? 'C' : 'S'}`),
    clear: () => said.push('decrypted in place'),
  });
  for (const [side, chunk] of pieces) layer.receive(side, chunk);
  if (end) layer.end(CLIENT);
  return [...said, ...[...sums].map(([what, length]) => `${what} ${length}`).sort()];
}

/** The pieces with the first cut in two, everywhere. */
function everyCut(pieces: readonly (readonly [Side, Buffer])[], end = false): string[] {
  const whole = run(pieces, end);
  pieces.forEach(([side, chunk], index) => {
    for (let cut = 1; cut < chunk.length; cut++) {
      const parts = [
        ...pieces.slice(0, index),
        [side, chunk.subarray(0, cut)] as const,
        [side, chunk.subarray(cut)] as const,
        ...pieces.slice(index + 1),
      ];
      assert.deepEqual(run(parts, end), whole, `piece ${index} cut at ${cut}`);
    }
  });
  return whole;
}

test('a handshake goes to the reader of TLS, whoever sends first', () => {
  assert.deepEqual(everyCut([[CLIENT, HELLO]]), ['tls C 10']);
  assert.deepEqual(
    everyCut([
      [SERVER, HELLO],
      [CLIENT, HELLO],
    ]),
    ['tls C 10', 'tls S 10'],
  );
});

test('text that is answered in clear is the session, decrypted in place', () => {
  const answered = everyCut([
    [CLIENT, TEXT],
    [SERVER, Buffer.from('250 hi\r\n')],
    [CLIENT, TEXT],
  ]);
  assert.deepEqual(answered, ['decrypted in place', 'clear C 24', 'clear S 8']);
});

test('text that is answered by TLS was injected, and nobody is given it', () => {
  const injected = everyCut([
    [CLIENT, Buffer.concat([TEXT, HELLO])],
    [SERVER, HELLO],
  ]);
  assert.deepEqual(injected, ['injected by C', 'tls C 10', 'tls S 10']);
});

test('text of one side alone is believed when there is much of it, or no more', () => {
  assert.deepEqual(everyCut([[SERVER, Buffer.alloc(65, 0x61)]]), ['decrypted in place', 'clear S 65']);
  assert.deepEqual(everyCut([[SERVER, TEXT]], true), ['decrypted in place', 'clear S 12']);
  assert.deepEqual(run([[SERVER, TEXT]], false), []);
});

test('more clear text of one side than is waited for, and a handshake after all: it was injected, and TLS is read', () => {
  const long = Buffer.from('NOOP\r\n'.repeat(20));
  // The other side begins it: what the first sends from then on is TLS as well.
  assert.deepEqual(
    everyCut([
      [CLIENT, long],
      [CLIENT, TEXT],
      [SERVER, HELLO],
      [CLIENT, HELLO],
    ]),
    ['decrypted in place', 'injected by C', `clear C ${long.length + TEXT.length}`, 'tls C 10', 'tls S 10'],
  );
  // The same side goes over to it.
  const pieces = [
    [CLIENT, long],
    [CLIENT, Buffer.concat([TEXT, HELLO])],
    [SERVER, HELLO],
  ] as const;
  for (let cut = 1; cut < TEXT.length + HELLO.length; cut++) {
    const said = run(
      [pieces[0], [CLIENT, pieces[1][1].subarray(0, cut)], [CLIENT, pieces[1][1].subarray(cut)], pieces[2]],
      false,
    );
    assert.deepEqual(said.slice(0, 2), ['decrypted in place', 'injected by C'], String(cut));
    assert.deepEqual(said.slice(-2), ['tls C 10', 'tls S 10'], String(cut));
  }
  // What is clear on both sides stays so.
  assert.deepEqual(
    everyCut([
      [CLIENT, long],
      [SERVER, TEXT],
      [CLIENT, TEXT],
    ]),
    ['decrypted in place', `clear C ${long.length + TEXT.length}`, `clear S ${TEXT.length}`],
  );
});
