/**
 * The daemon on a machine that fails it: killed at any moment, a log that cannot be written, a disk that is full, few descriptors, no rights.
 * FLT-007, FLT-008, FLT-011, FLT-012, FLT-027: what was let through is on record, and nothing passes that could not be.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Conversation } from '../testing/peers/conversation.js';
import { type DaemonSetup, daemonConfig, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { startMailSink } from '../testing/peers/mail-sink.js';
import { freePort, listening, peerTest, run, scratch, serverDirectory } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';
import { MAIN } from '../testing/program.js';

const MONITOR = ['config smtp', '    set av-scan monitor', 'end'];
const ENVELOPE = ['HELO here', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.org>', 'DATA'];

/** Sends an infected mail over a connection of its own; the answer's code, or undefined when the connection was lost. */
async function mail(context: TestContext, port: number, subject: string): Promise<string | undefined> {
  try {
    const client = await Conversation.open(context, port);
    await client.reply();
    await client.codes(...ENVELOPE);
    const answer = await client.say(`Subject: ${subject}\r\n\r\n${EICAR}\r\n.\r\n`);
    client.socket.destroy();
    return answer.slice(0, 3);
  } catch {
    return undefined;
  }
}

function killAll(daemon: RunningDaemon): Promise<unknown> {
  const { pid } = daemon.process;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  const gone = once(daemon.process, 'exit');
  for (const each of [pid ?? 0, ...children]) process.kill(each, 'SIGKILL');
  return gone;
}

peerTest(
  'FLT-012: killed at any moment, every infected mail that was let through is on record, and no session has the number of another',
  [],
  async (context) => {
    const sink = await startMailSink(context);
    const directory = scratch(context, 'killed');
    const log = join(directory, 'utm.log');
    mkdirSync(join(directory, 'state'));
    const setup: DaemonSetup = {
      doors: [{ kind: 'smtp', to: sink.port }],
      av: MONITOR,
      settings: [`set log-file "${log}"`, `set state-directory "${directory}/state"`],
    };
    let sent = 0;
    for (let round = 0; round < 4; round++) {
      const daemon = await startDaemon(context, setup);
      let killed = false;
      const clients = Array.from({ length: 4 }, async () => {
        while (!killed) await mail(context, daemon.ports[0] ?? 0, `mail ${++sent}`);
      });
      const before = sink.mails.length;
      while (sink.mails.length < before + 5 + 3 * round) await sleep(1);
      await killAll(daemon);
      killed = true;
      await Promise.all(clients);
    }
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('subtype="virus"'));
    const recorded = new Set(lines.map((line) => /subject="([^"]*)"/.exec(line)?.[1]));
    const released = sink.mails.map((text) => /^Subject: (.*)\r/.exec(text)?.[1]);
    assert.ok(released.length >= 20);
    for (const subject of released) assert.ok(recorded.has(subject), subject);
    // A session is one mail here.
    const ids = lines.map((line) => /sessionid=(\d+)/.exec(line)?.[1]);
    assert.equal(new Set(ids).size, ids.length);
  },
);

peerTest(
  'FLT-011: with a log that cannot be written no infected mail passes, monitored or not, and clean ones do',
  [],
  async (context) => {
    const sink = await startMailSink(context);
    const daemon = await startDaemon(context, {
      doors: [{ kind: 'smtp', to: sink.port }],
      av: MONITOR,
      settings: ['set log-file "/dev/full"'],
    });
    for (let at = 0; at < 3; at++) assert.notEqual(await mail(context, daemon.ports[0] ?? 0, 'bad'), '250');
    const client = await Conversation.open(context, daemon.ports[0] ?? 0);
    await client.reply();
    await client.codes(...ENVELOPE);
    assert.match(await client.say('Subject: good\r\n\r\nhello\r\n.\r\n'), /^250 /);
    assert.deepEqual(sink.mails, ['Subject: good\r\n\r\nhello']);
    assert.match(daemon.said(), /log file \/dev\/full cannot be written/);
  },
);

