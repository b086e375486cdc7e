/** Which item of a FETCH response a value is: the words in front of it (RFC 9051 §7.5.2, RFC 3516). */

export interface Section {
  /** What is fetched: the part's number (`2.1`), with what is wanted of it (`TEXT`, `HEADER`, `MIME`), upper case; empty: the whole message. */
  readonly name: string;
  /** Where a slice begins; undefined: it is no slice. */
  readonly origin: number | undefined;
  /** The server took the transfer encoding off. */
  readonly decoded: boolean;
}

const ITEM = /(?:^|[ (])(BODY|BINARY|RFC822(?:\.HEADER|\.TEXT)?)(?:\[([^\]]*)\])?(?:<(\d{1,15})>)?$/i;
const ATOM = /^(BODY|BINARY|RFC822(?:\.HEADER|\.TEXT)?)(?:\[([^\]]*)\])?(?:<(\d{1,15})>)?$/i;

/** The item that `text`, which ends where a value begins, names; undefined when it is another one (ENVELOPE, a header list). */
export function sectionBefore(text: string): Section | undefined {
  return sectionFound(ITEM.exec(text.trimEnd()));
}

/** The same where lists may have been opened in between, as no grammar has it. */
export function sectionAround(text: string): Section | undefined {
  let end = text.length;
  while (end > 0 && (text[end - 1] === '(' || text[end - 1] === ' ')) end--;
  return sectionBefore(text.slice(0, end));
}

/** The same of an item's name: `BODY[1]<0>`. */
export function sectionOf(item: string): Section | undefined {
  return sectionFound(ATOM.exec(item));
}

function sectionFound(found: RegExpExecArray | null): Section | undefined {
  if (found === null) return undefined;
  const [, item = '', brackets, at] = found;
  const origin = at === undefined ? undefined : Number(at);
  switch (item.toUpperCase()) {
    case 'RFC822':
      return { name: '', origin, decoded: false };
    case 'RFC822.HEADER':
      return { name: 'HEADER', origin, decoded: false };
    case 'RFC822.TEXT':
      return { name: 'TEXT', origin, decoded: false };
    default:
      // BODY without brackets is a structure.
      if (brackets === undefined) return undefined;
      return { name: brackets.trim().toUpperCase(), origin, decoded: item.toUpperCase() === 'BINARY' };
  }
}

/** A header is read, and is no file: the message that it belongs to is, when it comes. */
export function isHeader({ name }: Section): boolean {
  return /(?:^|\.)(?:HEADER(?:\.FIELDS.*)?|MIME)$/s.test(name);
}

/** Does the text of a header go on behind an empty line, as any reader may take one? */
export function hasBody(text: string): boolean {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  EMPTY_LINE.lastIndex = 0;
  return EMPTY_LINE.test(text) && EMPTY_LINE.lastIndex < end;
}

const EMPTY_LINE = /(?:^|\r?\n|\r(?!\n))[ \t\0]*(?:\r?\n|\r(?!\n))/g;

function isBlank(char: number): boolean {
  return char <= 0x20;
}

/** What bytes of a message belong together: those of BODY[2] and those of BINARY[2] are others. */
export function sectionKey({ name, decoded }: Section): string {
  return decoded ? `~${name}` : name;
}

/** The section of a key, as a whole. */
export function sectionOfKey(key: string): Section {
  const decoded = key.startsWith('~');
  return { name: decoded ? key.slice(1) : key, origin: undefined, decoded };
}

/** How many bytes a FETCH command asks for of each slice, by `sliceKey`. */
export function slicesAsked(command: string): ReadonlyMap<string, number> {
  const slices = new Map<string, number>();
  for (const found of command.matchAll(/(?:BODY|BINARY)(?:\.PEEK)?\[([^\][]*)\]<(\d{1,15})\.(\d{1,15})>/gi))
    slices.set(sliceKey((found[1] ?? '').trim().toUpperCase(), Number(found[2])), Number(found[3]));
  return slices;
}

export function sliceKey(name: string, origin: number): string {
  return `${name}<${origin}`;
}
