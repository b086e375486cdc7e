/**
 * Messages of SMB 1 for tests ([MS-CIFS] 2.2.3, 2.2.4), each in its NetBIOS session header (RFC 1002 §4.3.1). `smb1` chains blocks and sets
 * their AndX places; a test that wants a field to be wrong gives it. Only what tests need is here; the numbers are the protocol's.
 */
import { Buffer } from 'node:buffer';

/** Fields of a header; what is left out is that of an ordinary session. */
export interface Smb1Header {
  readonly reply?: boolean;
  readonly status?: number;
  readonly unicode?: boolean;
  readonly signed?: boolean;
  readonly tid?: number;
  readonly pid?: number;
  readonly uid?: number;
  readonly mid?: number;
}

/** One command. `bytes` is told where it will lie, counted from the header, so that it can align, and point in `words`. */
export interface Smb1Block {
  readonly command: number;
  readonly words: Buffer;
  bytes(at: number): Buffer;
  /** Where it points for what is next, in place of where that lies. */
  readonly nextAt?: number;
  readonly byteCount?: number;
}

const ANDX = new Set([0x24, 0x2d, 0x2e, 0x2f, 0x73, 0x74, 0x75, 0xa2]);

/** A payload in a session message. */
export function sessionMessage(payload: Buffer, type = 0): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(payload.length, 0);
  head[0] = type;
  return Buffer.concat([head, payload]);
}

/** A message of these blocks, in its session header. */
export function smb1(header: Smb1Header, ...blocks: readonly Smb1Block[]): Buffer {
  return sessionMessage(smb1Payload(header, ...blocks));
}

export function smb1Payload(header: Smb1Header, ...blocks: readonly Smb1Block[]): Buffer {
  const head = Buffer.alloc(32);
  head.write('\xffSMB', 0, 'latin1');
  head[4] = blocks[0]?.command ?? 0;
  head.writeUInt32LE(header.status ?? 0, 5);
  head[9] = header.reply === true ? 0x88 : 0x08;
  head.writeUInt16LE(0x4001 + (header.unicode === false ? 0 : 0x8000) + (header.signed === true ? 4 : 0), 10);
  head.writeUInt16LE(header.tid ?? 1, 24);
  head.writeUInt16LE(header.pid ?? 7, 26);
  head.writeUInt16LE(header.uid ?? 100, 28);
  head.writeUInt16LE(header.mid ?? 1, 30);
  const parts: Buffer[] = [head];
  let at = 32;
  blocks.forEach((block, index) => {
    const bytes = block.bytes(at + 3 + block.words.length);
    const words = Buffer.from(block.words);
    const next = blocks[index + 1];
    const end = at + 3 + words.length + bytes.length;
    if (ANDX.has(block.command) && words.length >= 4) {
      words[0] = next?.command ?? 0xff;
      words.writeUInt16LE(block.nextAt ?? (next === undefined ? 0 : end), 2);
    }
    const count = Buffer.alloc(2);
    count.writeUInt16LE((block.byteCount ?? bytes.length) & 0xffff, 0);
    parts.push(Buffer.of(words.length / 2), words, count, bytes);
    at = end;
  });
  return Buffer.concat(parts);
}

/** Little-endian words: `[value, bytes]` each. */
export function fields(...values: readonly (readonly [value: number, bytes: number])[]): Buffer {
  return Buffer.concat(
    values.map(([value, length]) => {
      const bytes = Buffer.alloc(length);
      for (let at = 0, rest = value; at < length; at++, rest = Math.floor(rest / 256)) bytes[at] = rest % 256;
      return bytes;
    }),
  );
}

/** A string with its NUL, aligned. */
export function smb1Text(text: string, at: number, unicode = true): Buffer {
  if (!unicode) return Buffer.from(`${text}\0`, 'latin1');
  return Buffer.concat([Buffer.alloc(at & 1), Buffer.from(`${text}\0`, 'utf16le')]);
}

export function block(
  command: number,
  words: Buffer,
  bytes: Buffer | ((at: number) => Buffer) = Buffer.alloc(0),
): Smb1Block {
  return { command, words, bytes: typeof bytes === 'function' ? bytes : () => bytes };
}

const ANDX_WORDS: readonly [number, number] = [0xff, 4];

// ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function treeConnect(share: string, service = '?????'): Smb1Block {
  return block(0x75, fields(ANDX_WORDS, [0, 2], [1, 2]), (at) =>
    Buffer.concat([Buffer.of(0), smb1Text(share, at + 1), Buffer.from(`${service}\0`)]),
  );
}

export function ntCreate(path: string, options: { readonly create?: number; readonly root?: number } = {}): Smb1Block {
  const words = fields(
    ...([ANDX_WORDS, [0, 1], [2 * path.length, 2], [0, 4], [options.root ?? 0, 4], [0x0012_019f, 4], [0, 8]] as const),
    ...([
      [0x80, 4],
      [7, 4],
      [5, 4],
      [options.create ?? 0x40, 4],
      [2, 4],
      [0, 1],
    ] as const),
  );
  return block(0xa2, words, (at) => smb1Text(path, at));
}

export function openAndX(path: string, unicode = true): Smb1Block {
  const words = fields(ANDX_WORDS, [0, 2], [2, 2], [6, 2], [0, 2], [0, 4], [0x11, 2], [0, 4], [0, 4], [0, 4]);
  return block(0x2d, words, (at) => smb1Text(path, at, unicode));
}

/** OPEN, CREATE, CREATE_NEW, CREATE_TEMPORARY, DELETE: `wordCount` words, one formatted string. */
export function named(command: number, wordCount: number, path: string, unicode = true): Smb1Block {
  return block(command, Buffer.alloc(2 * wordCount), (at) =>
    Buffer.concat([Buffer.of(4), smb1Text(path, at + 1, unicode)]),
  );
}

export function rename(from: string, to: string): Smb1Block {
  return block(0x07, fields([0x16, 2]), (at) => {
    const first = Buffer.concat([Buffer.of(4), smb1Text(from, at + 1)]);
    return Buffer.concat([first, Buffer.of(4), smb1Text(to, at + first.length + 1)]);
  });
}

export function readAndX(fid: number, offset: number, count: number): Smb1Block {
  const low = [offset % 2 ** 32, 4] as const;
  const high = [Math.floor(offset / 2 ** 32), 4] as const;
  return block(0x2e, fields(ANDX_WORDS, [fid, 2], low, [count & 0xffff, 2], [0, 2], [count >>> 16, 4], [0, 2], high));
}

/** `wrong`: fields that are to lie. */
export interface WrongWrite {
  readonly length?: number;
  readonly offset?: number;
  readonly padding?: number;
  readonly byteCount?: number;
}

export function writeAndX(fid: number, offset: number, data: Buffer, wrong: WrongWrite = {}): Smb1Block {
  const length = wrong.length ?? data.length;
  const padding = wrong.padding ?? 1;
  const words = fields(
    ...([ANDX_WORDS, [fid, 2], [offset % 2 ** 32, 4], [0, 4], [0, 2], [0, 2], [length >>> 16, 2]] as const),
    ...([
      [length & 0xffff, 2],
      [0, 2],
      [Math.floor(offset / 2 ** 32), 4],
    ] as const),
  );
  const made = block(0x2f, words, (at) => {
    words.writeUInt16LE(wrong.offset ?? at + padding, 22);
    return Buffer.concat([Buffer.alloc(padding), data]);
  });
  return wrong.byteCount === undefined ? made : { ...made, byteCount: wrong.byteCount };
}

/** READ, LOCK_AND_READ. */
export function coreRead(command: number, fid: number, offset: number, count: number): Smb1Block {
  return block(command, fields([fid, 2], [count, 2], [offset, 4], [0, 2]));
}

/** WRITE, WRITE_AND_UNLOCK. */
export function coreWrite(command: number, fid: number, offset: number, data: Buffer): Smb1Block {
  const bytes = Buffer.concat([fields([1, 1], [data.length, 2]), data]);
  return block(command, fields([fid, 2], [data.length, 2], [offset, 4], [0, 2]), bytes);
}

export function writeAndClose(fid: number, offset: number, data: Buffer): Smb1Block {
  return block(0x2c, fields([fid, 2], [data.length, 2], [offset, 4], [0, 4]), Buffer.concat([Buffer.alloc(1), data]));
}

