/** Connections of POP3 and IMAP that end where they should not, through the daemon: reset at every byte, half closed by either end or both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLEAN_MAIL, INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { EICAR } from '../testing/peers/scanned.js';
import { type MailboxKind, mailboxRig } from '../testing/peers/scripted-mailbox.js';
import { WireClient } from '../testing/peers/wire-client.js';

interface Session {
  readonly commands: readonly (readonly [line: string, end: string])[];
  /** The answer that brings the infected message, and the one that brings the clean one. */
  readonly infected: number;
  readonly clean: number;
}

const SESSIONS: Readonly<Record<MailboxKind, Session>> = {
  pop3: {
    commands: [
      ['USER alice', '\r\n'],
      ['LIST', '\r\n.\r\n'],
      ['RETR 1', '\r\n.\r\n'],
      ['RETR 2', '\r\n.\r\n'],
      ['QUIT', '\r\n'],
    ],
    infected: 2,
    clean: 3,
  },
  imap: {
    commands: [
      ['a LOGIN alice secret', '\r\n'],
      ['b SELECT INBOX', 'b OK [READ-WRITE] done\r\n'],
      ['c UID FETCH 101 (FLAGS BODY[])', 'c OK done\r\n'],
      ['d FETCH 2 (FLAGS BODY[])', 'd OK done\r\n'],
      ['e LOGOUT', 'e OK done\r\n'],
    ],
    infected: 2,
    clean: 3,
  },
};

/** The answers that came whole. */
async function played(client: WireClient, { commands }: Session): Promise<string[]> {
  const answers: string[] = [];
  try {
    answers.push(await client.until('\r\n'));
    for (const [line, end] of commands) answers.push(await client.ask(line, end));
  } catch {
    // It was cut.
  }
  return answers;
}

for (const kind of ['pop3', 'imap'] as const)
  test(`FLT-014: ${kind}: where the server resets at any byte, the client sees that, and of a message that is not whole nothing`, async (context) => {
    const session = SESSIONS[kind];
    let most = Number.POSITIVE_INFINITY;
    const { daemon, client } = await mailboxRig(context, kind, {
      messages: [INFECTED_MAIL, CLEAN_MAIL],
      cut: () => most,
    });
    const port = daemon.ports[0] ?? 0;
    // What the server says, and when which answer is complete.
    const whole = await played(await WireClient.dial(context, port), session);
    assert.equal(whole.length, session.commands.length + 1);
    const all = whole.join('');
    const upTo = (answer: number): number => whole.slice(0, answer + 2).join('').length;
    const clean = all.slice(upTo(session.clean - 1), upTo(session.clean));
    for (most = 1; most < all.length; most++) {
      const one = await WireClient.dial(context, port);
      const answers = await played(one, session);
      const where = `at byte ${most}`;
      await one.gone();
      assert.deepEqual(answers, whole.slice(0, answers.length), where);
      const said = one.received.toString('latin1');
      assert.ok(all.startsWith(said), where);
      assert.ok(said.length <= most, where);
      // A message is there as a whole or not at all, and what was complete is there.
      if (most < upTo(session.infected) - (kind === 'imap' ? 13 : 0)) assert.ok(!said.includes('From: a@x.test'), where);
      if (!said.includes(clean)) assert.ok(!said.includes('nothing bad'), where);
      nothingOf(EICAR, said);
    }
    await daemon.record({ type: 'traffic', action: 'server-rst' });
    const cut = daemon.records().filter((each) => each.get('eventtype') === 'scanerror');
    assert.ok(cut.length > 200, String(cut.length));
    most = Number.POSITIVE_INFINITY;
    await client();
    assert.doesNotMatch(daemon.said(), /Error/);
  });
