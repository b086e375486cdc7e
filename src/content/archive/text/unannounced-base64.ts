/**
 * Base64 that stands in a text without anybody saying so: a message whose header does not, or no longer, tell of its parts, an encoding within
 * an encoding, a file that is pasted into a mail. Lines that are base64 throughout and follow each other are decoded, and are a reading
 * of the text: whoever decodes them has to know by himself. One pass; linear.
 */
import type { Buffer } from 'node:buffer';
import type { Container, Content, Unpacker } from '../../../core/file.js';
import { BASE64_WAYS, decodeBase64 } from '../../mime/readings/base64-readings.js';
import { eachPiece } from '../../pieces.js';
import { type ArchiveLimits, Unpacking } from '../unpacking.js';
import { Text } from './text.js';

/** Characters that make a stretch of lines worth decoding: the EICAR file has 92. */
const LEAST = 64;
const LEAST_LINE = 4;
/** Stretches of one text that are decoded. */
const STRETCHES = 10_000;
/** A longer stretch is decoded in pieces of so many characters, a multiple of four: it may be larger than memory. */
const PIECE = 1024 * 1024;
const FROM_PAD_TO_PAD = BASE64_WAYS.find(({ padding, lines }) => padding === 'restart' && lines === 'join')!;

const LETTER = 1;
const PAD = 2;
const END = 3;
const KINDS = new Uint8Array(256);
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
  KINDS[letter.charCodeAt(0)] = LETTER;
KINDS['='.charCodeAt(0)] = PAD;
KINDS[0x0a] = END;
KINDS[0x0d] = END;

export function unannouncedBase64Unpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'unannounced-base64',
    accepts: (_types, content) => Text.is(content) && hasStretch(content),
    unpack(content, container) {
      decodeStretches(content, container, limits);
    },
  };
}

function hasStretch(content: Content): boolean {
  let found = false;
  eachStretch(content, () => {
    found = true;
    return false;
  });
  return found;
}

function decodeStretches(content: Content, container: Container, limits: ArchiveLimits): void {
  const unpacking = new Unpacking(container, content.length, limits);
  if (!unpacking.mayBegin()) return;
  // Found first: what is read of a spooled file is valid only until the next is read.
  const stretches: Stretch[] = [];
  eachStretch(content, (start, end) => {
    if (stretches.length >= STRETCHES) unpacking.stop('limit', 'more stretches of base64 in a text than are decoded');
    else stretches.push({ start, end });
    return !unpacking.stopped;
  });
  for (const stretch of stretches) if (!decodeStretch(content, stretch, unpacking)) return;
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** False when a limit ends it all. */
function decodeStretch(content: Content, { start, end }: Stretch, unpacking: Unpacking): boolean {
  const member = unpacking.open({ name: undefined, reading: 'base64 within text' });
  if (member === undefined) return false;
  for (let at = start; at < end; ) {
    const text = content.read(at, Math.min(PIECE, end - at));
    // A piece ends between groups of four, wherever its lines do.
    const length = at + text.length < end ? wholeGroups(text) : text.length;
    const bytes = decodeBase64(text, 0, length, FROM_PAD_TO_PAD);
    if (!member.write(bytes, 0, bytes.length)) {
      member.cut();
      return false;
    }
    at += length;
  }
  member.end();
  return true;
}

/** How much of it is groups of four characters. */
function wholeGroups(text: Buffer): number {
  let letters = 0;
  for (let at = 0; at < text.length; at++) if (KINDS[text[at]!] === LETTER) letters++;
  let length = text.length;
  for (let over = letters % 4; over > 0; length--) if (KINDS[text[length - 1]!] === LETTER) over--;
  return length > 0 ? length : text.length;
}

/** Calls `give` with the beginning and end of each stretch, until it says false. A line with padding ends one, empty lines do not. */
function eachStretch(content: Content, give: (start: number, end: number) => boolean): void {
  let going = true;
  let position = 0;
  let lineStart = 0;
  let letters = 0;
  let pads = 0;
  let pure = true;
  let start = -1;
  let end = 0;
  let sum = 0;
  const close = (): void => {
    if (start >= 0 && sum >= LEAST && going) going = give(start, end);
    start = -1;
    sum = 0;
  };
  const lineEnds = (at: number): void => {
    if (pure && letters >= LEAST_LINE) {
      if (start < 0) start = lineStart;
      end = at;
      sum += letters;
      if (pads > 0) close();
    } else if (at > lineStart) close();
    letters = 0;
    pads = 0;
    pure = true;
    lineStart = at + 1;
  };
  eachPiece(content, (piece) => {
    const { length } = piece;
    for (let at = 0; at < length && going; at++) {
      // Runs of letters, and the rest of a line that is none of base64, are stepped over without a look at what they are in.
      const from = at;
      while (at < length && KINDS[piece[at]!] === LETTER) at++;
      if (at > from) {
        letters += at - from;
        if (pads > 0) pure = false;
        if (at === length) break;
      }
      const kind = KINDS[piece[at]!]!;
      if (kind === END) lineEnds(position + at);
      else if (kind === PAD) pads++;
      else {
        pure = false;
        while (at + 1 < length && KINDS[piece[at + 1]!] !== END) at++;
      }
    }
    position += piece.length;
  });
  if (going) lineEnds(position);
  close();
}
