/** An SMTP server that takes everything, keeps what became a message, and lets the test answer any line in its place; and a client's first words to it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { SmtpEvent } from '../../../protocols/smtp/events.js';
import { selfSigned } from './certificate.js';
import { type Cutter, startCutter } from './cutter.js';
import { type DaemonSetup, type LogFields, type RunningDaemon, startDaemon } from './daemon.js';
import { scratch } from './peers.js';
import { EICAR } from './scanned.js';
import { dial, type Peer, type ScriptedServer, startScripted } from './scripted.js';
import { FROM, TO } from './smtp-clients.js';

export interface SmtpScript {
  /** What EHLO is answered beside its first line. */
  readonly capabilities?: readonly string[];
  readonly greeting?: string;
  /** Answers a line in the server's place; undefined: the server does. */
  answer?(line: string, peer: Peer): string | undefined | Promise<string | undefined>;
}

export interface SmtpServer extends ScriptedServer {
  /** Messages that were accepted, as they came: behind DATA with stuffed dots and without the last one; chunks joined. */
  readonly messages: readonly string[];
}

export async function startSmtp(context: TestContext, script: SmtpScript = {}): Promise<SmtpServer> {
  const messages: string[] = [];
  const { capabilities = [] } = script;
  const keys = capabilities.includes('STARTTLS') ? readKeys(context) : undefined;
  const chunks = new WeakMap<Peer, string>();
  const server = await startScripted(context, {
    greeting: script.greeting ?? '220 mx.example.test ESMTP',
    async answer(line, peer) {
      const instead = await script.answer?.(line, peer);
      if (instead !== undefined) return instead;
      const [verb = '', argument = ''] = line.split(' ');
      switch (verb.toUpperCase()) {
        case 'EHLO':
          return ['mx.example.test', ...capabilities]
            .map((each, at) => `250${at === capabilities.length ? ' ' : '-'}${each}`)
            .join('\r\n');
        case 'DATA':
          peer.say('354 go\r\n');
          messages.push((await peer.until('\r\n.\r\n')).slice(0, -3));
          return '250 2.0.0 queued';
        case 'BDAT': {
          const message = `${chunks.get(peer) ?? ''}${await peer.bytes(Number(argument))}`;
          const last = / LAST$/i.test(line);
          chunks.set(peer, last ? '' : message);
          if (last) messages.push(message);
          return '250 2.0.0 taken';
        }
        case 'STARTTLS':
          if (keys === undefined) return '502 5.5.1 no';
          peer.say('220 go\r\n');
          await peer.startTls(keys);
          return undefined;
        case 'QUIT':
          peer.say('221 bye\r\n');
          peer.end();
          return undefined;
        default:
          return '250 2.0.0 ok';
      }
    },
  });
  return { ...server, messages };
}

/** A client behind the greeting; with EHLO, and inside TLS if that is wished. */
export async function greeted(
  context: TestContext,
  port: number,
  how: { readonly hello?: boolean; readonly tls?: boolean } = {},
): Promise<Peer> {
  const client = await dial(context, port);
  await client.reply();
  if (how.tls === true) {
    await client.talk('EHLO client.example.test', 'STARTTLS');
    await client.startTls();
  }
  if (how.hello !== false) await client.ask('EHLO client.example.test');
  return client;
}

export interface SmtpBetween {
  readonly server: SmtpServer;
  /** On the way between the daemon and the server. */
  readonly cutter: Cutter;
  readonly daemon: RunningDaemon;
  /** A client that was greeted, by the daemon. */
  client(how?: Parameters<typeof greeted>[2]): Promise<Peer>;
  /** The record of an anomaly, as soon as it is written. */
  noted(code: SmtpEvent, side?: 'client' | 'server'): Promise<LogFields>;
}

/** The daemon before such a server. */
export async function betweenSmtp(
  context: TestContext,
  script: SmtpScript = {},
  setup: Partial<DaemonSetup> = {},
): Promise<SmtpBetween> {
  const server = await startSmtp(context, { capabilities: ['PIPELINING', 'CHUNKING', '8BITMIME', 'SIZE'], ...script });
  const cutter = await startCutter(context, server.port);
  const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: cutter.port }], ...setup });
  return {
    server,
    cutter,
    daemon,
    client: (how) => greeted(context, daemon.ports[0] ?? 0, how),
    noted: (code, side = 'client') => daemon.record({ logdesc: 'Protocol anomaly', msg: `${code}, from the ${side}` }),
  };
}

/** What a client is told of a message with the test file. */
export const REFUSED = /^554 5\.7\.1 .*EICAR_TEST_FILE/;

/** Nothing of the test file came to the server, in a message or otherwise. */
export function assertUnheard(server: ScriptedServer, what?: string): void {
  assert.ok(!server.heard().includes(EICAR.slice(0, 20)), `the server heard of the test file: ${what ?? ''}`);
}

/** The commands in front of a message. */
export const ENVELOPE: readonly string[] = [`MAIL FROM:<${FROM}>`, `RCPT TO:<${TO}>`];

/** A message of one text, with CRLF line ends; its last line has one. */
export function plainMessage(text: string, subject = 'of the test'): string {
  return `From: Alice <${FROM}>\r\nTo: <${TO}>\r\nSubject: ${subject}\r\n\r\n${text}\r\n`;
}

/** Sends a message behind DATA, its dots as they are; its final reply. */
export async function sendData(client: Peer, message: string): Promise<string> {
  await client.talk(...ENVELOPE, 'DATA');
  client.say(`${message}.\r\n`);
  return client.reply();
}

/** Sends a message in chunks of `size` octets; its final reply. */
export async function sendChunks(client: Peer, message: string, size: number = message.length): Promise<string> {
  await client.talk(...ENVELOPE);
  for (let at = 0; ; at += size) {
    const chunk = message.slice(at, at + size);
    const last = at + size >= message.length;
    client.say(`BDAT ${chunk.length}${last ? ' LAST' : ''}\r\n${chunk}`);
    const reply = await client.reply();
    if (last || !reply.startsWith('250')) return reply;
  }
}

function readKeys(context: TestContext): { readonly key: string; readonly cert: string } {
  const { key, certificate } = selfSigned(scratch(context, 'smtp-keys'), 'ec');
  return { key: readFileSync(key, 'latin1'), cert: readFileSync(certificate, 'latin1') };
}
