/**
 * Objects in RTF ([MS-OLEDS] 2.2 in hex, behind `\objdata`): given as the bytes that they are, and once more from where a file begins in them.
 * Readers are lenient about what stands between the digits, and attackers use that: blanks, control words, braces and comments do not end an object.
 */
import { Buffer } from 'node:buffer';
import type { Container, Content, Unpacker } from '../../core/file.js';
import { beginnings } from '../types/beginnings.js';
import { hexDigit } from './pdf/filters.js';
import { Text } from './text/text.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';

const MAGIC = Buffer.from('{\\rt', 'latin1');
const OBJECT = Buffer.from('\\objdata', 'latin1');
/** How far the beginning may be from the front: readers skip blanks and a byte order mark. */
const WITHIN = 64;
const OUTPUT = 64 * 1024;
/** How much of an object is kept to find a file in it. */
const KEPT = 16 * 1024 * 1024;

const OPEN = 0x7b;
const CLOSE = 0x7d;
const BACKSLASH = 0x5c;

export function rtfUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'rtf',
    accepts: (_types, content) => content.read(0, WITHIN).includes(MAGIC),
    unpack(content, container) {
      unpackRtf(content, container, limits);
    },
  };
}

function unpackRtf(content: Content, container: Container, limits: ArchiveLimits): void {
  const unpacking = new Unpacking(container, content.length, limits);
  if (!unpacking.mayBegin()) return;
  const text = new Text(content, []);
  for (let at = text.find(OBJECT, 0); at >= 0; ) {
    const object = new RtfObject(unpacking);
    const end = object.read(text, at + OBJECT.length);
    if (!object.end()) return;
    at = text.find(OBJECT, end);
  }
}

class RtfObject {
  readonly #unpacking: Unpacking;
  readonly #member: Member | undefined;
  readonly #out = Buffer.allocUnsafe(OUTPUT);
  readonly #kept: Buffer[] = [];
  #keptLength = 0;
  #used = 0;
  #half = -1;
  #going: boolean;

  constructor(unpacking: Unpacking) {
    this.#unpacking = unpacking;
    this.#member = unpacking.open({ name: undefined });
    this.#going = this.#member !== undefined;
  }

  /** From behind the word to the end of its group; one past that. */
  read(text: Text, from: number): number {
    let depth = 0;
    let end = from;
    /** Within a control word, its number, or behind a backslash. */
    let word: 'none' | 'begun' | 'letters' | 'number' = 'none';
    text.pieces(from, text.length, (piece) => {
      for (let i = 0; i < piece.length; i++) {
        const byte = piece[i]!;
        end++;
        if (word === 'begun') {
          // A symbol is over with its character.
          word = isLetter(byte) ? 'letters' : 'none';
          continue;
        }
        if (word === 'letters' && isLetter(byte)) continue;
        if (word !== 'none' && (byte === 0x2d || (byte >= 0x30 && byte <= 0x39))) {
          word = 'number';
          continue;
        }
        word = 'none';
        if (byte === BACKSLASH) word = 'begun';
        else if (byte === OPEN) depth++;
        else if (byte === CLOSE) {
          if (depth-- === 0) return false;
        } else this.#digit(hexDigit(byte));
      }
      return this.#going;
    });
    return end;
  }

  /** False when a limit ends it all. */
  end(): boolean {
    this.#flush();
    if (this.#member === undefined) return false;
    if (!this.#going) {
      this.#member.cut();
      return false;
    }
    this.#member.end();
    const bytes = Buffer.concat(this.#kept);
    for (const at of beginnings(bytes)) {
      const file = this.#unpacking.open({ name: undefined, reading: 'a file within an object' });
      if (file === undefined || !file.write(bytes, at, bytes.length)) {
        file?.cut();
        return false;
      }
      file.end();
    }
    return true;
  }

  #digit(digit: number): void {
    if (digit < 0) return;
    if (this.#half < 0) {
      this.#half = digit;
      return;
    }
    this.#out[this.#used++] = (this.#half << 4) | digit;
    this.#half = -1;
    if (this.#used === OUTPUT) this.#flush();
  }

  #flush(): void {
    if (this.#used === 0 || !this.#going) return;
    if (this.#keptLength < KEPT) {
      this.#kept.push(Buffer.from(this.#out.subarray(0, this.#used)));
      this.#keptLength += this.#used;
    }
    this.#going = this.#member?.write(this.#out, 0, this.#used) === true;
    this.#used = 0;
  }
}

function isLetter(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a);
}
