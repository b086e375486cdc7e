/** What the FTP decoder notes as odd, by code, with the line that explains it to a person. */
export const FTP_EVENTS = {
  'ftp-line-too-long': 'a command or reply line is longer than the limit `line`; live the connection ends',
  'ftp-malformed-command': 'a line of the client is no command',
  'ftp-unknown-command': 'a command that this decoder does not know; live it is refused',
  'ftp-command-refused': 'a command that live connections are not allowed, because what follows it could not be judged',
  'ftp-out-of-order': 'a way for data before the login, or a second transfer for the same; live it is refused',
  'ftp-malformed-reply': 'a line of the server is no reply',
  'ftp-unexpected-reply': 'a reply that no command asked for',
  'ftp-reply-unended': 'a reply of many lines has no last line within the limit `replyLines`',
  'ftp-pipelined-limit': 'more commands wait for their replies than the limit `pipelined`',
  'ftp-bad-address': 'a place for a data connection that could be read in two ways, or in none',
  'ftp-data-unasked': 'bytes on a data connection for which no transfer was asked',
  'ftp-data-wrong-way': 'bytes on a data connection from the end that receives',
  'ftp-data-unended':
    'live: the server says that a transfer is over, and its data connection never came or does not end',
  'ftp-bad-block': 'a block of MODE B that is none',
  'ftp-http': 'the first words of the client are those of another protocol: somebody makes a browser speak FTP',
} as const;

export type FtpEvent = keyof typeof FTP_EVENTS;
