/**
 * Scanners that fail while mail comes through the daemon: clamd stopped, killed, or answering oddly, a rule that does not end, a process that
 * dies in a scan. FLT-002, FLT-003, FLT-006: nothing of it is ever clean.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { startClamd } from '../testing/peers/clamd.js';
import { type DaemonSetup, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { freePort, pathOf, peerTest, scratch } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';

type Context = Parameters<typeof startDaemon>[0];

/** What the log says of a mail that no scanner judged. */
const BLOCKED = { logid: '0262008974', eventtype: 'scanerror', action: 'blocked' };
const PASSED = { ...BLOCKED, action: 'passthrough' };

interface Mailing {
  readonly daemon: RunningDaemon;
  /** Sends a mail with `text` attached: the reply to its end. */
  send(name: string, text: string): Promise<string>;
  /** Writes the configuration anew, with this of the antivirus settings, and has it read. */
  set(...lines: string[]): Promise<void>;
  scanErrors(): number;
}

async function mailing(
  context: Context,
  settings: readonly string[],
  setup: Partial<DaemonSetup> = {},
): Promise<Mailing> {
  const server = await freePort();
  await startAiosmtpd(context, server);
  const section = (lines: readonly string[]): string =>
    `config antivirus settings\n${lines.map((line) => `set ${line}\n`).join('')}end\n`;
  const before = section(settings);
  const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: server }], sections: before, ...setup });
  const configuration = readFileSync(daemon.configuration, 'utf8');
  const directory = scratch(context, 'mail');
  return {
    daemon,
    async send(name, text) {
      const file = join(directory, name);
      // What is known is not asked again: each has bytes of its own.
      writeFileSync(file, text === EICAR ? text : `${text} in ${name}`);
      const to = ['--server', `127.0.0.1:${daemon.ports[0]}`, '--from', 'a@example.test', '--to', 'b@example.test'];
      return lastReply(await swaks([...to, '--suppress-data', '--attach', `@${file}`]));
    },
    async set(...lines) {
      writeFileSync(daemon.configuration, configuration.replace(before, section(lines)));
      await daemon.ask('execute', 'reload');
    },
    scanErrors: () => daemon.records().filter((record) => record.get('eventtype') === 'scanerror').length,
  };
}

function swaks(args: readonly string[]): Promise<string> {
  const child = spawn(pathOf('swaks') ?? 'swaks', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString();
  });
  return new Promise((resolve) => child.once('close', () => resolve(said)));
}

/** What the server said to the message. swaks marks what it heard with arrows, refusals with stars. */
function lastReply(said: string): string {
  const replies = said.split('\n').filter((line) => /^<(-|\*\*)/.test(line) && !/ 221 /.test(line));
  return replies.at(-1)?.replace(/^<\S+\s+/, '') ?? said;
}

peerTest(
  'a clamd that is stopped, or killed, has mail put off and on record; when it is back, mail passes',
  ['swaks', 'clamd'],
  async (context) => {
    const clamd = await startClamd(context, ['Test.Worm:0:*:776f726d2d6279746573']);
    const settings = [`clamd "127.0.0.1:${clamd.port}"`, 'override-timeout 1'];
    const mail = await mailing(context, settings);
    assert.match(await mail.send('clean.txt', 'hello'), /^250/);
    assert.match(await mail.send('worm.txt', 'worm-bytes'), /^554 5\.7\.1 .*Test\.Worm/);
    await mail.daemon.record({ virus: 'Test.Worm.UNOFFICIAL', action: 'blocked' });
    assert.equal(mail.scanErrors(), 0);

    clamd.process.kill('SIGSTOP');
    assert.match(await mail.send('hangs.txt', 'hello'), /^451 4\.7\.1 /);
    assert.match((await mail.daemon.record({ ...BLOCKED, filename: 'hangs.txt' })).get('msg') ?? '', /clamd/);
    clamd.process.kill('SIGCONT');
    assert.match(await mail.send('again.txt', 'hello'), /^250/);

    clamd.process.kill('SIGKILL');
    await new Promise((resolve) => clamd.process.once('exit', resolve));
    assert.match(await mail.send('down.txt', 'hello'), /^451 4\.7\.1 /);
    await mail.daemon.record({ ...BLOCKED, filename: 'down.txt' });

    await mail.set(...settings, 'fail-open enable');
    assert.match(await mail.send('open.txt', 'hello'), /^250/);
    await mail.daemon.record({ ...PASSED, filename: 'open.txt' });
    // What our own signatures find is found without it.
    assert.match(await mail.send('eicar.com', EICAR), /^554 5\.7\.1 .*EICAR_TEST_FILE/);
  },
);

