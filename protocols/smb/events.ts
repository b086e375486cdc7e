/** What the SMB decoder notes as odd, by code, with the line that explains it to a person. */
import { SMB1_EVENTS } from './smb1-events.js';

export const SMB_EVENTS = {
  ...SMB1_EVENTS,
  'smb-unknown-message': 'a message that begins with no mark of SMB: it is passed over by its length',
  'smb-desync': 'bytes that are no message: the next one is looked for',
  'smb-message-limit':
    'a sealed or compressed message, or a command, larger than the limit `smbMessage`: it is not read',
  'smb-encrypted': 'sealed messages, and no credentials that open them',
  'smb-bad-seal': 'a sealed message that does not open with the keys of its session',
  'smb-bad-compression':
    'a compressed message that is damaged, lies about its size, or is larger than the limit `smbMessage`: it is not read',
  'smb1-live':
    'SMB 1 is not inspected live: newer dialects of the offer go on, and where there is none the client is told so',
  'smb2-channel-refused':
    'a further connection for a session (multichannel) is refused live: halves of files could come over each',
  'smb2-remains': 'what was made on the server for a file that is blocked could not be removed: it is empty',
  'smb2-signed':
    'messages that are signed, and no credentials: nothing is changed from here on, only held, and what is infected ends the connection',
  'smb2-signed-late': 'a message that may not be changed, behind others that had to be: the connection ends',
  'smb2-signed-refused': 'what would be refused, in a session that only its ends can sign for: the connection ends',
  'smb2-signed-upload':
    'a file that is blocked was written in a session that only its ends can sign for: the connection ends',
  'smb2-signed-download':
    'a file that is blocked was read in a session that only its ends can sign for: the connection ends',
  'smb-cut-after-write': 'a file was cut after it was written: what is left of it is not what was seen',
  'smb-zeroed-after-write': 'a part of a file was set to zeros after it was written',
  'smb2-cut': 'a message, or a command of it, ends before what it must have',
  'smb2-bad-compound': 'the next command of a compound would lie outside of the message; it is read as the last',
  'smb2-wrong-direction': 'the client sends an answer, or the server a request',
  'smb2-data-length': 'the data of a read or write does not lie within its message, or is more than was asked for',
  'smb2-write-refused': 'the server refuses a write whose bytes were taken as they came: the file is malformed',
  'smb2-unknown-handle': 'a file is written or read that nobody saw being opened',
  'smb2-unasked-answer': 'a read is answered that nobody saw being asked for',
  'smb2-other-answer': 'an answer to another command than was asked',
  'smb2-server-copy': 'the server is told to copy a file: no bytes of it are seen, and the copy is never clean',
  'smb2-handles-limit': 'more files open at once than the limit `smbHandles`; the oldest is given up',
  'smb2-requests-limit': 'more requests than the limit `smbRequests` wait for their answers; the oldest is given up',
  'smb2-unsigned': 'a message without a signature where one end had said that it takes none: somebody took it off',
  'smb2-negotiate-changed': 'what one end says of NEGOTIATE afterwards is not what was seen of it: somebody changed it',
  'smb2-bad-signature': 'a signature that does not fit: somebody changed a message, or it is of another session',
} as const;

export type SmbEvent = keyof typeof SMB_EVENTS;
