/** Which item of a FETCH response a literal is: the words in front of it (RFC 9051 §7.5.2, RFC 3516). */

export interface Section {
  /** What is fetched: the part's number (`2.1`), with what is wanted of it (`TEXT`, `HEADER`, `MIME`), upper case; empty: the whole message. */
  readonly name: string;
  /** Where a slice begins; undefined: it is no slice. */
  readonly origin: number | undefined;
  /** The server took the transfer encoding off. */
  readonly decoded: boolean;
}

const ITEM = /(?:^|[ (])(BODY|BINARY|RFC822(?:\.HEADER|\.TEXT)?)(?:\[([^\]]*)\])?(?:<(\d{1,15})>)?$/i;

/** The item that `text`, which ends where a value begins, names; undefined when it is another one (ENVELOPE, a header list). */
export function sectionBefore(text: string): Section | undefined {
  const found = ITEM.exec(text.trimEnd());
  if (found === null) return undefined;
  return sectionOf(found[1] ?? '', found[2], found[3]);
}

/** The same of an atom: `BODY[1]<0>`. */
export function sectionOf(
  item: string,
  inBrackets: string | undefined,
  origin: string | undefined,
): Section | undefined {
  const word = item.toUpperCase();
  const at = origin === undefined ? undefined : Number(origin);
  switch (word) {
    case 'RFC822':
      return { name: '', origin: at, decoded: false };
    case 'RFC822.HEADER':
      return { name: 'HEADER', origin: at, decoded: false };
    case 'RFC822.TEXT':
      return { name: 'TEXT', origin: at, decoded: false };
    case 'BODY':
    case 'BINARY':
      // BODY without brackets is a structure.
      if (inBrackets === undefined) return undefined;
      return { name: inBrackets.trim().toUpperCase(), origin: at, decoded: word === 'BINARY' };
    default:
      return undefined;
  }
}

/** Of a FETCH command: how many bytes were asked for of each slice, by section and origin (`2<0`). */
export function slicesAsked(command: string): ReadonlyMap<string, number> {
  const slices = new Map<string, number>();
  for (const found of command.matchAll(/(?:BODY|BINARY)(?:\.PEEK)?\[([^\]]*)\]<(\d{1,15})\.(\d{1,15})>/gi))
    slices.set(sliceKey((found[1] ?? '').trim().toUpperCase(), Number(found[2])), Number(found[3]));
  return slices;
}

export function sliceKey(name: string, origin: number): string {
  return `${name}<${origin}`;
}
