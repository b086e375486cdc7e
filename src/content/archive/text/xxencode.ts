/** xxencode: uuencode with letters that survive EBCDIC. A line is its length and quads; a line of length 0 (`+`) and `end` close it. */
import { Buffer } from 'node:buffer';
import type { Unpacking } from '../unpacking.js';
import type { Text } from './text.js';
import { TextChild } from './text-child.js';

const LETTERS = '+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const NONE = 0xff;
const VALUES = new Uint8Array(256).fill(NONE);
for (const [index, byte] of Buffer.from(LETTERS, 'latin1').entries()) VALUES[byte] = index;

/** Does the first data line say its own length? No line does in both alphabets: the letters lie too far apart. */
export function isXxLine(line: string): boolean {
  if (!/^[-+0-9A-Za-z]{2,62}$/.test(line)) return false;
  const quads = Math.ceil(LETTERS.indexOf(line[0]!) / 3) * 4;
  return quads > 0 && Math.abs(line.length - 1 - quads) <= 1;
}

/** `from`: the line behind `begin`. `end`: one past the `end` line, undefined without one. */
export function takeXxencode(
  text: Text,
  name: string,
  from: number,
  end: number | undefined,
  unpacking: Unpacking,
): void {
  const child = new TextChild(unpacking, { name });
  /** The empty line or `end` came. */
  let after = false;
  text.eachLine(from, end ?? text.length, (line) => {
    if (line === undefined) unpacking.malformed('xx-junk');
    else if (line.equals(END_WORD)) after = true;
    else if (line.length > 0 && !after) {
      if (VALUES[line[0]!] === 0) after = true;
      else if (!takeLine(line, child)) unpacking.malformed('xx-junk');
    }
    return child.going;
  });
  if (!after && child.going) unpacking.malformed('xx-unfinished');
  child.end();
}

const END_WORD = Buffer.from('end', 'latin1');

/** False when it is none, or has other letters; what it says is taken all the same. */
function takeLine(line: Buffer, child: TextChild): boolean {
  const bytes = VALUES[line[0]!]!;
  if (bytes === NONE) return false;
  const quads = Math.ceil(bytes / 3) * 4;
  // A check character may follow; what is missing counts as nothing.
  let good = line.length - 1 <= quads + 1;
  let left = bytes;
  for (let at = 1; left > 0; at += 4) {
    let joined = 0;
    for (let i = 0; i < 4; i++) {
      const byte = line[at + i];
      const value = byte === undefined ? 0 : VALUES[byte]!;
      if (value === NONE) good = false;
      joined = (joined << 6) | (value & 0x3f);
    }
    for (let shift = 16; shift >= 0 && left > 0; shift -= 8, left--) child.put((joined >> shift) & 0xff);
  }
  return good;
}
