/**
 * IPv4 (RFC 791) and IPv6 (RFC 8200) down to TCP. Options and extension headers are passed over, fragments put together, everything that is not TCP is counted
 * by protocol. A length that segmentation offload left at 0 means all of the frame; bytes after the packet are the link's padding.
 * Checksums are not looked at: with offload the capturing machine's own are wrong, and what a bad one hides shows as two contents for the
 * same bytes or as a FIN or RST that nobody obeyed, which reassembly looks at. Tunnels (IP in IP, GRE) are not opened.
 */
import type { Buffer } from 'node:buffer';
import type { PacketClock } from './connection.js';
import { FragmentReassembly } from './fragments.js';
import type { CaptureStatistics } from './statistics.js';
import type { TcpReassembly } from './tcp.js';

const HOP_BY_HOP = 0;
const TCP = 6;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION = 60;
const MOBILITY = 135;
const HIP = 139;
const SHIM6 = 140;
/** More extension headers than any packet has. */
const MAX_HEADERS = 32;

const PROTOCOL_NAMES = new Map([
  [1, 'icmp'],
  [2, 'igmp'],
  [4, 'ipv4-in-ip'],
  [17, 'udp'],
  [41, 'ipv6-in-ip'],
  [47, 'gre'],
  [50, 'esp'],
  [58, 'icmpv6'],
  [59, 'ipv6-no-next-header'],
  [132, 'sctp'],
]);

export class IpLayer {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #clock: PacketClock;
  readonly #tcp: TcpReassembly;
  readonly #statistics: CaptureStatistics;
  readonly #fragments: FragmentReassembly;
  /** Where in the arena a datagram made of fragments is laid. */
  readonly #scratch: number;
  /** Not TCP, by protocol. */
  readonly #others = new Float64Array(256);

  constructor(
    bytes: Buffer,
    view: DataView,
    clock: PacketClock,
    tcp: TcpReassembly,
    statistics: CaptureStatistics,
    fragmentLimit: number,
    scratch: number,
  ) {
    this.#bytes = bytes;
    this.#view = view;
    this.#clock = clock;
    this.#tcp = tcp;
    this.#statistics = statistics;
    this.#fragments = new FragmentReassembly(fragmentLimit, statistics.fragments);
    this.#scratch = scratch;
  }

  /** Called first for every packet. */
  begin(captured: number, cut: number): void {
    this.#statistics.packets++;
    this.#statistics.bytes += captured;
    if (cut > 0) this.#statistics.cut++;
    this.#tcp.tick();
  }

  /** The packet holds nothing that is read. */
  ignore(reason: string): void {
    this.#tcp.interrupt();
    this.#statistics.ignored.set(reason, (this.#statistics.ignored.get(reason) ?? 0) + 1);
  }

