/**
 * The pcapng format (draft-ietf-opsawg-pcapng): sections in either byte order, interfaces with their own link type and clock, enhanced,
 * simple and obsolete packet blocks. Decryption secrets are handed on. All other blocks, known (name resolution, statistics, journal) or not,
 * are passed over without being held, however long they say they are.
 */
import { KiB } from '../core/limits.js';
import type { RecordShape } from './fast-path.js';
import type { RecordContext, RecordReader } from './records.js';

export const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const DECRYPTION_SECRETS = 10;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPTION_TSRESOL = 9;
const OPTION_TSOFFSET = 14;

/** What a block of a packet may have beside the packet: its fixed fields and options. */
const OVERHEAD = 64 * KiB;
/** In one section. Real ones have a handful; a file of nothing else must not fill the memory. */
const MAX_INTERFACES = 65_536;

interface Interface extends RecordShape {
  readonly snaplen: number;
  /** Units of its clock in a second. */
  readonly perSecond: number;
}

export class PcapngReader implements RecordReader {
  needed = 12;
  skip = 0;
  damage: string | undefined = undefined;
  readonly #context: RecordContext;
  #little = true;
  #interfaces: Interface[] = [];

  constructor(context: RecordContext) {
    this.#context = context;
  }

  read(start: number, end: number): number {
    const { view, maxPacket } = this.#context;
    let at = start;
    for (;;) {
      if (end - at < 12) {
        this.needed = 12;
        return at;
      }
      // The section header's type reads the same in both orders, and says in which the section is.
      if (view.getUint32(at, true) === SECTION_HEADER && !this.#order(at)) return at;
      const type = view.getUint32(at, this.#little);
      const length = view.getUint32(at + 4, this.#little);
      if (length < 12 || length % 4 !== 0) {
        this.damage = `a block of type 0x${type.toString(16)} claims a length of ${length} bytes`;
        return at;
      }
      const wanted = isWanted(type);
      if (wanted && length > maxPacket + OVERHEAD) {
        this.damage = `a block of type 0x${type.toString(16)} claims ${length} bytes, more than the ${maxPacket} that a packet may have`;
        return at;
      }
      if (end - at < length) {
        if (wanted) {
          this.needed = length;
          return at;
        }
        this.skip = length - (end - at);
        return end;
      }
      if (view.getUint32(at + length - 4, this.#little) !== length) {
        this.damage = `a block of type 0x${type.toString(16)} has two different lengths`;
        return at;
      }
      const from = this.#block(type, at + 8, at + length - 4);
      if (this.damage !== undefined) return at;
      at += length;
      if (from !== undefined && this.#little && Number.isInteger(from.unit))
        at = this.#context.fastPath?.take(from, at, end) ?? at;
    }
  }

  #order(at: number): boolean {
    const { view } = this.#context;
    if (view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) this.#little = true;
    else if (view.getUint32(at + 8, false) === BYTE_ORDER_MAGIC) this.#little = false;
    else {
      this.damage = 'a section header without a byte-order magic';
      return false;
    }
    return true;
  }

  /** One block; its body is [at, end). Of an enhanced packet block: its interface. */
  #block(type: number, at: number, end: number): Interface | undefined {
    const { view, clock } = this.#context;
    const little = this.#little;
    switch (type) {
      case SECTION_HEADER:
        this.#interfaces = [];
        return undefined;
      case INTERFACE:
        if (end - at < 8) this.damage = 'an interface description that is too short';
        else if (this.#interfaces.length === MAX_INTERFACES) this.damage = `more than ${MAX_INTERFACES} interfaces`;
        else this.#interfaces.push(this.#interface(at, end));
        return undefined;
      case ENHANCED_PACKET:
      case OBSOLETE_PACKET: {
        if (end - at < 20) {
          this.damage = 'a packet block that is too short';
          return undefined;
        }
        const id = type === ENHANCED_PACKET ? view.getUint32(at, little) : view.getUint16(at, little);
        const from = this.#interfaces[id];
        if (from === undefined) {
          this.damage = `a packet of interface ${id}, which was not described`;
          return undefined;
        }
        this.#time(from, view.getUint32(at + 4, little), view.getUint32(at + 8, little));
        this.#packet(from.linkType, at + 20, end, view.getUint32(at + 12, little), view.getUint32(at + 16, little));
        return type === ENHANCED_PACKET ? from : undefined;
      }
      case SIMPLE_PACKET: {
        const from = this.#interfaces[0];
        if (from === undefined || end - at < 4) {
          this.damage = 'a simple packet block without an interface or a length';
          return undefined;
        }
        // It has no time of its own: it keeps that of the packet before.
        const wire = view.getUint32(at, little);
        const captured = Math.min(wire, from.snaplen === 0 ? wire : from.snaplen);
        clock.packet++;
        this.#packet(from.linkType, at + 4, end, captured, wire);
        return undefined;
      }
      case DECRYPTION_SECRETS:
        if (end - at < 8) return undefined;
        this.#context.secrets?.(
          view.getUint32(at, little),
          at + 8,
          Math.min(end, at + 8 + view.getUint32(at + 4, little)),
        );
        return undefined;
      default:
        return undefined;
    }
  }

  #packet(linkType: number, at: number, end: number, captured: number, wire: number): void {
    if (captured > end - at) {
      this.damage = `a packet claims ${captured} bytes in a block that has ${end - at}`;
      return;
    }
    this.#context.handler.packet(linkType, at, at + captured, wire > captured ? wire - captured : 0);
  }

  #interface(at: number, end: number): Interface {
    const { view } = this.#context;
    const little = this.#little;
    let perSecond = 1e6;
    let offset = 0;
    for (let option = at + 8; option + 4 <= end; ) {
      const code = view.getUint16(option, little);
      const length = view.getUint16(option + 2, little);
      const value = option + 4;
      if (code === 0 || value + length > end) break;
      if (code === OPTION_TSRESOL && length === 1) {
        const resolution = view.getUint8(value);
        perSecond = resolution >= 0x80 ? 2 ** (resolution - 0x80) : 10 ** resolution;
      }
      if (code === OPTION_TSOFFSET && length === 8) {
        const low = view.getUint32(value + (little ? 0 : 4), little);
        offset = view.getInt32(value + (little ? 4 : 0), little) * 0x1_0000_0000 + low;
      }
      option = value + ((length + 3) & ~3);
    }
    return {
      linkType: view.getUint16(at, little),
      snaplen: view.getUint32(at + 4, little),
      perSecond,
      unit: 1e9 / perSecond,
      interface: this.#interfaces.length,
      offset,
    };
  }

  /** Sets the clock to the next packet, seen at `high` * 2^32 + `low` units. */
  #time(from: Interface, high: number, low: number): void {
    const { clock } = this.#context;
    const { perSecond } = from;
    const ticks = high * 0x1_0000_0000 + low;
    let seconds = Math.floor(ticks / perSecond);
    let rest = ticks - seconds * perSecond;
    if (perSecond <= 1e9) {
      // Nanoseconds since 1970 do not fit a double. The quotient is off by one at most, and the remainder, being small, is exact modulo 2^32.
      rest = (low - Math.imul(seconds, perSecond)) >>> 0;
      if (rest >= 0x8000_0000) {
        seconds--;
        rest = (rest + perSecond) >>> 0;
      } else if (rest >= perSecond) {
        seconds++;
        rest -= perSecond;
      }
    }
    clock.packet++;
    clock.seconds = seconds + from.offset;
    clock.nanoseconds = Number.isInteger(from.unit)
      ? rest * from.unit
      : Math.min(Math.floor((rest / perSecond) * 1e9), 999_999_999);
  }
}

function isWanted(type: number): boolean {
  return (
    type === SECTION_HEADER ||
    type === INTERFACE ||
    type === ENHANCED_PACKET ||
    type === SIMPLE_PACKET ||
    type === OBSOLETE_PACKET ||
    type === DECRYPTION_SECRETS
  );
}
