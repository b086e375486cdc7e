/**
 * Files that are written as text within a text: uuencode as mail had it before MIME (in a body, or in a part that base64 brought), and
 * yEnc. Mail programs still offer such files as attachments. What is written in ways that are not read here (BinHex, xxencode,
 * begin-base64, OpenPGP) is named. Prose that mentions a `begin` line is none: data must follow it.
 * Not done: Ascii85, data URLs, a text that begins with binary.
 */
import { Buffer } from 'node:buffer';
import type { Container, Content, Unpacker } from '../../core/file.js';
import { UuencodeBody } from '../mime/uuencode-body.js';
import { decodeName } from './names.js';
import { isText } from './text.js';
import { type ArchiveLimits, Unpacking } from './unpacking.js';

const PIECE = 256 * 1024;
/** A line that begins or ends an encoded file, and the one after it. */
const LINES = 1024;
/** Lines that may begin a file and are looked at. */
const CANDIDATES = 10_000;
const LF = 0x0a;
const CR = 0x0d;
const EQUALS = 0x3d;

const MARKS = [
  'begin ',
  'begin-base64 ',
  '=ybegin ',
  '(This file must be converted with BinHex',
  '-----BEGIN PGP MESSAGE',
];
const NEEDLES = MARKS.map((mark) => Buffer.from(mark, 'latin1'));
const XX = '+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export function encodedTextUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'encoded-text',
    accepts: (_types, content) => isText(content) && NEEDLES.some((needle) => find(content, needle, 0) >= 0),
    unpack(content, container) {
      new EncodedText(content, container, limits).unpack();
    },
  };
}

class EncodedText {
  readonly #content: Content;
  readonly #unpacking: Unpacking;

  constructor(content: Content, container: Container, limits: ArchiveLimits) {
    this.#content = content;
    this.#unpacking = new Unpacking(container, content.length, limits);
  }

