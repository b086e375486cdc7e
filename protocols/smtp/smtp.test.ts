import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { Verdict } from '../../src/core/file.js';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import { parseCaseFile } from '../../src/testing/case-file.js';
import { testCases } from '../../src/testing/case-runner.js';
import { decoderContext } from '../../src/testing/context.js';
import { parseScript } from '../../src/testing/script.js';
import { type Mode, type Outcome, runSession, type SeenFile } from '../../src/testing/split.js';
import { chunkSizeOf, commandLikeness, pathOf } from './grammar.js';
import { refusal } from './replies.js';
import { smtp } from './smtp.js';

testCases(new URL('../../../samples/smtp/', import.meta.url), [smtp]);

const PASS: Verdict = { action: 'pass', replacement: '', edits: [] };

function run(mode: Mode, script: string, judge: (file: SeenFile) => Verdict = () => PASS): Outcome {
  const outcome = runSession(
    {
      script: parseScript(script),
      decoders: () => smtp.decoders(decoderContext()),
      maxUntaken: smtp.maxUntaken(DEFAULT_LIMITS),
      modes: [mode],
      limits: DEFAULT_LIMITS,
      judge,
      splits: 'whole',
      interleave: false,
      verdictTiming: false,
    },
    { mode, verdicts: 'at once' },
  );
  assert.deepEqual(outcome.problems, []);
  return outcome;
}

const strip = (start: number, end: number, instead: string): Verdict => ({
  action: 'strip',
  replacement: 'stripped',
  edits: [{ start, end, instead: Buffer.from(instead) }],
});

const OPENING = 'S: 220 mx ESMTP\nC: MAIL FROM:<a@x.test>\nS: 250 Ok\nC: RCPT TO:<b@y.test>\nS: 250 Ok\n';

test('one recipient more than the limit is noted and not kept', () => {
  const some = (count: number) => `C: \\*${count}{RCPT TO:<b@y.test>\\r\\n}\\\nS: \\*${count}{250 Ok\\r\\n}\\\n`;
  const rcpt = (count: number) =>
    some(500).repeat(Math.floor(count / 500)) + (count % 500 > 0 ? some(count % 500) : '');
  const session = (count: number) =>
    `S: 220 mx ESMTP\nC: MAIL FROM:<a@x.test>\nS: 250 Ok\n${rcpt(count)}C: DATA\nS: 354 go\nC: .\nS: 250 Ok\n`;
  const full = run('passive', session(DEFAULT_LIMITS.recipients));
  assert.equal(full.files[0]?.meta.mail?.recipients?.length, DEFAULT_LIMITS.recipients);
  assert.doesNotMatch(full.trace, /smtp-too-many-recipients/);
  const over = run('passive', session(DEFAULT_LIMITS.recipients + 1));
  assert.equal(over.files[0]?.meta.mail?.recipients?.length, DEFAULT_LIMITS.recipients);
  assert.match(over.trace, /smtp-too-many-recipients/);
});

test('one command more than may be under way waits for the answers, and nothing is lost', () => {
  const noops = (count: number) => `C: ${'NOOP\\r\\n'.repeat(count)}\\\n`;
  const replies = (count: number) => `S: ${'250 Ok\\r\\n'.repeat(count)}\\\n`;
  const session = (count: number) => `S: 220 mx\n${noops(count)}${replies(count)}C: QUIT\nS: 221 bye\n`;
  assert.doesNotMatch(run('live', session(DEFAULT_LIMITS.pipelined)).trace, /smtp-too-many-pipelined/);
  const over = run('live', session(DEFAULT_LIMITS.pipelined + 1));
  assert.match(over.trace, /smtp-too-many-pipelined/);
  assert.match(over.written[SERVER].toString(), /QUIT\r\n$/);
});

test('the limits of the flow are those of the decoder', () => {
  const trace = (line: number) => {
    const front = `protocol: smtp\nmodes: live\nlimits: line=${line}`;
    const script = `S: 220 mx\nC: NOOP ${'x'.repeat(43)}\nS: 250 Ok\n`;
    const { session } = parseCaseFile(`---\n${front}\n---\n\`\`\`session\n${script}\`\`\`\n`, [smtp]);
    return runSession(session, { mode: 'live', verdicts: 'at once' }).trace;
  };
  assert.doesNotMatch(trace(50), /smtp-line-too-long/);
  assert.match(trace(49), /smtp-line-too-long of the client/);
});

test('a message of more stuffed dots than are remembered is refused where a part of it should be stripped', () => {
  const session = (dots: number) =>
    `${OPENING}C: DATA\nC: EVIL\nC: ${`\\*${dots}{..\\r\\n}`}\\\nC: .\n-- wait 1\nS: 354 go\nS: 250 Ok\n`;
  const kept = run('live', session(DEFAULT_LIMITS.stuffedDots), () => strip(0, 4, 'gone'));
  assert.match(kept.written[SERVER].toString(), /DATA\r\ngone\r\n\.\.\r\n/);
  const over = run('live', session(DEFAULT_LIMITS.stuffedDots + 1), () => strip(0, 4, 'gone'));
  assert.match(over.written[SERVER].toString(), /RCPT TO:<b@y\.test>\r\nRSET\r\n$/);
  assert.match(over.written[CLIENT].toString(), /554 5\.7\.1 stripped\r\n/);
});

