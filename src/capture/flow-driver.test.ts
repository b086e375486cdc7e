// What the driver of one connection makes of trouble below it: bytes seen with two contents, and mail that they may have framed otherwise.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CLIENT, SERVER } from '../core/flow.js';
import { ACK, Conversation, PSH, pcapFile } from '../testing/packets.js';
import { scanSetup } from '../testing/scan-setup.js';
import type { ScanEvent } from './events.js';
import { ScanThread } from './scan-thread.js';

/** The verdicts of the messages in a capture, in order, as `verdict reason`. */
async function messages(context: TestContext, conversation: Conversation): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'flow-driver-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'a.pcap');
  writeFileSync(file, pcapFile(conversation.packets));
  const thread = await ScanThread.start(scanSetup());
  const events: ScanEvent[] = [];
  await thread.capture(
    file,
    { index: 0, count: 1 },
    (some) => {
      events.push(...some);
    },
    () => {},
  );
  thread.close();
  return events.flatMap((event) =>
    event.kind === 'tree' ? [`${event.files[0]!.verdict.verdict} ${event.files[0]!.verdict.reason}`] : [],
  );
}

const MAIL = 'From: <a@x.test>\r\nSubject: hello\r\n\r\nhello\r\n';

/** An SMTP session up to the go-ahead for BDAT; the client's next bytes are the command and its chunk. */
function greeted(): Conversation {
  return new Conversation()
    .open()
    .send(SERVER, '220 mail.test ESMTP\r\n')
    .send(CLIENT, 'EHLO c.test\r\n')
    .send(SERVER, '250-mail.test\r\n250 CHUNKING\r\n')
    .send(CLIENT, 'MAIL FROM:<a@x.test>\r\n')
    .send(SERVER, '250 Ok\r\n')
    .send(CLIENT, 'RCPT TO:<b@x.test>\r\n')
    .send(SERVER, '250 Ok\r\n');
}

const ahead = (talk: Conversation, command: string, text: string) =>
  talk.segment(CLIENT, {
    flags: ACK | PSH,
    sequence: talk.next[CLIENT] + command.length,
    payload: Buffer.from(text, 'latin1'),
  });

test('a message whose bytes contradicted each other while they waited for what came before is not clean', async (context) => {
  const command = `BDAT ${MAIL.length} LAST\r\n`;
  const talk = greeted();
  ahead(talk, command, MAIL);
  ahead(talk, command, MAIL.replace('hello\r\n\r\n', 'HELLO\r\n\r\n'));
  talk.send(CLIENT, command, false).lose(CLIENT, MAIL.length).acknowledge(SERVER);
  talk.send(SERVER, '250 Ok: queued\r\n').close();
  assert.deepEqual(await messages(context, talk), ['unscannable overlap']);
});

test('a message after commands that were seen with two contents is not clean: the server may have read another session', async (context) => {
  const talk = greeted();
  const noop = 'NOOP\r\n';
  talk.segment(CLIENT, { flags: ACK | PSH, payload: Buffer.from(noop, 'latin1') });
  talk.segment(CLIENT, { flags: ACK | PSH, payload: Buffer.from('RSET\r\n', 'latin1') });
  talk.lose(CLIENT, noop.length).acknowledge(SERVER).send(SERVER, '250 Ok\r\n');
  talk.send(CLIENT, `BDAT ${MAIL.length} LAST\r\n${MAIL}`).send(SERVER, '250 Ok: queued\r\n').close();
  assert.deepEqual(await messages(context, talk), ['unscannable overlap']);
});

test('the same session without a contradiction is clean, whatever the order of its segments', async (context) => {
  const command = `BDAT ${MAIL.length} LAST\r\n`;
  const talk = greeted();
  ahead(talk, command, MAIL);
  ahead(talk, command, MAIL);
  talk.send(CLIENT, command, false).lose(CLIENT, MAIL.length).acknowledge(SERVER);
  talk.send(SERVER, '250 Ok: queued\r\n').close();
  assert.deepEqual(await messages(context, talk), ['clean null']);
});
