/**
 * Live: commands that the server never hears of, because what follows them could not be judged: a file in pieces (REST, APPE), in a form that is
 * not read here (MODE B and Z, STRU R, TYPE E), a copy that the server makes (SITE), sealed by other means than TLS, or a command that nobody knows.
 */
import { parseExtended, parseHostPort, parseLong } from './addresses.js';
import { type Command, isKnown, makesNothing } from './commands.js';

/** What the client is told instead; undefined when the command may pass. */
export function refusalOf({ verb, argument }: Command): string | undefined {
  switch (verb) {
    case '':
      return '500 Syntax error';
    case 'REST':
      return argument === '0' ? undefined : '502 Transfers are not resumed here';
    case 'APPE':
      return '502 Files are not appended to here';
    case 'MODE':
      return /^S$/i.test(argument) ? undefined : '504 Only stream mode';
    case 'STRU':
      return /^F$/i.test(argument) ? undefined : '504 Only file structure';
    case 'TYPE':
      return /^(?:A(?: N)?|I|L 8)$/i.test(argument) ? undefined : '504 Only types A and I';
    case 'AUTH':
      return /^(?:TLS|SSL|TLS-C|TLS-P)$/i.test(argument) ? undefined : '504 Only TLS';
    case 'CCC':
      return '533 The control connection stays protected';
    case 'SITE':
      return makesNothing(argument) ? undefined : '502 Not allowed here';
    case 'ADAT':
    case 'MIC':
    case 'CONF':
    case 'ENC':
      return '533 Only TLS';
    case 'PORT':
      return parseHostPort(argument) === undefined ? '501 No such address' : undefined;
    case 'EPRT':
      return parseExtended(argument) === undefined ? '501 No such address' : undefined;
    case 'LPRT':
      return parseLong(argument) === undefined ? '501 No such address' : undefined;
    default:
      return isKnown(verb) ? undefined : '500 Command not understood';
  }
}