/** What is no verdict. The last two are of a clamd that found something it cannot name, or says two things. */
const ODD: readonly (readonly [what: string, answer: string])[] = [
  ['the size limit', 'INSTREAM size limit exceeded. ERROR\0'],
  ['no memory', "stream: Can't allocate memory ERROR\0"],
  ['nothing', ''],
  ['no end', 'stream: OK'],
  ['one line more', 'stream: OK\n\0'],
  ['nearly clean', 'stream: OKAY\0'],
  ['another session', '1: stream: OK\0'],
  ['two answers', 'stream: OK\0stream: Worm FOUND\0'],
  ['one megabyte', `${'x'.repeat(1_000_000)}\0`],
  ['no name', 'stream: (null) FOUND\0'],
];

peerTest(
  'FLT-002, FLT-003: only "stream: OK" is clean; odd answers, slow ones and silence are not',
  ['swaks'],
  async (context) => {
    let answer = 'stream: OK\0';
    const sockets = new Set<Socket>();
    const standIn = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      let asked = false;
      socket.on('data', (bytes) => {
        // The stream ends with a length of zero.
        if (asked || bytes.length < 4 || bytes.readUInt32BE(bytes.length - 4) !== 0) return;
        asked = true;
        if (answer === 'SLOW') {
          let at = 0;
          const drip = setInterval(() => socket.write('stream: OK\0'.slice(at, ++at)), 250);
          socket.on('close', () => clearInterval(drip));
        } else if (answer !== 'SILENCE') socket.end(answer);
      });
    });
    const port = await freePort();
    await new Promise<void>((resolve) => standIn.listen(port, '127.0.0.1', resolve));
    context.after(() => {
      for (const socket of sockets) socket.destroy();
      standIn.close();
    });
    const mail = await mailing(context, [`clamd "127.0.0.1:${port}"`, 'override-timeout 1']);
    assert.match(await mail.send('clean.txt', 'hello'), /^250/);
    for (const [at, [what, text]] of ODD.entries()) {
      answer = text;
      assert.match(await mail.send(`odd-${at}.txt`, 'hello'), /^(451 4|554 5)\.7\.1 /, what);
      await mail.daemon.record({ eventtype: 'scanerror', action: 'blocked', filename: `odd-${at}.txt` });
    }
    for (answer of ['SLOW', 'SILENCE']) {
      // More at once than it is asked about at a time: those that wait are answered too.
      const replies = await Promise.all(
        Array.from({ length: answer === 'SLOW' ? 1 : 5 }, (_, at) => mail.send(`${answer}-${at}.txt`, 'hello')),
      );
      for (const reply of replies) assert.match(reply, /^451 4\.7\.1 /, answer);
    }
    answer = 'stream: OK\0';
    assert.match(await mail.send('after.txt', 'hello'), /^250/);
  },
);

peerTest(
  'FLT-006, FLT-021: a rule that does not end is stopped, and a process that is killed in a scan is replaced; neither is clean',
  ['swaks'],
  async (context) => {
    const directory = scratch(context, 'rules');
    const rules = join(directory, 'picky.yar');
    writeFileSync(
      rules,
      'rule Picky { strings: $a = "endless" condition: $a and for all i in (0..20000000000) : (i >= 0) }\n' +
        'rule Worm_Found { strings: $a = "worm-bytes" condition: $a }\n',
    );
    const mail = await mailing(context, ['override-timeout 2'], { args: ['--signatures', rules] });
    assert.match(await mail.send('clean.txt', 'hello'), /^250/);
    assert.match(await mail.send('worm.txt', 'worm-bytes'), /^554 5\.7\.1 .*Worm_Found/);
    // Another mail is judged meanwhile.
    const [slow, quick] = await Promise.all([mail.send('slow.txt', 'endless'), mail.send('quick.txt', 'hello')]);
    assert.match(slow, /^451 4\.7\.1 /);
    assert.match(quick, /^250/);
    await mail.daemon.record({ ...BLOCKED, filename: 'slow.txt' });

    const dying = mail.send('dies.txt', 'endless');
    let over = false;
    void dying.then(() => {
      over = true;
    });
    // The one that runs the rule is among them, sooner or later, and before its deadline.
    while (!over) {
      for (const pid of scanningProcesses(mail.daemon.process)) process.kill(pid, 'SIGKILL');
      await sleep(50);
    }
    assert.match(await dying, /^451 4\.7\.1 /);
    await mail.daemon.record({ ...BLOCKED, filename: 'dies.txt' });
    assert.match(await mail.send('after.txt', 'worm-bytes'), /^554 5\.7\.1 .*Worm_Found/);

    // Rules that do not compile are not taken; the old ones stay.
    writeFileSync(rules, 'rule Broken { condition: $nothing }\n');
    await assert.rejects(mail.set('override-timeout 2'), /picky\.yar:1/);
    assert.match(await mail.send('still.txt', 'worm-bytes'), /^554 5\.7\.1 .*Worm_Found/);
  },
);

/** Those of our own daemon. */
function scanningProcesses(daemon: ChildProcess): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It is gone.
    }
  }
  const ofDaemon = (pid: number): boolean => pid === daemon.pid || (pid > 1 && ofDaemon(parents.get(pid) ?? 0));
  return [...parents.keys()].filter((pid) => {
    try {
      return ofDaemon(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('yara-child.js');
    } catch {
      return false;
    }
  });
}
