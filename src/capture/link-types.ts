/** The link types that are read (tcpdump.org/linktypes.html), and what their frames have before the IP packet. */

const NULL = 0;
const ETHERNET = 1;
/** Raw IP has a number a system; 101 is the one in files. */
const RAW = [12, 14, 101];
const LOOP = 108;
const COOKED = 113;
export const RAW_IPV4 = 228;
export const RAW_IPV6 = 229;
const COOKED2 = 276;

/** What comes before the IP packet in every frame of a link type. */
export interface LinkHeader {
  readonly length: number;
  /** Where the EtherType is; -1: there is none. */
  readonly typeAt: number;
}

const HEADERS = new Map<number, LinkHeader>([
  [ETHERNET, { length: 14, typeAt: 12 }],
  [COOKED, { length: 16, typeAt: 14 }],
  [COOKED2, { length: 20, typeAt: 0 }],
  [NULL, { length: 4, typeAt: -1 }],
  [LOOP, { length: 4, typeAt: -1 }],
  ...[...RAW, RAW_IPV4, RAW_IPV6].map((type): [number, LinkHeader] => [type, { length: 0, typeAt: -1 }]),
]);

export function linkHeaderOf(linkType: number): LinkHeader | undefined {
  return HEADERS.get(linkType);
}
