/**
 * Reads a client's ClientHello and puts it back: Node asks for a certificate only when there is a server name, and only after ALPN was
 * settled, so what the client wants is read before Node sees a byte (RFC 8446 §4.1.2; records as in §5.1).
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { type ClientHello, parseClientHello } from '../../../protocols/tls/hello.js';

const HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;

/** Undefined: it is none, the client went away, or it took too long. `most` bounds its bytes, `time` is in milliseconds. */
export function peekClientHello(stream: Duplex, most: number, time: number): Promise<ClientHello | undefined> {
  return new Promise((resolve) => {
    let seen: Buffer = Buffer.alloc(0);
    const done = (hello: ClientHello | undefined): void => {
      clearTimeout(timer);
      stream.pause();
      stream.removeListener('data', onData);
      for (const event of ['end', 'close', 'error'] as const) stream.removeListener(event, onEnd);
      // After its end a stream takes nothing back: what a client left behind leads nowhere.
      if (seen.length > 0 && !stream.destroyed && !stream.readableEnded) stream.unshift(seen);
      resolve(hello);
    };
    const onData = (chunk: Buffer): void => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const read = readHello(seen);
      if (read === 'more' && seen.length <= most) return;
      done(read === 'more' ? undefined : read);
    };
    const onEnd = (): void => done(undefined);
    const timer = setTimeout(onEnd, time);
    stream.on('data', onData);
    for (const event of ['end', 'close', 'error'] as const) stream.on(event, onEnd);
    stream.resume();
  });
}

/** The hello in the records that `bytes` begins with. */
export function readHello(bytes: Buffer): ClientHello | 'more' | undefined {
  const pieces: Buffer[] = [];
  let length = 0;
  for (let at = 0; ; ) {
    if (at < bytes.length && bytes[at] !== HANDSHAKE) return undefined;
    if (at + 2 < bytes.length && bytes[at + 1] !== 3) return undefined;
    if (at + 5 > bytes.length) return 'more';
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    if (end === at + 5 || end - at > 5 + 0x4100) return undefined;
    pieces.push(bytes.subarray(at + 5, Math.min(end, bytes.length)));
    length += Math.min(end, bytes.length) - at - 5;
    if (length >= 4) {
      const whole = Buffer.concat(pieces);
      if (whole[0] !== CLIENT_HELLO) return undefined;
      const size = 4 + whole.readUIntBE(1, 3);
      if (length >= size) return parseClientHello(whole.subarray(4, size));
    }
    if (end > bytes.length) return 'more';
    at = end;
  }
}
