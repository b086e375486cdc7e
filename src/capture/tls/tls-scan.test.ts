// TLS through the program, end to end: captures made here of sessions that node's TLS spoke, or that somebody decrypted on their way.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls';
import { CLIENT, SERVER, type Side } from '../../core/flow.js';
import { type CapturedFrame, Conversation, pcapFile, pcapngBlock, pcapngFile } from '../../testing/packets.js';
import { selfSigned } from '../../testing/peers/certificate.js';
import { message, partsOf } from '../../testing/peers/messages.js';
import { peerTest, run, scratch } from '../../testing/peers/peers.js';
import { EICAR, infected, sha256 } from '../../testing/peers/scanned.js';
import { type Pieces, startRelay } from '../../testing/peers/tls-recording.js';
import { type FileRow, rows, scanned } from '../../testing/program.js';
import { TLS_KEY_LOG } from '../key-logs.js';

/** What is said, by whom, in turn. */
type Dialogue = readonly (readonly [side: Side, text: string])[];

interface Speech {
  readonly port: number;
  /** Up to the command that starts TLS, and the answer that grants it. */
  readonly before: Dialogue;
  readonly verb: string;
  readonly granted: string;
  /** A session that carries `mail`. */
  session(mail: string): Dialogue;
  /** What somebody puts behind the verb, to have it taken for the client's or the server's within TLS: with it a file would come. */
  readonly injected: Readonly<Record<'command' | 'answer', string>>;
}

/** Line ends and bytes of the wire, as Latin-1. */
const crlf = (text: string): string => Buffer.from(text.replaceAll('\n', '\r\n')).toString('latin1');
const stuffed = (mail: string): string => `${mail.replace(/^\./gm, '..')}.\r\n`;
/** Short, so that it goes with the command in one segment. */
const EVIL = crlf(
  message(
    'injected',
    partsOf('injected').filter(({ bytes }) => bytes.length < 100),
  ),
);

const SPEECHES: Readonly<Record<'SMTP' | 'IMAP' | 'POP3', Speech>> = {
  SMTP: {
    port: 25,
    before: [
      [SERVER, '220 mail.test ESMTP\r\n'],
      [CLIENT, 'EHLO client.test\r\n'],
      [SERVER, '250-mail.test\r\n250 STARTTLS\r\n'],
    ],
    verb: 'STARTTLS\r\n',
    granted: '220 ready\r\n',
    session: (mail) => [
      [CLIENT, 'EHLO client.test\r\n'],
      [SERVER, '250 mail.test\r\n'],
      [CLIENT, 'MAIL FROM:<alice@example.test>\r\n'],
      [SERVER, '250 ok\r\n'],
      [CLIENT, 'RCPT TO:<bob@example.test>\r\n'],
      [SERVER, '250 ok\r\n'],
      [CLIENT, 'DATA\r\n'],
      [SERVER, '354 go on\r\n'],
      [CLIENT, stuffed(mail)],
      [SERVER, '250 taken\r\n'],
      [CLIENT, 'QUIT\r\n'],
      [SERVER, '221 bye\r\n'],
    ],
    injected: {
      command: `EHLO x\r\nMAIL FROM:<eve@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n${stuffed(EVIL)}`,
      answer: '250-mail.test\r\n250 AUTH PLAIN\r\n',
    },
  },
  IMAP: {
    port: 143,
    before: [[SERVER, '* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n']],
    verb: 'a1 STARTTLS\r\n',
    granted: 'a1 OK begin\r\n',
    session: (mail) => [
      [CLIENT, 'a2 LOGIN bob secret\r\n'],
      [SERVER, 'a2 OK in\r\n'],
      [CLIENT, 'a3 SELECT INBOX\r\n'],
      [SERVER, '* 1 EXISTS\r\na3 OK [READ-WRITE] selected\r\n'],
      [CLIENT, 'a4 FETCH 1 BODY[]\r\n'],
      [SERVER, `* 1 FETCH (BODY[] {${mail.length}}\r\n${mail})\r\na4 OK done\r\n`],
      [CLIENT, 'a5 LOGOUT\r\n'],
      [SERVER, '* BYE bye\r\na5 OK bye\r\n'],
    ],
    injected: {
      command: `a2 APPEND INBOX {${EVIL.length}+}\r\n${EVIL}\r\n`,
      answer: `* 9 FETCH (BODY[] {${EVIL.length}}\r\n${EVIL})\r\n`,
    },
  },
  POP3: {
    port: 110,
    before: [[SERVER, '+OK ready\r\n']],
    verb: 'STLS\r\n',
    granted: '+OK begin\r\n',
    session: (mail) => [
      [CLIENT, 'USER bob\r\n'],
      [SERVER, '+OK\r\n'],
      [CLIENT, 'PASS secret\r\n'],
      [SERVER, '+OK in\r\n'],
      [CLIENT, 'RETR 1\r\n'],
      [SERVER, `+OK it comes\r\n${stuffed(mail)}`],
      [CLIENT, 'QUIT\r\n'],
      [SERVER, '+OK bye\r\n'],
    ],
    injected: { command: 'RETR 9\r\n', answer: `+OK it comes\r\n${stuffed(EVIL)}` },
  },
};
const NAMES = Object.keys(SPEECHES) as (keyof typeof SPEECHES)[];

