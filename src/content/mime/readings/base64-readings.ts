/**
 * Base64 as one reader or another decodes it when it is not what RFC 2045 §6.8 asks for. Each way is one pass over the text, a table look-up
 * a character; none remembers more than a group of four.
 */
import { Buffer } from 'node:buffer';
import { CR, LF } from '../../../core/lines.js';

export interface Base64Way {
  readonly name: string;
  /** What `=` is: nothing, a zero, or the end of a group, behind which the next begins. */
  readonly padding: 'nothing' | 'zero' | 'restart';
  /**
   * What a line end is: nothing; the end of a group, what is left of it being flushed (`restart`) or dropped (`floor`); `cut`: a line counts
   * up to its first character that is not base64; `pure`: only lines count that are base64 throughout.
   */
  readonly lines: 'join' | 'restart' | 'floor' | 'cut' | 'pure';
  /** `-` and `_` stand for `+` and `/` (RFC 4648 §5). */
  readonly url: boolean;
}

export const BASE64_WAYS: readonly Base64Way[] = [
  { name: 'base64, all else skipped', padding: 'nothing', lines: 'join', url: false },
  { name: 'base64, = as zero', padding: 'zero', lines: 'join', url: false },
  { name: 'base64, from = to =', padding: 'restart', lines: 'join', url: false },
  { name: 'base64, line by line', padding: 'restart', lines: 'restart', url: false },
  { name: 'base64, line by line in fours', padding: 'restart', lines: 'floor', url: false },
  { name: 'base64, lines cut at junk', padding: 'restart', lines: 'cut', url: false },
  { name: 'base64, whole lines only', padding: 'restart', lines: 'pure', url: false },
  { name: 'base64, - and _ for + and /', padding: 'nothing', lines: 'join', url: true },
];
/** The ways that need no beginning: lines that are no base64 drop out, or the beginning is tried at each of four places. */
export const [SKIPPING, , , , , , WHOLE_LINES] = BASE64_WAYS as readonly [
  Base64Way,
  Base64Way,
  Base64Way,
  Base64Way,
  Base64Way,
  Base64Way,
  Base64Way,
];

const JUNK = 64;
const PAD = 65;
const END = 66;
const BLANK = 67;
const PLAIN = table('+/');
const URL = table('+/', '-_');

function table(...sets: readonly string[]): Uint8Array {
  const values = new Uint8Array(256).fill(JUNK);
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  for (const set of sets)
    for (const [value, letter] of [...letters, ...set].entries()) values[letter.charCodeAt(0)] = value;
  values['='.charCodeAt(0)] = PAD;
  values[CR] = END;
  values[LF] = END;
  values[' '.charCodeAt(0)] = BLANK;
  values['\t'.charCodeAt(0)] = BLANK;
  return values;
}

/** Decodes `text[start, end)`; the first `skip` characters of base64 are left out. A buffer of its own. */
export function decodeBase64(text: Buffer, start: number, end: number, way: Base64Way, skip = 0): Buffer {
  const values = way.url ? URL : PLAIN;
  const out = Buffer.allocUnsafe(Math.ceil(((end - start) * 3) / 4) + 3);
  const { padding, lines } = way;
  let length = 0;
  let group = 0;
  let held = 0;
  let left = skip;
  /** `cut`: the line has had its junk. */
  let cut = false;
  const flush = (): void => {
    if (held >= 2) out[length++] = group >> (held === 2 ? 4 : 10);
    if (held === 3) out[length++] = (group >> 2) & 0xff;
    group = 0;
    held = 0;
  };
  let at = start;
  while (at < end) {
    if (lines === 'pure') {
      const next = pureLine(text, at, end, values);
      if (next < 0) {
        at = -next;
        continue;
      }
    }
    for (; at < end; at++) {
      const read = values[text[at]!]!;
      const value = read === PAD && padding === 'zero' ? 0 : read;
      if (value < 64) {
        if (cut) continue;
        if (left > 0) {
          left--;
          continue;
        }
        group = (group << 6) | value;
        if (++held === 4) {
          out[length] = group >> 16;
          out[length + 1] = (group >> 8) & 0xff;
          out[length + 2] = group & 0xff;
          length += 3;
          group = 0;
          held = 0;
        }
      } else if (value === PAD) {
        if (!cut && padding === 'restart') flush();
      } else if (value === END) {
        cut = false;
        if (lines === 'restart') flush();
        else if (lines === 'floor') {
          group = 0;
          held = 0;
        } else if (lines === 'pure') {
          at++;
          break;
        }
      } else if (value === JUNK && lines === 'cut') cut = true;
    }
  }
  if (lines !== 'floor') flush();
  return out.subarray(0, length);
}

/** One past the line at `at` when all of it is base64, `=` at its end and blanks about it allowed; else minus that, to be passed over. */
function pureLine(text: Buffer, at: number, end: number, values: Uint8Array): number {
  let letters = 0;
  let pads = 0;
  let pure = true;
  let next = at;
  for (; next < end; next++) {
    const value = values[text[next]!]!;
    if (value === END) break;
    if (value < 64) {
      letters++;
      if (pads > 0) pure = false;
    } else if (value === PAD) pads++;
    else if (value === JUNK) pure = false;
  }
  const after = Math.min(end, next + 1);
  return pure && letters > 0 ? after : -after;
}
