/** All protocols, in the order in which they are asked whether a connection is theirs. */
import type { Protocol } from '../src/core/flow.js';
import { ftp } from './ftp/ftp.js';
import { imap } from './imap/imap.js';
import { pop3 } from './pop3/pop3.js';
import { smb } from './smb/smb.js';
import { smtp } from './smtp/smtp.js';

export const PROTOCOLS: readonly Protocol[] = [smtp, pop3, imap, ftp, smb];
