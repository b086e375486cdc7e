/** What the IMAP decoder notes as odd, by code, with the line that explains it to a person. */
export const IMAP_EVENTS = {
  'imap-line-too-long': 'a line is longer than the limit `line`; live the connection ends',
  'imap-response-too-long':
    'a response without its large literals is longer than the limit `responseText`: the rest of it is not read',
  'imap-bad-literal':
    'a literal whose size is no number of bytes, or one with leading zeros that readers may take differently',
  'imap-malformed-command': 'a line of the client is no command',
  'imap-malformed-response': 'a line of the server is no response',
  'imap-unexpected-response': 'a tagged response to no command that is under way',
  'imap-unknown-mechanism': 'AUTHENTICATE with a mechanism that may seal the session; live it is refused',
  'imap-command-refused':
    'a command that live connections are not allowed, because what follows it could not be judged',
  'imap-unasked-body': 'the server sent the content of a message although no FETCH is under way',
  'imap-pipelined-limit': 'more commands wait for their responses than the limit `pipelined`',
  'imap-unknown-encoding':
    'a part of a message whose encoding nobody told: it is read as it comes, and as base64 where it looks like that',
  'imap-slice': 'live: a slice of a message or part, which cannot be judged alone',
  'imap-messages-limit': 'more messages than the limit `mailboxMessages` are known of: of others slices are not joined',
} as const;

export type ImapEvent = keyof typeof IMAP_EVENTS;
