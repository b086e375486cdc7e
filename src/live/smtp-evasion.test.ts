/** Commands and messages of SMTP that are meant to be read in two ways, through the daemon: what the client is told, what the server gets, what the log has. */
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

test('SMT-004, SMT-005, SMT-008, SMT-009: a lone dot between other line ends closes the session, and no byte of its message is sent', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context);
  const dots = ['\r.\r', '\n.\r\n', '\r\n.\r\r\n', '\r\r\n.\r\r\n', '\n.\n', '\r\n.\n', '\r\n.\r', '\r.\r\n', '\n.\r'];
  for (const [at, dot] of [...dots, '\r\n\0.\r\n'].entries()) {
    const where = JSON.stringify(dot);
    const one = await client();
    await one.talk(...ENVELOPE, 'DATA');
    const smuggled = `MAIL FROM:<evil@example.test>\r\nRCPT TO:<evil@example.test>\r\nDATA\r\n${INFECTED}`;
    one.say(`${plainMessage('outer')}end${dot}${smuggled}.\r\nQUIT\r\n`);
    assert.match(await one.reply(), /^521 5\.5\.2 /, where);
    assert.equal(await one.left(), 'end', where);
    assert.equal(await server.peers[at]?.left(), 'end', where);
    assert.equal(server.peers[at]?.heard, `${['EHLO client.example.test', ...ENVELOPE].join('\r\n')}\r\n`, where);
    // Each session has its record.
    await daemon.record({ msg: 'smtp-smuggling, from the client', srcport: String(one.port) });
  }
  assert.match(await sendData(await client(), CLEAN), /^250 /);
});

test('SMT-011: stuffed dots arrive as they were sent, wherever segments of 64 KiB end', async (context) => {
  const { server, client } = await betweenSmtp(context);
  const one = await client();
  const dots = '..\r\n...\r\n..x\r\n.. \r\n';
  for (let shift = 0; shift < dots.length; shift++) {
    const head = plainMessage('', `shifted by ${shift}`);
    const filling = 'x'
      .repeat(997)
      .concat('\r\n')
      .repeat(70)
      .slice(0, 65_536 - head.length - 2 - shift);
    const message = `${head}${filling}\r\n${dots.repeat(20_000)}`;
    assert.match(await sendData(one, message), /^250 /);
    assert.ok(server.messages.at(-1) === message, `shifted by ${shift}`);
  }
});

for (const tls of [false, true])
  test(`SMT-012: an end of data in two ${tls ? 'TLS records' : 'segments'}, cut at each byte, or in five, is one`, async (context) => {
    const { server, client } = await betweenSmtp(context, { capabilities: ['PIPELINING', 'STARTTLS'] });
    const one = await client({ tls });
    for (const [message, expected] of [
      [CLEAN, /^250 /],
      [INFECTED, REFUSED],
    ] as const)
      for (const cut of [5, 4, 3, 2, 1, 0]) {
        const whole = `${message}.\r\n`;
        await one.talk(...ENVELOPE, 'DATA');
        await one.sayInPieces(whole.slice(0, whole.length - cut), whole.length);
        await one.sayInPieces(whole.slice(whole.length - cut), 5);
        assert.match(await one.reply(), expected, `${cut} bytes from the end`);
        await one.talk(...ENVELOPE, 'DATA');
        one.say(whole.slice(0, -5));
        await one.sayInPieces(whole.slice(-5), 1);
        assert.match(await one.reply(), expected, 'byte by byte');
      }
    assert.equal(server.messages.length, 12);
    assert.ok(server.messages.every((each) => each === CLEAN));
    assertUnheard(server);
  });

