/**
 * Whole mail sessions made to order, as the two ends would write them: what a client and a server say to each other while mails are sent
 * (SMTP, RFC 5321) or fetched (POP3, RFC 1939; IMAP, RFC 9051), with MIME messages (RFC 2045) whose attachments are base64. For tests and
 * for the benchmark's captures; `play` puts a session into packets. Only well-formed sessions come out: trouble is made by the caller.
 */
import { Buffer } from 'node:buffer';
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import type { Conversation } from './packets.js';

export interface Attachment {
  readonly name: string;
  readonly bytes: Buffer;
  /** application/octet-stream when not given. */
  readonly type?: string;
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  /** Plain text, ASCII, lines ended by CRLF. */
  readonly text: string;
  readonly attachments: readonly Attachment[];
}

/** What one side says before the other side speaks. */
export interface Turn {
  readonly side: Side;
  readonly bytes: Buffer;
}

/** A multipart/mixed message of the text and the attachments, ended by CRLF. */
export function mimeMessage(mail: Mail): Buffer {
  const parts: Buffer[] = [
    text(
      `From: <${mail.from}>`,
      `To: ${mail.to.map((address) => `<${address}>`).join(', ')}`,
      `Subject: ${mail.subject}`,
      'MIME-Version: 1.0',
      `Content-Type: multipart/mixed; boundary="${BOUNDARY}"`,
      '',
      `--${BOUNDARY}`,
      'Content-Type: text/plain; charset=us-ascii',
      '',
      mail.text,
    ),
  ];
  for (const { name, bytes, type } of mail.attachments) {
    parts.push(
      text(
        `--${BOUNDARY}`,
        `Content-Type: ${type ?? 'application/octet-stream'}; name="${name}"`,
        'Content-Transfer-Encoding: base64',
        `Content-Disposition: attachment; filename="${name}"`,
        '',
      ),
      base64Lines(bytes),
    );
  }
  parts.push(text(`--${BOUNDARY}--`));
  return Buffer.concat(parts);
}
const BOUNDARY = '=_part_0123456789';

const LINE_CHARS = 76;

/** Base64 in lines of 76 characters, each ended by CRLF. */
export function base64Lines(bytes: Buffer): Buffer {
  const encoded = Buffer.from(bytes.toString('base64'), 'latin1');
  const lines = Math.ceil(encoded.length / LINE_CHARS);
  const out = Buffer.alloc(encoded.length + 2 * lines);
  for (let line = 0; line < lines; line++) {
    const copied = encoded.copy(out, line * (LINE_CHARS + 2), line * LINE_CHARS, (line + 1) * LINE_CHARS);
    out.write('\r\n', line * (LINE_CHARS + 2) + copied, 'latin1');
  }
  return out;
}

/** RFC 5321 §4.5.2, RFC 1939 §3: a line that begins with a dot gets another. The end-of-data line is not part of it. */
export function dotStuffed(message: Buffer): Buffer {
  const pieces: Buffer[] = message[0] === DOT ? [Buffer.from('.')] : [];
  let from = 0;
  for (let at = message.indexOf(LINE_DOT); at >= 0; at = message.indexOf(LINE_DOT, at + 2)) {
    pieces.push(message.subarray(from, at + 3), Buffer.from('.'));
    from = at + 3;
  }
  pieces.push(message.subarray(from));
  return Buffer.concat(pieces);
}
const DOT = 0x2e;
const LINE_DOT = Buffer.from('\r\n.');

/** One connection that sends `mails` one after another with DATA. */
export function smtpSession(mails: readonly Mail[]): Turn[] {
  const turns = [
    said(SERVER, '220 mail.example ESMTP'),
    said(CLIENT, 'EHLO client.example'),
    said(SERVER, '250-mail.example', '250-SIZE 104857600', '250-8BITMIME', '250 ENHANCEDSTATUSCODES'),
  ];
  for (const mail of mails) {
    turns.push(said(CLIENT, `MAIL FROM:<${mail.from}>`), said(SERVER, '250 2.1.0 Ok'));
    for (const to of mail.to) turns.push(said(CLIENT, `RCPT TO:<${to}>`), said(SERVER, '250 2.1.5 Ok'));
    turns.push(
      said(CLIENT, 'DATA'),
      said(SERVER, '354 End data with <CR><LF>.<CR><LF>'),
      { side: CLIENT, bytes: Buffer.concat([dotStuffed(mimeMessage(mail)), END_OF_DATA]) },
      said(SERVER, '250 2.0.0 Ok: queued'),
    );
  }
  turns.push(said(CLIENT, 'QUIT'), said(SERVER, '221 2.0.0 Bye'));
  return turns;
}

