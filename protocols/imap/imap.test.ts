import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import { parseCaseFile, runSession, testCases } from '../../src/testing/index.js';
import { envelopeHeader, partsOf } from './body-structure.js';
import { longestUnasked, withAllowedCapabilities } from './capabilities.js';
import { loginName, parseCommand, refusalOf } from './commands.js';
import { imap } from './imap.js';
import { literalAt } from './literals.js';
import { parseData } from './syntax.js';

testCases(new URL('../../../samples/imap/', import.meta.url), [imap]);

test('knows a server by its greeting, and a client by a tag and a verb that only IMAP has', () => {
  assert.equal(imap.probe(SERVER, Buffer.from('* OK ready')), 'yes');
  assert.equal(imap.probe(SERVER, Buffer.from('* O')), 'more');
  assert.equal(imap.probe(SERVER, Buffer.from('+OK ready')), 'no');
  assert.equal(imap.probe(CLIENT, Buffer.from('a1 LOGIN x y\r\n')), 'yes');
  assert.equal(imap.probe(CLIENT, Buffer.from('EHLO x\r\n')), 'no');
  assert.equal(imap.probe(CLIENT, Buffer.from('*1\r\n$4\r\nPING\r\n')), 'no');
});

test('a literal is a size that fits a number; what others read otherwise is odd', () => {
  const mark = literalAt('a APPEND x ~{12+}');
  assert.ok(mark !== undefined && mark !== 'bad');
  assert.deepEqual(mark, { size: 12, nonSynchronizing: true, before: 'a APPEND x ', odd: false });
  assert.equal(literalAt('x {-1}'), 'bad');
  assert.equal(literalAt('x {18446744073709551616}'), 'bad');
  assert.equal(literalAt('x {a}'), undefined);
  assert.equal(literalAt('x {5} '), undefined);
  for (const odd of ['{007}', '{4294967296}']) assert.equal((literalAt(odd) as { odd: boolean }).odd, true);
});

test('a structure gives each part the header and the size that it has, attached messages too', () => {
  const [list] = parseData(
    '(("text" "plain" ("charset" "x") NIL NIL "7bit" 2 1)' +
      '("message" "rfc822" NIL NIL NIL "7bit" 300 ("d" "s" NIL NIL NIL NIL NIL NIL NIL NIL)' +
      ' (("text" "html" NIL NIL NIL "quoted-printable" 9 1)("image" "png" ("name" "a.png") NIL NIL "base64" 40) "mixed" ("boundary" "in"))' +
      ' 20 NIL ("attachment" ("filename" "m.eml"))) "mixed" ("boundary" "b"))',
  );
  assert.ok(list !== undefined);
  const parts = partsOf(list);
  assert.deepEqual([...parts.keys()].sort(), ['', '1', '2', '2.1', '2.2', '2.TEXT']);
  assert.match(parts.get('')?.lines ?? '', /multipart\/mixed; boundary="b"/);
  assert.match(parts.get('2')?.lines ?? '', /message\/rfc822[\s\S]*filename="m\.eml"/);
  assert.equal(
    parts.get('2.2')?.lines,
    'Content-Type: image/png; name="a.png"\r\nContent-Transfer-Encoding: base64\r\n',
  );
  assert.equal(parts.get('2.2')?.size, 40);
  assert.match(parts.get('2.TEXT')?.lines ?? '', /boundary="in"/);
});

test('no value of a structure or envelope makes a header line of its own', () => {
  const [structure, envelope] = parseData(
    '("a" "b" ("name" "x\r\nX-Evil: 1\r\n\r\nbody") NIL NIL "base64\r\nX: y" 4) (NIL "s\r\nBcc: z" (("n\r\nA: b" NIL "m" "h")))',
  );
  assert.ok(structure !== undefined && envelope !== undefined);
  for (const text of [partsOf(structure).get('1')?.lines ?? '', envelopeHeader(envelope)])
    for (const line of text.split('\r\n')) assert.match(line, /^(?:Content-[A-Za-z-]+|Subject|From): |^$/);
});

