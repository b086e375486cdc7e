/** Reading a file in pieces, wherever it lies. */
import { Buffer } from 'node:buffer';
import { SourceError } from '../core/errors.js';
import type { Content } from '../core/file.js';

const PIECE = 1_048_576;

/** All of a file that lies in memory, in order. */
export function inMemory({ bytes, pieces }: Content): readonly Buffer[] | undefined {
  return bytes === undefined ? pieces : [bytes];
}

/** Up to `length` bytes of a file from `at` on, which stay as long as it does. */
export function lasting(content: Content, at: number, length: number): Buffer {
  const bytes = content.read(at, length);
  return inMemory(content) === undefined ? Buffer.from(bytes) : bytes;
}

/** Hands `take` all of the file in order: as it lies in memory, else in pieces that are valid during the call. */
export function eachPiece(content: Content, take: (piece: Buffer) => void): void {
  const there = inMemory(content);
  if (there !== undefined) {
    for (const piece of there) take(piece);
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
