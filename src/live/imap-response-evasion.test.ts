/** IMAP servers that put a message where no reader of ours would look for it: whatever a lenient client makes of the response, nothing infected is in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sectionOf } from '../testing/peers/mailbox-fetch.js';
import { INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { EICAR } from '../testing/peers/scanned.js';
import { mailboxRig } from '../testing/peers/scripted-mailbox.js';

const MESSAGE = `{${INFECTED_MAIL.length}}\r\n${INFECTED_MAIL}`;
const QUOTED = `"${sectionOf(INFECTED_MAIL, '2').replaceAll('\r\n', '')}"`;

const FORMS: readonly string[] = [
  ...[
    '(FLAGS (BODY[] @))',
    '(FLAGS (\\Seen BODY[] @)',
    '(BODY[](@))',
    'BODY[] @',
    ' (BODY[] @)',
    '(BODY[]<0> @)',
    '(X @)',
    '(BODY[] ~@)',
  ].map((each) => `* 1 FETCH ${each.replace('@', MESSAGE)}`),
  ...[
    '*  1 FETCH (BODY[] @)',
    '* 1  FETCH (BODY[] @)',
    '* 1 FETCHED (BODY[] @)',
    '* X (BODY[] @)',
    '* 1 EXISTS (BODY[] @)',
    '* FETCH (BODY[] @)',
  ].map((each) => each.replace('@', MESSAGE)),
  // A header with a body, which clients put in front of a text.
  ...[
    'BODY[HEADER]',
    'RFC822.HEADER',
    'BODY[HEADER.FIELDS (FROM SUBJECT)]',
    'BODY[2.MIME]',
    'BODY[2.HEADER]',
    'PREVIEW',
    'INTERNALDATE',
  ].map((item) => `* 1 FETCH (${item} ${MESSAGE})`),
  `* 1 FETCH (ENVELOPE (${MESSAGE} NIL))`,
  ...[
    '(BODY[2] @)',
    'BODY[2] @',
    ' (BODY[2] @)',
    '(BODY[2]  @)',
    '(FLAGS (BODY[2] @))',
    '(BODY[2]<0> @)',
    '(FLAGS (\\Seen BODY[2] @',
    '(RFC822.TEXT @)',
    '(BINARY[2] @)',
    '(FLAGS (a) x) (BODY[2] @)',
  ].map((each) => `* 1 FETCH ${each.replace('@', QUOTED)}`),
  ...[
    '* 1  FETCH (BODY[2] @)',
    '* 1 UIDFETCH (BODY[2] @)',
    '* 1 EXISTS (BODY[2] @)',
    '* FETCH (BODY[2] @)',
    '*  1 FETCH (BODY[2] @)',
  ].map((each) => each.replace('@', QUOTED)),
];

test('IMA-007, IMA-010: a message in an odd place of a response is judged, or the session ends', async (context) => {
  let form = '';
  const { client } = await mailboxRig(context, 'imap', {
    messages: [INFECTED_MAIL],
    answer: (command) => (command === 'a FETCH 1 BODY[]' ? `${form}\r\na OK done\r\n` : undefined),
  });
  const leaks: string[] = [];
  for (form of FORMS) {
    const reader = await client();
    reader.say('a FETCH 1 BODY[]\r\n');
    await reader.until('a OK done\r\n').catch(() => reader.gone());
    try {
      nothingOf(EICAR, reader.received);
    } catch {
      leaks.push(form.slice(0, 60));
    }
    reader.reset();
  }
  assert.deepEqual(leaks, []);
});
