/**
 * POP3 commands (RFC 1939 §5-§7, 2449 §5, 2595 §4, 5034 §4, 6856) and the login names in them. Names only: what carries a password is
 * looked at for the name beside it and never kept.
 */
import { saslLogin } from '../mail/sasl.js';

/** What may answer a command, when the answer is `+OK`. */
export const ANSWERS = ['line', 'list', 'capabilities', 'message', 'top', 'sasl', 'tls', 'unknown'] as const;
export type Answer = (typeof ANSWERS)[number];

export interface Command {
  readonly answer: Answer;
  /** USER and APOP, or AUTH's initial response: who signs in. */
  readonly login: string | undefined;
  /** AUTH's mechanism, in upper case. */
  readonly mechanism: string | undefined;
}

/** The answer to a command without arguments, and with. */
const ANSWERS_TO = new Map<string, readonly [bare: Answer, withArgument: Answer]>([
  ['USER', ['line', 'line']],
  ['PASS', ['line', 'line']],
  ['APOP', ['line', 'line']],
  ['STAT', ['line', 'line']],
  ['DELE', ['line', 'line']],
  ['NOOP', ['line', 'line']],
  ['RSET', ['line', 'line']],
  ['QUIT', ['line', 'line']],
  ['UTF8', ['line', 'line']],
  // RFC 1460 had it, and some clients still ask.
  ['LAST', ['line', 'line']],
  ['LIST', ['list', 'line']],
  ['UIDL', ['list', 'line']],
  ['LANG', ['list', 'line']],
  ['CAPA', ['capabilities', 'capabilities']],
  ['RETR', ['message', 'message']],
  ['TOP', ['top', 'top']],
  ['STLS', ['tls', 'line']],
  // Without a mechanism it lists them, as servers older than RFC 5034 do.
  ['AUTH', ['list', 'sasl']],
]);

/** Reads a command line without its line end. */
export function parseCommand(line: string): Command {
  const space = line.indexOf(' ');
  const verb = (space < 0 ? line : line.slice(0, space)).toUpperCase();
  const rest = space < 0 ? '' : line.slice(space + 1);
  const answers = ANSWERS_TO.get(verb);
  if (answers === undefined) return { answer: 'unknown', login: undefined, mechanism: undefined };
  const answer = rest.trim() === '' ? answers[0] : answers[1];
  if (answer === 'sasl') {
    const [mechanism = '', initial] = rest.trim().split(/ +/, 2);
    const named = mechanism.toUpperCase();
    return { answer, mechanism: named, login: initial === undefined ? undefined : saslLogin(named, initial) };
  }
  const login = verb === 'USER' ? rest : verb === 'APOP' ? rest.split(' ', 1)[0] : undefined;
  return { answer, login: login === '' ? undefined : login, mechanism: undefined };
}