/** One connection that logs in as `login` and fetches and deletes `mails` one after another. */
export function pop3Session(mails: readonly Mail[], login: string): Turn[] {
  const messages = mails.map(mimeMessage);
  const octets = messages.reduce((sum, message) => sum + message.length, 0);
  const turns = [
    said(SERVER, '+OK POP3 ready'),
    said(CLIENT, `USER ${login}`),
    said(SERVER, '+OK'),
    said(CLIENT, 'PASS secret'),
    said(SERVER, '+OK logged in'),
    said(CLIENT, 'STAT'),
    said(SERVER, `+OK ${messages.length} ${octets}`),
  ];
  for (const [index, message] of messages.entries()) {
    const reply = Buffer.concat([text(`+OK ${message.length} octets`), dotStuffed(message), END_OF_DATA]);
    turns.push(
      said(CLIENT, `RETR ${index + 1}`),
      { side: SERVER, bytes: reply },
      said(CLIENT, `DELE ${index + 1}`),
      said(SERVER, '+OK marked'),
    );
  }
  turns.push(said(CLIENT, 'QUIT'), said(SERVER, '+OK bye'));
  return turns;
}
const END_OF_DATA = Buffer.from('.\r\n');

/** One connection that logs in as `login`, fetches `mails` one after another by UID, and stores a copy of the last (as clients do in Sent). */
export function imapSession(mails: readonly Mail[], login: string): Turn[] {
  const turns = [
    said(SERVER, '* OK [CAPABILITY IMAP4rev1 LITERAL+] ready'),
    said(CLIENT, `a1 LOGIN ${login} secret`),
    said(SERVER, 'a1 OK logged in'),
    said(CLIENT, 'a2 SELECT INBOX'),
    said(SERVER, `* ${mails.length} EXISTS`, '* OK [UIDVALIDITY 1] UIDs', 'a2 OK [READ-WRITE] selected'),
  ];
  for (const [index, mail] of mails.entries()) {
    const message = mimeMessage(mail);
    const tag = `f${index + 1}`;
    turns.push(said(CLIENT, `${tag} UID FETCH ${index + 1} (UID BODY.PEEK[])`), {
      side: SERVER,
      bytes: Buffer.concat([
        text(`* ${index + 1} FETCH (UID ${index + 1} BODY[] {${message.length}}`),
        message,
        text(')', `${tag} OK done`),
      ]),
    });
  }
  const last = mails.at(-1);
  if (last !== undefined) {
    const message = mimeMessage(last);
    turns.push(
      {
        side: CLIENT,
        bytes: Buffer.concat([text(`a3 APPEND Sent (\\Seen) {${message.length}+}`), message, text('')]),
      },
      said(SERVER, 'a3 OK [APPENDUID 2 1] done'),
    );
  }
  turns.push(said(CLIENT, 'a4 LOGOUT'), said(SERVER, '* BYE', 'a4 OK bye'));
  return turns;
}

/**
 * The session as packets of `conversation`, from handshake to FIN. The receiver acknowledges every `segmentsPerAck` segments (2, as RFC
 * 5681 §4.2 has it, when not given) of `mss` bytes, which must be what the conversation cuts at.
 */
export function play(turns: readonly Turn[], conversation: Conversation, mss = 1448, segmentsPerAck = 2): void {
  conversation.open();
  say(turns, conversation, mss, segmentsPerAck);
  conversation.close();
}

/** As `play`, within a conversation that is open and stays so. */
export function say(turns: readonly Turn[], conversation: Conversation, mss = 1448, segmentsPerAck = 2): void {
  const stride = mss * segmentsPerAck;
  for (const { side, bytes } of turns) {
    for (let at = 0; at < bytes.length; at += stride) {
      conversation.send(side, bytes.subarray(at, at + stride), false);
      conversation.acknowledge(side === CLIENT ? SERVER : CLIENT);
    }
  }
}

/** Lines of text, each ended by CRLF, as one turn. */
export function said(side: Side, ...lines: string[]): Turn {
  return { side, bytes: text(...lines) };
}

function text(...lines: string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
}
