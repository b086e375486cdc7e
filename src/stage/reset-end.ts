/**
 * A socket that was reset may say that it ended: when a RST comes together with bytes, libuv reads those and then tells of the end of the stream
 * instead of the error (uv__stream_io: POLLHUP after a partial read). Where FIN is all that says that a file is whole, that would be a lie.
 */
import type { Duplex } from 'node:stream';

/** What Node keeps of the system's socket; not part of its documented interface. */
interface WithHandle {
  readonly _handle?: { getpeername?(out: object): number } | null;
}

/**
 * Of a stream that has just ended: did a RST end it? A socket behind a FIN still has a peer, one that was reset has none (getpeername: ENOTCONN).
 * False for what is no socket, and for one that we said FIN to: that has no peer either when it is over.
 */
export function wasReset(stream: Duplex): boolean {
  const handle = (stream as WithHandle)._handle;
  if (stream.writableEnded || typeof handle?.getpeername !== 'function') return false;
  const error: unknown = handle.getpeername({});
  return typeof error === 'number' && error < 0;
}
