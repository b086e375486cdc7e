/**
 * lz4 files (lz4_Frame_format.md): frames, one after another one file, with skippable frames in between, and the frames of the program's first
 * version. Sizes and checksums are checked; a dictionary is not here and cannot be used.
 */
import { Buffer } from 'node:buffer';
import type { Container, Content, Unpacker } from '../../core/file.js';
import { decodeLz4Block } from '../../core/lz4.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';
import { Xxh32 } from './xxh32.js';

const FRAME = 0x184d2204;
const LEGACY = 0x184c2102;
/** And the fifteen behind it. */
const SKIPPABLE = 0x184d2a50;
const MiB = 1024 * 1024;
const LEGACY_BLOCK = 8 * MiB;
/** How far matches reach back. */
const WINDOW = 64 * 1024;
/** By the three bits of the frame's header; the first four mean nothing. */
const BLOCK_SIZES = [0, 0, 0, 0, 64 * 1024, 256 * 1024, MiB, 4 * MiB];
const STORED = 0x8000_0000;

export function lz4Unpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'lz4',
    accepts: (_types, content) => isLz4(content),
    unpack(content, container) {
      unpackLz4(content, container, limits);
    },
  };
}

function isLz4(content: Content): boolean {
  const head = content.read(0, 4);
  return head.length === 4 && [FRAME, LEGACY].includes(head.readUInt32LE(0));
}

function unpackLz4(content: Content, container: Container, limits: ArchiveLimits): void {
  const unpacking = new Unpacking(container, content.length, limits);
  if (!unpacking.mayBegin()) return;
  const member = unpacking.open({ name: undefined });
  if (member === undefined) return;
  const reader = new Lz4Reader(content, member);
  const end = reader.read();
  if (unpacking.stopped || end === 'full') member.cut();
  else if (end === 'damaged') {
    unpacking.unscannable(member.size > 0 ? 'partiallycorrupted' : 'corrupted', `lz4 frame at byte ${reader.at}`);
    member.cut();
  } else if (end === 'dictionary') {
    unpacking.unscannable('unhandled', 'lz4 with a dictionary');
    member.cut();
  } else {
    if (end === 'trailing') unpacking.malformed('archive-trailing-data');
    member.end();
  }
}

class Lz4Reader {
  /** Where the next frame or block begins. */
  at = 0;
  readonly #content: Content;
  readonly #member: Member;
  /** The window, and behind it the block that is being decoded. */
  #out: Buffer = Buffer.alloc(0);
  /** Bytes of the window. */
  #back = 0;
  #check: Xxh32 | undefined;
  #frameSize = 0;

  constructor(content: Content, member: Member) {
    this.#content = content;
    this.#member = member;
  }

  /** `full`: a limit was crossed. */
  read(): 'whole' | 'trailing' | 'damaged' | 'dictionary' | 'full' {
    while (this.at < this.#content.length) {
      const magic = this.#number(this.at);
      let end: 'whole' | 'damaged' | 'dictionary' | 'full';
      if (magic === FRAME) end = this.#frame();
      else if (magic === LEGACY) end = this.#legacy();
      else if (magic !== undefined && magic >= SKIPPABLE && magic < SKIPPABLE + 16) {
        this.at += 8 + (this.#number(this.at + 4) ?? 0);
        continue;
      } else return 'trailing';
      if (end !== 'whole') return end;
    }
    return this.at > this.#content.length ? 'damaged' : 'whole';
  }

  #frame(): 'whole' | 'damaged' | 'dictionary' | 'full' {
    const head = Buffer.from(this.#content.read(this.at + 4, 15));
    const flags = head[0] ?? 0;
    const size = BLOCK_SIZES[(head[1] ?? 0) >> 4] ?? 0;
    const sized = (flags & 8) !== 0;
    if ((flags & 0xc2) !== 0x40 || size === 0) return 'damaged';
    if ((flags & 1) !== 0) return 'dictionary';
    const length = sized ? 10 : 2;
    const header = new Xxh32();
    header.update(head, 0, length);
    if (head.length <= length || head[length] !== ((header.digest() >>> 8) & 0xff)) return 'damaged';
    this.at += 4 + length + 1;
    this.#begin(size, (flags & 4) !== 0);
    const independent = (flags & 0x20) !== 0;
    for (;;) {
      const word = this.#number(this.at);
      if (word === undefined) return 'damaged';
      this.at += 4;
      if (word === 0) break;
      const packed = word % STORED;
      if (packed > size) return 'damaged';
      if (independent) this.#back = 0;
      const end = this.#block(packed, word >= STORED, size);
      if (end !== 'whole') return end;
      if ((flags & 0x10) !== 0 && !this.#checked(packed)) return 'damaged';
    }
    if (sized && head.readBigUInt64LE(2) !== BigInt(this.#frameSize)) return 'damaged';
    if (this.#check === undefined) return 'whole';
    const right = this.#number(this.at) === this.#check.digest();
    this.at += 4;
    return right ? 'whole' : 'damaged';
  }

  /** Blocks of 8 MiB until the end, or until a length that is the beginning of another frame. */
  #legacy(): 'whole' | 'damaged' | 'full' {
    this.at += 4;
    this.#begin(LEGACY_BLOCK, false);
    while (this.at < this.#content.length) {
      const packed = this.#number(this.at);
      if (packed === undefined) return 'damaged';
      if (packed > LEGACY_BLOCK + LEGACY_BLOCK / 128) return packed >= LEGACY ? 'whole' : 'damaged';
      this.at += 4;
      this.#back = 0;
      const end = this.#block(packed, false, LEGACY_BLOCK);
      if (end !== 'whole') return end;
    }
    return 'whole';
  }

  #begin(block: number, checked: boolean): void {
    if (this.#out.length < WINDOW + block) this.#out = Buffer.allocUnsafeSlow(WINDOW + block);
    this.#back = 0;
    this.#frameSize = 0;
    this.#check = checked ? new Xxh32() : undefined;
  }

  #block(packed: number, stored: boolean, most: number): 'whole' | 'damaged' | 'full' {
    const data = this.#content.read(this.at, packed);
    if (data.length < packed) return 'damaged';
    const from = this.#back;
    const room = this.#out.subarray(0, from + most);
    const to = stored ? from + data.copy(room, from) : decodeLz4Block(data, room, from);
    if (to < 0) return 'damaged';
    this.at += packed;
    this.#frameSize += to - from;
    this.#check?.update(room, from, to);
    if (!this.#member.write(room, from, to)) return 'full';
    this.#back = Math.min(WINDOW, to);
    room.copyWithin(0, to - this.#back, to);
    return 'whole';
  }

  /** The checksum of a block, which is behind it, is right. */
  #checked(packed: number): boolean {
    const data = Buffer.from(this.#content.read(this.at - packed, packed));
    const check = new Xxh32();
    check.update(data, 0, data.length);
    const right = this.#number(this.at) === check.digest();
    this.at += 4;
    return right;
  }

  #number(at: number): number | undefined {
    const bytes = this.#content.read(at, 4);
    return bytes.length === 4 ? bytes.readUInt32LE(0) : undefined;
  }
}
