/**
 * Text whose bytes are not what it says: UTF-16, UTF-32, UTF-7, ISO-2022-JP, -KR and -CN, HZ. What it says comes out as a child in UTF-8,
 * so that signatures, file types and everything that looks into text meet it as its reader does. The charset is what the part declares, or
 * what the bytes show: a byte order mark, NULs in the places of UTF-16, escape sequences, a page's own `charset=`.
 * Characters of ISO-2022 and HZ that are no ASCII are not looked up; they come out with their high bits set, as in EUC.
 */
import { Buffer } from 'node:buffer';
import type { Content, FileMeta, Unpacker } from '../../../core/file.js';
import { CR, LF } from '../../../core/lines.js';
import { type ArchiveLimits, Unpacking } from '../unpacking.js';
import { Text } from './text.js';
import { TextChild } from './text-child.js';

const HEAD = 4096;
/** The charset of what came out here: UTF-8, whatever the page says of itself. */
const READ = 'utf-8, as read';
const ESC = 0x1b;
const SO = 0x0e;
const SI = 0x0f;
const TILDE = 0x7e;
const REPLACEMENT = 0xfffd;
const BYTE_ORDER_MARK = 0xfeff;

/** Takes bytes and puts what they say into a child. */
interface Decoder {
  write(piece: Buffer): void;
  end(): void;
}
type Make = (child: TextChild) => Decoder;

const utf16 =
  (little: boolean): Make =>
  (child) =>
    new Utf16(child, little);
const utf32 =
  (little: boolean): Make =>
  (child) =>
    new Utf32(child, little);
const utf7: Make = (child) => new Utf7(child);
const iso2022: Make = (child) => new Iso2022(child);
const hz: Make = (child) => new Hz(child);

/** By what a part may call them, lower case. */
const DECLARED: readonly (readonly [RegExp, (head: Buffer) => Make])[] = [
  [/utf-?7/, () => utf7],
  [/^(utf-?16|ucs-?2|unicode|csunicode|iso-10646-ucs-2|unicodefffe|unicodefeff)/, utf16Of],
  [/^(utf-?32|ucs-?4|iso-10646-ucs-4)/, utf32Of],
  [/^(cs)?iso-?2022-?(jp|kr|cn)/, () => iso2022],
  [/^hz/, () => hz],
];
/** Types of text, as identify.ts has them. */
const TEXTS = new Set(
  'unknown hta jnlp html registry jad mime shellscript python javascript bat c/cpp genscript base64 uue binhex sylk'.split(
    ' ',
  ),
);

export function charsetUnpacker(limits: ArchiveLimits): Unpacker {
  const accepted = new WeakMap<Content, readonly [Make, string | undefined]>();
  return {
    name: 'charset',
    accepts(types, content, meta) {
      const make = makeOf(types, content, meta);
      if (make === undefined) return false;
      accepted.set(content, [make, meta?.name]);
      return true;
    },
    unpack(content, container) {
      const [make, name] = accepted.get(content) ?? [];
      if (make === undefined) return;
      const unpacking = new Unpacking(container, content.length, limits);
      if (!unpacking.mayBegin()) return;
      const child = new TextChild(unpacking, { name, charset: READ });
      const decoder = make(child);
      new Text(content, []).pieces(0, content.length, (piece) => {
        decoder.write(piece);
        return child.going;
      });
      decoder.end();
      child.end();
    },
  };
}

