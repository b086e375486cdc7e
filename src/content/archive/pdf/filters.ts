/**
 * The filters that streams of a PDF go through (ISO 32000-1 §7.4), a piece at a time. Readers are lenient, and so is this: what is damaged gives
 * what came out before the damage.
 */
import { Buffer } from 'node:buffer';
import { Inflate } from '../inflate.js';

export interface Sink {
  /** Takes `chunk[start, end)`, valid during the call; false when it wants no more. */
  write(chunk: Buffer, start: number, end: number): boolean;
  end(): void;
}

type Filter = (next: Sink) => Sink;

/** By their names, the short ones of inline images included. Those of pictures are not undone: a picture is no file. */
const FILTERS: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['FlateDecode', (next) => new Flate(next)],
  ['Fl', (next) => new Flate(next)],
  ['ASCIIHexDecode', (next) => new AsciiHex(next)],
  ['AHx', (next) => new AsciiHex(next)],
  ['ASCII85Decode', (next) => new Ascii85(next)],
  ['A85', (next) => new Ascii85(next)],
  ['RunLengthDecode', (next) => new RunLength(next)],
  ['RL', (next) => new RunLength(next)],
  ['LZWDecode', (next) => new Lzw(next)],
  ['LZW', (next) => new Lzw(next)],
]);

/** Undoes `names`, the first one first, into `sink`; undefined when one of them cannot be undone. */
export function undoing(names: readonly string[], sink: Sink): Sink | undefined {
  let chain: Sink | undefined = sink;
  for (const name of [...names].reverse()) {
    const filter = FILTERS.get(name);
    chain = filter === undefined || chain === undefined ? undefined : filter(chain);
  }
  return chain;
}

const OUTPUT = 64 * 1024;

/** Output that comes byte by byte. */
class Bytes {
  readonly #next: Sink;
  readonly #bytes = Buffer.allocUnsafe(OUTPUT);
  #used = 0;
  /** The next one wants no more. */
  full = false;

  constructor(next: Sink) {
    this.#next = next;
  }

