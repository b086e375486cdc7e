/**
 * What the header of a message or part says of its body: type, boundary, transfer encoding, names. One place decides what is canonical
 * here; of what is not, the most plausible reading is taken and the oddity noted.
 */
import { Buffer } from 'node:buffer';
import type { Notes } from './anomalies.js';
import { charsetOf } from './charset.js';
import type { Fields } from './header-block.js';
import { type Parameter, type ParameterValue, parseParameters, type Reading, readings } from './header-parameters.js';
import { decodedText } from './header-words.js';

export type Encoding = 'identity' | 'base64' | 'quoted-printable' | 'uuencode';

export interface PartHeader {
  /** Lower case, without parameters. */
  readonly type: string;
  /** `--` and the boundary, of a multipart that has one. */
  readonly delimiter: Buffer | undefined;
  readonly encoding: Encoding;
  /** Lower case. */
  readonly charset: string | undefined;
  readonly name: string | undefined;
  readonly otherNames: readonly string[];
  /** It has a name or a disposition of attachment. */
  readonly attachment: boolean;
  /** What says that the body cannot be read without a key. */
  readonly encrypted: boolean;
}

/** RFC 2046 §5.1.1. */
const BOUNDARY = 70;
/** A longer one than this is not followed: it would have to be looked for in lines longer than mail has. */
const BOUNDARY_FOLLOWED = 4096;
const NAMES = 32;
/** Of a malformed type this much is looked at: the search for a type in it is not linear. */
const TYPE_READ = 256;

const ENCODINGS: ReadonlyMap<string, Encoding> = new Map([
  ['7bit', 'identity'],
  ['8bit', 'identity'],
  ['binary', 'identity'],
  ['base64', 'base64'],
  ['quoted-printable', 'quoted-printable'],
  ['x-uuencode', 'uuencode'],
  ['uuencode', 'uuencode'],
  ['x-uue', 'uuencode'],
  ['uue', 'uuencode'],
  ['x-uu', 'uuencode'],
]);

/** RFC 2045 §5.1: type "/" subtype, both tokens. */
const TYPE = /^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** `defaultType` is what a part without Content-Type is: `text/plain`, in a digest `message/rfc822`. */
export function readPartHeader(fields: Fields, defaultType: string, notes: Notes): PartHeader {
  const written = fields.get('content-type')?.[0];
  const content = parseParameters(written ?? '');
  const type = written === undefined ? defaultType : typeOf(content.token, notes);
  const disposition = dispositionOf(fields, notes);
  const multipart = type.startsWith('multipart/');
  const delimiter = boundaryOf(type, written ?? '', content.parameters, notes);
  const encoding = encodingOf(fields, notes);
  const composite = multipart || type.startsWith('message/');
  if (composite && encoding !== 'identity') notes.note('mime-encoding-composite');
  if (type === 'message/external-body') notes.note('mime-external-body');

  const names = namesOf(fields, content, disposition, notes);
  const kind = content.parameters.find((parameter) => parameter.name === 'smime-type')?.value.toLowerCase();
  return {
    type,
    delimiter,
    encoding,
    charset: charsetOf(type, content.parameters, notes),
    name: names[0],
    otherNames: names.slice(1),
    attachment: names.length > 0 || /^"?attachment\b/i.test(disposition.token),
    encrypted: type === 'multipart/encrypted' || kind === 'enveloped-data' || kind === 'authenveloped-data',
  };
}

