/**
 * Mailboxes of POP3 and IMAP with given messages, whose answers a test may replace by its own: servers that misbehave, and what they heard.
 * They know what the tests ask (RFC 1939 §5, RFC 9051 §6.4.5 of multipart messages one level deep), and believe everybody.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { TLSSocket } from 'node:tls';
import { selfSigned } from './certificate.js';
import { type DaemonSetup, type RunningDaemon, startDaemon } from './daemon.js';
import { fetched } from './mailbox-fetch.js';
import { scratch } from './peers.js';
import { WireClient } from './wire-client.js';

export interface MailboxScript {
  /** Numbers count from 1, UIDs from 101. Line ends are CRLF. */
  readonly messages?: readonly string[];
  readonly greeting?: string;
  /** Capabilities: words of IMAP, lines of POP3. */
  readonly offers?: string;
  /** In place of the mailbox's answer: bytes, one a character; nothing, where the script speaks itself. Undefined: the mailbox answers. */
  answer?(command: string, connection: Connection): string | undefined;
  /** How many bytes the server says to its n-th client, counted from 1, before it resets the connection. */
  cut?(client: number): number;
  /** What becomes of the mailbox's own answer. */
  shape?(answer: string, command: string, connection: Connection): string;
}

/** One client of the mailbox. */
export interface Connection {
  readonly socket: Socket;
  say(text: string): void;
  /** From here on TLS, with a certificate of nobody's. */
  startTls(): void;
}

export interface Mailbox {
  readonly port: number;
  /** Commands of all clients, whole, literals and their marks within; one a character. */
  readonly heard: string[];
  readonly connections: Connection[];
}

export type MailboxKind = 'pop3' | 'imap';

export async function startMailbox(
  context: TestContext,
  kind: MailboxKind,
  script: MailboxScript = {},
): Promise<Mailbox> {
  const heard: string[] = [];
  const connections: Connection[] = [];
  const answers = kind === 'pop3' ? pop3Answer : imapAnswer;
  const listening = createServer({ noDelay: true }, (socket) => {
    context.after(() => socket.destroy());
    let stream: Duplex = socket;
    let left = script.cut?.(connections.length + 1) ?? Number.POSITIVE_INFINITY;
    const say = (text: string): void => {
      if (text === '' || stream.destroyed || left < 0) return;
      const bytes = Buffer.from(text.slice(0, left), 'latin1');
      left -= text.length;
      // The last byte that is let through is sent first.
      stream.write(bytes, () => {
        if (left <= 0) socket.resetAndDestroy();
      });
    };
    const read = (): void => {
      stream.on('error', () => {});
      readCommands(stream, kind === 'imap', say, (command) => {
        heard.push(command);
        const own = script.answer?.(command, connection);
        if (own !== undefined) return say(own);
        const answer = answers(command, script);
        say(script.shape?.(answer, command, connection) ?? answer);
      });
    };
    const connection: Connection = {
      socket,
      say,
      startTls() {
        const { key, certificate } = selfSigned(scratch(context, 'mailbox'), 'ec');
        socket.removeAllListeners('data');
        stream = new TLSSocket(socket, { isServer: true, key: readFileSync(key), cert: readFileSync(certificate) });
        read();
      },
    };
    connections.push(connection);
    read();
    say(script.greeting ?? (kind === 'pop3' ? '+OK here\r\n' : '* OK here\r\n'));
  }).listen(0, '127.0.0.1');
  context.after(() => listening.close());
  await once(listening, 'listening');
  return { port: (listening.address() as AddressInfo).port, heard, connections };
}

export interface MailboxRig {
  readonly mailbox: Mailbox;
  readonly daemon: RunningDaemon;
  /** A client that came through the daemon, and heard the greeting. */
  client(): Promise<WireClient>;
}

