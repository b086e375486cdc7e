/**
 * Ascii85: five letters for four bytes. Adobe's form stands between `<~` and `~>`; btoa's between `xbtoa Begin` and an `xbtoa End` line that
 * says how many bytes there were. `z` is four zeros, btoa's `y` four blanks.
 */
import { Buffer } from 'node:buffer';
import type { Unpacking } from '../unpacking.js';
import { bytesOf, type Text } from './text.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';

const OPEN = Buffer.from('<~', 'latin1');
const CLOSE = Buffer.from('~>', 'latin1');
const BTOA = Buffer.from('xbtoa Begin', 'latin1');
const BTOA_END = Buffer.from('\nxbtoa End', 'latin1');
/** Fewer letters between `<~` and `~>` are taken for prose or a smiley. */
const LEAST = 10;
const LETTERS = bytesOf(`${Array.from({ length: 85 }, (_, i) => String.fromCharCode(0x21 + i)).join('')}z \t\r\n\0\f`);
const Z = 0x7a;
const Y = 0x79;

export const ascii85: TextFormat = {
  find: (text, from) => text.find(OPEN, from),
  read(text, at, unpacking) {
    const start = at + OPEN.length;
    const end = text.runEnd(LETTERS, start);
    if (end - start < LEAST || text.slice(end, end + CLOSE.length) !== '~>') return Math.max(start, end - 1);
    const child = new TextChild(unpacking, { name: undefined });
    decode(text, start, end, Number.POSITIVE_INFINITY, child, unpacking);
    child.end();
    return end;
  },
};

export const btoa: TextFormat = {
  find: (text, from) => text.findLine(BTOA, from),
  read(text, at, unpacking) {
    const [line] = text.lines(at);
    if (!/^xbtoa Begin[ \t]*\r?\n/.test(line)) return at;
    const closing = text.closing(at, BTOA_END, /^xbtoa End N \d+ /);
    if (closing === undefined) unpacking.malformed('btoa-unfinished');
    const size =
      closing === undefined ? Number.NaN : Number(/^xbtoa End N (\d{1,15})/.exec(text.slice(closing.start))?.[1]);
    const child = new TextChild(unpacking, { name: undefined });
    const left = decode(
      text,
      at + line.length,
      closing?.start ?? text.length,
      Number.isNaN(size) ? Number.POSITIVE_INFINITY : size,
      child,
      unpacking,
    );
    if (Number.isFinite(left) && left > 0) unpacking.malformed('btoa-size');
    child.end();
    return closing?.end ?? text.length;
  },
};

/** Decodes `[from, end)`, at most `size` bytes of it; how many of them did not come. A last group of `n` letters is `n - 1` bytes. */
function decode(text: Text, from: number, end: number, size: number, child: TextChild, unpacking: Unpacking): number {
  let left = size;
  let value = 0;
  let count = 0;
  const put = (group: number, bytes: number): void => {
    for (let i = 0; i < bytes && left > 0; i++, left--) child.put(Math.floor(group / 256 ** (3 - i)) & 0xff);
  };
  text.pieces(from, end, (piece) => {
    for (const c of piece) {
      if (c >= 0x21 && c < 0x21 + 85) {
        value = value * 85 + c - 0x21;
        if (++count < 5) continue;
        // Larger than four bytes hold: decoders stop there or take what fits.
        if (value > 0xffffffff && size !== Number.POSITIVE_INFINITY) unpacking.malformed('btoa-junk');
        put(value % 2 ** 32, 4);
        value = 0;
        count = 0;
      } else if (count === 0 && c === Z) put(0, 4);
      else if (count === 0 && c === Y) put(0x20202020, 4);
      else if (LETTERS[c] !== 1 && size !== Number.POSITIVE_INFINITY) unpacking.malformed('btoa-junk');
    }
    return child.going;
  });
  if (count > 1) {
    for (let i = count; i < 5; i++) value = value * 85 + 84;
    put(value % 2 ** 32, count - 1);
  }
  return left;
}
