/**
 * BinHex 4.0 (RFC 1741 appendix A): an old Macintosh's file as text. Six bits a character, runs packed behind 0x90, then a header, the data
 * fork and the resource fork, each with a CRC-16. The data fork comes out under the file's name, the resource fork as `NAME.rsrc`.
 */
import { Buffer } from 'node:buffer';
import { decodeName } from '../names.js';
import type { Unpacking } from '../unpacking.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';

const MARK = Buffer.from('(This file must be converted', 'latin1');
const LETTERS = '!"#$%&\'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr';
const COLON = 0x3a;
const RUN = 0x90;
const SKIP = 64;
const JUNK = 65;
const VALUES = new Uint8Array(256).fill(JUNK);
for (const [index, byte] of Buffer.from(LETTERS, 'latin1').entries()) VALUES[byte] = index;
for (const blank of [0x09, 0x0a, 0x0d, 0x20]) VALUES[blank] = SKIP;

/** Most write the mark with «BinHex 4.0»; macutils jokes. */
export const binhex: TextFormat = {
  find: (text, from) => text.findLine(MARK, from),
  read(text, at, unpacking) {
    const lead = /^\(This file must be converted[^\r\n]{0,80}\)[ \t]*([\r\n]+[ \t]*){1,8}:/.exec(text.slice(at));
    if (lead === null) return at;
    const forks = new Forks(unpacking);
    let bits = 0;
    let count = 0;
    let end = at + lead[0].length;
    let closed = false;
    text.pieces(end, text.length, (piece) => {
      let i = 0;
      for (; i < piece.length && !closed && forks.going; i++) {
        const value = VALUES[piece[i]!]!;
        if (value < SKIP) {
          bits = ((bits << 6) | value) & 0x3fff;
          count += 6;
          if (count < 8) continue;
          count -= 8;
          forks.packed((bits >> count) & 0xff);
        } else if (piece[i] === COLON) closed = true;
        else if (value === JUNK) unpacking.malformed('binhex-junk');
      }
      end += i;
      return !closed && forks.going;
    });
    forks.end();
    return end;
  },
};

/** What a file consists of, in order. */
const NAME_LENGTH = 0;
const HEADER = 1;
const DATA = 2;
const DATA_CRC = 3;
const RESOURCE = 4;
const RESOURCE_CRC = 5;
const DONE = 6;
/** Version, type, creator, flags, both lengths and the header's CRC, behind the name. */
const FIXED = 1 + 4 + 4 + 2 + 4 + 4 + 2;

class Forks {
  readonly #unpacking: Unpacking;
  #state = NAME_LENGTH;
  #header = Buffer.alloc(0);
  #child: TextChild | undefined;
  /** Bytes of the present piece that are still to come. */
  #left = 1;
  #crc = 0;
  #said = 0;
  #last = 0;
  #marked = false;

  constructor(unpacking: Unpacking) {
    this.#unpacking = unpacking;
  }

  get going(): boolean {
    return this.#state !== DONE && this.#child?.going !== false;
  }

  /** A byte of the packed stream: 0x90 and a count repeat the byte before, 0x90 and 0 are 0x90. */
  packed(byte: number): void {
    if (!this.#marked) {
      if (byte === RUN) this.#marked = true;
      else this.#byte(byte);
      return;
    }
    this.#marked = false;
    if (byte === 0) this.#byte(RUN);
    else for (let times = 1; times < byte && this.going; times++) this.#byte(this.#last);
  }

  /** Nothing more comes. */
  end(): void {
    if (!this.going) {
      this.#child?.end();
      return;
    }
    this.#unpacking.malformed('binhex-unfinished');
    this.#child?.abort();
  }

  #byte(byte: number): void {
    this.#last = byte;
    switch (this.#state) {
      case NAME_LENGTH:
        this.#header = Buffer.alloc(1 + byte + FIXED);
        this.#header[0] = byte;
        this.#crc = crc16(0, byte);
        this.#begin(HEADER, this.#header.length - 1);
        return;
      case HEADER: {
        const at = this.#header.length - this.#left;
        this.#header[at] = byte;
        if (this.#left > 2) this.#crc = crc16(this.#crc, byte);
        if (--this.#left > 0) return;
        this.#check(this.#header.readUInt16BE(at - 1));
        this.#fork(DATA);
        return;
      }
      case DATA:
      case RESOURCE:
        this.#child!.put(byte);
        this.#crc = crc16(this.#crc, byte);
        if (--this.#left === 0) this.#begin(this.#state + 1, 2);
        return;
      case DATA_CRC:
      case RESOURCE_CRC:
        this.#said = (this.#said << 8) | byte;
        if (--this.#left > 0) return;
        this.#child?.end();
        this.#child = undefined;
        this.#check(this.#said);
        if (this.#state === DATA_CRC) this.#fork(RESOURCE);
        else this.#state = DONE;
        return;
    }
  }

  #begin(state: number, length: number): void {
    this.#state = state;
    this.#left = length;
  }

  #fork(state: typeof DATA | typeof RESOURCE): void {
    const name = decodeName(this.#header.subarray(1, 1 + this.#header[0]!));
    const length = this.#header.readUInt32BE(this.#header.length - (state === DATA ? 10 : 6));
    this.#crc = 0;
    this.#said = 0;
    if (length === 0) {
      this.#begin(state + 1, 2);
      return;
    }
    this.#child = new TextChild(this.#unpacking, {
      name: state === DATA ? name : `${name}.rsrc`,
      declaredSize: length,
    });
    this.#begin(state, length);
  }

  #check(said: number): void {
    if (said !== this.#crc) this.#unpacking.malformed('binhex-crc');
  }
}

/** CCITT's polynomial, from 0, the highest bit first. */
function crc16(crc: number, byte: number): number {
  let next = crc ^ (byte << 8);
  for (let bit = 0; bit < 8; bit++)
    next = (next & 0x8000) !== 0 ? ((next << 1) ^ 0x1021) & 0xffff : (next << 1) & 0xffff;
  return next;
}
