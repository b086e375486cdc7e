/**
 * A large message in POP3 and IMAP whose virus stands at its very end: no byte of it is out before the verdict, whichever way it is asked for and
 * however the server goes on, stalls or breaks off.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { mail } from '../testing/ambiguous-mail.js';
import { zipOf } from '../testing/archive-bytes.js';
import { sectionOf } from '../testing/peers/mailbox-fetch.js';
import { folded, nothingOf } from '../testing/peers/mailbox-messages.js';
import { EICAR } from '../testing/peers/scanned.js';
import { type Connection, type MailboxKind, type MailboxRig, mailboxRig } from '../testing/peers/scripted-mailbox.js';
import { taken } from '../testing/peers/taken.js';
import type { WireClient } from '../testing/peers/wire-client.js';

/** 700 kB of noise in front of the virus. */
const ARCHIVE = zipOf([
  { name: 'noise.bin', data: randomBytes(700_000) },
  { name: 'last.com', data: EICAR },
]);
const MESSAGE = mail(
  ['Content-Type: application/zip; name=big.zip', 'Content-Transfer-Encoding: base64'],
  folded(ARCHIVE),
);

/** Ways to ask for it; what the client would have got of it. */
const WAYS: Readonly<Record<MailboxKind, readonly (readonly [command: string, asked: string])[]>> = {
  pop3: [
    ['RETR 1', MESSAGE],
    ['TOP 1 100000', MESSAGE],
  ],
  imap: [
    ['a FETCH 1 BODY[]', MESSAGE],
    ['a FETCH 1 (FLAGS BODY.PEEK[TEXT])', sectionOf(MESSAGE, 'TEXT')],
    ['a FETCH 1 BODY[2]', sectionOf(MESSAGE, '2')],
    ['a UID FETCH 101 (RFC822)', MESSAGE],
    ['a FETCH 1 BODY[]<0.300>', MESSAGE.slice(0, 300)],
    ['a UID FETCH 101 (BODY.PEEK[2]<900000.100>)', sectionOf(MESSAGE, '2').slice(900_000, 900_100)],
    ['a FETCH 1 (BINARY[2]<16.100000>)', ARCHIVE.subarray(16, 100_016).toString('latin1')],
  ],
};

/** What becomes of an answer whose last bytes the server keeps back. */
const ENDS: readonly (readonly [what: string, end: (server: Connection, client: WireClient) => void])[] = [
  ['the server breaks off', ({ socket }) => socket.resetAndDestroy()],
  ['the server says FIN', ({ socket }) => socket.end()],
  ['the client gives up', (_, client) => client.reset()],
];

/** The server stops 40 bytes in front of the end of the message. */
async function stalled(context: TestContext, kind: MailboxKind): Promise<{ rig: MailboxRig; rest: string[] }> {
  const rest: string[] = [];
  const rig = await mailboxRig(context, kind, {
    messages: [MESSAGE],
    shape(answer, command, { say }) {
      if (!/^RETR|^TOP|BODY(\.PEEK)?\[|RFC822|BINARY/.test(command)) return answer;
      const last = answer.lastIndexOf(kind === 'pop3' ? '\r\n.\r\n' : ')\r\n');
      say(answer.slice(0, last - 40));
      rest.push(answer.slice(last - 40));
      return '';
    },
  });
  return { rig, rest };
}

/** Asks, and waits until the daemon has all that the server sent. */
async function asked({ mailbox, client }: MailboxRig, rest: string[], command: string) {
  const reader = await client();
  const server = mailbox.connections.at(-1);
  assert.ok(server !== undefined);
  const before = reader.received;
  reader.say(`${command}\r\n`);
  for (const had = rest.length; rest.length === had; ) await turned(client);
  await taken(server.socket);
  await turned(client);
  return { reader, server, before };
}

/** Somebody else was answered by the same process. */
async function turned(client: MailboxRig['client']): Promise<void> {
  const other = await client();
  await other.ask('n NOOP');
  other.reset();
}

for (const kind of ['pop3', 'imap'] as const) {
  for (const [what, end] of ENDS)
    test(`${kind}: where ${what} before the end of the message, nothing of it is out`, async (context) => {
      const { rig, rest } = await stalled(context, kind);
      for (const [command] of WAYS[kind]) {
        const { reader, server, before } = await asked(rig, rest, command);
        assert.deepEqual(reader.received, before, command);
        end(server, reader);
        await reader.gone();
        assert.deepEqual(reader.received, before, command);
      }
      await rig.daemon.record({ type: 'traffic' });
    });

  test(`${kind}: where the server goes on, the client gets what is clean, and nothing of what is not`, async (context) => {
    const { rig, rest } = await stalled(context, kind);
    for (const [command, whole] of WAYS[kind]) {
      const { reader, server, before } = await asked(rig, rest, command);
      assert.deepEqual(reader.received, before, command);
      server.say(rest.at(-1) ?? '');
      const said = await reader.until(kind === 'pop3' ? '\r\n.\r\n' : 'a OK done\r\n');
      nothingOf(ARCHIVE, said);
      const announced = /\{(\d+)\}\r\n|\+OK (\d+) octets/.exec(said);
      if (announced !== null) assert.equal(Number(announced[1] ?? announced[2]), whole.length, command);
      if (whole.startsWith('From:')) assert.ok(said.includes(sectionOf(MESSAGE, 'HEADER')), command);
    }
    await rig.daemon.record({ action: 'attachment-removed', virus: 'EICAR_TEST_FILE', filename: 'big.zip' });
  });
}

for (const [what, size] of [
  ['shorter', 400],
  ['longer', MESSAGE.length + 100],
] as const)
  test(`imap: of a message whose literal is announced ${what} than what comes, nothing infected is out`, async (context) => {
    const { client } = await mailboxRig(context, 'imap', {
      answer: (command) =>
        command === 'a FETCH 1 BODY[]' ? `* 1 FETCH (BODY[] {${size}}\r\n${MESSAGE})\r\na OK done\r\n` : undefined,
    });
    const reader = await client();
    reader.say('a FETCH 1 BODY[]\r\n');
    if (what === 'longer') {
      await turned(client);
      reader.reset();
    }
    await reader.gone();
    nothingOf(ARCHIVE, reader.received);
    assert.ok(reader.received.length < 1_000);
  });