function makeOf(types: readonly string[], content: Content, meta: FileMeta | undefined): Make | undefined {
  if (content.length === 0 || meta?.charset === READ) return undefined;
  const head = Buffer.from(content.read(0, HEAD));
  const declared = declaredBy(meta?.charset ?? '', head);
  // Most that declares such a charset has no use for it.
  if (declared !== undefined) return saysMore(declared, new Text(content, types)) ? declared : undefined;
  if (!types.every((type) => TEXTS.has(type))) return undefined;
  const shown = wideOf(head);
  if (shown !== undefined) return shown;
  if (!Text.is(content)) return undefined;
  const own = /(?:charset|encoding)\s{0,8}=\s{0,8}["']?([\w-]{1,40})/i
    .exec(head.toString('latin1'))?.[1]
    ?.toLowerCase();
  // A page that can say so in ASCII is neither UTF-16 nor UTF-32.
  const page = own === undefined || /^(utf-?16|utf-?32|unicode$|ucs)/.test(own) ? undefined : declaredBy(own, head);
  if (page !== undefined) return page;
  const text = new Text(content, types);
  if (DESIGNATIONS.some((designation) => text.find(designation, 0) >= 0)) return iso2022;
  return text.find(UTF7_TAG, 0) >= 0 ? utf7 : undefined;
}

/** Is there anything in it that ASCII has not? */
function saysMore(make: Make, text: Text): boolean {
  if (make !== utf7 && make !== iso2022 && make !== hz) return true;
  const shifts = make === utf7 ? ['+'] : make === hz ? ['~'] : ['\x1b', '\x0e', '\x0f'];
  return shifts.some((shift) => text.find(Buffer.from(shift, 'latin1'), 0) >= 0);
}

/** `<` in UTF-7; and what designates a character set in ISO-2022. Terminals use ESC and `[`. */
const UTF7_TAG = Buffer.from('+ADw', 'latin1');
const DESIGNATIONS = ['\x1b$', '\x1b('].map((text) => Buffer.from(text, 'latin1'));

function declaredBy(charset: string, head: Buffer): Make | undefined {
  return DECLARED.find(([pattern]) => pattern.test(charset))?.[1](head);
}

/** By its mark; else by where its NULs stand; else big-endian (RFC 2781 §4.3). */
function utf16Of(head: Buffer): Make {
  return utf16(
    head[0] === 0xff && head[1] === 0xfe ? true : head[0] === 0xfe && head[1] === 0xff ? false : leansLittle(head, 2),
  );
}

function utf32Of(head: Buffer): Make {
  return utf32(
    head[0] === 0xff && head[1] === 0xfe
      ? true
      : head[0] === 0 && head[1] === 0 && head[2] === 0xfe
        ? false
        : leansLittle(head, 4),
  );
}

/** More characters end in NUL than begin with one. */
function leansLittle(head: Buffer, width: 2 | 4): boolean {
  let balance = 0;
  for (let at = 0; at + width <= head.length; at += width)
    balance += Number(head[at + width - 1] === 0) - Number(head[at] === 0);
  return balance > 0;
}

/** UTF-16 or UTF-32 as the bytes show it. Without a mark most of it must be ASCII. */
function wideOf(head: Buffer): Make | undefined {
  if (head.length < 4) return undefined;
  const mark = head.readUInt32BE(0);
  if (mark === 0xfffe0000 || mark === 0x0000feff) return utf32(mark === 0xfffe0000);
  if (mark >>> 16 === 0xfffe || mark >>> 16 === 0xfeff) return utf16(mark >>> 16 === 0xfffe);
  if (!head.includes(0)) return undefined;
  // Every file that has a NUL comes here: one pass counts the characters of all four forms.
  let [wideLittle, wideBig, little, big] = [0, 0, 0, 0];
  const quads = head.length >> 2;
  const pairs = head.length >> 1;
  for (let at = 0; at + 2 <= head.length; at += 2) {
    const one = head[at]!;
    const other = head[at + 1]!;
    if (other === 0 && isText(one)) {
      little++;
      if ((at & 2) === 0 && at + 4 <= head.length && head[at + 2] === 0 && head[at + 3] === 0) wideLittle++;
    } else if (one === 0 && isText(other)) {
      big++;
      if ((at & 2) === 2 && head[at - 1] === 0 && head[at - 2] === 0) wideBig++;
    }
  }
  const most = (good: number, count: number): boolean => count >= 8 && good * 4 >= count * 3;
  if (most(wideLittle, quads)) return utf32(true);
  if (most(wideBig, quads)) return utf32(false);
  if (most(little, pairs)) return utf16(true);
  return most(big, pairs) ? utf16(false) : undefined;
}

function isText(c: number): boolean {
  return c >= 0x20 ? c < 0x7f : c === 0x09 || c === LF || c === CR;
}

/** Puts code points as UTF-8; UTF-16's surrogates are joined, and what stands alone is replaced. A mark at the beginning says nothing. */
class Utf8Writer {
  readonly #child: TextChild;
  #high = 0;
  #first = true;

  constructor(child: TextChild) {
    this.#child = child;
  }

  unit(unit: number): void {
    if (this.#high !== 0) {
      const high = this.#high;
      this.#high = 0;
      if (unit >= 0xdc00 && unit < 0xe000) {
        this.point(0x10000 + ((high - 0xd800) << 10) + unit - 0xdc00);
        return;
      }
      this.point(REPLACEMENT);
    }
    if (unit >= 0xd800 && unit < 0xdc00) this.#high = unit;
    else this.point(unit);
  }

  point(written: number): void {
    const first = this.#first;
    this.#first = false;
    if (first && written === BYTE_ORDER_MARK) return;
    const c = written > 0x10ffff || (written >= 0xd800 && written < 0xe000) ? REPLACEMENT : written;
    const child = this.#child;
    if (c < 0x80) child.put(c);
    else if (c < 0x800) {
      child.put(0xc0 | (c >> 6));
      child.put(0x80 | (c & 0x3f));
    } else {
      if (c < 0x10000) child.put(0xe0 | (c >> 12));
      else {
        child.put(0xf0 | (c >> 18));
        child.put(0x80 | ((c >> 12) & 0x3f));
      }
      child.put(0x80 | ((c >> 6) & 0x3f));
      child.put(0x80 | (c & 0x3f));
    }
  }

  end(): void {
    if (this.#high !== 0) this.point(REPLACEMENT);
    this.#high = 0;
  }
}

class Utf16 implements Decoder {
  readonly #out: Utf8Writer;
  readonly #little: boolean;
  #held = -1;

  constructor(child: TextChild, little: boolean) {
    this.#out = new Utf8Writer(child);
    this.#little = little;
  }

  write(piece: Buffer): void {
    for (const byte of piece) {
      if (this.#held < 0) this.#held = byte;
      else {
        this.#out.unit(this.#little ? this.#held | (byte << 8) : (this.#held << 8) | byte);
        this.#held = -1;
      }
    }
  }

  end(): void {
    this.#out.end();
  }
}

class Utf32 implements Decoder {
  readonly #out: Utf8Writer;
  readonly #little: boolean;
  #point = 0;
  #count = 0;

  constructor(child: TextChild, little: boolean) {
    this.#out = new Utf8Writer(child);
    this.#little = little;
  }

  write(piece: Buffer): void {
    for (const byte of piece) {
      this.#point += byte * 256 ** (this.#little ? this.#count : 3 - this.#count);
      if (++this.#count < 4) continue;
      this.#out.point(this.#point);
      this.#point = 0;
      this.#count = 0;
    }
  }

  end(): void {
    this.#out.end();
  }
}

const BASE64 = new Int8Array(256).fill(-1);
for (const [index, byte] of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/').entries())
  BASE64[byte] = index;

/** RFC 2152: `+` begins UTF-16 in base64, anything else than base64 ends it, and a `-` there is only its end. */
class Utf7 implements Decoder {
  readonly #out: Utf8Writer;
  #shifted = false;
  /** Right behind the `+`. */
  #fresh = false;
  #bits = 0;
  #count = 0;

  constructor(child: TextChild) {
    this.#out = new Utf8Writer(child);
  }

  write(piece: Buffer): void {
    for (const byte of piece) this.#byte(byte);
  }

  end(): void {
    this.#out.end();
  }

  #byte(byte: number): void {
    if (!this.#shifted) {
      if (byte === 0x2b) {
        this.#shifted = true;
        this.#fresh = true;
        this.#bits = 0;
        this.#count = 0;
      } else this.#out.unit(byte);
      return;
    }
    const value = BASE64[byte]!;
    if (value < 0) {
      this.#shifted = false;
      if (byte !== 0x2d) this.#out.unit(byte);
      else if (this.#fresh) this.#out.unit(0x2b);
      return;
    }
    this.#fresh = false;
    this.#bits = ((this.#bits << 6) | value) & 0x3fffff;
    this.#count += 6;
    if (this.#count < 16) return;
    this.#count -= 16;
    this.#out.unit((this.#bits >> this.#count) & 0xffff);
  }
}

/** RFC 1468, 1554, 1557, 1922: escape sequences designate, SO and SI shift; the end of a line is ASCII again. */
class Iso2022 implements Decoder {
  readonly #child: TextChild;
  /** The escape sequence so far. */
  #sequence = '';
  #double = false;
  #shifted = false;
  /** Bytes that a single shift (ESC N, ESC O) still covers. */
  #single = 0;

  constructor(child: TextChild) {
    this.#child = child;
  }

  write(piece: Buffer): void {
    for (const byte of piece) this.#byte(byte);
  }

  end(): void {
    for (const c of this.#sequence) this.#child.put(c.charCodeAt(0));
  }

  #byte(byte: number): void {
    if (byte === ESC || this.#sequence !== '') {
      this.#escape(byte);
      return;
    }
    if (byte === SO) this.#shifted = true;
    else if (byte === SI) this.#shifted = false;
    else if (this.#single > 0) {
      this.#single--;
      this.#child.put(byte | 0x80);
    } else if (byte === LF || byte === CR) {
      this.#double = false;
      this.#shifted = false;
      this.#child.put(byte);
    } else this.#child.put((this.#double || this.#shifted) && byte > 0x20 ? byte | 0x80 : byte);
  }

  #escape(byte: number): void {
    const before = this.#sequence;
    if (byte === ESC) {
      // One that was broken off was none.
      this.end();
      this.#sequence = '\x1b';
      return;
    }
    const sequence = before + String.fromCharCode(byte);
    if (/^\x1b([$(-/.]|\$[(-/])$/.test(sequence)) {
      this.#sequence = sequence;
      return;
    }
    this.#sequence = '';
    if (/^\x1b[NO]$/.test(sequence)) this.#single = 2;
    else if (/^\x1b\$\(?[0-~]$/.test(sequence)) this.#double = true;
    else if (/^\x1b\([0-~]$/.test(sequence)) this.#double = !'BJH@'.includes(sequence[2]!);
    else if (!/^\x1b(\$?[)-/.][0-~])$/.test(sequence)) for (const c of sequence) this.#child.put(c.charCodeAt(0));
  }
}

/** RFC 1843: `~{` and `~}` around pairs of GB 2312, `~~` is a tilde, `~` at the end of a line joins it with the next. */
class Hz implements Decoder {
  readonly #child: TextChild;
  #tilde = false;
  #double = false;
  /** The second of a pair, which may be a tilde. */
  #second = false;

  constructor(child: TextChild) {
    this.#child = child;
  }

  write(piece: Buffer): void {
    for (const byte of piece) {
      if (this.#second && byte > 0x20) {
        this.#second = false;
        this.#child.put(byte | 0x80);
        continue;
      }
      this.#second = false;
      if (this.#tilde) {
        if (byte === CR) continue;
        this.#tilde = false;
        if (byte === 0x7b) this.#double = true;
        else if (byte === 0x7d) this.#double = false;
        else if (byte !== LF) this.#child.put(byte);
      } else if (byte === TILDE) this.#tilde = true;
      else {
        if (byte === LF) this.#double = false;
        this.#second = this.#double && byte > 0x20;
        this.#child.put(this.#second ? byte | 0x80 : byte);
      }
    }
  }

  end(): void {}
}
