/** Clients of IMAP that misbehave, and sessions around TLS, before the daemon: what the server hears, what the client is told, what the log has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { mail } from '../testing/ambiguous-mail.js';
import { literalsOf, told } from '../testing/peers/imap-talk.js';
import { CLEAN_MAIL, INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { peerTest } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';
import { type MailboxScript, mailboxRig, oddity } from '../testing/peers/scripted-mailbox.js';

const STORED = { action: 'attachment-removed', service: 'IMAP', direction: 'outgoing', virus: 'EICAR_TEST_FILE' };
const TLS: MailboxScript = {
  offers: 'IMAP4rev1 STARTTLS',
  messages: [INFECTED_MAIL],
  answer(command, connection) {
    if (!command.endsWith(' STARTTLS')) return undefined;
    connection.say(`${command.split(' ')[0]} OK begin\r\n`);
    connection.startTls();
    return '';
  },
};

for (const size of ['4294967296', '18446744073709551616', '-1', '00010'])
  test(`IMA-008: a client's literal of {${size}} ends the session, and the server hears nothing of it`, async (context) => {
    const { mailbox, daemon, client } = await mailboxRig(context, 'imap');
    const writer = await client();
    writer.say(`a APPEND INBOX {${size}}\r\n`);
    await writer.gone();
    assert.deepEqual(mailbox.heard, []);
    await daemon.record(oddity('imap-literal-size', 'client'));
  });

for (const [offers, size] of [
  ['IMAP4rev1 LITERAL-', 5000],
  ['IMAP4rev1', 10],
] as const)
  test(`IMA-009: {${size}+} where the server offers ${offers} ends the session`, async (context) => {
    const { mailbox, daemon, client } = await mailboxRig(context, 'imap', { offers });
    const writer = await client();
    await told(writer, 'CAPABILITY');
    writer.say(`a APPEND INBOX {${size}+}\r\n${'x'.repeat(size)}\r\n`);
    await writer.gone();
    assert.equal(mailbox.heard.length, 1);
    await daemon.record(oddity('imap-literal-not-offered', 'client'));
  });

test('IMA-010: literals in LOGIN, SELECT and lists, and quotes within quotes, are to the server what they are to us', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap', { messages: [INFECTED_MAIL] });
  const reader = await client();
  const commands = [
    'a LOGIN {5}\r\nalice {6+}\r\nse"c}t',
    'b SELECT {5}\r\nINBOX',
    'c LOGIN "al\\"i\\\\ce {5}" "x"',
    'd FETCH 1 (BODY.PEEK[HEADER.FIELDS ({7}\r\nSUBJECT "FROM")])',
    'e FETCH 1 (BODY.PEEK[])',
  ];
  for (const command of commands) {
    reader.say(`${command}\r\n`);
    await reader.until(`${command[0]} OK `);
    await reader.until('\r\n');
  }
  assert.deepEqual(mailbox.heard, commands);
  nothingOf(EICAR, reader.received);
  await daemon.record({ action: 'attachment-removed', filename: 'bad.com' });
});

test('IMA-010: quotes that go on over the line end are refused, and so is each of the lines that they would make', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap');
  const reader = await client();
  reader.say('a LOGIN "alice\r\nb NOOP" secret\r\nc NOOP\r\n');
  const said = await reader.until('c OK done\r\n');
  assert.match(said, /^\S+ BAD [^\r]*\r\n\S+ BAD [^\r]*\r\nc OK done\r\n$/);
  assert.deepEqual(mailbox.heard, ['c NOOP']);
  await daemon.record(oddity('imap-malformed-command', 'client'));
});

const gzipped = gzipSync(Buffer.from(EICAR)).toString('latin1');
const BINARY_MAIL = mail(['Content-Type: application/gzip; name=bad.gz', 'Content-Transfer-Encoding: binary'], gzipped);
const STORES: readonly (readonly [what: string, parts: readonly string[], infected: readonly number[]])[] = [
  ['IMA-013: APPEND of an infected message', [INFECTED_MAIL], [0]],
  ['IMA-013: MULTIAPPEND with an infected second message', [CLEAN_MAIL, INFECTED_MAIL, CLEAN_MAIL], [1]],
  ['IMA-012: APPEND of a binary literal with NUL', [BINARY_MAIL], [0]],
];

for (const [what, messages, infected] of STORES)
  for (const plus of ['', '+'])
    test(`${what}, in {n${plus}}: the part is removed on the way, at its length; the rest reaches the server as it is`, async (context) => {
      const { mailbox, daemon, client } = await mailboxRig(context, 'imap', {
        offers: 'IMAP4rev1 LITERAL+ BINARY MULTIAPPEND',
      });
      const writer = await client();
      const tilde = messages[0] === BINARY_MAIL ? '~' : '';
      writer.say('a APPEND INBOX');
      for (const message of messages) {
        writer.say(` (\\Seen) ${tilde}{${message.length}${plus}}\r\n`);
        if (plus === '') await writer.until('+ ');
        // Nobody hears of a message before it is judged.
        assert.deepEqual(mailbox.heard, []);
        writer.say(message);
      }
      writer.say('\r\n');
      await writer.until('a OK done\r\n');
      const [command = ''] = mailbox.heard;
      const stored = literalsOf(command.replaceAll('+}\r\n', '}\r\n'));
      assert.deepEqual(
        stored.map((each) => each.length),
        messages.map((each) => each.length),
      );
      for (const [at, message] of messages.entries())
        if (!infected.includes(at)) assert.equal(stored[at], message);
        else
          assert.match(
            stored[at] ?? '',
            /An attachment was removed\. "bad\.(com|gz)" carried the virus "EICAR_TEST_FILE"\./,
          );
      nothingOf(EICAR, command);
      nothingOf(gzipped, command);
      await daemon.record(STORED);
    });

test('IMA-013: CATENATE is refused before or behind its first piece, and its pieces never reach the server', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap');
  const writer = await client();
  writer.say('a APPEND INBOX CATENATE (URL "/INBOX/;UID=20/;SECTION=1" TEXT {5}\r\n');
  assert.match(await writer.until('\r\n'), /^a NO /);
  writer.say('b APPEND INBOX (\\Seen) {5+}\r\na\r\n\r\n CATENATE (TEXT {5+}\r\nhello URL "/INBOX/;UID=20")\r\n');
  assert.match(await writer.until('\r\n'), /^b NO Messages are not put together here/);
  assert.match(await told(writer, 'NOOP'), / OK done/);
  assert.equal(mailbox.heard.length, 1);
  await daemon.record(oddity('imap-command-refused', 'client'));
});

const HIDDEN = ['COMPRESS=DEFLATE', 'URLAUTH', 'CONVERT', 'NOTIFY', 'REPLACE', 'CATENATE', 'X-NEW', 'AUTH=GSSAPI'];
const SHOWN = ['PREVIEW', 'OBJECTID', 'UTF8=ACCEPT', 'ENABLE', 'IDLE'];

test('IMA-015, IMA-016: COMPRESS and extensions that carry messages past us are hidden wherever they are told, and refused', async (context) => {
  const offers = ['IMAP4rev1', ...HIDDEN, ...SHOWN].join(' ');
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap', {
    offers,
    greeting: `* OK [CAPABILITY ${offers}] here\r\n`,
    answer: (command) =>
      / LOGIN /.test(command) ? `${command.split(' ')[0]} OK [CAPABILITY ${offers}] in\r\n` : undefined,
  });
  const reader = await client();
  await told(reader, 'CAPABILITY');
  await told(reader, 'LOGIN alice secret');
  const said = reader.received.toString();
  for (const word of HIDDEN) assert.ok(!said.includes(word), word);
  for (const word of SHOWN) assert.equal(said.split(word).length, 4, word);
  assert.match(await told(reader, 'COMPRESS DEFLATE'), /^t\d+ NO /);
  const refused = [
    'GENURLAUTH "imap://alice@x.test/INBOX/;uid=20" INTERNAL',
    'URLFETCH "imap://alice@x.test/INBOX/;uid=20"',
    'CONVERT 1 ("text/plain" NIL) BINARY[2]',
    'UID CONVERT 1 ("text/plain" NIL) BINARY[2]',
    'NOTIFY SET (SELECTED (MessageNew (BODY[])))',
    'REPLACE 4 Sent (\\Seen) {5}',
    'XNEW',
  ];
  for (const command of refused) assert.match(await told(reader, command), /^t\d+ BAD /, command);
  assert.match(await told(reader, 'AUTHENTICATE GSSAPI'), /^t\d+ NO /);
  assert.match(await told(reader, 'ENABLE UTF8=ACCEPT'), / OK done/);
  assert.deepEqual(
    mailbox.heard.map((each) => each.split(' ')[1]),
    ['CAPABILITY', 'LOGIN', 'ENABLE'],
  );
  await daemon.record(oddity('imap-command-refused', 'client'));
});

test('IMA-016: a message that is stored as UTF8 (~{n}) is judged, and what extensions tell of one is shown', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap', {
    answer: (command) =>
      command.includes('PREVIEW')
        ? `* 1 FETCH (PREVIEW {5}\r\nhello EMAILID (M1))\r\n${command.split(' ')[0]} OK done\r\n`
        : undefined,
  });
  const writer = await client();
  await told(writer, 'ENABLE UTF8=ACCEPT');
  assert.match(await told(writer, 'FETCH 1 (PREVIEW EMAILID)'), /PREVIEW \{5\}\r\nhello EMAILID \(M1\)/);
  assert.match(await told(writer, `APPEND INBOX UTF8 (~{${INFECTED_MAIL.length}+}\r\n${INFECTED_MAIL})`), / OK done/);
  nothingOf(EICAR, mailbox.heard.at(-1) ?? '');
  await daemon.record(STORED);
});

test('IMA-017: PREAUTH, which leaves no room for STARTTLS, is noted and shown, and the session is inspected as any other', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap', {
    greeting: '* PREAUTH [CAPABILITY IMAP4rev1] you are in\r\n',
    messages: [INFECTED_MAIL],
    answer: (command) => (command.endsWith(' STARTTLS') ? `${command.split(' ')[0]} BAD signed in\r\n` : undefined),
  });
  const reader = await client();
  // A client that insists on TLS sees that it gets none, and says nothing more.
  assert.match(reader.received.toString(), /^\* PREAUTH /);
  assert.match(await told(reader, 'STARTTLS'), / BAD signed in/);
  nothingOf(EICAR, await told(reader, 'FETCH 1 BODY[]'));
  assert.equal(mailbox.heard.length, 2);
  await daemon.record(oddity('imap-preauth', 'server'));
});

peerTest(
  'IMA-018: what was told of parts and literals before STARTTLS counts no more behind it',
  ['openssl'],
  async (context) => {
    const lies = [
      '* CAPABILITY IMAP4rev1 LITERAL+\r\n',
      '* 1 FETCH (UID 101 BODYSTRUCTURE (("text" "plain" NIL NIL NIL "7bit" 7 1)("text" "plain" NIL NIL NIL "7bit" 92 2) "mixed"))\r\n',
    ];
    const { mailbox, daemon, client } = await mailboxRig(context, 'imap', {
      ...TLS,
      answer(command, connection) {
        if (command.endsWith(' NOOP')) return `${lies.join('')}${command.split(' ')[0]} OK done\r\n`;
        return TLS.answer?.(command, connection);
      },
    });
    const reader = await client();
    await told(reader, 'NOOP');
    await told(reader, 'STARTTLS');
    await reader.startTls();
    const said = await told(reader, 'FETCH 1 BODY[2]');
    assert.match(said, /An attachment was removed/);
    nothingOf(EICAR, said);
    // We asked again ourselves.
    assert.ok(mailbox.heard.some((each) => each.includes('FETCH 1 (UID BODYSTRUCTURE)')));
    await daemon.record({ action: 'attachment-removed', service: 'IMAPS', filename: 'bad.com' });
    await told(reader, 'CAPABILITY');
    reader.say('z APPEND INBOX {4+}\r\na\r\n\r\n\r\n');
    await reader.gone();
    await daemon.record(oddity('imap-literal-not-offered', 'client'));
  },
);

peerTest(
  'IMA-018: what a server says in clear behind its OK to STARTTLS is not heard',
  ['openssl'],
  async (context) => {
    const { client } = await mailboxRig(context, 'imap', {
      ...TLS,
      answer: (command) =>
        command.endsWith(' STARTTLS') ? `${command.split(' ')[0]} OK begin\r\n* OK injected\r\n` : undefined,
    });
    const reader = await client();
    reader.say('a STARTTLS\r\n');
    await reader.gone();
    assert.ok(!reader.received.includes('injected'));
  },
);

test('IMA-021: a command in clear behind STARTTLS never reaches the server, and the session ends', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap', TLS);
  const reader = await client();
  reader.say('a STARTTLS\r\nb LOGIN mallory secret\r\n');
  await reader.gone();
  assert.deepEqual(mailbox.heard, ['a STARTTLS']);
  await daemon.record({ type: 'traffic', action: 'close' });
});

test('IMA-022: DONE in pieces ends IDLE; what is new meanwhile passes at once', async (context) => {
  const { mailbox, client } = await mailboxRig(context, 'imap', {
    answer(command, { say }) {
      if (command !== 'a IDLE' && command !== 'DONE') return undefined;
      if (command === 'DONE') return 'a OK done\r\n';
      say('+ idling\r\n');
      return '';
    },
  });
  const reader = await client();
  await reader.ask('a IDLE');
  for (const number of [1, 2, 3]) {
    mailbox.connections[0]?.say(`* ${number} EXISTS\r\n`);
    await reader.until(`* ${number} EXISTS\r\n`);
  }
  for (const piece of ['D', 'ON', 'E\r', '\n']) {
    reader.say(piece);
    mailbox.connections[0]?.say('* 4 EXISTS\r\n');
    await reader.until('* 4 EXISTS\r\n');
  }
  await reader.until('a OK done\r\n');
  assert.match(await told(reader, 'NOOP'), / OK done/);
});

test('IMA-024: tags that are none get BAD; names of mailboxes are bytes', async (context) => {
  const { mailbox, daemon, client } = await mailboxRig(context, 'imap');
  const reader = await client();
  for (const tag of ['*', '+', 'a{', 'a'.repeat(8192), '\xe9', 'a"b', ''])
    assert.match(await reader.ask(`${tag} NOOP`), /^\* BAD /, tag.slice(0, 10));
  const selects = ['SELECT "&AOk-t&AOk-"', 'SELECT "\xc3\xa9t\xc3\xa9"', 'LIST "" "\xff\xfe*%"'];
  for (const select of selects) assert.match(await told(reader, select), / OK/);
  assert.deepEqual(
    mailbox.heard.map((each) => each.slice(each.indexOf(' ') + 1)),
    selects,
  );
  await daemon.record(oddity('imap-malformed-command', 'client'));
});