export function readRaw(fid: number, offset: number, count: number): Smb1Block {
  return block(0x1a, fields([fid, 2], [offset, 4], [count, 2], [0, 2], [0, 4], [0, 2]));
}

/** `data` in this message, `total` with the raw one. */
export function writeRaw(fid: number, offset: number, total: number, data: Buffer): Smb1Block {
  const words = fields(
    ...([
      [fid, 2],
      [total, 2],
      [0, 2],
      [offset, 4],
      [0, 4],
      [1, 2],
      [0, 4],
      [data.length, 2],
      [0, 2],
    ] as const),
  );
  return block(0x1d, words, (at) => {
    words.writeUInt16LE(at, 22);
    return data;
  });
}

export function close(fid: number): Smb1Block {
  return block(0x04, fields([fid, 2], [0, 4]));
}

export interface TransactionParts {
  readonly parameters: Buffer;
  readonly data?: Buffer;
  readonly totalParameters?: number;
  readonly totalData?: number;
  readonly name?: string;
  readonly setup?: Buffer;
}

/** TRANSACTION (0x25) or TRANSACTION2 (0x32), primary. */
export function transaction(command: number, parts: TransactionParts): Smb1Block {
  const { parameters, data = Buffer.alloc(0), setup = Buffer.alloc(0) } = parts;
  const words = fields(
    ...([
      [parts.totalParameters ?? parameters.length, 2],
      [parts.totalData ?? data.length, 2],
      [10, 2],
      [0, 2],
    ] as const),
    ...([
      [0, 2],
      [0, 2],
      [0, 4],
      [0, 2],
      [parameters.length, 2],
      [0, 2],
      [data.length, 2],
      [0, 2],
    ] as const),
    ...([[setup.length / 2, 2]] as const),
  );
  const all = Buffer.concat([words, setup]);
  return block(command, all, (at) => {
    const name = smb1Text(parts.name ?? '', at);
    const first = at + name.length + ((4 - ((at + name.length) & 3)) & 3);
    const second = first + parameters.length + ((4 - (parameters.length & 3)) & 3);
    all.writeUInt16LE(first, 20);
    all.writeUInt16LE(second, 24);
    const bytes = Buffer.alloc(second + data.length - at);
    name.copy(bytes);
    parameters.copy(bytes, first - at);
    data.copy(bytes, second - at);
    return bytes;
  });
}

/** TRANSACTION2_SECONDARY with data alone. */
export function transaction2Secondary(totalParameters: number, totalData: number, at: number, data: Buffer): Smb1Block {
  const words = fields(
    ...([
      [totalParameters, 2],
      [totalData, 2],
      [0, 2],
      [0, 2],
      [0, 2],
    ] as const),
    ...([
      [data.length, 2],
      [0, 2],
      [at, 2],
      [0xffff, 2],
    ] as const),
  );
  return block(0x33, words, (place) => {
    words.writeUInt16LE(place, 12);
    return data;
  });
}

/** NT_TRANSACT, primary. */
export function ntTransact(subcommand: number, parts: TransactionParts): Smb1Block {
  const { parameters, data = Buffer.alloc(0), setup = Buffer.alloc(0) } = parts;
  const words = fields(
    ...([
      [10, 1],
      [0, 2],
      [parts.totalParameters ?? parameters.length, 4],
      [parts.totalData ?? data.length, 4],
    ] as const),
    ...([
      [0, 4],
      [0, 4],
      [parameters.length, 4],
      [0, 4],
      [data.length, 4],
      [0, 4],
      [setup.length / 2, 1],
    ] as const),
    ...([[subcommand, 2]] as const),
  );
  const all = Buffer.concat([words, setup]);
  return block(0xa0, all, (at) => {
    const first = at + ((4 - (at & 3)) & 3);
    const second = first + parameters.length + ((4 - (parameters.length & 3)) & 3);
    all.writeUInt32LE(first, 23);
    all.writeUInt32LE(second, 31);
    const bytes = Buffer.alloc(second + data.length - at);
    parameters.copy(bytes, first - at);
    data.copy(bytes, second - at);
    return bytes;
  });
}

// ── Answers ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An answer that says no more than that it went well, or why not. */
export function done(command: number): Smb1Block {
  return block(command, Buffer.alloc(0));
}