test('keeps the login name as it was written', () => {
  assert.equal(loginName('"a \\"b" secret', false), '"a \\"b"');
  assert.equal(loginName('bob secret', false), 'bob');
  assert.equal(loginName('"al" "x"', true), 'al');
});

test('what live connections may not have is hidden and refused', () => {
  assert.equal(withAllowedCapabilities('* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE IDLE'), '* CAPABILITY IMAP4rev1 IDLE');
  assert.equal(longestUnasked('* CAPABILITY IMAP4rev1 LITERAL-'), 4096);
  assert.equal(longestUnasked('* OK hello'), undefined);
  for (const line of ['a COMPRESS DEFLATE', 'a UID REPLACE 1 x {3}', 'a CONVERT 1', '* NOOP'])
    assert.notEqual(refusalOf(parseCommand(line)), undefined, line);
  for (const line of ['a UID FETCH 1 (BODY[])', 'a IDLE', 'a LIST "" "*"'])
    assert.equal(refusalOf(parseCommand(line)), undefined, line);
});

const LINE = fc.constantFrom(
  ...[
    'C: a FETCH 1 BODY[]',
    'C: b APPEND x {3}',
    'C: c APPEND x {3+}',
    'C: d LOGIN {2}',
    'C: e AUTHENTICATE PLAIN',
    'C: DONE',
  ],
  ...[
    'C: f IDLE',
    'C: g STARTTLS',
    'C: h COMPRESS DEFLATE',
    'C: i SELECT x',
    'C: j XYZ',
    'C: abc',
    'C: ab\\',
    'C: AGFiAA==',
  ],
  ...[
    'C: k APPEND x CATENATE (URL "u" TEXT {3+}',
    'C: abc)',
    'C: abc {2+}',
    'C: l UID FETCH 1 BODY[1]<0.4>',
    'C: \\*70{y}',
  ],
  ...[
    'S: * 1 FETCH (BODY[] {3}',
    'S: * 1 FETCH (BODY[1] {4}',
    'S: abc)',
    'S: ab\\',
    'S: * 1 FETCH (BODY[]<2> {2}',
    'S: )',
  ],
  ...[
    'S: * 1 FETCH (BODY[1] "abc")',
    'S: * 1 EXPUNGE',
    'S: * VANISHED 1:3',
    'S: * 1 FETCH (RFC822.SIZE 4 UID 2)',
    'S: \\*70{z}',
  ],
  ...['S: * 1 FETCH (BODY[1.MIME] {4}', 'S: A:b\\n)', 'S: * 1 FETCH (BODYSTRUCTURE ("a" "b" NIL NIL NIL "base64" 4))'],
  ...[
    'S: +',
    'S: a OK',
    'S: b OK',
    'S: c NO',
    'S: d OK',
    'S: e OK',
    'S: f OK',
    'S: g OK',
    'S: h OK',
    'S: i OK',
    'S: l BAD',
  ],
  ...['S: * OK [UIDVALIDITY 3]', 'S: * LIST {2}', 'S: * OK {2}', 'S: * X {3}', 'S: * \\', 'S:'],
  ...[
    '-- gap S 7',
    '-- gap C 7',
    '-- gap S 2',
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
  const front = `protocol: imap\nmodes: ${mode}\ninterleave: no\nlimits: line=64, pipelined=3, openSlices=2, mailboxMessages=2, responseText=200\nverdicts: block "no"; strip 1-2 "."; pass`;
  return parseCaseFile(`---\n${front}\n---\n\`\`\`session\n${script}\n\`\`\`\n`, [imap]).session;
}

test('any order of lines, gaps, ends and verdicts neither fails the flow nor lets anything out too early', () => {
  const plan = fc.record({
    mode: fc.constantFrom('live', 'passive'),
    verdicts: fc.constantFrom('at once', 'late', 'random', 'never'),
    seed: fc.integer({ min: 1, max: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(LINE, { maxLength: 30 }), plan, (lines, { mode, verdicts, seed }) => {
      const { problems } = runSession(session(['S: * OK ready', ...lines], mode), { mode, verdicts, seed });
      assert.deepEqual(problems, []);
    }),
    { numRuns: 3000 },
  );
});

// Without changes of layer and waits for verdicts: what comes before or after those is a matter of time. So is, live, whether the FIN of a
// client that waits for a quiet moment goes before or after the response that ends the connection.
test('the same bytes give the same trace in single bytes and whole', () => {
  fc.assert(
    fc.property(fc.array(LINE, { maxLength: 20 }), fc.constantFrom('live', 'passive'), (lines, mode) => {
      const later = mode === 'live' ? /STARTTLS|COMPRESS|verdicts|-- fin/ : /STARTTLS|COMPRESS|verdicts/;
      const run = session(['S: * OK ready', ...lines.filter((line) => !later.test(line))], mode);
      const whole = runSession(run, { mode, verdicts: 'late' }).trace;
      assert.equal(runSession(run, { mode, verdicts: 'late', size: 1 }).trace, whole);
    }),
    { numRuns: 500 },
  );
});

function passive(script: string, limits = ''): string {
  const text = `---\nprotocol: imap\nmodes: passive\n${limits === '' ? '' : `limits: ${limits}\n`}---\n\`\`\`session\n${script}\`\`\`\n`;
  return runSession(parseCaseFile(text, [imap]).session, { mode: 'passive', verdicts: 'at once' }).trace;
}

test('a line one byte over the limit is too long, one at the limit is not', () => {
  const run = (length: number) => passive(`S: * OK\nC: a NOOP \\*${length - 9}{x}\n`);
  assert.doesNotMatch(run(DEFAULT_LIMITS.line), /imap-line-too-long/);
  assert.match(run(DEFAULT_LIMITS.line + 1), /imap-line-too-long of the client/);
});

test('more messages than are remembered: of the one that was known first nothing is known', () => {
  const told = (n: number) => `S: * ${n} FETCH (BODYSTRUCTURE ("a" "b" NIL NIL NIL "base64" 4))\n`;
  const run = (messages: number) =>
    passive(
      `S: * OK\nC: a FETCH 1:* (BODYSTRUCTURE BODY[1])\n${Array.from({ length: messages }, (_, n) => told(n + 1)).join('')}S: * 1 FETCH (BODY[1] {4}\nS: YWJj)\n`,
      'mailboxMessages=3',
    );
  assert.doesNotMatch(run(3), /imap-unknown-encoding/);
  assert.match(run(4), /imap-mailbox-limit[\s\S]*imap-unknown-encoding/);
});

test('a response of very many literals costs no more than its length', () => {
  const many = 60_000;
  const session = `S: * OK\nC: a FETCH 1 BODYSTRUCTURE\nS: * 1 FETCH (BODYSTRUCTURE (${'{1}\\r\\na '.repeat(many)}\nS: ))\nS: * 2 FETCH (BODY[] {5}\nS: A: b\\n)\n`;
  assert.match(passive(session), /1 download message\/rfc822 5 bytes/);
});

test('ten thousand messages in one command, and as many commands at once, come in their order and in bounded memory', () => {
  const many = 10_000;
  const numbers = Array.from({ length: many }, (_, n) => n + 1);
  const content = (n: number) => `S: * ${n} FETCH (UID ${n} BODY[] {5}\nS: A: b\\n)\n`;
  const ordered = (trace: string) =>
    assert.deepEqual(
      [...trace.matchAll(/^ +(\d+) download message\/rfc822 5 bytes 17a6dad681d3f653 ended pass$/gm)].map(([, id]) =>
        Number(id),
      ),
      numbers,
    );
  ordered(
    passive(
      `S: * OK\nC: a UID FETCH 1:* BODY[]\n${numbers.map(content).join('')}S: a OK done\n`,
      'mailboxMessages=100',
    ),
  );
  const commands = numbers.map((n) => `C: a${n} FETCH ${n} BODY[]\n`).join('');
  const answers = numbers.map((n) => `${content(n)}S: a${n} OK done\n`).join('');
  ordered(passive(`S: * OK\n-- pipelined\n${commands}${answers}`, 'mailboxMessages=100'));
});
