/** Servers of IMAP that misbehave and clients that take messages in pieces, before the daemon: what the client gets, what the log has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { literalsOf, told } from '../testing/peers/imap-talk.js';
import { sectionOf } from '../testing/peers/mailbox-fetch.js';
import { attached, CLEAN_MAIL, folded, INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { resident } from '../testing/peers/resident.js';
import { EICAR } from '../testing/peers/scanned.js';
import { type MailboxScript, mailboxRig, oddity } from '../testing/peers/scripted-mailbox.js';
import type { WireClient } from '../testing/peers/wire-client.js';

const REMOVED = { action: 'attachment-removed', service: 'IMAP', virus: 'EICAR_TEST_FILE' };

/** Mailboxes whose parts nobody has told of yet, one a client. */
const WAYS: readonly (readonly [what: string, commands: readonly string[]])[] = [
  ['BODY[2.MIME] first, then BODY[2]', ['FETCH 1 BODY[2.MIME]', 'FETCH 1 BODY[2]']],
  ['BODY[2] first, then BODY[2.MIME]', ['FETCH 1 BODY.PEEK[2]', 'FETCH 1 BODY[2.MIME]']],
  ['both in one command, either way round', ['FETCH 1 (BODY[2] BODY[2.MIME])', 'FETCH 1 (BODY[2.MIME] BODY[2])']],
  ['BODY[2] alone, by UID', ['UID FETCH 101 (BODY.PEEK[2])']],
  ['structure first, then BODY[2]', ['FETCH 1:* (BODYSTRUCTURE)', 'FETCH 1 (BODY[2])']],
  ['header and text', ['FETCH 1 BODY[HEADER]', 'FETCH 1 BODY[TEXT]']],
  ['the text first', ['FETCH 1 RFC822.TEXT', 'FETCH 1 RFC822.HEADER']],
  ['the whole', ['FETCH 1 BODY[]', 'FETCH 1 RFC822']],
];

for (const [what, commands] of WAYS)
  test(`IMA-003: ${what}: the part is read with its header, and nothing of it comes`, async (context) => {
    const { daemon, client } = await mailboxRig(context, 'imap', { messages: [INFECTED_MAIL, CLEAN_MAIL] });
    const reader = await client();
    await told(reader, 'SELECT INBOX');
    for (const command of commands) {
      const said = await told(reader, command);
      assert.match(said, / OK done\r\n$/);
      nothingOf(EICAR, said);
    }
    await daemon.record({ ...REMOVED, filename: 'bad.com' });
    // The clean one in the same ways, byte for byte.
    for (const command of commands) {
      const said = await told(reader, command.replace('FETCH 101', 'FETCH 102').replace('FETCH 1 ', 'FETCH 2 '));
      for (const section of ['2', '2.MIME', 'HEADER', 'TEXT', ''])
        if (said.includes(`BODY[${section}] {`)) assert.ok(literalsOf(said).includes(sectionOf(CLEAN_MAIL, section)));
    }
  });

test('IMA-003: pieces of a message, of whatever size and order, and of its parts never make up what is infected', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap', { messages: [INFECTED_MAIL] });
  for (const section of ['', '2', 'TEXT'])
    for (const size of [7, 64, 300]) {
      const reader = await client();
      await told(reader, 'SELECT INBOX');
      const whole = sectionOf(INFECTED_MAIL, section);
      const places = Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => at * size);
      // From the end where the size is odd.
      if (size % 2 === 1) places.reverse();
      const pieces = new Map<number, string>();
      for (const at of places) {
        const [piece = ''] = literalsOf(await told(reader, `UID FETCH 101 (BODY.PEEK[${section}]<${at}.${size}>)`));
        assert.equal(piece.length, Math.min(size, whole.length - at));
        pieces.set(at, piece);
      }
      const joined = [...pieces]
        .sort(([a], [b]) => a - b)
        .map(([, piece]) => piece)
        .join('');
      nothingOf(EICAR, joined);
      nothingOf(EICAR, reader.received);
      assert.equal(joined.length, whole.length);
      // What is not the part is as it was.
      if (section === '') assert.ok(joined.startsWith(sectionOf(INFECTED_MAIL, 'HEADER')));
    }
  // Nobody but the first asked for the whole of it, and later pieces were asked for as single bytes.
  assert.ok(mailbox.heard.some((each) => /BODY\.PEEK\[2\]<\d+\.1>/.test(each)));
  await daemon.record({ ...REMOVED, filename: 'bad.com' });
});