/** A dialogue through TLS of node's, to the close_notify of both: its bytes on the wire, and its keys. */
async function sealed(
  context: TestContext,
  dialogue: Dialogue,
  version: SecureVersion = 'TLSv1.3',
): Promise<{ pieces: Pieces; keys: string }> {
  const { key, certificate } = selfSigned(scratch(context, 'certificate'));
  const server = createServer({
    key: readFileSync(key),
    cert: readFileSync(certificate),
    minVersion: version,
    maxVersion: version,
  });
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const relay = await startRelay(context, (server.address() as AddressInfo).port);
  const keys: string[] = [];
  const client = connect({ port: relay.port, host: '127.0.0.1', servername: 'mail.test', rejectUnauthorized: false });
  client.on('keylog', (line) => keys.push(line.toString()));
  const ends = [client, ...(await accepted)] as const;
  const due: [number, number] = [0, 0];
  const waiting: [(() => void)?, (() => void)?] = [];
  for (const side of [CLIENT, SERVER] as const)
    ends[side].on('data', (bytes: Buffer) => {
      due[side] -= bytes.length;
      if (due[side] === 0) waiting[side]?.();
    });
  for (const [side, text] of dialogue) {
    const other = side === CLIENT ? SERVER : CLIENT;
    const heard = new Promise<void>((resolve) => {
      waiting[other] = resolve;
    });
    due[other] += text.length;
    ends[side].write(text, 'latin1');
    await heard;
  }
  const closed = ends.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  client.end();
  await Promise.all(closed);
  return { pieces: relay.connections[0] ?? [], keys: keys.join('') };
}

function talkOn(port: number): Conversation {
  return new Conversation({ server: { address: '172.16.200.55', port } }).open();
}

function say(talk: Conversation, dialogue: Dialogue | Pieces): Conversation {
  for (const [side, text] of dialogue) talk.send(side, text);
  return talk;
}

interface FlowRow {
  readonly service: string | null;
  readonly server: string;
  readonly state: string;
  readonly tls: { readonly version: string | null; readonly decrypted: boolean } | null;
  readonly anomalies: Readonly<Record<string, number>>;
}

/** What the program makes of a capture. */
async function scanOf(
  context: TestContext,
  capture: Buffer,
  keys?: string,
): Promise<{ files: FileRow[]; flows: FlowRow[] }> {
  const directory = scratch(context, 'scan');
  const path = join(directory, 'capture.pcap');
  writeFileSync(path, capture);
  const keylog = join(directory, 'keylog');
  if (keys !== undefined) writeFileSync(keylog, keys);
  const { files, flows } = await scanned(directory, [...(keys === undefined ? [] : ['--keylog', keylog]), path]);
  return { files: rows(files), flows: rows<FlowRow>(flows) };
}

