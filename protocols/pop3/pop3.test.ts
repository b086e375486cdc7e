import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import { parseCaseFile, runSession, testCases } from '../../src/testing/index.js';
import { messageOfLength } from '../mail/replacement.js';
import { saslLogin } from '../mail/sasl.js';
import { parseCommand } from './commands.js';
import { pop3 } from './pop3.js';

testCases(new URL('../../../samples/pop3/', import.meta.url), [pop3]);

test('knows a server by its whole +OK, and a client by verbs of its own', () => {
  assert.equal(pop3.probe(SERVER, Buffer.from('+OK ready')), 'yes');
  assert.equal(pop3.probe(SERVER, Buffer.from('+O')), 'more');
  assert.equal(pop3.probe(SERVER, Buffer.from('+OKAY')), 'no');
  assert.equal(pop3.probe(SERVER, Buffer.from('220 mail')), 'no');
  assert.equal(pop3.probe(CLIENT, Buffer.from('CAPA\r\n')), 'yes');
  assert.equal(pop3.probe(CLIENT, Buffer.from('USER x\r\n')), 'more');
  assert.equal(pop3.probe(CLIENT, Buffer.from('*1\r\n$4\r\nPING\r\n')), 'no');
  assert.equal(pop3.probe(CLIENT, Buffer.of(0x16, 3, 1, 0)), 'no');
});

test('keeps the login name as it was written, and no password', () => {
  assert.equal(parseCommand('USER "a b"').login, '"a b"');
  assert.equal(parseCommand('APOP bob 0123').login, 'bob');
  assert.equal(parseCommand('PASS secret').login, undefined);
  assert.equal(saslLogin('PLAIN', Buffer.from('z\0alice\0pw').toString('base64')), 'alice');
  assert.equal(saslLogin('CRAM-MD5', Buffer.from('tim o 00ff').toString('base64')), 'tim o');
  assert.equal(saslLogin('XOAUTH2', Buffer.from('user=a@b\x01auth=Bearer t\x01\x01').toString('base64')), 'a@b');
  assert.equal(saslLogin('SCRAM-SHA-256', Buffer.from('n,,n=u,r=x').toString('base64')), 'u');
  assert.equal(saslLogin('LOGIN', '*'), undefined);
});

test('a replacement is as long as the message, whatever that is', () => {
  for (const length of [0, 2, 3, 40, 100, 5_000]) {
    const message = messageOfLength('Blocked: x.exe\nVirus', length);
    assert.equal(message.length, length);
    if (length > 0) assert.equal(message.toString('latin1', length - 2), '\r\n');
  }
  assert.match(
    messageOfLength('Blocked: x.exe\nVirus', 500).toString(),
    /^MIME-Version: 1\.0\r\n[\s\S]*\r\n\r\nBlocked: x\.exe\r\nVirus\r\n/,
  );
  assert.match(messageOfLength('Blocked: x.exe\nVirus', 40).toString(), /^\r\nBlocked: x\.exe\r\nVirus/);
});

const LINE = fc.constantFrom(
  ...['C: RETR 1', 'C: TOP 1 2', 'C: LIST', 'C: AUTH PLAIN', 'C: AGEAYg==', 'C: STLS', 'C: XYZ', 'C: CAPA', 'C: QUIT'],
  ...[
    'S: +OK',
    'S: -ERR',
    'S: +',
    'S: .',
    'S: ..',
    'S: A: b',
    'S:',
    'S: 1 10',
    'S: x\\n.\\n\\',
    'S: \\r\\',
    'S: .\\',
    'S: +O\\',
  ],
  ...[
    'C: \\*70{y}',
    'S: \\*70{z}',
    '-- gap S 7',
    '-- gap C 7',
    '-- gap S 0',
    '-- verdicts',
    '-- pipelined',
    '-- in-order',
    '-- fin S',
    '-- fin C',
  ],
);

/** A session of these lines; live ones have no gaps. */
function session(lines: readonly string[], mode: 'live' | 'passive') {
  const script = lines.filter((line) => mode === 'passive' || !line.startsWith('-- gap')).join('\n');
  const front = `protocol: pop3\nmodes: ${mode}\ninterleave: no\nlimits: line=64, pipelined=3\nverdicts: block "no"; strip 1-2 "."; pass`;
  return parseCaseFile(`---\n${front}\n---\n\`\`\`session\n${script}\n\`\`\`\n`, [pop3]).session;
}

