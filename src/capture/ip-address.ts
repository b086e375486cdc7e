/** IP addresses as they lie in a packet: their text, and the hash by which connections are shared out over workers. */

/** Dotted decimal. */
export function ipv4Text(view: DataView, at: number): string {
  return `${view.getUint8(at)}.${view.getUint8(at + 1)}.${view.getUint8(at + 2)}.${view.getUint8(at + 3)}`;
}

/** RFC 5952: lower case, the longest run of zero groups compressed, the first of equal ones, never a single group. */
export function ipv6Text(view: DataView, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push(view.getUint16(at + 2 * i));
  let best = 0;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    i = end + 1;
  }
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return bestLength === 1 ? text(0, 8) : `${text(0, best)}::${text(best + bestLength, 8)}`;
}

/**
 * A hash of two IPv4 addresses, whichever comes first, so that all connections of two hosts (FTP's control and data) fall to one worker. Each argument is the
 * address as a 32-bit word read little-endian. The octets that differ between clients lie in its top byte then, and a lone multiplication
 * would leave them there: hence `finish`.
 */
export function ipv4PairHash(a: number, b: number): number {
  return finish(Math.imul((a + b) | 0, 0x9e37_79b1) ^ a ^ b);
}

/** The same of two IPv6 addresses in a packet, 16 bytes each. */
export function ipv6PairHash(view: DataView, a: number, b: number): number {
  let hash = 0;
  for (let i = 0; i < 16; i += 4) {
    const one = view.getInt32(a + i, true);
    const other = view.getInt32(b + i, true);
    hash = Math.imul(hash, 0x85eb_ca6b) ^ Math.imul((one + other) | 0, 0x9e37_79b1) ^ one ^ other;
  }
  return finish(hash);
}

/** Spreads every bit over all. */
export function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x7feb_352d);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x846c_a68b);
  return mixed ^ (mixed >>> 16);
}

/** Which part of the connections is a worker's own. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

export function isMine(share: Share, pairHash: number): boolean {
  return share.count === 1 || (pairHash >>> 0) % share.count === share.index;
}
