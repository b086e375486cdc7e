/**
 * A capture made to look otherwise: the same conversations as another camera, card, driver or network would have written them. A disguise changes one
 * layer (the order and the cuts of segments, IP, the link, the file) or several, and says with `keeps` whether every byte is still there. For tests that
 * hold what is found in a capture against what is found in its disguises. Takes pcap files of Ethernet and unfragmented TCP; nothing here is fast.
 */
import { Buffer } from 'node:buffer';
import { gzipSync } from 'node:zlib';
import type { Endpoint } from '../core/session.js';
import {
  ACK,
  type CapturedFrame,
  cooked2Frame,
  cookedFrame,
  ethernetFrame,
  FIN,
  fragmentHeader,
  ipv4Fragments,
  ipv4Packet,
  ipv6Packet,
  LINK_COOKED,
  LINK_COOKED2,
  LINK_ETHERNET,
  LINK_NULL,
  LINK_RAW,
  nullFrame,
  optionsHeader,
  PSH,
  pcapFile,
  pcapngBlock,
  pcapngFile,
  RST,
  SYN,
  tcpSegment,
} from './packets.js';
import type { SeededRandom } from './random.js';

/** One TCP segment of a capture. */
export interface Segment {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly options: Buffer;
  readonly payload: Buffer;
}

/** What is done on each layer; what is not given stays as a plain camera on Ethernet has it. */
export interface Disguise {
  readonly name: string;
  segments?(segments: readonly Segment[], random: SeededRandom): Segment[];
  /** The IP packets of a segment. */
  packets?(segment: Segment, number: number): Buffer[];
  file?(packets: readonly CapturedPacket[]): Buffer;
}

export interface CapturedPacket {
  readonly time: bigint;
  /** An IP packet. */
  readonly packet: Buffer;
}

/** `capture` in `disguises`, each on top of those before it: of two that change the same layer both do so with segments, the last with the others. */
export function disguised(capture: Buffer, disguises: readonly Disguise[], random: SeededRandom): Buffer {
  let segments = segmentsOf(capture);
  let toPackets: NonNullable<Disguise['packets']> = (segment) => [ipPacket(segment)];
  let toFile: NonNullable<Disguise['file']> = onEthernet;
  for (const one of disguises) {
    if (one.segments !== undefined) segments = one.segments(segments, random);
    toPackets = one.packets ?? toPackets;
    toFile = one.file ?? toFile;
  }
  return toFile(
    segments.flatMap((segment, number) => toPackets(segment, number).map((packet) => ({ time: segment.time, packet }))),
  );
}

/** The segments of a pcap file: little-endian, microseconds, Ethernet without tags, no fragments, no extension headers. */
export function segmentsOf(capture: Buffer): Segment[] {
  if (capture.readUInt32LE(0) !== 0xa1b2c3d4 || capture.readUInt32LE(20) !== LINK_ETHERNET)
    throw new RangeError('only pcap of Ethernet can be disguised');
  const segments: Segment[] = [];
  for (let at = 24; at < capture.length; ) {
    const length = capture.readUInt32LE(at + 8);
    const time = BigInt(capture.readUInt32LE(at)) * 1_000_000_000n + BigInt(capture.readUInt32LE(at + 4)) * 1_000n;
    const segment = segmentOf(capture.subarray(at + 16 + 14, at + 16 + length), time);
    if (segment !== undefined) segments.push(segment);
    at += 16 + length;
  }
  return segments;
}

