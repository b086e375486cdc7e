/** MIM-114: a virus in pieces, `message/partial`. No piece can be scanned; `fragmail` says whether they pass, and they are never clean. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { EICAR } from '../testing/archive-bytes.js';
import { judging } from '../testing/judging.js';
import { BUILT_IN_PROFILES, forEachProtocol, type SessionProfiles } from './profiles.js';

const judge = judging();
after(() => judge.close());

const whole = `Content-Type: application/octet-stream; name=a.com\r\n\r\n${EICAR.toString()}\r\n`;
const pieces = [0, 1, 2].map((i) => whole.slice((i * whole.length) / 3, ((i + 1) * whole.length) / 3));
const partial = (number: number, type = 'message/partial'): string =>
  [
    'From: ann@example.org',
    'Subject: in pieces',
    'MIME-Version: 1.0',
    `Content-Type: ${type}; id="1@example.org"; number=${number}; total=3`,
    '',
    pieces[number - 1],
  ].join('\r\n');
const fragmail: SessionProfiles = {
  ...BUILT_IN_PROFILES,
  protocolOptions: {
    ...BUILT_IN_PROFILES.protocolOptions,
    protocols: forEachProtocol((key) => ({
      ...BUILT_IN_PROFILES.protocolOptions.protocols[key],
      passFragmented: true,
    })),
  },
};

for (const [service, action, recorded] of [
  ['SMTP', 'block', 'blocked'],
  ['POP3', 'strip', 'blocked'],
  ['IMAP', 'strip', 'blocked'],
] as const)
  test(`MIM-114 ${service}: each piece is ${recorded}, and with fragmail passes and is not clean`, async () => {
    for (const number of [1, 2, 3])
      for (const type of ['message/partial', 'Message/Partial']) {
        const judged = await judge(partial(number, type), { service });
        assert.equal(judged.action, action, type);
        assert.ok(judged.records.includes(`mimefragmented:${recorded}`), judged.records.join());
        const passed = await judge(partial(number), { service, profiles: fragmail });
        assert.deepEqual(
          [passed.action, passed.verdict, passed.records],
          ['monitor', 'unscannable fragmented', ['mimefragmented:passthrough']],
        );
      }
  });

test('MIM-114 a piece whose type is written so that readers differ is malformed, with fragmail as well', async () => {
  const judged = await judge(partial(1, '"message/partial"'), { profiles: fragmail });
  assert.deepEqual([judged.action, judged.verdict], ['block', 'malformed mime-type-malformed']);
});

test('MIM-114 a piece within a multipart is one as well', async () => {
  const message = `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n${partial(2)}\r\n--b--\r\n`;
  assert.deepEqual(
    [(await judge(message)).action, (await judge(message)).verdict],
    ['block', 'unscannable fragmented'],
  );
});

test('a whole message that is attached, and a delivery status, are no pieces', async () => {
  for (const type of ['message/rfc822', 'message/delivery-status', 'text/plain'])
    assert.equal(
      (await judge(partial(3, type).replace(pieces[2]!, 'Subject: x\r\n\r\nhello\r\n'))).verdict,
      'clean',
      type,
    );
});
