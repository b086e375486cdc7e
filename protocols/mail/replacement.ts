/** What stands in place of a message whose length was announced before it was judged (POP3, IMAP). */
import { Buffer } from 'node:buffer';

const HEADER = 'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: Message blocked\r\n\r\n';
/** Padding lines, within what RFC 5322 §2.1.1 recommends. */
const PADDING = Buffer.from(`${' '.repeat(76)}\r\n`);

/** A message of exactly `length` bytes that says `text`: padded with blank lines, or as much of it as there is room for. */
export function messageOfLength(text: string, length: number): Buffer {
  const lines = text.replace(/\r?\n/g, '\r\n');
  const long = Buffer.from(`${HEADER}${lines}\r\n`);
  const short = Buffer.from(`\r\n${lines}`);
  const said = long.length <= length - 2 ? long : short;
  const message = Buffer.alloc(length, PADDING);
  said.copy(message, 0, 0, Math.min(said.length, Math.max(0, length - 2)));
  message.write('\r\n', Math.max(0, length - 2), 'latin1');
  return message;
}
