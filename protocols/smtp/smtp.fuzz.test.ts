import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { FileStream, Verdict } from '../../src/core/file.js';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import { FlowEngine } from '../../src/flow/engine.js';
import { decoderContext } from '../../src/testing/context.js';
import { SeededRandom } from '../../src/testing/random.js';
import { smtp } from './smtp.js';

/** What clients say; `#` becomes a mark that is found again in files and in what the server gets. */
const CLIENT_SAYS = [
  'EHLO c\r\n',
  'LHLO c\r\n',
  'MAIL FROM:<a@x.test>\r\n',
  'MAIL FROM:<>\n',
  'RCPT TO:<b@y.test>\r\n',
  'RCPT TO:<"q>"@y.test>\r\n',
  'DATA\r\n',
  'data\n',
  'BDAT 12\r\n#abc',
  'BDAT 12 LAST\r\n#abc',
  'BDAT 0 LAST\r\n',
  'BDAT 5 X\r\n',
  'BDAT 99999999999999999999\r\n',
  'RSET\r\n',
  'NOOP\r\n',
  'QUIT\r\n',
  'AUTH PLAIN\r\n',
  'AGEAYg==\r\n',
  '*\r\n',
  'STARTTLS\r\n',
  'XCLIENT A=B\r\n',
  ' NOOP\r\n',
  '\0\r\n',
  'Subject: #\r\n',
  '#\r\n..#\r\n',
  '.\r\n',
  '\r\n.\r\n',
  '\r\n.\r\n',
  '\n.\r\n',
  '\r.\r',
  '.',
  '\r',
  '\n',
];
const SERVER_SAYS = [
  '220 mx ESMTP\r\n',
  '250 Ok\r\n',
  '250 Ok\r\n',
  '250 Ok\r\n',
  '250-mx\r\n250-XCLIENT\r\n250 SIZE\r\n',
  '250-mx\r\n250 CHUNKING\r\n',
  '354 go\r\n',
  '334 \r\n',
  '235 ok\r\n',
  '421 bye\r\n',
  '452 full\r\n',
  '550 no\r\n',
  'what\r\n',
  '250-',
  '\n',
];

/** Transactions as they should be: in turn what the client and the server say. */
const TRANSACTIONS = [
  ['MAIL FROM:<a@x.test>\r\n', '250 Ok\r\n', 'RCPT TO:<b@y.test>\r\n', '250 Ok\r\n', 'DATA\r\n#\r\n..#\r\n.\r\n'],
  [
    'EHLO c\r\n',
    '250-mx\r\n250 CHUNKING\r\n',
    'MAIL FROM:<>\r\n',
    '250 Ok\r\n',
    'RCPT TO:<b@y.test>\r\n',
    '250 Ok\r\n',
    'BDAT 13\r\n#abcdef',
    '',
    'BDAT 7 LAST\r\n#',
  ],
];

