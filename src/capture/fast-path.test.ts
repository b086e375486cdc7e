/** That the fast path and the long way come to the same: `recordCapture` reads every capture both ways and compares. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arena } from '../core/arena.js';
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { loadHeaderPrediction } from '../kernels/header-prediction.js';
import {
  ACK,
  type CapturedFrame,
  Conversation,
  type ConversationOptions,
  cooked2Frame,
  cookedFrame,
  ethernetFrame,
  FIN,
  LINK_COOKED,
  LINK_COOKED2,
  LINK_ETHERNET,
  LINK_NULL,
  LINK_RAW,
  nullFrame,
  PSH,
  pcapFile,
  pcapngFile,
  RST,
  SYN,
  URG,
} from '../testing/packets.js';
import { recordCapture } from '../testing/recorded-capture.js';
import { RING } from './delivered.js';
import { FastPath } from './fast-path.js';
import { IpLayer } from './ip.js';
import { LinkLayer } from './link-layer.js';
import { PcapReader } from './pcap.js';
import { PcapngReader } from './pcapng.js';
import { RunMarks } from './run-marks.js';
import { emptyStatistics } from './statistics.js';
import { TcpReassembly } from './tcp.js';

const V4: ConversationOptions = { clientIsn: 2 ** 32 - 3000 };
const V6: ConversationOptions = {
  client: { address: 'fd00:1::44', port: 50_122 },
  server: { address: 'fd00:2::55', port: 25 },
};
const LINKS = [
  { type: LINK_ETHERNET, frame: ethernetFrame },
  { type: LINK_ETHERNET, frame: (packet: Buffer) => ethernetFrame(packet, [[0x8100, 7]]) },
  {
    type: LINK_ETHERNET,
    frame: (packet: Buffer) =>
      ethernetFrame(packet, [
        [0x88a8, 7],
        [0x8100, 9],
      ]),
  },
  { type: LINK_COOKED, frame: cookedFrame },
  { type: LINK_COOKED2, frame: cooked2Frame },
  { type: LINK_RAW, frame: (packet: Buffer) => packet },
  { type: LINK_NULL, frame: nullFrame },
] as const;

const START = 1_700_000_000_000_000_000n;

const letters = (length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => 97 + ((index * 7 + (index >> 5)) % 26)));

/** Packets that went the long way, and in how many runs the bytes were delivered. */
async function longWay(
  file: Buffer,
  Reader: typeof PcapReader | typeof PcapngReader = PcapReader,
): Promise<{ packets: number; slow: number; text: string; runs: number }> {
  const arena = new Arena(1024);
  const { bytes } = arena;
  const view = new DataView(arena.memory.buffer);
  const at = arena.claim(file.length);
  file.copy(bytes, at);
  const clock = { packet: -1, seconds: 0, nanoseconds: 0 };
  const statistics = emptyStatistics();
  let text = '';
  let runs = 0;
  const tcp = new TcpReassembly({
    arena,
    view,
    ring: arena.claim(RING),
    limits: DEFAULT_LIMITS,
    clock,
    marks: new RunMarks(arena),
    open: () => ({
      data(_side, chunk) {
        text += chunk.toString('latin1');
        runs++;
      },
      gap: () => assert.fail('nothing is missing'),
      overlap: () => assert.fail('nothing is said twice'),
      end: () => undefined,
      close: () => undefined,
    }),
    statistics: statistics.tcp,
  });
  const link = new LinkLayer(view, new IpLayer(bytes, view, clock, tcp, statistics, 1024, arena.claim(65_536)));
  const kernel = loadHeaderPrediction(arena);
  assert.ok(kernel !== undefined, 'this build has the kernel and this runtime knows WebAssembly');
  let slow = 0;
  const reader = new Reader({
    view,
    clock,
    handler: {
      packet(linkType, start, end, cut) {
        slow++;
        link.packet(linkType, start, end, cut);
      },
    },
    fastPath: new FastPath(kernel, tcp, statistics, clock, 65_536),
    secrets: undefined,
    maxPacket: 65_536,
  });
  assert.equal(reader.read(at, at + file.length), at + file.length);
  tcp.settle();
  tcp.finish();
  return { packets: statistics.packets, slow, text, runs };
}

test('a transfer takes the long way where it begins and ends only, over every link and both families', async () => {
  const data = letters(400_000);
  for (const { type, frame } of LINKS)
    for (const ends of [V4, V6])
      for (const side of [CLIENT, SERVER] as const) {
        const talk = new Conversation({ ...ends, frame }).open().send(side, data).close();
        const seen = await longWay(pcapFile(talk.packets, { linkType: type }));
        assert.equal(seen.packets, talk.packets.length);
        // The handshake, the first segment, and what ends it.
        assert.equal(seen.slow, 8);
        assert.equal(seen.runs, 1);
        assert.equal(seen.text, data.toString('latin1'));
        const blocks = await longWay(pcapngFile(talk.packets, [{ linkType: type }]), PcapngReader);
        assert.deepEqual(blocks, seen);
      }
});

