/**
 * Files that a script carries as numbers: `[77, 90, 0x90, …]`, the arguments of `String.fromCharCode`, a PowerShell or C# array; at least 64
 * numbers that are all bytes (-128 to 255). A list with any other number is data of another kind.
 */
import { isScript } from './script.js';
import { bytesOf, type Text } from './text.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';

const NUMBERS = 64;
/** One digit and a comma each. */
const LEAST = 2 * NUMBERS - 1;
const MEMBERS = bytesOf('0123456789abcdefxABCDEFX,- \t\r\n');
const OPENING = bytesOf('[({=');
const COMMA = 0x2c;

export const byteArray: TextFormat = {
  find(text, from) {
    for (let at = text.findRun(MEMBERS, LEAST, from); at >= 0; ) {
      if (OPENING[text.byte(at - 1) ?? 0] === 1) return isScript(text) ? at : -1;
      at = text.findRun(MEMBERS, LEAST, text.runEnd(MEMBERS, at));
    }
    return -1;
  },
  read(text, at, unpacking) {
    const end = text.runEnd(MEMBERS, at);
    const numbers = new Numbers();
    if (!eachNumber(text, at, end, (value) => numbers.add(value)) || numbers.count < NUMBERS) return end;
    const child = new TextChild(unpacking, { name: undefined });
    eachNumber(text, at, end, (value) => {
      child.put(value & 0xff);
      return child.going;
    });
    child.end();
    return end;
  },
};

class Numbers {
  count = 0;
  add(value: number): boolean {
    this.count++;
    return value >= -128 && value <= 255;
  }
}

/** False when something in `[at, end)` is no number, or `take` said so. A comma may stand behind the last. */
function eachNumber(text: Text, start: number, end: number, take: (value: number) => boolean): boolean {
  let word = '';
  let good = true;
  const ended = (last: boolean): boolean => {
    const written = word.trim();
    word = '';
    if (written === '') return last;
    return /^-?(\d{1,3}|0x[0-9a-f]{1,2})$/i.test(written) && take(numberOf(written));
  };
  text.pieces(start, end, (piece) => {
    for (const c of piece) {
      if (c === COMMA) good = ended(false);
      else if (word.length < WORD) word += String.fromCharCode(c);
      else good = false;
      if (!good) return false;
    }
    return true;
  });
  if (!good) return false;
  // Behind the last the next statement may begin with letters that could be digits, but no number goes on (1.5).
  const [last = '', ...more] = word.trimStart().split(/\s/, 2);
  if (more.length === 0 && /[\w.%]/.test(text.slice(end, end + 1))) return false;
  word = last;
  return ended(true);
}

/** With the blanks of an indented line before it. */
const WORD = 256;

function numberOf(written: string): number {
  return written.startsWith('-') ? -Number(written.slice(1)) : Number(written);
}
