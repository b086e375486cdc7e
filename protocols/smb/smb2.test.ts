// Recorded sessions of Samba, cut, lost and damaged: nothing is thrown, the same files come out of every cut, and nothing is whole that lost a byte.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, SERVER, type Side } from '../../src/core/flow.js';
import { DEFAULT_LIMITS } from '../../src/core/limits.js';
import type { Secret } from '../../src/core/secret.js';
import { decoderContext, everySplit, PASS, runSession, type SessionCase, type Step } from '../../src/testing/index.js';
import { recordCapture } from '../../src/testing/recorded-capture.js';
import { Extent } from './extent.js';
import { smb } from './smb.js';
import { deriveKeys, openSealed, signatureFits } from './smb2-keys.js';

/** What each side of the one connection of a capture sent; the order of their turns is lost. */
async function streams(name: string): Promise<readonly [Buffer, Buffer]> {
  const { connections } = await recordCapture(readFileSync(`samples/captures/${name}.pcap`));
  const [client, server] = connections[0]!.streams;
  return [Buffer.from(client, 'latin1'), Buffer.from(server, 'latin1')];
}

/** Messages of a stream, with their lengths in front. */
function messages(stream: Buffer): Buffer[] {
  const all: Buffer[] = [];
  for (let at = 0; at + 4 <= stream.length; ) {
    const end = at + 4 + stream.readUIntBE(at + 1, 3);
    all.push(stream.subarray(at, end));
    at = end;
  }
  return all;
}

type Turn = readonly [side: Side, bytes: Buffer] | readonly [side: Side, gap: number];

function session(turns: readonly Turn[], secrets: readonly Secret[] = []): SessionCase {
  return {
    script: turns.map(([side, what], index): Step => {
      const gap = typeof what === 'number';
      const bytes = gap ? Buffer.alloc(0) : what;
      const length = gap ? what : 0;
      return {
        stream: side,
        kind: gap ? 'gap' : 'bytes',
        bytes,
        length,
        after: index,
        afterClients: 0,
        afterVerdicts: false,
      };
    }),
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

/** A request, its answer, and so on; session requests and the like go with what follows them. */
async function dialogue(name: string): Promise<Turn[]> {
  const [client, server] = await streams(name);
  const [asks, answers] = [messages(client), messages(server)];
  return asks.flatMap((ask, index) => {
    const answer = answers[index];
    return answer === undefined ? [[CLIENT, ask] as const] : [[CLIENT, ask] as const, [SERVER, answer] as const];
  });
}

const small = await dialogue('smb311-port139');

test('the same files come out however the bytes are cut', () => {
  const trace = everySplit(session(small)).get('passive') ?? '';
  assert.match(trace, /upload .*ended pass/);
});

test('signatures fit with the right password, and one bit that was changed shows', async () => {
  const turns = await dialogue('smb210-signed');
  const secrets: Secret[] = [{ kind: 'account', user: 'alice', domain: undefined, password: 'Al1ce-Test-Pw' }];
  const run = (these: readonly Turn[], using: readonly Secret[]) =>
    runSession(session(these, using), { mode: 'passive', verdicts: 'at once' });
  assert.doesNotMatch(run(turns, secrets).trace, /smb2-bad-signature/);
  const at = turns.findLastIndex(([side, what]) => side === CLIENT && typeof what !== 'number' && what.length > 500);
  const [, write] = turns[at]!;
  assert.ok(typeof write !== 'number');
  const changed = Buffer.from(write);
  changed[changed.length - 1]! ^= 1;
  const damaged = turns.map((turn, index) => (index === at ? ([CLIENT, changed] as const) : turn));
  assert.match(run(damaged, secrets).trace, /smb2-bad-signature/);
  assert.doesNotMatch(run(damaged, []).trace, /smb2-bad-signature/);
});

test('whatever is changed or lost, nothing is thrown, whether or not there are credentials', () => {
  const secrets: Secret[] = [{ kind: 'account', user: 'alice', domain: undefined, password: 'Al1ce-Test-Pw' }];
  const change = fc.record({
    turn: fc.nat(small.length - 1),
    at: fc.nat(200),
    value: fc.integer({ min: 1, max: 255 }),
    lost: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 900 }), (changes, size) => {
      const turns: Turn[] = small.map(([side, what]) =>
        typeof what === 'number' ? [side, what] : [side, Buffer.from(what)],
      );
      for (const { turn, at, value, lost } of changes) {
        const [side, what] = turns[turn]!;
        if (typeof what === 'number') continue;
        if (lost) turns[turn] = [side, what.length];
        else what[at % what.length]! ^= value;
      }
      for (const known of [[], secrets]) {
        const { problems } = runSession(session(turns, known), { mode: 'passive', verdicts: 'at once', size });
        assert.deepEqual(problems, []);
      }
    }),
    { numRuns: 150 },
  );
});

