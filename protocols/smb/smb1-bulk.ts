/**
 * Where the file's bytes lie in a message of SMB 1 that carries some: the requests that write and the answers to those that read
 * ([MS-CIFS] 2.2.4). Up to here a message must be there to be understood; the bytes themselves are handed on as they come.
 *
 * Lengths are said several times over (count, data length, byte count, the length of the message), and servers believe different ones.
 * What lies within the message is taken by the command's own count; where another reader would take other bytes it is `odd`.
 */
import {
  LOCK_AND_READ,
  READ,
  READ_ANDX,
  WRITE,
  WRITE_AND_CLOSE,
  WRITE_AND_UNLOCK,
  WRITE_ANDX,
  WRITE_RAW,
} from './smb1-commands.js';
import type { Block, Message } from './smb1-message.js';

export interface Bulk {
  /** Counted from the header's first byte; within the message. */
  readonly start: number;
  readonly end: number;
  readonly odd: boolean;
}

/** Undefined: the block carries none. `more`: its beginning is not all here yet. */
export function bulkOf(message: Message, block: Block, reply: boolean): Bulk | 'more' | undefined {
  const { words, wordCount } = block;
  if (reply) {
    switch (block.command) {
      case READ_ANDX:
        if (wordCount < 12) return undefined;
        return placed(message, block, message.u16(words + 12), message.u16(words + 10), message.u16(words + 14));
      case READ:
      case LOCK_AND_READ:
        return wordCount < 5 ? undefined : formatted(message, block, message.u16(words));
      default:
        return undefined;
    }
  }
  switch (block.command) {
    case WRITE_ANDX:
      if (wordCount < 12) return undefined;
      return placed(message, block, message.u16(words + 22), message.u16(words + 20), message.u16(words + 18));
    case WRITE_RAW:
      if (wordCount < 12) return undefined;
      return placed(message, block, message.u16(words + 22), message.u16(words + 20), 0);
    case WRITE:
    case WRITE_AND_UNLOCK:
      return wordCount < 5 ? undefined : formatted(message, block, message.u16(words + 2));
    case WRITE_AND_CLOSE:
      // One byte of padding, then the data.
      return wordCount < 6 ? undefined : counted(message, block, block.data + 1, message.u16(words + 2));
    default:
      return undefined;
  }
}

/** The message says where its data lies. [MS-SMB] 2.2.4.2.2, 2.2.4.3.1: `high` counts 64 KiB where both ends agreed on large ones. */
function placed(message: Message, block: Block, offset: number, low: number, high: number): Bulk {
  if (low === 0 && high === 0) return { start: block.data, end: block.data, odd: false };
  const length = low + high * 0x10000;
  // Before the block's own bytes lie its words: no writer of good will points there.
  const start = Math.min(Math.max(offset, block.data), message.length);
  const whole = start + length <= message.length;
  const claimed = block.end - start;
  // The byte count has 16 bits, so of a large one, with the padding, only those are there; some writers leave it 0 then.
  const covered = start - block.data + length > 0xffff || claimed >= length;
  return { start, end: whole ? start + length : message.length, odd: offset !== start || !whole || !covered };
}

/** [MS-CIFS] 2.2.1.1: format 0x01, a length of 16 bits, the data; the words have the length too. */
function formatted(message: Message, block: Block, count: number): Bulk | 'more' {
  const start = block.data + 3;
  if (start > message.length) return { start: block.data, end: block.data, odd: count > 0 };
  if (start > message.have) return 'more';
  const bulk = counted(message, block, start, count);
  return message.u16(block.data + 1) === count ? bulk : { ...bulk, odd: true };
}

function counted(message: Message, block: Block, start: number, count: number): Bulk {
  const from = Math.min(start, message.length);
  const end = Math.min(from + count, message.length);
  return { start: from, end, odd: end - from < count || block.end - from < count };
}
