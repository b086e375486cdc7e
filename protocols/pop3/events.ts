/** What the POP3 decoder notes as odd, by code, with the line that explains it to a person. Live, (ends) resets the connection: nothing is forwarded on a guess. */
export const POP3_EVENTS = {
  'pop3-line-too-long': 'a command or the first line of an answer is longer than the limit `line` (ends)',
  'pop3-unknown-command':
    'a command that is not known: live it is refused, in a recording its answer is read by its looks',
  'pop3-unknown-mechanism': 'a SASL mechanism that is not known or could seal the session; live it is refused',
  'pop3-pipelined-limit': 'more commands than the limit `pipelined` wait for their answers; the rest wait with them',
  'pop3-unexpected-reply': 'a +OK that answers no command (ends); an unasked -ERR is how a server says that it closes',
  'pop3-malformed-reply': 'a line in place of an answer that is neither +OK nor -ERR nor a challenge (ends)',
  'pop3-list-cut': 'a listing that breaks off with another answer (ends)',
  'pop3-ambiguous-end':
    'a lone dot between line ends that are not both CRLF: some readers end the message there (ends)',
  'pop3-message-cut': 'the direction of the server ended inside a message',
  'pop3-resync': 'bytes are missing, and what the next ones are was judged by their looks',
} as const;

export type Pop3Event = keyof typeof POP3_EVENTS;
