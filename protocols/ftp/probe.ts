/** Is this FTP? Its server greets with 220 as an SMTP server does, so that only its own words, or the client's, are sure. */
import type { Buffer } from 'node:buffer';
import { type Likeness, SERVER, type Side } from '../../src/core/flow.js';

/** Verbs and answers that no other protocol has. */
const OWN_COMMANDS =
  /^(?:SYST|FEAT|PASV|EPSV(?: \S+)?|PORT [\d,]+|EPRT \S+|PBSZ \d+|PROT [CSEP]|TYPE [AIEL].*|AUTH (?:TLS|SSL)|CWD .+|PWD|MLSD.*|OPTS UTF8.*|SIZE .+|STOR .+)\r?$/im;
const OWN_REPLIES = /^(?:331[ -]|227 .*\d,|229 .*\|\|\||215 |234 AUTH|257 ")/m;
const LINE = /^[A-Za-z]{3,4}(?: |\r|\n|$)|^[A-Za-z]{1,4}$/;

export function probe(side: Side, head: Buffer): Likeness {
  const text = head.toString('latin1');
  if (side === SERVER) {
    if (!/^[1-6]?$|^[1-6]\d$|^[1-6]\d\d(?:[ \r\n-]|$)/.test(text.slice(0, 4))) return 'no';
    return /^220[ -][^\n]*FTP/i.test(text) || OWN_REPLIES.test(text) ? 'yes' : 'more';
  }
  if (OWN_COMMANDS.test(text)) return 'yes';
  // Telnet signals in front of a command.
  return LINE.test(text) || head[0] === 0xff ? 'more' : 'no';
}
