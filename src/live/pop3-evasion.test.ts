/** Servers and clients of POP3 that misbehave, before the daemon: what the client gets, what the server hears, what the log has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLEAN_MAIL, INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { peerTest } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';
import { dotted, mailboxRig, oddity } from '../testing/peers/scripted-mailbox.js';
import { WireClient } from '../testing/peers/wire-client.js';

const END = '\r\n.\r\n';
const REMOVED = { action: 'attachment-removed', service: 'POP3', virus: 'EICAR_TEST_FILE', filename: 'bad.com' };

test('POP-002: TOP of as many lines as there are, or of any number, brings nothing of an infected part', async (context) => {
  const { daemon, client } = await mailboxRig(context, 'pop3', { messages: [INFECTED_MAIL, CLEAN_MAIL] });
  const reader = await client();
  await reader.ask('USER alice');
  const whole = await reader.ask('TOP 1 100000', END);
  assert.match(whole, /An attachment was removed\. "bad\.com" carried the virus "EICAR_TEST_FILE"\./);
  await daemon.record({ ...REMOVED, msg: 'MIME header detected to have a virus and blocked.' });
  // The lines up to the attachment, one more each time, and lines that are not there.
  for (let lines = 0; lines <= 16; lines++) await reader.ask(`TOP 1 ${lines}`, END);
  nothingOf(EICAR, reader.received);
  // A header alone has no part that could be cut.
  assert.equal(
    await reader.ask('TOP 1 0', END),
    `+OK\r\n${dotted(INFECTED_MAIL.split('\r\n\r\n')[0] ?? '')}`.replace(/\.\r\n$/, '\r\n\r\n.\r\n'),
  );
  assert.equal(await reader.ask('RETR 2', END), `+OK ${CLEAN_MAIL.length} octets\r\n${dotted(CLEAN_MAIL)}`);
});

test('POP-003: who breaks RETR off behind nine tenths, again and again, has collected nothing of the message', async (context) => {
  const most = Math.floor(INFECTED_MAIL.length * 0.9);
  let sent = 0;
  const { mailbox, daemon, client } = await mailboxRig(context, 'pop3', {
    messages: [INFECTED_MAIL],
    answer(command, { say }) {
      if (command !== 'RETR 1') return undefined;
      say(`+OK ${INFECTED_MAIL.length} octets\r\n${INFECTED_MAIL.slice(0, most + (sent++ % 40))}`);
      return '';
    },
  });
  const collected: Buffer[] = [];
  for (let tries = 1; tries <= 5; tries++) {
    const reader = await client();
    await reader.ask('USER alice');
    reader.say('RETR 1\r\n');
    // Another one, through the same process: what came before it was dealt with.
    while (mailbox.heard.filter((each) => each === 'RETR 1').length < tries) await (await client()).ask('NOOP');
    await (await client()).ask('NOOP');
    reader.reset();
    collected.push(reader.received);
  }
  for (const each of collected) assert.equal(each.toString(), '+OK here\r\n+OK\r\n');
  await daemon.record({ type: 'traffic', action: 'client-rst' });
});

test('POP-005: fifty pipelined RETR are answered in order, and the infected one does not disturb the others', async (context) => {
  const messages = Array.from({ length: 50 }, (_, at) =>
    at === 24 ? INFECTED_MAIL : `Subject: ${at}\r\n\r\n.${at}\r\n`,
  );
  const { mailbox, client } = await mailboxRig(context, 'pop3', { messages });
  const reader = await client();
  const commands = messages.map((_, at) => `RETR ${at + 1}`);
  reader.say(commands.map((each) => `${each}\r\n`).join(''));
  for (const [at, message] of messages.entries()) {
    const answer = await reader.until(END);
    assert.equal(answer.split('\r\n', 1)[0], `+OK ${message.length} octets`);
    if (at === 24) assert.equal(answer.length, `+OK ${message.length} octets\r\n${dotted(message)}`.length);
    else assert.equal(answer, `+OK ${message.length} octets\r\n${dotted(message)}`);
  }
  nothingOf(EICAR, reader.received);
  assert.deepEqual(mailbox.heard, commands);
});

test('POP-005: a million lines of UIDL pass as they are; a listing that breaks off ends the session', async (context) => {
  const lines = Array.from({ length: 1_000_000 }, (_, at) => `${at + 1} ${at}\r\n`).join('');
  const { daemon, client } = await mailboxRig(context, 'pop3', {
    answer: (command) =>
      command === 'UIDL' ? `+OK\r\n${lines}.\r\n` : command === 'LIST' ? '+OK\r\n1 20\r\n-ERR sorry\r\n' : undefined,
  });
  const reader = await client();
  assert.equal(await reader.ask('UIDL', END), `+OK\r\n${lines}.\r\n`);
  reader.say('LIST\r\n');
  await reader.gone();
  assert.ok(!reader.received.includes('sorry'));
  await daemon.record(oddity('pop3-list-cut', 'server'));
});

test('POP-006: what stands behind STLS in clear never reaches the server, and the session ends', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'pop3');
  const reader = await client();
  reader.say('STLS\r\nUSER mallory\r\nPASS x\r\n');
  await reader.gone();
  assert.deepEqual(mailbox.heard, ['STLS']);
  await daemon.record({ type: 'traffic', action: 'close' });
});

peerTest(
  'POP-006: what the server says in clear behind its +OK to STLS is not heard, before TLS or in it',
  ['openssl'],
  async (context) => {
    const injected = ['+OK logged in\r\n', '-ERR no\r\n'];
    const { client } = await mailboxRig(context, 'pop3', {
      answer(command, connection) {
        if (command !== 'STLS') return undefined;
        const behind = injected.shift() ?? '';
        connection.say(`+OK begin\r\n${behind}`);
        connection.startTls();
        return '';
      },
    });
    for (const behind of ['+OK logged in', '-ERR no']) {
      const reader = await client();
      reader.say('STLS\r\n');
      await reader.gone();
      assert.ok(!reader.received.includes(behind));
    }
    // Nothing is wrong with it otherwise.
    const reader = await client();
    await reader.ask('STLS');
    await reader.startTls();
    assert.equal(await reader.ask('NOOP'), '+OK\r\n');
  },
);

test('POP-006: STLS that somebody took out of the capabilities is not made up, nor is what STLS would change', async (context) => {
  const { mailbox, client } = await mailboxRig(context, 'pop3', {
    offers: 'TOP\r\n',
    messages: [INFECTED_MAIL],
    answer: (command) => (command === 'STLS' ? '-ERR unknown\r\n' : undefined),
  });
  const reader = await client();
  assert.equal(await reader.ask('CAPA', END), '+OK\r\nTOP\r\n.\r\n');
  assert.equal(await reader.ask('STLS'), '-ERR unknown\r\n');
  await reader.ask('RETR 1', END);
  nothingOf(EICAR, reader.received);
  assert.deepEqual(mailbox.heard, ['CAPA', 'STLS', 'RETR 1']);
});

type Record = Readonly<{ logdesc: string; msg: string }>;
const UNKNOWN: Record = { logdesc: 'Session ended by inspection', msg: 'unknown-protocol' };
const TOO_LONG = oddity('pop3-line-too-long', 'server');
const GREETINGS: readonly (readonly [what: string, greeting: string, heard: string, record: Record | undefined])[] = [
  ['that refuses is heard', '-ERR go away\r\n', '-ERR go away\r\n', undefined],
  [
    'of two lines is heard up to the second',
    '+OK one\r\n+OK two\r\n',
    '+OK one\r\n',
    oddity('pop3-unexpected-reply', 'server'),
  ],
  ['that is none is not heard', 'HELLO\r\n', '', UNKNOWN],
  ['of a megabyte is not heard', `+OK ${'a'.repeat(1 << 20)}\r\n`, '', TOO_LONG],
  ['without an end is not waited for', `+OK ${'a'.repeat(1 << 20)}`, '', TOO_LONG],
  ['with odd marks for APOP is heard as it is', '+OK <<\0@>\x80 <>\r\n', '+OK <<\0@>\x80 <>\r\n', undefined],
];

for (const [what, greeting, heard, record] of GREETINGS)
  test(`POP-008: a greeting ${what}`, async (context) => {
    const { daemon } = await mailboxRig(context, 'pop3', { greeting });
    const reader = await WireClient.dial(context, daemon.ports[0] ?? 0);
    if (heard !== '') await reader.until(heard);
    if (record === undefined) {
      assert.equal(await reader.ask('NOOP'), '+OK\r\n');
      return;
    }
    await reader.gone();
    assert.equal(reader.received.toString('latin1'), heard);
    await daemon.record(record);
  });
