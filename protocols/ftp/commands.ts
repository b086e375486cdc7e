/** A line of an FTP client as a command (RFC 959 §4.1, §5.3), without the Telnet signals that clients put in front of ABOR (RFC 959 §4.1.3). */
import { Buffer } from 'node:buffer';

export interface Command {
  /** Upper case. Empty when the line is none. */
  readonly verb: string;
  readonly argument: string;
}

const IAC = 0xff;
/** WILL, WONT, DO, DONT: followed by an option. */
const WILL = 0xfb;
const DONT = 0xfe;

/** The line is `chunk[start, end)` without its line end. */
export function parseCommand(chunk: Buffer, start: number, end: number): Command {
  const text = decodeText(withoutTelnet(chunk.subarray(start, end)));
  const match = /^\s*([A-Za-z]{3,5})(?: (.*))?$/s.exec(text);
  if (match === null) return { verb: '', argument: text };
  return { verb: (match[1] ?? '').toUpperCase(), argument: match[2] ?? '' };
}

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
