/** Command lines (RFC 9051 §6): tag, verb and arguments, the names in them, and which of them live connections may not send. */
import { mechanismKnown } from '../mail/sasl.js';
import { parseData, textOf } from './syntax.js';

export interface Command {
  /** Empty: the line is no command. */
  readonly tag: string;
  /** Upper case. */
  readonly verb: string;
  /** Behind the verb. */
  readonly rest: string;
}

/** Tags are atoms without `+` (RFC 9051 §9); the longest in use have some ten characters. */
const COMMAND = /^([^\s(){%*"\\+\x00-\x1f\x7f-\xff]{1,255}) ([A-Za-z][A-Za-z0-9-]{0,31})(?: (.*))?$/s;
const NONE: Command = { tag: '', verb: '', rest: '' };

/** Reads a command, or the beginning of one. */
export function parseCommand(text: string): Command {
  const found = COMMAND.exec(text.trimEnd());
  return found === null ? NONE : { tag: found[1] ?? '', verb: (found[2] ?? '').toUpperCase(), rest: found[3] ?? '' };
}

/** The name that LOGIN's arguments begin with: with its quotes when it was a quoted string, the bare name when it came as a literal. */
export function loginName(rest: string, literal: boolean): string | undefined {
  const quotedName = literal ? null : /^"(?:\\.|[^"\\])*"/s.exec(rest);
  return quotedName?.[0] ?? textOf(parseData(rest.slice(0, 4096))[0]);
}

/** The mailbox that is named first, as a reader compares it: INBOX has no case. */
export function mailboxName(rest: string): string {
  const name = textOf(parseData(rest.slice(0, 4096))[0]) ?? '';
  return /^inbox$/i.test(name) ? 'INBOX' : name;
}

const COMMANDS = new Set(
  (
    'CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN ENABLE SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB XLIST ' +
    'NAMESPACE STATUS APPEND IDLE CLOSE UNSELECT EXPUNGE SEARCH FETCH STORE COPY MOVE UID CHECK ID SORT THREAD GETQUOTA GETQUOTAROOT ' +
    'SETQUOTA GETACL SETACL DELETEACL LISTRIGHTS MYRIGHTS GETMETADATA SETMETADATA UNAUTHENTICATE'
  ).split(' '),
);
const BY_UID = /^(?:FETCH|SEARCH|STORE|COPY|MOVE|EXPUNGE|SORT|THREAD)\b/i;

/** Commands that live connections may not send, but others do. */
const OTHERS = new Set(
  'REPLACE COMPRESS NOTIFY GENURLAUTH URLFETCH RESETKEY CONVERT CONVERSIONS LANGUAGE COMPARATOR'.split(' '),
);

/** Is it a command that anybody knows? To tell commands from the lines of a message. */
export function isCommand({ tag, verb }: Command): boolean {
  return tag !== '' && (COMMANDS.has(verb) || OTHERS.has(verb));
}

/** Slices that cannot be judged: of headers, or two of the same section. */
export const UNCUT = 'NO [CANNOT] Messages and parts are fetched as a whole here';
export const UNKNOWN_COMMAND = 'BAD Command not supported';

/** Why a live command does not reach the server, as the response's status and text; undefined when it may. */
export function refusalOf({ tag, verb, rest }: Command): string | undefined {
  // Known, and asked for by clients that take no notice of what is offered: they go on without it.
  if (tag !== '' && verb === 'COMPRESS') return 'NO Compression is not supported here';
  if (tag === '' || !COMMANDS.has(verb) || (verb === 'UID' && !BY_UID.test(rest))) return UNKNOWN_COMMAND;
  if (verb === 'AUTHENTICATE' && !mechanismKnown(rest.split(' ', 1)[0] ?? '')) return 'NO Mechanism not supported';
  if (verb === 'APPEND' && /\bCATENATE\b/i.test(rest)) return 'NO Messages are not put together here';
  return undefined;
}