function segmentOf(packet: Buffer, time: bigint): Segment | undefined {
  const six = packet[0]! >>> 4 === 6;
  if (packet[six ? 6 : 9] !== TCP) return undefined;
  const headerLength = six ? 40 : (packet[0]! & 15) << 2;
  const end = six ? 40 + packet.readUInt16BE(4) : packet.readUInt16BE(2);
  const address = (at: number): string =>
    six
      ? Array.from({ length: 8 }, (_, group) => packet.readUInt16BE(at + 2 * group).toString(16)).join(':')
      : [...packet.subarray(at, at + 4)].join('.');
  const tcp = packet.subarray(headerLength, end);
  const dataAt = (tcp[12]! >>> 4) << 2;
  return {
    time,
    from: { address: address(six ? 8 : 12), port: tcp.readUInt16BE(0) },
    to: { address: address(six ? 24 : 16), port: tcp.readUInt16BE(2) },
    sequence: tcp.readUInt32BE(4),
    acknowledgment: tcp.readUInt32BE(8),
    flags: tcp[13]!,
    options: tcp.subarray(20, dataAt),
    payload: tcp.subarray(dataAt),
  };
}

const TCP = 6;

// ---- Helpers of the disguises

/** The port under which a service is known is the lower one. */
export function fromClient(segment: Segment): boolean {
  return segment.from.port > segment.to.port;
}

const isData = (segment: Segment): boolean => segment.payload.length > 0;
const sameSide = (a: Segment, b: Segment): boolean =>
  a.from.port === b.from.port && a.to.port === b.to.port && a.from.address === b.from.address;
const endOf = (segment: Segment): number => (segment.sequence + segment.payload.length) >>> 0;

function ipPacket(segment: Segment, totalLength?: number): Buffer {
  const bytes = tcpBytes(segment);
  const { address } = segment.from;
  return address.includes(':')
    ? ipv6Packet(address, segment.to.address, bytes)
    : ipv4Packet(address, segment.to.address, bytes, totalLength === undefined ? {} : { totalLength });
}

function tcpBytes(segment: Segment): Buffer {
  return tcpSegment(segment.from, segment.to, segment);
}

function onEthernet(packets: readonly CapturedPacket[]): Buffer {
  return pcapFile(framesOf(packets, ethernetFrame));
}

function framesOf(packets: readonly CapturedPacket[], frame: (packet: Buffer) => Buffer): CapturedFrame[] {
  return packets.map(({ time, packet }) => ({ time, bytes: frame(packet) }));
}

// ---- Files

/** Pieces of a file, each a gzip member of its own. */
function gzipMembers(file: Buffer, size: number): Buffer {
  const members: Buffer[] = [];
  for (let at = 0; at < file.length; at += size) members.push(gzipSync(file.subarray(at, at + size)));
  return Buffer.concat(members);
}

/** Simple packet blocks have no time and no interface but the first (draft-ietf-opsawg-pcapng section 4.4). */
function simplePackets(packets: readonly CapturedPacket[]): Buffer {
  const blocks = framesOf(packets, ethernetFrame).map(({ bytes }) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return pcapngBlock(3, Buffer.concat([length, bytes]));
  });
  return Buffer.concat([pcapngFile([]), ...blocks]);
}

/** Every third packet on another interface: Ethernet, raw IP in nanoseconds, Linux cooked in units of 2^-20 s. */
function severalInterfaces(packets: readonly CapturedPacket[], order: 'little' | 'big'): Buffer {
  const frames = packets.map(({ time, packet }, number) => {
    const on = number % 3;
    return { time, interface: on, bytes: on === 0 ? ethernetFrame(packet) : on === 1 ? packet : cookedFrame(packet) };
  });
  return pcapngFile(
    frames,
    [{}, { linkType: LINK_RAW, resolution: 9 }, { linkType: LINK_COOKED, resolution: 0x80 + 20 }],
    order,
  );
}

/** Four sections: byte order and interfaces begin anew with each; blocks of unknown types lie between. */
function severalSections(packets: readonly CapturedPacket[]): Buffer {
  const quarter = Math.ceil(packets.length / 4);
  const part = (number: number) => packets.slice(number * quarter, (number + 1) * quarter);
  return Buffer.concat([
    pcapngFile(framesOf(part(0), ethernetFrame)),
    severalInterfaces(part(1), 'big'),
    pcapngBlock(0x0bad, Buffer.alloc(77), 'big'),
    pcapngFile(framesOf(part(2), cooked2Frame), [{ linkType: LINK_COOKED2, resolution: 9 }]),
    pcapngBlock(5, Buffer.alloc(12)),
    severalInterfaces(part(3), 'little'),
  ]);
}

