/**
 * Mail through TLS, implicit and upgraded, as the daemon terminates it on the fly: fifteen real clients of IMAP, POP3 and SMTP, each of which logs
 * its keys, so that what crossed between it and the daemon can be scanned.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { startDaemon } from '../testing/peers/daemon.js';
import { startDovecot } from '../testing/peers/dovecot.js';
import { message, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, scratch } from '../testing/peers/peers.js';
import { startPostfix } from '../testing/peers/postfix.js';
import { expectFile, infected, scan } from '../testing/peers/scanned.js';
import { TLS_CLIENTS } from '../testing/peers/tls-clients.js';

const DOVECOT = ['dovecot', 'doveadm', 'openssl', 'tcpdump', '/usr/lib/dovecot/imap'];

for (const { name, programs, protocol, opening, stores, talk } of TLS_CLIENTS.filter(
  ({ name }) => !/compress/i.test(name),
)) {
  const upload = stores === true || protocol === 'smtp';
  const verb = opening === 'tls' ? 'TLS' : protocol === 'pop3' ? 'STLS' : 'STARTTLS';
  peerTest(
    `${protocol.toUpperCase()} through ${verb} (${name}): clean parts arrive as they are, infected ones do not`,
    [...(protocol === 'smtp' ? ['postfix', 'openssl', 'tcpdump'] : DOVECOT), ...programs],
    async (context) => {
      // Who stores or sends must not be refused; who fetches gets what is left.
      const mails = ['first', 'second'].map((mark) => partsOf(mark).filter((part) => !upload || !infected(part.name)));
      const messages = mails.map((parts, at) => message(`mail ${at}`, parts));
      const port = await freePort();
      if (protocol === 'smtp') await startPostfix(context, port, { tls: true });
      else
        await startDovecot(
          context,
          { [opening === 'tls' ? `${protocol}s` : protocol]: port, tls: true },
          upload ? [] : messages,
        );
      const daemon = await startDaemon(context, {
        doors: [{ kind: opening === 'tls' ? `${protocol}s` : protocol, to: port }],
      });
      const directory = scratch(context, 'tls');
      const file = join(directory, 'mail.pcap');
      const keys = join(directory, 'keylog');
      const recording = await capture(context, daemon.ports[0] ?? 0, file);
      talk(context, daemon.ports[0] ?? 0, keys, messages);
      await recording.stop();
      const { rows, log } = scan(context, file, ['--keylog', keys]);
      const service = `${protocol.toUpperCase()}S`;
      assert.equal(log, '', 'nothing infected');
      for (const part of mails.flat())
        if (!infected(part.name))
          expectFile(rows, part.name, part.bytes, { service, state: 'complete', verdict: 'clean' });
      for (const part of mails.flat())
        if (infected(part.name))
          await daemon.record({ filename: part.name, service, action: 'attachment-removed', virus: 'EICAR_TEST_FILE' });
      await daemon.record({ logid: '1700062302', service, action: 'resign-as-untrusted' });
      await daemon.record({ type: 'traffic', service });
    },
  );
}