/** One connection in which anything may happen: what went wrong, and how many marks the server got. */
function anything(seed: number, passive: boolean): { wrong: string[]; delivered: number } {
  const random = new SeededRandom(seed);
  const wrong: string[] = [];
  const waiting: { judged: (verdict: Verdict) => void; bytes: () => string }[] = [];
  /** Marks of the messages that were let through. */
  const allowed = new Set<string>();
  let marks = 0;
  let ids = 0;
  let toServer = '';
  const check = () => {
    for (const mark of toServer.match(/<m\d{4}>/g) ?? [])
      if (!allowed.has(mark)) wrong.push(`${mark} reached the server without a verdict`);
  };
  const engine: FlowEngine = new FlowEngine({
    id: 1,
    limits: DEFAULT_LIMITS,
    decode: smtp.decoders(decoderContext()),
    output: passive
      ? undefined
      : {
          write: (toward, bytes) => {
            if (toward === SERVER) toServer += bytes.toString('latin1');
          },
          finish: () => {},
          reset: () => {},
          layer: () => later.push(() => engine.layerReady()),
          pause: () => {},
        },
    services: {
      openFile: (_meta, judged): FileStream => {
        let bytes = '';
        const over = () => waiting.push({ judged, bytes: () => bytes });
        return {
          id: ++ids,
          write: (chunk, start, end) => {
            if (start > end || end > chunk.length) wrong.push(`wrote ${start} to ${end} of ${chunk.length}`);
            bytes += chunk.toString('latin1', start, end);
          },
          writeAt: () => wrong.push('writeAt'),
          gap: () => {},
          malformed: () => {},
          end: over,
          abort: over,
        };
      },
      fileEnding: () => {},
      expect: () => {},
      wakeAt: () => {},
      anomaly: () => {},
      bypassed: () => {},
      failed: (error) => wrong.push((error as Error).stack ?? String(error)),
      openLayer: (_kind, inner) => ({ ...inner, position: () => 0 }),
      adopted: () => {},
    },
  });
  engine.maxUntaken = smtp.maxUntaken(DEFAULT_LIMITS);
  const later: (() => void)[] = [];
  const say = (side: typeof CLIENT | typeof SERVER, lines: readonly string[]) => {
    let text = '';
    for (let i = random.below(6); i >= 0; i--) text += random.pick(lines);
    send(side, text);
  };
  const send = (side: typeof CLIENT | typeof SERVER, template: string) => {
    const text = template.replace(/#/g, () => `<m${String(1000 + marks++)}>`);
    for (let at = 0; at < text.length; ) {
      const size = 1 + random.below(random.pick([2, 20, 500]));
      const chunk = Buffer.from(text.slice(at, at + size), 'latin1');
      engine.receive(side, chunk);
      chunk.fill(0x58);
      at += size;
    }
  };
  const judge = () => {
    const file = waiting.splice(random.below(waiting.length + 1), 1)[0];
    if (file === undefined) return;
    const action = random.pick(['pass', 'monitor', 'strip', 'block'] as const);
    if (action !== 'block') for (const mark of file.bytes().match(/<m\d{4}>/g) ?? []) allowed.add(mark);
    file.judged({ action, replacement: 'no\r\nRSET', edits: [{ start: 0, end: 1, instead: Buffer.from('.\r\n') }] });
  };
  /** A transaction, of which now and then a step is left out. */
  const transact = () => {
    const steps = random.pick(TRANSACTIONS);
    for (const [index, text] of steps.entries()) if (!random.once(12)) send(index % 2 === 0 ? CLIENT : SERVER, text);
    for (let tries = 4; tries > 0; tries--) judge();
    if (steps.length === 5 && !random.once(4)) send(SERVER, '354 go\r\n');
    send(SERVER, '250 Ok\r\n');
  };
  if (random.once(2)) send(SERVER, '220 mx ESMTP\r\n');
  if (passive && random.once(4)) for (const side of [CLIENT, SERVER] as const) engine.receiveGap(side, 0);
  for (let good = random.below(4); good > 0; good--) transact();
  for (let step = 0; step < 60; step++) {
    const dice = random.below(20);
    if (dice < 9) say(CLIENT, CLIENT_SAYS);
    else if (dice < 16) say(SERVER, SERVER_SAYS);
    else if (dice < 17) {
      if (passive) engine.receiveGap(random.pick([CLIENT, SERVER]), random.below(30));
    } else if (dice < 18) judge();
    else if (dice < 19) transact();
    else if (random.once(10)) engine.receiveEnd(random.pick([CLIENT, SERVER]));
    for (const next of later.splice(0)) next();
    check();
  }
  engine.close();
  check();
  return { wrong, delivered: new Set(toServer.match(/<m\d{4}>/g) ?? []).size };
}

test('whatever the peers do in whatever order, nothing throws, and no byte of a message goes before its verdict', () => {
  let delivered = 0;
  for (let seed = 1; seed <= 2200; seed++) {
    for (const passive of [false, true]) {
      const outcome = anything(seed, passive);
      assert.deepEqual(outcome.wrong, [], `seed ${seed}, ${passive ? 'recording' : 'live'}`);
      delivered += outcome.delivered;
    }
  }
  assert.ok(delivered > 1000, `only ${delivered} marks came through: the fuzz tests nothing`);
});
