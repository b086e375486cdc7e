// What goes before a verdict, and what may be held: client comforting, files over the oversize limit, bounds of one flow and of all.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { Verdict } from '../core/file.js';
import { CLIENT, type Flow, SERVER, type Unit } from '../core/flow.js';
import { bench, holding, PASS } from '../testing/engine-bench.js';

const BLOCK: Verdict = { ...PASS, action: 'block' };
const TRICKLE = { mayTrickle: true };
const TAIL = { limits: { comfortTail: 4 } };

const releasing = (unit: Unit, verdict: Verdict): void =>
  verdict.action === 'block' ? unit.replace(Buffer.from('gone')) : unit.release();

/** A flow that holds a file, whose receiver is comforted. */
const comforted = (meta = TRICKLE) => bench((flow) => holding(flow, releasing, meta), false, TAIL);

test('a file goes in portions before its verdict, but never its last bytes', () => {
  const { engine, sent, judges } = comforted();
  engine.receive(CLIENT, Buffer.from('0123456'));
  engine.comfort(1, 2);
  assert.equal(sent(SERVER), '01');
  for (let times = 0; times < 5; times++) engine.comfort(1, 2);
  assert.equal(sent(SERVER), '012');
  engine.receive(CLIENT, Buffer.from('789.'));
  engine.comfort(1, 100);
  assert.equal(sent(SERVER), '0123456');
  judges[0]?.(PASS);
  assert.equal(sent(SERVER), '0123456789.');
});

test('a portion crosses the pieces in which a file came', () => {
  const { engine, sent } = comforted();
  for (const piece of ['0', '12', '3', '45678']) engine.receive(CLIENT, Buffer.from(piece));
  engine.comfort(1, 4);
  assert.equal(sent(SERVER), '0123');
});

test('a file of which something went before it was blocked cannot be replaced: the flow is reset, the rest is dropped', () => {
  const { engine, said, sent, judges } = comforted();
  engine.receive(CLIENT, Buffer.from('EVIL-EVIL.'));
  engine.comfort(1, 3);
  judges[0]?.(BLOCK);
  assert.equal(sent(SERVER), 'EVI');
  assert.ok(said.includes('reset replaced-after-sent'));
  assert.equal(engine.alive, false);
});

test('a part that is stripped may lie behind what went, not in it', () => {
  const stripping = (start: number) => {
    const flow = bench(
      (it) =>
        holding(
          it,
          (unit, { edits }) => {
            for (const edit of edits) unit.edit(edit.start, edit.end, edit.instead);
            unit.release();
          },
          TRICKLE,
        ),
      false,
      TAIL,
    );
    flow.engine.receive(CLIENT, Buffer.from('keep EVIL keep.'));
    flow.engine.comfort(1, 5);
    flow.judges[0]?.({ action: 'strip', replacement: '', edits: [{ start, end: 9, instead: Buffer.from('--') }] });
    return flow;
  };
  assert.equal(stripping(5).sent(SERVER), 'keep -- keep.');
  const late = stripping(4);
  assert.equal(late.sent(SERVER), 'keep ');
  assert.ok(late.said.includes('reset replaced-after-sent'));
});

test('nobody is comforted about a file that may not trickle, another file, or one that waits behind another', () => {
  const strict = comforted({ mayTrickle: false });
  strict.engine.receive(CLIENT, Buffer.from('0123456789'));
  strict.engine.comfort(1, 5);
  assert.equal(strict.sent(SERVER), '');
  const other = comforted();
  other.engine.receive(CLIENT, Buffer.from('0123456789'));
  other.engine.comfort(2, 5);
  assert.equal(other.sent(SERVER), '');
  const behind = bench(
    (flow) => {
      flow.unit(SERVER, 'held');
      return holding(flow, releasing, TRICKLE);
    },
    false,
    TAIL,
  );
  behind.engine.receive(CLIENT, Buffer.from('0123456789'));
  behind.engine.comfort(1, 5);
  assert.equal(behind.sent(SERVER), '');
});

/** A flow whose files are judged by their first `most` bytes. */
const measured = (most: number) =>
  bench((flow) => holding(flow, releasing), false, { services: { mostOf: () => most } });

test('a file over the limit is judged when it crosses it, and when it may pass, the rest passes as it comes', () => {
  const { engine, said, sent, judges } = measured(4);
  engine.receive(CLIENT, Buffer.from('0123'));
  assert.ok(!said.includes('file 1: end'));
  engine.receive(CLIENT, Buffer.from('4'));
  assert.ok(said.includes('file 1: end'));
  assert.equal(sent(SERVER), '');
  judges[0]?.(PASS);
  assert.equal(sent(SERVER), '01234');
  engine.receive(CLIENT, Buffer.from('56'));
  assert.equal(sent(SERVER), '0123456');
  engine.receive(CLIENT, Buffer.from('7.'));
  assert.equal(sent(SERVER), '01234567.');
  assert.deepEqual(said, ['file 1: 0123', 'file 1: 4', 'file 1: end']);
});

