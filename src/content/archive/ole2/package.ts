/**
 * What the object packager wraps a file in when it is put into a document ([MS-OLEDS] names it `Package`; the layout is written down nowhere):
 * a label, the path it had, the path it is to get, its length, its bytes, and the three texts again as UTF-16.
 */
import type { ChildMeta, Content } from '../../../core/file.js';
import { decodeName } from '../names.js';

/** A text in it that is longer is none. */
const TEXT = 4096;
const STREAM_HEADER = 2;
const EMBEDDED = 3;

export interface Package {
  readonly meta: ChildMeta;
  readonly start: number;
  /** May lie beyond the end of what is there. */
  readonly end: number;
}

/** `at`: where it begins; in a stream `\1Ole10Native` behind the length of the whole. Undefined when it is no package of a file. */
export function readPackage(content: Content, at: number): Package | undefined {
  const head = content.read(at, 2);
  if (head.length < 2 || head.readUInt16LE(0) !== STREAM_HEADER) return undefined;
  const label = readText(content, at + 2);
  const path = label === undefined ? undefined : readText(content, label.end);
  if (label === undefined || path === undefined) return undefined;
  const fixed = content.read(path.end, 8);
  if (fixed.length < 8 || fixed.readUInt16LE(2) !== EMBEDDED) return undefined;
  const sizeAt = path.end + 8 + fixed.readUInt32LE(4);
  const size = content.read(sizeAt, 4);
  if (size.length < 4) return undefined;
  const start = sizeAt + 4;
  const end = start + size.readUInt32LE(0);
  const names = [label.text, lastPart(path.text), ...wideTexts(content, end).map(lastPart)];
  const [name, ...others] = [...new Set(names.filter((one) => one !== ''))];
  return { meta: { name, ...(others.length > 0 ? { otherNames: others } : {}) }, start, end };
}

function readText(content: Content, at: number): { readonly text: string; readonly end: number } | undefined {
  const bytes = content.read(at, TEXT);
  const zero = bytes.indexOf(0);
  return zero < 0 ? undefined : { text: decodeName(bytes.subarray(0, zero)), end: at + zero + 1 };
}

/** Each behind the number of its characters. Old packagers have none. */
function wideTexts(content: Content, from: number): string[] {
  const texts: string[] = [];
  for (let at = from; texts.length < 3; ) {
    const head = content.read(at, 4);
    const length = head.length < 4 ? 0 : head.readUInt32LE(0) * 2;
    const bytes = length === 0 || length > TEXT ? undefined : content.read(at + 4, length);
    if (bytes === undefined || bytes.length < length) break;
    texts.push(bytes.toString('utf16le'));
    at += 4 + length;
  }
  return texts;
}

function lastPart(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1);
}