const tagged =
  (...tags: (readonly [number, number])[]) =>
  (packet: Buffer): Buffer =>
    ethernetFrame(packet, tags);

const pcapOf =
  (frame: (packet: Buffer) => Buffer, linkType: number, options: Parameters<typeof pcapFile>[1] = {}) =>
  (packets: readonly CapturedPacket[]): Buffer =>
    pcapFile(framesOf(packets, frame), { ...options, linkType });

const raw = (packet: Buffer): Buffer => packet;

export const FILE_DISGUISES: readonly Disguise[] = [
  { name: 'pcap, big-endian', file: pcapOf(ethernetFrame, LINK_ETHERNET, { order: 'big' }) },
  { name: 'pcap, nanoseconds', file: pcapOf(ethernetFrame, LINK_ETHERNET, { nanoseconds: true }) },
  {
    name: 'pcap, big-endian nanoseconds',
    file: pcapOf(ethernetFrame, LINK_ETHERNET, { order: 'big', nanoseconds: true }),
  },
  { name: 'pcap in gzip', file: (packets) => gzipSync(onEthernet(packets)) },
  { name: 'pcap in gzip of several members', file: (packets) => gzipMembers(onEthernet(packets), 1_001) },
  { name: 'pcapng', file: (packets) => pcapngFile(framesOf(packets, ethernetFrame)) },
  {
    name: 'pcapng, big-endian nanoseconds',
    file: (packets) => pcapngFile(framesOf(packets, ethernetFrame), [{ resolution: 9 }], 'big'),
  },
  { name: 'pcapng, several interfaces', file: (packets) => severalInterfaces(packets, 'little') },
  { name: 'pcapng, several sections', file: severalSections },
  { name: 'pcapng, several sections in gzip', file: (packets) => gzipMembers(severalSections(packets), 4_096) },
  { name: 'pcapng, simple packet blocks', file: simplePackets },
  { name: '802.1Q', file: pcapOf(tagged([0x8100, 100]), LINK_ETHERNET) },
  { name: 'QinQ', file: pcapOf(tagged([0x88a8, 7], [0x8100, 100]), LINK_ETHERNET) },
  { name: 'old QinQ', file: pcapOf(tagged([0x9100, 7], [0x8100, 100]), LINK_ETHERNET) },
  {
    name: 'a VLAN tag in one direction only',
    file: (packets) =>
      pcapFile(framesOf(packets, (packet) => ethernetFrame(packet, packet[15]! & 1 ? [[0x8100, 3]] : []))),
  },
  {
    // Short frames are filled up to 60 bytes on the wire.
    name: 'Ethernet padding and a trailer',
    file: (packets) =>
      pcapFile(
        framesOf(packets, (packet) => {
          const frame = ethernetFrame(packet);
          return Buffer.concat([frame, Buffer.alloc(Math.max(0, 60 - frame.length) + 4, 'x')]);
        }),
      ),
  },
  { name: 'Linux cooked', file: pcapOf(cookedFrame, LINK_COOKED) },
  { name: 'Linux cooked v2', file: pcapOf(cooked2Frame, LINK_COOKED2) },
  { name: 'raw IP', file: pcapOf(raw, LINK_RAW) },
  { name: 'raw IP, as OpenBSD numbers it', file: pcapOf(raw, 14) },
  { name: 'BSD loopback', file: pcapOf((packet) => nullFrame(packet), LINK_NULL) },
  { name: 'BSD loopback, big-endian', file: pcapOf((packet) => nullFrame(packet, 'big'), 108) },
];

