/**
 * PDF (ISO 32000-1): every stream there is, found from front to back and not by the cross-reference table, which may lie and which readers
 * rebuild when it does. Embedded files are files by their names; everything else that streams say (pages, scripts, objects) is
 * one text, in which signatures are looked for. Pictures stay packed. Of a file that needs a password nothing is undone.
 */
import { Buffer } from 'node:buffer';
import type { ChildMeta, Container, Content, Unpacker } from '../../../core/file.js';
import { beginnings } from '../../types/beginnings.js';
import { isEncryptedPdf } from '../../types/encrypted.js';
import { Text } from '../text/text.js';
import { type ArchiveLimits, type Member, Unpacking } from '../unpacking.js';
import { hexDigit, type Sink, undoing } from './filters.js';

const STREAM = Buffer.from('stream', 'latin1');
const END_STREAM = Buffer.from('endstream', 'latin1');
const FILE_OF = Buffer.from('/EF', 'latin1');
/** Between streams in the text. */
const BREAK = Buffer.from('\n', 'latin1');
/** How far before a stream its dictionary may begin. */
const DICTIONARY = 1024;
/** Behind the length that is given, `endstream` follows within so much. */
const SLACK = 16;
/** File specifications that are looked at, and names that are kept. */
const SPECIFICATIONS = 1_000;
const NAMES = 16;
/** How much of a stream is kept to see whether it is a file. */
const HEAD = 4096;

export function pdfUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'pdf',
    accepts: (types) => types.includes('pdf'),
    unpack(content, container) {
      new Pdf(content, container, limits).unpack();
    },
  };
}

/** What a dictionary says of its stream. */
interface StreamFacts {
  readonly filters: readonly string[];
  readonly embedded: boolean;
  /** Where it is written out; not where it is said by another object. */
  readonly length: number | undefined;
}

class Pdf {
  readonly #text: Text;
  readonly #unpacking: Unpacking;
  /** All that streams say. */
  #said: Member | undefined;
  #names: readonly string[] | undefined;
  /** There is no `endstream` from here on. */
  #lastEnd = Number.POSITIVE_INFINITY;

  constructor(content: Content, container: Container, limits: ArchiveLimits) {
    this.#text = new Text(content, []);
    this.#unpacking = new Unpacking(container, content.length, limits);
  }

  unpack(): void {
    if (isEncryptedPdf(this.#text.content) || !this.#unpacking.mayBegin()) return;
    let from = 0;
    for (let at = this.#text.find(STREAM, 0); at >= 0; at = this.#text.find(STREAM, from)) {
      const end = this.#stream(at, from);
      if (end === undefined) break;
      from = end;
    }
    this.#said?.end();
  }

  /** The stream whose keyword is at `at`; where to go on, or undefined when a limit ends it all. `from`: where the one before it ended. */
  #stream(at: number, from: number): number | undefined {
    const text = this.#text;
    const after = at + STREAM.length;
    const facts = readDictionary(text.slice(Math.max(from, at - DICTIONARY), at));
    if (facts === undefined) return after;
    const line = text.slice(after, after + 2);
    const start = after + (line === '\r\n' ? 2 : line[0] === '\n' || line[0] === '\r' ? 1 : 0);
    const end = this.#endOf(start, facts.length);
    if (!(facts.embedded ? this.#embedded(facts, start, end) : this.#say(facts, start, end))) return undefined;
    return end;
  }

  #endOf(start: number, length: number | undefined): number {
    if (length !== undefined && start + length <= this.#text.length) {
      const behind = this.#text.slice(start + length, start + length + SLACK + END_STREAM.length);
      if (behind.trimStart().startsWith('endstream')) return start + length;
    }
    // Asked once that there is none, it is not searched for again.
    if (start >= this.#lastEnd) return this.#text.length;
    const found = this.#text.find(END_STREAM, start);
    if (found >= 0) {
      // The line end in front of it is its own.
      const [before = ''] = /\r?\n?$/.exec(this.#text.slice(Math.max(start, found - 2), found)) ?? [];
      return found - before.length;
    }
    this.#lastEnd = start;
    return this.#text.length;
  }

  #embedded({ filters }: StreamFacts, start: number, end: number): boolean {
    this.#names ??= this.#fileNames();
    const [name, ...others] = this.#names;
    return this.#decode(filters, start, end, { name, otherNames: others });
  }

  /** What a stream says goes to the rest; where it turns out to be a file it is given as one as well. */
  #say({ filters }: StreamFacts, start: number, end: number): boolean {
    this.#said ??= this.#unpacking.open({ name: undefined, reading: 'text of the streams' });
    const said = this.#said;
    if (said === undefined) return false;
    let head: Buffer = Buffer.alloc(0);
    const chain = undoing(filters, {
      write: (chunk, from, to) => {
        if (head.length < HEAD)
          head = Buffer.concat([head, chunk.subarray(from, Math.min(to, from + HEAD - head.length))]);
        return said.write(chunk, from, to);
      },
      end: () => {},
    });
    if (chain === undefined) return true;
    this.#feed(chain, start, end);
    said.write(BREAK, 0, BREAK.length);
    if (this.#unpacking.stopped) return false;
    const isFile = beginnings(Buffer.concat([BREAK, head])).includes(BREAK.length);
    return !isFile || this.#decode(filters, start, end, { name: undefined, reading: 'a stream that is a file' });
  }

  /** False when a limit ends it all. */
  #decode(filters: readonly string[], start: number, end: number, meta: ChildMeta): boolean {
    const member = this.#unpacking.open(meta);
    if (member === undefined) return false;
    const chain = undoing(filters, { write: (chunk, from, to) => member.write(chunk, from, to), end: () => {} });
    if (chain === undefined) {
      this.#unpacking.unscannable('unhandled', `PDF filter ${filters.join(', ').slice(0, 100)}`);
      member.cut();
      return true;
    }
    this.#feed(chain, start, end);
    if (this.#unpacking.stopped) {
      member.cut();
      return false;
    }
    member.end();
    return true;
  }

  #feed(chain: Sink, start: number, end: number): void {
    this.#text.pieces(start, end, (piece) => chain.write(piece, 0, piece.length));
    chain.end();
  }

  /** Every name that a file specification in the clear gives to an embedded file (§7.11): any of them may be that of any. */
  #fileNames(): string[] {
    const names = new Set<string>();
    let at = this.#text.find(FILE_OF, 0);
    for (let looked = 0; at >= 0 && looked < SPECIFICATIONS && names.size < NAMES; looked++) {
      const around = this.#text.slice(Math.max(0, at - DICTIONARY / 2), at + DICTIONARY / 2);
      for (const [, written] of around.matchAll(
        /\/U?F\s{0,8}(\((?:[^()\\]|\\[\s\S]){0,255}\)|<[0-9A-Fa-f\s]{0,1024}>)/g,
      ))
        if (written !== undefined && names.size < NAMES) names.add(readString(written));
      at = this.#text.find(FILE_OF, at + FILE_OF.length);
    }
    names.delete('');
    return [...names];
  }
}

