/** What the POP3 decoder calls odd, one line each. Live, those marked (ends) reset the connection: nothing is forwarded on a guess. */
export const POP3_EVENTS = [
  /** A command or status line longer than the limit `line` (ends). */
  'pop3-line-too-long',
  /** A command that we do not know: live it is refused by us, and a recording's answer is read by its looks. */
  'pop3-unknown-command',
  /** A SASL mechanism that we do not know, or that could seal the session; live it is refused by us. */
  'pop3-unknown-mechanism',
  /** More commands without an answer than the limit `pipelined`: the client waits. */
  'pop3-pipelined-limit',
  /** A `+OK` that answers no command (ends). An unasked `-ERR` is how a server says that it closes. */
  'pop3-unexpected-reply',
  /** A line in place of an answer that is neither `+OK` nor `-ERR` nor a challenge (ends). */
  'pop3-malformed-reply',
  /** A listing that breaks off with another answer (ends). */
  'pop3-list-cut',
  /** A line with a single dot whose line ends are not all CRLF: some readers end the message there, some do not (ends). */
  'pop3-ambiguous-end',
  /** The server's direction ended inside a message. */
  'pop3-message-cut',
  /** Bytes of the recording are missing, and the next answer had to be looked for. */
  'pop3-resync',
] as const;
export type Pop3Event = (typeof POP3_EVENTS)[number];
