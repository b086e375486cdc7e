// Base64 (RFC 2045 §6.8) out of and into one memory, 16 characters at a time; compiled by AssemblyScript. ../base64-plain.ts is the same in
// plain TypeScript: the two are held equal by ../base64.test.ts, so a change here is a change there. The vector part is W. Muła's table
// look-up (one table gives what to add to a character, two others find what is no base64). Nothing is allocated: no runtime, no data.

// The registers of a body, 32 bits each, as ../base64-registers.ts names them.
const ACCUMULATOR: usize = 0;
const COUNT: usize = 4;
const FLAGS: usize = 8;
const OUT: usize = 12;

const LAST_CR: i32 = 1;
const LAST_LF: i32 = 2;
const LAST_CRLF: i32 = 4;
const SAW_CRLF: i32 = 8;
const SAW_BARE_LF: i32 = 16;
const SAW_BARE_CR: i32 = 32;
const PADDED: i32 = 64;
const HALF_PADDED: i32 = 128;
const JUNK: i32 = 256;
const AFTER_PADDING: i32 = 512;
const BAD_PADDING: i32 = 1024;
/** As a 16-bit word in memory. */
const RAGGED: i32 = 2048;
const CRLF: u16 = 0x0a0d;
const LAST: i32 = LAST_CR | LAST_LF | LAST_CRLF;

