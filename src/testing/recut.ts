/**
 * Cuts the TCP segments of a pcap into smaller ones, as another sender might have: the same bytes in the same order at the same times, in
 * other packets. For tests that say that nothing depends on where a segment ends. Little-endian pcap of Ethernet frames with plain IPv4 or
 * IPv6 headers, as the samples are; frames of anything else, and segments without bytes, are kept as they are.
 */
import { Buffer } from 'node:buffer';
import { ACK, FIN, internetChecksum, PSH, RST, SYN } from './packets.js';

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET = 14;

/** The capture with at most `size` bytes of payload in a segment. */
export function recut(capture: Buffer, size: number): Buffer {
  const parts: Buffer[] = [capture.subarray(0, FILE_HEADER)];
  for (let at = FILE_HEADER; at < capture.length; ) {
    const length = capture.readUInt32LE(at + 8);
    const frame = capture.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    for (const cut of recutFrame(frame, size)) {
      const header = Buffer.from(capture.subarray(at, at + RECORD_HEADER));
      header.writeUInt32LE(cut.length, 8);
      header.writeUInt32LE(cut.length, 12);
      parts.push(header, cut);
    }
    at += RECORD_HEADER + length;
  }
  return Buffer.concat(parts);
}

function recutFrame(frame: Buffer, size: number): Buffer[] {
  const tcp = tcpOf(frame);
  if (tcp === undefined) return [frame];
  const flags = frame[tcp + 13]!;
  const payload = tcp + (frame[tcp + 12]! >>> 4) * 4;
  const end = endOf(frame);
  const bytes = end - payload;
  if (bytes <= size || (flags & (SYN | RST)) !== 0) return [frame];
  const sequence = frame.readUInt32BE(tcp + 4);
  const cuts: Buffer[] = [];
  for (let at = 0; at < bytes; at += size) {
    const last = at + size >= bytes;
    const cut = Buffer.concat([
      frame.subarray(0, payload),
      frame.subarray(payload + at, Math.min(end, payload + at + size)),
    ]);
    cut.writeUInt32BE((sequence + at) >>> 0, tcp + 4);
    cut[tcp + 13] = last ? flags : (flags & ~(FIN | PSH)) | ACK;
    setLengths(cut, tcp);
    cuts.push(cut);
  }
  return cuts;
}

/** Where the TCP header begins; undefined: there is none, or not where it is looked for. */
function tcpOf(frame: Buffer): number | undefined {
  switch (frame.readUInt16BE(12)) {
    case 0x0800:
      return frame[ETHERNET + 9] === 6 ? ETHERNET + (frame[ETHERNET]! & 15) * 4 : undefined;
    case 0x86dd:
      return frame[ETHERNET + 6] === 6 ? ETHERNET + 40 : undefined;
    default:
      return undefined;
  }
}

/** Past the packet, where Ethernet's padding begins. A total length of 0 is what segmentation offload leaves. */
function endOf(frame: Buffer): number {
  const v6 = frame.readUInt16BE(12) === 0x86dd;
  const stated = v6 ? 40 + frame.readUInt16BE(ETHERNET + 4) : frame.readUInt16BE(ETHERNET + 2);
  return stated === (v6 ? 40 : 0) ? frame.length : Math.min(frame.length, ETHERNET + stated);
}

/** Lengths and checksums as they are now. */
function setLengths(frame: Buffer, tcp: number): void {
  const v6 = tcp === ETHERNET + 40 && frame.readUInt16BE(12) === 0x86dd;
  const segment = frame.subarray(tcp);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(segment.length, 0);
  pseudo[7] = 6;
  if (v6) frame.writeUInt16BE(segment.length, ETHERNET + 4);
  else {
    frame.writeUInt16BE(frame.length - ETHERNET, ETHERNET + 2);
    frame.writeUInt16BE(0, ETHERNET + 10);
    frame.writeUInt16BE(internetChecksum(frame.subarray(ETHERNET, tcp)), ETHERNET + 10);
  }
  const addresses = v6 ? frame.subarray(ETHERNET + 8, ETHERNET + 40) : frame.subarray(ETHERNET + 12, ETHERNET + 20);
  segment.writeUInt16BE(0, 16);
  segment.writeUInt16BE(internetChecksum(addresses, pseudo, segment), 16);
}
