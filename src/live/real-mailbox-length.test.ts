/**
 * What is removed from a message of POP3 and IMAP is replaced at its length: every size that Dovecot announced stays true, whatever it is asked for,
 * and what is not infected is as it was, byte for byte.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { PYTHON } from '../testing/peers/aiosmtpd.js';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { startDovecot } from '../testing/peers/dovecot.js';
import { curled, imapDump, pop3Dump } from '../testing/peers/mailbox-dumps.js';
import { nothingOf } from '../testing/peers/mailbox-messages.js';
import { message, partsOf } from '../testing/peers/messages.js';
import { freePort, peerTest } from '../testing/peers/peers.js';
import { EICAR, infected } from '../testing/peers/scanned.js';

const DOVECOT = ['dovecot', 'doveadm', '/usr/lib/dovecot/imap'];
const PARTS = partsOf('mail');
const DELIMITER = '\r\n--=_one.two';
const CLEAN = message(
  'clean',
  PARTS.filter(({ name }) => !infected(name)),
);
const MIXED = message('mixed', PARTS);
/** The message is its only part. */
const SINGLE = `From: Alice <alice@example.test>\nSubject: single\nMIME-Version: 1.0\nContent-Type: application/octet-stream; name="alone-eicar.com"\nContent-Transfer-Encoding: base64\n\n${Buffer.from(EICAR).toString('base64')}\n`;
/** What the client reads in place of a part, filled. */
const MESSAGE = 'config system replacemsg mail "email-virus"\n    set buffer "Gone: %%FILE%%, %%VIRUS%%."\nend\n';
const gone = (name: string): string => `Gone: ${name}, EICAR_TEST_FILE.`;

interface Both {
  readonly direct: number;
  readonly through: number;
  readonly daemon: RunningDaemon;
}

async function both(context: TestContext, kind: 'pop3' | 'imap'): Promise<Both> {
  const direct = await freePort();
  await startDovecot(context, { [kind]: direct }, [CLEAN, MIXED, SINGLE]);
  const daemon = await startDaemon(context, { doors: [{ kind, to: direct }], sections: MESSAGE });
  return { direct, through: daemon.ports[0] ?? 0, daemon };
}

/** The message is as it was, but for its infected parts, which say what was there and, where it was announced, are as long as they were. */
function mended(was: string, is: string, announced = true): void {
  if (announced) assert.equal(is.length, was.length);
  const [before, after] = [was.split(DELIMITER), is.split(DELIMITER)];
  assert.equal(after.length, before.length);
  for (const [at, part] of before.entries()) {
    // The first is what stands before the parts, the last what ends them.
    const name = PARTS[at - 1]?.name ?? '';
    const now = after[at] ?? '';
    if (!infected(name)) assert.equal(now, part, name);
    else {
      if (announced) assert.equal(now.length, part.length, name);
      assert.match(now, /^\r\nContent-Type: text\/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n/);
      assert.ok(now.includes(`\r\n\r\n${gone(name)}\r\n`), now.slice(0, 200));
      assert.match(now.slice(now.indexOf(gone(name)) + gone(name).length), /^[\r\n ]*$/);
    }
  }
  nothingOf(EICAR, is);
}

/** What stands in place of the whole of SINGLE: its mail fields are written again, and all ends where it ended. */
function replaced(was: string, is: string): void {
  assert.equal(is.length, was.length);
  assert.match(is, /^From: alice@example\.test\r\nSubject: single\r\nMIME-Version: 1\.0\r\nContent-Type: text\/plain/);
  assert.ok(is.includes(`\r\n\r\n${gone('alone-eicar.com')}\r\n`), is);
  assert.match(is, /\r\n$/);
}

async function removed(daemon: RunningDaemon, service: string): Promise<void> {
  for (const { name } of PARTS.filter((part) => infected(part.name))) {
    const record = await daemon.record({ filename: name, service, virus: 'EICAR_TEST_FILE' });
    assert.equal(record.get('action'), 'attachment-removed');
    assert.equal(record.get('logid'), '0211008194');
    assert.equal(record.get('direction'), 'incoming');
  }
}