/** What to add to a character of each high nibble ('/' uses the place of its own), and its inverse tables of what is not allowed. */
function invalid(chars: v128, high: v128): v128 {
  const low = v128.and(chars, i8x16.splat(0x0f));
  const badLow = i8x16(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
  const badHigh = i8x16(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
  return v128.and(i8x16.swizzle(badLow, low), i8x16.swizzle(badHigh, high));
}

function pack(chars: v128, high: v128): v128 {
  const add = i8x16(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
  const slash = i8x16.eq(chars, i8x16.splat(0x2f));
  const six = i8x16.add(chars, i8x16.swizzle(add, i8x16.add(high, slash)));
  // Four sixes in a 32-bit lane, the first lowest: join them to twelves, then to a twenty-four, then turn its bytes around.
  const twelve = v128.and(v128.or(i16x8.shl(six, 6), i16x8.shr_u(six, 8)), i16x8.splat(0x0fff));
  const whole = i32x4.dot_i16x8_s(twelve, i32x4.splat(0x0001_1000));
  return i8x16.shuffle(whole, whole, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 0, 0, 0, 0);
}

function high(chars: v128): v128 {
  return i8x16.shr_u(chars, 4);
}

function sixOf(c: i32): i32 {
  if (<u32>(c - 0x61) < 26) return c - 71;
  if (<u32>(c - 0x41) < 26) return c - 65;
  if (<u32>(c - 0x30) < 10) return c + 4;
  if (c === 0x2b) return 62;
  return c === 0x2f ? 63 : -1;
}

/**
 * Decodes [at, to) to `out`, of which up to 3/4 of the length, 3 and 16 more bytes are written. Strict: stops at the first byte that is
 * neither of the alphabet nor a line end. Lenient: skips what is neither, takes padding, notes both, and stops only at a '-' that begins
 * a line. Returns where it stopped.
 */
export function decode(registers: usize, at: usize, to: usize, out: usize, lenient: i32): usize {
  let acc = load<i32>(registers, ACCUMULATOR);
  let n = load<i32>(registers, COUNT);
  let flags = load<i32>(registers, FLAGS);

  while (at < to) {
    const c = <i32>load<u8>(at);
    const value = sixOf(c);
    if (value >= 0) {
      if (flags & LAST_CR) flags |= SAW_BARE_CR;
      if (flags & PADDED && n === 0) flags |= AFTER_PADDING;
      if (flags & HALF_PADDED) flags = (flags | BAD_PADDING) & ~HALF_PADDED;
      flags &= ~LAST;
      if (n === 0 && at + 16 <= to) {
        const begin = at;
        // Whole lines of 76, the canonical message: five loads, one test.
        while (at + 78 <= to) {
          const a = v128.load(at);
          const b = v128.load(at, 16);
          const d = v128.load(at, 32);
          const e = v128.load(at, 48);
          const f = v128.load(at, 60);
          const ah = high(a);
          const bh = high(b);
          const dh = high(d);
          const eh = high(e);
          const fh = high(f);
          const bad = v128.or(
            v128.or(v128.or(invalid(a, ah), invalid(b, bh)), v128.or(invalid(d, dh), invalid(e, eh))),
            invalid(f, fh),
          );
          if (load<u16>(at, 76) !== CRLF || v128.any_true(bad)) break;
          v128.store(out, pack(a, ah));
          v128.store(out, pack(b, bh), 12);
          v128.store(out, pack(d, dh), 24);
          v128.store(out, pack(e, eh), 36);
          v128.store(out, pack(f, fh), 45);
          out += 57;
          at += 78;
        }
        if (at !== begin) {
          flags |= LAST_LF | LAST_CRLF | SAW_CRLF;
          continue;
        }
        // Any other line: vectors while they fill, then the quads before its end, and the line end with them.
        let last = 0;
        while (at + 16 <= to) {
          const chars = v128.load(at);
          const h = high(chars);
          const bad = i8x16.bitmask(i8x16.ne(invalid(chars, h), i8x16.splat(0)));
          v128.store(out, pack(chars, h));
          if (bad === 0) {
            at += 16;
            out += 12;
            last = 0;
            continue;
          }
          const quads = <usize>ctz(bad) >> 2;
          if (quads > 0) last = 0;
          at += quads << 2;
          out += quads * 3;
          if (at + 2 > to || load<u16>(at) !== CRLF) break;
          at += 2;
          last = LAST_LF | LAST_CRLF;
          flags |= SAW_CRLF;
          if (at + 78 <= to && load<u16>(at, 76) === CRLF) break;
        }
        flags |= last;
        if (at !== begin) continue;
      }
      acc = (acc << 6) | value;
      at++;
      if (++n === 4) {
        store<u8>(out, acc >> 16);
        store<u8>(out, acc >> 8, 1);
        store<u8>(out, acc, 2);
        out += 3;
        acc = 0;
        n = 0;
      }
      continue;
    }
    if (c === 0x0d) {
      if (flags & LAST_CR) flags |= SAW_BARE_CR;
      flags = (flags & ~LAST) | LAST_CR;
      at++;
      continue;
    }
    if (c === 0x0a) {
      if (n !== 0) flags |= RAGGED;
      flags = (flags & ~LAST) | LAST_LF | (flags & LAST_CR ? LAST_CRLF | SAW_CRLF : SAW_BARE_LF);
      at++;
      continue;
    }
    if (!lenient || (c === 0x2d && flags & LAST_LF)) break;
    if (flags & LAST_CR) flags |= SAW_BARE_CR;
    flags &= ~LAST;
    at++;
    if (c !== 0x3d) {
      flags |= JUNK;
    } else if (n === 3) {
      store<u8>(out, acc >> 10);
      store<u8>(out, acc >> 2, 1);
      out += 2;
      acc = 0;
      n = 0;
      flags |= PADDED;
    } else if (n === 2 && flags & HALF_PADDED) {
      store<u8>(out, acc >> 4);
      out++;
      acc = 0;
      n = 0;
      flags = (flags | PADDED) & ~HALF_PADDED;
    } else if (n === 2) {
      flags |= HALF_PADDED;
    } else {
      flags |= BAD_PADDING;
    }
  }

  store<i32>(registers, acc, ACCUMULATOR);
  store<i32>(registers, n, COUNT);
  store<i32>(registers, flags, FLAGS);
  store<i32>(registers, <i32>out, OUT);
  return at;
}
