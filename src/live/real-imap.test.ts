/**
 * IMAP through the daemon: sixteen ways in which real clients take messages, whole or in pieces, and those in which they store them. What
 * crosses between the daemon and the end that must not be infected is recorded, and scanned.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startDaemon } from '../testing/peers/daemon.js';
import { startDovecot } from '../testing/peers/dovecot.js';
import { IMAP_FETCHERS, IMAP_STORERS, imaplib } from '../testing/peers/imap-clients.js';
import { message, type Part, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, scratch } from '../testing/peers/peers.js';
import { expectFile, infected, scan } from '../testing/peers/scanned.js';

const DOVECOT = ['dovecot', 'doveadm', 'openssl', 'tcpdump', '/usr/lib/dovecot/imap'];

/** Hidden from clients and refused. */
const COMPRESSED = 'imaplib through COMPRESS';

for (const client of IMAP_FETCHERS.filter(({ name }) => name !== COMPRESSED)) {
  peerTest(
    `${client.name} takes mail from Dovecot: what is clean as it is, infected parts removed`,
    [...DOVECOT, ...client.programs],
    async (context) => {
      const mails = ['first', 'second'].map((mark) => partsOf(mark));
      const server = await freePort();
      await startDovecot(
        context,
        { imap: server },
        mails.map((parts, at) => message(`mail ${at}`, parts)),
      );
      const daemon = await startDaemon(context, { doors: [{ kind: 'imap', to: server }] });
      const { rows, log } = await recorded(context, daemon.ports[0] ?? 0, () =>
        client.fetch(context, daemon.ports[0] ?? 0, mails.length),
      );
      assert.equal(log, '', 'nothing infected came');
      for (const { name, bytes } of mails.flat())
        if (!infected(name)) expectFile(rows, name, bytes, { service: 'IMAP', state: 'complete', verdict: 'clean' });
      for (const name of names(mails))
        await daemon.record({
          filename: name,
          action: 'attachment-removed',
          service: 'IMAP',
          virus: 'EICAR_TEST_FILE',
        });
    },
  );
}

for (const client of IMAP_STORERS.filter(({ name }) => name !== COMPRESSED)) {
  peerTest(
    `${client.name} stores clean mail in Dovecot as it is`,
    [...DOVECOT, ...client.programs],
    async (context) => {
      const mails = ['first', 'second'].map((mark) => partsOf(mark).filter(({ name }) => !infected(name)));
      const server = await freePort();
      await startDovecot(context, { imap: server }, []);
      const daemon = await startDaemon(context, { doors: [{ kind: 'imap', to: server }] });
      const { rows } = await recorded(context, server, () =>
        client.store(
          context,
          daemon.ports[0] ?? 0,
          mails.map((parts, at) => message(`mail ${at}`, parts)),
        ),
      );
      for (const { name, bytes } of mails.flat())
        expectFile(rows, name, bytes, { service: 'IMAP', state: 'complete', verdict: 'clean' });
    },
  );
}

peerTest('COMPRESS is not offered, and refused when it is asked for', DOVECOT, async (context) => {
  const server = await freePort();
  await startDovecot(context, { imap: server }, []);
  const daemon = await startDaemon(context, { doors: [{ kind: 'imap', to: server }] });
  imaplib(
    daemon.ports[0] ?? 0,
    `assert 'COMPRESS=DEFLATE' not in client.capabilities, client.capabilities
imaplib.Commands['COMPRESS'] = ('AUTH', 'SELECTED')
assert client._simple_command('COMPRESS', 'DEFLATE')[0] == 'NO'
ok(client.noop())`,
  );
});

peerTest('of a message that is stored the infected parts are removed on the way', DOVECOT, async (context) => {
  const server = await freePort();
  await startDovecot(context, { imap: server }, []);
  const daemon = await startDaemon(context, { doors: [{ kind: 'imap', to: server }] });
  const directory = scratch(context, 'append');
  const [bad = '', good = ''] = ['bad', 'good'].map((mark) => {
    const path = join(directory, mark);
    const parts = partsOf(mark).filter(({ name }) => mark === 'bad' || !infected(name));
    writeFileSync(path, message(mark, parts));
    return path;
  });
  const { rows, log } = await recorded(context, server, () =>
    imaplib(
      daemon.ports[0] ?? 0,
      `for path in paths: ok(client.append('INBOX', None, None, plain(open(path, 'rb').read())))
assert int(ok(client.select('INBOX'))[0]) == 2`,
      { paths: [bad, good] },
    ),
  );
  assert.equal(log, '', 'nothing infected reached the server');
  for (const { name, bytes } of partsOf('good').filter((part) => part.name === 'good-dots.txt'))
    expectFile(rows, name, bytes, { state: 'complete', verdict: 'clean' });
  await daemon.record({
    action: 'attachment-removed',
    service: 'IMAP',
    direction: 'outgoing',
    virus: 'EICAR_TEST_FILE',
  });
});

function names(mails: readonly (readonly Part[])[]): string[] {
  return mails.flat().flatMap(({ name }) => (infected(name) ? [name] : []));
}

async function recorded(context: TestContext, port: number, act: () => void): Promise<ReturnType<typeof scan>> {
  const file = join(scratch(context, 'imap'), 'imap.pcap');
  const recording = await capture(context, port, file);
  act();
  await recording.stop();
  return scan(context, file);
}