/** The mailbox behind the daemon. */
export async function mailboxRig(
  context: TestContext,
  kind: MailboxKind,
  script: MailboxScript = {},
  setup: Partial<DaemonSetup> = {},
): Promise<MailboxRig> {
  const mailbox = await startMailbox(context, kind, script);
  const daemon = await startDaemon(context, { ...setup, doors: [{ kind, to: mailbox.port }] });
  return {
    mailbox,
    daemon,
    async client() {
      const client = await WireClient.dial(context, daemon.ports[0] ?? 0);
      await client.until('\r\n');
      return client;
    },
  };
}

/** The record of what was odd. */
export function oddity(code: string, side: 'client' | 'server'): { logdesc: string; msg: string } {
  return { logdesc: 'Protocol anomaly', msg: `${code}, from the ${side}` };
}

/** A message as RETR carries it: dots stuffed, and its end. */
export function dotted(message: string): string {
  return `${message.replace(/^\./gm, '..')}.\r\n`;
}

function pop3Answer(
  command: string,
  { messages = [], offers = 'TOP\r\nUIDL\r\nPIPELINING\r\n' }: MailboxScript,
): string {
  const [verb = '', first = '', second = ''] = command.split(' ');
  const message = messages[Number(first) - 1] ?? '';
  switch (verb.toUpperCase()) {
    case 'CAPA':
      return `+OK\r\n${offers}.\r\n`;
    case 'STAT':
      return `+OK ${messages.length} ${messages.reduce((sum, each) => sum + each.length, 0)}\r\n`;
    case 'LIST':
      if (first !== '') return `+OK ${first} ${message.length}\r\n`;
      return `+OK\r\n${messages.map((each, at) => `${at + 1} ${each.length}\r\n`).join('')}.\r\n`;
    case 'UIDL':
      return `+OK\r\n${messages.map((_, at) => `${at + 1} uid-${at}\r\n`).join('')}.\r\n`;
    case 'RETR':
      return `+OK ${message.length} octets\r\n${dotted(message)}`;
    case 'TOP': {
      const [head = '', ...rest] = message.split('\r\n\r\n');
      const lines = rest.join('\r\n\r\n').split(/(?<=\r\n)/);
      return `+OK\r\n${dotted(`${head}\r\n\r\n${lines.slice(0, Number(second)).join('')}`)}`;
    }
    default:
      return '+OK\r\n';
  }
}

function imapAnswer(command: string, { messages = [], offers = 'IMAP4rev1 LITERAL+ UIDPLUS' }: MailboxScript): string {
  const [tag = '', verb = ''] = command.split(' ');
  const done = `${tag} OK done\r\n`;
  switch (verb.toUpperCase()) {
    case 'CAPABILITY':
      return `* CAPABILITY ${offers}\r\n${done}`;
    case 'SELECT':
      return `* ${messages.length} EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n${tag} OK [READ-WRITE] done\r\n`;
    case 'UID':
    case 'FETCH':
      return `${fetched(command, messages)}${done}`;
    case 'LOGOUT':
      return `* BYE\r\n${done}`;
    default:
      return done;
  }
}

/** Reads commands; with `literals`, what they announce belongs to them, and is asked for where the client waits for that. */
function readCommands(
  stream: Duplex,
  literals: boolean,
  say: (text: string) => void,
  command: (text: string) => void,
): void {
  let unread = '';
  let begun = '';
  let missing = 0;
  stream.on('data', (chunk: Buffer) => {
    unread += chunk.toString('latin1');
    for (;;) {
      if (unread.length < missing) return;
      const end = unread.indexOf('\n', missing) + 1;
      if (end === 0) return;
      begun += unread.slice(0, end);
      unread = unread.slice(end);
      const [, size, plus] = (literals ? /\{(\d+)(\+?)\}\r?\n$/.exec(begun.slice(-40)) : null) ?? [];
      missing = Number(size ?? 0);
      if (size === undefined) {
        command(begun.replace(/\r?\n$/, ''));
        begun = '';
      } else if (plus === '') say('+ go on\r\n');
    }
  });
}
