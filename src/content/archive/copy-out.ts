import type { Content } from '../../core/file.js';
import type { Member } from './unpacking.js';

const PIECE = 256 * 1024;

/** Writes `content[start, end)` into a member and ends it; cuts it, and returns false, where bytes are missing or a limit was crossed. */
export function copyOut(content: Content, start: number, end: number, member: Member): boolean {
  let at = start;
  while (at < end) {
    const piece = content.read(at, Math.min(PIECE, end - at));
    if (piece.length === 0 || !member.write(piece, 0, piece.length)) break;
    at += piece.length;
  }
  if (at >= end) member.end();
  else member.cut();
  return at >= end;
}
