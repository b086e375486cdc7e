import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { SourceError } from '../core/errors.js';
import { CLIENT } from '../core/flow.js';
import {
  type CapturedFrame,
  Conversation,
  cooked2Frame,
  cookedFrame,
  ethernetFrame,
  fragmentHeader,
  ipv4Fragments,
  ipv4Packet,
  ipv6Packet,
  LINK_COOKED,
  LINK_COOKED2,
  LINK_NULL,
  LINK_RAW,
  nullFrame,
  optionsHeader,
  pcapFile,
  pcapngBlock,
  pcapngFile,
  tcpSegment,
} from '../testing/packets.js';
import { recordCapture } from '../testing/recorded-capture.js';

const TEXT = 'MAIL FROM:<a@example.org>\r\n';
const V6 = {
  client: { address: 'fd00:1::44', port: 50_122 },
  server: { address: 'fd00:2::55', port: 25 },
};

function mail(frame?: (packet: Buffer) => Buffer, ends: object = {}): CapturedFrame[] {
  return new Conversation({ ...(frame ? { frame } : {}), ...ends }).open().send(CLIENT, TEXT).close().packets;
}

async function assertMail(file: Buffer): Promise<void> {
  const { connections, statistics } = await recordCapture(file);
  assert.equal(statistics.damage, undefined);
  assert.deepEqual(
    connections.map((one) => [one.streams[CLIENT], one.cause]),
    [[TEXT, 'fin']],
  );
  assert.equal(connections[0]!.start.time, 1_700_000_000_000_000_000n);
}

test('reads pcap in both byte orders, with microseconds and nanoseconds', async () => {
  for (const order of ['little', 'big'] as const)
    for (const nanoseconds of [false, true]) await assertMail(pcapFile(mail(), { order, nanoseconds }));
});

test('reads pcapng in both byte orders, several sections, interfaces with their own link type and clock', async () => {
  const [first, ...rest] = mail();
  for (const order of ['little', 'big'] as const) {
    await assertMail(pcapngFile(mail(), [{}], order));
    await assertMail(pcapngFile(mail(), [{ resolution: 9 }], order));
    await assertMail(pcapngFile(mail(), [{ resolution: 0x80 + 20 }], order));
    await assertMail(pcapngFile(mail(), [{ resolution: 3, offset: 1_600_000_000n }], order));
    const raw = rest.map((frame) => ({ ...frame, bytes: frame.bytes.subarray(14), interface: 1 }));
    await assertMail(pcapngFile([first!, ...raw], [{}, { linkType: LINK_RAW, resolution: 9 }], order));
    await assertMail(
      Buffer.concat([pcapngFile([first!], [{}], order), pcapngFile(rest, [{}], order === 'big' ? 'little' : 'big')]),
    );
  }
});

test('nanoseconds of pcapng are exact', async () => {
  for (const start of [1_699_999_999_999_999_999n, 1n, 0n, 4_102_444_800_123_456_789n]) {
    const talk = new Conversation({ start }).open().send(CLIENT, 'x');
    const { connections } = await recordCapture(pcapngFile(talk.packets, [{ resolution: 9 }]));
    assert.equal(connections[0]!.start.time, start);
  }
});

test('simple and obsolete packet blocks are read, other blocks passed over, secrets handed on', async () => {
  const [first, second, ...rest] = mail();
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const simple = pcapngBlock(3, Buffer.concat([u32(second!.bytes.length), second!.bytes]));
  const sizes = [u32(0), u32(0), u32(0), u32(rest[0]!.bytes.length), u32(rest[0]!.bytes.length)];
  const obsolete = pcapngBlock(2, Buffer.concat([...sizes, rest[0]!.bytes]));
  const secrets = pcapngBlock(10, Buffer.concat([u32(0x544c534b), u32(5), Buffer.from('KEYS\n')]));
  const large = pcapngBlock(0x0bad, Buffer.alloc(600_000));
  const begin = pcapngFile([first!]);
  const after = pcapngFile(rest.slice(1)).subarray(pcapngFile([]).length);
  const seen: [number, number][] = [];
  const file = Buffer.concat([begin, pcapngBlock(4, Buffer.alloc(8)), simple, secrets, large, obsolete, after]);
  const { connections, statistics } = await recordCapture(
    file,
    {},
    { secrets: (type, s, e) => seen.push([type, e - s]) },
  );
  assert.equal(statistics.damage, undefined);
  assert.equal(connections[0]!.streams[CLIENT], TEXT);
  assert.deepEqual(seen, [[0x544c534b, 5]]);
});

