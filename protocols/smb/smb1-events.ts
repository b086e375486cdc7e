/** What is noted as odd of SMB 1, by code, with the line that explains it to a person. The frame's own are added to these. */
export const SMB1_EVENTS = {
  'smb1-cut': 'a message, or a command of it, ends before what it must have',
  'smb1-wrong-direction': 'the client sends an answer, or the server a request that is no oplock break',
  'smb1-downgrade': 'the client offers SMB 2 and the server takes SMB 1: it is old, or somebody changed the offer',
  'smb1-bad-signature': 'a signature that does not fit: somebody changed a message, took one away or put one in',
  'smb1-andx-offset':
    'a chained command would lie before its predecessor ends, in its data or beyond the message; it and what follows are not read',
  'smb1-andx-limit': 'more commands in a message than the limit `smb1Chain`; the rest are not read',
  'smb1-data-length':
    'the lengths of a read or write disagree, or its data does not lie within its message: the file is malformed',
  'smb1-write-refused': 'the server refuses a write whose bytes were taken as they came: the file is malformed',
  'smb1-unknown-command':
    'a command that is not known, or that no server has had for long; it is passed over by its length',
  'smb1-unknown-fid': 'a file is written or read that nobody saw being opened',
  'smb1-unasked-answer': 'an open or a read is answered that nobody saw being asked for',
  'smb1-other-answer': 'an answer to another command than was asked',
  'smb1-mid-in-use': 'a request with the MID of one that is under way',
  'smb1-path-limit': 'a path or share name of more bytes than the limit `smb1Path`; its beginning is kept',
  'smb1-opens-limit': 'more files open at once than the limit `smb1Opens`; the oldest is given up',
  'smb1-requests-limit': 'more requests than the limit `smb1Requests` wait for their answers; the oldest is given up',
  'smb1-transactions-limit':
    'more bytes of unfinished transactions than the limit `smb1Transactions`; the newest is not read',
  'smb1-transaction-part': 'a part of a transaction that does not fit into it, or lies beyond its message',
  'smb1-server-copy': 'the server is told to copy a file: no bytes of it are seen',
} as const;

export type Smb1Event = keyof typeof SMB1_EVENTS;
