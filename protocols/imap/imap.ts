/**
 * IMAP (RFC 9051, RFC 3501) with LITERAL+ and LITERAL-, BINARY, MULTIAPPEND, CATENATE, IDLE, COMPRESS and STARTTLS: messages and parts that are
 * fetched, whole or in slices, and messages that are stored become files. README.md says what is held when, and what is deliberately not done.
 */

import type { Protocol } from '../../src/core/flow.js';
import { KiB } from '../../src/core/limits.js';
import { probe } from './probe.js';
import { ImapSession } from './session.js';

export const imap: Protocol = {
  name: 'imap',
  service: 'IMAP',
  ports: [143],
  tlsPorts: [993],
  // One line.
  maxUntaken: ({ line }) => line + KiB,
  probe,
  decoders: () => (flow) => new ImapSession(flow),
};
