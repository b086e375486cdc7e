/** A FETCH command of a client, as far as live connections change it: whose messages, which sections, which slices of them (RFC 9051 §6.4.5). */
import { isHeader, type Section } from './sections.js';

/** A slice that is asked for. */
export interface Slice {
  readonly section: Section;
  readonly origin: number;
  readonly count: number;
  /** Where `<origin.count>` stands in the command. */
  readonly start: number;
  readonly end: number;
}

export interface FetchCommand {
  readonly byUid: boolean;
  /** As it was written. */
  readonly set: string;
  /** The only message that it names: its number or UID. */
  readonly single: number | undefined;
  /** Content that is asked for: no headers. */
  readonly sections: readonly Section[];
  readonly slices: readonly Slice[];
}

const FETCH = /^[^ ]+ (UID )?FETCH ([^ ]+) /i;
// A bracket ends the search for the end of another: who writes nothing but brackets does not make it look at all of them again and again.
const ITEM = /(BODY|BINARY|RFC822(?:\.TEXT)?)(?:\.PEEK)?(?:\[([^\][]*)\])?(?:(<)(\d{1,15})\.(\d{1,15})>)?/gi;

/** Undefined: it is no FETCH. `text` is the whole command. */
export function fetchCommand(text: string): FetchCommand | undefined {
  const found = FETCH.exec(text);
  if (found === null) return undefined;
  const set = found[2] ?? '';
  const sections: Section[] = [];
  const slices: Slice[] = [];
  ITEM.lastIndex = found[0].length;
  for (let item = ITEM.exec(text); item !== null; item = ITEM.exec(text)) {
    const section = sectionAsked(item);
    if (section === undefined) continue;
    if (!isHeader(section)) sections.push(section);
    if (item[3] === undefined) continue;
    const end = item.index + item[0].length;
    const start = text.lastIndexOf('<', end);
    slices.push({ section, origin: Number(item[4]), count: Number(item[5]), start, end });
  }
  const single = /^\d{1,10}$/.test(set) ? Number(set) : undefined;
  return { byUid: found[1] !== undefined, set, single, sections, slices };
}

function sectionAsked([, word = '', brackets]: RegExpExecArray): Section | undefined {
  const item = word.toUpperCase();
  if (item === 'RFC822') return { name: '', origin: undefined, decoded: false };
  if (item === 'RFC822.TEXT') return { name: 'TEXT', origin: undefined, decoded: false };
  if (brackets === undefined) return undefined;
  return { name: brackets.trim().toUpperCase(), origin: undefined, decoded: item === 'BINARY' };
}
