/**
 * The same session, through the daemon and played directly with Dovecot, recorded and scanned with the same configuration: the same verdict for
 * every file, and the same records, whichever way the client takes its mail.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseLine } from '../log/parse-line.js';
import { zipOf } from '../testing/archive-bytes.js';
import { type DaemonSetup, type LogFields, startDaemon } from '../testing/peers/daemon.js';
import { startDovecot } from '../testing/peers/dovecot.js';
import { IMAP_FETCHERS } from '../testing/peers/imap-clients.js';
import { message, type Part, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, scratch } from '../testing/peers/peers.js';
import { POP3_CLIENTS } from '../testing/peers/pop3-clients.js';
import { infected, type Row, scan } from '../testing/peers/scanned.js';

const DOVECOT = ['dovecot', 'doveadm', 'tcpdump', '/usr/lib/dovecot/imap'];
const MAILS = ['first', 'second'].map((mark) => [locked(mark), ...partsOf(mark)]);
const MESSAGES = MAILS.map((parts, at) => message(`mail ${at}`, parts));

const HARMLESS: ReadonlySet<string> = new Set(
  MAILS.flat().flatMap(({ name }) => (infected(name) || name.includes('locked') ? [] : [name])),
);

/** An archive that nobody can open. */
function locked(mark: string): Part {
  const name = `${mark}-locked.zip`;
  const bytes = zipOf([{ name: 'a.txt', data: 'secret', flags: 1 }]);
  return {
    name,
    headers: `Content-Type: application/zip; name="${name}"\nContent-Transfer-Encoding: base64`,
    text: bytes.toString('base64'),
    bytes,
  };
}

async function same(
  context: TestContext,
  kind: 'pop3' | 'imap',
  setup: Partial<DaemonSetup>,
  play: (port: number) => void,
): Promise<void> {
  const server = await freePort();
  await startDovecot(context, { [kind]: server }, MESSAGES);
  const daemon = await startDaemon(context, { ...setup, doors: [{ kind, to: server }] });
  const recorded = async (port: number): Promise<ReturnType<typeof scan>> => {
    const file = join(scratch(context, kind), `${kind}.pcap`);
    const recording = await capture(context, port, file);
    play(port);
    await recording.stop();
    return scan(context, file, ['-c', daemon.configuration]);
  };
  const through = await recorded(daemon.ports[0] ?? 0);
  await daemon.record({ type: 'traffic' });
  const live = daemon.records();
  const direct = await recorded(server);
  const charged = told(live);
  assert.ok(charged.length >= MAILS.length * 4, charged.join('\n'));
  const offline = direct.log
    .split('\n')
    .map((line) => new Map(parseLine(line)?.fields.map(({ name, value }) => [name, value])));
  assert.deepEqual(charged, told(offline));
  // What has no record was clean, and came as it was.
  assert.deepEqual(clean(through.rows), clean(direct.rows));
  assert.ok(clean(direct.rows).length >= MAILS.length * 5);
  assert.equal(through.log, '', 'nothing is wrong with what the client got');
}

const FIELDS = ['logid', 'eventtype', 'msg', 'action', 'service', 'direction', 'filename', 'virus', 'analyticscksum'];

/** What records say of files, each once: clients may take a message twice. */
function told(records: readonly LogFields[]): string[] {
  const utm = records.filter((each) => each.get('type') === 'utm');
  return [...new Set(utm.map((each) => FIELDS.map((field) => each.get(field) ?? '').join(' | ')))].sort();
}

function clean(rows: readonly Row[]): string[] {
  const named = rows.filter(({ name, verdict }) => verdict === 'clean' && HARMLESS.has(name ?? ''));
  return [...new Set(named.map(({ name, sha256, state }) => `${name} ${sha256} ${state}`))].sort();
}

const BLOCKING = (kind: string): readonly string[] => [`config ${kind}`, '    set archive-block encrypted', 'end'];

/** Those whose sessions differ: the others ask as one of these does. */
const CLIENTS = /^(mpop|poplib|imaplib \(|mbsync|fetchmail|curl)/;

for (const client of POP3_CLIENTS.filter(({ name }) => CLIENTS.test(name)))
  peerTest(
    `${client.name}: live and recorded, POP3 has the same verdicts`,
    [...DOVECOT, ...client.programs],
    (context) => same(context, 'pop3', { av: BLOCKING('pop3') }, (port) => client.fetch(context, port)),
  );

for (const client of IMAP_FETCHERS.filter(({ name }) => CLIENTS.test(name)))
  peerTest(
    `${client.name}: live and recorded, IMAP has the same verdicts`,
    [...DOVECOT, ...client.programs],
    (context) => same(context, 'imap', { av: BLOCKING('imap') }, (port) => client.fetch(context, port, MAILS.length)),
  );
