/** STARTTLS, capabilities and AUTH as misused through the daemon, by clients and by servers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EICAR } from '../testing/peers/scanned.js';
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
const TLS = { capabilities: ['PIPELINING', 'CHUNKING', 'STARTTLS'] };

test('SMT-026: close_notify in the middle of a chunk, and clear text behind it: the connection ends, and nothing goes on', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context, TLS);
  for (const behind of ['x', 'QUIT\r\n', INFECTED]) {
    const one = await client({ tls: true });
    await one.talk(...ENVELOPE);
    one.say(`BDAT ${INFECTED.length} LAST\r\n${INFECTED.slice(0, -10)}`);
    await one.leaveTls(behind);
    await one.left();
    await server.peers.at(-1)?.left();
    await daemon.record({ eventtype: 'scanerror', action: 'blocked', service: 'SMTPS', srcport: String(one.port) });
  }
  assert.deepEqual(server.messages, []);
  assertUnheard(server);
  assert.ok(!server.lines.some((line) => line.startsWith('BDAT') || line === 'x' || line === 'QUIT'));
  assert.match(await sendData(await client({ tls: true }), CLEAN), /^250 /);
  assert.doesNotMatch(daemon.said(), /Error/);
});

test('SMT-028: clear text behind STARTTLS, in its segment or before the handshake, ends the connection', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context, TLS);
  for (const injected of ['RSET\r\n', 'NOOP\r\n', 'MAIL FROM:<evil@example.test>\r\n', '?']) {
    const one = await client();
    one.say(`STARTTLS\r\n${injected}`);
    await one.left();
    await server.peers.at(-1)?.left();
    assert.equal(server.peers.at(-1)?.heard.includes(injected), false, injected);
    await daemon.record({ msg: 'plaintext-before-tls, from the client', srcport: String(one.port) });
  }
});

test('SMT-028: what a server says in clear text behind its go-ahead never reaches the client inside TLS', async (context) => {
  const { server, client } = await betweenSmtp(context, {
    ...TLS,
    // An answer to what the client will ask later.
    answer: (line) => (line === 'STARTTLS' ? '220 go\r\n250-mx\r\n250 AUTH PLAIN' : undefined),
  });
  const one = await client();
  one.say('STARTTLS\r\n');
  await one.left();
  assert.ok(!one.heard.includes('AUTH PLAIN'));
  assert.deepEqual(server.lines.slice(1), ['STARTTLS']);
});

test('SMT-030: STARTTLS that the server hides, refuses or breaks: the client knows, and no credentials go where it did not send them', async (context) => {
  const answers = ['454 4.7.0 not now', '500 5.5.1 no', '220 go\r\nnot a handshake', '220 go'];
  const { server, client, daemon } = await betweenSmtp(context, {
    capabilities: ['AUTH PLAIN'],
    answer: (line) => (line === 'STARTTLS' ? answers.shift() : undefined),
  });
  // Hidden: the client is not offered what the server does not have.
  const hidden = await client();
  assert.doesNotMatch(hidden.heard, /STARTTLS/);
  for (const refusal of [/^454 /, /^500 /]) assert.match(await hidden.ask('STARTTLS'), refusal);
  assert.match(await sendData(hidden, INFECTED), REFUSED);
  const broken = await client();
  broken.say('STARTTLS\r\n');
  await broken.left();
  // Accepted, and then the server speaks in clear text where its handshake is expected.
  const odd = await client();
  assert.match(await odd.ask('STARTTLS'), /^220 /);
  const handshake = odd.startTls();
  await server.peers.at(-1)?.until('\x16\x03');
  server.peers.at(-1)?.say('250 ok\r\n');
  await assert.rejects(handshake);
  assert.ok(!server.lines.some((line) => line.startsWith('AUTH')));
  assertUnheard(server);
  await daemon.record({ eventsubtype: 'handshake-failure', service: 'SMTPS', action: 'blocked' });
});

test('SMT-031: STARTTLS in a transaction, with an argument or inside TLS is refused; in small letters it is obeyed', async (context) => {
  const { server, client, noted } = await betweenSmtp(context, TLS);
  const one = await client();
  assert.match(await one.ask('STARTTLS now'), /^503 /);
  await one.ask(ENVELOPE[0] ?? '');
  assert.match(await one.ask('STARTTLS'), /^503 /);
  await one.ask('RSET');
  assert.match(await one.ask('starttls'), /^220 /);
  await one.startTls();
  await one.ask('EHLO client.example.test');
  assert.match(await one.ask('STARTTLS'), /^503 /);
  assert.match(await sendData(one, INFECTED), REFUSED);
  assert.match(await sendData(one, CLEAN), /^250 /);
  await noted('smtp-starttls-misplaced');
  assert.deepEqual(
    server.lines.filter((line) => /starttls/i.test(line)),
    ['starttls'],
  );
  assertUnheard(server);
});

test('SMT-032: what is not followed is not offered, and refused when it comes all the same', async (context) => {
  const kept = ['PIPELINING', 'SIZE 1000', 'CHUNKING', '8BITMIME'];
  const taken = [
    'XCLIENT NAME ADDR',
    'XFORWARD NAME',
    'XEXCH50',
    'ETRN',
    'TURN',
    'ATRN',
    'BURL imap',
    'X-EXPS GSSAPI',
    'VERP',
  ];
  const { server, client, noted } = await betweenSmtp(context, {
    capabilities: [...kept, ...taken, 'AUTH GSSAPI PLAIN DIGEST-MD5'],
    answer: (line) => (line === 'EHLO again.example.test' ? '251-mx\r\n251-PIPELINING\r\n251 XCLIENT' : undefined),
  });
  const one = await client();
  const offered = one.heard
    .split('\r\n')
    .slice(2, -1)
    .map((line) => line.slice(4));
  assert.deepEqual(offered, [...kept, 'AUTH PLAIN']);
  // Whatever its code.
  assert.equal(await one.ask('EHLO again.example.test'), '251-mx\r\n251 PIPELINING');
  const commands = [
    'XCLIENT ADDR=192.0.2.1',
    'XFORWARD NAME=x',
    'XEXCH50 2 2',
    'ETRN x',
    'TURN',
    'ATRN',
    'BURL imap://x LAST',
    'X',
    '',
  ];
  await one.talk(...ENVELOPE);
  for (const command of commands) assert.match(await one.ask(command), /^50[02] /, command);
  await one.ask('RSET');
  assert.match(await sendData(one, INFECTED), REFUSED);
  await noted('smtp-command-unknown');
  await one.ask('NOOP');
  assert.deepEqual(server.lines.slice(2), [...ENVELOPE, 'RSET', ...ENVELOPE, 'RSET', 'NOOP']);
});

test('SMT-033: AUTH is followed line by line: long, cancelled, refused; what is no base64 is cancelled', async (context) => {
  const long = Buffer.alloc(9_000, 'a').toString('base64');
  const { server, client, noted } = await betweenSmtp(context, {
    capabilities: ['AUTH PLAIN LOGIN'],
    async answer(line, peer) {
      if (!line.startsWith('AUTH')) return undefined;
      if (line !== 'AUTH LOGIN') return '535 5.7.8 no';
      peer.say('334 VXNlcm5hbWU6\r\n');
      return (await peer.line()) === '*' ? '501 5.0.0 cancelled' : '235 2.7.0 yes';
    },
  });
  const one = await client();
  assert.match(await one.ask(`AUTH PLAIN ${long}`), /^535 /);
  assert.equal(server.lines.at(-1), `AUTH PLAIN ${long}`);
  // Broken inside: the second line is a command, and none.
  one.say(`AUTH PLAIN ${long.slice(0, 6_000)}\r\n${long.slice(6_000)}\r\n`);
  assert.match(await one.reply(), /^535 /);
  assert.match(await one.reply(), /^50[02] /);
  // Longer than RFC 4954 allows: what goes to the server is no such line, and ends the exchange where there is one.
  assert.match(await one.ask(`AUTH PLAIN ${long}${long}`), /^500 /);
  assert.match(await one.ask('AUTH LOGIN'), /^334 /);
  assert.match(await one.ask(`${long}${long}`), /^501 /);
  assert.match(await one.ask('AUTH LOGIN'), /^334 /);
  assert.match(await one.ask('*'), /^501 /);
  assert.match(await one.ask('AUTH LOGIN'), /^334 /);
  assert.match(await one.ask('MAIL FROM:<evil@example.test>'), /^501 /);
  await noted('smtp-credentials-malformed');
  assert.match(await one.ask('AUTH LOGIN'), /^334 /);
  assert.match(await one.ask('YWxpY2U='), /^235 /);
  assert.match(await sendData(one, INFECTED), REFUSED);
  assert.ok(!server.heard().includes('evil'));
  assertUnheard(server);
});
