/**
 * A message inside another one, as real servers take it out: which ways lead through without the daemon, and that none does through it. What a
 * server keeps and logs is searched for the sender of the inner message.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PYTHON, startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { startDaemon } from '../testing/peers/daemon.js';
import { startExim } from '../testing/peers/exim.js';
import { freePort, peerTest, scratch } from '../testing/peers/peers.js';
import { startPostfix } from '../testing/peers/postfix.js';
import { type Peer, PeerGone } from '../testing/peers/scripted.js';
import { ENVELOPE, greeted, plainMessage } from '../testing/peers/scripted-smtp.js';

const INNER = plainMessage('inner');

/** A transaction of the sender `evil`, as text of another message. */
const transaction = (evil: string, body: string): string =>
  `MAIL FROM:<${evil}>\r\nRCPT TO:<bob@example.test>\r\n${body}`;
const inData = (evil: string): string => transaction(evil, `DATA\r\n${INNER}.\r\n`);
const inChunk = (evil: string): string => transaction(evil, chunk(INNER));
const chunk = (octets: string): string => `BDAT ${octets.length} LAST\r\n${octets}`;

interface Way {
  readonly name: string;
  play(client: Peer, evil: string): Promise<unknown>;
}

const DOTS = [
  '\r.\r',
  '\n.\r\n',
  '\r\n.\r\r\n',
  '\r\r\n.\r\r\n',
  '\n.\n',
  '\r\n.\n',
  '\r\n.\r',
  '\r.\r\n',
  '\r\n\0.\r\n',
];
const WAYS: readonly Way[] = [
  ...DOTS.map(
    (dot): Way => ({
      name: `behind ${JSON.stringify(dot)}`,
      async play(client, evil) {
        await client.ask('DATA');
        client.say(`${plainMessage('outer')}end${dot}${inData(evil)}.\r\n`);
      },
    }),
  ),
  {
    name: 'in a chunk, behind an end of data',
    play: (client, evil) => client.ask(`${chunk(`${plainMessage('outer')}.\r\n${inChunk(evil)}`)}NOOP`),
  },
  {
    name: 'in a chunk for a server that does not know them',
    play: (client, evil) => client.ask(`${chunk(`RSET\r\n${inData(evil)}`)}NOOP`),
  },
  {
    name: 'in a chunk, while the server reads text because DATA was the rest of a long line',
    async play(client, evil) {
      await client.ask(`${'NOOP '.padEnd(16_385, 'x')}DATA`);
      await client.ask(`${chunk(`${plainMessage('outer')}.\r\n${inChunk(evil)}`)}NOOP`);
    },
  },
];

/** Plays all ways, each with a sender of its own, one connection each; the server has done with them when it closes. */
async function played(context: TestContext, port: number, sender: (way: number) => string): Promise<void> {
  for (const [at, way] of WAYS.entries()) {
    const client = await greeted(context, port);
    try {
      await client.talk(...ENVELOPE);
      await way.play(client, sender(at));
    } catch (error) {
      if (!(error instanceof PeerGone)) throw error;
    }
    client.say('QUIT\r\n');
    client.end();
    await client.left();
  }
}

/** Does a file below `directory` hold the text: a mail, or a line of a log? */
function holds(directory: string, text: string): boolean {
  return readdirSync(directory, { recursive: true }).some((name) => {
    const path = join(directory, String(name));
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true && readFileSync(path, 'latin1').includes(text);
  });
}

async function startWithMaildir(context: TestContext, port: number): Promise<string> {
  const directory = scratch(context, 'aiosmtpd');
  await startAiosmtpd(context, port, join(directory, 'mail'));
  return directory;
}

interface Server {
  readonly name: string;
  readonly programs: readonly string[];
  start(context: TestContext, port: number): Promise<string>;
  /** What it writes of a mail that it took. */
  took(sender: string): string;
  /** Ways that are open to it without the daemon: that the others are tried on it does not show by itself. */
  readonly open: readonly string[];
}

const SERVERS: readonly Server[] = [
  {
    name: 'Postfix',
    programs: ['postfix'],
    start: startPostfix,
    took: (sender) => `from=<${sender}>, size=`,
    open: ['behind "\\n.\\r\\n"'],
  },
  {
    name: 'Exim',
    programs: ['exim4'],
    start: startExim,
    took: (sender) => `<= ${sender} `,
    open: [WAYS.at(-1)?.name ?? ''],
  },
  {
    name: 'aiosmtpd',
    programs: [PYTHON],
    start: startWithMaildir,
    took: (sender) => `X-MailFrom: ${sender}\n`,
    open: [WAYS.at(-2)?.name ?? ''],
  },
];

for (const { name: server, programs, start, took, open } of SERVERS)
  peerTest(
    `SMT-004, SMT-005, SMT-008, SMT-009, SMT-017, SMT-025: no message hidden in another gets through the daemon to ${server}`,
    programs,
    async (context) => {
      const port = await freePort();
      const directory = await start(context, port);
      const taken = (mark: string): string[] =>
        WAYS.filter((_, at) => holds(directory, took(`${mark}-${at}@example.test`))).map(({ name }) => name);
      await played(context, port, (at) => `direct-${at}@example.test`);
      for (const name of open)
        assert.ok(taken('direct').includes(name), `${name} is not among ${taken('direct').join()}`);
      const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: port }] });
      await played(context, daemon.ports[0] ?? 0, (at) => `through-${at}@example.test`);
      const last = await greeted(context, daemon.ports[0] ?? 0);
      await last.talk('MAIL FROM:<last@example.test>', ENVELOPE[1] ?? '', 'DATA');
      assert.match(await last.ask(`${plainMessage('last')}.`), /^250 /);
      // Logs come late.
      for (let tries = 0; !holds(directory, took('last@example.test')); tries++) {
        assert.ok(tries < 200, 'the last mail is not there');
        await sleep(50);
      }
      assert.deepEqual(taken('through'), []);
      assert.doesNotMatch(daemon.said(), /Error/);
    },
  );