/** That every part is there as what it is, and no file of somebody else. */
function expectParts(files: readonly FileRow[], parts: ReturnType<typeof partsOf>): void {
  for (const { name, bytes } of parts) {
    const [row, ...more] = files.filter((file) => file.name === name && file.sha256 === sha256(bytes));
    assert.ok(row !== undefined, `${name} was not found among ${files.map((file) => file.name).join(', ')}`);
    assert.deepEqual(more, []);
    assert.equal(row.state, 'complete', name);
    assert.equal(row.verdict, infected(name) ? 'infected' : 'clean', name);
  }
  assert.deepEqual(
    files.map((file) => file.name).filter((name) => name?.startsWith('injected') === true),
    [],
  );
}

for (const name of NAMES) {
  const speech = SPEECHES[name];
  const start: Dialogue = [...speech.before, [CLIENT, speech.verb], [SERVER, speech.granted]];

  test(`${name} that was decrypted on its way, behind a verb that was granted, is read on in clear`, async (context) => {
    const parts = partsOf('parts');
    const talk = say(talkOn(speech.port), [...start, ...speech.session(crlf(message('decrypted', parts)))]).close();
    const { files, flows } = await scanOf(context, pcapFile(talk.packets));
    expectParts(files, parts);
    assert.equal(flows.length, 1);
    assert.equal(flows[0]?.service, `${name}S`);
    assert.equal(flows[0].tls?.decrypted, true);
    assert.deepEqual(flows[0].anomalies, { 'tls-decrypted-in-place': 1 });
  });

  for (const [what, side] of [
    ['command', CLIENT],
    ['answer', SERVER],
  ] as const) {
    peerTest(
      `${name}: clear text in one segment with ${what === 'command' ? 'the verb that starts TLS' : 'its answer'} is noted and given to nobody`,
      ['openssl'],
      async (context) => {
        const parts = partsOf('parts');
        const { pieces, keys } = await sealed(context, speech.session(crlf(message('sealed', parts))));
        const begin: Dialogue = [
          ...speech.before,
          [CLIENT, speech.verb + (side === CLIENT ? speech.injected.command : '')],
          [SERVER, speech.granted + (side === SERVER ? speech.injected.answer : '')],
        ];
        // As one segment each, and cut as Ethernet cuts.
        for (const mss of [65_000, 1448]) {
          const talk = new Conversation({ server: { address: '172.16.200.55', port: speech.port }, mss }).open();
          const { files, flows } = await scanOf(context, pcapFile(say(say(talk, begin), pieces).close().packets), keys);
          expectParts(files, parts);
          assert.deepEqual(flows[0]?.anomalies, { 'plaintext-before-tls': 1 }, `mss ${mss}`);
        }
      },
    );
  }
}

/** Packets of several conversations in their order. */
class Wire {
  readonly packets: CapturedFrame[] = [];
  #time = 1_700_000_000_000_000_000n;