peerTest(
  'poplib: STAT, LIST and RETR stay true; clean mail and clean parts are as they were',
  [...DOVECOT, PYTHON],
  async (context) => {
    const { direct, through, daemon } = await both(context, 'pop3');
    const [was, is] = [pop3Dump(context, direct), pop3Dump(context, through)];
    assert.deepEqual(is.sizes, was.sizes);
    for (const way of ['messages', 'tops'] as const) {
      assert.equal(is[way][0], was[way][0]);
      // Nobody announces how long what TOP brings will be.
      mended(was[way][1] ?? '', is[way][1] ?? '', way === 'messages');
    }
    replaced(was.messages[2] ?? '', is.messages[2] ?? '');
    const octets = /\+OK (\d+) octets/.exec(is.sizes.at(-1) ?? '')?.[1];
    assert.equal(is.messages[2]?.length, Number(octets));
    await removed(daemon, 'POP3');
  },
);

peerTest(
  'imaplib: RFC822.SIZE, BODYSTRUCTURE and ranges stay true; clean mail and clean parts are as they were',
  [...DOVECOT, PYTHON],
  async (context) => {
    const { direct, through, daemon } = await both(context, 'imap');
    const count = PARTS.length - PARTS.filter(({ name }) => infected(name)).length;
    const [was, is] = [imapDump(context, direct, count), imapDump(context, through, count)];
    assert.deepEqual(is.told, was.told);
    for (const way of ['messages', 'ranges'] as const) {
      assert.equal(is[way][0], was[way][0]);
      mended(was[way][1] ?? '', is[way][1] ?? '');
      assert.equal(is[way][1]?.length, Number(/RFC822\.SIZE (\d+)/.exec(is.told[1] ?? '')?.[1]));
    }
    assert.deepEqual(is.ranges, is.messages);
    replaced(was.messages[2] ?? '', is.messages[2] ?? '');
    assert.deepEqual(is.parts[0], was.parts[0]);
    for (const [at, part] of (was.parts[1] ?? []).entries()) {
      const now = is.parts[1]?.[at] ?? '';
      const { name } = PARTS[at] ?? { name: '' };
      // BODYSTRUCTURE told its size.
      assert.equal(now.length, part.length, name);
      if (!infected(name)) assert.equal(now, part, name);
      else assert.ok(now.includes(gone(name).slice(0, now.length - 4)), now);
      nothingOf(EICAR, now);
    }
    await removed(daemon, 'IMAP');
  },
);

peerTest(
  'curl: what it writes is as long as without us, and true to the byte where it is clean',
  [...DOVECOT, 'curl', PYTHON],
  async (context) => {
    const pop3 = await both(context, 'pop3');
    for (const path of ['', '1'])
      assert.equal(curled(context, 'pop3', pop3.through, path), curled(context, 'pop3', pop3.direct, path));
    mended(curled(context, 'pop3', pop3.direct, '2'), curled(context, 'pop3', pop3.through, '2'));
    const imap = await both(context, 'imap');
    const clean = [
      '',
      'INBOX;MAILINDEX=1',
      'INBOX;UID=1;SECTION=1',
      'INBOX;MAILINDEX=2;SECTION=HEADER',
      'INBOX;MAILINDEX=2;SECTION=1',
    ];
    for (const path of clean)
      assert.equal(curled(context, 'imap', imap.through, path), curled(context, 'imap', imap.direct, path), path);
    mended(
      curled(context, 'imap', imap.direct, 'INBOX;MAILINDEX=2'),
      curled(context, 'imap', imap.through, 'INBOX;MAILINDEX=2'),
    );
    for (const path of ['INBOX;MAILINDEX=2;SECTION=2', 'INBOX;UID=2;SECTION=3', 'INBOX;UID=2;SECTION=TEXT']) {
      const now = curled(context, 'imap', imap.through, path);
      assert.equal(now.length, curled(context, 'imap', imap.direct, path).length, path);
      nothingOf(EICAR, now);
    }
  },
);