  put(byte: number): void {
    this.#bytes[this.#used++] = byte;
    if (this.#used === OUTPUT) this.flush();
  }

  flush(): boolean {
    if (this.#used > 0 && !this.full) this.full = !this.#next.write(this.#bytes, 0, this.#used);
    this.#used = 0;
    return !this.full;
  }

  end(): void {
    this.flush();
    this.#next.end();
  }
}

/** A zlib header and deflate; some writers leave the checksum out, and no reader looks at it. */
class Flate implements Sink {
  readonly #next: Sink;
  #inflate: Inflate | undefined = Inflate.start();
  #header = 2;

  constructor(next: Sink) {
    this.#next = next;
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    const inflate = this.#inflate;
    if (inflate === undefined) return false;
    const skipped = Math.min(this.#header, end - start);
    this.#header -= skipped;
    if (start + skipped === end) return true;
    const state = inflate.push(chunk, start + skipped, end, (bytes, from, to) => this.#next.write(bytes, from, to));
    if (state === 'more' && !inflate.stopped) return true;
    this.#done();
    return false;
  }

  end(): void {
    this.#done();
    this.#next.end();
  }

  #done(): void {
    this.#inflate?.done();
    this.#inflate = undefined;
  }
}

/** Sixteen digits and blanks, up to `>`. */
class AsciiHex implements Sink {
  readonly #out: Bytes;
  #half = -1;
  #over = false;

  constructor(next: Sink) {
    this.#out = new Bytes(next);
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    for (let at = start; at < end && !this.#over; at++) {
      const byte = chunk[at]!;
      const digit = hexDigit(byte);
      if (byte === 0x3e) this.#over = true;
      if (digit < 0) continue;
      if (this.#half < 0) this.#half = digit;
      else {
        this.#out.put((this.#half << 4) | digit);
        this.#half = -1;
      }
    }
    return this.#out.flush() && !this.#over;
  }

  end(): void {
    if (this.#half >= 0) this.#out.put(this.#half << 4);
    this.#out.end();
  }
}

export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Five letters for four bytes, `z` for four zeros, up to `~>`. */
class Ascii85 implements Sink {
  readonly #out: Bytes;
  #group = 0;
  #count = 0;
  #over = false;

  constructor(next: Sink) {
    this.#out = new Bytes(next);
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    for (let at = start; at < end && !this.#over; at++) {
      const byte = chunk[at]!;
      if (byte === 0x7e) this.#over = true;
      else if (byte === 0x7a && this.#count === 0) for (let i = 0; i < 4; i++) this.#out.put(0);
      else if (byte >= 0x21 && byte <= 0x75) this.#letter(byte - 0x21);
    }
    return this.#out.flush() && !this.#over;
  }

  end(): void {
    // A last group of n letters is n - 1 bytes.
    const bytes = this.#count - 1;
    if (bytes > 0) {
      while (this.#count < 5) {
        this.#group = this.#group * 85 + 84;
        this.#count++;
      }
      this.#give(bytes);
    }
    this.#out.end();
  }

  #letter(value: number): void {
    this.#group = this.#group * 85 + value;
    if (++this.#count < 5) return;
    this.#give(4);
    this.#group = 0;
    this.#count = 0;
  }

  #give(bytes: number): void {
    for (let i = 0; i < bytes; i++) this.#out.put(Math.floor(this.#group / 2 ** (24 - 8 * i)) & 0xff);
  }
}

/** A length below 128: so many bytes and one follow; above: the next one, 257 less the length times. */
class RunLength implements Sink {
  readonly #out: Bytes;
  #copy = 0;
  #repeat = 0;
  #over = false;

  constructor(next: Sink) {
    this.#out = new Bytes(next);
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    for (let at = start; at < end && !this.#over && !this.#out.full; at++) {
      const byte = chunk[at]!;
      if (this.#copy > 0) {
        this.#copy--;
        this.#out.put(byte);
      } else if (this.#repeat > 0) {
        for (; this.#repeat > 0; this.#repeat--) this.#out.put(byte);
      } else if (byte < 128) this.#copy = byte + 1;
      else if (byte > 128) this.#repeat = 257 - byte;
      else this.#over = true;
    }
    return this.#out.flush() && !this.#over;
  }

  end(): void {
    this.#out.end();
  }
}

const CLEAR = 256;
const END = 257;
const CODES = 4096;

/** Codes of 9 to 12 bits, one longer a code earlier than need be (EarlyChange 1, which is the default). */
class Lzw implements Sink {
  readonly #out: Bytes;
  /** Of each code: the code before its last byte, that byte, and how many bytes it is. */
  readonly #before = new Int16Array(CODES);
  readonly #last = new Uint8Array(CODES);
  readonly #length = new Uint16Array(CODES);
  readonly #word = Buffer.allocUnsafe(CODES);
  #next = END + 1;
  #width = 9;
  #previous = -1;
  #bits = 0;
  #held = 0;
  #over = false;

  constructor(next: Sink) {
    this.#out = new Bytes(next);
    for (let code = 0; code < CLEAR; code++) {
      this.#last[code] = code;
      this.#length[code] = 1;
    }
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    for (let at = start; at < end && !this.#over && !this.#out.full; at++) {
      this.#bits = ((this.#bits << 8) | chunk[at]!) & 0xff_ffff;
      this.#held += 8;
      if (this.#held < this.#width) continue;
      this.#held -= this.#width;
      this.#code((this.#bits >>> this.#held) & ((1 << this.#width) - 1));
    }
    return this.#out.flush() && !this.#over;
  }

  end(): void {
    this.#out.end();
  }

  #code(code: number): void {
    if (code === END) this.#over = true;
    else if (code === CLEAR) {
      this.#next = END + 1;
      this.#width = 9;
      this.#previous = -1;
    } else if (this.#previous < 0) {
      if (code < CLEAR) this.#give(code);
      else this.#over = true;
    } else {
      if (code > this.#next || (code === this.#next && this.#next >= CODES)) {
        this.#over = true;
        return;
      }
      // A code that is being made is the one before, and its own first byte once more.
      const first = this.#firstOf(code < this.#next ? code : this.#previous);
      if (this.#next < CODES) {
        this.#before[this.#next] = this.#previous;
        this.#last[this.#next] = first;
        this.#length[this.#next] = this.#length[this.#previous]! + 1;
        this.#next++;
        if (this.#next + 1 >= 1 << this.#width && this.#width < 12) this.#width++;
      }
      this.#give(code);
    }
  }

  #firstOf(code: number): number {
    let at = code;
    while (at > END) at = this.#before[at]!;
    return this.#last[at]!;
  }

  #give(code: number): void {
    const length = this.#length[code]!;
    let at = code;
    for (let i = length - 1; i >= 0; i--) {
      this.#word[i] = this.#last[at]!;
      at = this.#before[at]!;
    }
    for (let i = 0; i < length; i++) this.#out.put(this.#word[i]!);
    this.#previous = code;
  }
}