test('reads every link layer', async () => {
  const vlans: [number, number][] = [
    [0x88a8, 5],
    [0x8100, 6],
  ];
  await assertMail(pcapFile(mail((packet) => ethernetFrame(packet, [[0x8100, 7]]))));
  await assertMail(pcapFile(mail((packet) => ethernetFrame(packet, vlans))));
  await assertMail(pcapFile(mail((packet) => ethernetFrame(packet, [[0x9100, 5], ...vlans]))));
  await assertMail(pcapFile(mail(cookedFrame), { linkType: LINK_COOKED }));
  await assertMail(pcapFile(mail(cooked2Frame), { linkType: LINK_COOKED2 }));
  for (const linkType of [LINK_RAW, 12, 14, 228])
    await assertMail(
      pcapFile(
        mail((packet) => packet),
        { linkType },
      ),
    );
  for (const order of ['little', 'big'] as const) {
    await assertMail(
      pcapFile(
        mail((packet) => nullFrame(packet, order)),
        { linkType: LINK_NULL },
      ),
    );
    await assertMail(
      pcapFile(
        mail((packet) => nullFrame(packet, order), V6),
        { linkType: 108 },
      ),
    );
  }
  await assertMail(
    pcapFile(
      mail((packet) => packet, V6),
      { linkType: 229 },
    ),
  );
});

test('an unknown link type is counted, not an error', async () => {
  const { statistics } = await recordCapture(pcapFile(mail(), { linkType: 147 }));
  assert.deepEqual([...statistics.ignored], [['link-type-147', mail().length]]);
  assert.equal(statistics.damage, undefined);
});

test('IPv6 addresses are written as RFC 5952 says', async () => {
  for (const [address, text] of [
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:0:0:1:0:0:1:1', '2001::1:0:0:1:1'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
  ] as const) {
    const talk = new Conversation({ ...V6, client: { address, port: 9 } }).open();
    assert.equal((await recordCapture(pcapFile(talk.packets))).connections[0]!.start.client.address, text);
  }
});

test('IPv4 options, padding, and the length 0 of segmentation offload are read', async () => {
  const options = (packet: Buffer): Buffer =>
    ipv4Packet('10.1.100.44', '172.16.200.55', packet.subarray(20), { options: Buffer.alloc(8, 1) });
  const oneWay = new Conversation({ frame: (packet) => ethernetFrame(options(packet)) }).send(CLIENT, TEXT, false);
  assert.equal((await recordCapture(pcapFile(oneWay.packets))).connections[0]!.streams[CLIENT], TEXT);
  await assertMail(pcapFile(mail((packet) => Buffer.concat([ethernetFrame(packet), Buffer.alloc(46)]))));
  const big = 'x'.repeat(70_000);
  const offload = new Conversation({
    mss: 70_000,
    frame(packet) {
      if (packet.length > 60_000) packet.writeUInt16BE(0, 2);
      return ethernetFrame(packet);
    },
  });
  offload.open().send(CLIENT, big).close();
  assert.equal((await recordCapture(pcapFile(offload.packets))).connections[0]!.streams[CLIENT], big);
});

test('IPv6 extension headers are passed over', async () => {
  const routing = { type: 43, bytes: Buffer.alloc(8) };
  const authentication = { type: 51, bytes: Buffer.from([0, 4, ...new Array<number>(22).fill(0)]) };
  const chain = [optionsHeader(0), routing, optionsHeader(60, 24), fragmentHeader(1, 0, false), authentication];
  const frame = (packet: Buffer): Buffer => {
    const forth = packet.subarray(8, 24).equals(ipv6Packet(V6.client.address, '::', Buffer.alloc(0)).subarray(8, 24));
    const [from, to] = forth ? [V6.client, V6.server] : [V6.server, V6.client];
    return ethernetFrame(ipv6Packet(from.address, to.address, packet.subarray(40), chain));
  };
  await assertMail(pcapFile(mail(frame, V6)));
});

