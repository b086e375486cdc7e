/** Mail through the daemon, with servers and clients that we did not write. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { startDaemon } from '../testing/peers/daemon.js';
import { freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';

peerTest('an infected mail is refused at its end with 554, and the log has the record', ['swaks'], async (context) => {
  const server = await freePort();
  await startAiosmtpd(context, server);
  const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: server }] });
  const file = join(scratch(context, 'mail'), 'eicar.com');
  writeFileSync(file, EICAR);
  const swaks = ['--server', `127.0.0.1:${daemon.ports[0]}`, '--from', 'a@example.test', '--to', 'b@example.test'];
  const said = run('swaks', [...swaks, '--attach', `@${file}`], { statuses: [26] });
  assert.match(said, /554 5\.7\.1 .*EICAR_TEST_FILE/);
  assert.match(run('swaks', [...swaks, '--body', 'hello']), /250 OK/);
  await daemon.record({ logid: '0211008194', action: 'blocked', service: 'SMTP', virus: 'EICAR_TEST_FILE' });
  const traffic = await daemon.record({ type: 'traffic', utmaction: 'block' });
  assert.equal(traffic.get('action'), 'close');
});
