/** Which of a profile's protocols a session falls under, and what that protocol lets policy do. */
import type { SessionInfo } from '../core/session.js';
import type { ProtocolKey } from './profiles.js';

const KEYS: Readonly<Record<string, ProtocolKey>> = {
  SMTP: 'smtp',
  POP3: 'pop3',
  IMAP: 'imap',
  FTP: 'ftp',
  SMB: 'cifs',
  CIFS: 'cifs',
  HTTP: 'http',
  MAPI: 'mapi',
  NNTP: 'nntp',
  SSH: 'ssh',
};

/** `undefined` where no protocol carried the file (one scanned by itself). */
export function protocolKey(session: Pick<SessionInfo, 'service'>): ProtocolKey | undefined {
  if (session.service === undefined) return undefined;
  return KEYS[session.service] ?? KEYS[session.service.replace(/S$/, '')];
}

/** Protocols that carry messages. */
export function isMail(key: ProtocolKey | undefined): boolean {
  return key === 'smtp' || key === 'pop3' || key === 'imap' || key === 'mapi' || key === 'nntp';
}
