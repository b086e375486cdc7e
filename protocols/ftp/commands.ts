/** A line of an FTP client as a command (RFC 959 §4.1, §5.3), without the Telnet signals that clients put in front of ABOR (RFC 959 §4.1.3). */
import { Buffer } from 'node:buffer';

export interface Command {
  /** Upper case. Empty when the line is none. */
  readonly verb: string;
  readonly argument: string;
  /** The argument as it came, without Telnet signals. A copy. */
  readonly bytes: Buffer;
}

const IAC = 0xff;
/** WILL, WONT, DO, DONT: followed by an option. */
const WILL = 0xfb;
const DONT = 0xfe;

/** The line is `chunk[start, end)` without its line end. */
export function parseCommand(chunk: Buffer, start: number, end: number): Command {
  const line = withoutTelnet(chunk.subarray(start, end));
  const text = decodeText(line);
  const match = /^(\s*([A-Za-z]{3,5}))(?: (.*))?$/s.exec(text);
  if (match === null) return { verb: '', argument: text, bytes: NOTHING };
  const [, front = '', verb = '', argument = ''] = match;
  // What stands in front is a byte a character, or none of it would be a verb's.
  const at = Buffer.byteLength(front) + 1;
  return { verb: verb.toUpperCase(), argument, bytes: Buffer.from(line.subarray(at)) };
}

const NOTHING = Buffer.alloc(0);

/** A line that says `verb` of what `bytes` name: IAC is doubled again. */
export function commandLine(verb: string, bytes: Buffer): Buffer {
  const escaped = bytes.includes(IAC)
    ? Buffer.from([...bytes].flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte])))
    : bytes;
  return Buffer.concat([Buffer.from(`${verb} `), escaped, CRLF]);
}

const CRLF = Buffer.from('\r\n');

/** UTF-8 where it is (RFC 2640), else Latin-1. */
export function decodeText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? bytes.toString('latin1') : text;
}

/** Signals out of the line; a doubled IAC is a byte of a name (RFC 854). */
function withoutTelnet(line: Buffer): Buffer {
  if (!line.includes(IAC)) return line;
  const kept: number[] = [];
  for (let at = 0; at < line.length; at++) {
    const byte = line[at] ?? 0;
    if (byte !== IAC) {
      kept.push(byte);
      continue;
    }
    const signal = line[++at];
    if (signal === IAC) kept.push(IAC);
    else if (signal !== undefined && signal >= WILL && signal <= DONT) at++;
  }
  return Buffer.from(kept);
}

/** What a command that opens a data connection does with it. */
export type TransferKind = 'download' | 'upload' | 'listing';

const TRANSFERS: Readonly<Record<string, TransferKind>> = {
  RETR: 'download',
  STOR: 'upload',
  STOU: 'upload',
  APPE: 'upload',
  LIST: 'listing',
  NLST: 'listing',
  MLSD: 'listing',
};

export function transferKind(verb: string): TransferKind | undefined {
  return Object.hasOwn(TRANSFERS, verb) ? TRANSFERS[verb] : undefined;
}

/** Commands of RFC 959, 1639, 2228, 2389, 2428, 2640, 3659, 4217, 7151 and what servers have always known beside. */
const KNOWN = new Set(
  (
    'USER PASS ACCT CWD CDUP SMNT QUIT REIN PORT PASV TYPE STRU MODE RETR STOR STOU APPE ALLO REST RNFR RNTO ABOR DELE RMD MKD PWD LIST NLST ' +
    'SITE SYST STAT HELP NOOP LPRT LPSV AUTH ADAT PBSZ PROT CCC MIC CONF ENC FEAT OPTS EPRT EPSV LANG MDTM SIZE MLST MLSD HOST CLNT ' +
    'XCWD XCUP XMKD XRMD XPWD XCRC XMD5 XSHA MFMT MFCT MFF AVBL COMB CSID'
  ).split(' '),
);

export function isKnown(verb: string): boolean {
  return KNOWN.has(verb);
}

/** Is `argument` one of those that servers have behind SITE and that make no content? Copies, links and programs are others. */
export function makesNothing(argument: string): boolean {
  return /^(?:HELP|CHMOD|CHGRP|UMASK|UTIME|IDLE|MKDIR|RMDIR|ZONE|WHO|INDEX|GROUP|GPASS|QUOTA)\b/i.test(argument);
}

/** Features that are no commands. */
const FEATURES = new Set(['UTF8', 'TVFS']);

/**
 * Live: may a client see this line of the answer to FEAT (RFC 2389 §3.2)? Only what is known here, and what would not be refused. Lines that
 * name no feature are the answer's frame.
 */
export function mayOffer(line: string): boolean {
  if (!line.startsWith(' ')) return true;
  const [word = '', ...rest] = line.trim().toUpperCase().split(/[ ;]/);
  if (FEATURES.has(word)) return true;
  if (word === 'SITE') return makesNothing(rest[0] ?? '');
  return isKnown(word) && !NEVER.has(word) && (word !== 'MODE' || rest[0] === 'S');
}

/** Refused whatever their argument is. */
const NEVER = new Set(['REST', 'APPE', 'CCC', 'ADAT', 'MIC', 'CONF', 'ENC']);
