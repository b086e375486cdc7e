/**
 * Takes mail messages apart as they come (RFC 2045-2049, RFC 5322): every part without parts of its own becomes a file, text parts and
 * attached messages too, and each message of a mailbox file (mailbox-stage.ts). The work is message-stage.ts's; what may be ambiguous is listed in anomalies.ts.
 */
import type { Arena } from '../../core/arena.js';
import type { Extractor } from '../../core/file.js';
import type { Limits } from '../../core/limits.js';
import { Base64Scratch } from './base64-scratch.js';
import { MailboxStage } from './mailbox-stage.js';
import { MessageStage } from './message-stage.js';

/** RFC 2046 §5.2, RFC 6532 §3.7 and the two names from before. */
const MESSAGES: readonly string[] = ['message/rfc822', 'message/global', 'message/news', 'message/delivery-message'];

export interface MimeExtractorOptions {
  readonly arena: Arena;
  readonly limits: Limits;
}

/** Claims 450 KiB of the arena, which cost nothing until base64 bodies use them. One a thread. */
export function createMimeExtractor({ arena, limits }: MimeExtractorOptions): Extractor {
  const scratch = new Base64Scratch(arena);
  return {
    name: 'mime',
    accepts: (meta) =>
      (meta.declaredType !== undefined && MESSAGES.includes(meta.declaredType)) ||
      /\.(eml|mbox|mht|mhtml|nws)$/i.test(meta.name ?? ''),
    begin: (container) => new MailboxStage(container, new MessageStage(container, limits, scratch)),
  };
}
