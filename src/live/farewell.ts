/**
 * What a client is told before its connection ends, when the server cannot be reached or this proxy has no room: a temporary failure in its
 * own protocol, so that mail is tried again and nobody takes silence for an answer. Only where the server would speak first, and has not.
 */
import { Buffer } from 'node:buffer';

const WORDS: Readonly<Record<string, string>> = {
  SMTP: '421 4.3.2 Service not available, try again later\r\n',
  FTP: '421 Service not available, try again later\r\n',
  POP3: '-ERR [SYS/TEMP] Service not available, try again later\r\n',
  IMAP: '* BYE [UNAVAILABLE] Service not available, try again later\r\n',
};

/** `service`: as logged without TLS (`SMTP`). Undefined: nothing can be said, the connection just ends. */
export function farewell(service: string | undefined): Buffer | undefined {
  const words = service === undefined ? undefined : WORDS[service];
  return words === undefined ? undefined : Buffer.from(words);
}
