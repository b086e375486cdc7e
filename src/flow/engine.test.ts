import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Decoder, Flow, Unit } from '../core/flow.js';
import { CLIENT, opposite, SERVER } from '../core/flow.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { lineEnd } from '../core/lines.js';
import { bench, holding, PASS } from '../testing/engine-bench.js';

/** Passes whole lines. */
const byLine = (flow: Flow, seen: string[] = []): Partial<Decoder> => ({
  push(_side, chunk) {
    for (let at = 0; ; ) {
      const end = lineEnd(chunk, at, 1000);
      if (end < 0) return;
      seen.push(chunk.toString('latin1', at, end));
      flow.pass(end);
      at = end;
    }
  },
});

test('a line comes whole to the decoder and to the peer however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{0,700}\n$/), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 }),
      (lines, sizes) => {
        const seen: string[] = [];
        const { engine, sent } = bench((flow) => byLine(flow, seen));
        const bytes = Buffer.from(lines.join(''));
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          engine.receive(CLIENT, bytes.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(seen, lines);
        assert.equal(sent(SERVER), lines.join(''));
      },
    ),
  );
});

test('a stopped side waits, and comes again from its first untaken byte after the present event', () => {
  const order: string[] = [];
  const { engine, said } = bench((flow) => ({
    push(side, chunk) {
      order.push(`${side} ${chunk}`);
      if (side === CLIENT && order.length === 1) flow.stop(CLIENT);
      else {
        flow.pass(chunk.length);
        if (side === SERVER) flow.resume(CLIENT);
        order.push('done');
      }
    },
  }));
  engine.receive(CLIENT, Buffer.from('ab'));
  engine.receive(CLIENT, Buffer.from('cd'));
  engine.receive(SERVER, Buffer.from('ok'));
  assert.deepEqual(order, ['0 ab', '1 ok', 'done', '0 abcd', 'done']);
  assert.deepEqual(said, ['pause 0', 'go on 0']);
});

test('a held unit goes only after the verdict, and what follows it waits', () => {
  const { engine, judges, sent } = bench((flow) => holding(flow, (unit) => unit.release()));
  engine.receive(CLIENT, Buffer.from('body.'));
  engine.receive(SERVER, Buffer.from('hello'));
  assert.equal(sent(SERVER), '');
  assert.equal(sent(CLIENT), 'hello');
  judges[0]?.(PASS);
  assert.equal(sent(SERVER), 'body.');
});

test('releasing a unit before its verdict, or although its file is blocked, fails the flow closed', () => {
  const early = bench((flow) => ({
    push(_side, chunk) {
      const unit = flow.unit(SERVER, 'held');
      flow.openFile({ name: 'x', direction: 'upload' }, unit);
      flow.pass(chunk.length, unit);
      unit.release();
    },
  }));
  early.engine.receive(CLIENT, Buffer.from('bad'));
  assert.equal(early.sent(SERVER), '');
  assert.deepEqual(early.said, [
    'failed unit released before the verdict of its file',
    'reset internal-error',
    'file 1: abort reset',
  ]);

  const blocked = bench((flow) => holding(flow, (unit) => unit.release()));
  blocked.engine.receive(CLIENT, Buffer.from('body.'));
  blocked.judges[0]?.({ ...PASS, action: 'block' });
  assert.equal(blocked.sent(SERVER), '');
  assert.match(blocked.said.at(-1) ?? '', /reset internal-error/);
});

test('a blocked unit is replaced, a stripped one is edited', () => {
  const replaced = bench((flow) => holding(flow, (unit) => unit.replace(Buffer.from('nothing to see'))));
  replaced.engine.receive(CLIENT, Buffer.from('body.'));
  replaced.judges[0]?.({ ...PASS, action: 'block' });
  assert.equal(replaced.sent(SERVER), 'nothing to see');

  const edited = bench((flow) =>
    holding(flow, (unit, verdict) => {
      for (const edit of verdict.edits) unit.edit(edit.start, edit.end, edit.instead);
      unit.release();
    }),
  );
  edited.engine.receive(CLIENT, Buffer.from('keep EVIL '));
  edited.engine.receive(CLIENT, Buffer.from('keep.'));
  edited.judges[0]?.({ action: 'strip', replacement: '', edits: [{ start: 5, end: 9, instead: Buffer.from('----') }] });
  assert.equal(edited.sent(SERVER), 'keep ---- keep.');
});

