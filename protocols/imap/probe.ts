/** Is this IMAP? Its greeting is untagged; a client's line begins with a tag of its own choice and a verb that only IMAP has. */
import type { Buffer } from 'node:buffer';
import { type Likeness, SERVER, type Side } from '../../src/core/flow.js';

const GREETING = /^\* (?:OK|PREAUTH|BYE)[ \r\n]/i;
const GREETING_BEGUN = /^\*?$|^\* (?:[OPB][A-Z]*)?$/i;
const RESPONSE =
  /^(?:\* (?:\d+ (?:FETCH|EXISTS|RECENT|EXPUNGE)|FLAGS|CAPABILITY|LIST|LSUB|SEARCH|STATUS)|[^\s*+]{1,32} (?:OK|NO|BAD) )/i;
const COMMAND =
  /^[^\s(){%*"\\+]{1,64} (?:CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|SELECT|EXAMINE|UID (?:FETCH|SEARCH|STORE|COPY|MOVE)|FETCH|APPEND|LSUB|NAMESPACE|IDLE|ENABLE|COMPRESS|LOGOUT|ID)(?:[ \r\n]|$)/i;
const TAG = /^[^\s(){%*"\\+]{0,64}(?: [A-Za-z]*)?$/;

export function probe(side: Side, head: Buffer): Likeness {
  const text = head.toString('latin1', 0, 512);
  if (side === SERVER) {
    if (GREETING.test(text) || RESPONSE.test(text)) return 'yes';
    return GREETING_BEGUN.test(text) ? 'more' : 'no';
  }
  if (COMMAND.test(text)) return 'yes';
  return TAG.test(text) && text.length < 80 ? 'more' : 'no';
}