// ---- IP

type Order = (fragments: Buffer[]) => Buffer[];

/** Packets whose TCP segment is longer than `size`, in fragments. */
function fragmented(size: number, order: Order): NonNullable<Disguise['packets']> {
  return (segment, number) => {
    const bytes = tcpBytes(segment);
    if (bytes.length <= size) return [ipPacket(segment)];
    const { address } = segment.from;
    if (!address.includes(':')) return order(ipv4Fragments(ipPacket(segment), size, number & 0xffff));
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      const header = fragmentHeader(number, at, at + size < bytes.length);
      pieces.push(ipv6Packet(address, segment.to.address, bytes.subarray(at, at + size), [header]));
    }
    return order(pieces);
  };
}

/** IPv4 fragments that each repeat the last 64 bytes of the one before. */
function overlapping(segment: Segment, number: number): Buffer[] {
  const { from, to } = segment;
  const bytes = tcpBytes(segment);
  if (from.address.includes(':') || bytes.length <= 256) return [ipPacket(segment)];
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 256) {
    const fragmentOffset = Math.max(0, at - 64);
    const last = Math.min(at + 256, bytes.length);
    pieces.push(
      ipv4Packet(from.address, to.address, bytes.subarray(fragmentOffset, last), {
        id: number & 0xffff,
        fragmentOffset,
        moreFragments: last < bytes.length,
      }),
    );
  }
  return pieces;
}

const asSix = (address: string): string =>
  address.includes(':')
    ? address
    : `fd00:${address
        .split('.')
        .map((part) => Number(part).toString(16))
        .join(':')}::1`;

const overSix = (segment: Segment): Segment => ({
  ...segment,
  from: { address: asSix(segment.from.address), port: segment.from.port },
  to: { address: asSix(segment.to.address), port: segment.to.port },
});

/** With these the addresses are others. */
export const IPV6_DISGUISES: readonly Disguise[] = [
  { name: 'IPv6', packets: (segment) => [ipPacket(overSix(segment))] },
  {
    name: 'IPv6 with extension headers',
    packets(segment, number) {
      const { from, to } = overSix(segment);
      const bytes = tcpBytes(overSix(segment));
      const routing = { type: 43, bytes: Buffer.from('0002000000000000'.padEnd(48, '0'), 'hex') };
      const headers = [optionsHeader(0), routing, fragmentHeader(number, 0, false), optionsHeader(60, 24)];
      return [ipv6Packet(from.address, to.address, bytes, headers.slice(number % 4))];
    },
  },
  { name: 'IPv6 fragments', packets: (segment, number) => fragmented(512, same)(overSix(segment), number) },
  {
    name: 'IPv6 fragments, backwards',
    packets: (segment, number) => fragmented(64, backwards)(overSix(segment), number),
  },
  {
    // What BIG TCP leaves: a length of 0 and a jumbo payload option (RFC 2675).
    name: 'IPv6 jumbograms',
    segments: (segments) => merged(segments, 180_000),
    packets(segment) {
      const { from, to } = overSix(segment);
      const bytes = tcpBytes(overSix(segment));
      if (bytes.length + 8 <= 0xffff) return [ipPacket(overSix(segment))];
      const jumbo = Buffer.from('0000c20400000000', 'hex');
      jumbo.writeUInt32BE(bytes.length + 8, 4);
      const packet = ipv6Packet(from.address, to.address, bytes, [{ type: 0, bytes: jumbo }]);
      packet.writeUInt16BE(0, 4);
      return [packet];
    },
  },
];

function same(fragments: Buffer[]): Buffer[] {
  return fragments;
}

function backwards(fragments: Buffer[]): Buffer[] {
  return fragments.reverse();
}

