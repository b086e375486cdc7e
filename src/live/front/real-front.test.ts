/** Front doors of the daemon with clients and proxies that we did not write: curl by SOCKS 5 and CONNECT, HAProxy in front with both versions. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startAiosmtpd } from '../../testing/peers/aiosmtpd.js';
import { type RunningDaemon, startDaemon } from '../../testing/peers/daemon.js';
import { ended, freePort, listening, pathOf, peerTest, run, scratch } from '../../testing/peers/peers.js';
import { EICAR } from '../../testing/peers/scanned.js';
import { FROM, TO } from '../../testing/peers/smtp-clients.js';

/** A daemon with one listener, and a policy for whatever is explicitly wanted. */
async function withListener(
  context: TestContext,
  type: string,
  lines: readonly string[] = [],
): Promise<{ daemon: RunningDaemon; listen: number; server: number }> {
  const server = await freePort();
  await startAiosmtpd(context, server);
  const listen = await freePort();
  const own = ['set service "ALL"', 'set dstaddr "all"'];
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: server }],
    options: ['config smtp', `    set ports ${server}`, 'end'],
    policy: own,
    sections: `config inspectd listener\n    edit "front"\n        set type ${type}\n        set listen 127.0.0.1:${listen}\n${lines
      .map((line) => `        ${line}\n`)
      .join('')}    next\nend\n`,
  });
  return { daemon, listen, server };
}

const INFECTED = `From: ${FROM}\r\nTo: ${TO}\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name="eicar.com"\r\n\r\n${EICAR}\r\n`;
const CLEAN = `From: ${FROM}\r\nTo: ${TO}\r\nSubject: x\r\n\r\nhello\r\n`;

for (const [type, option] of [
  ['socks5', '--socks5'],
  ['http-connect', '--proxytunnel --proxy'],
] as const)
  peerTest(
    `curl by ${type}: clean mail passes, an infected one is refused, a server that is not there is said`,
    ['curl'],
    async (context) => {
      const { daemon, listen, server } = await withListener(context, type);
      const send = (mail: string, to: number, statuses: readonly number[]): string =>
        run(
          'curl',
          [
            '-sS',
            ...option.split(' '),
            `${type === 'socks5' ? '' : 'http://'}127.0.0.1:${listen}`,
            `smtp://127.0.0.1:${to}`,
            '--mail-from',
            FROM,
            '--mail-rcpt',
            TO,
            '-T',
            '-',
          ],
          { input: mail, statuses },
        );
      send(CLEAN, server, [0]);
      send(INFECTED, server, [8, 55, 56]);
      const record = await daemon.record({ logid: '0211008194', action: 'blocked', filename: 'eicar.com' });
      assert.equal(record.get('dstport'), String(server));
      const nobody = await freePort();
      send(CLEAN, nobody, [7, 97, 56]);
      await daemon.record({ type: 'traffic', action: 'ip-conn', dstport: String(nobody) });
    },
  );

for (const version of ['send-proxy', 'send-proxy-v2'] as const)
  peerTest(
    `HAProxy in front (${version}): its clients are logged by their own addresses`,
    ['haproxy', 'swaks'],
    async (context) => {
      const { daemon, listen } = await withListener(context, 'proxy-protocol', [
        'set trusted 127.0.0.1',
        'set vip "door-0"',
      ]);
      const directory = scratch(context, 'haproxy');
      const port = await freePort();
      const configuration = join(directory, 'haproxy.cfg');
      writeFileSync(
        configuration,
        `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\nlisten smtp\n  bind 127.0.0.1:${port}\n  server one 127.0.0.1:${listen} ${version}\n`,
      );
      const haproxy = spawn(pathOf('haproxy') ?? 'haproxy', ['-db', '-f', configuration], { stdio: 'ignore' });
      context.after(() => ended(haproxy));
      await listening(port);
      const file = join(directory, 'eicar.com');
      writeFileSync(file, EICAR);
      const to = ['--server', `127.0.0.1:${port}`, '--local-interface', '127.0.0.9', '--from', FROM, '--to', TO];
      assert.match(run('swaks', [...to, '--attach', `@${file}`], { statuses: [26] }), /554 5\.7\.1/);
      await daemon.record({ logid: '0211008194', action: 'blocked', srcip: '127.0.0.9' });
      run('swaks', [...to, '--body', 'hello']);
      await daemon.record({ type: 'traffic', action: 'close', srcip: '127.0.0.9' });
    },
  );

peerTest(
  'behind SSLproxy: the other half goes back to it, the log has the real ends and the S of the service',
  ['swaks'],
  async (context) => {
    const { daemon, listen, server } = await withListener(context, 'sslproxy', ['set trusted 127.0.0.1']);
    // It takes TLS off and puts it on again; here only its header line matters.
    const back = createServer((socket: Socket) => {
      const real = connect(server, '127.0.0.1');
      for (const each of [socket, real]) each.on('error', () => {});
      socket.pipe(real).pipe(socket);
    });
    await new Promise<void>((resolve) => back.listen(0, '127.0.0.1', resolve));
    context.after(() => void back.close());
    const at = back.address();
    const front = createServer((socket: Socket) => {
      const toDaemon = connect(listen, '127.0.0.1', () => {
        toDaemon.write(
          `SSLproxy: [127.0.0.1]:${typeof at === 'object' ? at?.port : 0},[192.0.2.7]:40000,[127.0.0.1]:${server},s\r\n`,
        );
        socket.pipe(toDaemon).pipe(socket);
      });
      for (const each of [socket, toDaemon]) each.on('error', () => {});
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    context.after(() => void front.close());
    const address = front.address();
    const file = join(scratch(context, 'sslproxy'), 'eicar.com');
    writeFileSync(file, EICAR);
    // A child that is waited for would keep the servers of this process from answering.
    const swaks = spawn(
      pathOf('swaks') ?? 'swaks',
      [
        '--server',
        `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
        '--from',
        FROM,
        '--to',
        TO,
        '--attach',
        `@${file}`,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let said = '';
    swaks.stdout.on('data', (text: Buffer) => {
      said += text.toString();
    });
    await new Promise((resolve) => swaks.once('close', resolve));
    assert.match(said, /554 5\.7\.1/);
    await daemon.record({
      logid: '0211008194',
      action: 'blocked',
      srcip: '192.0.2.7',
      service: 'SMTPS',
      dstport: String(server),
    });
  },
);