test('fragments of IPv4 and IPv6 are put together in any order; several connections may have them at once', async () => {
  const talk = new Conversation().open();
  const data = 'y'.repeat(3000);
  const fields = { sequence: talk.next[CLIENT], acknowledgment: talk.next[1], flags: 0x10, payload: Buffer.from(data) };
  const segment = tcpSegment(talk.client, talk.server, fields);
  for (const piece of ipv4Fragments(ipv4Packet(talk.client.address, talk.server.address, segment), 1480).reverse())
    talk.packet(piece);
  const six = new Conversation(V6).open();
  const segment6 = tcpSegment(six.client, six.server, { ...fields, sequence: six.next[CLIENT] });
  for (const at of [1400, 0, 2800])
    six.packet(
      ipv6Packet(six.client.address, six.server.address, segment6.subarray(at, at + 1400), [
        fragmentHeader(77, at, at < 2800),
      ]),
    );
  const { connections, statistics } = await recordCapture(pcapFile([...talk.packets, ...six.packets]));
  assert.deepEqual(
    connections.map((one) => one.streams[CLIENT]),
    [data, data],
  );
  assert.deepEqual(statistics.fragments, { packets: 6, datagrams: 2, incomplete: 0, conflicting: 0 });
});

test('fragments that contradict each other are an overlap', async () => {
  const talk = new Conversation().open();
  const fields = { sequence: talk.next[CLIENT], flags: 0x10, payload: Buffer.alloc(100, 'a') };
  const packet = ipv4Packet(talk.client.address, talk.server.address, tcpSegment(talk.client, talk.server, fields));
  const [first, second] = ipv4Fragments(packet, 64);
  const other = Buffer.from(second!);
  other[30] = 0x58;
  // The second comes twice with different bytes, while the first is missing.
  talk.packet(second!).packet(other).packet(first!);
  const { connections, statistics } = await recordCapture(pcapFile(talk.packets));
  assert.equal(connections[0]!.streams[CLIENT], 'a'.repeat(100));
  assert.ok(connections[0]!.events.includes('overlap 0'));
  assert.equal(statistics.fragments.conflicting, 1);
});

test('fragments that wait are bounded: past the limit the oldest datagram is given up', async () => {
  const talk = new Conversation().open();
  const packet = ipv4Packet(talk.client.address, talk.server.address, Buffer.alloc(2000));
  const cost = 256 + 2048 + 256;
  talk.packet(ipv4Fragments(packet, 1000, 1)[0]!).packet(ipv4Fragments(packet, 1000, 2)[0]!);
  talk.packet(ipv4Fragments(packet, 1000, 1)[1]!);
  const kept = await recordCapture(pcapFile(talk.packets), { fragments: 2 * cost });
  const crossed = await recordCapture(pcapFile(talk.packets), { fragments: 2 * cost - 1 });
  assert.deepEqual([kept.statistics.fragments.datagrams, crossed.statistics.fragments.datagrams], [1, 0]);
});

test('what the capture cut off packets is a gap, told at once', async () => {
  const talk = new Conversation({ mss: 100 }).open().send(CLIENT, 'z'.repeat(250), false);
  const { connections, statistics } = await recordCapture(pcapFile(talk.packets, { snaplen: 96 }));
  assert.equal(connections[0]!.streams[CLIENT], `${'z'.repeat(42)}[-58]${'z'.repeat(42)}[-58]${'z'.repeat(42)}[-8]`);
  assert.equal(statistics.cut, 3);
});

test('what is not TCP is counted by protocol', async () => {
  const talk = new Conversation();
  const other = (protocol: number): Buffer => ipv4Packet('10.0.0.1', '10.0.0.2', Buffer.alloc(8), { protocol });
  talk.packet(other(17)).packet(other(17)).packet(other(1)).packet(other(200)).packet(Buffer.from('4500', 'hex'));
  const { statistics } = await recordCapture(pcapFile(talk.packets));
  assert.deepEqual(
    new Map(statistics.ignored),
    new Map([
      ['ip-header-cut', 1],
      ['udp', 2],
      ['icmp', 1],
      ['ip-protocol-200', 1],
    ]),
  );
});