peerTest(
  'FLT-008: on a disk that is full it goes on: what is infected is blocked and said not to be in quarantine',
  ['mount'],
  async (context) => {
    const sink = await startMailSink(context);
    const state = serverDirectory(context, 'full', (directory) => {
      spawnSync('umount', ['-l', directory]);
    });
    run('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=40', 'tmpfs', state]);
    const daemon = await startDaemon(context, {
      doors: [{ kind: 'smtp', to: sink.port }],
      sections: 'config antivirus quarantine\n    set destination disk\nend\n',
      av: ['config smtp', '    set av-scan block', '    set quarantine enable', 'end'],
      settings: [`set state-directory "${state}"`, `set control-socket "${state}/control.sock"`],
    });
    assert.equal(await mail(context, daemon.ports[0] ?? 0, 'room'), '554');
    spawnSync('dd', ['if=/dev/zero', `of=${state}/fill`, 'bs=1k'], { stdio: 'ignore' });
    for (let at = 0; at < 3; at++) assert.equal(await mail(context, daemon.ports[0] ?? 0, `none ${at}`), '554');
    assert.deepEqual(sink.mails, []);
    assert.equal(daemon.records().filter((record) => record.get('subtype') === 'virus').length, 4);
    assert.match(await daemon.ask('get', 'system', 'status'), /\(0 lost\)/);
  },
);

peerTest(
  'FLT-027: with few descriptors clients that find none are told to come again, and the others are served',
  ['prlimit'],
  async (context) => {
    const sink = await startMailSink(context);
    const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: sink.port }] });
    const { pid } = daemon.process;
    const [worker] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    run('prlimit', ['--pid', worker ?? '', '--nofile=64:64']);
    const clients = await Promise.all(
      Array.from({ length: 60 }, () => Conversation.open(context, daemon.ports[0] ?? 0)),
    );
    const first = clients[0] as Conversation;
    await first.reply();
    await first.codes(...ENVELOPE);
    assert.match(await first.say('Subject: good\r\n\r\nhello\r\n.\r\n'), /^250 /);
    const told = await Promise.any(clients.slice(1).map((client) => client.ended()));
    assert.match(told, /^421 /);
    for (const client of clients) client.socket.destroy();
    for (let tries = 0; ; tries++) {
      const answer = await mail(context, daemon.ports[0] ?? 0, 'later');
      if (answer === '554') break;
      assert.ok(tries < 100, 'it never recovered');
      await sleep(50);
    }
    assert.match(await daemon.ask('get', 'system', 'status'), /\(0 lost\)/);
  },
);

peerTest(
  'FLT-027: it runs without root rights; a directory that it may not write is named',
  ['setpriv'],
  async (context) => {
    const sink = await startMailSink(context);
    const directory = scratch(context, 'nobody');
    chmodSync(directory, 0o777);
    const port = await freePort();
    const path = join(directory, 'utm.conf');
    writeFileSync(path, daemonConfig({ doors: [{ kind: 'smtp', to: sink.port }] }, [port], directory));
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, MAIN, 'serve', '-c', path];
    const daemon = spawn('setpriv', nobody, { stdio: 'ignore' });
    context.after(() => daemon.kill('SIGKILL'));
    await listening(port);
    assert.equal(await mail(context, port, 'bad'), '554');
    const gone = once(daemon, 'exit');
    daemon.kill('SIGTERM');
    assert.deepEqual(await gone, [0, null]);
    chmodSync(directory, 0o755);
    writeFileSync(path, daemonConfig({ doors: [{ kind: 'smtp', to: sink.port }] }, [port], join(directory, 'none')));
    const refused = spawnSync('setpriv', nobody, { encoding: 'utf8', timeout: 30_000 });
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /state directory .*none\/state: .*set state-directory/);
  },
);

peerTest('FLT-007: signatures that cannot be used keep it from starting, and it says which', [], async (context) => {
  const directory = scratch(context, 'signatures');
  const rules = join(directory, 'bad.yar');
  writeFileSync(rules, 'rule broken { condition: nonsense }\n');
  await assert.rejects(
    startDaemon(context, { doors: [{ kind: 'smtp', to: 25 }], args: ['--signatures', rules] }),
    /bad\.yar:1/,
  );
});
