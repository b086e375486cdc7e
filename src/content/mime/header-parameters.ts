/**
 * A field value with parameters (RFC 2045 §5.1, RFC 2183, RFC 2231), taken apart as loosely as readers do it: every parameter in the
 * order and the writing that it has, so that whoever asks can see what is odd about it. Decodes nothing but quotes and RFC 2231.
 */
import { decodedCharset, decodedText } from './header-words.js';

export interface Parameter {
  /** Lower case, without blanks. With its `*`s (RFC 2231). */
  readonly name: string;
  /** Without quotes. */
  readonly value: string;
  /** With everything but the blanks around it. */
  readonly written: string;
  /** Blanks around `=`, a quote without its end or within, comments: readers may take it differently. */
  readonly odd: boolean;
}

export interface ParameterValue {
  /** What stands before the first semicolon, without blanks around it. */
  readonly token: string;
  readonly parameters: readonly Parameter[];
}

export function parseParameters(value: string): ParameterValue {
  const segments = segmentsOf(value);
  const parameters: Parameter[] = [];
  for (const segment of segments.slice(1)) {
    const equals = segment.indexOf('=');
    if (equals < 0) continue;
    const name = segment.slice(0, equals).trim().toLowerCase();
    const written = segment.slice(equals + 1).trim();
    const [text, clean] = unquoted(written);
    const spaced = /[ \t]$/.test(segment.slice(0, equals)) || /^[ \t]/.test(segment.slice(equals + 1));
    parameters.push({
      name: name.replace(/[\s()]/g, ''),
      value: text,
      written,
      odd: !clean || spaced || /[\s()"]/.test(name),
    });
  }
  return { token: (segments[0] ?? '').trim(), parameters };
}

/** One reading of a parameter, and whether its continuations were whole. */
export interface Reading {
  readonly text: string;
  readonly regular: boolean;
}

/** Every reading of the parameter `name`: RFC 2231's first, then each plain one as it comes. */
export function readings(parameters: readonly Parameter[], name: string): Reading[] {
  const found: Reading[] = [];
  const extended = parameters.filter((parameter) => parameter.name.startsWith(`${name}*`));
  const whole = extended.filter((parameter) => parameter.name === `${name}*`);
  for (const parameter of whole)
    found.push({ text: decodedPieces([{ text: parameter.value, encoded: true }]), regular: true });
  const numbered = extended.flatMap((parameter) => {
    const number = /^\*(\d{1,4})(\*?)$/.exec(parameter.name.slice(name.length));
    if (number === null) return [];
    return [{ at: Number(number[1]), text: parameter.value, encoded: number[2] === '*' }];
  });
  if (numbered.length > 0) {
    numbered.sort((a, b) => a.at - b.at);
    found.push({ text: decodedPieces(numbered), regular: numbered.every((piece, index) => piece.at === index) });
  }
  for (const parameter of parameters)
    if (parameter.name === name) found.push({ text: decodedText(parameter.value), regular: true });
  return found;
}

/** Split at semicolons outside quotes. */
function segmentsOf(value: string): string[] {
  const segments: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const c = value.charCodeAt(at);
    if (c === 0x5c && quoted) at++;
    else if (c === 0x22) quoted = !quoted;
    else if (c === 0x3b && !quoted) {
      segments.push(value.slice(start, at));
      start = at + 1;
    }
  }
  segments.push(value.slice(start));
  return segments;
}

/** Without quotes, and whether there was nothing odd about them. A backslash before anything but `"` and `\` is one of a Windows path. */
function unquoted(written: string): [string, boolean] {
  if (!written.startsWith('"')) return [written, !/["\\()\s]/.test(written)];
  let text = '';
  for (let at = 1; at < written.length; at++) {
    const c = written[at]!;
    if (c === '"') return [text + written.slice(at + 1), at === written.length - 1 && !written.includes('\\')];
    if (c === '\\' && (written[at + 1] === '"' || written[at + 1] === '\\')) text += written[++at]!;
    else text += c;
  }
  return [text, false];
}

/** RFC 2231 §4.1: the charset stands before the first piece; only pieces marked with `*` have percent escapes. */
function decodedPieces(pieces: readonly { readonly text: string; readonly encoded: boolean }[]): string {
  let charset: string | undefined;
  let bytes = '';
  for (const [index, piece] of pieces.entries()) {
    let text = piece.text;
    const prefix = index === 0 && piece.encoded ? /^([^']*)'[^']*'/.exec(text) : null;
    if (prefix !== null) {
      charset = prefix[1];
      text = text.slice(prefix[0].length);
    }
    bytes += piece.encoded
      ? text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      : text;
  }
  return charset === undefined ? decodedText(bytes) : decodedCharset(charset, bytes);
}
