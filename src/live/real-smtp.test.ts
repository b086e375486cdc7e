/**
 * SMTP through the daemon: eight real clients, three real servers. What crosses between the daemon and the server is recorded and scanned: clean
 * mail is there as it was, of an infected one there is nothing.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PYTHON, startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { startDaemon } from '../testing/peers/daemon.js';
import { startExim } from '../testing/peers/exim.js';
import { message, type Part, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { startPostfix } from '../testing/peers/postfix.js';
import { expectFile, infected, scan } from '../testing/peers/scanned.js';
import { FILE_CLIENTS, FROM, MESSAGE_CLIENTS, TO } from '../testing/peers/smtp-clients.js';

const SERVERS = [
  ['Postfix', ['postfix'], startPostfix],
  ['Exim', ['exim4'], startExim],
] as const;
const CLIENTS = [...MESSAGE_CLIENTS, ...FILE_CLIENTS];
const cleanParts = (mark: string): Part[] => partsOf(mark).filter(({ name }) => !infected(name));

for (const [server, programs, start] of SERVERS) {
  peerTest(
    `clean mail of ${CLIENTS.map(({ name }) => name).join(', ')} reaches ${server} as it is`,
    [...programs, 'tcpdump', ...CLIENTS.flatMap((client) => client.programs)],
    async (context) => {
      const port = await freePort();
      await start(context, port);
      const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: port }] });
      const directory = scratch(context, 'smtp');
      const file = join(directory, 'smtp.pcap');
      const recording = await capture(context, port, file);
      const expected: [string, Buffer][] = [];
      for (const client of MESSAGE_CLIENTS) {
        const mails = ['first', 'second'].map((mark) => cleanParts(`${client.name.replace(/\W/g, '')}-${mark}`));
        expected.push(...mails.flat().map(({ name, bytes }): [string, Buffer] => [name, bytes]));
        client.send(
          context,
          daemon.ports[0] ?? 0,
          mails.map((parts, at) => message(`${client.name} ${at}`, parts)),
        );
      }
      for (const client of FILE_CLIENTS) {
        const bytes = randomBytes(300_000);
        const name = `${client.name}-random.bin`;
        writeFileSync(join(directory, name), bytes);
        expected.push([name, bytes]);
        client.attach(context, daemon.ports[0] ?? 0, [join(directory, name)]);
      }
      await recording.stop();
      const { rows, log } = scan(context, file);
      assert.equal(log, '');
      for (const [name, bytes] of expected)
        expectFile(rows, name, bytes, { service: 'SMTP', state: 'complete', verdict: 'clean' });
      assert.equal(rows.filter(({ type }) => type === 'mime').length, 2 * MESSAGE_CLIENTS.length + FILE_CLIENTS.length);
      assert.ok(daemon.records().every((record) => record.get('type') !== 'utm'));
    },
  );
}

/** Sends an infected mail between two clean ones over one connection; says how each ended, a code a line. */
const THREE = `import smtplib, sys
client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
for path in sys.argv[2:]:
    try:
        client.sendmail('${FROM}', ['${TO}'], open(path, 'rb').read().replace(b'\\n', b'\\r\\n'))
        print(250)
    except smtplib.SMTPDataError as error: print(error.smtp_code, error.smtp_error.decode())
client.quit()`;

for (const [server, programs, start] of [...SERVERS, ['aiosmtpd', [PYTHON], startAiosmtpd] as const]) {
  peerTest(
    `an infected mail never reaches ${server}: it is refused by name, and the connection goes on`,
    [...programs, PYTHON, 'tcpdump'],
    async (context) => {
      const port = await freePort();
      await start(context, port);
      const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: port }] });
      const directory = scratch(context, 'smtp');
      const [before, behind] = [cleanParts('before'), cleanParts('behind')];
      const paths = [before, partsOf('infected'), behind].map((parts, at) => {
        const path = join(directory, String(at));
        writeFileSync(path, message(`mail ${at}`, parts));
        return path;
      });
      const file = join(directory, 'smtp.pcap');
      const recording = await capture(context, port, file);
      const said = run(PYTHON, ['-c', THREE, String(daemon.ports[0]), ...paths])
        .trimEnd()
        .split('\n');
      await recording.stop();
      assert.equal(said[0], '250');
      assert.match(said[1] ?? '', /^554 5\.7\.1 .*infected-eicar.*EICAR_TEST_FILE/);
      assert.equal(said[2], '250');
      const { rows, log } = scan(context, file);
      assert.equal(log, '', 'nothing infected reached the server');
      for (const { name, bytes } of [...before, ...behind])
        expectFile(rows, name, bytes, { state: 'complete', verdict: 'clean' });
      assert.ok(
        rows.every(({ name }) => name === null || !name.startsWith('infected-')),
        'nor anything else of its mail',
      );
      await daemon.record({ logid: '0211008194', action: 'blocked', filename: 'infected-eicar.com', service: 'SMTP' });
      const traffic = await daemon.record({ type: 'traffic', utmaction: 'block' });
      assert.equal(traffic.get('countav'), '3');
    },
  );
}

peerTest(
  'Exim, which pipelines and uses BDAT, is refused an infected mail, keeps it, and has its next one taken',
  ['exim4', 'tcpdump'],
  async (context) => {
    const port = await freePort();
    await startExim(context, port);
    const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: port }] });
    const file = join(scratch(context, 'smtp'), 'smtp.pcap');
    const recording = await capture(context, port, file);
    const exim = CLIENTS.find((client) => client.name === 'Exim');
    assert.ok(exim !== undefined && 'send' in exim);
    const clean = cleanParts('clean');
    exim.send(context, daemon.ports[0] ?? 0, [message('infected', partsOf('infected')), message('clean', clean)]);
    await recording.stop();
    const { rows, log } = scan(context, file);
    assert.equal(log, '');
    for (const { name, bytes } of clean) expectFile(rows, name, bytes, { state: 'complete', verdict: 'clean' });
    await daemon.record({ logid: '0211008194', action: 'blocked', filename: 'infected-eicar.com' });
  },
);
