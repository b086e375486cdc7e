/**
 * The words of FortiOS's CLI syntax: bare, in double quotes (`\"` and `\\` are escapes, a line end may stand inside), in single quotes
 * (nothing is an escape), or glued together from those. A line whose first character is `#` is a comment: exported configurations
 * begin with some. Positions count from 1, columns in characters.
 */
import type { Position } from './position.js';
import type { Problems } from './problems.js';

export interface Word extends Position {
  readonly text: string;
  /** Any part of it was quoted: it is a value, never a keyword. */
  readonly quoted: boolean;
  /** Nothing stands before it on its line. */
  readonly first: boolean;
}

/** A configuration of more characters than this is refused: the largest exported ones have some ten million. */
export const CONFIG_CHARACTERS = 64 * 1024 * 1024;

export function readWords(text: string, problems: Problems): Word[] {
  const words: Word[] = [];
  // A byte order mark is no word.
  let at = text.startsWith('\ufeff') ? 1 : 0;
  let line = 1;
  let lineStart = at;
  let first = true;
  while (at < text.length) {
    const character = text[at];
    if (character === '\n') {
      line++;
      lineStart = ++at;
      first = true;
    } else if (isBlank(character)) at++;
    else if (character === '#' && first) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else {
      const start = { line, column: at - lineStart + 1 };
      let value = '';
      let quoted = false;
      while (at < text.length && text[at] !== '\n' && !isBlank(text[at])) {
        const quote = text[at];
        if (quote === '"' || (quote === "'" && value === '' && !quoted)) {
          const close = closingQuote(text, at);
          if (close < 0) {
            problems.error({ line, column: at - lineStart + 1 }, 'this quote is never closed');
            at = text.length;
            break;
          }
          const inside = text.slice(at + 1, close);
          value += quote === '"' ? unescaped(inside) : inside;
          quoted = true;
          const lastLine = inside.lastIndexOf('\n');
          if (lastLine >= 0) {
            line += inside.split('\n').length - 1;
            lineStart = at + 1 + lastLine + 1;
          }
          at = close + 1;
          continue;
        }
        if (quote === '\\' && at + 1 < text.length && text[at + 1] !== '\n' && text[at + 1] !== '\r') at++;
        value += text[at++];
      }
      words.push({ text: value, quoted, first, ...start });
      first = false;
    }
  }
  return words;
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\f' || character === '\v';
}

/** Index of the quote that closes the one at `open`; -1 without one. */
function closingQuote(text: string, open: number): number {
  const quote = text[open] ?? '';
  if (quote === "'") return text.indexOf(quote, open + 1);
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === quote) return at;
  }
  return -1;
}

/** FortiOS escapes the quote and the backslash; before anything else a backslash stays one. CRLF becomes LF. */
function unescaped(inside: string): string {
  return inside.replace(/\\(["\\'])|\r\n/g, (all, escaped: string | undefined) =>
    all === '\r\n' ? '\n' : (escaped ?? ''),
  );
}
