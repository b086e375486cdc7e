/** Reading a file in pieces, wherever it lies. */
import type { Buffer } from 'node:buffer';
import { SourceError } from '../core/errors.js';
import type { Content } from '../core/file.js';

const PIECE = 1_048_576;

/** Hands `take` all of the file in order: at once where it lies in memory, else in pieces that are valid during the call. */
export function eachPiece(content: Content, take: (piece: Buffer) => void): void {
  if (content.bytes !== undefined) {
    take(content.bytes);
    return;
  }
  for (let at = 0; at < content.length; ) {
    const piece = content.read(at, PIECE);
    // A spool file that is shorter than it was must not pass for one that was read to its end.
    if (piece.length === 0) throw new SourceError(`spool: the file ends at ${at} of ${content.length} bytes`);
    take(piece);
    at += piece.length;
  }
}