test('IMA-004: BINARY is a part that the server decoded: whole, in pieces and by size alone', async (context) => {
  const { daemon, client } = await mailboxRig(context, 'imap', {
    messages: [INFECTED_MAIL, CLEAN_MAIL],
    offers: 'IMAP4rev1 BINARY',
  });
  const reader = await client();
  await told(reader, 'SELECT INBOX');
  assert.match(await told(reader, 'FETCH 1 (BINARY.SIZE[2])'), /BINARY\.SIZE\[2\] 68\)/);
  const pieces: string[] = [];
  for (let at = 0; at < 70; at += 10)
    pieces.push(...literalsOf(await told(reader, `FETCH 1 (BINARY.PEEK[2]<${at}.10>)`)));
  const joined = pieces.join('');
  assert.equal(joined.length, 68);
  nothingOf(EICAR, joined);
  nothingOf(EICAR, await told(reader, 'FETCH 1 BINARY[2]<0.1000>'));
  nothingOf(EICAR, await told(reader, 'UID FETCH 101 BINARY[2]'));
  await daemon.record({ ...REMOVED });
  const clean = literalsOf(await told(reader, 'FETCH 2 BINARY.PEEK[2]<8.9>'));
  assert.deepEqual(clean, ['bad is in']);
});

test('IMA-006: ten thousand messages by one command, and commands behind it that do not wait: all in order, memory bounded', async (context) => {
  const count = 10_000;
  const messages = Array.from({ length: count }, (_, at) => `Subject: ${at}\r\n\r\n${'x'.repeat(2_000)}\r\n`);
  messages[5_000] = INFECTED_MAIL;
  const { daemon, client } = await mailboxRig(context, 'imap', { messages });
  const reader = await client();
  reader.say('a SELECT INBOX\r\nb UID FETCH 101:* (UID BODY.PEEK[])\r\nc FETCH 1:10 FLAGS\r\nd NOOP\r\n');
  const said = await reader.until('d OK done\r\n');
  const numbers = [...said.matchAll(/^\* (\d+) FETCH \(UID/gm)].map(([, number]) => Number(number));
  assert.deepEqual(
    numbers,
    messages.map((_, at) => at + 1),
  );
  const literals = literalsOf(said);
  for (const [at, message] of messages.entries()) if (at !== 5_000) assert.equal(literals[at], message);
  nothingOf(EICAR, literals[5_000] ?? '');
  assert.deepEqual(
    [...said.matchAll(/^([a-d]) OK/gm)].map(([, each]) => each),
    ['a', 'b', 'c', 'd'],
  );
  await daemon.record({ ...REMOVED, filename: 'bad.com' });
});

test('IMA-007: content that nobody asked for is judged like any other, and noted', async (context) => {
  const part = sectionOf(INFECTED_MAIL, '2');
  const { daemon, client } = await mailboxRig(context, 'imap', {
    messages: [CLEAN_MAIL],
    answer(command) {
      const [own = '', verb] = command.split(' ');
      const infected = `* 1 FETCH (BODY[] {${INFECTED_MAIL.length}}\r\n${INFECTED_MAIL})\r\n`;
      const quoted = `* 1 FETCH (BODY[2] "${part.replaceAll('\r\n', '')}")\r\n`;
      if (verb === 'NOOP')
        return `${infected}* 1 FETCH (BODY[2] {${part.length}}\r\n${part})\r\n${quoted}${own} OK done\r\n`;
      if (verb === 'CHECK') return `* 1 FETCH (BODY[]<20> {9}\r\n${INFECTED_MAIL.slice(20, 29)})\r\n${own} OK done\r\n`;
      return undefined;
    },
  });
  const reader = await client();
  await told(reader, 'SELECT INBOX');
  const said = await told(reader, 'NOOP');
  assert.equal(literalsOf(said)[0]?.length, INFECTED_MAIL.length);
  nothingOf(EICAR, said);
  await daemon.record(oddity('imap-unasked-content', 'server'));
  await daemon.record({ ...REMOVED, filename: 'bad.com' });
  const [slice] = literalsOf(await told(reader, 'CHECK'));
  assert.equal(slice?.length, 9);
  assert.notEqual(slice, INFECTED_MAIL.slice(20, 29));
});

const SERVERS: readonly (readonly [what: string, answer: string, code: string])[] = [
  ...['4294967296', '18446744073709551616', '-1', '00010'].map(
    (size) =>
      [
        `IMA-008: a server's literal of {${size}}`,
        `* 1 FETCH (BODY[] {${size}}\r\n${EICAR}`,
        'imap-literal-size',
      ] as const,
  ),
  ['IMA-019: a response to a command that was never sent', 'zz OK surprise\r\n', 'imap-unexpected-response'],
  ['IMA-019: a response that is said twice', 'a OK done\r\na OK again\r\n', 'imap-unexpected-response'],
  ['IMA-010: free text that ends like a literal', `* OK hello {68}\r\n${EICAR}`, 'imap-literal-in-text'],
  ['a line that is no response', `${EICAR}\r\n`, 'imap-malformed-response'],
];

for (const [what, answer, code] of SERVERS)
  test(`${what} ends the session, and the client gets nothing of it`, async (context) => {
    const script: MailboxScript = { answer: (command) => (command === 'a NOOP' ? answer : undefined) };
    const { daemon, client } = await mailboxRig(context, 'imap', script);
    const reader = await client();
    reader.say('a NOOP\r\n');
    await reader.gone();
    nothingOf(EICAR, reader.received);
    for (const word of ['surprise', 'again', 'hello']) assert.ok(!reader.received.includes(word));
    await daemon.record(oddity(code, 'server'));
    await daemon.record({ type: 'traffic', service: 'IMAP', action: 'close' });
  });

test('IMA-019: the answer to a command that comes before the command does not become its answer', async (context) => {
  const { daemon, client } = await mailboxRig(context, 'imap', {
    answer: (command) => (command === 'a NOOP' ? 'a OK done\r\nb OK [CAPABILITY IMAP4rev1] logged in\r\n' : undefined),
  });
  const reader = await client();
  await reader.ask('a NOOP');
  reader.say('b LOGIN alice secret\r\n');
  await reader.gone();
  assert.ok(!reader.received.includes('logged in'));
  await daemon.record(oddity('imap-unexpected-response', 'server'));
});

test('IMA-020: a referral to another server passes, and is noted', async (context) => {
  const { daemon, client } = await mailboxRig(context, 'imap', {
    answer: (command) =>
      command.includes(' LOGIN ')
        ? `${command.split(' ')[0]} NO [REFERRAL imap://mallory@attacker.test/] elsewhere\r\n`
        : undefined,
  });
  assert.match(await told(await client(), 'LOGIN alice secret'), /^t\d+ NO \[REFERRAL/);
  await daemon.record(oddity('imap-referral', 'server'));
});

test('a message in an attachment is taken apart wherever it is asked for', async (context) => {
  const inner = attached('inner.eml', Buffer.from(INFECTED_MAIL, 'latin1')).replace(
    'application/octet-stream',
    'message/rfc822',
  );
  const { daemon, client } = await mailboxRig(context, 'imap', { messages: [inner] });
  const reader = await client();
  await told(reader, 'SELECT INBOX');
  for (const items of ['BODY[2]', 'BODY[]', 'BODY[TEXT]<0.5000>', 'BINARY[2]', 'BODY[2]<100.400>']) {
    const said = await told(reader, `FETCH 1 (${items})`);
    nothingOf(folded(Buffer.from(EICAR)), said);
    nothingOf(EICAR, said);
  }
  await daemon.record(REMOVED);
});

test('IMA-022: sessions that idle cost little, and each hears at once what is new', async (context) => {
  const SESSIONS = 400;
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap', {
    answer: (command) => (command === 'a IDLE' ? '+ idling\r\n' : undefined),
  });
  const idle = async (count: number): Promise<WireClient[]> => {
    const clients = await Promise.all(Array.from({ length: count }, client));
    await Promise.all(clients.map((each) => each.ask('a IDLE')));
    return clients;
  };
  // What is loaded and allocated once.
  const clients = await idle(50);
  const before = resident(daemon.process.pid);
  clients.push(...(await idle(SESSIONS - 50)));
  const each = (resident(daemon.process.pid) - before) / (SESSIONS - 50);
  assert.ok(each < 150_000, `${each} bytes a session`);
  for (const { say } of mailbox.connections) say('* 7 EXISTS\r\n');
  await Promise.all(clients.map((one) => one.until('* 7 EXISTS\r\n')));
});
