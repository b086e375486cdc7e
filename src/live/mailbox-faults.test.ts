/** Connections of POP3 and IMAP that end where they should not, through the daemon: reset at every byte, half closed by either end or both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLEAN_MAIL, INFECTED_MAIL, nothingOf } from '../testing/peers/mailbox-messages.js';
import { EICAR } from '../testing/peers/scanned.js';
import { type MailboxKind, mailboxRig } from '../testing/peers/scripted-mailbox.js';
import { WireClient } from '../testing/peers/wire-client.js';

interface Session {
  readonly commands: readonly (readonly [line: string, end: string])[];
  /** The answers that bring messages, and what stands behind one in them. */
  readonly messages: readonly number[];
  readonly behind: number;
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
    messages: [2, 3],
    behind: 0,
  },
  imap: {
    commands: [
      ['a LOGIN alice secret', '\r\n'],
      ['b SELECT INBOX', 'b OK [READ-WRITE] done\r\n'],
      ['c UID FETCH 101 (FLAGS BODY[])', 'c OK done\r\n'],
      ['d FETCH 2 (FLAGS BODY[])', 'd OK done\r\n'],
      ['e LOGOUT', 'e OK done\r\n'],
    ],
    messages: [2, 3],
    behind: ')\r\nc OK done\r\n'.length,
  },
};

const UNAVAILABLE = /^(?:-ERR \[SYS\/TEMP\]|\* BYE \[UNAVAILABLE\]) [^\r]*\r\n$/;

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
    for (most = 1; most < all.length; most++) {
      const one = await WireClient.dial(context, port);
      const answers = await played(one, session);
      const where = `at byte ${most}`;
      await one.gone();
      const said = one.received.toString('latin1');
      // It may be gone before it counts as reached.
      if (most <= (whole[0] ?? '').length && UNAVAILABLE.test(said)) continue;
      assert.deepEqual(answers, whole.slice(0, answers.length), where);
      assert.ok(all.startsWith(said), where);
      assert.ok(said.length <= most, where);
      // A message is there as a whole or not at all.
      const complete = session.messages.filter((answer) => most >= upTo(answer) - session.behind);
      assert.ok(said.split('From: a@x.test').length - 1 <= complete.length, where);
      nothingOf(EICAR, said);
    }
    await daemon.record({ type: 'traffic', action: 'server-rst' });
    const cut = daemon.records().filter((each) => each.get('eventtype') === 'scanerror');
    assert.ok(cut.length > 200, String(cut.length));
    most = Number.POSITIVE_INFINITY;
    await client();
    assert.doesNotMatch(daemon.said(), /Error/);
  });

for (const kind of ['pop3', 'imap'] as const) {
  const { commands } = SESSIONS[kind];
  const whole = `${commands.map(([line]) => line).join('\r\n')}\r\n`;
  const end = commands.at(-1)?.[1] ?? '';

  test(`FLT-015: ${kind}: a client that says FIN behind its commands hears their answers, and all is over`, async (context) => {
    const { mailbox, daemon } = await mailboxRig(context, kind, { messages: [INFECTED_MAIL, CLEAN_MAIL] });
    const one = await WireClient.dial(context, daemon.ports[0] ?? 0, { halfOpen: true });
    one.say(whole);
    one.end();
    assert.equal(await one.gone(), undefined);
    const said = one.received.toString('latin1');
    assert.ok(said.endsWith(end));
    assert.ok(said.includes('An attachment was removed') && said.includes('good.txt'));
    nothingOf(EICAR, said);
    assert.equal(mailbox.heard.length, commands.length);
    await daemon.record({ type: 'traffic', action: 'close', utmaction: 'block' });
  });

  test(`FLT-015: ${kind}: a FIN in the middle, of the client, the server or both at once, ends the session and lets nothing out`, async (context) => {
    const message = commands[2]?.[0] ?? '';
    const { mailbox, daemon } = await mailboxRig(context, kind, {
      messages: [INFECTED_MAIL, CLEAN_MAIL],
      shape: (answer, command) => (command === message ? answer.slice(0, 300) : answer),
    });
    for (const said of ['', 'XY', `${message}\r\n`])
      for (const who of [['client'], ['server'], ['client', 'server'], ['server', 'client']]) {
        const one = await WireClient.dial(context, daemon.ports[0] ?? 0, { halfOpen: true });
        await one.until('\r\n');
        const before = one.received;
        const heard = mailbox.heard.length + (said.endsWith('\n') ? 1 : 0);
        one.say(said);
        while (mailbox.heard.length < heard) await new Promise((resolve) => setImmediate(resolve));
        for (const each of who) {
          if (each === 'client') one.end();
          else mailbox.connections.at(-1)?.socket.end();
        }
        // Whoever was not the first says FIN as well when it hears of it.
        await one.ended();
        one.end();
        await one.gone();
        assert.deepEqual(one.received, before);
      }
    await daemon.record({ type: 'traffic', action: 'close' });
    assert.doesNotMatch(daemon.said(), /Error/);
  });
}
