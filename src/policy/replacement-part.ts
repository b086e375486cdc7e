/**
 * The bytes that stand where a part of a message, or a whole message, was taken away. The part's own header goes too: a text after
 * `Content-Transfer-Encoding: base64` would not be read. A single-part message has one header for both, so its mail fields are
 * written again from what is known of them (RFC 2047 where they are not ASCII); Date, Message-ID and trace fields are lost there.
 *
 * POP3 and IMAP announced the size before, so there the result is exactly as long as what it replaces: padded with lines of spaces,
 * or in a shorter form, down to no byte at all.
 */
import { Buffer } from 'node:buffer';
import type { MailHeaders } from '../core/file.js';

/** What is replaced: a part with a header, a whole message with its mail fields, or bare content (a file fetched by itself). */
export type Replaced =
  | { readonly kind: 'part' | 'content' }
  | { readonly kind: 'message'; readonly headers: MailHeaders | undefined };

const CRLF = '\r\n';
/** RFC 2822 §2.1.1: lines should be no more than 78 characters. */
const PAD_LINE = `${' '.repeat(76)}${CRLF}`;

/** `length` undefined: as long as the text needs. */
export function replacementPart(replaced: Replaced, text: string, length: number | undefined): Buffer {
  // No line of it can be taken for a delimiter, nor needs dot-stuffing.
  const body = text.replace(/\r\n|\r|\n/g, CRLF).replace(/^(?=\.|--)/gm, ' ') + CRLF;
  const full = Buffer.from(header(replaced, body) + body, 'utf8');
  if (length === undefined) return full;
  if (full.length <= length) return padded(full, length);
  // Short forms: no fields at all (RFC 2045 §5.2: then it is text/plain), then what of the text has room, then blanks.
  const empty = replaced.kind === 'content' ? '' : CRLF;
  const short = Buffer.from(empty + ascii(body), 'latin1');
  if (short.length <= length) return padded(short, length);
  if (length < CRLF.length) return Buffer.alloc(length, ' ');
  // A line end may lie on the cut: no half of one is left.
  return Buffer.from(short.toString('latin1', 0, length - CRLF.length).replace(/\r$/, ' ') + CRLF, 'latin1');
}

/** Filled up with blank lines to exactly `length`. The last line ends: it may be the message's last, behind which POP3 has a lone dot. */
function padded(bytes: Buffer, length: number): Buffer {
  const out = Buffer.alloc(length);
  bytes.copy(out);
  if (bytes.length === length) return out;
  out.fill(PAD_LINE, bytes.length, length, 'latin1');
  out.write(CRLF, length - CRLF.length, 'latin1');
  // A line may end where that begins: a space is as good there.
  if (out[length - 3] === 0x0d) out[length - 3] = 0x20;
  return out;
}

function header(replaced: Replaced, body: string): string {
  if (replaced.kind === 'content') return '';
  const plain = /^[\t\r\n -~]*$/.test(body);
  const fields = [
    `Content-Type: text/plain; charset=${plain ? 'us-ascii' : 'utf-8'}`,
    `Content-Transfer-Encoding: ${plain ? '7bit' : '8bit'}`,
  ];
  if (replaced.kind === 'message') fields.unshift(...mailFields(replaced.headers), 'MIME-Version: 1.0');
  return fields.join(CRLF) + CRLF + CRLF;
}

function mailFields(headers: MailHeaders | undefined): string[] {
  const known = [
    ['From', headers?.from],
    ['To', headers?.to],
    ['Cc', headers?.cc],
    ['Subject', headers?.subject],
  ] as const;
  return known.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${fieldValue(value)}`]));
}

/** At most 10 encoded words of 45 octets, a line each: a subject is for a person to recognise the message by. */
function fieldValue(value: string): string {
  const oneLine = value
    .replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ')
    .trim()
    .slice(0, 450);
  if (/^[ -~]*$/.test(oneLine) && oneLine.length <= 900 && !oneLine.includes('=?')) return oneLine;
  const words: string[] = [];
  let word = '';
  for (const character of oneLine) {
    if (Buffer.byteLength(word + character) > 45) {
      words.push(word);
      word = '';
    }
    word += character;
  }
  words.push(word);
  return words
    .slice(0, 10)
    .map((piece) => `=?utf-8?B?${Buffer.from(piece).toString('base64')}?=`)
    .join(`${CRLF} `);
}

function ascii(text: string): string {
  return text.replace(/[^\t\r\n -~]/gu, '?');
}