function typeOf(token: string, notes: Notes): string {
  const type = token.toLowerCase();
  if (TYPE.test(type)) return type;
  notes.note('mime-type-malformed');
  // Quotes, comments, blanks, a missing semicolon: what a forgiving reader finds.
  const plausible = /[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+/.exec(
    withoutComments(type.slice(0, TYPE_READ)).replace(/["\\\0]/g, ''),
  );
  return plausible?.[0] ?? 'text/plain';
}

function boundaryOf(type: string, written: string, parameters: readonly Parameter[], notes: Notes): Buffer | undefined {
  const own = parameters.filter((parameter) => parameter.name === 'boundary' || parameter.name.startsWith('boundary*'));
  if (!type.startsWith('multipart/')) {
    if (own.length > 0) notes.note('mime-boundary-on-leaf');
    return undefined;
  }
  const plain = own.find((parameter) => parameter.name === 'boundary');
  if (own.length > 1) notes.note('mime-boundary-duplicate');
  // Also one that hides in another parameter, a comment or behind a missing semicolon.
  const mentioned = written.match(/boundary[\s*\d()]*=/gi)?.length ?? 0;
  let text = plain?.value ?? readings(parameters, 'boundary')[0]?.text;
  let odd = plain === undefined || plain.odd || mentioned > own.length;
  if (text === undefined) {
    text = /boundary\s*=\s*"?([^";,\s]+)/i.exec(written)?.[1];
    if (text === undefined) {
      notes.note('mime-boundary-missing');
      return undefined;
    }
    odd = true;
  }
  const boundary = text.trimEnd();
  // RFC 2046 allows less, but every reader takes any visible character; encoded words are decoded by some.
  if (odd || boundary !== text || !/^[ -~]+$/.test(boundary) || /["\\]|^=\?.*\?=$/.test(boundary))
    notes.note('mime-boundary-malformed');
  if (boundary.length > BOUNDARY) notes.note('mime-boundary-long');
  if (boundary === '' || boundary.length > BOUNDARY_FOLLOWED) return undefined;
  return Buffer.from(`--${boundary}`, 'latin1');
}

function encodingOf(fields: Fields, notes: Notes): Encoding {
  const written = fields.get('content-transfer-encoding')?.[0];
  if (written === undefined) return 'identity';
  const token = written.trimEnd().toLowerCase();
  const known = ENCODINGS.get(token);
  if (known !== undefined) return known;
  // What a forgiving reader finds in it: comments, quotes, controls and blanks away, then the first word that it knows.
  const cleaned = withoutComments(decodedText(token).toLowerCase()).replace(/["\\\0-\x20]/g, '');
  const plausible = /base64|quoted-printable|x-?uu(?:encode|e)?|7bit|8bit|binary/.exec(cleaned)?.[0];
  const encoding = plausible === undefined ? 'identity' : (ENCODINGS.get(plausible) ?? 'uuencode');
  // `8bits` is nothing to decode to anybody.
  notes.note(encoding === 'identity' ? 'mime-encoding-unknown' : 'mime-encoding-malformed');
  return encoding;
}

function dispositionOf(fields: Fields, notes: Notes): ParameterValue {
  const written = fields.get('content-disposition')?.[0];
  if (written === undefined) return { token: '', parameters: [] };
  if (!written.startsWith('=?')) return parseParameters(written);
  // All of it as an encoded word: some readers decode before they parse.
  notes.note('mime-disposition-malformed');
  return parseParameters(decodedText(written));
}

/** Every name that a reader might take, the one that most would take first. */
function namesOf(fields: Fields, content: ParameterValue, disposition: ParameterValue, notes: Notes): string[] {
  const found = [...readings(disposition.parameters, 'filename'), ...readings(content.parameters, 'name')];
  noteReadings(found, notes);
  const names = new Set<string>();
  const add = (text: string): void => {
    names.add(asWritten(text));
    // A control character (but a tab) is left out, is the end, or the name starts anew behind it.
    const pieces = text.split(/[\x00-\x08\x0a-\x1f\x7f]/);
    if (pieces.length > 1) names.add(asWritten(pieces[0]!)).add(asWritten(pieces.at(-1)!));
  };
  for (const reading of found) add(reading.text);
  // What else a reader could make of it: the first word of an unquoted name, a name without comments, the raw text of an escaped one.
  for (const parameter of [...disposition.parameters, ...content.parameters]) {
    if (!/^(file)?name/.test(parameter.name) || !parameter.odd) continue;
    names.add(asWritten(decodedText(withoutComments(parameter.value))));
    names.add(asWritten(decodedText(parameter.written.split(/[\s"]/, 2).find((word) => word !== '') ?? '')));
  }
  // A second field, or names in a comment's shade.
  for (const name of ['content-disposition', 'content-type'] as const) {
    const all: Parameter[] = [];
    for (const [index, raw] of (fields.get(name) ?? []).entries()) {
      const written = raw.startsWith('=?') ? decodedText(raw) : raw;
      const { token, parameters } = parseParameters(index === 0 ? withoutComments(written) : written);
      all.push(...parameters);
      // A semicolon is missing.
      const unseparated = /name\s{0,8}=\s{0,8}"?([^"]{1,1000})/i.exec(token);
      if (unseparated !== null) add(decodedText(unseparated[1]!));
      if (index === 0 && written === raw && !written.includes('(')) continue;
      // Pieces of one name may stand in two fields.
      for (const reading of [...readings(parameters, 'filename'), ...readings(parameters, 'name')]) add(reading.text);
      for (const reading of [...readings(all, 'filename'), ...readings(all, 'name')]) add(reading.text);
    }
  }
  names.delete('');
  if (names.size > NAMES) notes.note('mime-names-many');
  return [...names].slice(0, NAMES);
}

function noteReadings(found: readonly Reading[], notes: Notes): void {
  if (found.some((reading) => !reading.regular)) notes.note('mime-parameter-continuation');
}

/** As a person would write it: no control characters, no blanks around it. */
function asWritten(name: string): string {
  return name.replace(/[\x00-\x1f\x7f]/g, '').trim();
}

/** Innermost comments first, so that nested ones go too; bounded, since each pass takes one level. */
function withoutComments(text: string): string {
  let rest = text;
  for (let level = 0; level < 8 && rest.includes('('); level++) rest = rest.replace(/\([^()]*\)/g, '');
  return rest;
}
