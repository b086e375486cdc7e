/** Connections of SMTP that end where they should not, through the daemon: reset at every byte, half closed by either end or both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Origin } from '../testing/peers/cutter.js';
import { EICAR } from '../testing/peers/scanned.js';
import { dial, type Peer, PeerGone } from '../testing/peers/scripted.js';
import {
  assertUnheard,
  betweenSmtp,
  ENVELOPE,
  plainMessage,
  REFUSED,
  sendData,
} from '../testing/peers/scripted-smtp.js';

const CLEAN = plainMessage('nothing but text');
const INFECTED = plainMessage(EICAR);

/** What a client came to know: of each message, its last reply; undefined: none came. */
interface Learnt {
  readonly clean: string | undefined;
  readonly infected: string | undefined;
}

/** A clean message, an infected one and QUIT, as far as the connection carries them. */
async function session(client: Peer, tls = false): Promise<Learnt> {
  let clean: string | undefined;
  let infected: string | undefined;
  try {
    await client.reply();
    if (tls) {
      await client.talk('EHLO client.example.test', 'STARTTLS');
      await client.startTls();
    }
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

/** Where it breaks: at every byte, or inside TLS, where there are thousands, at one in so many. */
const BREAKS: readonly (readonly [origin: Origin, tls: boolean, step: number])[] = [
  ['server', false, 1],
  ['client', false, 1],
  ['server', true, 29],
  ['client', true, 17],
];

for (const [origin, tls, step] of BREAKS)
  test(`FLT-014: a server that resets at any byte of what it ${origin === 'server' ? 'says' : 'hears'}${tls ? ', with STARTTLS,' : ''} leaves a client that knows, and half a message nowhere`, async (context) => {
    const { server, daemon, cutter } = await betweenSmtp(context, { capabilities: ['PIPELINING', 'STARTTLS'] });
    cutter.cut(origin, Number.POSITIVE_INFINITY);
    const whole = await session(await dial(context, daemon.ports[0] ?? 0), tls);
    assert.match(whole.clean ?? '', /^250 /);
    assert.match(whole.infected ?? '', REFUSED);
    const most = cutter.carried(origin);
    assert.ok(most > 100);
    let delivered = server.messages.length;
    for (let at = 0; at < most; at += step) {
      cutter.cut(origin, at);
      const one = await dial(context, daemon.ports[0] ?? 0);
      const { clean, infected } = await session(one, tls);
      await server.peers.at(-1)?.left();
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

test('FLT-015: a client that half-closes behind the end of data has its message judged and hears what became of it', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context);
  for (const [message, expected] of [
    [CLEAN, /^250 /],
    [INFECTED, REFUSED],
  ] as const)
    for (const rest of ['', 'QUIT\r\n']) {
      const one = await client();
      await one.talk(...ENVELOPE, 'DATA');
      one.say(`${message}.\r\n${rest}`);
      one.end();
      assert.match(await one.reply(), expected);
      if (rest !== '') assert.match(await one.reply(), /^221 /);
      assert.equal(await one.left(), 'end');
      assert.equal(await server.peers.at(-1)?.left(), 'end');
      await daemon.record({ type: 'traffic', srcport: String(one.port), action: 'close' });
    }
  assert.deepEqual(server.messages, [CLEAN, CLEAN]);
  assertUnheard(server);
});

test('FLT-015: a FIN in the middle, of the client, the server or both at once, ends the session and delivers nothing', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context);
  const envelope = `${ENVELOPE.join('\r\n')}\r\n`;
  const places: readonly (readonly [where: string, said: string, answers: number])[] = [
    ['in a command', 'MAIL FR', 0],
    ['in an envelope', envelope, 2],
    ['in a header', `${envelope}DATA\r\nSubj`, 3],
    ['in the end of data', `${envelope}DATA\r\n${CLEAN}.\r`, 3],
    ['in a chunk', `${envelope}BDAT 1000 LAST\r\n${CLEAN}`, 2],
    ['between chunks', `${envelope}BDAT ${CLEAN.length}\r\n${CLEAN}`, 3],
  ];
  const orders = [['client'], ['server'], ['client', 'server'], ['server', 'client']] as const satisfies Origin[][];
  for (const [where, said, answers] of places)
    for (const who of orders) {
      const one = await client();
      one.say(said);
      for (let heard = 0; heard < answers; heard++) assert.match(await one.reply(), /^[23]/, where);
      const upstream = server.peers.at(-1);
      for (const each of who) (each === 'client' ? one : upstream)?.end();
      await one.left();
      one.end();
      await upstream?.left();
      await daemon.record({ type: 'traffic', srcport: String(one.port) });
    }
  assert.deepEqual(server.messages, []);
  assert.ok(!server.heard().includes('Subj'));
  assert.doesNotMatch(daemon.said(), /Error/);
});

test('FLT-015: a server that ends while it has a message and has not answered: the client is told that it was not taken', async (context) => {
  for (const how of ['end', 'reset'] as const) {
    const { server, client } = await betweenSmtp(context, {
      async answer(line, peer) {
        if (line !== 'DATA') return undefined;
        peer.say('354 go\r\n');
        await peer.until('\r\n.\r\n');
        peer[how]();
        return undefined;
      },
    });
    const one = await client();
    await one.talk(...ENVELOPE, 'DATA');
    one.say(`${CLEAN}.\r\n`);
    if (how === 'end') assert.match(await one.reply(), /^421 /);
    await one.left();
    assert.ok(!one.rest.includes('250'));
    assert.deepEqual(server.messages, []);
  }
});