test('a stripped part leaves no dot at the start of a line that was not stuffed', () => {
  const session = `${OPENING}C: DATA\nC: EVIL.\nC: ..x\nC: .\n-- wait 1\nS: 354 go\nS: 250 Ok\n`;
  const sent = (start: number, end: number, instead: string) =>
    run('live', session, () => strip(start, end, instead))
      .written[SERVER].toString()
      .replace(/^.*DATA\r\n/s, '');
  assert.equal(sent(0, 4, 'gone\r\n'), 'gone.\r\n..x\r\n.\r\n');
  assert.equal(sent(0, 4, ''), ' .\r\n..x\r\n.\r\n');
  assert.equal(sent(0, 4, '.\r\n.'), '..\r\n...\r\n..x\r\n.\r\n');
  assert.equal(sent(0, 7, 'x'), 'x.x\r\n.\r\n');
  assert.equal(sent(0, 11, '.\n'), '..\r\n.\r\n');
});

test('a body of ten megabytes without a line end is one message', () => {
  const outcome = run('passive', `${OPENING}C: DATA\nS: 354 go\nC: \\*10485760{x}\nC: .\nS: 250 Ok\n`);
  assert.equal(outcome.files[0]?.bytes.length, 10_485_762);
  assert.equal(outcome.files[0]?.how, 'ended');
});

test('the text of a refusal cannot end its line', () => {
  assert.equal(refusal('file "a\r\n250 ok\r\n.exe" \u00e9').toString(), '554 5.7.1 file "a 250 ok .exe"\r\n');
  assert.equal(refusal('x'.repeat(2000)).length, 512);
  assert.equal(refusal('not now', true).toString(), '451 4.7.1 not now\r\n');
});

test('paths are read with quotes, source routes, and without brackets', () => {
  assert.equal(pathOf('MAIL FROM:<a@x.test> SIZE=5'), 'a@x.test');
  assert.equal(pathOf('MAIL FROM:<>'), '');
  assert.equal(pathOf('RCPT TO: <"a> b\\" c"@x.test> NOTIFY=NEVER'), '"a> b\\" c"@x.test');
  assert.equal(pathOf('RCPT TO:a@x.test'), 'a@x.test');
  assert.equal(pathOf('RCPT TO:<@r.test:a@x.test>'), '@r.test:a@x.test');
  assert.equal(pathOf('RCPT a@x.test'), undefined);
  assert.equal(pathOf('RCPT TO:'), undefined);
  assert.equal(pathOf(`RCPT TO:<${'a'.repeat(5000)}`)?.length, 512);
});

test('sizes of chunks are read in one way or not at all', () => {
  assert.deepEqual(chunkSizeOf('BDAT 0'), { size: 0, last: false, plain: true });
  assert.deepEqual(chunkSizeOf('bdat 86 last'), { size: 86, last: true, plain: true });
  assert.equal(chunkSizeOf('BDAT 007')?.plain, false);
  assert.equal(chunkSizeOf('BDAT 2147483648')?.plain, false);
  for (const bad of [
    'BDAT',
    'BDAT -1',
    'BDAT +1',
    'BDAT 0x10',
    'BDAT 5 X',
    'BDAT 5 LASTX',
    'BDAT 18446744073709551616',
  ])
    assert.equal(chunkSizeOf(bad), undefined, bad);
});

test('commands are told from text as soon as their beginning allows', () => {
  const likeness = (text: string) => commandLikeness(Buffer.from(text), 0);
  assert.equal(likeness('mail from:<'), 'yes');
  assert.equal(likeness('MAIL FRO'), 'more');
  assert.equal(likeness('Mailer: x'), 'no');
  assert.equal(likeness('QUITE so'), 'no');
  assert.equal(likeness('QUIT\r\n'), 'yes');
});

test('a server or a client is known by its first words', () => {
  const like = (side: 0 | 1, text: string) => smtp.probe(side, Buffer.from(text, 'latin1'));
  assert.equal(like(SERVER, '220 mx.example ESMTP Postfix\r\n'), 'yes');
  assert.equal(like(SERVER, '220-mx\r\n220 smtp.example\r\n'), 'yes');
  assert.equal(like(SERVER, '220 (vsFTPd 3.0.3)\r\n'), 'more');
  assert.equal(like(SERVER, '22'), 'more');
  assert.equal(like(SERVER, '+OK ready\r\n'), 'no');
  assert.equal(like(SERVER, '* OK IMAP4rev1\r\n'), 'no');
  assert.equal(like(CLIENT, 'EHLO c\r\n'), 'yes');
  assert.equal(like(CLIENT, 'lhlo c'), 'yes');
  assert.equal(like(CLIENT, 'EH'), 'more');
  assert.equal(like(CLIENT, 'GET / HTTP/1.1\r\n'), 'no');
  assert.equal(like(CLIENT, '\x16\x03\x01'), 'no');
});
