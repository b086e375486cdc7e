/** BDAT (RFC 3030) as misused through the daemon: chunks that are cut, miscounted, mixed with DATA or left open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EICAR } from '../testing/peers/scanned.js';
import {
  assertUnheard,
  betweenSmtp,
  ENVELOPE,
  plainMessage,
  REFUSED,
  sendChunks,
  sendData,
} from '../testing/peers/scripted-smtp.js';

const CLEAN = plainMessage('nothing but text');
const INFECTED = plainMessage(EICAR);

test('SMT-020: a BDAT with a tail is refused, and what comes later is judged', async (context) => {
  const { server, client, noted } = await betweenSmtp(context);
  const one = await client();
  await one.talk(...ENVELOPE);
  assert.match(await one.ask('BDAT 5 X'), /^501 /);
  assert.match(await one.ask('hello'), /^502 /);
  assert.match(await sendData(one, INFECTED), REFUSED);
  assert.match(await sendData(one, CLEAN), /^250 /);
  await noted('smtp-bdat-malformed');
  assert.deepEqual(server.lines.slice(1, 4), [...ENVELOPE, 'RSET']);
  assert.deepEqual(server.messages, [CLEAN]);
  assertUnheard(server);
});

test('SMT-021: behind an empty message in chunks the next one is judged', async (context) => {
  const { server, client } = await betweenSmtp(context);
  const one = await client();
  await one.talk(...ENVELOPE);
  assert.match(await one.ask('BDAT 0 LAST'), /^250 /);
  assert.match(await sendChunks(one, INFECTED), REFUSED);
  await one.talk(...ENVELOPE);
  one.say(`BDAT ${CLEAN.length}\r\n${CLEAN}BDAT 0 LAST\r\n`);
  for (let answers = 0; answers < 2; answers++) assert.match(await one.reply(), /^250 /);
  assert.match(await sendData(one, INFECTED), REFUSED);
  assert.deepEqual(server.messages, ['', CLEAN]);
  assertUnheard(server);
});

test('SMT-022: the test file in two chunks, cut at each byte, or in chunks of one, is found', async (context) => {
  const { server, daemon, client } = await betweenSmtp(context);
  const one = await client();
  const start = INFECTED.indexOf(EICAR);
  for (let cut = start; cut <= start + EICAR.length; cut++)
    assert.match(await sendChunks(one, INFECTED, cut), REFUSED, `cut at ${cut}`);
  assert.match(await sendChunks(one, INFECTED, 1), REFUSED, 'byte by byte');
  // The same in base64, cut inside its groups of four.
  const encoded = Buffer.from(EICAR).toString('base64');
  const part = `MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=eicar.com\r\nContent-Transfer-Encoding: base64\r\n\r\n${encoded}\r\n`;
  for (const size of [1, 2, 3, 5, 7]) assert.match(await sendChunks(one, part, size), REFUSED, `base64 by ${size}`);
  // Pipelined, as a client does that does not wait.
  const half = start + 30;
  await one.talk(...ENVELOPE);
  one.say(`BDAT ${half}\r\n${INFECTED.slice(0, half)}BDAT ${INFECTED.length - half} LAST\r\n${INFECTED.slice(half)}`);
  assert.match(await one.reply(), /^250 /);
  assert.match(await one.reply(), REFUSED);
  assert.match(await sendChunks(one, CLEAN, 3), /^250 /);
  assert.deepEqual(server.messages, [CLEAN]);
  assert.ok(!server.heard().includes(encoded.slice(0, 20)));
  assertUnheard(server);
  assert.equal(
    daemon.records().filter((record) => record.get('logid') === '0211008194').length,
    EICAR.length + 1 + 1 + 5 + 1,
  );
});

test('SMT-023: sizes that are read in more than one way are refused, and the transaction is undone', async (context) => {
  const { server, client, noted } = await betweenSmtp(context);
  const sizes = ['-1', '+5', '5 X', '0x10', '1e3', '5.0', '007', '2147483648', '4294967296', '4294967301'];
  for (const size of [
    ...sizes,
    '18446744073709551616',
    '9'.repeat(400),
    '5 LAST LAST',
    '5 LASTX',
    '',
    '5,5',
    '\u0665',
  ]) {
    const where = JSON.stringify(size);
    const one = await client();
    await one.talk(...ENVELOPE);
    for (const line of [`BDAT ${size}`, `BDAT ${size} LAST`]) assert.match(await one.ask(line), /^501 /, where);
    assert.match(await one.ask('DATA'), /^503 /, where);
    assert.match(await sendChunks(one, INFECTED), REFUSED, where);
    assert.match(await sendChunks(one, CLEAN), /^250 /, where);
    one.end();
    assert.equal(await one.left(), 'end');
  }
  await noted('smtp-bdat-malformed');
  assert.ok(server.messages.every((each) => each === CLEAN));
  // What the server hears of chunks is ours: one, and the last.
  for (const line of server.lines) if (/BDAT/.test(line)) assert.equal(line, `BDAT ${CLEAN.length} LAST`);
  assertUnheard(server);
});

test('SMT-024: DATA behind chunks and chunks behind DATA are refused, and nothing of the message is sent', async (context) => {
  const { server, client, noted } = await betweenSmtp(context);
  const one = await client();
  await one.talk(...ENVELOPE);
  one.say(`BDAT ${CLEAN.length}\r\n${CLEAN}`);
  assert.match(await one.reply(), /^250 /);
  assert.match(await one.ask('DATA'), /^503 /);
  await noted('smtp-bdat-data-mixed');
  // Nothing is left of the transaction.
  assert.match(await one.ask('BDAT 0 LAST'), /^503 /);
  assert.deepEqual(server.lines.slice(1), [...ENVELOPE, 'RSET']);

  const two = await client();
  assert.match(await sendData(two, INFECTED), REFUSED);
  two.say(`BDAT ${INFECTED.length} LAST\r\n${INFECTED}`);
  assert.match(await two.reply(), /^503 /);
  assert.match(await sendData(two, CLEAN), /^250 /);
  two.say(`BDAT ${INFECTED.length} LAST\r\n${INFECTED}`);
  assert.match(await two.reply(), /^503 /);
  await noted('smtp-bdat-misplaced');
  assert.deepEqual(server.messages, [CLEAN]);
  assertUnheard(server);
});

test('SMT-025: octets of a chunk that look like an end of data and commands stay octets of one chunk', async (context) => {
  const { server, client } = await betweenSmtp(context);
  const one = await client();
  const inner = (text: string): string =>
    `outer\r\n.\r\nMAIL FROM:<evil@example.test>\r\nRCPT TO:<evil@example.test>\r\nDATA\r\n${plainMessage(text)}.\r\nnot the end`;
  const clean = plainMessage(inner('inner'));
  assert.match(await sendChunks(one, clean), /^250 /);
  assert.match(await sendChunks(one, clean, 50), /^250 /);
  assert.deepEqual(server.messages, [clean, clean]);
  assert.ok(!server.lines.includes('DATA'));
  assert.ok(!server.lines.some((line) => line.includes('evil')));
  assert.match(await sendChunks(one, plainMessage(inner(EICAR)), 50), REFUSED);
  assertUnheard(server);
});

test('a part that is taken out of chunks, or of text with stuffed dots, leaves a message that is whole', async (context) => {
  const { server, daemon, client } = await betweenSmtp(
    context,
    {},
    {
      options: ['config smtp', '    set options fragmail', 'end'],
      sections: 'config system replacemsg mail "email-virus"\n    set buffer ".gone: %%VIRUS%%"\nend\n',
    },
  );
  const head = plainMessage('').replace(
    /\r\n\r\n$/,
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n',
  );
  const parts = (...texts: readonly string[]): string => `${head}\r\n--b\r\n${texts.join('\r\n--b\r\n')}\r\n--b--\r\n`;
  const evil = `Content-Type: application/octet-stream; name=eicar.com\r\n\r\n${EICAR}`;
  const before = 'Content-Type: text/plain\r\n\r\n.\r\n..\r\nbefore';
  const behind = 'Content-Type: text/plain\r\n\r\n.behind';
  const whole = parts(before, evil, behind);
  const stuffed = (text: string): string => text.replace(/^\./gm, '..');
  const one = await client();
  assert.match(await sendChunks(one, whole, 77), /^250 /);
  assert.match(await sendData(one, stuffed(whole)), /^250 /);
  const [chunked = '', dotted = ''] = server.messages;
  for (const [message, as] of [
    [chunked, (text: string) => text],
    [dotted, stuffed],
  ] as const) {
    assert.ok(message.startsWith(as(parts(before)).slice(0, -'\r\n--b--\r\n'.length)));
    assert.ok(message.endsWith(as(`\r\n--b\r\n${behind}\r\n--b--\r\n`)));
    assert.match(message, /\r\n \.gone: EICAR_TEST_FILE\r\n/);
  }
  assert.ok(server.lines.includes(`BDAT ${chunked.length} LAST`));
  assertUnheard(server);
  await daemon.record({ action: 'attachment-removed', filename: 'eicar.com', virus: 'EICAR_TEST_FILE' });
});

test('SMT-025: chunks for a server that does not know them are refused: it would take their octets for commands', async (context) => {
  const { server, client, noted } = await betweenSmtp(context, {
    capabilities: ['PIPELINING'],
    answer: (line) => (line.startsWith('BDAT') ? '502 5.5.1 what?' : undefined),
  });
  const inner = `MAIL FROM:<evil@example.test>\r\nRCPT TO:<evil@example.test>\r\nDATA\r\n${plainMessage('inner')}.\r\n`;
  for (const hello of ['EHLO client.example.test', 'HELO client.example.test']) {
    const one = await client();
    await one.talk(hello, ...ENVELOPE);
    one.say(`BDAT ${inner.length} LAST\r\n${inner}`);
    assert.match(await one.reply(), /^50[23] /, hello);
    assert.match(await one.ask('RSET'), /^250 /, hello);
    assert.match(await sendData(one, CLEAN), /^250 /, hello);
  }
  await noted('smtp-bdat-misplaced');
  assert.ok(!server.heard().includes('evil'));
  assert.deepEqual(server.messages, [CLEAN, CLEAN]);
});