  take(talk: Conversation): void {
    for (const { bytes } of talk.packets.splice(0)) {
      this.#time += 1_000_000n;
      this.packets.push({ time: this.#time, bytes });
    }
  }

  /** Takes a file over a data connection, which the control connection announces in clear. */
  download(control: Conversation, port: number, bytes: string): this {
    const file = new Conversation({
      client: { address: control.client.address, port: 51_000 },
      server: { address: control.server.address, port },
    });
    say(control, [
      [CLIENT, 'TYPE I\r\n'],
      [SERVER, '200 ok\r\n'],
      [CLIENT, 'PASV\r\n'],
      [SERVER, `227 ok (${control.server.address.replaceAll('.', ',')},${port >> 8},${port & 255})\r\n`],
      [CLIENT, 'RETR eicar.com\r\n'],
      [SERVER, '150 here\r\n'],
    ]);
    this.take(control);
    this.take(file.open().send(SERVER, bytes).close());
    this.take(say(control, [[SERVER, '226 done\r\n']]).close());
    return this;
  }
}

const FTP_START: Dialogue = [
  [SERVER, '220 FTP\r\n'],
  [CLIENT, 'AUTH TLS\r\n'],
  [SERVER, '234 go on\r\n'],
];
const FTP_LOGIN: Dialogue = [
  [CLIENT, 'USER alice\r\n'],
  [SERVER, '331 go on\r\n'],
  [CLIENT, 'PASS secret\r\n'],
  [SERVER, '230 in\r\n'],
];

function expectEicar(files: readonly FileRow[]): void {
  assert.deepEqual(
    files.map((file) => [file.name, file.sha256, file.verdict, file.state]),
    [['eicar.com', sha256(Buffer.from(EICAR)), 'infected', 'complete']],
  );
}

const controlOf = (flows: readonly FlowRow[]): FlowRow | undefined => flows.find((flow) => flow.server.endsWith(':21'));

test('FTP that was decrypted on its way, behind AUTH TLS, is read on in clear', async (context) => {
  const control = say(talkOn(21), [...FTP_START, ...FTP_LOGIN]);
  const { files, flows } = await scanOf(context, pcapFile(new Wire().download(control, 2_000, EICAR).packets));
  expectEicar(files);
  assert.deepEqual(controlOf(flows)?.anomalies, { 'tls-decrypted-in-place': 1 });
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  peerTest(
    `FTP that signs in through ${version} and goes on in clear (CCC) is read through both`,
    ['openssl'],
    async (context) => {
      const { pieces, keys } = await sealed(
        context,
        [...FTP_LOGIN, [CLIENT, 'CCC\r\n'], [SERVER, '200 clear from now on\r\n']],
        version,
      );
      const control = say(say(talkOn(21), FTP_START), pieces);
      const capture = pcapFile(new Wire().download(control, 2_000, EICAR).packets);
      const { files, flows } = await scanOf(context, capture, keys);
      expectEicar(files);
      const ftp = controlOf(flows);
      assert.equal(ftp?.tls?.decrypted, true);
      assert.deepEqual(ftp.anomalies, {});
    },
  );

  peerTest(`a pcapng that brings the keys of ${version} is opened by itself`, ['openssl'], async (context) => {
    const parts = partsOf('parts');
    const { session, before, verb, granted } = SPEECHES.SMTP;
    const { pieces, keys } = await sealed(context, session(crlf(message('sealed', parts))), version);
    const talk = say(say(talkOn(25), [...before, [CLIENT, verb], [SERVER, granted]]), pieces).close();
    for (const order of ['little', 'big'] as const) {
      const capture = pcapngFile(talk.packets, [{}], order);
      // Behind the section header, which says how long it is.
      const at = order === 'little' ? capture.readUInt32LE(4) : capture.readUInt32BE(4);
      const withKeys = Buffer.concat([capture.subarray(0, at), secrets(keys, order), capture.subarray(at)]);
      const { files, flows } = await scanOf(context, withKeys);
      expectParts(files, parts);
      assert.deepEqual(flows[0]?.tls, { ...flows[0]?.tls, version: version.replace('v', ' '), decrypted: true });
      assert.deepEqual(flows[0]?.anomalies, {});
      const without = await scanOf(context, capture);
      assert.deepEqual(without.files, []);
      assert.equal(without.flows[0]?.tls?.decrypted, false);
    }
  });
}

peerTest('a pcapng that editcap gave its keys is opened by itself', ['openssl', 'editcap'], async (context) => {
  const parts = partsOf('parts');
  const { session, before, verb, granted } = SPEECHES.IMAP;
  const { pieces, keys } = await sealed(context, session(crlf(message('sealed', parts))));
  const talk = say(say(talkOn(143), [...before, [CLIENT, verb], [SERVER, granted]]), pieces).close();
  const directory = scratch(context, 'editcap');
  const [from, log, to] = ['mail.pcap', 'log', 'with-keys.pcapng'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(from, pcapFile(talk.packets));
  writeFileSync(log, keys);
  run('editcap', ['-F', 'pcapng', '--inject-secrets', `tls,${log}`, from, to]);
  const { files } = await scanOf(context, readFileSync(to));
  expectParts(files, parts);
});

/** A decryption secrets block. */
function secrets(keys: string, order: 'little' | 'big'): Buffer {
  const head = Buffer.alloc(8);
  const write = order === 'little' ? head.writeUInt32LE : head.writeUInt32BE;
  write.call(head, TLS_KEY_LOG, 0);
  write.call(head, Buffer.byteLength(keys), 4);
  return pcapngBlock(0x0a, Buffer.concat([head, Buffer.from(keys)]), order);
}
