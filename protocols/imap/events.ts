/** What the IMAP decoder notes as odd, by code, with the line that explains it to a person. Live, (ends) resets the connection: nothing is forwarded on a guess. */
export const IMAP_EVENTS = {
  'imap-line-too-long': 'a line is longer than the limit `line` (ends)',
  'imap-text-too-long':
    'a response or command without its content is longer than the limit `responseText`, or holds a literal that is: what is too much is not read',
  'imap-literal-size': 'a literal whose size readers take differently: negative, over 32 bits, leading zeros (ends)',
  'imap-literal-not-offered': 'a literal that does not wait for the server, which has not offered that (ends)',
  'imap-literal-in-text': 'a line of free text that ends in what looks like the mark of a literal (ends)',
  'imap-malformed-command': 'a line of the client is no command, or ends within quotes; live it is refused',
  'imap-malformed-response': 'a line of the server is no response (ends)',
  'imap-unexpected-response': 'a tagged response to no command that is under way (ends)',
  'imap-unexpected-continuation': 'a continuation request that nobody waits for',
  'imap-command-refused':
    'live: a command that is not known, or whose effects could not be judged; the server never hears of it',
  'imap-unasked-content': 'the server sent the content of a message although no FETCH is under way',
  'imap-unknown-literal': 'a literal in a response that is not known: it is inspected as a file',
  'imap-unknown-encoding': 'content of which nobody told what it is: it is read as what it looks like, and never clean',
  'imap-encodings-differ': 'the MIME header of a part and BODYSTRUCTURE name different transfer encodings',
  'imap-quoted-content': 'live: content in quotes that cannot be held or taken out by itself (ends)',
  'imap-message-in-text':
    'a header that goes on behind an empty line, or another text with one: it is inspected as a message',
  'imap-slice': 'live: a slice of a message or part, which cannot be judged alone and is replaced',
  'imap-mailbox-limit':
    'more messages, or more of them, than the limits `mailboxMessages`, `mailboxText`, `openSlices` and `holes` allow: the oldest is given up',
  'imap-pipelined-limit': 'more commands wait for their responses than the limit `pipelined`',
  'imap-preauth': 'the server says that the client is signed in already: a session that never can be encrypted',
  'imap-referral': 'the server sends the client to another one',
  'imap-resync': 'bytes are missing, and what the next ones are was judged by their looks',
  'imap-content-cut': 'the direction of a peer ended inside content',
} as const;

export type ImapEvent = keyof typeof IMAP_EVENTS;