test('an aside unit is overtaken and joins the line when it is released', () => {
  const { engine, sent } = bench((flow) => {
    let aside: Unit | undefined;
    return {
      push(_side, chunk) {
        if (aside === undefined) {
          aside = flow.unit(SERVER, 'aside');
          flow.pass(chunk.length, aside);
        } else {
          flow.pass(chunk.length);
          aside.release();
        }
      },
    };
  });
  engine.receive(CLIENT, Buffer.from('first '));
  engine.receive(CLIENT, Buffer.from('second '));
  assert.equal(sent(SERVER), 'second first ');
});

test('clear text behind the start of TLS ends a live flow, and is an anomaly in a recording', () => {
  const upgrade = (flow: Flow): Partial<Decoder> => ({
    push(_side, chunk) {
      const end = lineEnd(chunk, 0, 100);
      flow.pass(end);
      flow.layer('tls');
    },
  });
  const live = bench(upgrade);
  live.engine.receive(SERVER, Buffer.from('220 go\r\nRSET\r\n'));
  assert.deepEqual(live.said, ['anomaly plaintext-before-tls 1 at 8', 'reset plaintext-before-tls']);

  const clean = bench(upgrade);
  clean.engine.receive(SERVER, Buffer.from('220 go\r\n'));
  assert.deepEqual(clean.said, ['layer tls']);

  const recorded = bench(upgrade, true);
  recorded.engine.receive(SERVER, Buffer.from('220 go\r\nRSET\r\n'));
  assert.deepEqual(recorded.said, ['anomaly plaintext-before-tls 1 at 8', 'bypassed tls-no-keys']);
});

test('in a recording whose TLS is not read, clear text as the first bytes of either side is an anomaly also when it comes later', () => {
  const go = (passive = true) => {
    const flow = bench(
      (it) => ({
        push(_side, chunk) {
          it.pass(chunk.length);
          it.layer('tls');
        },
      }),
      passive,
    );
    flow.engine.receive(SERVER, Buffer.from('220 go\r\n'));
    return flow;
  };
  const NOTED = 'anomaly plaintext-before-tls';
  const late = go();
  late.engine.receive(SERVER, Buffer.from('250-SIZE\r\n'));
  late.engine.receive(CLIENT, Buffer.of(0x16, 3, 1));
  late.engine.receive(SERVER, Buffer.from('250 more'));
  assert.deepEqual(late.said, ['bypassed tls-no-keys', `${NOTED} ${SERVER} at 8`]);

  const both = go();
  for (const side of [CLIENT, SERVER] as const) both.engine.receive(side, Buffer.from('QUIT\r\n'));
  assert.deepEqual(both.said, ['bypassed tls-no-keys', `${NOTED} ${CLIENT} at 0`, `${NOTED} ${SERVER} at 8`]);

  const records = go();
  for (const side of [CLIENT, SERVER] as const) records.engine.receive(side, Buffer.of(0x16, 3, 3));
  records.engine.receive(CLIENT, Buffer.from('any'));
  assert.deepEqual(records.said, ['bypassed tls-no-keys']);

  // Behind missing bytes anything may be the middle of a record.
  const lost = go();
  lost.engine.receiveGap(CLIENT, 5);
  lost.engine.receive(CLIENT, Buffer.from('QUIT\r\n'));
  assert.deepEqual(lost.said, ['bypassed tls-no-keys']);
});

