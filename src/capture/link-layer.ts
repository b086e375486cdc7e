/**
 * From a captured frame to the IP packet in it: Ethernet with any number of VLAN tags (802.1Q, QinQ), Linux cooked v1 and v2, raw IP, BSD loopback.
 * VLAN ids and interfaces do not tell connections apart: the two directions of one often have different ones.
 * Not read, but counted: 802.3 frames, MPLS, PPPoE, tunnels.
 */
import type { IpLayer } from './ip.js';
import { linkHeaderOf, RAW_IPV4, RAW_IPV6 } from './link-types.js';
import type { PacketHandler } from './records.js';

const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const TYPE_VLAN = 0x8100;
const TYPE_PROVIDER_VLAN = 0x88a8;
const TYPE_OLD_QINQ = 0x9100;
/** Up to this an EtherType is the length of an 802.3 frame. */
const LAST_LENGTH = 1500;

export class LinkLayer implements PacketHandler {
  readonly #view: DataView;
  readonly #ip: IpLayer;

  constructor(view: DataView, ip: IpLayer) {
    this.#view = view;
    this.#ip = ip;
  }

  packet(linkType: number, start: number, end: number, cut: number): void {
    const ip = this.#ip;
    const view = this.#view;
    ip.begin(end - start, cut);
    const header = linkHeaderOf(linkType);
    if (header === undefined) {
      ip.ignore(`link-type-${linkType}`);
      return;
    }
    const at = start + header.length;
    if (at > end) ip.ignore('frame-too-short');
    else if (header.typeAt >= 0) this.#typed(view.getUint16(start + header.typeAt), at, end, cut);
    else if (linkType === RAW_IPV4) ip.packet4(at, end, cut);
    else if (linkType === RAW_IPV6) ip.packet6(at, end, cut);
    // The address family of a loopback frame is in the order of the machine that captured, and IPv6's number differs by system: the packet says it better.
    else this.#raw(at, end, cut);
  }

  #typed(first: number, firstAt: number, end: number, cut: number): void {
    const view = this.#view;
    let type = first;
    let at = firstAt;
    while (type === TYPE_VLAN || type === TYPE_PROVIDER_VLAN || type === TYPE_OLD_QINQ) {
      if (end - at < 4) {
        this.#ip.ignore('frame-too-short');
        return;
      }
      type = view.getUint16(at + 2);
      at += 4;
    }
    if (type === TYPE_IPV4) this.#ip.packet4(at, end, cut);
    else if (type === TYPE_IPV6) this.#ip.packet6(at, end, cut);
    else if (type <= LAST_LENGTH) this.#ip.ignore('ethernet-802.3');
    else this.#ip.ignore(`ethertype-0x${type.toString(16).padStart(4, '0')}`);
  }

  #raw(at: number, end: number, cut: number): void {
    const version = at < end ? this.#view.getUint8(at) >>> 4 : 0;
    if (version === 4) this.#ip.packet4(at, end, cut);
    else if (version === 6) this.#ip.packet6(at, end, cut);
    else this.#ip.ignore('not-ip');
  }
}
