/** What a zip file is to the file filter: an Office document, a Hangul document, or just a zip; and whether a member is locked. */
import type { Content } from '../../core/file.js';
import { directoriesOf, type End, findEnd, readEntry, readLocal } from '../archive/zip-records.js';

/** Entries that are looked at: an Office document names its kind in the first few. */
const ENTRIES = 2_000;
const OFFICE = /^(word|xl|ppt|visio)\//;

export interface Zip {
  readonly type: 'zip' | 'msofficex' | 'hwp';
  readonly encrypted: boolean;
}

/** `head` is the first bytes. Undefined when no reader would open it as a zip. `inside`: the head is of a container that holds files. */
export function readZip(content: Content, head: Buffer, inside: boolean): Zip | undefined {
  const signature = head.length >= 4 ? head.readUInt32LE(0) : 0;
  const first = signature === 0x04034b50 || signature === 0x06054b50;
  const spanned =
    (signature === 0x08074b50 || signature === 0x30304b50) && head.length >= 8 && head.readUInt32LE(4) === 0x04034b50;
  const end = findEnd(content);
  if (!first && !spanned && (end === undefined || !opens(content, end, inside))) return undefined;
  const names = new Set<string>();
  let encrypted = false;
  let at = end === undefined ? -1 : (directoriesOf(content, end)[0]?.at ?? -1);
  if (at < 0) {
    // Cut short: the first header is all there is to go by.
    const local = first ? readLocal(content, 0) : undefined;
    if (local !== undefined) {
      names.add(local.name);
      encrypted = local.encrypted;
    }
  }
  for (let count = 0; at >= 0 && count < ENTRIES; count++) {
    const entry = readEntry(content, at);
    if (entry === undefined) break;
    names.add(entry.name);
    encrypted ||= entry.encrypted;
    at += entry.length;
  }
  let type: Zip['type'] = 'zip';
  if (names.has('[Content_Types].xml') && [...names].some((name) => OFFICE.test(name))) type = 'msofficex';
  else if (names.has('mimetype') && head.includes('application/hwp+zip', 0, 'latin1')) type = 'hwp';
  return { type, encrypted };
}

/**
 * Something stands before the zip (a self-extractor, a picture). An archive that merely holds a zip ends so too: there only an end record
 * at the very end counts, and one that is followed by something (a code signature) only where the file is no container.
 */
function opens(content: Content, end: End, inside: boolean): boolean {
  const atEnd = end.at + 22 + end.commentLength === content.length;
  if ((inside && !atEnd) || end.count === 0) return false;
  const place = directoriesOf(content, end)[0];
  if (place === undefined) return false;
  let at = place.at;
  for (let count = 0; count < ENTRIES; count++) {
    const entry = readEntry(content, at);
    if (entry === undefined) return false;
    if (atEnd || readLocal(content, entry.offset + place.base) !== undefined) return true;
    at += entry.length;
  }
  return false;
}
