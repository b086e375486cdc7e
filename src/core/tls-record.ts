/** The first bytes of TLS records (RFC 8446 section 5.1): enough to tell TLS from clear text, and no more. */
import type { Buffer } from 'node:buffer';

const CHANGE_CIPHER_SPEC = 0x14;
const HANDSHAKE = 0x16;
const APPLICATION_DATA = 0x17;

/** Is this the first byte of a record: one of the content types? */
export function isContentType(byte: number): boolean {
  return byte >= CHANGE_CIPHER_SPEC && byte <= APPLICATION_DATA;
}

/** Does a handshake record of version 3.x stand at `at`, as every ClientHello begins? False when less than three bytes of it are there. */
export function beginsTls(chunk: Buffer, at: number): boolean {
  return chunk[at] === HANDSHAKE && chunk[at + 1] === 0x03 && (chunk[at + 2] ?? 255) <= 4;
}
