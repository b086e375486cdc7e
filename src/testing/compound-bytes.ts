/** Writes OLE2 compound files ([MS-CFB], version 3) for tests: streams in storages, the small ones in the mini stream, all in one piece each. */
import { Buffer } from 'node:buffer';

export interface CompoundPart {
  /** The storages that it lies in, and its name. */
  readonly path: readonly string[];
  readonly data: Buffer | string;
}

const SECTOR = 512;
const MINI = 64;
const CUTOFF = 4096;
const END = 0xfffffffe;
const FREE = 0xffffffff;
const TABLE_SECTOR = 0xfffffffd;

interface Entry {
  readonly name: string;
  readonly type: number;
  start: number;
  size: number;
  child: number;
  right: number;
}

export function compoundOf(parts: readonly CompoundPart[]): Buffer {
  const entries: Entry[] = [entryOf('Root Entry', 5)];
  const storages = new Map<string, number>([['', 0]]);
  const lastChild = new Map<number, number>();
  const add = (parent: number, entry: Entry): number => {
    const index = entries.push(entry) - 1;
    const last = lastChild.get(parent);
    if (last === undefined) entries[parent]!.child = index;
    else entries[last]!.right = index;
    lastChild.set(parent, index);
    return index;
  };
  const large: [Entry, Buffer][] = [];
  const small: [Entry, Buffer][] = [];
  for (const { path, data } of parts) {
    let parent = 0;
    for (let depth = 1; depth < path.length; depth++) {
      const key = path.slice(0, depth).join('\0');
      parent = storages.get(key) ?? add(parent, entryOf(path[depth - 1]!, 1));
      storages.set(key, parent);
    }
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    const entry = entryOf(path.at(-1)!, 2);
    entry.size = bytes.length;
    add(parent, entry);
    if (bytes.length >= CUTOFF) large.push([entry, bytes]);
    else if (bytes.length > 0) small.push([entry, bytes]);
  }

  const table: number[] = [];
  const sectors: Buffer[] = [];
  const chain = (bytes: Buffer): number => {
    const start = sectors.length;
    for (let at = 0; at < bytes.length; at += SECTOR) {
      const sector = Buffer.alloc(SECTOR);
      bytes.copy(sector, 0, at, at + SECTOR);
      sectors.push(sector);
      table.push(at + SECTOR < bytes.length ? sectors.length : END);
    }
    return bytes.length === 0 ? END : start;
  };
  const miniTable: number[] = [];
  const mini: Buffer[] = [];
  for (const [entry, bytes] of small) {
    entry.start = miniTable.length;
    const count = Math.ceil(bytes.length / MINI);
    for (let i = 1; i <= count; i++) miniTable.push(i < count ? miniTable.length + 1 : END);
    mini.push(bytes, Buffer.alloc(count * MINI - bytes.length));
  }
  for (const [entry, bytes] of large) entry.start = chain(bytes);
  const root = entries[0]!;
  root.size = miniTable.length * MINI;
  root.start = chain(Buffer.concat(mini));
  const miniTableStart = chain(wordsOf(miniTable));
  const directoryStart = chain(Buffer.concat(entries.map(entryBytes)));
  const tableSectors = Math.ceil((table.length + 1) / (SECTOR / 4 - 1));
  const tableStart = sectors.length;
  for (let i = 0; i < tableSectors; i++) table.push(TABLE_SECTOR);

  const header = Buffer.alloc(SECTOR, 0xff);
  header.fill(0, 0, 76);
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(header);
  header.writeUInt16LE(0x3e, 24);
  header.writeUInt16LE(3, 26);
  header.writeUInt16LE(0xfffe, 28);
  header.writeUInt16LE(9, 30);
  header.writeUInt16LE(6, 32);
  header.writeUInt32LE(tableSectors, 44);
  header.writeUInt32LE(directoryStart, 48);
  header.writeUInt32LE(CUTOFF, 56);
  header.writeUInt32LE(miniTableStart, 60);
  header.writeUInt32LE(Math.ceil((miniTable.length * 4) / SECTOR), 64);
  header.writeUInt32LE(END, 68);
  for (let i = 0; i < tableSectors; i++) header.writeUInt32LE(tableStart + i, 76 + 4 * i);
  const tableBytes = Buffer.alloc(tableSectors * SECTOR, 0xff);
  wordsOf(table).copy(tableBytes);
  return Buffer.concat([header, ...sectors, tableBytes]);
}

function entryOf(name: string, type: number): Entry {
  return { name, type, start: END, size: 0, child: FREE, right: FREE };
}

function entryBytes({ name, type, start, size, child, right }: Entry): Buffer {
  const bytes = Buffer.alloc(128);
  bytes.write(name, 0, 62, 'utf16le');
  bytes.writeUInt16LE(2 * name.length + 2, 64);
  bytes[66] = type;
  bytes.writeUInt32LE(FREE, 68);
  bytes.writeUInt32LE(right, 72);
  bytes.writeUInt32LE(child, 76);
  bytes.writeUInt32LE(type === 1 ? 0 : start, 116);
  bytes.writeUInt32LE(size, 120);
  return bytes;
}

function wordsOf(words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [at, word] of words.entries()) bytes.writeUInt32LE(word, 4 * at);
  return bytes;
}
