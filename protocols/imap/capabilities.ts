/**
 * What a server offers: which literals need not wait, and what of it live clients may see. Capabilities that would carry messages past
 * inspection (COMPRESS, CATENATE, URLAUTH, CONVERT, REPLACE, …) are hidden; those that are not known are hidden too.
 */
import { mechanismKnown } from '../mail/sasl.js';

const ALLOWED = new Set(
  (
    'IMAP4 IMAP4REV1 IMAP4REV2 SASL-IR LOGIN-REFERRALS LOGINDISABLED ID ENABLE IDLE LITERAL+ LITERAL- STARTTLS NAMESPACE UIDPLUS MOVE ' +
    'CHILDREN UNSELECT LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS ' +
    'THREAD=ORDEREDSUBJECT ESEARCH ESORT SEARCHRES WITHIN CONDSTORE QRESYNC QUOTA ACL METADATA METADATA-SERVER MULTIAPPEND BINARY ' +
    'STATUS=SIZE UTF8=ACCEPT OBJECTID SAVEDATE APPENDLIMIT UNAUTHENTICATE I18NLEVEL=1 CONTEXT=SEARCH PREVIEW XLIST X-GM-EXT-1'
  ).split(' '),
);

/** A line of the server as a client may see it: of its capabilities, those that are allowed. */
export function withAllowedCapabilities(line: string): string {
  return line
    .replace(/^(\* CAPABILITY )(.*)$/i, (_all, head: string, list: string) => head + allowed(list))
    .replace(/(\[CAPABILITY )([^\][]*)\]/i, (_all, head: string, list: string) => `${head}${allowed(list)}]`);
}

function allowed(list: string): string {
  return list
    .split(' ')
    .filter((name) => {
      const upper = name.toUpperCase();
      if (upper.startsWith('AUTH=')) return mechanismKnown(name.slice(5));
      return upper.startsWith('APPENDLIMIT=') || ALLOWED.has(upper);
    })
    .join(' ');
}

/** RFC 7888: the longest literal that does not wait for the server; undefined: the line does not say. */
export function longestUnasked(line: string): number | undefined {
  const list = /(?:^\* |\[)CAPABILITY ([^\]]*)/i.exec(line)?.[1]?.toUpperCase().split(' ');
  if (list === undefined) return undefined;
  if (list.includes('LITERAL+')) return Number.POSITIVE_INFINITY;
  return list.includes('LITERAL-') || list.includes('IMAP4REV2') ? LITERAL_MINUS : 0;
}

const LITERAL_MINUS = 4096;