export const IP_DISGUISES: readonly Disguise[] = [
  { name: 'fragments', packets: fragmented(512, same) },
  { name: 'fragments, backwards', packets: fragmented(64, backwards) },
  { name: 'fragments, each twice', packets: fragmented(256, (fragments) => [...fragments, ...fragments.slice(1)]) },
  { name: 'fragments that overlap', packets: overlapping },
  {
    name: 'IPv4 options',
    packets(segment) {
      const { from, to } = segment;
      if (from.address.includes(':')) return [ipPacket(segment)];
      return [ipv4Packet(from.address, to.address, tcpBytes(segment), { options: Buffer.from('94040000', 'hex') })];
    },
  },
];

// ---- Segments

/** Data in pieces of at most `size`; flags that end something go with the last piece. */
function recut(segments: readonly Segment[], size: number): Segment[] {
  return segments.flatMap((segment) => {
    if (segment.payload.length <= size) return [segment];
    const pieces: Segment[] = [];
    for (let at = 0; at < segment.payload.length; at += size) {
      const last = at + size >= segment.payload.length;
      pieces.push({
        ...segment,
        sequence: (segment.sequence + at) >>> 0,
        payload: segment.payload.subarray(at, at + size),
        flags: last ? segment.flags : segment.flags & ~(FIN | PSH),
      });
    }
    return pieces;
  });
}

/** What follows without a byte of the other side between becomes one segment of up to `size`, as offload hands it to a camera. */
function merged(segments: readonly Segment[], size: number): Segment[] {
  const out: (Segment | undefined)[] = [];
  let open: { at: number; payloads: Buffer[]; length: number; first: Segment; flags: number } | undefined;
  const close = (): void => {
    if (open !== undefined) out[open.at] = { ...open.first, payload: Buffer.concat(open.payloads), flags: open.flags };
    open = undefined;
  };
  for (const segment of segments) {
    const plain = isData(segment) && (segment.flags & (SYN | RST)) === 0;
    const fits =
      open !== undefined &&
      plain &&
      sameSide(open.first, segment) &&
      segment.sequence === (open.first.sequence + open.length) >>> 0 &&
      open.length + segment.payload.length <= size;
    if (fits && open !== undefined) {
      open.payloads.push(segment.payload);
      open.length += segment.payload.length;
      open.flags |= segment.flags;
      continue;
    }
    // Bare acknowledgements of the other side do not end it.
    if (!plain && open !== undefined && !sameSide(open.first, segment) && segment.flags === ACK) {
      out.push(segment);
      continue;
    }
    close();
    out.push(segment);
    if (plain && (segment.flags & FIN) === 0)
      open = {
        at: out.length - 1,
        payloads: [segment.payload],
        length: segment.payload.length,
        first: segment,
        flags: segment.flags,
      };
  }
  close();
  return out.filter((segment) => segment !== undefined);
}

/** Data of one side overtakes data of the same side by less than `window` places, but no answer: what it answers was seen before it. */
function reordered(segments: readonly Segment[], random: SeededRandom, window: number): Segment[] {
  const out = [...segments];
  let run: number[] = [];
  const shuffle = (): void => {
    const places = run.map((from, rank) => ({ from, rank: rank + random.below(window) }));
    places.sort((a, b) => a.rank - b.rank);
    for (const [at, { from }] of places.entries()) {
      const [segment, place] = [segments[from]!, run[at]!];
      out[place] = { ...segment, time: segments[place]!.time };
    }
    run = [];
  };
  for (const [at, segment] of segments.entries()) {
    const first = run[0] === undefined ? undefined : segments[run[0]]!;
    const plain = isData(segment) && (segment.flags & (SYN | FIN | RST)) === 0;
    if (plain && (first === undefined || sameSide(first, segment))) run.push(at);
    else if (plain || segment.flags !== ACK) {
      shuffle();
      if (plain) run.push(at);
    }
  }
  shuffle();
  return out;
}

