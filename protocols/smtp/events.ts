/** What the SMTP decoder notes as odd, by code, with the line that explains it to a person. */
export const SMTP_EVENTS = {
  'smtp-smuggling':
    'a lone dot between line ends that are not both CRLF: two readers may end the message in two places',
  'smtp-line-too-long': 'a command line is longer than the limit `line`; it was skipped up to its end',
  'smtp-bare-lf-command': 'a command line ends in LF without CR',
  'smtp-control-in-command': 'a command line has a control character (a NUL, a CR in its middle)',
  'smtp-space-before-command': 'white space stands before the verb of a command',
  'smtp-credentials-malformed': 'a line of an AUTH exchange is not base64; live it is cancelled',
  'smtp-command-unknown': 'a command outside those of RFC 5321 and the extensions that are followed',
  'smtp-bdat-malformed': 'the size or the end of a BDAT command cannot be read in one way',
  'smtp-bdat-data-mixed': 'DATA in a transaction that was begun with BDAT (RFC 3030 section 2)',
  'smtp-bdat-misplaced':
    'live: BDAT outside a transaction, or the server does not offer it; its octets are swallowed, and refused',
  'smtp-starttls-misplaced': 'STARTTLS inside TLS, inside a transaction, or with an argument',
  'smtp-too-many-recipients': 'a message has more recipients than the limit `recipients`; the rest is not shown',
  'smtp-too-many-pipelined': 'more commands than the limit `pipelined` wait for their replies',
  'smtp-reply-too-long': 'a reply is longer than the limit `line`',
  'smtp-reply-malformed': 'a line of the server does not begin with a reply code',
  'smtp-reply-unexpected': 'a reply that no command asked for, or that its command cannot have',
  'smtp-reply-missing': 'the reply that says what the next bytes are was not seen; they were judged by their look',
} as const;

export type SmtpEvent = keyof typeof SMTP_EVENTS;
