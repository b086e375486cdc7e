/**
 * `signatures/file-types.tsv`, read once, when the first file asks. signatures/FILE-TYPES.md has its format; a row that does not follow
 * it is a ConfigError with its line, since a table that is half understood lets files pass under a wrong type.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../../core/errors.js';
import type { Content } from '../../core/file.js';

interface Pattern {
  readonly at: number;
  /** Lowest and highest value of each byte. */
  readonly low: Uint8Array;
  readonly high: Uint8Array;
}
export interface Signature {
  readonly type: string;
  readonly patterns: readonly Pattern[];
  /** Bytes of a file that decide it. */
  readonly reach: number;
}

let loaded: readonly Signature[] | undefined;

export function fileTypeSignatures(): readonly Signature[] {
  if (loaded === undefined) {
    const file = fileURLToPath(new URL('../../../../signatures/file-types.tsv', import.meta.url));
    loaded = parseSignatures(readFileSync(file, 'utf8'), file);
  }
  return loaded;
}

/** `file` is for the message. Throws ConfigError. */
export function parseSignatures(text: string, file: string): readonly Signature[] {
  const signatures: Signature[] = [];
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    if (line === '' || line.startsWith('#')) continue;
    const fields = line.split('\t');
    const [type, patterns, what] = fields;
    if (fields.length !== 3 || type === undefined || patterns === undefined || what === undefined || what.trim() === '')
      throw new ConfigError(`${file}:${number}: a row is type, patterns and what it is, separated by tabs`);
    if (!/^[a-z0-9.+/-]+$/.test(type)) throw new ConfigError(`${file}:${number}: '${type}' is no type name`);
    const parsed = splitPatterns(patterns).map((pattern) => parsePattern(pattern, `${file}:${number}`));
    signatures.push({ type, patterns: parsed, reach: Math.max(...parsed.map((one) => one.at + one.low.length)) });
  }
  return signatures;
}

/** Spaces within quotes belong to the text. */
function splitPatterns(patterns: string): string[] {
  const parts: string[] = [];
  let quoted = false;
  let part = '';
  for (const character of patterns) {
    if (character === '"') quoted = !quoted;
    if (character === ' ' && !quoted) {
      parts.push(part);
      part = '';
    } else part += character;
  }
  return [...parts, part];
}

const TOKEN = /\?\?|\[([0-9a-f]{2})-([0-9a-f]{2})\]|"([ !#-~]+)"|([0-9a-f]{2})/y;

function parsePattern(pattern: string, place: string): Pattern {
  const colon = pattern.indexOf(':');
  const offset = pattern.slice(0, colon);
  if (colon < 0 || !/^(0|[1-9][0-9]{0,8})$/.test(offset)) throw new ConfigError(`${place}: '${pattern}' has no offset`);
  const low: number[] = [];
  const high: number[] = [];
  TOKEN.lastIndex = colon + 1;
  while (TOKEN.lastIndex < pattern.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(pattern);
    if (token === null) throw new ConfigError(`${place}: '${pattern.slice(at)}' is no byte, range or text`);
    const [whole, from, to, text, hex] = token;
    if (text !== undefined) {
      for (const byte of Buffer.from(text, 'latin1')) {
        low.push(byte);
        high.push(byte);
      }
    } else {
      const lowest = whole === '??' ? 0 : Number.parseInt(from ?? hex ?? '', 16);
      const highest = whole === '??' ? 0xff : Number.parseInt(to ?? hex ?? '', 16);
      if (lowest > highest) throw new ConfigError(`${place}: '${whole}' is an empty range`);
      low.push(lowest);
      high.push(highest);
    }
  }
  if (low.length === 0) throw new ConfigError(`${place}: '${pattern}' has no bytes`);
  return { at: Number(offset), low: Uint8Array.from(low), high: Uint8Array.from(high) };
}

/** `head` is the first bytes of `content`. */
export function matches(signature: Signature, head: Buffer, content: Content): boolean {
  for (const { at, low, high } of signature.patterns) {
    const end = at + low.length;
    if (end > content.length) return false;
    const inHead = end <= head.length;
    const bytes = inHead ? head : content.read(at, low.length);
    const start = inHead ? at : 0;
    for (let i = 0; i < low.length; i++) {
      const byte = bytes[start + i];
      if (byte === undefined || byte < low[i]! || byte > high[i]!) return false;
    }
  }
  return true;
}