  unpack(): void {
    if (!this.#unpacking.mayBegin()) return;
    // The next place of each mark; looked for again when it is passed, so that each byte is looked at once for each.
    const next = NEEDLES.map((needle) => find(this.#content, needle, 0));
    let at = 0;
    let candidates = 0;
    while (this.#unpacking.mayGoOn()) {
      let first = -1;
      for (const [index, place] of next.entries()) {
        if (place >= 0 && place < at) next[index] = find(this.#content, NEEDLES[index]!, at);
        if (next[index]! >= 0 && (first < 0 || next[index]! < next[first]!)) first = index;
      }
      if (first < 0) return;
      const place = next[first]!;
      at = place + 1;
      if (!this.#beginsLine(place)) continue;
      if (++candidates > CANDIDATES)
        this.#unpacking.stop('limit', 'more lines that may begin a file than are looked at');
      else at = Math.max(at, this.#read(MARKS[first]!, place));
    }
  }

  /** What the mark at `at` begins; where to go on. */
  #read(mark: string, at: number): number {
    const [line, following] = this.#lines(at);
    const data = following.trimEnd();
    if (mark === 'begin ') {
      if (!/^begin [0-7]{3,4} \S/.test(line)) return at;
      if (isUuLine(data)) return this.#uuencode(at);
      if (isXxLine(data)) this.#unpacking.unscannable('unhandled', 'xxencode');
    } else if (mark === 'begin-base64 ') {
      if (/^begin-base64 [0-7]{3,4} \S/.test(line) && /^[A-Za-z0-9+/]{4,}={0,2}$/.test(data))
        this.#unpacking.unscannable('unhandled', 'begin-base64');
    } else if (mark === '=ybegin ') {
      if (/ size=\d/.test(line)) return this.#yenc(at, line);
    } else if (mark.startsWith('(')) {
      const text = this.#content.read(at, LINES).toString('latin1');
      if (/^\(This file[^\r\n]{0,80}\)[ \t]*(\r?\n){1,4}:/.test(text))
        this.#unpacking.unscannable('unhandled', 'BinHex');
    } else if (/^-----BEGIN PGP MESSAGE/.test(line)) this.#unpacking.unscannable('encrypted', 'OpenPGP message');
    return at;
  }

  /** From its `begin` line to its `end`, or to the end of the text. */
  #uuencode(at: number): number {
    const end = this.#after(at, END);
    const { container } = this.#unpacking;
    const body = new UuencodeBody((name) => new Guarded(this.#unpacking, name), {
      note: (code) => container.report({ kind: 'malformed', code }),
    });
    for (let from = at; from < end; ) {
      const piece = this.#content.read(from, Math.min(PIECE, end - from));
      if (piece.length === 0) break;
      body.write(piece, 0, piece.length);
      from += piece.length;
    }
    body.end();
    return end;
  }

  #yenc(at: number, line: string): number {
    if (/ part=\d/.test(line)) this.#unpacking.unscannable('multipart', 'yEnc in several parts');
    const end = this.#after(at, YEND);
    const name = / name=([^\r\n]*)/.exec(line)?.[1]?.trim();
    const child = new Guarded(
      this.#unpacking,
      name === undefined ? undefined : decodeName(Buffer.from(name, 'latin1')),
    );
    const out = Buffer.allocUnsafe(PIECE);
    let escaped = false;
    let lineStart = false;
    /** In a line of yEnc's own (`=ypart`, `=yend`). */
    let command = true;
    for (let from = at; from < end; ) {
      const piece = this.#content.read(from, Math.min(PIECE, end - from));
      if (piece.length === 0) break;
      let length = 0;
      for (let i = 0; i < piece.length; i++) {
        const c = piece[i]!;
        if (c === LF || c === CR) {
          if (c === LF) command = false;
          lineStart = c === LF;
          escaped = false;
        } else if (command) continue;
        else if (escaped) {
          escaped = false;
          if (c === 0x79 && lineStart) command = true;
          else out[length++] = (c - 64 - 42) & 0xff;
          lineStart = false;
        } else if (c === EQUALS) escaped = true;
        else {
          out[length++] = (c - 42) & 0xff;
          lineStart = false;
        }
      }
      from += piece.length;
      child.write(out, 0, length);
    }
    child.end();
    if (end >= this.#content.length && find(this.#content, YEND, at) < 0) this.#unpacking.malformed('yenc-unfinished');
    return end;
  }

  #beginsLine(at: number): boolean {
    if (at === 0) return true;
    const before = this.#content.read(at - 1, 1)[0];
    return before === LF || before === CR;
  }

  /** The line at `at` with its end, and what follows it. */
  #lines(at: number): [string, string] {
    const text = this.#content.read(at, LINES).toString('latin1');
    const lf = text.indexOf('\n');
    if (lf < 0) return [text, ''];
    const rest = text.slice(lf + 1);
    const end = rest.indexOf('\n');
    return [text.slice(0, lf + 1), end < 0 ? rest : rest.slice(0, end + 1)];
  }

  /** One past the line that `needle`, a line feed first, begins; the end of the text when there is none. */
  #after(from: number, needle: Buffer): number {
    for (let at = find(this.#content, needle, from); at >= 0; at = find(this.#content, needle, at + 1)) {
      const line = this.#content.read(at + 1, LINES).toString('latin1');
      if (!/^(end[ \t]*\r?(\n|$)|=yend )/.test(line)) continue;
      const lf = line.indexOf('\n');
      return lf < 0 ? Math.min(this.#content.length, at + 1 + line.length) : at + 1 + lf + 1;
    }
    return this.#content.length;
  }
}

const END = Buffer.from('\nend', 'latin1');
const YEND = Buffer.from('\n=yend ', 'latin1');

/** A child under the budget: what no longer fits is dropped, and why is said. */
class Guarded {
  readonly #member: ReturnType<Unpacking['open']>;
  #over = false;
  constructor(unpacking: Unpacking, name: string | undefined) {
    this.#member = unpacking.open({ name });
  }
  write(chunk: Buffer, start: number, end: number): void {
    if (!this.#over && this.#member?.write(chunk, start, end) === false) this.#over = true;
  }
  reserve(): number {
    return -1;
  }
  grew(): void {}
  gap(): void {}
  end(): void {
    if (this.#over) this.#member?.cut();
    else this.#member?.end();
  }
  abort(): void {
    this.#member?.cut();
  }
}

/** Does the first data line say its own length? */
function isUuLine(line: string): boolean {
  if (!/^[ -`]{2,62}$/.test(line)) return false;
  const bytes = (line.charCodeAt(0) - 0x20) & 0x3f;
  const quads = Math.ceil(bytes / 3) * 4;
  // Blanks at its end may be gone, a check character may have come.
  return bytes > 0 && line.length - 1 <= quads + 1 && line.length - 1 > quads - 4;
}

function isXxLine(line: string): boolean {
  if (!/^[-+0-9A-Za-z]{2,62}$/.test(line)) return false;
  const quads = Math.ceil(XX.indexOf(line[0]!) / 3) * 4;
  return quads > 0 && Math.abs(line.length - 1 - quads) <= 1;
}

/** Where `needle` next stands, from `from` on; -1 when it does not. */
function find(content: Content, needle: Buffer, from: number): number {
  if (content.bytes !== undefined) return content.bytes.indexOf(needle, from);
  for (let at = from; at < content.length; ) {
    const piece = content.read(at, PIECE);
    const found = piece.indexOf(needle);
    if (found >= 0) return at + found;
    if (piece.length < needle.length) return -1;
    at += piece.length - needle.length + 1;
  }
  return -1;
}
