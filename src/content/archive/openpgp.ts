/**
 * OpenPGP as it is, without armour (RFC 4880 §4, §5.1, §5.3): a file that begins with the packets of a session key is enciphered, and is
 * named so. Signatures and keys begin with other packets. Armour is text/openpgp.ts's.
 */
import type { Content, Unpacker } from '../../core/file.js';
import { type ArchiveLimits, Unpacking } from './unpacking.js';

/** Packet tags. */
const PUBLIC_KEY_SESSION_KEY = 1;
const SYMMETRIC_SESSION_KEY = 3;
/** What may follow: another session key, enciphered data, a marker. */
const FOLLOWING = [PUBLIC_KEY_SESSION_KEY, SYMMETRIC_SESSION_KEY, 9, 10, 18, 20];
const PUBLIC_KEY_ALGORITHMS = [1, 2, 16, 18, 20, 25, 26];

export function openPgpUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'openpgp',
    accepts: (types, content) => types[0] === 'unknown' && isEnciphered(content),
    unpack(content, container) {
      const unpacking = new Unpacking(container, content.length, limits);
      if (unpacking.mayBegin()) unpacking.unscannable('encrypted', 'OpenPGP message');
    },
  };
}

function isEnciphered(content: Content): boolean {
  const first = packetAt(content, 0);
  if (first === undefined) return false;
  const body = content.read(first.start, 12);
  const [version = 0, second = 0, third = 0] = body;
  if (first.tag === PUBLIC_KEY_SESSION_KEY) {
    if (version !== 6 && (version !== 3 || !PUBLIC_KEY_ALGORITHMS.includes(body[9] ?? 0))) return false;
  } else if (first.tag === SYMMETRIC_SESSION_KEY) {
    // A cipher and, in version 4, how a passphrase becomes its key.
    if (version < 4 || version > 6 || second < 1 || (version === 4 && (second > 13 || third > 4))) return false;
  } else return false;
  const next = packetAt(content, first.end);
  return next !== undefined && FOLLOWING.includes(next.tag);
}

interface Packet {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/** undefined: none begins here. Of partial length only the tag counts. */
function packetAt(content: Content, at: number): Packet | undefined {
  const head = content.read(at, 6);
  const [first = 0, length = 0] = head;
  if (head.length < 6 || (first & 0x80) === 0) return undefined;
  if ((first & 0x40) === 0) {
    const tag = (first >> 2) & 0xf;
    const size = 1 << (first & 3);
    if (size === 8) return { tag, start: at + 1, end: content.length };
    return { tag, start: at + 1 + size, end: at + 1 + size + head.readUIntBE(1, size) };
  }
  const tag = first & 0x3f;
  if (length < 192) return { tag, start: at + 2, end: at + 2 + length };
  if (length < 224) return { tag, start: at + 3, end: at + 3 + ((length - 192) << 8) + head[2]! + 192 };
  if (length === 255) return { tag, start: at + 6, end: at + 6 + head.readUInt32BE(2) };
  return { tag, start: at + 2, end: content.length };
}
