/**
 * The text of header fields as a person would read it: encoded words (RFC 2047), also where they should not be (in quoted parameters,
 * without blanks between), raw UTF-8 (RFC 6532), and bytes in a charset (RFC 2231). libmime knows the charsets; it takes 35 ms to load,
 * so it is loaded when the first word needs it. An unknown or broken charset yields what can be read of it and never throws.
 */
import { Buffer } from 'node:buffer';
import { createRequire } from 'node:module';

interface Libmime {
  decodeWords(text: string): string;
  decodeWord(charset: string, encoding: 'B', text: string): string | Buffer;
}

let loaded: Libmime | undefined;
function libmime(): Libmime {
  loaded ??= createRequire(import.meta.url)('libmime') as Libmime;
  return loaded;
}

/** `value` in Latin-1, as header-block.ts gives it. */
export function decodedText(value: string): string {
  const text = decodedBytes(value);
  if (!text.includes('=?')) return text;
  try {
    return libmime().decodeWords(text);
  } catch {
    // Whatever a charset library makes of hostile bytes: the words stay as they are written.
    return text;
  }
}

/** Bytes in Latin-1 that belong to `charset`. */
export function decodedCharset(charset: string, value: string): string {
  if (charset === '' || /^(utf-?8|us-ascii|ascii)$/i.test(charset)) return decodedBytes(value);
  try {
    return libmime().decodeWord(charset, 'B', Buffer.from(value, 'latin1').toString('base64')).toString();
  } catch {
    return decodedBytes(value);
  }
}

/** UTF-8 where it is UTF-8, else Latin-1. */
function decodedBytes(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? value : text;
}
