/**
 * SMTP (RFC 5321) and LMTP (RFC 2033) with PIPELINING, 8BITMIME, SMTPUTF8, SIZE, CHUNKING, BINARYMIME, AUTH, DSN and STARTTLS: every
 * message becomes a file, without its stuffed dots.
 *
 * A recording is followed: the client waits at each command whose answer says what its next bytes are (DATA, AUTH, STARTTLS, an unknown
 * one). Live, the server hears of DATA and BDAT only after the verdict: until then we answer for it, so a refused message leaves nothing
 * behind but a RSET, and the session goes on. README.md tells what is held and when, and what is deliberately not done.
 */
import type { Protocol } from '../../src/core/flow.js';
import { LiveSmtp } from './live.js';
import { probe } from './probe.js';
import { RecordedSmtp } from './recording.js';

export const smtp: Protocol = {
  name: 'smtp',
  service: 'SMTP',
  ports: [25, 587, 2525],
  tlsPorts: [465],
  maxUntaken: ({ line, probe }) => line + probe,
  probe,
  decoders: () => (flow) => (flow.passive ? new RecordedSmtp(flow) : new LiveSmtp(flow)),
};