test('a run with more packets than marks ends, and the next begins', async () => {
  const data = letters(20_000);
  const talk = new Conversation({ mss: 1 }).open().send(CLIENT, data, false).close();
  const seen = await longWay(pcapFile(talk.packets));
  assert.equal(seen.text, data.toString('latin1'));
  assert.ok(seen.runs > 1);
  const { connections } = await recordCapture(pcapFile(talk.packets));
  assert.equal(connections[0]?.streams[CLIENT], data.toString('latin1'));
});

test('whatever bit of a packet is another, the packet is looked at in the same way', async () => {
  for (const [ends, file] of [
    [V4, pcapFile],
    [V6, pcapFile],
    [V4, pcapngFile],
  ] as const) {
    const talk = new Conversation({ ...ends, mss: 2 }).open().send(CLIENT, letters(8)).close();
    const whole = file(talk.packets);
    // The third segment with its record header, in the middle of a run.
    const before = file(talk.packets.slice(0, 7)).length;
    const after = file(talk.packets.slice(0, 8)).length;
    for (let bit = before * 8; bit < after * 8; bit++) {
      const changed = Buffer.from(whole);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      await recordCapture(changed);
    }
  }
});

test('the time of a capture counts in micro- or nanoseconds, also where a record says impossible ones', async () => {
  for (const nanoseconds of [false, true]) {
    const talk = new Conversation({ mss: 100, step: 999_999_999n }).open().send(CLIENT, letters(2000)).close();
    const file = pcapFile(talk.packets, { nanoseconds });
    await recordCapture(file);
    for (const fraction of [999_999_999, 0x7fffffff, 0xffffffff]) {
      const odd = Buffer.from(file);
      const at = pcapFile(talk.packets.slice(0, 9)).length;
      odd.writeUInt32LE(fraction, at + 4);
      await recordCapture(odd);
    }
  }
});

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('send' as const), length: fc.integer({ min: 1, max: 5000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('silent' as const), length: fc.integer({ min: 1, max: 900 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('acknowledge' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), length: fc.integer({ min: 1, max: 300 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('odd' as const),
      flags: fc.constantFrom(ACK, ACK | PSH | URG, 0, PSH, FIN | ACK, RST, SYN, SYN | ACK, RST | ACK),
      length: fc.integer({ min: 0, max: 40 }),
      ahead: fc.constantFrom(-2000, -30, -1, 0, 1, 20, 40_000, 2 ** 25),
      acknowledges: fc.constantFrom(-500, -1, 0, 1, 700, 2 ** 26),
    }),
  },
);

test('connections that are mixed, cut, repeated, reordered and lied about', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.boolean(), step), { minLength: 1, maxLength: 40 }),
      fc.constantFrom(...LINKS),
      fc.constantFrom(1, 700, 1448, 20_000),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 9 }))),
      fc.array(fc.nat()),
      async (steps, { type, frame }, mss, moves, drops) => {
        const size = Math.max(mss, 60);
        const talks = [V4, V6, { client: { address: '10.1.100.44', port: 50_123 } }].map((ends) =>
          new Conversation({ ...ends, frame, mss: size }).open(),
        );
        // Packets of all of them in one order: that of the steps.
        const frames: CapturedFrame[] = [];
        const gather = (): void => {
          for (const talk of talks)
            for (const one of talk.packets.splice(0))
              frames.push({ ...one, time: START + 1_000_000n * BigInt(frames.length) });
        };
        for (const [which, client, what] of steps) {
          const talk = talks[which]!;
          const side: Side = client ? CLIENT : SERVER;
          if (what.kind === 'send') talk.send(side, letters(what.length));
          else if (what.kind === 'silent') talk.send(side, letters(what.length), false);
          else if (what.kind === 'acknowledge') talk.acknowledge(side);
          else if (what.kind === 'lose') talk.lose(side, what.length);
          else
            talk.segment(side, {
              flags: what.flags,
              payload: letters(what.length),
              sequence: talk.next[side] + what.ahead,
              acknowledgment: talk.next[side === CLIENT ? SERVER : CLIENT] + what.acknowledges,
            });
          gather();
        }
        for (const talk of talks) talk.close();
        gather();
        for (const [from, by] of moves) {
          const [moved] = frames.splice(from % frames.length, 1);
          frames.splice((from + by) % (frames.length + 1), 0, moved!);
        }
        for (const drop of drops.slice(0, 3)) if (frames.length > 1) frames.splice(drop % frames.length, 1);
        await recordCapture(pcapFile(frames, { linkType: type }));
        const interfaces = [0, 6, 9, 3].map((resolution) => ({ linkType: type, resolution, offset: 5n }));
        const mixed = frames.map((one, at) => ({ ...one, interface: (at >> 3) % interfaces.length }));
        await recordCapture(pcapngFile(mixed, interfaces));
        await recordCapture(pcapFile(frames, { linkType: type, snaplen: 400 }));
      },
    ),
    { numRuns: 150 },
  );
});
