/**
 * Captures made to order: frames, IP packets and whole TCP conversations, written as pcap or pcapng. For tests of the capture reader and of
 * anything that is fed from captures. A `Conversation` gives packets in the order of a clean exchange; a test makes its own trouble by
 * moving, dropping or repeating members of `packets`, or by adding odd ones with `segment`.
 * Checksums are right in IPv4 headers and in TCP; nothing here is fast, and nothing reads captures.
 */
import { Buffer } from 'node:buffer';
import { CLIENT, opposite, SERVER, type Side } from '../core/flow.js';
import type { Endpoint } from '../core/session.js';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;

/** Link types (DLT values) that the framing functions here make. */
export const LINK_NULL = 0;
export const LINK_ETHERNET = 1;
export const LINK_RAW = 101;
export const LINK_COOKED = 113;
export const LINK_COOKED2 = 276;

/** One frame as a capture file holds it. */
export interface CapturedFrame {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly bytes: Buffer;
  /** Its length on the wire when the capture cut it. */
  readonly wireLength?: number;
  /** Which of a pcapng section's interfaces saw it; 0 when not given. */
  readonly interface?: number;
}

// ---- IP

/** The 4 or 16 bytes of an address in text form (IPv6 with or without `::`, without an embedded IPv4). */
export function addressBytes(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number));
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(all.flatMap((group) => [group >>> 8, group & 0xff]));
}

