// Signatures where NTLM lies in SMB 1's own words: the key is the session key and the response. Real clients: src/capture/real-smb.test.ts.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, SERVER, type Side } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import type { Secret } from '../../src/core/secret.js';
import { decoderContext, everySplit, PASS, runSession, type SessionCase, type Step } from '../../src/testing/index.js';
import * as m from '../../src/testing/smb1-messages.js';
import { response } from './ntlm.js';
import { smb } from './smb.js';

const { crypto } = decoderContext();
const SECRET: Secret = { kind: 'account', user: 'alice', domain: undefined, password: 'only-for-this-test' };
const NT_HASH = crypto.digest('md4', [Buffer.from('only-for-this-test', 'utf16le')]);
const CHALLENGE = Buffer.from('8 bytes.');
const RESPONSE = response(crypto, NT_HASH, CHALLENGE);
const KEY = Buffer.concat([crypto.digest('md4', [NT_HASH]), RESPONSE]);

type Said = readonly [side: Side, bytes: Buffer] | readonly [side: Side, gap: number];

function session(said: readonly Said[], secrets: readonly Secret[]): SessionCase {
  const script = said.map(([side, what], index): Step => {
    const gap = typeof what === 'number';
    return {
      stream: side,
      kind: gap ? 'gap' : 'bytes',
      bytes: gap ? Buffer.alloc(0) : what,
      length: gap ? what : 0,
      after: index,
      afterClients: 0,
      afterVerdicts: false,
    };
  });
  return {
    script,
    decoders: () => smb.decoders(decoderContext(secrets)),
    maxUntaken: smb.maxUntaken(DEFAULT_LIMITS),
    modes: ['passive'],
    limits: DEFAULT_LIMITS,
    judge: () => PASS,
    splits: 'every',
    interleave: false,
    verdictTiming: false,
  };
}

function trace(said: readonly Said[], secrets: readonly Secret[] = [SECRET]): string {
  everySplit(session(said, secrets));
  return runSession(session(said, secrets), { mode: 'passive', verdicts: 'at once' }).trace;
}

function signed(message: Buffer, number: number): Buffer {
  const bytes = Buffer.from(message);
  bytes.writeUInt32LE(number, 4 + 14);
  bytes.fill(0, 4 + 18, 4 + 22);
  crypto.digest('md5', [KEY, bytes.subarray(4)]).copy(bytes, 4 + 14, 0, 8);
  return bytes;
}

const ask = (mid: number, number: number, block: m.Smb1Block): Said => [
  CLIENT,
  signed(m.smb1({ mid, signed: true }, block), number),
];
const answer = (mid: number, number: number, block: m.Smb1Block): Said => [
  SERVER,
  signed(m.smb1({ mid, signed: true, reply: true }, block), number),
];

const MAY_SIGN = 0x07;
const MUST_SIGN = 0x0f;
const GUEST = 1;

/** NEGOTIATE and SESSION_SETUP_ANDX; the server's answer is message 1. */
function opening({ mode = MUST_SIGN, action = 0, sign = true } = {}): Said[] {
  const words = m.fields([0xff, 4], [0, 10], [24, 2], [24, 2], [0, 8]);
  const names = (at: number): Buffer => Buffer.concat([m.smb1Text('alice', at), Buffer.from('DOMAIN\0', 'utf16le')]);
  const setup = m.block(0x73, words, (at) => Buffer.concat([Buffer.alloc(24), RESPONSE, names(at + 48)]));
  const setUp = m.block(0x73, m.fields([0xff, 4], [action, 2]));
  const dialects = Buffer.from('\x02NT LM 0.12\0', 'latin1');
  return [
    [CLIENT, m.smb1({ mid: 0 }, m.block(0x72, Buffer.alloc(0), dialects))],
    [SERVER, m.smb1({ mid: 0, reply: true }, m.block(0x72, m.fields([0, 2], [mode, 1], [0, 30], [8, 1]), CHALLENGE))],
    [CLIENT, m.smb1({ mid: 1 }, setup)],
    sign ? answer(1, 1, setUp) : [SERVER, m.smb1({ mid: 1, reply: true }, setUp)],
  ];
}

const ECHO = m.block(0x2b, m.fields([1, 2]), Buffer.from('echo'));
const NT_CANCEL = m.block(0xa4, Buffer.alloc(0));
const BAD = /smb1-bad-signature/;

test('signatures fit by their numbers, also behind a request that has no answer', () => {
  const said = [
    ...opening(),
    ask(2, 2, ECHO),
    ask(3, 4, ECHO),
    answer(3, 5, ECHO),
    answer(2, 3, ECHO),
    ask(4, 6, NT_CANCEL),
    ask(5, 7, ECHO),
    answer(5, 8, ECHO),
  ];
  assert.doesNotMatch(trace(said), BAD);
  assert.match(
    trace([...opening(), ask(2, 3, ECHO), ask(3, 6, ECHO)]),
    BAD,
    'a request and its answer were taken away',
  );
  assert.match(trace([...opening(), ask(2, 2, ECHO), answer(2, 5, ECHO)]), BAD, 'the answer to another request');
  assert.match(trace([...opening(), ask(2, 2, ECHO), ask(3, 2, ECHO)]), BAD, 'a request once more');
});

test('one bit that was changed shows, to who knows the password', () => {
  const said = [...opening(), ask(2, 2, ECHO)];
  const [, echo] = said.at(-1) ?? [];
  assert.ok(Buffer.isBuffer(echo));
  const changed = Buffer.from(echo);
  changed[changed.length - 1]! ^= 1;
  const damaged: Said[] = [...said.slice(0, -1), [CLIENT, changed]];
  assert.match(trace(damaged), /smb1-bad-signature of the client/);
  assert.doesNotMatch(trace(damaged, []), BAD);
  assert.doesNotMatch(trace(damaged, [{ ...SECRET, user: 'bob' }]), BAD);
});

test('an answer that must be signed and is not shows; guests, and who need not sign, do not', () => {
  assert.match(trace(opening({ sign: false })), BAD);
  assert.doesNotMatch(trace(opening({ sign: false, mode: MAY_SIGN })), BAD);
  assert.doesNotMatch(trace(opening({ sign: false, action: GUEST })), BAD);
});

test('behind bytes that are missing nothing is checked: nobody knows the numbers', () => {
  assert.doesNotMatch(trace([...opening(), [CLIENT, 50], ask(2, 99, ECHO)]), BAD);
});

test('whatever is changed on the way to a key, nothing is thrown', () => {
  const said = [...opening(), ask(2, 2, ECHO), answer(2, 3, ECHO)];
  const change = fc.record({
    message: fc.nat(said.length - 1),
    at: fc.nat(300),
    value: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const changed = said.map(([side, what]) => [side, Buffer.from(what as Buffer)] as const);
      for (const { message, at, value } of changes) {
        const bytes = changed[message]![1];
        // Their lengths stay: what is behind them is to be read.
        bytes[4 + (at % (bytes.length - 4))]! ^= value;
      }
      const { problems } = runSession(session(changed, [SECRET]), { mode: 'passive', verdicts: 'at once' });
      assert.deepEqual(problems, []);
    }),
    { numRuns: 300 },
  );
});
