/** Replies of an FTP server (RFC 959 §4.2): a code and a text, over several lines when a hyphen follows the code of the first. */
import type { Buffer } from 'node:buffer';

const ZERO = 0x30;
const HYPHEN = 0x2d;

/** The code that the line at `at` begins with, and whether more lines follow; undefined when it begins with none. */
export function codeAt(chunk: Buffer, at: number, end: number): { code: number; more: boolean } | undefined {
  if (end - at < 3) return undefined;
  let code = 0;
  for (let i = at; i < at + 3; i++) {
    const digit = (chunk[i] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    code = code * 10 + digit;
  }
  if (code < 100 || code > 699) return undefined;
  // A fourth digit, or letters: some other text. Nothing at all, or anything else: the code of a careless server.
  const next = end - at > 3 ? (chunk[at + 3] ?? 0) : 0x20;
  if ((next >= ZERO && next <= ZERO + 9) || (next | 0x20) >= 0x61) return undefined;
  return { code, more: next === HYPHEN };
}

/** The name that a server gave a STOU (RFC 1123 §4.1.2.9: `150 FILE: name`), where it says so. */
export function uniqueName(text: string): string | undefined {
  return /\bFILE:\s*(\S.*?)\s*$/im.exec(text)?.[1] ?? /\bunique file name:?\s*"?([^"\s)]+)/i.exec(text)?.[1];
}

/** The directory in a 257 reply, its doubled quotes taken back (RFC 959 appendix II). */
export function quotedDirectory(text: string): string | undefined {
  const quoted = /"((?:[^"]|"")*)"/.exec(text)?.[1];
  return quoted?.replaceAll('""', '"');
}