/** Some segments come again, up to eight places later. */
function repeated(segments: readonly Segment[], random: SeededRandom): Segment[] {
  const out: Segment[] = [];
  const waiting: { readonly segment: Segment; left: number }[] = [];
  for (const segment of segments) {
    out.push(segment);
    for (const one of waiting) if (one.left-- === 0) out.push({ ...one.segment, time: segment.time });
    if (random.once(2)) waiting.push({ segment, left: random.below(8) });
  }
  return out;
}

/** After some data, bytes of the same side come again with other cuts, at times with the first bytes of what follows. */
function retransmitted(segments: readonly Segment[], random: SeededRandom): Segment[] {
  return segments.flatMap((segment, at) => {
    if (!isData(segment) || random.once(2)) return [segment];
    const before = segments.slice(0, at).findLast((one) => isData(one) && sameSide(one, segment));
    const after = segments.slice(at + 1).find((one) => isData(one));
    const parts = [segment.payload];
    let sequence = segment.sequence;
    if (before !== undefined && endOf(before) === sequence) {
      parts.unshift(before.payload);
      sequence = before.sequence;
    }
    if (after !== undefined && sameSide(after, segment) && after.sequence === endOf(segment)) parts.push(after.payload);
    const all = Buffer.concat(parts);
    const start = random.below(all.length);
    const payload = all.subarray(start, start + 1 + random.below(all.length - start));
    const again = { ...segment, flags: segment.flags & ~FIN, sequence: (sequence + start) >>> 0, payload };
    return [segment, again];
  });
}

/** Once all of a side is acknowledged it asks whether the other is still there: nothing or one byte of garbage just before what comes next (RFC 9293 section 3.8.4). */
function kept(segments: readonly Segment[]): Segment[] {
  let number = 0;
  const ends = new Map<string, number>();
  return segments.flatMap((segment) => {
    const of = (end: Endpoint): string => `${end.address} ${end.port}`;
    if (isData(segment)) ends.set(`${of(segment.from)} ${of(segment.to)}`, endOf(segment));
    const end = ends.get(`${of(segment.to)} ${of(segment.from)}`);
    if (segment.flags !== ACK || isData(segment) || end !== segment.acknowledgment) return [segment];
    const probe: Segment = {
      ...segment,
      from: segment.to,
      to: segment.from,
      sequence: (end - 1) >>> 0,
      acknowledgment: segment.sequence,
      payload: Buffer.alloc(number++ & 1),
    };
    return [segment, probe, segment];
  });
}

/** Numbers moved so that each side's pass 2^32 in the middle of what it says. */
function wrapped(segments: readonly Segment[]): Segment[] {
  const spans = new Map<string, { first: number; length: number }>();
  const key = (from: Endpoint, to: Endpoint): string => `${from.address} ${from.port} ${to.address} ${to.port}`;
  for (const segment of segments) {
    const span = spans.get(key(segment.from, segment.to)) ?? { first: segment.sequence, length: 0 };
    span.length = Math.max(span.length, (endOf(segment) - span.first) >>> 0);
    spans.set(key(segment.from, segment.to), span);
  }
  const shift = (from: Endpoint, to: Endpoint): number => {
    const span = spans.get(key(from, to));
    return span === undefined ? 0 : 2 ** 32 - span.first - (span.length >>> 1);
  };
  return segments.map((segment) => ({
    ...segment,
    sequence: (segment.sequence + shift(segment.from, segment.to)) >>> 0,
    acknowledgment: (segment.acknowledgment + shift(segment.to, segment.from)) >>> 0,
  }));
}

const withTimes = (segments: readonly Segment[], time: (segment: Segment, number: number) => bigint): Segment[] =>
  segments.map((segment, number) => ({ ...segment, time: time(segment, number) }));

