/**
 * Files that are written as text within a text. Mail programs offer some of them as attachments (uuencode, xxencode, begin-base64, yEnc,
 * BinHex), others are decoded by hand (btoa, Ascii85) or by the page that carries them (data URLs, strings and numbers in scripts). What
 * looks like one but is followed by no data is prose. OpenPGP messages are named.
 *
 * Each format says where it may begin next, and is asked again only when the search has passed that place: the whole costs one look at each
 * byte for each format, however many near misses there are.
 */
import type { Container, Content, Unpacker } from '../../../core/file.js';
import { type ArchiveLimits, Unpacking } from '../unpacking.js';
import { ascii85, btoa } from './ascii85.js';
import { beginBase64 } from './begin-base64.js';
import { binhex } from './binhex.js';
import { byteArray } from './byte-array.js';
import { dataUrl } from './data-url.js';
import { openPgp } from './openpgp.js';
import { atob, fromBase64String, scriptLiteral } from './script-literal.js';
import { Text } from './text.js';
import type { TextFormat } from './text-format.js';
import { uuencode } from './uuencode.js';
import { yenc } from './yenc.js';

/** Places where a file may begin that are looked at in one text. */
const CANDIDATES = 10_000;

const FORMATS: readonly TextFormat[] = [
  uuencode,
  beginBase64,
  yenc,
  binhex,
  ascii85,
  btoa,
  openPgp,
  dataUrl,
  atob,
  fromBase64String,
  scriptLiteral,
  byteArray,
];

export function encodedTextUnpacker(limits: ArchiveLimits): Unpacker {
  const found = new WeakMap<Content, Text>();
  return {
    name: 'encoded-text',
    accepts(types, content) {
      if (!Text.is(content)) return false;
      const text = new Text(content, types);
      if (!FORMATS.some((format) => format.find(text, 0) >= 0)) return false;
      found.set(content, text);
      return true;
    },
    unpack(content, container) {
      unpackText(found.get(content) ?? new Text(content, []), container, limits);
    },
  };
}

function unpackText(text: Text, container: Container, limits: ArchiveLimits): void {
  const unpacking = new Unpacking(container, text.length, limits);
  if (!unpacking.mayBegin()) return;
  const next = FORMATS.map((format) => format.find(text, 0));
  let at = 0;
  for (let candidates = 0; unpacking.mayGoOn(); candidates++) {
    let first = -1;
    for (const [index, format] of FORMATS.entries()) {
      if (next[index]! >= 0 && next[index]! < at) next[index] = format.find(text, at);
      if (next[index]! >= 0 && (first < 0 || next[index]! < next[first]!)) first = index;
    }
    if (first < 0) return;
    if (candidates === CANDIDATES) {
      unpacking.stop('limit', 'more places where a file may begin than are looked at');
      return;
    }
    const place = next[first]!;
    at = Math.max(place + 1, FORMATS[first]!.read(text, place, unpacking));
  }
}