  /** The capture is at its end. */
  finish(): void {
    this.#fragments.finish();
    for (const [protocol, count] of this.#others.entries())
      if (count > 0) this.#statistics.ignored.set(PROTOCOL_NAMES.get(protocol) ?? `ip-protocol-${protocol}`, count);
  }

  packet4(at: number, end: number, cut: number): void {
    const view = this.#view;
    if (end - at < 20) {
      this.ignore('ip-header-cut');
      return;
    }
    const first = view.getUint8(at);
    const headerLength = (first & 15) << 2;
    const total = view.getUint16(at + 2);
    const wireEnd = total === 0 ? end + cut : at + total;
    const payload = at + headerLength;
    if (first >>> 4 !== 4 || headerLength < 20 || payload > wireEnd || wireEnd > end + cut) {
      this.ignore('ip-malformed');
      return;
    }
    const seenEnd = Math.min(wireEnd, end);
    const source = view.getInt32(at + 12, true);
    const destination = view.getInt32(at + 16, true);
    const protocol = view.getUint8(at + 9);
    const fragment = view.getUint16(at + 6) & 0x3fff;
    if (fragment !== 0) {
      this.#tcp.interrupt();
      if (wireEnd > seenEnd) {
        this.ignore('fragment-cut');
        return;
      }
      const key = `${source},${destination},${view.getUint16(at + 4)},${protocol}`;
      const more = (fragment & 0x2000) !== 0;
      const offset = (fragment & 0x1fff) << 3;
      const seconds = this.#clock.seconds;
      const whole = this.#fragments.add(key, offset, more, protocol, this.#bytes, payload, seenEnd, seconds);
      if (whole === undefined) return;
      const scratch = this.#scratch;
      whole.bytes.copy(this.#bytes, scratch);
      if (protocol === TCP)
        this.#tcp.segment4(source, destination, at + 12, scratch, scratch + whole.bytes.length, 0, whole.conflicting);
      else this.#other(protocol);
      // The next datagram of fragments will lie in the same place.
      this.#tcp.settle();
      return;
    }
    if (protocol === TCP) this.#tcp.segment4(source, destination, at + 12, payload, seenEnd, wireEnd - seenEnd, false);
    else this.#other(protocol);
  }

  packet6(at: number, end: number, cut: number): void {
    const view = this.#view;
    if (end - at < 40) {
      this.ignore('ip-header-cut');
      return;
    }
    const length = view.getUint16(at + 4);
    // No length: a jumbogram, or offload that does not fit 16 bits.
    const wireEnd = length === 0 ? end + cut : at + 40 + length;
    if (view.getUint8(at) >>> 4 !== 6 || wireEnd > end + cut) {
      this.ignore('ip-malformed');
      return;
    }
    this.#chain(view.getUint8(at + 6), at + 8, at + 40, Math.min(wireEnd, end), wireEnd, false);
  }

  /** Follows the extension headers from `start`. `addresses` is where the two addresses lie. */
  #chain(
    firstHeader: number,
    addresses: number,
    start: number,
    end: number,
    wireEnd: number,
    conflicting: boolean,
  ): void {
    const view = this.#view;
    let header = firstHeader;
    let at = start;
    for (let count = 0; count < MAX_HEADERS; count++) {
      if (header === TCP) {
        this.#tcp.segment6(addresses, at, end, wireEnd - end, conflicting);
        return;
      }
      if (!isExtension(header)) {
        this.#other(header);
        return;
      }
      if (end - at < 8) {
        this.ignore(wireEnd > end ? 'ip-header-cut' : 'ip-malformed');
        return;
      }
      const next = view.getUint8(at);
      if (header === FRAGMENT) {
        const field = view.getUint16(at + 2);
        if ((field & 0xfff9) !== 0) {
          this.#fragment6(next, addresses, at, end, wireEnd);
          return;
        }
        at += 8; // The only fragment of its datagram (RFC 6946).
      } else at += header === AUTHENTICATION ? (view.getUint8(at + 1) + 2) << 2 : (view.getUint8(at + 1) + 1) << 3;
      header = next;
      if (at > end) {
        this.ignore(wireEnd > end ? 'ip-header-cut' : 'ip-malformed');
        return;
      }
    }
    this.ignore('ip-malformed');
  }

  #fragment6(next: number, addresses: number, at: number, end: number, wireEnd: number): void {
    const view = this.#view;
    this.#tcp.interrupt();
    if (wireEnd > end) {
      this.ignore('fragment-cut');
      return;
    }
    const field = view.getUint16(at + 2);
    const key = `${this.#bytes.toString('latin1', addresses, addresses + 32)}${view.getUint32(at + 4)}`;
    const seconds = this.#clock.seconds;
    const more = (field & 1) !== 0;
    const whole = this.#fragments.add(key, field & 0xfff8, more, next, this.#bytes, at + 8, end, seconds);
    if (whole === undefined) return;
    const scratch = this.#scratch;
    const scratchEnd = scratch + whole.bytes.length;
    whole.bytes.copy(this.#bytes, scratch);
    // A fragment header in what fragments made is an attack on reassemblers, and no packet.
    if (whole.next === FRAGMENT) this.ignore('ip-malformed');
    else this.#chain(whole.next, addresses, scratch, scratchEnd, scratchEnd, whole.conflicting);
    this.#tcp.settle();
  }

  #other(protocol: number): void {
    this.#tcp.interrupt();
    this.#others[protocol]!++;
  }
}

function isExtension(header: number): boolean {
  return (
    header === HOP_BY_HOP ||
    header === ROUTING ||
    header === FRAGMENT ||
    header === AUTHENTICATION ||
    header === DESTINATION ||
    header === MOBILITY ||
    header === HIP ||
    header === SHIM6
  );
}