/** Nothing of the conversation is missing in these. */
export const SEGMENT_DISGUISES: readonly Disguise[] = [
  { name: 'as it is', segments: (segments) => [...segments] },
  { name: 'segments of 536 bytes', segments: (segments) => recut(segments, 536) },
  { name: 'segments of 7 bytes', segments: (segments) => recut(segments, 7) },
  { name: 'segments of 9000 bytes', segments: (segments) => merged(segments, 9_000) },
  { name: 'segments of 64 KB', segments: (segments) => merged(segments, 65_000) },
  {
    name: 'offload: 180 KB and no IP length',
    segments: (segments) => merged(segments, 180_000),
    packets: (segment) => [ipPacket(segment, segment.payload.length > 1_448 ? 0 : undefined)],
  },
  { name: 'out of order', segments: (segments, random) => reordered(segments, random, 8) },
  {
    name: 'out of order in small segments',
    segments: (segments, random) => reordered(recut(segments, 100), random, 16),
  },
  { name: 'repeated', segments: repeated },
  { name: 'sent again with other cuts', segments: retransmitted },
  {
    name: 'sent again with other cuts and out of order',
    segments: (segments, random) => reordered(retransmitted(recut(segments, 300), random), random, 6),
  },
  { name: 'keepalives', segments: kept },
  { name: 'numbers pass 2^32', segments: wrapped },
  {
    name: 'numbers pass 2^32 out of order',
    segments: (segments, random) => reordered(wrapped(segments), random, 8),
  },
  { name: 'all times zero', segments: (segments) => withTimes(segments, () => 0n) },
  {
    name: 'times run backwards',
    segments: (segments) => withTimes(segments, (_, number) => BigInt(2_000_000_000 - number) * 1_000_000_000n),
  },
];

/** Nothing is missing of what the ends said; only how a connection began or ended is. */
export const EDGE_DISGUISES: readonly Disguise[] = [
  { name: 'no FIN', segments: (segments) => segments.filter((one) => isData(one) || (one.flags & FIN) === 0) },
  {
    name: 'RST for FIN',
    segments: (segments) =>
      segments.map((one) => ((one.flags & FIN) === 0 || isData(one) ? one : { ...one, flags: RST | ACK })),
  },
  { name: 'no handshake', segments: (segments) => segments.filter((one) => (one.flags & SYN) === 0) },
  {
    name: 'no acknowledgements',
    segments: (segments) => segments.filter((one) => isData(one) || one.flags !== ACK),
  },
];

export const clientOnly: Disguise = { name: 'client only', segments: (segments) => segments.filter(fromClient) };
export const serverOnly: Disguise = {
  name: 'server only',
  segments: (segments) => segments.filter((one) => !fromClient(one)),
};

/** Begins in the middle of the conversation: without its first `count` segments that have data. */
export function withoutFirst(count: number): Disguise {
  return {
    name: `without the first ${count} data segments`,
    segments(segments) {
      let left = count;
      const first = segments.findIndex((one) => isData(one) && left-- === 0);
      return first < 0 ? [] : segments.slice(first);
    },
  };
}

/** Loses the data segment of this number; how many there are. */
export function without(number: number): Disguise {
  return {
    name: `without data segment ${number}`,
    segments(segments) {
      const data = segments.filter(isData);
      return segments.filter((one) => one !== data[number]);
    },
  };
}

export function dataSegments(capture: Buffer): number {
  return segmentsOf(capture).filter(isData).length;
}

/** One capture behind the other, the second's connections with the ports and addresses of the first's first. */
export function inSuccession(first: Buffer, second: Buffer): Buffer {
  const before = segmentsOf(first);
  const model = before.find(fromClient);
  if (model === undefined) throw new RangeError('a capture without a client');
  const last = before.at(-1)!.time;
  const after = segmentsOf(second).map((segment) => {
    const [from, to] = fromClient(segment) ? [model.from, model.to] : [model.to, model.from];
    return { ...segment, from, to, time: segment.time + last };
  });
  return onEthernet([...before, ...after].map((segment) => ({ time: segment.time, packet: ipPacket(segment) })));
}