test('any order of lines, gaps, ends and verdicts neither fails the flow nor lets anything out too early', () => {
  const plan = fc.record({
    mode: fc.constantFrom('live', 'passive'),
    verdicts: fc.constantFrom('at once', 'late', 'random', 'never'),
    seed: fc.integer({ min: 1, max: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(LINE, { maxLength: 30 }), plan, (lines, { mode, verdicts, seed }) => {
      const { problems } = runSession(session(['S: +OK ready', ...lines], mode), { mode, verdicts, seed });
      assert.deepEqual(problems, []);
    }),
    { numRuns: 3000 },
  );
});

// Without STLS: whether clear text behind it came before or after the layer changed is a matter of time.
test('the same bytes give the same trace in single bytes and whole', () => {
  fc.assert(
    fc.property(fc.array(LINE, { maxLength: 20 }), fc.constantFrom('live', 'passive'), (lines, mode) => {
      const run = session(['S: +OK ready', ...lines.filter((line) => line !== 'C: STLS')], mode);
      const whole = runSession(run, { mode, verdicts: 'late' }).trace;
      assert.equal(runSession(run, { mode, verdicts: 'late', size: 1 }).trace, whole);
    }),
    { numRuns: 300 },
  );
});

test('a command line one byte over the limit is too long, one at the limit is not', () => {
  const run = (length: number) =>
    runSession(
      parseCaseFile(`---\nprotocol: pop3\n---\n\`\`\`session\nS: +OK\nC: NOOP \\*${length - 7}{x}\n\`\`\`\n`, [pop3])
        .session,
      { mode: 'live', verdicts: 'at once' },
    ).trace;
  assert.doesNotMatch(run(DEFAULT_LIMITS.line), /pop3-line-too-long/);
  assert.match(run(DEFAULT_LIMITS.line + 1), /pop3-line-too-long of the client/);
});

test('a message of more stuffed dots than are remembered is replaced whole where a part of it should be exchanged', () => {
  const run = (dots: number) => {
    const front = 'protocol: pop3\nlimits: stuffedDots=3\nverdicts: strip 0-1 "."';
    const script = `S: +OK\nC: RETR 1\nS: +OK\nS: a\n${'S: ..\n'.repeat(dots)}S: .\n`;
    return runSession(parseCaseFile(`---\n${front}\n---\n\`\`\`session\n${script}\`\`\`\n`, [pop3]).session, {
      mode: 'live',
      verdicts: 'at once',
    }).trace;
  };
  assert.match(run(3), /edit 5-6 "\.\.", released/);
  assert.match(run(4), /replaced by "\+OK/);
});

test('fifty messages asked for at once come in their order, and a listing of a million lines passes line by line', () => {
  const numbers = Array.from({ length: 50 }, (_, n) => n + 1);
  const script = `S: +OK
-- pipelined
${numbers.map((n) => `C: RETR ${n}\n`).join('')}C: UIDL
C: RETR 51
${'S: +OK\nS: A: b\nS:\nS: .\n'.repeat(50)}S: +OK
S: \\*1000000{1 a\\r\\n}.
S: +OK
S: C: d
S:
S: .
`;
  for (const mode of ['live', 'passive'] as const) {
    const front = `protocol: pop3\nmodes: ${mode}\nlimits: pipelined=60`;
    const { trace, problems } = runSession(
      parseCaseFile(`---\n${front}\n---\n\`\`\`session\n${script}\`\`\`\n`, [pop3]).session,
      { mode, verdicts: 'at once' },
    );
    assert.deepEqual(problems, []);
    const found = [...trace.matchAll(/^ +(\d+) download message\/rfc822 8 bytes (\w+) ended pass$/gm)];
    assert.deepEqual(
      found.map(([, id]) => Number(id)),
      [...numbers, 51],
    );
    assert.equal(new Set(found.map(([, , hash]) => hash)).size, 2);
    assert.doesNotMatch(trace, /anomalies/);
  }
});
