/** The answers of SMB 1 that say what was opened ([MS-CIFS] 2.2.4, [MS-SMB] 2.2.4.9.2). Those that carry a file's bytes: smb1-bulk.ts. */
import {
  CREATE,
  CREATE_NEW,
  CREATE_TEMPORARY,
  NT_CREATE_ANDX,
  OPEN,
  OPEN_ANDX,
  TREE_CONNECT,
  TREE_CONNECT_ANDX,
} from './smb1-commands.js';
import type { Block, Message } from './smb1-message.js';
import { readFormattedText, readText } from './smb1-strings.js';

export interface Opened {
  readonly fid: number;
  /** As it was when it was opened; undefined where the answer does not say. */
  readonly size: number | undefined;
  /** The server made it, or emptied it. */
  readonly fresh: boolean;
  /** No directory, pipe, printer or device. */
  readonly file: boolean;
  /** The server chose the name. */
  readonly path?: string;
}

/** [MS-CIFS] 2.2.4.64.2, 2.2.4.41.2: the action that leaves a file as it was. */
const OPENED = 1;
const RESOURCE_DISK = 0;
const ATTRIBUTE_DIRECTORY = 0x10;

/** Undefined: the answer opens nothing. `unicode` as its header says. */
export function parseOpened(message: Message, block: Block, unicode: boolean): Opened | undefined {
  const { words, wordCount, data } = block;
  switch (block.command) {
    case NT_CREATE_ANDX: {
      if (wordCount < 34) return undefined;
      const file = message.u16(words + 63) === RESOURCE_DISK && message.u8(words + 67) === 0;
      return {
        fid: message.u16(words + 5),
        size: message.u64(words + 55),
        fresh: isFresh(message.u32(words + 7)),
        file,
      };
    }
    case OPEN_ANDX: {
      if (wordCount < 15) return undefined;
      const directory = (message.u16(words + 6) & ATTRIBUTE_DIRECTORY) !== 0;
      const file = message.u16(words + 18) === RESOURCE_DISK && !directory;
      return {
        fid: message.u16(words + 4),
        size: message.u32(words + 12),
        fresh: isFresh(message.u16(words + 22)),
        file,
      };
    }
    case OPEN: {
      if (wordCount < 7) return undefined;
      const file = (message.u16(words + 2) & ATTRIBUTE_DIRECTORY) === 0;
      return { fid: message.u16(words), size: message.u32(words + 8), fresh: false, file };
    }
    case CREATE:
    case CREATE_NEW:
      return wordCount < 1 ? undefined : { fid: message.u16(words), size: 0, fresh: true, file: true };
    case CREATE_TEMPORARY: {
      if (wordCount < 1) return undefined;
      const { text } = readFormattedText(message, data, Math.min(block.end, message.length), unicode);
      return { fid: message.u16(words), size: 0, fresh: true, file: true, path: text };
    }
    default:
      return undefined;
  }
}

/** What was done to open a file; the highest bit tells of locks. */
export function isFresh(action: number): boolean {
  return (action & 3) !== OPENED;
}

/** The kind of share that a tree connect gave: `A:` (a disk), `IPC`, `LPT1:`, `COMM`; empty where it does not say. */
export function parseService(message: Message, block: Block): string {
  if (block.command === TREE_CONNECT) return '';
  if (block.command !== TREE_CONNECT_ANDX || block.wordCount < 2) return '';
  return readText(message, block.data, Math.min(block.end, message.length), false).text;
}
