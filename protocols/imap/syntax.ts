/**
 * The data of IMAP responses (RFC 9051 §4, §9): atoms, strings, lists, NIL. Literals lie outside of lines: whoever reads the lines puts a
 * small one in as a quoted string, and a mark in place of one that went to a file.
 */

/** A list, a string, an atom (with its brackets: `BODY[HEADER.FIELDS (TO)]<0>`), NIL, or the mark of a literal that is not here. */
export type Datum =
  | { readonly kind: 'list'; readonly items: readonly Datum[] }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'atom'; readonly text: string }
  | { readonly kind: 'nil' }
  | { readonly kind: 'literal' };

/** What stands for a literal whose bytes went elsewhere. A line never holds a NUL. */
export const LITERAL_MARK = '\0';

const DEEPEST = 100;

/** Latin-1 text as a quoted string. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replaceAll('\0', '')}"`;
}

/** Everything from `at` on that is data, until the text ends or something is not. Linear, never throws. */
export function parseData(text: string, at = 0): readonly Datum[] {
  const stack: Datum[][] = [[]];
  let position = at;
  while (position < text.length) {
    const top = stack.at(-1)!;
    const char = text[position]!;
    if (char === ' ') position++;
    else if (char === '(') {
      if (stack.length > DEEPEST) break;
      stack.push([]);
      position++;
    } else if (char === ')') {
      if (stack.length === 1) break;
      stack.pop();
      stack.at(-1)!.push({ kind: 'list', items: top });
      position++;
    } else if (char === LITERAL_MARK) {
      top.push({ kind: 'literal' });
      position++;
    } else if (char === '"') {
      const end = quotedEnd(text, position);
      if (end < 0) break;
      top.push({ kind: 'string', text: text.slice(position + 1, end - 1).replace(/\\(["\\])/g, '$1') });
      position = end;
    } else {
      const end = atomEnd(text, position);
      const atom = text.slice(position, end);
      top.push(atom.toUpperCase() === 'NIL' ? { kind: 'nil' } : { kind: 'atom', text: atom });
      position = end;
    }
  }
  // What was not closed is a list all the same.
  while (stack.length > 1) {
    const items = stack.pop()!;
    stack.at(-1)!.push({ kind: 'list', items });
  }
  return stack[0]!;
}

/** How many lists are open behind `text`, when `open` were before it. Brackets and quotes hide what is in them; those of `BODY[…]` may hold a list. */
export function listsOpen(text: string, open: number): number {
  let depth = open;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x22) {
      const end = quotedEnd(text, at);
      if (end < 0) break;
      at = end - 1;
    } else if (char === 0x28) depth++;
    else if (char === 0x29 && depth > 0) depth--;
  }
  return depth;
}

/** Does `text` end within a quoted string? */
export function quoteOpen(text: string): boolean {
  let at = text.indexOf('"');
  while (at >= 0) {
    const end = quotedEnd(text, at);
    if (end < 0) return true;
    at = text.indexOf('"', end);
  }
  return false;
}

/** One past the closing quote, or -1. */
function quotedEnd(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  return -1;
}

/** An atom goes on to a space or bracket; of BODY[…], what is in brackets belongs to it. */
function atomEnd(text: string, at: number): number {
  let bracketed = false;
  let i = at;
  for (; i < text.length; i++) {
    const char = text[i]!;
    if (char === '[') bracketed = true;
    else if (char === ']') bracketed = false;
    else if (char === LITERAL_MARK) break;
    else if (!bracketed && (char === ' ' || char === '(' || char === ')' || char === '"')) break;
  }
  return Math.max(i, at + 1);
}

/** The text of a string or atom; undefined for all else. */
export function textOf(datum: Datum | undefined): string | undefined {
  return datum?.kind === 'string' || datum?.kind === 'atom' ? datum.text : undefined;
}

export function itemsOf(datum: Datum | undefined): readonly Datum[] {
  return datum?.kind === 'list' ? datum.items : [];
}
