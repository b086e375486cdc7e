/**
 * The lines of SMTP: commands (RFC 5321 section 4.1, RFC 3030, RFC 3207, RFC 4954, RFC 2033) and replies (section 4.2).
 * Reads leniently what servers read leniently; what it cannot read in one way it says so. Keeps no credentials: of AUTH only the verb is looked at.
 */
import type { Buffer } from 'node:buffer';
import { CR, INCOMPLETE, LF, lineEnd, TOO_LONG } from '../../src/core/lines.js';

export const VERBS = [
  'HELO',
  'EHLO',
  'LHLO',
  'MAIL',
  'RCPT',
  'DATA',
  'BDAT',
  'RSET',
  'NOOP',
  'QUIT',
  'VRFY',
  'EXPN',
  'HELP',
  'AUTH',
  'STARTTLS',
] as const;
export type Verb = (typeof VERBS)[number];

const SPACE = 0x20;
const TAB = 0x09;
const DASH = 0x2d;
const STAR = 0x2a;
const PLUS = 0x2b;
const COLON = 0x3a;
const EQUALS = 0x3d;
const LONGEST_VERB = 'STARTTLS'.length;
/** RFC 5321 section 4.5.3.1.3 allows 256; what is longer is shown cut. */
const LONGEST_PATH = 512;

/** The first byte of the line [at, end) that is not white space. */
export function verbStart(chunk: Buffer, at: number, end: number): number {
  let start = at;
  while (start < end && (chunk[start] === SPACE || chunk[start] === TAB)) start++;
  return start;
}

/** The verb of the line's text [at, end), in any letter case; undefined for one that is not known. */
export function verbAt(chunk: Buffer, at: number, end: number): Verb | undefined {
  let stop = at;
  while (stop < end && stop - at <= LONGEST_VERB && chunk[stop] !== SPACE && chunk[stop] !== TAB) stop++;
  const word = chunk.toString('latin1', at, stop).toUpperCase();
  return VERBS.find((verb) => verb === word);
}

/** Does the line's text hold a byte that no command may hold (RFC 5321 section 4.1.2; bytes above 0x7f are SMTPUTF8's)? */
export function hasControl(chunk: Buffer, at: number, end: number): boolean {
  for (let i = at; i < end; i++) {
    const byte = chunk[i] as number;
    if ((byte < SPACE && byte !== TAB) || byte === 0x7f) return true;
  }
  return false;
}

/** Is the line's text what an AUTH exchange may hold (RFC 4954 section 4): base64, or `*`? */
export function isCredentials(chunk: Buffer, at: number, end: number): boolean {
  if (end - at === 1 && chunk[at] === STAR) return true;
  for (let i = at; i < end; i++) {
    const byte = chunk[i] as number;
    const letter = byte | 0x20;
    const base64 =
      (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x2f && byte <= 0x39) || byte === PLUS || byte === EQUALS;
    if (!base64) return false;
  }
  return true;
}

/** The path of a MAIL or RCPT line without its angle brackets, raw otherwise; undefined when there is none. `<>` gives ''. */
export function pathOf(line: string): string | undefined {
  const colon = line.indexOf(':');
  if (colon < 0) return undefined;
  const text = line.slice(colon + 1).trimStart();
  if (!text.startsWith('<')) return text === '' ? undefined : kept((text.split(' ', 1)[0] as string).replace(/>$/, ''));
  let quoted = false;
  for (let i = 1; i < text.length; i++) {
    const c = text[i];
    // A quoted local part may hold '>' and, behind a backslash, '"'.
    if (quoted && c === '\\') i++;
    else if (c === '"') quoted = !quoted;
    else if (c === '>' && !quoted) return kept(text.slice(1, i));
  }
  return kept(text.slice(1));
}

function kept(path: string): string {
  return path.length > LONGEST_PATH ? path.slice(0, LONGEST_PATH) : path;
}

export interface ChunkSize {
  readonly size: number;
  readonly last: boolean;
  /** Every reader takes it so: no leading zeros, nothing that overflows 31 bits. */
  readonly plain: boolean;
}

/** What a BDAT line announces (RFC 3030 section 2); undefined when its grammar is broken. */
export function chunkSizeOf(line: string): ChunkSize | undefined {
  const match = /^\s*BDAT[ \t]+(\d+)(?:[ \t]+(LAST))?[ \t]*$/i.exec(line);
  if (match === null) return undefined;
  const digits = match[1] as string;
  const size = Number(digits);
  if (!Number.isSafeInteger(size)) return undefined;
  return { size, last: match[2] !== undefined, plain: size < 2 ** 31 && (digits === '0' || !digits.startsWith('0')) };
}

/** Longer numbers are not computed with. */
const LONGEST_SIZE = 64;
const LIKELY = /^\s*BDAT[ \t]+\+?(\d+)(?![\dx])/i;