/** Undefined when the text in front of `stream` is no dictionary. */
function readDictionary(before: string): StreamFacts | undefined {
  const trimmed = before.trimEnd();
  if (!trimmed.endsWith('>>')) return undefined;
  const begin = trimmed.lastIndexOf('obj');
  const text = withoutEscapes(begin < 0 ? trimmed : trimmed.slice(begin));
  const filter = /\/(?:Filter|F)\s{0,8}(\[[^\]]{0,300}\]|\/[^\s/<>[\]()]{1,64})/.exec(text)?.[1] ?? '';
  const length = /\/Length\s{1,8}(\d{1,10})(?!\d{0,10}\s{1,8}\d{1,5}\s{1,8}R)/.exec(text)?.[1];
  return {
    filters: [...filter.matchAll(/\/([^\s/<>[\]()]{1,64})/g)].map(([, name]) => name ?? ''),
    embedded: /\/EmbeddedFile(?![A-Za-z])/.test(text),
    length: length === undefined ? undefined : Number(length),
  };
}

/** §7.3.5: `#` and two digits in a name stand for a character. */
function withoutEscapes(text: string): string {
  return text.replace(/#([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** A string in parentheses or in hex (§7.3.4), in UTF-16 when it says so. */
function readString(written: string): string {
  const bytes = written.startsWith('<') ? hexBytes(written) : literalBytes(written.slice(1, -1));
  if (bytes[0] === 0xfe && bytes[1] === 0xff) {
    const even = bytes.subarray(2, 2 + ((bytes.length - 2) & ~1));
    return Buffer.from(even).swap16().toString('utf16le');
  }
  return bytes.toString('latin1');
}

function hexBytes(text: string): Buffer {
  const digits = [...Buffer.from(text, 'latin1')].map(hexDigit).filter((digit) => digit >= 0);
  return Buffer.from(digits.flatMap((digit, at) => (at % 2 === 0 ? [(digit << 4) | (digits[at + 1] ?? 0)] : [])));
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

function literalBytes(text: string): Buffer {
  const plain = text.replace(/\\([0-7]{1,3}|\r?\n|[\s\S])/g, (_, escaped: string) => {
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff);
    return /^\r?\n/.test(escaped) ? '' : (ESCAPES[escaped] ?? escaped);
  });
  return Buffer.from(plain, 'latin1');
}
