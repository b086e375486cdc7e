/**
 * The same sessions twice: through the daemon, and directly, recorded and scanned. What was found, in which mail, is the same; and what was
 * clean is what the server got through the daemon.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseLine } from '../log/parse-line.js';
import { PYTHON, startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { type LogFields, startDaemon } from '../testing/peers/daemon.js';
import { sendWithExim, startExim } from '../testing/peers/exim.js';
import { message, type Part, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { startPostfix } from '../testing/peers/postfix.js';
import { EICAR, infected, type Row, scan } from '../testing/peers/scanned.js';
import { FROM, TO } from '../testing/peers/smtp-clients.js';

/** Sends the mails that lie in `paths`, with LF line ends; a mail that is refused is no reason to stop. */
type Play = (context: TestContext, port: number, paths: readonly string[], mails: readonly string[]) => void;

/** A client that says a whole transaction at once, and another one behind it, over one connection. */
const pipelined =
  (transaction: string): Play =>
  (_, port, paths) => {
    const source = `import re, socket, sys
client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
answers = client.makefile('rb')
def answer():
    line = answers.readline()
    while line[3:4] == b'-': line = answers.readline()
    assert line
    return line
answer()
client.sendall(b'EHLO client.example.test\\r\\n'); answer()
for path in sys.argv[2:]:
    mail = open(path, 'rb').read().replace(b'\\n', b'\\r\\n')
    envelope = b'MAIL FROM:<${FROM}>\\r\\nRCPT TO:<${TO}>\\r\\n'
${transaction}
client.sendall(b'QUIT\\r\\n'); answer()`;
    run(PYTHON, ['-c', source, String(port), ...paths]);
  };

const DATA = `    client.sendall(envelope + b'DATA\\r\\n')
    for _ in range(3): answer()
    client.sendall(re.sub(rb'(?m)^\\.', b'..', mail) + b'.\\r\\n' + b'NOOP\\r\\nRSET\\r\\n')
    for _ in range(3): answer()`;
const BDAT = `    size = len(mail) // 3 + 1
    chunks = [mail[at:at + size] for at in range(0, len(mail), size)] + [b'']
    said = [b'BDAT %d%s\\r\\n%s' % (len(chunk), b'' if chunk else b' LAST', chunk) for chunk in chunks]
    client.sendall(envelope + b''.join(said) + b'NOOP\\r\\n')
    for _ in range(2 + len(chunks) + 1): answer()`;

const SESSIONS: readonly {
  readonly title: string;
  readonly programs: readonly string[];
  start(context: TestContext, port: number): Promise<unknown>;
  readonly play: Play;
}[] = [
  {
    title: 'swaks to aiosmtpd',
    programs: ['swaks', PYTHON],
    start: startAiosmtpd,
    play(_, port, paths) {
      for (const path of paths) {
        const to = ['--server', `127.0.0.1:${port}`, '--from', FROM, '--to', TO];
        run('swaks', [...to, '--suppress-data', '--data', `@${path}`], { statuses: [0, 26] });
      }
    },
  },
  { title: 'pipelined DATA to Postfix', programs: ['postfix', PYTHON], start: startPostfix, play: pipelined(DATA) },
  { title: 'pipelined BDAT to Exim', programs: ['exim4', PYTHON], start: startExim, play: pipelined(BDAT) },
  {
    title: 'Exim to Exim',
    programs: ['exim4'],
    start: startExim,
    play(context, port, _, mails) {
      for (const mail of mails) sendWithExim(context, port, FROM, TO, mail);
    },
  },
];

/** What a log says was found, in which mail; not in those that tell the sender what became of his. */
function found(records: readonly LogFields[]): string[] {
  const fields = ['service', 'direction', 'virus', 'filename', 'analyticscksum', 'sender', 'recipient', 'subject'];
  return records
    .filter((record) => record.get('virus') !== undefined && record.get('sender') === FROM)
    .map((record) => fields.map((field) => record.get(field)).join(' '))
    .sort();
}

/** Attached files that are clean, of mails without any that is not. */
function clean(rows: readonly Row[], marks: readonly string[]): string[] {
  return rows
    .filter(({ name, verdict }) => verdict === 'clean' && marks.some((mark) => name?.startsWith(`${mark}-`) === true))
    .map(({ name, sha256, state, transfer }) => [name, sha256, state, transfer].join(' '))
    .sort();
}

for (const { title, programs, start, play } of SESSIONS)
  peerTest(
    `${title}: recorded without the daemon, the same is found as through it`,
    [...programs, 'tcpdump'],
    async (context) => {
      const directory = scratch(context, 'direct');
      const marks = ['first', 'third'];
      const without = (parts: readonly Part[]): Part[] => parts.filter(({ name }) => !infected(name));
      const body: Part = { name: 'none', headers: 'Content-Type: text/plain', text: EICAR, bytes: Buffer.from(EICAR) };
      const mails = [without(partsOf('first')), partsOf('second'), without(partsOf('third')), [body]].map((parts, at) =>
        message(`mail ${at}`, parts),
      );
      const paths = mails.map((mail, at) => {
        const path = join(directory, `mail-${at}`);
        writeFileSync(path, mail);
        return path;
      });

      const behind = await freePort();
      await start(context, behind);
      const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: behind }] });
      const arrived = join(directory, 'arrived.pcap');
      const arriving = await capture(context, behind, arrived);
      play(context, daemon.ports[0] ?? 0, paths, mails);
      await arriving.stop();

      const direct = await freePort();
      await start(context, direct);
      const file = join(directory, 'direct.pcap');
      const recording = await capture(context, direct, file);
      play(context, direct, paths, mails);
      await recording.stop();

      const offline = scan(context, file);
      const records = offline.log
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => new Map(parseLine(line)?.fields.map(({ name, value }) => [name, value] as const)));
      const live = found(daemon.records());
      assert.equal(live.length, 4);
      assert.deepEqual(found(records), live);
      const through = scan(context, arrived);
      assert.equal(through.log, '');
      assert.equal(clean(through.rows, marks).length, 2 * 6);
      assert.deepEqual(clean(offline.rows, marks), clean(through.rows, marks));
    },
  );