/**
 * What most of the servers that accept a BDAT line with a broken size take it for: a sign and what follows the digits are skipped, and
 * only the low 32 bits count. No octets where nothing can be told (`-1`, `0x10`, 2^31).
 */
export function likelyChunkSize(line: string): ChunkSize {
  const digits = LIKELY.exec(line)?.[1] ?? '';
  const size = digits.length > LONGEST_SIZE ? 0 : Number(BigInt.asUintN(32, BigInt(digits)));
  return { size: size < 2 ** 31 ? size : 0, last: /\sLAST\b/i.test(line), plain: false };
}

/** Where the text of the line that begins at `at` stops: at its first CR or LF. */
export function textStop(chunk: Buffer, at: number): number {
  let stop = at;
  while (stop < chunk.length && chunk[stop] !== CR && chunk[stop] !== LF) stop++;
  return stop;
}

/** Behind the DATA that a bare CR ends, alone or after other commands that end so; undefined: the line that begins at `at` has none. */
export function behindBareData(chunk: Buffer, at: number, end: number): number | undefined {
  for (let line = at; ; ) {
    const stop = textStop(chunk, line);
    if (stop + 1 >= end || chunk[stop] !== CR || chunk[stop + 1] === LF) return undefined;
    const verb = verbAt(chunk, line, stop);
    if (verb === 'DATA') return stop + 1;
    if (verb === undefined) return undefined;
    line = stop + 1;
  }
}

/** Does the line [at, end) begin as a header field does (RFC 5322 section 2.2)? */
export function isFieldLike(chunk: Buffer, at: number, end: number): boolean {
  let i = at;
  while (i < end && (chunk[i] as number) > SPACE && (chunk[i] as number) < 0x7f && chunk[i] !== COLON) i++;
  return i > at && chunk[i] === COLON;
}

/** Beginnings that tell a command from a line of a message. Each could not begin a header field. */
const COMMAND_HEADS = [
  'MAIL FROM:',
  'RCPT TO:',
  'EHLO ',
  'HELO ',
  'LHLO ',
  'RSET\r',
  'QUIT\r',
  'DATA\r',
  'NOOP\r',
  'BDAT ',
  'AUTH ',
  'STARTTLS\r',
];
const LONGEST_HEAD = 'MAIL FROM:'.length;

/** Do the bytes from `at` look like a command rather than like message text? `more` when they end too soon. */
export function commandLikeness(chunk: Buffer, at: number): 'yes' | 'no' | 'more' {
  const text = chunk.toString('latin1', at, at + LONGEST_HEAD).toUpperCase();
  let more = false;
  for (const head of COMMAND_HEADS) {
    if (text.startsWith(head)) return 'yes';
    if (text.length < head.length && head.startsWith(text)) more = true;
  }
  return more ? 'more' : 'no';
}

/** Finds where replies end. Remembers how far it has looked, so that a long reply in small pieces is read once. */
export class ReplyReader {
  /** Bytes from the start of the reply that are whole lines, none of them the last. */
  #seen = 0;

  /**
   * One past the last line of the reply that starts at `at`: the first line whose code is not followed by '-'. INCOMPLETE or TOO_LONG as
   * `lineEnd`, of the whole reply; after INCOMPLETE the same reply is asked for again. A first line without a code is a reply by itself.
   */
  end(chunk: Buffer, at: number, limit: number): number {
    let line = at + this.#seen;
    for (;;) {
      const end = lineEnd(chunk, line, limit - (line - at));
      if (end === INCOMPLETE) {
        this.#seen = line - at;
        return end;
      }
      const code = end === TOO_LONG ? 0 : replyCode(chunk, line, end);
      // A line without a code inside a reply belongs to it: some servers write so.
      if (end === TOO_LONG || (code === 0 ? line === at : chunk[line + 3] !== DASH)) {
        this.#seen = 0;
        return end;
      }
      line = end;
    }
  }

  /** What was left of a reply is gone. */
  restart(): void {
    this.#seen = 0;
  }
}

/** The code of the reply line [at, end); 0 when it has none. */
export function replyCode(chunk: Buffer, at: number, end: number): number {
  if (end - at < 4) return 0;
  const a = (chunk[at] as number) - 0x30;
  const b = (chunk[at + 1] as number) - 0x30;
  const c = (chunk[at + 2] as number) - 0x30;
  const after = chunk[at + 3];
  if (a < 2 || a > 5 || b < 0 || b > 9 || c < 0 || c > 9) return 0;
  if (after !== SPACE && after !== DASH && after !== CR && after !== LF) return 0;
  return a * 100 + b * 10 + c;
}

/** Where the last line of the reply [at, end) starts. */
export function lastLine(chunk: Buffer, at: number, end: number): number {
  return Math.max(at, chunk.lastIndexOf(LF, end - 2) + 1);
}
