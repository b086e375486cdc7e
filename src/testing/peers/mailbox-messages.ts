/** Messages for mailboxes that misbehave, and whether anything of one came out. */
import assert from 'node:assert/strict';
import { mail } from '../ambiguous-mail.js';
import { EICAR } from './scanned.js';

/** A text and one attachment in base64, lines of 76; CRLF, one character a byte. */
export function attached(name: string, bytes: Buffer): string {
  const headers = [
    `Content-Type: application/octet-stream; name="${name}"`,
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment; filename="${name}"`,
  ];
  return mail(headers, folded(bytes));
}

/** The body of such an attachment. */
export function folded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/.{76}(?=.)/g, '$&\r\n');
}

/** It has the parts 1, a text, and 2, `bad.com`. */
export const INFECTED_MAIL = attached('bad.com', Buffer.from(EICAR));
export const CLEAN_MAIL = attached('good.txt', Buffer.from('nothing bad is in here, only a line of text'));

const WINDOW = 8;

/** Nothing of `file` stands in `received`, as it is or in base64: no run of 16 bytes, and hardly one of 8. */
export function nothingOf(file: Buffer | string, received: Buffer | string): void {
  const bytes = Buffer.from(file);
  const text = typeof received === 'string' ? received : received.toString('latin1');
  const pieces = new Set<string>();
  // Who has three bytes in front of it, or none, encodes it in the same way.
  for (const form of [bytes.toString('latin1'), ...[0, 1, 2].map((skip) => bytes.subarray(skip).toString('base64'))])
    for (let at = 0; at + WINDOW <= form.length; at += WINDOW) pieces.add(form.slice(at, at + WINDOW));
  const unfolded = text.replaceAll('\r\n', '');
  for (const each of unfolded === text ? [text] : [text, unfolded])
    for (let at = 0; at + WINDOW <= each.length; at++) {
      const piece = each.slice(at, at + WINDOW);
      if (pieces.has(piece)) assert.fail(`of the file came ${JSON.stringify(each.slice(at, at + 40))}`);
    }
}
