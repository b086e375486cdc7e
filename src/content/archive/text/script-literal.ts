/**
 * Files that a script carries as strings of base64 or hexadecimal digits and puts together where it runs (HTML smuggling; droppers): the
 * argument of `atob` and its kin whatever its length, and any other string of at least 64 letters. A string goes on over `+`, over
 * escaped line ends and over the blanks that base64 readers skip. Not followed: variables, and what is ciphered or turned around.
 */
import { Buffer } from 'node:buffer';
import type { ChildMeta } from '../../../core/file.js';
import type { Unpacking } from '../unpacking.js';
import { Base64Text } from './base64-text.js';
import { isScript } from './script.js';
import { bytesOf, type Text } from './text.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';

const LEAST = 64;
/** How much of a string is looked at to tell packed data from words. */
const LOOKED = 1024;
const LETTERS = bytesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=');
const HEX = bytesOf('0123456789abcdefABCDEF');
const QUOTES = bytesOf('"\'`');
const ATOB = Buffer.from('atob(', 'latin1');
const FROM_BASE64 = Buffer.from('FromBase64String(', 'latin1');
/** From the end of one string to the beginning of the next that is added to it. */
const JOINED = /^["'`]\s{0,64}[+.&]\s{0,64}(?:_\s{1,8})?["'`]/;
/** Within a string: a line that goes on, an escaped slash or blank. */
const ESCAPED = /^\\(?:\r?\n|[/nrt])/;

/** A long string wherever it stands in a script. */
export const scriptLiteral: TextFormat = {
  find(text, from) {
    for (let at = text.findRun(LETTERS, LEAST, from); at >= 0; ) {
      if (
        QUOTES[text.byte(at - 1) ?? 0] === 1 &&
        isMixed(text.slice(at, Math.min(text.runEnd(LETTERS, at), at + LOOKED)))
      )
        return isScript(text) ? at : -1;
      at = text.findRun(LETTERS, LEAST, text.runEnd(LETTERS, at));
    }
    return -1;
  },
  read: (text, start, unpacking) => takeLiteral(text, start, unpacking, 'a string of a script'),
};

/** Packed data has letters of both cases and digits; paths and words, of which pages are full, seldom have all. */
function isMixed(letters: string): boolean {
  return (/[a-z]/.test(letters) && /[A-Z]/.test(letters) && /\d/.test(letters)) || /^[\da-fA-F]+$/.test(letters);
}

function called(needle: Buffer): TextFormat {
  return {
    find(text, from) {
      for (let at = text.find(needle, from); at >= 0; at = text.find(needle, at + 1)) {
        const opening = /^\s{0,64}["'`]/.exec(text.slice(at + needle.length, at + needle.length + 65));
        if (opening !== null) return at + needle.length + opening[0].length;
      }
      return -1;
    },
    read: (text, start, unpacking) => takeLiteral(text, start, unpacking),
  };
}
export const atob = called(ATOB);
export const fromBase64String = called(FROM_BASE64);

/** The string that begins at `start`, behind its quote; where it ends. `reading`: nobody says that it is packed data. */
function takeLiteral(text: Text, start: number, unpacking: Unpacking, reading?: string): number {
  const meta: ChildMeta = { name: undefined, ...(reading === undefined ? {} : { reading }) };
  const hex = text.runEnd(HEX, start);
  if (hex - start >= LEAST && (hex - start) % 2 === 0 && QUOTES[text.byte(hex) ?? 0] === 1) {
    takeHex(text, start, hex, new TextChild(unpacking, meta));
    return hex;
  }
  const child = new TextChild(unpacking, meta);
  const base64 = new Base64Text(child);
  let end = start;
  for (let going = true; going; ) {
    text.pieces(end, text.length, (piece) => {
      const at = base64.decode(piece, 0, piece.length);
      end += at;
      return at === piece.length && child.going;
    });
    const rest = text.slice(end, end + 160);
    const bridge = JOINED.exec(rest) ?? ESCAPED.exec(rest);
    going = bridge !== null && child.going;
    if (bridge === null) break;
    end += bridge[0].length;
    if (bridge[0] === '\\/') base64.put(0x2f);
  }
  child.end();
  return end;
}

function takeHex(text: Text, start: number, end: number, child: TextChild): void {
  let high: number | undefined;
  text.pieces(start, end, (piece) => {
    for (const c of piece) {
      // Digits are 0x30 to 0x39, letters 0x41 or 0x61 and up.
      const value = c < 0x40 ? c & 0xf : (c & 0xf) + 9;
      if (high === undefined) high = value << 4;
      else {
        child.put(high | value);
        high = undefined;
      }
    }
    return child.going;
  });
  child.end();
}
