/** Networks, servers and clients of SMTP that fail, through the daemon: cut at every byte, half closed, slow, silent, not there, out of descriptors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDaemon } from '../testing/peers/daemon.js';
import { freePort } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';
import { dial, type Origin, type Peer, PeerGone, startScripted } from '../testing/peers/scripted.js';
import {
  assertUnheard,
  betweenSmtp,
  ENVELOPE,
  greeted,
  plainMessage,
  REFUSED,
  sendData,
  startSmtp,
} from '../testing/peers/scripted-smtp.js';

const CLEAN = plainMessage('nothing but text');
const INFECTED = plainMessage(EICAR);

/** What a client came to know: of each message, its last reply; undefined: none came. */
interface Learnt {
  readonly clean: string | undefined;
  readonly infected: string | undefined;
}

/** A clean message, an infected one and QUIT, as far as the connection carries them. */
async function session(client: Peer): Promise<Learnt> {
  let clean: string | undefined;
  let infected: string | undefined;
  try {
    await client.reply();
    await client.ask('EHLO client.example.test');
    clean = await sendData(client, CLEAN);
    infected = await sendData(client, INFECTED);
    await client.ask('QUIT');
  } catch (error) {
    if (!(error instanceof PeerGone)) throw error;
  }
  client.end();
  await client.left();
  return { clean, infected };
}

for (const origin of ['server', 'client'] as const satisfies Origin[])
  test(`FLT-014: a server that resets at any byte of what ${origin === 'server' ? 'it says' : 'it hears'} leaves a client that knows, and half a message nowhere`, async (context) => {
    const { server, daemon, cutter } = await betweenSmtp(context);
    cutter.cut(origin, Number.POSITIVE_INFINITY);
    const whole = await session(await dial(context, daemon.ports[0] ?? 0));
    assert.match(whole.clean ?? '', /^250 /);
    assert.match(whole.infected ?? '', REFUSED);
    const most = cutter.carried(origin);
    assert.ok(most > 100);
    let delivered = server.messages.length;
    for (let at = 0; at < most; at++) {
      cutter.cut(origin, at);
      const one = await dial(context, daemon.ports[0] ?? 0);
      const { clean, infected } = await session(one);
      const where = `at byte ${at}`;
      // Who is told that a message was taken can rely on it.
      const now = server.messages.length;
      if (clean?.startsWith('250') === true) assert.equal(now, delivered + 1, where);
      assert.ok(now <= delivered + 1, where);
      delivered = now;
      if (infected !== undefined) assert.match(infected, /^(?:554 5\.7\.1|4\d\d) /, where);
      await daemon.record({ type: 'traffic', srcport: String(one.port) });
      if (infected?.startsWith('554') === true)
        await daemon.record({ logid: '0211008194', action: 'blocked', srcport: String(one.port) });
    }
    assert.ok(server.messages.every((each) => each === CLEAN));
    assertUnheard(server);
    assert.doesNotMatch(daemon.said(), /Error/);
  });
