/**
 * What a server gets of a mail whose last bytes are the test file, behind a megabyte of harmless text: nothing, however it is sent and however the
 * session ends.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EICAR } from '../testing/peers/scanned.js';
import type { Peer } from '../testing/peers/scripted.js';
import {
  assertUnheard,
  betweenSmtp,
  ENVELOPE,
  plainMessage,
  REFUSED,
  type SmtpServer,
} from '../testing/peers/scripted-smtp.js';

const HARMLESS = 'The quick brown fox jumps over the lazy dog, and is gone.\r\n'.repeat(18_000);
const LARGE = plainMessage(`${HARMLESS}${EICAR}`);
const BEHIND = plainMessage('small and clean');
/** A message of chunks comes in pieces of so many octets. */
const CHUNK = 300_000;

interface Way {
  readonly name: string;
  readonly tls: boolean;
  /** Says all of LARGE but what makes it complete. */
  begin(client: Peer): Promise<void>;
  complete(client: Peer): void;
}

const WAYS: readonly Way[] = [false, true].flatMap((tls): Way[] => [
  {
    name: `DATA${tls ? ' inside TLS' : ''}`,
    tls,
    async begin(client) {
      assert.match(await client.ask('DATA'), /^354 /);
      client.say(LARGE);
    },
    complete: (client) => client.say('.\r\n'),
  },
  {
    name: `BDAT${tls ? ' inside TLS' : ''}`,
    tls,
    async begin(client) {
      for (let at = 0; at < LARGE.length; at += CHUNK) {
        const chunk = LARGE.slice(at, at + CHUNK);
        client.say(`BDAT ${chunk.length}\r\n${chunk}`);
        assert.match(await client.reply(), /^250 /);
      }
    },
    complete: (client) => client.say('BDAT 0 LAST\r\n'),
  },
]);

/** The last client's server heard the envelope, and of the message not a byte. */
function nothingOut(server: SmtpServer, way: Way, behind: readonly string[] = []): void {
  const hello = 'EHLO client.example.test';
  const lines = [...(way.tls ? [hello, 'STARTTLS'] : []), hello, ...ENVELOPE, ...behind];
  const heard = server.peers.at(-1)?.heard ?? '';
  // Of TLS the handshake was heard as well.
  if (way.tls) assert.ok(!/fox|evil/.test(heard) && heard.endsWith(`${lines.slice(2).join('\r\n')}\r\n`), way.name);
  else assert.equal(heard, `${lines.join('\r\n')}\r\n`, way.name);
  assert.deepEqual(server.messages, [], way.name);
  assertUnheard(server, way.name);
}

for (const way of WAYS) {
  const script = { capabilities: ['PIPELINING', 'CHUNKING', 'STARTTLS'] };

  test(`${way.name}: nothing of a large infected mail is out before its verdict, nor behind it`, async (context) => {
    const { server, daemon, client } = await betweenSmtp(context, script);
    const one = await client(way);
    await one.talk(...ENVELOPE);
    await way.begin(one);
    way.complete(one);
    assert.match(await one.reply(), REFUSED);
    assert.match(await one.ask('NOOP'), /^250 /);
    nothingOut(server, way, ['RSET', 'NOOP']);
    await daemon.record({ logid: '0211008194', action: 'blocked', virus: 'EICAR_TEST_FILE' });
    await one.talk(...ENVELOPE, 'DATA');
    one.say(`${BEHIND}.\r\n`);
    assert.match(await one.reply(), /^250 /);
    assert.deepEqual(server.messages, [BEHIND]);
  });

  test(`${way.name}: nothing of it is out when the client stops, ends or resets before the end, or the server does`, async (context) => {
    const { server, daemon, client } = await betweenSmtp(context, script);
    const ends: readonly (readonly [how: string, end: (one: Peer) => void])[] = [
      ['the client ends', (one) => one.end()],
      ['the client resets', (one) => one.reset()],
      ['the server ends', () => server.peers.at(-1)?.end()],
      ['the server resets', () => server.peers.at(-1)?.reset()],
    ];
    for (const [how, end] of ends) {
      const one = await client(way);
      await one.talk(...ENVELOPE);
      await way.begin(one);
      nothingOut(server, way);
      end(one);
      if (how === 'the server ends') assert.match(await one.reply(), /^421 /);
      if (how !== 'the client resets') await one.left();
      one.end();
      await server.peers.at(-1)?.left();
      nothingOut(server, way);
      await daemon.record({ type: 'traffic', srcport: String(one.port) });
    }
    assert.doesNotMatch(daemon.said(), /Error/);
  });

  test(`${way.name}: nothing of it is out when the client goes while it is judged`, async (context) => {
    const { server, daemon, client } = await betweenSmtp(context, script);
    for (const how of ['end', 'reset'] as const) {
      const one = await client(way);
      await one.talk(...ENVELOPE);
      await way.begin(one);
      way.complete(one);
      one[how]();
      await daemon.record({ type: 'traffic', srcport: String(one.port) });
      await server.peers.at(-1)?.left();
      const heard = server.peers.at(-1)?.heard ?? '';
      nothingOut(server, way, heard.endsWith('RSET\r\n') ? ['RSET'] : []);
    }
  });
}