/** The message behind its length, compressed with plain LZ77 as literals only. */
function compressedMessage(message: Buffer): Buffer {
  const plain = message.subarray(4);
  if (plain.length < 4 || plain.readUInt32BE(0) !== 0xfe53_4d42) return message;
  const packed: Buffer[] = [];
  for (let at = 0; at < plain.length; at += 32) packed.push(Buffer.alloc(4), plain.subarray(at, at + 32));
  const header = Buffer.alloc(20);
  header.writeUInt32BE(0xfc53_4d42, 4);
  header.writeUInt32LE(plain.length, 8);
  header.writeUInt16LE(2, 12);
  const all = Buffer.concat([header, ...packed]);
  all.writeUIntBE(all.length - 4, 1, 3);
  return all;
}

test('compressed messages give the same files as clear ones', () => {
  const filesOf = (turns: readonly Turn[]) =>
    runSession(session(turns), { mode: 'passive', verdicts: 'at once' }).files.map(({ meta, bytes, how }) => ({
      meta,
      bytes,
      how,
    }));
  const packed = small.map(
    ([side, what]): Turn => (typeof what === 'number' ? [side, what] : [side, compressedMessage(what)]),
  );
  assert.deepEqual(filesOf(packed), filesOf(small));
  assert.ok(filesOf(small).length > 0);
  assert.deepEqual(everySplit(session(packed.slice(0, 12))).size, 1);
});

test('keys of a 3.1.1 session open what they sealed, and their signature fits', () => {
  const { crypto } = decoderContext();
  for (const cipher of [1, 2, 3, 4]) {
    const agreement = { dialect: 0x0311, cipher, signing: 1 };
    const keys = deriveKeys(crypto, agreement, Buffer.alloc(16, 3), Buffer.alloc(64, 4));
    assert.equal(keys.clientSealing?.length, cipher > 2 ? 32 : 16);
    const plain = Buffer.from('a message of some length');
    const header = Buffer.alloc(52);
    header.writeUInt32BE(0xfd53_4d42, 0);
    header.writeUInt32LE(plain.length, 36);
    header.fill(9, 20, cipher % 2 === 0 ? 32 : 31);
    const nonce = header.subarray(20, cipher % 2 === 0 ? 32 : 31);
    const { sealed, tag } = crypto.seal(
      cipher % 2 === 0 ? 'gcm' : 'ccm',
      keys.clientSealing!,
      nonce,
      header.subarray(20),
      plain,
    );
    tag.copy(header, 4);
    assert.deepEqual(openSealed(crypto, keys, keys.clientSealing!, Buffer.concat([header, sealed])), plain);
    assert.equal(openSealed(crypto, keys, keys.serverSealing!, Buffer.concat([header, sealed])), undefined);
  }
  const keys = deriveKeys(crypto, { dialect: 0x0202, cipher: 1, signing: 0 }, Buffer.alloc(16, 3), Buffer.alloc(64));
  const message = Buffer.alloc(80, 1);
  message.fill(0, 48, 64);
  crypto.hmac('sha256', keys.signing, [message]).copy(message, 48, 0, 16);
  assert.ok(signatureFits(crypto, keys, message));
  message[70]! ^= 1;
  assert.ok(!signatureFits(crypto, keys, message));
});

test('stretches of a file that come in any order cover it when all are there', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 1 }), (order) => {
      const extent = new Extent(100);
      for (const part of order) extent.add(part * 10, part * 10 + 10);
      const all = new Set(order);
      let whole = 0;
      while (all.has(whole)) whole++;
      assert.equal(extent.covers(whole * 10), true);
      assert.equal(extent.covers(whole * 10 + 1), false);
    }),
  );
});
