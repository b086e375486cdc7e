/**
 * What lies in OLE2 compound files: attachments of Outlook messages ([MS-OXMSG] 2.2.2), files that were put into documents ([MS-OLEDS] 2.3.6),
 * macros ([MS-OVBA]), and everything else that streams hold, as one text in which signatures are looked for: in the file itself
 * streams lie in pieces.
 */
import { Buffer } from 'node:buffer';
import type { ChildMeta, Container, Content, Unpacker } from '../../../core/file.js';
import { beginnings } from '../../types/beginnings.js';
import { copyOut } from '../copy-out.js';
import { type ArchiveLimits, type Member, Unpacking } from '../unpacking.js';
import { type CompoundEntry, CompoundFile, type CompoundStream, isCompoundFile } from './compound-file.js';
import { readPackage } from './package.js';
import { vbaSources } from './vba.js';

const NATIVE = '\x01Ole10Native';
/** The length of the whole in front of what a native object holds. */
const NATIVE_HEADER = 4;
/** Streams in which applications put a file as it is. */
const FILES = new Set(['package', 'contents', 'embeddedodf']);
const ATTACHMENT = /^__attach_version1\.0_#/i;
const DATA = '__substg1.0_37010102';
/** Properties that name an attachment: the long name, the short one, the one shown; in UTF-16 and in a code page. */
const NAMES = ['3707001F', '3707001E', '3704001F', '3704001E', '3001001F', '3001001E'].map(
  (tag) => `__substg1.0_${tag}`,
);
const NAME_BYTES = 2048;
const PIECE = 256 * 1024;
const HEAD = 4096;
const BREAK = Buffer.from('\n', 'latin1');
/** A stream with macros is not larger. */
const MACROS = 8 * 1024 * 1024;

export function ole2Unpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'ole2',
    // Installer databases have names of their own making, which 7-Zip knows.
    accepts: (types, content) => !types.includes('msi') && isCompoundFile(content),
    unpack(content, container) {
      new Ole2(content, container, limits).unpack();
    },
  };
}

class Ole2 {
  readonly #content: Content;
  readonly #unpacking: Unpacking;
  #rest: Member | undefined;

  constructor(content: Content, container: Container, limits: ArchiveLimits) {
    this.#content = content;
    this.#unpacking = new Unpacking(container, content.length, limits);
  }

  unpack(): void {
    const unpacking = this.#unpacking;
    if (!unpacking.mayBegin()) return;
    const file = CompoundFile.open(this.#content);
    if (file === undefined) {
      unpacking.unscannable('corrupted', 'OLE2 header that cannot be followed');
      return;
    }
    if (file.fault === 'limit') unpacking.unscannable('limit', 'more OLE2 entries than are looked at');
    else if (file.fault === 'corrupted') unpacking.unscannable('partiallycorrupted', 'OLE2 directory');
    const attachments = attachmentNames(file);
    for (const entry of file.streams) {
      if (entry.size === 0 || isNameOf(entry)) continue;
      if (!this.#stream(entry, file.stream(entry), attachments)) return;
    }
    this.#rest?.end();
  }

  /** False when a limit ends it all. */
  #stream(entry: CompoundEntry, stream: CompoundStream, attachments: ReadonlyMap<string, ChildMeta>): boolean {
    const attachment = entry.name.toLowerCase() === DATA.toLowerCase() ? attachments.get(placeOf(entry)) : undefined;
    if (attachment !== undefined) return this.#file(attachment, stream, 0, stream.length, stream.whole);
    if (entry.name === NATIVE) {
      const packed = readPackage(stream, NATIVE_HEADER);
      if (packed !== undefined)
        return this.#file(packed.meta, stream, packed.start, packed.end, packed.end <= stream.length);
      return this.#file({ name: undefined }, stream, NATIVE_HEADER, stream.length, stream.whole);
    }
    if (FILES.has(entry.name.toLowerCase()))
      return this.#file({ name: undefined }, stream, 0, stream.length, stream.whole);
    return this.#say(stream);
  }

  #file(meta: ChildMeta, stream: Content, start: number, end: number, whole: boolean): boolean {
    if (!whole) this.#unpacking.unscannable('partiallycorrupted', 'OLE2 stream that is cut');
    const member = this.#unpacking.open(meta);
    if (member === undefined) return false;
    copyOut(stream, start, Math.min(end, stream.length), member);
    return !this.#unpacking.stopped;
  }

  /** What is no file goes to the rest; macros are unpacked behind it, and what turns out to be a file after all is given as one. */
  #say(stream: CompoundStream): boolean {
    this.#rest ??= this.#unpacking.open({ name: undefined, reading: 'what the streams hold' });
    const rest = this.#rest;
    if (rest === undefined) return false;
    for (let at = 0; at < stream.length; ) {
      const piece = stream.read(at, PIECE);
      if (piece.length === 0) break;
      if (!rest.write(piece, 0, piece.length)) return false;
      at += piece.length;
    }
    if (!rest.write(BREAK, 0, BREAK.length)) return false;
    if (stream.length <= MACROS)
      for (const source of vbaSources(Buffer.from(stream.read(0, stream.length))))
        if (!rest.write(source, 0, source.length) || !rest.write(BREAK, 0, BREAK.length)) return false;
    const head = Buffer.concat([BREAK, stream.read(0, HEAD)]);
    if (!beginnings(head).includes(BREAK.length)) return true;
    return this.#file({ name: undefined, reading: 'a stream that is a file' }, stream, 0, stream.length, true);
  }
}

/** The storage that a stream lies in. */
function placeOf({ storages }: CompoundEntry): string {
  return storages.join('\0');
}

function isNameOf({ storages, name }: CompoundEntry): boolean {
  return NAMES.includes(name) && ATTACHMENT.test(storages.at(-1) ?? '');
}

/** What the attachments of a message are called, by their storages. */
function attachmentNames(file: CompoundFile): Map<string, ChildMeta> {
  const found = new Map<string, Map<string, string>>();
  for (const entry of file.streams) {
    if (!ATTACHMENT.test(entry.storages.at(-1) ?? '')) continue;
    const place = placeOf(entry);
    const names = found.get(place) ?? new Map<string, string>();
    found.set(place, names);
    if (!NAMES.includes(entry.name)) continue;
    const bytes = file.stream(entry).read(0, NAME_BYTES);
    const text = entry.name.endsWith('1F') ? bytes.toString('utf16le') : bytes.toString('latin1');
    names.set(entry.name, text.replace(/\0+$/, ''));
  }
  const metas = new Map<string, ChildMeta>();
  for (const [place, names] of found) {
    const all = [...new Set(NAMES.flatMap((name) => names.get(name) ?? []))].filter((name) => name !== '');
    const [name, ...otherNames] = all;
    metas.set(place, { name, otherNames });
  }
  return metas;
}
