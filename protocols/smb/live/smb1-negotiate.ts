/**
 * NEGOTIATE of SMB 1 ([MS-CIFS] 2.2.4.52), by which clients ask for SMB 2 as well ([MS-SMB2] 3.2.4.2.2.1): what is newer in it goes on, and where there
 * is nothing newer the answer is that no dialect fits. SMB 1 itself is not spoken live.
 */
import { Buffer } from 'node:buffer';

const HEADER = 32;
const NEGOTIATE = 0x72;
const ANSWER = 0x80;
const NEWER: ReadonlySet<string> = new Set(['SMB 2.002', 'SMB 2.???']);

/** The request with the dialects of SMB 2 alone; undefined: it has none, or is none. */
export function newerDialects(bytes: Buffer): Buffer | undefined {
  const names = dialects(bytes)?.filter((name) => NEWER.has(name));
  if (names === undefined || names.length === 0) return undefined;
  const list = Buffer.from(names.map((name) => `\x02${name}\0`).join(''), 'latin1');
  const out = Buffer.alloc(HEADER + 3 + list.length);
  bytes.copy(out, 0, 0, HEADER);
  out.writeUInt16LE(list.length, HEADER + 1);
  list.copy(out, HEADER + 3);
  return out;
}

/** The answer that nothing that was offered will do; undefined: it was no offer. */
export function noDialect(bytes: Buffer): Buffer | undefined {
  if (dialects(bytes) === undefined) return undefined;
  const out = Buffer.alloc(HEADER + 5);
  bytes.copy(out, 0, 0, HEADER);
  out[9] = (out[9] ?? 0) | ANSWER;
  out[HEADER] = 1;
  out.writeUInt16LE(0xffff, HEADER + 1);
  return out;
}

function dialects(bytes: Buffer): string[] | undefined {
  if (bytes.length < HEADER + 3 || bytes[4] !== NEGOTIATE || bytes[HEADER] !== 0) return undefined;
  const end = Math.min(bytes.length, HEADER + 3 + bytes.readUInt16LE(HEADER + 1));
  return bytes
    .toString('latin1', HEADER + 3, end)
    .split('\0')
    .slice(0, -1)
    .map((name) => name.replace(/^\x02/, ''));
}
