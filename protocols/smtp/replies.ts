/** What we say ourselves: to the client in place of the server, and to the server to hand on or undo a transaction. Live flows only. */
import { Buffer } from 'node:buffer';

export const CRLF = Buffer.from('\r\n');
export const GO_AHEAD = Buffer.from('354 End data with <CR><LF>.<CR><LF>\r\n');
export const LINE_TOO_LONG = Buffer.from('500 5.5.2 Line too long\r\n');
export const BAD_CHARACTER = Buffer.from('500 5.5.2 Control character in command\r\n');
export const NOT_IMPLEMENTED = Buffer.from('502 5.5.1 Command not implemented\r\n');
export const BAD_ARGUMENT = Buffer.from('501 5.5.4 Bad argument\r\n');
export const OUT_OF_SEQUENCE = Buffer.from('503 5.5.1 Bad sequence of commands\r\n');
export const NO_RECIPIENTS = Buffer.from('554 5.5.1 No valid recipients\r\n');
export const BARE_LINE_END = Buffer.from('521 5.5.2 Lone dot between bare line ends refused, closing connection\r\n');
export const NOT_DELIVERED = Buffer.from('451 4.3.0 Not delivered, try again later\r\n');
export const SERVER_GONE = Buffer.from('421 4.3.2 Server closed the connection\r\n');

export const DATA_COMMAND = Buffer.from('DATA\r\n');
/** Ends an AUTH exchange (RFC 4954 section 4). */
export const CANCEL = Buffer.from('*\r\n');
export const RSET_COMMAND = Buffer.from('RSET\r\n');

/** RFC 5321 section 4.5.3.1.5: 512 with the line end. */
const LONGEST_REPLY = 512;

/** `250`: a chunk of `size` octets was taken (RFC 3030 section 4.2). */
export function chunkTaken(size: number): Buffer {
  return Buffer.from(`250 2.0.0 ${size} octets received\r\n`);
}

/** The one BDAT that hands on a message of `size` bytes. */
export function lastChunk(size: number): Buffer {
  return Buffer.from(`BDAT ${size} LAST\r\n`);
}

/**
 * `554 5.7.1`: the message is refused; `451 4.7.1`: it may be accepted later. The text names a file as its sender named it, so nothing of it
 * may end the line.
 */
export function refusal(text: string, temporary = false): Buffer {
  const line = `${temporary ? '451 4.7.1' : '554 5.7.1'} ${text.replace(/[^\x20-\x7e]+/g, ' ').trim()}`;
  return Buffer.from(`${line.slice(0, LONGEST_REPLY - 2)}\r\n`);
}