/** RFC 1071. */
export function internetChecksum(...parts: readonly Buffer[]): number {
  const all = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < all.length; at += 2) sum += (all[at]! << 8) | (all[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Ipv4Fields {
  readonly protocol?: number;
  readonly id?: number;
  readonly ttl?: number;
  /** Padded to four bytes by the caller. */
  readonly options?: Buffer;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  /** Instead of the true one; 0 is what segmentation offload leaves. */
  readonly totalLength?: number;
}

export function ipv4Packet(from: string, to: string, payload: Buffer, fields: Ipv4Fields = {}): Buffer {
  const options = fields.options ?? Buffer.alloc(0);
  const header = Buffer.alloc(20 + options.length);
  header[0] = 0x40 | (header.length >>> 2);
  header.writeUInt16BE((fields.totalLength ?? header.length + payload.length) & 0xffff, 2);
  header.writeUInt16BE(fields.id ?? 0, 4);
  header.writeUInt16BE((fields.moreFragments === true ? 0x2000 : 0) | ((fields.fragmentOffset ?? 0) >>> 3), 6);
  header[8] = fields.ttl ?? 64;
  header[9] = fields.protocol ?? 6;
  addressBytes(from).copy(header, 12);
  addressBytes(to).copy(header, 16);
  options.copy(header, 20);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** The fragments of an IPv4 packet without options, each with at most `size` bytes of payload (a multiple of 8). */
export function ipv4Fragments(packet: Buffer, size: number, id = 1): Buffer[] {
  const address = (at: number): string => [...packet.subarray(at, at + 4)].join('.');
  const payload = packet.subarray(20);
  const pieces: Buffer[] = [];
  for (let at = 0; at < payload.length; at += size)
    pieces.push(
      ipv4Packet(address(12), address(16), payload.subarray(at, at + size), {
        protocol: packet[9]!,
        id,
        fragmentOffset: at,
        moreFragments: at + size < payload.length,
      }),
    );
  return pieces;
}

/** An IPv6 extension header (RFC 8200 section 4) without its next-header byte's meaning: `ipv6Packet` chains them. */
export interface ExtensionHeader {
  /** 0 hop-by-hop, 43 routing, 44 fragment, 51 AH, 60 destination options. */
  readonly type: number;
  /** The whole header; its first byte is filled in. */
  readonly bytes: Buffer;
}

export function ipv6Packet(
  from: string,
  to: string,
  payload: Buffer,
  headers: readonly ExtensionHeader[] = [],
  protocol = 6,
): Buffer {
  const chain = headers.map((header, at) => {
    const bytes = Buffer.from(header.bytes);
    bytes[0] = headers[at + 1]?.type ?? protocol;
    return bytes;
  });
  const body = Buffer.concat([...chain, payload]);
  const header = Buffer.alloc(8);
  header[0] = 0x60;
  header.writeUInt16BE(body.length & 0xffff, 4);
  header[6] = headers[0]?.type ?? protocol;
  header[7] = 64;
  return Buffer.concat([header, addressBytes(from), addressBytes(to), body]);
}

/** Hop-by-hop or destination options of `length` bytes (a multiple of 8), all padding. */
export function optionsHeader(type: 0 | 60, length = 8): ExtensionHeader {
  const bytes = Buffer.alloc(length);
  bytes[1] = length / 8 - 1;
  bytes[2] = 1; // PadN
  bytes[3] = length - 4;
  return { type, bytes };
}

/** RFC 8200 section 4.5; `offset` in bytes. */
export function fragmentHeader(id: number, offset: number, more: boolean): ExtensionHeader {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16BE(offset | (more ? 1 : 0), 2);
  bytes.writeUInt32BE(id, 4);
  return { type: 44, bytes };
}

// ---- TCP

export interface TcpFields {
  /** Taken modulo 2^32. */
  readonly sequence: number;
  readonly acknowledgment?: number;
  readonly flags: number;
  readonly payload?: Buffer;
  readonly window?: number;
  readonly urgent?: number;
  /** Padded to four bytes by the caller. */
  readonly options?: Buffer;
  /** Spoils the checksum, as a host that would drop the segment sees it. */
  readonly badChecksum?: boolean;
}

/** A TCP segment, checksummed for these addresses. */
export function tcpSegment(from: Endpoint, to: Endpoint, fields: TcpFields): Buffer {
  const options = fields.options ?? Buffer.alloc(0);
  const payload = fields.payload ?? Buffer.alloc(0);
  const header = Buffer.alloc(20 + options.length);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(to.port, 2);
  header.writeUInt32BE(fields.sequence >>> 0, 4);
  header.writeUInt32BE((fields.acknowledgment ?? 0) >>> 0, 8);
  header[12] = (header.length >>> 2) << 4;
  header[13] = fields.flags;
  header.writeUInt16BE(fields.window ?? 65_535, 14);
  header.writeUInt16BE(fields.urgent ?? 0, 18);
  options.copy(header, 20);
  const source = addressBytes(from.address);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(header.length + payload.length, 0);
  pseudo[7] = 6;
  const sum = internetChecksum(source, addressBytes(to.address), pseudo, header, payload);
  header.writeUInt16BE(fields.badChecksum === true ? sum ^ 0x5555 : sum, 16);
  return Buffer.concat([header, payload]);
}

/** A TCP segment in an IP packet of the family of the addresses. */
export function tcpPacket(from: Endpoint, to: Endpoint, fields: TcpFields): Buffer {
  const segment = tcpSegment(from, to, fields);
  return from.address.includes(':')
    ? ipv6Packet(from.address, to.address, segment)
    : ipv4Packet(from.address, to.address, segment);
}

// ---- Link layers: each takes an IP packet and frames it

/** `tags` are VLAN tags from the outside in, [tag protocol, VLAN id]. */
export function ethernetFrame(packet: Buffer, tags: readonly (readonly [number, number])[] = []): Buffer {
  const addresses = Buffer.from('02000000000202000000000f', 'hex');
  const vlans = tags.map(([protocol, id]) => {
    const tag = Buffer.alloc(4);
    tag.writeUInt16BE(protocol, 0);
    tag.writeUInt16BE(id, 2);
    return tag;
  });
  return Buffer.concat([addresses, ...vlans, etherType(packet), packet]);
}

export function cookedFrame(packet: Buffer): Buffer {
  const header = Buffer.alloc(14);
  header.writeUInt16BE(1, 2);
  header.writeUInt16BE(6, 4);
  return Buffer.concat([header, etherType(packet), packet]);
}

export function cooked2Frame(packet: Buffer): Buffer {
  const header = Buffer.alloc(20);
  etherType(packet).copy(header, 0);
  header.writeUInt32BE(1, 4);
  header.writeUInt16BE(1, 8);
  return Buffer.concat([header, packet]);
}

/** BSD loopback: the address family in the byte order of the capturing machine (IPv6 is 30 on macOS). */
export function nullFrame(packet: Buffer, order: 'little' | 'big' = 'little'): Buffer {
  const header = Buffer.alloc(4);
  const family = isIpv6(packet) ? 30 : 2;
  if (order === 'little') header.writeUInt32LE(family);
  else header.writeUInt32BE(family);
  return Buffer.concat([header, packet]);
}

function etherType(packet: Buffer): Buffer {
  return Buffer.from(isIpv6(packet) ? '86dd' : '0800', 'hex');
}

function isIpv6(packet: Buffer): boolean {
  return (packet[0] ?? 0) >>> 4 === 6;
}

// ---- Conversations

export interface ConversationOptions {
  readonly client?: Endpoint;
  readonly server?: Endpoint;
  /** Initial sequence numbers; near 2^32 for a wrap. */
  readonly clientIsn?: number;
  readonly serverIsn?: number;
  /** The most bytes of payload in a segment: 1448 as on Ethernet with timestamps, 1 for single bytes, 65000 as offload makes them. */
  readonly mss?: number;
  /** Time of the first packet, and how far the others are apart, in nanoseconds. */
  readonly start?: bigint;
  readonly step?: bigint;
  /** From IP packet to frame; Ethernet when not given. */
  readonly frame?: (packet: Buffer) => Buffer;
}

/** A TCP connection as a camera in the middle sees it. Each call appends to `packets`. */
export class Conversation {
  readonly packets: CapturedFrame[] = [];
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** The next sequence number of each side. */
  readonly next: [number, number];
  readonly #mss: number;
  readonly #step: bigint;
  readonly #frame: (packet: Buffer) => Buffer;
  #time: bigint;

  constructor(options: ConversationOptions = {}) {
    this.client = options.client ?? { address: '10.1.100.44', port: 50_122 };
    this.server = options.server ?? { address: '172.16.200.55', port: 25 };
    this.next = [options.clientIsn ?? 1_000, options.serverIsn ?? 900_000];
    this.#mss = options.mss ?? 1448;
    this.#time = options.start ?? 1_700_000_000_000_000_000n;
    this.#step = options.step ?? 1_000_000n;
    this.#frame = options.frame ?? ethernetFrame;
  }

  /** The three-way handshake. */
  open(): this {
    this.segment(CLIENT, { flags: SYN, acknowledgment: 0 });
    this.#advance(CLIENT, 1);
    this.segment(SERVER, { flags: SYN | ACK });
    this.#advance(SERVER, 1);
    return this.acknowledge(CLIENT);
  }

  /** `bytes` of `side`, cut at the MSS, each segment acknowledged by the other side unless `acknowledged` is false. */
  send(side: Side, bytes: Buffer | string, acknowledged = true): this {
    const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    for (let at = 0; at < data.length; at += this.#mss) {
      const payload = data.subarray(at, at + this.#mss);
      this.segment(side, { flags: at + this.#mss >= data.length ? ACK | PSH : ACK, payload });
      this.#advance(side, payload.length);
      if (acknowledged) this.acknowledge(opposite(side));
    }
    return this;
  }

  /** A bare ACK of `side` for all that the other sent. */
  acknowledge(side: Side): this {
    return this.segment(side, { flags: ACK });
  }

  /** FIN of `side`, acknowledged by the other. */
  finish(side: Side): this {
    this.segment(side, { flags: FIN | ACK });
    this.#advance(side, 1);
    return this.acknowledge(opposite(side));
  }

  /** FIN of the client, then of the server. */
  close(): this {
    return this.finish(CLIENT).finish(SERVER);
  }

  reset(side: Side): this {
    return this.segment(side, { flags: RST | ACK });
  }

  /** Any one segment of `side`. Where `fields` says nothing it is as the present state has it; the state does not change. */
  segment(side: Side, fields: Partial<TcpFields> & { readonly flags: number }): this {
    const [from, to] = side === CLIENT ? [this.client, this.server] : [this.server, this.client];
    const packet = tcpPacket(from, to, {
      sequence: this.next[side],
      acknowledgment: this.next[opposite(side)],
      ...fields,
    });
    return this.packet(packet);
  }

  /** Any IP packet at the present time. */
  packet(packet: Buffer): this {
    this.packets.push({ time: this.#time, bytes: this.#frame(packet) });
    this.#time += this.#step;
    return this;
  }

  /** Lets `bytes` of `side` go by without being captured. */
  lose(side: Side, bytes: number): this {
    this.#advance(side, bytes);
    return this;
  }

  #advance(side: Side, by: number): void {
    this.next[side] = (this.next[side] + by) % 0x1_0000_0000;
  }
}

// ---- Files

export interface PcapOptions {
  readonly order?: 'little' | 'big';
  readonly nanoseconds?: boolean;
  readonly linkType?: number;
  readonly snaplen?: number;
}

/** A pcap file. Frames longer than `snaplen` are cut as a capturing machine cuts them. */
export function pcapFile(frames: readonly CapturedFrame[], options: PcapOptions = {}): Buffer {
  const u32 = word(options.order);
  const u16 = half(options.order);
  const snaplen = options.snaplen ?? 262_144;
  const nanoseconds = options.nanoseconds === true;
  const parts: Buffer[] = [
    Buffer.concat([
      u32(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4),
      u16(2),
      u16(4),
      u32(0),
      u32(0),
      u32(snaplen),
      u32(options.linkType ?? LINK_ETHERNET),
    ]),
  ];
  for (const frame of frames) {
    const bytes = frame.bytes.subarray(0, snaplen);
    const fraction = frame.time % 1_000_000_000n;
    parts.push(
      u32(Number(frame.time / 1_000_000_000n)),
      u32(Number(nanoseconds ? fraction : fraction / 1_000n)),
      u32(bytes.length),
      u32(frame.wireLength ?? frame.bytes.length),
      bytes,
    );
  }
  return Buffer.concat(parts);
}

export interface PcapngInterface {
  readonly linkType?: number;
  /** The value of if_tsresol: 6 is microseconds, 9 nanoseconds, 0x80 + n powers of two. Microseconds without the option when not given. */
  readonly resolution?: number;
  /** if_tsoffset, whole seconds that are taken off the times written. */
  readonly offset?: bigint;
}

/** One pcapng block: its type, its body (padded here), its two lengths. */
export function pcapngBlock(type: number, body: Buffer, order?: 'little' | 'big'): Buffer {
  const u32 = word(order);
  const padding = Buffer.alloc(-body.length & 3);
  const length = u32(12 + body.length + padding.length);
  return Buffer.concat([u32(type), length, body, padding, length]);
}

/** A section header, its interfaces, then `frames` in enhanced packet blocks. Concatenate several for several sections. */
export function pcapngFile(
  frames: readonly CapturedFrame[],
  interfaces: readonly PcapngInterface[] = [{}],
  order?: 'little' | 'big',
): Buffer {
  const u32 = word(order);
  const u16 = half(order);
  const unknownLength = Buffer.alloc(8, 0xff);
  const parts: Buffer[] = [
    pcapngBlock(0x0a0d0d0a, Buffer.concat([u32(0x1a2b3c4d), u16(1), u16(0), unknownLength]), order),
  ];
  for (const one of interfaces) {
    const options: Buffer[] = [];
    if (one.resolution !== undefined) options.push(u16(9), u16(1), Buffer.from([one.resolution, 0, 0, 0]));
    if (one.offset !== undefined) options.push(u16(14), u16(8), twoWords(one.offset, u32, order));
    if (options.length > 0) options.push(u32(0));
    const fixed = [u16(one.linkType ?? LINK_ETHERNET), u16(0), u32(0)];
    parts.push(pcapngBlock(1, Buffer.concat([...fixed, ...options]), order));
  }
  for (const frame of frames) {
    const on = interfaces[frame.interface ?? 0] ?? {};
    const ticks = inTicks(frame.time - (on.offset ?? 0n) * 1_000_000_000n, on.resolution ?? 6);
    const fixed = [
      u32(frame.interface ?? 0),
      u32(Number(ticks >> 32n)),
      u32(Number(ticks & 0xffff_ffffn)),
      u32(frame.bytes.length),
      u32(frame.wireLength ?? frame.bytes.length),
    ];
    parts.push(pcapngBlock(6, Buffer.concat([...fixed, frame.bytes]), order));
  }
  return Buffer.concat(parts);
}

function inTicks(nanoseconds: bigint, resolution: number): bigint {
  const perSecond = resolution >= 0x80 ? 1n << BigInt(resolution - 0x80) : 10n ** BigInt(resolution);
  return (nanoseconds * perSecond) / 1_000_000_000n;
}

/** A 64-bit number as the byte order has it (unlike times, which are two words, the high one first). */
function twoWords(value: bigint, u32: (word: number) => Buffer, order?: 'little' | 'big'): Buffer {
  const unsigned = BigInt.asUintN(64, value);
  const high = u32(Number(unsigned >> 32n));
  const low = u32(Number(unsigned & 0xffff_ffffn));
  return Buffer.concat(order === 'big' ? [high, low] : [low, high]);
}

function word(order: 'little' | 'big' = 'little'): (value: number) => Buffer {
  return (value) => {
    const bytes = Buffer.alloc(4);
    if (order === 'little') bytes.writeUInt32LE(value >>> 0);
    else bytes.writeUInt32BE(value >>> 0);
    return bytes;
  };
}

function half(order: 'little' | 'big' = 'little'): (value: number) => Buffer {
  return (value) => {
    const bytes = Buffer.alloc(2);
    if (order === 'little') bytes.writeUInt16LE(value);
    else bytes.writeUInt16BE(value);
    return bytes;
  };
}
