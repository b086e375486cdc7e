// Whose bytes they are, live: nobody may wait for ever while that is not known.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { CLIENT, type Decoder, type Flow, opposite, type Protocol, SERVER, type Side } from '../core/flow.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { bench } from '../testing/engine-bench.js';
import { Detector } from './detect.js';

/** Greets with `220`, at home at port 25; passes everything and says what it was told. */
const toy = (told: string[]): Protocol => ({
  name: 'toy',
  service: 'TOY',
  ports: [25],
  tlsPorts: [],
  maxUntaken: () => 1000,
  probe: (side, head) => {
    const text = head.toString('latin1');
    if (side === SERVER)
      return text.startsWith('220 toy') ? 'yes' : '220 toy'.startsWith(text.slice(0, 7)) ? 'more' : 'no';
    return /^[A-Z]/.test(text) ? 'more' : 'no';
  },
  decoders:
    () =>
    (flow: Flow): Decoder => ({
      push(side, chunk) {
        told.push(`${side} ${chunk.toString('latin1')}`);
        flow.pass(chunk.length);
      },
      end(side: Side) {
        told.push(`end of ${side}`);
        flow.finish(opposite(side));
      },
      gap() {},
      verdict() {},
      unanswered() {},
      wake() {},
    }),
});

function detecting(port: number) {
  const told: string[] = [];
  const wakes: number[] = [];
  const protocol = toy(told);
  const flow = bench(
    (it) => {
      const detector = new Detector(it, {
        candidates: [{ protocol, decode: protocol.decoders({} as never) }],
        port,
        limits: DEFAULT_LIMITS,
        detected: () => told.push('detected'),
      });
      return {
        push: (side, chunk) => detector.push(side, chunk),
        end: (side) => detector.end(side),
        wake: (now) => detector.wake(now),
        undecided: () => detector.undecided(),
      };
    },
    false,
    { services: { mayBypass: () => port !== 25, wakeAt: (ms) => wakes.push(ms) } },
  );
  return { ...flow, told, wakes };
}

test("what can be nobody's passes at once where nobody is at home: its answer is waited for", () => {
  const { engine, sent, said } = detecting(4711);
  engine.receive(CLIENT, Buffer.from('\x01\x02'));
  assert.equal(sent(SERVER), '\x01\x02');
  assert.deepEqual(said, ['bypassed unknown-protocol']);
});

test("what can be nobody's ends the connection where somebody is at home", () => {
  const { engine, sent, said } = detecting(25);
  engine.receive(CLIENT, Buffer.from('\x01\x02'));
  assert.equal(sent(SERVER), '');
  assert.equal(said.at(-1), 'reset unknown-protocol');
});

test("what may be somebody's waits for a while where nobody is at home, then passes", () => {
  const { engine, sent, said, wakes } = detecting(4711);
  engine.receive(CLIENT, Buffer.from('GET /'));
  assert.deepEqual([sent(SERVER), wakes], ['', [0]]);
  engine.wake(5000);
  assert.deepEqual([sent(SERVER), wakes], ['', [0, 5000 + DEFAULT_LIMITS.detectTime]]);
  engine.wake(5000 + DEFAULT_LIMITS.detectTime);
  assert.equal(sent(SERVER), 'GET /');
  assert.deepEqual(said, ['bypassed unknown-protocol']);
});

test("what turns out to be somebody's while it waits is theirs, in order", () => {
  const { engine, told, sent } = detecting(4711);
  engine.receive(CLIENT, Buffer.from('HELO\r\n'));
  engine.wake(5000);
  engine.receive(SERVER, Buffer.from('220 toy\r\n'));
  assert.deepEqual(told, ['detected', '0 HELO\r\n', '1 220 toy\r\n']);
  engine.wake(9000);
  assert.deepEqual([sent(SERVER), sent(CLIENT)], ['HELO\r\n', '220 toy\r\n']);
});

test('where somebody is at home a line decides, however long it takes', () => {
  const { engine, told, wakes } = detecting(25);
  engine.receive(CLIENT, Buffer.from('HE'));
  assert.deepEqual([told, wakes], [[], []]);
  engine.receive(CLIENT, Buffer.from('LO\r\n'));
  assert.deepEqual(told, ['detected', '0 HELO\r\n']);
});

test('FLT-015: FIN of a side that said nothing yet reaches the decoder, and the other end', () => {
  const { engine, told, said } = detecting(25);
  engine.receiveEnd(CLIENT);
  assert.deepEqual(told, []);
  engine.receive(SERVER, Buffer.from('220 toy\r\n'));
  assert.deepEqual(told, ['detected', '1 220 toy\r\n', 'end of 0']);
  assert.deepEqual(said, ['fin to 1']);
});

test('FLT-015: a server that ends before it has said a line is as who is at home there, and the client hears of it', () => {
  for (const begun of ['', '22']) {
    const { engine, told, said } = detecting(25);
    if (begun !== '') engine.receive(SERVER, Buffer.from(begun));
    engine.receiveEnd(SERVER);
    assert.deepEqual(told, ['detected', 'end of 1']);
    assert.deepEqual(said, ['fin to 0']);
    engine.receiveEnd(CLIENT);
    assert.deepEqual(told.slice(2), ['end of 0']);
  }
  const { engine, told, said } = detecting(25);
  engine.receiveEnd(CLIENT);
  engine.receiveEnd(SERVER);
  assert.deepEqual(told, ['detected', 'end of 0', 'end of 1']);
  assert.deepEqual(said, ['fin to 1', 'fin to 0']);
});

test('FLT-015: FIN passes with what passes because nobody knew it', () => {
  const { engine, sent, said } = detecting(4711);
  engine.receive(CLIENT, Buffer.from('G'));
  engine.receiveEnd(CLIENT);
  engine.wake(5000);
  engine.wake(5000 + DEFAULT_LIMITS.detectTime);
  assert.equal(sent(SERVER), 'G');
  assert.deepEqual(said, ['bypassed unknown-protocol', 'fin to 1']);
  engine.receive(SERVER, Buffer.from('answer'));
  engine.receiveEnd(SERVER);
  assert.equal(sent(CLIENT), 'answer');
  assert.deepEqual(said.slice(2), ['fin to 0']);
});

test('FLT-015: what was said before a FIN is not lost while the other side decides whose it is', () => {
  const { engine, told } = detecting(4711);
  engine.receive(CLIENT, Buffer.from('HELO'));
  engine.receiveEnd(CLIENT);
  engine.receive(SERVER, Buffer.from('220 toy\r\n'));
  assert.deepEqual(told, ['detected', '0 HELO', 'end of 0', '1 220 toy\r\n']);
});

test('a chunk that decides behind a few bytes that waited passes whole', () => {
  const { engine, sent } = detecting(4711);
  engine.receive(CLIENT, Buffer.from('GET /'));
  const much = Buffer.alloc(65_536, 'y');
  engine.receive(CLIENT, much);
  assert.equal(sent(SERVER).length, 'GET /'.length + much.length);
});