test('SMT-014: RSET and the next message in one segment with the end of the first: each is judged for itself', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context);
  for (const [first, second] of [
    [CLEAN, INFECTED],
    [INFECTED, CLEAN],
  ] as const) {
    const one = await client();
    await one.talk(...ENVELOPE, 'DATA');
    one.say(`${first}.\r\nRSET\r\n${ENVELOPE.join('\r\n')}\r\nDATA\r\n`);
    assert.match(await one.reply(), first === CLEAN ? /^250 / : REFUSED);
    for (const code of [250, 250, 250, 354]) assert.equal((await one.reply()).slice(0, 3), String(code));
    one.say(`${second}.\r\nQUIT\r\n`);
    assert.match(await one.reply(), second === CLEAN ? /^250 / : REFUSED);
    assert.match(await one.reply(), /^221 /);
  }
  assert.deepEqual(server.messages, [CLEAN, CLEAN]);
  assertUnheard(server);
  assert.equal(daemon.records().filter((record) => record.get('logid') === '0211008194').length, 2);
});

test('SMT-015: DATA without an envelope is refused, and the message that comes later is judged', async (context) => {
  const { server, client } = await betweenSmtp(context);
  const one = await client();
  assert.match(await one.ask('DATA'), /^503 /);
  assert.match(await one.ask('EHLO again.example.test'), /^250/);
  assert.match(await one.ask('RCPT TO:<bob@example.test>'), /^250 /);
  assert.match(await one.ask('DATA'), /^503 /);
  await one.ask('RSET');
  assert.match(await sendData(one, INFECTED), REFUSED);
  assert.match(await sendData(one, CLEAN), /^250 /);
  assert.deepEqual(server.messages, [CLEAN]);
  assertUnheard(server);
});

test('SMT-017: a command line of more than 2 KiB is refused alone, whatever the server would make of its rest', async (context) => {
  const { server, client, noted } = await betweenSmtp(context);
  const one = await client();
  for (const size of [512, 513, 2_048]) {
    const line = `NOOP ${'x'.repeat(size - 'NOOP \r\n'.length)}`;
    assert.match(await one.ask(line), /^250 /, `${size} bytes`);
    assert.equal(server.lines.at(-1), line);
  }
  for (const size of [2_049, 4_097, 16_385, 65_537, 1 << 20]) {
    assert.match(await one.ask(`MAIL FROM:<${'x'.repeat(size - 14)}>`), /^500 5\.5\.2 /, `${size} bytes`);
    assert.match(await one.ask('NOOP'), /^250 /);
    assert.match(await sendData(one, INFECTED), REFUSED);
  }
  await noted('smtp-line-too-long');
  assert.ok(server.lines.every((line) => line.length <= 2_048));
  assertUnheard(server);
});

test('SMT-017: a server that goes into its data by itself has its session ended: it takes commands for text', async (context) => {
  const { server, daemon, client, noted } = await betweenSmtp(context, {
    // As Exim does with the rest of a line that is too long for it.
    answer: (line) => (line.startsWith('NOOP') ? '500 too long\r\n354 go' : undefined),
  });
  const one = await client();
  await one.talk(...ENVELOPE);
  one.say('NOOP\r\n');
  await one.left();
  assert.ok(!one.heard.includes('354'));
  await noted('smtp-reply-unexpected', 'server');
  await daemon.record({ logdesc: 'Session ended by inspection', msg: 'smtp-reply-unexpected' });
  assert.deepEqual(server.messages, []);
});

test('SMT-018: what is infected behind a line of 998, 6,512 or 10,000,000 bytes is found', async (context) => {
  const { server, daemon, client } = await betweenSmtp(
    context,
    { greeting: `220-${'mx '.repeat(6_000)}\r\n220 mx` },
    { options: ['config smtp', '    set oversize-limit 100', 'end'] },
  );
  const one = await client();
  for (const size of [998, 6_512, 10_000_000]) {
    const long = 'x'.repeat(size);
    assert.match(await sendData(one, plainMessage(`${long}\r\n${EICAR}`)), REFUSED, `a line of ${size}`);
    assert.match(await sendData(one, plainMessage(long)), /^250 /, `a line of ${size}`);
    assert.equal(server.messages.at(-1)?.length, plainMessage(long).length);
  }
  assertUnheard(server);
  assert.equal(daemon.records().filter((record) => record.get('logid') === '0211008194').length, 3);
});

