/** POP3 through the daemon: what real clients get of a real mailbox. What crosses between daemon and client is recorded, and scanned. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { startDaemon } from '../testing/peers/daemon.js';
import { startDovecot } from '../testing/peers/dovecot.js';
import { message, partsOf } from '../testing/peers/messages.js';
import { capture, freePort, peerTest, scratch } from '../testing/peers/peers.js';
import { POP3_CLIENTS } from '../testing/peers/pop3-clients.js';
import { expectFile, infected, scan } from '../testing/peers/scanned.js';

for (const client of POP3_CLIENTS) {
  peerTest(
    `${client.name} takes mail from Dovecot: what is clean as it is, infected parts removed`,
    ['dovecot', 'doveadm', 'tcpdump', ...client.programs],
    async (context) => {
      const mails = ['first', 'second', 'third'].map((mark) => partsOf(mark));
      const server = await freePort();
      await startDovecot(
        context,
        server,
        mails.map((parts, at) => message(`mail ${at}`, parts)),
      );
      const daemon = await startDaemon(context, { doors: [{ kind: 'pop3', to: server }] });
      const file = join(scratch(context, 'pop3'), 'pop3.pcap');
      const recording = await capture(context, daemon.ports[0] ?? 0, file);
      client.fetch(context, daemon.ports[0] ?? 0);
      await recording.stop();
      const { rows, log } = scan(context, file);
      assert.equal(log, '', 'nothing infected came');
      for (const { name, bytes } of mails.flat())
        if (!infected(name)) expectFile(rows, name, bytes, { service: 'POP3', state: 'complete', verdict: 'clean' });
      for (const { name } of mails.flat().filter((part) => infected(part.name)))
        await daemon.record({
          filename: name,
          action: 'attachment-removed',
          service: 'POP3',
          virus: 'EICAR_TEST_FILE',
        });
      await daemon.record({ type: 'traffic', service: 'POP3', utmaction: 'block', action: 'close' });
    },
  );
}
