/**
 * What a host stores of a file that was sent as text (FTP's TYPE A): line ends become its own, so that the file that is opened there has other
 * bytes than those on the wire. Of the forms that hosts use, CRLF is the wire's; this makes the one of a single LF.
 */
import { Buffer } from 'node:buffer';
import type { Container, Content } from '../core/file.js';
import { eachPiece } from './pieces.js';

const CR = 0x0d;
const LF = 0x0a;
const CRLF = Buffer.from('\r\n');

/** Opens the file as it is stored, when that is another; `name` is the sent file's own. */
export function storeAsText(content: Content, name: string | undefined, container: Container): void {
  let differs = false;
  let heldCr = false;
  eachPiece(content, (piece) => {
    differs ||= piece.includes(CRLF) || (heldCr && piece[0] === LF);
    heldCr = piece.at(-1) === CR;
  });
  if (!differs) return;
  const stored = container.open({ name });
  const out = Buffer.allocUnsafe(65_536);
  let used = 0;
  let cr = false;
  const put = (byte: number) => {
    out[used++] = byte;
    if (used < out.length) return;
    stored.write(out, 0, used);
    used = 0;
  };
  eachPiece(content, (piece) => {
    for (const byte of piece) {
      if (cr && byte !== LF) put(CR);
      cr = byte === CR;
      if (!cr) put(byte);
    }
  });
  if (cr) put(CR);
  stored.write(out, 0, used);
  stored.end();
}