test('a capture is read alike from a file, a stream in any pieces, and gzip in several members', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'inspectd-capture-'));
  try {
    const frames = new Conversation().open().send(CLIENT, 'w'.repeat(700_000)).close().packets;
    const file = pcapFile(frames);
    const zipped = Buffer.concat([gzipSync(file.subarray(0, 300_001)), gzipSync(file.subarray(300_001))]);
    writeFileSync(join(folder, 'plain'), file);
    writeFileSync(join(folder, 'zipped'), zipped);
    const inPieces = (bytes: Buffer, size: number): Readable =>
      Readable.from(
        (function* () {
          for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
        })(),
      );
    const inputs = [join(folder, 'plain'), join(folder, 'zipped'), inPieces(file, 1009), inPieces(zipped, 7)];
    for (const input of inputs) {
      const { connections, statistics } = await recordCapture(input);
      assert.equal(connections[0]!.streams[CLIENT].length, 700_000);
      assert.equal(connections[0]!.cause, 'fin');
      assert.equal(statistics.packets, frames.length);
    }
    const progress: number[] = [];
    await recordCapture(
      join(folder, 'plain'),
      {},
      {
        between(consumed, total) {
          progress.push(consumed);
          assert.equal(total, file.length);
          return progress.length === 1 ? Promise.resolve() : undefined;
        },
      },
    );
    assert.equal(progress.at(-1), file.length);
    assert.ok(progress.length > 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a stream is read as it grows', async () => {
  const file = pcapFile(new Conversation().open().send(CLIENT, 'now').packets);
  const stream = new PassThrough();
  let consumed = 0;
  let seen: (() => void) | undefined;
  const reading = recordCapture(
    stream,
    {},
    {
      between(count) {
        consumed = count;
        if (count === file.length) seen?.();
        return undefined;
      },
    },
  );
  const all = new Promise<void>((resolve) => {
    seen = resolve;
  });
  stream.write(file);
  await all; // The stream has not ended.
  assert.equal(consumed, file.length);
  stream.end();
  assert.equal((await reading).connections[0]!.streams[CLIENT], 'now');
});

test('a damaged capture gives what can be read of it, and says where it broke', async () => {
  const file = pcapFile(mail());
  const absurd = Buffer.from(file);
  const third = 24 + 2 * (16 + 54);
  absurd.writeUInt32LE(0xffff_ffff, third + 8);
  const ng = pcapngFile(mail());
  const cases: [Buffer, RegExp, number, number][] = [
    [Buffer.alloc(0), /^empty file$/, 0, 0],
    [Buffer.from('ab'), /too short/, 0, 0],
    [Buffer.from('This is no capture at all.'), /neither pcap nor pcapng/, 0, 0],
    [file.subarray(0, 20), /truncated/, 0, 0],
    [file.subarray(0, file.length - 1), /truncated: the last record has 69 of its 70 bytes/, file.length - 70, 8],
    [absurd, /claims 4294967295 bytes/, third, 2],
    [ng.subarray(0, ng.length - 3), /truncated/, ng.length - 88, 8],
    [Buffer.concat([ng, Buffer.alloc(12)]), /claims a length of 0 bytes/, ng.length, 9],
    [Buffer.concat([ng, pcapngBlock(0x0bad, Buffer.alloc(100)).subarray(0, 60)]), /truncated/, ng.length + 60, 9],
  ];
  for (const [bytes, message, offset, packet] of cases) {
    const { connections, statistics } = await recordCapture(bytes);
    assert.match(statistics.damage!.message, message);
    assert.deepEqual([statistics.damage!.offset, statistics.damage!.packet], [offset, packet], String(message));
    if (packet > 3) assert.equal(connections[0]!.streams[CLIENT], TEXT);
  }
  for (const cut of [10, 40, gzipSync(file).length - 9]) {
    const { statistics } = await recordCapture(gzipSync(file).subarray(0, cut));
    assert.notEqual(statistics.damage, undefined);
  }
});

test('a packet of one byte more than the limit is damage', async () => {
  const frames = new Conversation().open().packets;
  const length = frames[0]!.bytes.length;
  assert.equal((await recordCapture(pcapFile(frames), { packet: length })).statistics.damage, undefined);
  assert.notEqual((await recordCapture(pcapFile(frames), { packet: length - 1 })).statistics.damage, undefined);
});

test('what cannot be opened is a SourceError', async () => {
  await assert.rejects(recordCapture('/nowhere/at/all.pcap'), SourceError);
  await assert.rejects(recordCapture(tmpdir()), SourceError);
});

test('noise never throws', async () => {
  const frames = new Conversation().open().send(CLIENT, TEXT.repeat(20)).close().packets;
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (const file of [pcapFile(frames), pcapngFile(frames), gzipSync(pcapFile(frames))])
    for (let round = 0; round < 60; round++) {
      const spoiled = Buffer.from(file);
      for (let i = 0; i < 1 + random(20); i++) spoiled[random(spoiled.length)] = random(256);
      await recordCapture(spoiled);
    }
});
