import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { CLIENT, SERVER } from '../core/flow.js';
import { Conversation, pcapFile } from './packets.js';
import { base64Lines, dotStuffed, type Mail, mimeMessage, play, pop3Session, smtpSession } from './sessions.js';

const MAIL: Mail = {
  from: 'a@x.example',
  to: ['b@y.example', 'c@y.example'],
  subject: 'two files',
  text: '.hidden\r\nseen',
  attachments: [
    { name: 'a.bin', bytes: Buffer.alloc(100, 0xa5) },
    { name: 'b.pdf', bytes: Buffer.from('%PDF'), type: 'application/pdf' },
  ],
};

test('base64 is cut into lines of 76 characters, each ended by CRLF', () => {
  for (const size of [0, 1, 56, 57, 58, 114, 1000]) {
    const bytes = Buffer.alloc(size, 0x5a);
    const lines = base64Lines(bytes).toString('latin1').split('\r\n');
    assert.equal(lines.pop(), '');
    assert.ok(lines.every((line, at) => (at < lines.length - 1 ? line.length === 76 : line.length <= 76)));
    assert.deepEqual(Buffer.from(lines.join(''), 'base64'), bytes);
  }
});

test('a line that begins with a dot gets another, also the first and two in a row', () => {
  assert.equal(
    dotStuffed(Buffer.from('.a\r\n..b\r\n.\r\n.\r\nc.d\r\n')).toString(),
    '..a\r\n...b\r\n..\r\n..\r\nc.d\r\n',
  );
});

test('an SMTP session has an answer to every command and the message between DATA and the final dot', () => {
  const turns = smtpSession([MAIL, MAIL]);
  assert.ok(turns.every(({ side }, at) => side === (at % 2 === 0 ? SERVER : CLIENT)));
  const message = turns.filter(({ bytes }) => bytes.includes('MIME-Version'));
  assert.equal(message.length, 2);
  assert.match(message[0]!.bytes.toString(), /\r\n\r\n\.\.hidden\r\nseen\r\n[\s\S]*--\r\n\.\r\n$/);
});

test('a POP3 reply announces the size of the message without stuffing and end', () => {
  const reply = pop3Session([MAIL], 'joe').find(({ bytes }) => bytes.includes('MIME-Version'))!;
  const announced = Number(/^\+OK (\d+) octets\r\n/.exec(reply.bytes.toString())?.[1]);
  assert.equal(reply.side, SERVER);
  assert.equal(announced, mimeMessage(MAIL).length);
});

test('played, a session is the same bytes in segments of the size asked for', () => {
  const turns = smtpSession([MAIL]);
  const conversation = new Conversation({ mss: 100, clientIsn: 0xffff_ff00 });
  play(turns, conversation, 100);
  const sent = turns.filter(({ side }) => side === CLIENT).reduce((sum, { bytes }) => sum + bytes.length, 0);
  // Two for SYN and FIN; the sequence numbers wrap.
  assert.equal(conversation.next[CLIENT], (0xffff_ff00 + sent + 2) % 2 ** 32);
  assert.ok(conversation.packets.every(({ bytes }) => bytes.length <= 14 + 20 + 20 + 100));
  assert.ok(pcapFile(conversation.packets).length > sent);
});
