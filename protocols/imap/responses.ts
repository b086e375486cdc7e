/** What a line of the server is by its first words (RFC 9051 §7), and which of them may hold literals. */
import { isHeader, sectionAround } from './sections.js';

/** UIDFETCH (RFC 9586) names messages by UID: they have no numbers then. */
export const FETCH = /^\* (\d{1,10}) (?:UID)?FETCH \(/i;
export const NUMBERED = /^\* (\d{1,10}) (FETCH|UIDFETCH|EXPUNGE)\b/i;
export const UNTAGGED = /^\* (?:\d{1,10} [A-Z]|[A-Z][A-Z0-9-]*(?: |$))/i;
export const TAGGED = /^([^\s(){%*"\\+\x00-\x1f\x7f-\xff]{1,255}) (OK|NO|BAD)(?: |$)/i;
export const CONTINUATION = /^\+(?: |$)/;
/** Their text is for people: no literals in it. */
export const FREE_TEXT = /^\* (?:OK|NO|BAD|BYE|PREAUTH)\b/i;
/** Their literals are names and values. */
export const TEXTS =
  /^\* (?:LIST|LSUB|XLIST|STATUS|E?SEARCH|SORT|THREAD|NAMESPACE|QUOTA|QUOTAROOT|ACL|LISTRIGHTS|MYRIGHTS|METADATA|ANNOTATION|ID|FLAGS|LANGUAGE|COMPARATOR|GENURLAUTH)\b/i;
/** Items of FETCH whose values are short texts. */
export const TEXT_ITEMS = /(?:^|[ (])(?:PREVIEW|SNIPPET|INTERNALDATE|SAVEDATE|EMAILID|THREADID|X-GM-[A-Z-]+)$/i;

/**
 * Is there content in quotes anywhere in a response, also where no grammar has it? Names and texts that only look like it are in quotes
 * themselves. Linear: nothing makes it look twice at the same stretch.
 */
export function contentInQuotes(text: string): boolean {
  for (const found of text.matchAll(QUOTED)) {
    if (found[1] === '') continue;
    const section = sectionAround(text.slice(Math.max(0, found.index - LOOK_BACK), found.index));
    if (section !== undefined && !isHeader(section)) return true;
  }
  return false;
}

/** A string that nobody closed ends with the line. */
const QUOTED = /"((?:\\.?|[^"\\])*)"?/gs;
/** The name of a section that is content is shorter. */
const LOOK_BACK = 200;

/** Does the text of an OK say that compression begins? No standard says how. */
export function saysCompressed(text: string): boolean {
  return /\b(?:compress|deflate)/i.test(text.replace(/\[[^\][]*\]/, ''));
}

/** Does it send the client to another server (RFC 2221)? */
export function refers(text: string): boolean {
  return /\[REFERRAL /i.test(text.slice(0, 300));
}

/** UIDs that VANISHED (RFC 7162 §3.2.10) tells, as ranges; not those that were gone before (EARLIER). */
export function vanished(text: string): (readonly [from: number, to: number])[] | undefined {
  const set = /^\* VANISHED ([\d:,]+)$/i.exec(text)?.[1];
  return set?.split(',').flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split(':', 2).map(Number);
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) return [];
    return [[Math.min(from, to), Math.max(from, to)] as const];
  });
}
