/** What the profiles decide of messages in POP3 and IMAP: monitoring, sizes, archives that cannot be opened, messages in pieces. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { zipOf } from '../testing/archive-bytes.js';
import type { DaemonSetup } from '../testing/peers/daemon.js';
import { literalsOf, told } from '../testing/peers/imap-talk.js';
import { attached, INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { EICAR } from '../testing/peers/scanned.js';
import { dotted, type MailboxKind, mailboxRig } from '../testing/peers/scripted-mailbox.js';

/** FortiOS lines of the protocol's sections. */
interface Profile {
  readonly av?: readonly string[];
  readonly options?: readonly string[];
}

interface Outcome {
  /** What the client gets of it: as it is, or a text of this in a message as long. */
  readonly gets: 'all' | RegExp;
  readonly record: Readonly<Record<string, string>>;
}

const LARGE = attached('large.txt', Buffer.concat([Buffer.from(EICAR), Buffer.alloc(1_100_000, 'a line\n')]));
const LOCKED = attached('locked.zip', zipOf([{ name: 'a.txt', data: 'secret', flags: 1 }]));
const BROKEN = attached(
  'broken.gz',
  Buffer.concat([gzipSync(Buffer.alloc(5_000, 'text')).subarray(0, -6), Buffer.alloc(6)]),
);
const PIECE =
  'From: a@x.test\r\nMIME-Version: 1.0\r\nContent-Type: message/partial; id=abc; number=1; total=2\r\n\r\nSubject: whole\r\n\r\nhalf of it\r\n';
const OVERSIZE: Profile = { options: ['set oversize-limit 1', 'set options oversize'] };

const CASES: readonly (readonly [what: string, message: string, profile: Profile, outcome: Outcome])[] = [
  [
    'av-scan monitor lets an infected part pass, and logs it',
    INFECTED_MAIL,
    { av: ['set av-scan monitor'] },
    { gets: 'all', record: { eventtype: 'infected', action: 'monitored', filename: 'bad.com', logid: '0211008195' } },
  ],
  [
    'a part over the limit is removed where the profile says oversize',
    LARGE,
    OVERSIZE,
    {
      gets: /" is larger than may be inspected/,
      record: { eventtype: 'oversize', action: 'attachment-removed' },
    },
  ],
  [
    'a part over the limit passes unscanned where it does not, and is logged',
    LARGE,
    { options: ['set oversize-limit 1'] },
    { gets: 'all', record: { eventtype: 'oversize', action: 'passthrough', filename: 'large.txt' } },
  ],
  [
    'an encrypted archive is removed where archive-block names it',
    LOCKED,
    { av: ['set archive-block encrypted'] },
    {
      gets: /"locked\.zip" was blocked: .*encrypted/,
      record: { eventtype: 'scanerror', action: 'attachment-removed', filename: 'locked.zip' },
    },
  ],
  [
    'an encrypted archive passes where it does not, and is logged where archive-log names it',
    LOCKED,
    { av: ['set archive-log encrypted'] },
    { gets: 'all', record: { eventtype: 'scanerror', action: 'passthrough', filename: 'locked.zip' } },
  ],
  [
    'a corrupted archive is removed where archive-block names it',
    BROKEN,
    { av: ['set archive-block corrupted'] },
    {
      gets: /"broken\.gz" was blocked: .*corrupted/,
      record: { eventtype: 'scanerror', action: 'attachment-removed', filename: 'broken.gz' },
    },
  ],
  [
    'a corrupted archive passes where it does not, and is logged where archive-log names it',
    BROKEN,
    { av: ['set archive-log corrupted'] },
    { gets: 'all', record: { eventtype: 'scanerror', action: 'passthrough', filename: 'broken.gz' } },
  ],
  [
    'a piece of a message is not delivered',
    PIECE,
    {},
    { gets: /one piece of a message sent in pieces/, record: { eventtype: 'mimefragmented', logid: '0261008450' } },
  ],
  [
    'a piece of a message passes where the profile says fragmail, and is logged',
    PIECE,
    { options: ['set options fragmail'] },
    { gets: 'all', record: { eventtype: 'mimefragmented', action: 'passthrough', logid: '0261008451' } },
  ],
];

for (const kind of ['pop3', 'imap'] as const)
  for (const [what, message, profile, { gets, record }] of CASES)
    test(`${kind}: ${what}`, async (context) => {
      const { said, daemon } = await taken(context, kind, message, profile);
      if (gets === 'all') assert.equal(said, message);
      else {
        assert.match(said, gets);
        assert.equal(said.length, message.length);
        nothingOf(EICAR, said);
      }
      await daemon.record({ type: 'utm', service: kind.toUpperCase(), direction: 'incoming', ...record });
    });

/** In the protocol's sections. */
function setupOf(kind: MailboxKind, { av, options }: Profile): Partial<DaemonSetup> {
  const section = (lines: readonly string[] | undefined): string[] =>
    lines === undefined ? [] : [`config ${kind}`, ...lines, 'end'];
  return { av: section(av), options: ['set oversize-log enable', ...section(options)] };
}

/** The message as the client gets it. */
async function taken(context: TestContext, kind: MailboxKind, message: string, profile: Profile) {
  const { client, daemon } = await mailboxRig(context, kind, { messages: [message] }, setupOf(kind, profile));
  const reader = await client();
  if (kind === 'imap') return { said: literalsOf(await told(reader, 'FETCH 1 BODY[]'))[0] ?? '', daemon };
  const answer = await reader.ask('RETR 1', '\r\n.\r\n');
  const said = answer.slice(answer.indexOf('\n') + 1, -3).replace(/^\.\./gm, '.');
  assert.equal(answer, `+OK ${message.length} octets\r\n${dotted(said)}`);
  return { said, daemon };
}

for (const [what, message, profile, action] of [
  ['monitored, is stored as it is', INFECTED_MAIL, { av: ['set av-scan monitor'] }, 'monitored'],
  ['too large, is stored without the part', LARGE, OVERSIZE, 'attachment-removed'],
  ['in pieces, is stored as a text in its place', PIECE, {}, 'blocked'],
] satisfies readonly (readonly [string, string, Profile, string])[])
  test(`imap: a message that is appended, ${what}`, async (context) => {
    const { mailbox, daemon, client } = await mailboxRig(context, 'imap', {}, setupOf('imap', profile));
    const writer = await client();
    assert.match(await told(writer, `APPEND INBOX {${message.length}+}\r\n${message}`), / OK done/);
    const [stored = ''] = literalsOf((mailbox.heard[0] ?? '').replace('+}', '}'));
    assert.equal(stored.length, message.length);
    if (action === 'monitored') assert.equal(stored, message);
    else assert.notEqual(stored, message);
    await daemon.record({ type: 'utm', service: 'IMAP', direction: 'outgoing', action });
  });
