/**
 * What live connections may do. Capabilities that would carry messages past inspection (COMPRESS, CATENATE, URLAUTH, CONVERT, …) are hidden and
 * refused; those that are not known are hidden too.
 */
import { mechanismKnown } from '../mail/sasl.js';

const ALLOWED = new Set(
  (
    'IMAP4 IMAP4REV1 IMAP4REV2 SASL-IR LOGIN-REFERRALS LOGINDISABLED ID ENABLE IDLE LITERAL+ LITERAL- STARTTLS NAMESPACE UIDPLUS MOVE ' +
    'CHILDREN UNSELECT LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS ' +
    'THREAD=ORDEREDSUBJECT ESEARCH ESORT SEARCHRES WITHIN CONDSTORE QRESYNC QUOTA ACL METADATA METADATA-SERVER MULTIAPPEND ' +
    'STATUS=SIZE UTF8=ACCEPT OBJECTID SAVEDATE APPENDLIMIT UNAUTHENTICATE I18NLEVEL=1 CONTEXT=SEARCH XLIST X-GM-EXT-1'
  ).split(' '),
);

/** The list as a client may see it. */
export function allowedCapabilities(list: string): string {
  return list
    .split(' ')
    .filter((name) => {
      const upper = name.toUpperCase();
      return upper.startsWith('AUTH=')
        ? mechanismKnown(name.slice(5))
        : upper.startsWith('APPENDLIMIT=') || ALLOWED.has(upper);
    })
    .join(' ');
}

/** A line of the server as a client may see it: of its capabilities, those. */
export function withAllowedCapabilities(line: string): string {
  return line
    .replace(/^(\* CAPABILITY )(.*)$/i, (_all, head: string, list: string) => head + allowedCapabilities(list))
    .replace(
      /(\[CAPABILITY )([^\]]*)\]/i,
      (_all, head: string, list: string) => `${head}${allowedCapabilities(list)}]`,
    );
}

const COMMANDS = new Set(
  (
    'CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN ENABLE SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB XLIST ' +
    'NAMESPACE STATUS APPEND IDLE CLOSE UNSELECT EXPUNGE SEARCH FETCH STORE COPY MOVE UID CHECK ID SORT THREAD GETQUOTA GETQUOTAROOT ' +
    'SETQUOTA GETACL SETACL DELETEACL LISTRIGHTS MYRIGHTS GETMETADATA SETMETADATA UNAUTHENTICATE'
  ).split(' '),
);

/** Why a live command does not reach the server; undefined when it may. */
export function refusalOf(verb: string, rest: string): string | undefined {
  if (!COMMANDS.has(verb)) return 'BAD Command not supported';
  if (verb === 'AUTHENTICATE' && !mechanismKnown(rest.split(' ', 1)[0] ?? '')) return 'NO Mechanism not supported';
  if (verb === 'APPEND' && /\bCATENATE\b/i.test(rest)) return 'NO Messages are not put together here';
  return undefined;
}
