// Real IMAP servers and clients, captured on loopback and scanned by the program as a user runs it; and mail through TLS, with the keys that the programs log.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PASSWORD, startDovecot } from '../testing/peers/dovecot.js';
import { IMAP_FETCHERS, IMAP_STORERS } from '../testing/peers/imap-clients.js';
import { message, type Part, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, scratch } from '../testing/peers/peers.js';
import { startPostfix } from '../testing/peers/postfix.js';
import { expectFile, infected, type Row, scan, sha256 } from '../testing/peers/scanned.js';
import { TLS_CLIENTS } from '../testing/peers/tls-clients.js';

const DOVECOT = ['dovecot', 'doveadm', 'openssl', 'tcpdump', '/usr/lib/dovecot/imap'];

/** That each part of `mails` is found once, as what it is, and that each virus of them has its record. */
function expectParts(
  { rows, log }: { readonly rows: readonly Row[]; readonly log: string },
  mails: readonly (readonly Part[])[],
  expected: Partial<Row>,
): void {
  for (const { name, bytes } of mails.flat()) {
    expectFile(rows, name, bytes, { ...expected, state: 'complete', verdict: infected(name) ? 'infected' : 'clean' });
    const same = rows.filter((row) => row.name === name && row.sha256 === sha256(bytes));
    assert.equal(same.length, 1, `${name} was found ${same.length} times`);
  }
  const bad = mails.flat().filter(({ name }) => infected(name));
  assert.equal(log.trimEnd().split('\n').length, bad.length, log);
  for (const { name } of bad) assert.ok(log.includes(`filename="${name}"`), name);
  assert.ok(!log.includes(PASSWORD));
}

const mailsOf = (...marks: string[]): Part[][] => marks.map((mark) => partsOf(mark));
const messagesOf = (mails: readonly (readonly Part[])[]): string[] =>
  mails.map((parts, at) => message(`mail ${at}`, parts));

for (const client of IMAP_FETCHERS) {
  peerTest(
    `mail that ${client.name} takes from Dovecot is found whole, with its viruses`,
    [...DOVECOT, ...client.programs],
    async (context) => {
      const mails = mailsOf('first', 'second');
      const port = await freePort();
      await startDovecot(context, { imap: port }, messagesOf(mails));
      const file = join(scratch(context, 'imap'), 'imap.pcap');
      const recording = await capture(context, port, file);
      client.fetch(context, port, mails.length);
      await recording.stop();
      expectParts(scan(context, file), mails, { service: 'IMAP', transfer: 'download' });
    },
  );
}

for (const client of IMAP_STORERS) {
  peerTest(
    `mail that ${client.name} stores in Dovecot is found whole, with its viruses`,
    [...DOVECOT, ...client.programs],
    async (context) => {
      const mails = mailsOf('first', 'second');
      const port = await freePort();
      await startDovecot(context, { imap: port }, []);
      const file = join(scratch(context, 'imap'), 'imap.pcap');
      const recording = await capture(context, port, file);
      client.store(context, port, messagesOf(mails));
      await recording.stop();
      expectParts(scan(context, file), mails, { service: 'IMAP', transfer: 'upload' });
    },
  );
}

for (const { name, programs, protocol, opening, stores, talk } of TLS_CLIENTS) {
  const upload = stores === true || protocol === 'smtp';
  const verb = opening === 'tls' ? 'TLS' : protocol === 'pop3' ? 'STLS' : 'STARTTLS';
  peerTest(
    `mail in ${protocol.toUpperCase()} through ${verb} (${name}) is found whole with the keys that were logged, and not without`,
    [...(protocol === 'smtp' ? ['postfix', 'openssl', 'tcpdump'] : DOVECOT), ...programs],
    async (context) => {
      const mails = mailsOf('first', 'second');
      const messages = messagesOf(mails);
      const port = await freePort();
      if (protocol === 'smtp') await startPostfix(context, port, { tls: true });
      else
        await startDovecot(
          context,
          { [opening === 'tls' ? `${protocol}s` : protocol]: port, tls: true },
          upload ? [] : messages,
        );
      const directory = scratch(context, 'tls');
      const file = join(directory, 'mail.pcap');
      const keys = join(directory, 'keylog');
      const recording = await capture(context, port, file);
      talk(context, port, keys, messages);
      await recording.stop();
      const service = `${protocol.toUpperCase()}S`;
      expectParts(scan(context, file, ['--keylog', keys]), mails, {
        service,
        transfer: upload ? 'upload' : 'download',
      });
      assert.deepEqual(scan(context, file).rows, [], 'without keys');
    },
  );
}
