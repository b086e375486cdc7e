/** Quoted-printable (RFC 2045 §6.7) as lenient readers decode it, and uuencode without its `begin` and `end`. One pass each. */
import { Buffer } from 'node:buffer';
import { CR, LF } from '../../../core/lines.js';
import { afterLine } from './regions.js';

const EQUALS = 0x3d;
const SPACE = 0x20;
const TAB = 0x09;

/** What becomes of an escape that is none: it stays, its `=` goes, or it goes as a whole. */
export const BAD_ESCAPES = ['kept', 'equals dropped', 'dropped'] as const;
export type BadEscapes = (typeof BAD_ESCAPES)[number];

/** Are there any escapes in `text[start, end)`? */
export function hasEscapes(text: Buffer, start: number, end: number): boolean {
  for (let at = text.indexOf(EQUALS, start); at >= 0 && at + 2 < end; at = text.indexOf(EQUALS, at + 1))
    if (hex(text[at + 1]!) >= 0 && hex(text[at + 2]!) >= 0) return true;
  return false;
}

export function decodeQuotedPrintable(text: Buffer, start: number, end: number, bad: BadEscapes): Buffer {
  const out = Buffer.allocUnsafe(end - start);
  let length = 0;
  let at = start;
  while (at < end) {
    const byte = text[at]!;
    if (byte !== EQUALS) {
      out[length++] = byte;
      at++;
      continue;
    }
    const high = at + 1 < end ? hex(text[at + 1]!) : -1;
    const low = at + 2 < end ? hex(text[at + 2]!) : -1;
    if (high >= 0 && low >= 0) {
      out[length++] = (high << 4) | low;
      at += 3;
      continue;
    }
    // A soft line break, with the blanks that transport may have put behind it.
    let next = at + 1;
    while (next < end && (text[next] === SPACE || text[next] === TAB)) next++;
    if (next === end || text[next] === LF || text[next] === CR) {
      at = next === end ? end : text[next] === CR && text[next + 1] === LF ? next + 2 : next + 1;
      continue;
    }
    if (bad === 'kept') out[length++] = byte;
    at += bad === 'dropped' ? 3 : 1;
  }
  return out.subarray(0, length);
}

function hex(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Lines that say their own length as uuencode does, decoded one after another; undefined when fewer than `least` do. */
export function decodeUuLines(text: Buffer, start: number, end: number, least = 2): Buffer | undefined {
  const out = Buffer.allocUnsafe(end - start);
  let length = 0;
  let lines = 0;
  for (let at = start; at < end; ) {
    const next = afterLine(text, at, end);
    let stop = next;
    while (stop > at && (text[stop - 1] === LF || text[stop - 1] === CR)) stop--;
    const bytes = stop > at ? (text[at]! - 0x20) & 0x3f : 0;
    const needed = Math.ceil((bytes * 4) / 3);
    const given = stop - at - 1;
    if (bytes > 0 && given >= needed && given <= Math.ceil(bytes / 3) * 4 + 1 && isUuText(text, at, stop)) {
      lines++;
      for (let got = 0, from = at + 1; got < bytes; got += 3, from += 4) {
        const word =
          (uu(text, from, stop) << 18) |
          (uu(text, from + 1, stop) << 12) |
          (uu(text, from + 2, stop) << 6) |
          uu(text, from + 3, stop);
        out[length++] = word >> 16;
        if (got + 1 < bytes) out[length++] = (word >> 8) & 0xff;
        if (got + 2 < bytes) out[length++] = word & 0xff;
      }
    }
    at = next;
  }
  return lines >= least ? out.subarray(0, length) : undefined;
}

function uu(text: Buffer, at: number, end: number): number {
  return at < end ? (text[at]! - 0x20) & 0x3f : 0;
}

function isUuText(text: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (text[at]! < 0x20 || text[at]! > 0x60) return false;
  return true;
}