test('a file over the limit that is blocked is kept no longer, and is replaced when its sender is done', () => {
  const change: number[] = [];
  const { engine, sent, judges } = bench((flow) => holding(flow, releasing), false, {
    services: {
      mostOf: () => 4,
      holding: (by) => {
        change.push(by);
        return true;
      },
    },
  });
  const held = (): number => change.reduce((sum, by) => sum + by, 0);
  engine.receive(CLIENT, Buffer.from('01234'));
  assert.equal(held(), 5);
  judges[0]?.(BLOCK);
  assert.equal(held(), 0);
  for (let times = 0; times < 100; times++) engine.receive(CLIENT, Buffer.from('more and more'));
  assert.equal(held(), 0);
  assert.equal(sent(SERVER), '');
  engine.receive(CLIENT, Buffer.from('.'));
  assert.equal(sent(SERVER), 'gone');
  assert.equal(held(), 0);
});

test('the verdict of a file over the limit may come behind its end', () => {
  for (const [verdict, out] of [
    [PASS, '012345.'],
    [BLOCK, 'gone'],
  ] as const) {
    const { engine, sent, judges } = measured(4);
    engine.receive(CLIENT, Buffer.from('012345.'));
    assert.equal(sent(SERVER), '');
    judges[0]?.(verdict);
    assert.equal(sent(SERVER), out);
  }
});

test('a file without a unit of its own has no limit to be judged at', () => {
  const { engine, said } = bench(
    (flow) => {
      const file = flow.openFile({ name: 'x', direction: 'upload' });
      return { push: (_side, chunk) => file.write(chunk, 0, chunk.length) };
    },
    false,
    { services: { mostOf: () => 1 } },
  );
  engine.receive(CLIENT, Buffer.from('0123'));
  assert.deepEqual(said, ['file 1: 0123']);
});

test('what all flows hold is bounded: the flow that crosses it ends, and gives back what it held', () => {
  let all = 0;
  const services = {
    holding: (change: number) => {
      all += change;
      return change <= 0 || all <= 10;
    },
  };
  const open = () => bench((flow) => holding(flow, releasing), false, { services });
  const [one, other] = [open(), open()];
  one.engine.receive(CLIENT, Buffer.from('0123'));
  other.engine.receive(CLIENT, Buffer.from('012345'));
  assert.deepEqual([one.engine.alive, other.engine.alive, all], [true, true, 10]);
  other.engine.receive(CLIENT, Buffer.from('6'));
  assert.deepEqual([one.engine.alive, other.engine.alive, all], [true, false, 4]);
  assert.deepEqual(other.said.slice(-3), [
    'anomaly held-limit-of-all 0 at 6',
    'reset held-limit-of-all',
    'file 1: abort reset',
  ]);
  one.engine.receive(CLIENT, Buffer.from('.'));
  one.judges[0]?.(PASS);
  assert.equal(one.sent(SERVER), '0123.');
  assert.equal(all, 0);
});

test('what one flow holds is bounded, to the byte', () => {
  const { engine, said } = bench((flow) => holding(flow, releasing), false, { limits: { heldPerFlow: 10 } });
  engine.receive(CLIENT, Buffer.from('0123456789'));
  assert.equal(engine.alive, true);
  engine.receive(CLIENT, Buffer.from('x'));
  assert.ok(said.includes('reset held-limit'));
});

test('a flow that is reset by what its decoder does about its end gives back what it held once', () => {
  let all = 0;
  const services = {
    holding: (change: number) => {
      all += change;
      return true;
    },
  };
  const { engine } = bench((flow) => ({ ...holding(flow, releasing), cut: () => flow.reset('cut') }), false, {
    services,
  });
  engine.receive(CLIENT, Buffer.from('held.'));
  engine.close();
  assert.equal(all, 0);
});

test('a flow that dies drops what is held, and gives it back', () => {
  let all = 0;
  const { engine, sent, judges } = bench((flow) => holding(flow, releasing), false, {
    services: {
      holding: (change) => {
        all += change;
        return true;
      },
    },
  });
  engine.receive(CLIENT, Buffer.from('held.'));
  assert.equal(all, 5);
  engine.close();
  judges[0]?.(PASS);
  assert.deepEqual([sent(SERVER), all], ['', 0]);
});

