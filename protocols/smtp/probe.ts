/** Is this SMTP? The server greets with 220 as an FTP server does, but says SMTP in it; the client begins with EHLO, HELO or LHLO. */
import type { Buffer } from 'node:buffer';
import { type Likeness, SERVER, type Side } from '../../src/core/flow.js';
import { LF } from '../../src/core/lines.js';

const OWN_HEADS = ['EHLO ', 'HELO ', 'LHLO ', 'MAIL FROM:', 'RCPT TO:'];
const OTHER_HEADS = ['GET ', 'POST ', 'HEAD ', 'PUT ', 'CONNECT ', 'OPTIONS ', 'SSH-', 'USER ', 'CAPA\r', 'AUTH TLS\r'];
/** Control characters that text may hold: TAB, LF, CR. Bytes above 0x7f may be the middle of an 8-bit message. */
const BINARY = /[\0-\x08\x0b\x0c\x0e-\x1f]/;
const GREETING = 'ESMTP';
const LOOKED_AT = 64;

export function probe(side: Side, head: Buffer): Likeness {
  return side === SERVER ? probeServer(head) : probeClient(head);
}

function probeServer(head: Buffer): Likeness {
  const text = head.toString('latin1');
  if (!/^[2-5]?$|^[2-5][0-5]$|^[2-5][0-5]\d([ \r\n-]|$)/.test(text.slice(0, 4))) return 'no';
  if (!text.startsWith('220')) return 'more';
  const greeting = text.toUpperCase();
  return greeting.includes(GREETING) || (greeting.includes('SMTP') && head.includes(LF)) ? 'yes' : 'more';
}

function probeClient(head: Buffer): Likeness {
  const text = head.toString('latin1', 0, LOOKED_AT);
  const upper = text.toUpperCase();
  if (OWN_HEADS.some((start) => upper.startsWith(start))) return 'yes';
  return BINARY.test(text) || OTHER_HEADS.some((start) => upper.startsWith(start)) ? 'no' : 'more';
}
