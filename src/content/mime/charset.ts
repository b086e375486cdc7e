/** The charset that a text part declares. One that no reader knows, or two of them, leave each reader to guess what the text says. */
import type { Notes } from './anomalies.js';
import { type Parameter, readings } from './header-parameters.js';

/** Nearly all mail. */
const USUAL = /^(utf-?8|us-ascii|iso-8859-\d{1,2}|windows-125\d)$/;
/** What archive/text/charset.ts reads. */
const DECODED = /^(utf-?16|ucs-?2|unicode|utf-?32|ucs-?4|(cs)?iso-?2022-?(jp|kr|cn)|hz)|utf-?7/;
/** Extensions of ASCII that go by names the platform does not know, and names for «whatever it is». */
const OTHERS =
  /^(ascii|ansi|latin-?\d|iso[-_]?8859\D?\d.*|utf-?8.+|x-mac-\w+|macintosh|mac\w*|viscii|tcvn|tis-?620|x-sjis.*|ms932|ms936|ms949|ms950|big5.*|gb\w+|euc\w*-?\w+|koi\w+-?\w*|johab|armscii-8|geostd8|unknown-8bit|x-unknown|x-user-defined|default|binary)$/;
/** Code pages that are ASCII in their lower half; the EBCDIC ones are not. */
const CODE_PAGE =
  /^(cp|ibm|dos|windows|ms|x-cp|x-ibm)?[-_]?(437|720|737|775|85[02578]|86[0-69]|874|932|936|943|949|950|1125|125\d|1361|10\d{3}|20127|20866|21866|2859\d|28605|51932|51936|51949|54936|65001)c?$/;

/** Lower case; undefined where none is declared. */
export function charsetOf(type: string, parameters: readonly Parameter[], notes: Notes): string | undefined {
  const found = readings(parameters, 'charset').map((reading) => reading.text.trim().toLowerCase());
  if (found.length === 0) return undefined;
  if (type.startsWith('text/') && new Set(found).size > 1) notes.note('mime-charset-duplicate');
  // A page in a charset that readers guess is a page with several contents; plain text does nothing.
  if (type === 'text/html' && !found.every(isKnown)) notes.note('mime-charset-unknown');
  return found.find((charset) => DECODED.test(charset)) ?? found[0];
}

function isKnown(charset: string): boolean {
  if (USUAL.test(charset) || DECODED.test(charset) || OTHERS.test(charset) || CODE_PAGE.test(charset)) return true;
  try {
    new TextDecoder(charset);
    return true;
  } catch {
    // An unknown name is an answer here, not a failure.
    return false;
  }
}
