/** The headers of a message that logs show: addresses without names and brackets, the subject decoded (RFC 5322 §3.4, §3.6). */
import type { MailHeaders } from '../../core/file.js';
import type { FieldName, Fields } from './header-block.js';
import { decodedText } from './header-words.js';

export function mailHeaders(fields: Fields): MailHeaders {
  const subject = fields.get('subject')?.[0];
  return {
    from: addresses(fields, 'from'),
    to: addresses(fields, 'to'),
    cc: addresses(fields, 'cc'),
    subject: subject === undefined ? undefined : decodedText(subject),
  };
}

function addresses(fields: Fields, name: FieldName): string | undefined {
  const values = fields.get(name);
  if (values === undefined) return undefined;
  return values.flatMap(addressesOf).join(', ');
}

/**
 * The addresses of one field. Names may be quoted and hold commas, comments may stand anywhere, and a group has a name before a colon and
 * a semicolon behind.
 */
export function addressesOf(value: string): string[] {
  const found: string[] = [];
  let text = '';
  let bracketed: string | undefined;
  let comments = 0;
  let quoted = false;
  let inBrackets = false;
  const settle = (): void => {
    const address = decodedText((bracketed ?? text).trim());
    if (address !== '') found.push(address);
    text = '';
    bracketed = undefined;
    inBrackets = false;
  };
  for (let at = 0; at < value.length; at++) {
    const c = value[at]!;
    if (c === '\\' && (quoted || comments > 0)) {
      if (comments === 0) text += value[at + 1] ?? '';
      at++;
    } else if (c === '"' && comments === 0) {
      quoted = !quoted;
      // A quoted local part keeps its quotes, and a name goes when the brackets come.
      if (inBrackets) bracketed += c;
      else text += c;
    } else if (quoted) {
      if (inBrackets) bracketed += c;
      else text += c;
    } else if (c === '(') comments++;
    else if (c === ')' && comments > 0) comments--;
    else if (comments > 0) continue;
    else if (c === '<') {
      inBrackets = true;
      bracketed = '';
    } else if (c === '>') inBrackets = false;
    else if (inBrackets) bracketed += c;
    else if (c === ',' || c === ';') settle();
    else if (c === ':' && bracketed === undefined) text = '';
    else text += c;
  }
  settle();
  return found;
}