test('SMT-019: odd forms of DATA are refused, or the server hears of them as DATA', async (context) => {
  const { server, client, noted } = await betweenSmtp(context);
  const forms: readonly (readonly [line: string, answer: RegExp])[] = [
    ['data\r\n', /^354 /],
    ['DaTa\r\n', /^354 /],
    ['DATA\n', /^354 /],
    [' DATA\r\n', /^502 /],
    ['\tDATA\r\n', /^502 /],
    ['DATA now\r\n', /^501 /],
    ['DATA\0\r\n', /^500 /],
    ['\0DATA\r\n', /^500 /],
    ['DATA\r\r\n', /^500 /],
    ['DATA\x7f\r\n', /^500 /],
    ['D\xc4TA\r\n', /^502 /],
    ['\xefDATA\r\n', /^502 /],
    ['DATA\x0b\r\n', /^500 /],
  ];
  for (const [line, answer] of forms) {
    const where = JSON.stringify(line);
    const one = await client();
    await one.talk(...ENVELOPE);
    one.say(line);
    const said = await one.reply();
    assert.match(said, answer, where);
    if (said.startsWith('354')) {
      one.say(`${CLEAN}.\r\n`);
      assert.match(await one.reply(), /^250 /, where);
    }
    assert.match(await one.ask('RSET'), /^250 /, where);
    assert.match(await sendData(one, INFECTED), REFUSED, where);
  }
  // The same of the envelope: one reading of whose mail it is.
  const one = await client();
  one.say('mail from:<a@example.test>\nrcpt to:<b@example.test>\nRSET\r\n');
  for (let answers = 0; answers < 3; answers++) assert.match(await one.reply(), /^250 /);
  assert.doesNotMatch(server.heard(), /[^\r]\n/);
  assert.doesNotMatch(server.heard(), /[\0\x0b\x7f\xc4\xef]|\r\r/);
  assert.deepEqual(server.messages, [CLEAN, CLEAN, CLEAN]);
  assertUnheard(server);
  for (const code of ['smtp-bare-lf-command', 'smtp-space-before-command', 'smtp-control-in-command'] as const)
    await noted(code);
});

test('SMT-037: a server that accepts everything is asked to forget an infected message before it hears of DATA', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context);
  const one = await client();
  assert.match(await sendData(one, INFECTED), REFUSED);
  assert.match(await one.ask('NOOP'), /^250 /);
  assert.deepEqual(server.lines.slice(1), [...ENVELOPE, 'RSET', 'NOOP']);
  assert.deepEqual(server.messages, []);
  const record = await daemon.record({ logid: '0211008194', service: 'SMTP' });
  assert.equal(record.get('action'), 'blocked');
  assert.equal(record.get('virus'), 'EICAR_TEST_FILE');
});

test('a server that refuses LHLO answers a message once, and so is it expected to', async (context) => {
  const { server, client } = await betweenSmtp(context, {
    answer: (line) => (line.startsWith('LHLO') ? '502 5.5.1 no' : undefined),
  });
  const one = await client();
  assert.match(await one.ask('LHLO client.example.test'), /^502 /);
  await one.ask('EHLO client.example.test');
  assert.match(await one.ask('LHLO client.example.test'), /^502 /);
  for (const [message, expected] of [
    [CLEAN, /^250 /],
    [INFECTED, REFUSED],
  ] as const) {
    await one.talk(...ENVELOPE, 'RCPT TO:<carol@example.test>', 'DATA');
    assert.match(await one.ask(`${message}.`), expected);
    assert.match(await one.ask('NOOP'), /^250 /);
    assert.equal(one.rest, '');
  }
  assert.deepEqual(server.messages, [CLEAN]);
});
