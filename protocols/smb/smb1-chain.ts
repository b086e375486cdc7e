/**
 * The commands of one message along its AndX chain ([MS-CIFS] 2.2.3.4), up to the first that carries a file's bytes: those are handed on
 * as they come, and the chain goes on behind them. Each block lies behind the words of the one before, so that a chain has an end; a
 * server that reads another way is one that we cannot follow, so what comes next is left alone and noted.
 */
import { type Bulk, bulkOf } from './smb1-bulk.js';
import { NO_ANDX } from './smb1-commands.js';
import { type Block, type Message, readBlock } from './smb1-message.js';

export interface Chain {
  readonly blocks: readonly Block[];
  /** Bytes of a file in the last of the blocks. */
  readonly bulk: Bulk | undefined;
  /** More commands lie behind them. */
  readonly continues: boolean;
  readonly odd: 'smb1-cut' | 'smb1-andx-offset' | 'smb1-andx-limit' | undefined;
}

/** From the block of `command` at `at`. `more`: not enough of the message is there. `limit`: how many commands it may have. */
export function readChain(
  message: Message,
  command: number,
  at: number,
  reply: boolean,
  limit: number,
): Chain | 'more' {
  const blocks: Block[] = [];
  let next = command;
  let place = at;
  for (;;) {
    const block = readBlock(message, next, place);
    if (block === 'more') return 'more';
    if (block === 'cut') return { blocks, bulk: undefined, continues: false, odd: 'smb1-cut' };
    blocks.push(block);
    const bulk = bulkOf(message, block, reply);
    if (bulk === 'more') return 'more';
    const last = block.next === NO_ANDX;
    if (bulk !== undefined) {
      // Where its data begins must have come, and the data's place is beyond what was looked at.
      if (bulk.start > message.have) return 'more';
      if (last) return { blocks, bulk, continues: false, odd: undefined };
      const behind = block.nextAt >= bulk.end && block.nextAt < message.length;
      return { blocks, bulk, continues: behind, odd: behind ? undefined : 'smb1-andx-offset' };
    }
    const end = Math.min(block.end, message.length);
    if (end > message.have) return 'more';
    const odd = block.end > message.length ? 'smb1-cut' : undefined;
    if (last) return { blocks, bulk: undefined, continues: false, odd };
    if (block.nextAt < block.data || block.nextAt >= message.length)
      return { blocks, bulk: undefined, continues: false, odd: 'smb1-andx-offset' };
    if (blocks.length >= limit) return { blocks, bulk: undefined, continues: false, odd: 'smb1-andx-limit' };
    next = block.next;
    place = block.nextAt;
  }
}
