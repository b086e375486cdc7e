// Header prediction (after V. Jacobson's for TCP receivers): takes packets for as long as each is what was to be expected, the next bytes of the run under
// way or a bare acknowledgement of its connection, and stops at the first that is anything else, which src/capture looks at. What is done for a packet
// here is what src/capture does for it (link-layer.ts, ip.ts, tcp.ts), and no more: src/capture/fast-path.test.ts holds the two equal.
// Compiled by AssemblyScript. Nothing is allocated: no runtime, no data.

// What goes in and comes out, 32 bits each, as ../header-prediction-registers.ts names them.
const FAMILY: usize = 0;
const TYPE_AT: usize = 4;
const LINK_HEADER: usize = 8;
const UNIT: usize = 12;
const MAX_PACKET: usize = 16;
const MOST: usize = 20;
const PORTS: usize = 24;
const PORTS_BACK: usize = 28;
const ADDRESSES: usize = 32;
const ADDRESSES_BACK: usize = 64;
const NEXT: usize = 96;
const ACKED: usize = 100;
const HEARD: usize = 104;
const OTHER_NEXT: usize = 108;
const OTHER_ACKED: usize = 112;
const OTHER_HEARD: usize = 116;
const RUN_START: usize = 120;
const RUN_END: usize = 124;
const MARKS: usize = 128;
const MARKS_ROOM: usize = 132;
const MARK_ENDS: usize = 136;
const MARK_PACKETS: usize = 140;
const MARK_SECONDS: usize = 144;
const MARK_NANOSECONDS: usize = 148;
const TAKEN: usize = 152;
const CAPTURED: usize = 156;
const BLOCKS: usize = 160;
const INTERFACE: usize = 164;
const PACKET: usize = 168;
// 64 bits each: floating-point numbers.
const SECONDS: usize = 176;
const NANOSECONDS: usize = 184;
const OFFSET: usize = 192;

/** What a pcap record has before its packet, and an enhanced packet block of pcapng before and behind it. */
const RECORD: usize = 16;
const BLOCK: usize = 28;
const BLOCK_END: usize = 4;
const ENHANCED_PACKET: u32 = 6;
const LARGE: usize = 16384;
const TYPE_IPV4: u32 = 0x0800;
const TYPE_IPV6: u32 = 0x86dd;
const TYPE_VLAN: u32 = 0x8100;
const TYPE_PROVIDER_VLAN: u32 = 0x88a8;
const TYPE_OLD_QINQ: u32 = 0x9100;
const TCP: u32 = 6;
const FIN_SYN_RST: u32 = 0x07;
const ACK: u32 = 0x10;

function word16(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}

function word32(at: usize): i32 {
  return <i32>bswap<u32>(load<u32>(at));
}

/** Do the addresses at `at`, source and destination, equal those at `known`? */
function same(family: i32, at: usize, known: usize): bool {
  if (load<u64>(at) !== load<u64>(known)) return false;
  if (family === 4) return true;
  return (
    load<u64>(at, 8) === load<u64>(known, 8) &&
    load<u64>(at, 16) === load<u64>(known, 16) &&
    load<u64>(at, 24) === load<u64>(known, 24)
  );
}

/**
 * Takes records of a pcap, or enhanced packet blocks of a pcapng, of this byte order from [at, to) and moves what they bring to the end of the run. Where the
 * first that it leaves begins.
 */
