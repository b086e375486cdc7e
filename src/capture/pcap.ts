/**
 * The pcap format (draft-ietf-opsawg-pcap): both byte orders, microseconds and nanoseconds, and the variant with longer record headers
 * that patched Linux kernels of the nineties wrote. The link type's upper half (FCS length) is not looked at.
 */
import type { RecordShape } from './fast-path.js';
import type { RecordContext, RecordReader } from './records.js';

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const PATCHED = 0xa1b2cd34;
const FILE_HEADER = 24;
const USUAL_HEADER = 16;
const PATCHED_HEADER = 24;

export function isPcapMagic(word: number): boolean {
  return word === MICROSECONDS || word === NANOSECONDS || word === PATCHED;
}

export class PcapReader implements RecordReader {
  needed = FILE_HEADER;
  skip = 0;
  damage: string | undefined = undefined;
  readonly #context: RecordContext;
  #started = false;
  #little = true;
  /** Nanoseconds of one unit of the records' fraction. */
  #unit = 1000;
  #linkType = 0;
  #shape: RecordShape = { linkType: 0, unit: 1000, interface: undefined, offset: 0 };
  #recordHeader = USUAL_HEADER;

  constructor(context: RecordContext) {
    this.#context = context;
  }

  read(start: number, end: number): number {
    let at = start;
    if (!this.#started) {
      if (end - at < FILE_HEADER) return at;
      this.#begin(at);
      at += FILE_HEADER;
    }
    const { view, clock, handler, maxPacket } = this.#context;
    const fastPath = this.#little && this.#recordHeader === USUAL_HEADER ? this.#context.fastPath : undefined;
    const shape = this.#shape;
    const header = this.#recordHeader;
    const little = this.#little;
    const unit = this.#unit;
    for (;;) {
      if (end - at < header) {
        this.needed = header;
        return at;
      }
      const length = view.getUint32(at + 8, little);
      if (length > maxPacket) {
        this.damage = `a packet record claims ${length} bytes, more than the ${maxPacket} that a packet may have`;
        return at;
      }
      const next = at + header + length;
      if (next > end) {
        this.needed = header + length;
        return at;
      }
      clock.packet++;
      clock.seconds = view.getUint32(at, little);
      clock.nanoseconds = view.getUint32(at + 4, little) * unit;
      const wire = view.getUint32(at + 12, little);
      handler.packet(this.#linkType, at + header, next, wire > length ? wire - length : 0);
      at = fastPath === undefined ? next : fastPath.take(shape, next, end);
    }
  }

  #begin(at: number): void {
    const { view } = this.#context;
    this.#little = isPcapMagic(view.getUint32(at, true));
    const magic = view.getUint32(at, this.#little);
    this.#unit = magic === NANOSECONDS ? 1 : 1000;
    this.#recordHeader = magic === PATCHED ? PATCHED_HEADER : USUAL_HEADER;
    this.#linkType = view.getUint32(at + 20, this.#little) & 0xffff;
    this.#shape = { linkType: this.#linkType, unit: this.#unit, interface: undefined, offset: 0 };
    this.#started = true;
  }
}
