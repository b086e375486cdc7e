/** Is this POP3? `+OK` opens every connection, and `+` is what other protocols say too: only a whole mark is sure. */
import type { Buffer } from 'node:buffer';
import { type Likeness, SERVER, type Side } from '../../src/core/flow.js';
import { LF } from '../../src/core/lines.js';
import { statusAt } from './replies.js';

export function probe(side: Side, head: Buffer): Likeness {
  if (side === SERVER) {
    const status = statusAt(head, 0);
    if (status === 'ok')
      return head.length < 4 ? 'more' : head[3] === 0x20 || head[3] === 0x0d || head[3] === LF ? 'yes' : 'no';
    return status === 'err' || status === 'partial' ? 'more' : 'no';
  }
  const text = head.toString('latin1', 0, 80);
  // Verbs that no other protocol has.
  if (/^(APOP \S|CAPA\r?\n|STLS\r?\n|UIDL[ \r\n]|RETR \d+\r?\n|TOP \d+ \d)/i.test(text)) return 'yes';
  return /^[A-Za-z]{3,4}([ \r\n]|$)|^[A-Za-z]{1,3}$/.test(text) ? 'more' : 'no';
}