export function take(r: usize, from: usize, to: usize): usize {
  const family = load<i32>(r, FAMILY);
  const typeAt = load<i32>(r, TYPE_AT);
  const linkHeader = load<usize>(r, LINK_HEADER);
  const maxPacket = load<u32>(r, MAX_PACKET);
  const most = load<i32>(r, MOST);
  const blocks = load<i32>(r, BLOCKS) !== 0;
  const interfaceOf = load<u32>(r, INTERFACE);
  const unit = <f64>load<i32>(r, UNIT);
  const perSecond: u64 = 1_000_000_000 / load<u32>(r, UNIT);
  const offset = load<f64>(r, OFFSET);
  let seconds = load<f64>(r, SECONDS);
  let nanoseconds = load<f64>(r, NANOSECONDS);
  const ports = load<i32>(r, PORTS);
  const portsBack = load<i32>(r, PORTS_BACK);
  const otherNext = load<i32>(r, OTHER_NEXT);
  const runStart = load<usize>(r, RUN_START);
  const room = load<i32>(r, MARKS_ROOM);
  let next = load<i32>(r, NEXT);
  let acked = load<i32>(r, ACKED);
  let heard = load<i32>(r, HEARD);
  let otherAcked = load<i32>(r, OTHER_ACKED);
  let otherHeard = load<i32>(r, OTHER_HEARD);
  let runEnd = load<usize>(r, RUN_END);
  let marks = load<i32>(r, MARKS);
  let packet = load<i32>(r, PACKET);
  let captured: u32 = 0;
  let taken = 0;
  let at = from;

  while (taken < most && at + BLOCK + BLOCK_END <= to) {
    let frame: usize;
    let length: u32;
    let following: usize;
    let whole: u64;
    let fraction: u64;
    if (blocks) {
      const size = load<u32>(at, 4);
      if (load<u32>(at) !== ENHANCED_PACKET || load<u32>(at, 8) !== interfaceOf) break;
      if (size < <u32>(BLOCK + BLOCK_END) || size % 4 !== 0 || size > maxPacket || at + size > to) break;
      frame = at + BLOCK;
      length = load<u32>(at, 20);
      following = at + size;
      if (load<u32>(following - BLOCK_END) !== size || load<u32>(at, 24) > length) break;
      if (length > size - <u32>(BLOCK + BLOCK_END)) break;
      const ticks = ((<u64>load<u32>(at, 12)) << 32) | <u64>load<u32>(at, 16);
      whole = ticks / perSecond;
      fraction = ticks % perSecond;
      if (whole > 0xffff_ffff) break;
    } else {
      frame = at + RECORD;
      length = load<u32>(at, 8);
      following = frame + length;
      if (length > maxPacket || load<u32>(at, 12) > length || following > to) break;
      whole = <u64>load<u32>(at);
      fraction = <u64>load<u32>(at, 4);
    }
    const end = frame + length;

    let ip = frame + linkHeader;
    if (typeAt >= 0) {
      if (ip > end) break;
      let type = word16(frame + <usize>typeAt);
      while (type === TYPE_VLAN || type === TYPE_PROVIDER_VLAN || type === TYPE_OLD_QINQ) {
        if (ip + 4 > end) break;
        type = word16(ip + 2);
        ip += 4;
      }
      if (type !== (family === 4 ? TYPE_IPV4 : TYPE_IPV6)) break;
    }

    let tcp: usize;
    let last: usize;
    let addresses: usize;
    if (family === 4) {
      tcp = ip + 20;
      // No options, no fragment, TCP.
      if (tcp + 20 > end || load<u8>(ip) !== 0x45 || (word16(ip + 6) & 0x3fff) !== 0 || load<u8>(ip, 9) !== TCP) break;
      const total = <usize>word16(ip + 2);
      last = total === 0 ? end : ip + total;
      addresses = ip + 12;
    } else {
      tcp = ip + 40;
      if (tcp + 20 > end || load<u8>(ip) >>> 4 !== 6 || load<u8>(ip, 6) !== TCP) break;
      const total = <usize>word16(ip + 4);
      last = total === 0 ? end : tcp + total;
      addresses = ip + 8;
    }
    if (last > end || tcp + 20 > last) break;

    const header = (<usize>(load<u8>(tcp, 12) >>> 4)) << 2;
    const payload = tcp + header;
    if (header < 20 || payload > last) break;
    if ((<u32>load<u8>(tcp, 13) & (FIN_SYN_RST | ACK)) !== ACK) break;
    const pair = word32(tcp);
    const acknowledged = word32(tcp + 8);
    const size = last - payload;
    if (pair === ports && same(family, addresses, r + ADDRESSES)) {
      if (size > 0 && (size >= LARGE || word32(tcp + 4) !== next || marks === room)) break;
      if (acknowledged - otherNext > 0) break;
      otherHeard = 1;
      if (acknowledged - otherAcked > 0) otherAcked = acknowledged;
    } else if (pair === portsBack && same(family, addresses, r + ADDRESSES_BACK)) {
      if (size > 0 || acknowledged - next > 0) break;
      heard = 1;
      if (acknowledged - acked > 0) acked = acknowledged;
    } else break;

    packet++;
    seconds = <f64>whole + offset;
    nanoseconds = <f64>fraction * unit;
    if (size > 0) {
      memory.copy(runEnd, payload, size);
      runEnd += size;
      next += <i32>size;
      store<i32>(load<usize>(r, MARK_ENDS) + ((<usize>marks) << 2), <i32>(runEnd - runStart));
      store<i32>(load<usize>(r, MARK_PACKETS) + ((<usize>marks) << 2), packet);
      store<f64>(load<usize>(r, MARK_SECONDS) + ((<usize>marks) << 3), seconds);
      store<f64>(load<usize>(r, MARK_NANOSECONDS) + ((<usize>marks) << 3), nanoseconds);
      marks++;
    }
    captured += length;
    taken++;
    at = following;
  }

  store<i32>(r, next, NEXT);
  store<i32>(r, acked, ACKED);
  store<i32>(r, heard, HEARD);
  store<i32>(r, otherAcked, OTHER_ACKED);
  store<i32>(r, otherHeard, OTHER_HEARD);
  store<usize>(r, runEnd, RUN_END);
  store<i32>(r, marks, MARKS);
  store<i32>(r, taken, TAKEN);
  store<u32>(r, captured, CAPTURED);
  store<f64>(r, seconds, SECONDS);
  store<f64>(r, nanoseconds, NANOSECONDS);
  return at;
}
