/**
 * Messages in IMAP taken to pieces at random: sections, slices, decoded parts, by number and UID, several commands at once. What a client can put
 * together of an infected one is never that, and what is clean is as it was, wherever it was cut.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sectionOf } from '../testing/peers/mailbox-fetch.js';
import { attached, CLEAN_MAIL, folded, INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { EICAR } from '../testing/peers/scanned.js';
import { mailboxRig } from '../testing/peers/scripted-mailbox.js';
import { SeededRandom } from '../testing/random.js';

const MESSAGES = [
  INFECTED_MAIL,
  CLEAN_MAIL,
  attached('again.com', Buffer.from(EICAR)).replace('hello', 'a longer text in front of it\r\n'.repeat(40)),
  attached('large.txt', Buffer.from('A line of some text.\r\n'.repeat(900))),
];
const CLEAN = new Set([2, 4]);
const SECTIONS = ['', 'TEXT', '1', '2', '2.MIME', 'HEADER', '3'];

/** What came of each message and section, byte by byte; a space where nothing did. */
type Pieces = Map<string, string[]>;

const FOUND = /\* (\d+) FETCH|(?:(BODY|BINARY)\[([^\]]*)\](?:<(\d+)>)?|RFC822) ~?\{(\d+)\}\r\n/g;

function collect(said: string, into: Pieces): number {
  let message = '';
  let literals = 0;
  FOUND.lastIndex = 0;
  for (let found = FOUND.exec(said); found !== null; found = FOUND.exec(said)) {
    const [, number, word = 'BODY', section = '', origin = '0', size] = found;
    if (size === undefined) {
      message = number ?? '';
      continue;
    }
    const start = FOUND.lastIndex;
    const key = `${message} ${word} ${section}`;
    const bytes = into.get(key) ?? [];
    into.set(key, bytes);
    for (let at = 0; at < Number(size); at++) bytes[Number(origin) + at] = said[start + at] ?? '';
    FOUND.lastIndex = start + Number(size);
    literals++;
  }
  return literals;
}

function items(random: SeededRandom): string {
  return Array.from({ length: 1 + random.below(2) }, () => {
    const slice = random.once(3)
      ? ''
      : `<${random.below(random.pick([60, 600, 30_000]))}.${1 + random.below(random.pick([9, 90, 20_000]))}>`;
    if (random.once(8)) return 'RFC822';
    if (random.once(6)) return `BINARY.PEEK[2]${slice}`;
    const section = random.pick(SECTIONS);
    return `BODY${random.pick(['', '.PEEK'])}[${section}]${/MIME|HEADER/.test(section) ? '' : slice}`;
  }).join(' ');
}

for (const seed of [1, 2, 3])
  test(`IMA-003, IMA-004: random pieces of messages, run ${seed}, never make up what is infected`, async (context) => {
    const random = new SeededRandom(seed);
    const { daemon, client } = await mailboxRig(context, 'imap', { messages: MESSAGES, offers: 'IMAP4rev1 BINARY' });
    const pieces: Pieces = new Map();
    let literals = 0;
    for (let session = 0; session < 8; session++) {
      const reader = await client();
      reader.say('s SELECT INBOX\r\n');
      await reader.until('s OK [READ-WRITE] done\r\n');
      for (let batch = 0; batch < 12; batch++) {
        const commands = Array.from({ length: 1 + random.below(4) }, (_, at) => {
          const number = 1 + random.below(MESSAGES.length);
          const set = random.once(4) ? `${number},${1 + random.below(MESSAGES.length)}` : `${number}`;
          const which = random.once(2) ? `FETCH ${set}` : `UID FETCH ${set.replace(/\d/g, '10$&')}`;
          return `c${at} ${which} (${random.once(3) ? 'FLAGS ' : ''}${items(random)})\r\n`;
        });
        reader.say(commands.join(''));
        for (const [at] of commands.entries()) {
          const said = (await reader.until(`c${at} `)) + (await reader.until('\r\n'));
          assert.match(said, /c\d (OK done|NO \[CANNOT\][^\r]*)\r\n$/, commands.join(''));
          literals += collect(said, pieces);
        }
      }
      nothingOf(EICAR, reader.received);
      reader.reset();
    }
    assert.ok(literals > 150, `${literals}`);
    for (const [key, bytes] of pieces) {
      const [number = '', word, section = ''] = key.split(' ');
      const joined = Array.from(bytes, (byte) => byte ?? ' ').join('');
      nothingOf(EICAR, joined);
      nothingOf(folded(Buffer.from(EICAR)), joined);
      if (!CLEAN.has(Number(number))) continue;
      const body = sectionOf(MESSAGES[Number(number) - 1] ?? '', section);
      const whole = word === 'BINARY' ? Buffer.from(body, 'base64').toString('latin1') : body;
      for (const [at, byte] of bytes.entries())
        if (byte !== undefined) assert.equal(byte, whole[at], `${key} at ${at}`);
    }
    await daemon.record({ action: 'attachment-removed', virus: 'EICAR_TEST_FILE' });
    assert.doesNotMatch(daemon.said(), /Error/);
  });