const bypassing = (flow: Flow): ReturnType<typeof holding> => ({
  push: (_side, chunk) => {
    if (chunk.includes('!')) flow.bypass('unknown-protocol');
  },
});

test('where policy allows it what is untaken and what follows pass; where it does not the flow ends', () => {
  const allowed = bench(bypassing, false, { services: { mayBypass: () => true } });
  allowed.engine.receive(CLIENT, Buffer.from('odd '));
  allowed.engine.receive(CLIENT, Buffer.from('bytes!'));
  allowed.engine.receive(SERVER, Buffer.from('and back'));
  allowed.engine.receiveEnd(CLIENT);
  assert.deepEqual([allowed.sent(SERVER), allowed.sent(CLIENT)], ['odd bytes!', 'and back']);
  assert.deepEqual(allowed.said, ['bypassed unknown-protocol', 'fin to 1']);

  const refused = bench(bypassing, false, { services: { mayBypass: () => false } });
  refused.engine.receive(CLIENT, Buffer.from('odd bytes!'));
  assert.deepEqual([refused.sent(SERVER), refused.engine.alive], ['', false]);
  assert.deepEqual(refused.said, ['bypassed unknown-protocol', 'reset unknown-protocol']);
});

test('a bypassed flow lets nothing past what is held', () => {
  const { engine, sent, judges } = bench((flow) => {
    const held = holding(flow, releasing);
    return {
      ...held,
      push: (side, chunk) => {
        if (chunk.includes('!')) flow.bypass('unknown-protocol');
        else held.push?.(side, chunk);
      },
    };
  });
  engine.receive(CLIENT, Buffer.from('body.'));
  engine.receive(CLIENT, Buffer.from('rest!'));
  assert.equal(sent(SERVER), '');
  judges[0]?.(PASS);
  assert.equal(sent(SERVER), 'body.rest!');
});

const upgrading = (flow: Flow): ReturnType<typeof holding> => ({
  push: (_side, chunk) => {
    flow.pass(chunk.length);
    if (chunk.includes('go')) flow.layer('tls');
  },
});

test('a layer that nobody reads passes as it comes, in both directions', () => {
  const { engine, said, sent } = bench(upgrading, false, { services: { mayBypass: () => true } });
  engine.receive(SERVER, Buffer.from('go'));
  assert.deepEqual(said, ['layer tls']);
  engine.layerBypassed('tls-no-keys');
  engine.receive(CLIENT, Buffer.from('\x16hello'));
  engine.receive(SERVER, Buffer.from('\x16hi'));
  assert.deepEqual([sent(SERVER), sent(CLIENT)], ['\x16hello', 'go\x16hi']);
  assert.deepEqual(said, ['layer tls', 'bypassed tls-no-keys']);
});

test("a layer begins behind what is held, and what comes meanwhile is the layer's", () => {
  const { engine, said, sent, judges } = bench((flow) => {
    const held = holding(flow, releasing);
    return {
      ...held,
      push: (side, chunk) => {
        if (side === CLIENT && !chunk.includes('+')) return held.push?.(side, chunk);
        flow.pass(chunk.length);
        if (side === SERVER) flow.layer('tls');
      },
    };
  });
  engine.receive(CLIENT, Buffer.from('body.'));
  engine.receive(SERVER, Buffer.from('go'));
  assert.ok(!said.includes('layer tls'));
  judges[0]?.(PASS);
  assert.ok(said.includes('layer tls'));
  engine.layerReady();
  engine.receive(CLIENT, Buffer.from('+inside'));
  assert.equal(sent(SERVER), 'body.+inside');
});

test('a flow is in the middle of something while a line or a file has begun and not ended', () => {
  const { engine, judges } = bench((flow) => {
    const held = holding(flow, releasing);
    return {
      ...held,
      push: (side, chunk) => {
        if (side === CLIENT) held.push?.(side, chunk);
        else if (chunk.includes('\n')) flow.pass(chunk.length);
      },
    };
  });
  assert.equal(engine.midway, false);
  engine.receive(SERVER, Buffer.from('half a line'));
  assert.equal(engine.midway, true);
  engine.receive(SERVER, Buffer.from('\n'));
  assert.equal(engine.midway, false);
  engine.receive(CLIENT, Buffer.from('half a file'));
  assert.equal(engine.midway, true);
  engine.receive(CLIENT, Buffer.from('.'));
  // Now it waits for us, not for its peers.
  assert.equal(engine.midway, false);
  judges[0]?.(PASS);
  assert.equal(engine.midway, false);
});

test('a side that is stopped keeps nobody waiting', () => {
  const { engine } = bench((flow) => ({ push: (side) => flow.stop(side) }));
  engine.receive(CLIENT, Buffer.from('x'));
  assert.equal(engine.midway, false);
});