test('in a recording a verdict comes at once as monitor, and an answer that was lost is decided after a mebibyte or at the end', () => {
  const make = (flow: Flow): Partial<Decoder> => {
    let lost = false;
    return {
      push(side, chunk) {
        if (side === CLIENT && !lost) return flow.stop(CLIENT);
        flow.drop(chunk.length);
      },
      unanswered() {
        lost = true;
      },
    };
  };
  const { engine, said } = bench(make, true);
  engine.receive(CLIENT, Buffer.alloc(DEFAULT_LIMITS.waiting));
  engine.receive(CLIENT, Buffer.alloc(1));
  engine.close();
  assert.deepEqual(said, []);

  const judged: string[] = [];
  const recorded = bench(
    (flow) => ({ ...holding(flow, () => {}), verdict: (_id, verdict) => judged.push(verdict.action) }),
    true,
  );
  recorded.engine.receive(CLIENT, Buffer.from('body.'));
  assert.deepEqual(judged, ['monitor']);
});

test('what a side leaves untaken is bounded', () => {
  const { engine, said } = bench(() => ({}), true);
  engine.maxUntaken = 10;
  engine.receive(CLIENT, Buffer.from('0123456789'));
  assert.deepEqual(said, []);
  engine.receive(CLIENT, Buffer.from('0'));
  assert.deepEqual(said, ['anomaly untaken-limit 0 at 0', 'bypassed desync']);
});

test('a flow with too many open units ends; a recording says that the rest of it was not looked at', () => {
  for (const passive of [true, false]) {
    const { engine, said } = bench(
      (flow) => ({
        push(_side, chunk) {
          for (let at = 0; at < chunk.length; at++) flow.unit(SERVER, 'held');
          flow.drop(chunk.length);
        },
      }),
      passive,
    );
    engine.receive(CLIENT, Buffer.alloc(DEFAULT_LIMITS.unitsPerFlow));
    assert.deepEqual(said, []);
    engine.receive(CLIENT, Buffer.alloc(1));
    assert.equal(said[1], passive ? 'bypassed desync' : 'reset unit-limit');
  }
});

test('a decoder that throws fails its flow closed', () => {
  const { engine, said } = bench(() => ({
    push() {
      throw new Error('our bug');
    },
  }));
  engine.receive(CLIENT, Buffer.from('x'));
  assert.deepEqual(said, ['failed our bug', 'reset internal-error']);
  assert.equal(engine.alive, false);
});

test('a flow that ends cuts its open files', () => {
  const { engine, said } = bench((flow) => holding(flow, () => {}), true);
  engine.receive(CLIENT, Buffer.from('half'));
  engine.close();
  assert.deepEqual(said, ['file 1: half', 'file 1: abort reset']);
});

test('FIN follows what is held before it', () => {
  const { engine, said, judges, sent } = bench((flow) => ({
    ...holding(flow, (unit) => unit.release()),
    end(side) {
      flow.finish(opposite(side));
    },
  }));
  engine.receive(CLIENT, Buffer.from('body.'));
  engine.receiveEnd(CLIENT);
  assert.ok(!said.includes('fin to 1'));
  judges[0]?.(PASS);
  assert.equal(sent(SERVER), 'body.');
  assert.ok(said.includes('fin to 1'));
});

test('a file that was ended is inspected, also when the decoder fails behind it', () => {
  const { engine, said } = bench(
    (flow) => ({
      push(_side, chunk) {
        const file = flow.openFile({ name: 'x', direction: 'upload' });
        file.write(chunk, 0, chunk.length);
        file.end();
        throw new Error('our bug');
      },
    }),
    true,
  );
  engine.receive(CLIENT, Buffer.from('body'));
  assert.deepEqual(said, ['file 1: body', 'failed our bug', 'file 1: end']);
});

test('a decoder that would reset a recording leaves it opaque, not decoded', () => {
  const { engine, said } = bench((flow) => ({ push: () => flow.reset('confused') }), true);
  engine.receive(CLIENT, Buffer.from('x'));
  assert.deepEqual(said, ['bypassed desync']);
});