export function treeConnected(service = 'A:'): Smb1Block {
  return block(0x75, fields(ANDX_WORDS, [1, 2]), (at) => {
    const kind = Buffer.from(`${service}\0`);
    return Buffer.concat([kind, smb1Text('NTFS', at + kind.length)]);
  });
}

export interface OpenedFields {
  readonly size?: number;
  /** 0 a disk, 2 a pipe in message mode, 3 a printer. */
  readonly resource?: number;
  readonly directory?: boolean;
}

export function ntCreated(fid: number, { size = 0, resource = 0, directory = false }: OpenedFields = {}): Smb1Block {
  return block(
    0xa2,
    fields(
      ...([
        ANDX_WORDS,
        [0, 1],
        [fid, 2],
        [1, 4],
        [0, 8],
        [0, 8],
        [0, 8],
        [0, 8],
        [0x80, 4],
        [size, 8],
        [size, 8],
      ] as const),
      ...([
        [resource, 2],
        [0, 2],
        [directory ? 1 : 0, 1],
      ] as const),
    ),
  );
}

export function openedAndX(fid: number, { size = 0, resource = 0 }: OpenedFields = {}): Smb1Block {
  return block(
    0x2d,
    fields(
      ...([
        ANDX_WORDS,
        [fid, 2],
        [0, 2],
        [0, 4],
        [size, 4],
        [2, 2],
        [resource, 2],
        [0, 2],
        [1, 2],
        [0, 4],
        [0, 2],
      ] as const),
    ),
  );
}

/** OPEN. */
export function opened(fid: number, size: number): Smb1Block {
  return block(0x02, fields([fid, 2], [0, 2], [0, 4], [size, 4], [2, 2]));
}

/** CREATE, CREATE_NEW. */
export function created(command: number, fid: number): Smb1Block {
  return block(command, fields([fid, 2]));
}

export function readAnswer(data: Buffer, wrong: WrongWrite = {}): Smb1Block {
  const length = wrong.length ?? data.length;
  const words = fields(
    ...([ANDX_WORDS, [0xffff, 2], [0, 2], [0, 2], [length & 0xffff, 2], [0, 2], [length >>> 16, 2], [0, 8]] as const),
  );
  const padding = wrong.padding ?? 1;
  const made = block(0x2e, words, (at) => {
    words.writeUInt16LE(wrong.offset ?? at + padding, 12);
    return Buffer.concat([Buffer.alloc(padding), data]);
  });
  return wrong.byteCount === undefined ? made : { ...made, byteCount: wrong.byteCount };
}

/** READ, LOCK_AND_READ. */
export function coreReadAnswer(command: number, data: Buffer): Smb1Block {
  const bytes = Buffer.concat([fields([1, 1], [data.length, 2]), data]);
  return block(command, fields([data.length, 2], [0, 8]), bytes);
}

export function written(count: number): Smb1Block {
  return block(0x2f, fields(ANDX_WORDS, [count & 0xffff, 2], [0xffff, 2], [count >>> 16, 2], [0, 2]));
}

/** An answer of TRANSACTION2. */
export function transacted(parameters: Buffer, data: Buffer = Buffer.alloc(0)): Smb1Block {
  const words = fields(
    ...([
      [parameters.length, 2],
      [data.length, 2],
      [0, 2],
      [parameters.length, 2],
      [0, 2],
      [0, 2],
    ] as const),
    ...([
      [data.length, 2],
      [0, 2],
      [0, 2],
      [0, 2],
    ] as const),
  );
  return block(0x32, words, (at) => {
    words.writeUInt16LE(at, 8);
    words.writeUInt16LE(at + parameters.length, 14);
    return Buffer.concat([parameters, data]);
  });
}

/** An answer of NT_TRANSACT. */
export function ntTransacted(parameters: Buffer): Smb1Block {
  const words = fields(
    ...([
      [0, 3],
      [parameters.length, 4],
      [0, 4],
      [parameters.length, 4],
      [0, 4],
      [0, 4],
      [0, 4],
      [0, 4],
      [0, 4],
    ] as const),
    ...([[0, 1]] as const),
  );
  return block(0xa0, words, (at) => {
    words.writeUInt32LE(at, 15);
    return parameters;
  });
}
