/** What requests ask that decides what becomes of them live ([MS-SMB2] 2.2.13.2, 2.2.31, 2.2.37). */
import { Buffer } from 'node:buffer';
import { bytesAt, HEADER } from '../smb2-message.js';
import { REFUSAL } from './message.js';

/**
 * Controls by which bytes get into a file, or out of one, without crossing the connection: copies on the server (COPYCHUNK, OFFLOAD, DUPLICATE_EXTENTS),
 * zeros, hashes of what may be got from another place; and what would lead the client around the proxy.
 */
const REFUSED: ReadonlyMap<number, number> = new Map([
  [0x0014_40f2, REFUSAL.invalidDeviceRequest],
  [0x0014_80f2, REFUSAL.invalidDeviceRequest],
  [0x0009_4264, REFUSAL.invalidDeviceRequest],
  [0x0009_8268, REFUSAL.invalidDeviceRequest],
  [0x0009_8344, REFUSAL.invalidDeviceRequest],
  [0x0009_83e8, REFUSAL.invalidDeviceRequest],
  [0x0009_80c8, REFUSAL.invalidDeviceRequest],
  [0x0014_41bb, REFUSAL.notSupported],
  [0x0014_01fc, REFUSAL.notSupported],
]);

const PIPES = 2;
const PRINTER = 3;

/** The status that an IOCTL is refused with; undefined: it may go on. */
export function refusedControl(bytes: Buffer): number | undefined {
  return bytes.length < HEADER + 8 ? REFUSAL.invalidParameter : REFUSED.get(bytes.readUInt32LE(HEADER + 4));
}

/** Are there files in a share? What the server calls pipes must be called so by the client too: some clients do not ask. */
export function hasFiles(share: string | undefined, type: number | undefined): boolean {
  return type !== PRINTER && (type !== PIPES || !/\\IPC\$$/i.test(share ?? ''));
}

/** Contexts of CREATE that take a handle of an earlier connection on. */
const RECONNECT: readonly string[] = ['DHnC', 'DH2C'];
/** Those that ask for a handle that outlives its connection. */
const DURABLE: readonly string[] = ['DHnQ', 'DH2Q'];

export function reconnects(bytes: Buffer): boolean {
  return contextsIn(bytes, RECONNECT).length > 0;
}

/** Does not ask for a handle that outlives its connection: nobody could take it on through us, and the file would stay open. The tags are made ones that nobody knows. */
export function undurable(bytes: Buffer): Buffer | undefined {
  const places = contextsIn(bytes, DURABLE);
  if (places.length === 0) return undefined;
  const copy = Buffer.from(bytes);
  for (const place of places) copy.write('none', place, 'latin1');
  return copy;
}

/** Where the tags of these contexts lie. */
function contextsIn(bytes: Buffer, tags: readonly string[]): number[] {
  const found: number[] = [];
  const start = bytes.readUInt32LE(HEADER + 48);
  const contexts = bytesAt(bytes, 0, bytes.length, start, bytes.readUInt32LE(HEADER + 52));
  if (contexts === undefined) return found;
  for (let at = 0; at + 16 <= contexts.length; ) {
    const place = at + contexts.readUInt16LE(at + 4);
    const length = contexts.readUInt16LE(at + 6);
    if (length === 4 && tags.includes(contexts.toString('latin1', place, place + 4))) found.push(start + place);
    const next = contexts.readUInt32LE(at);
    if (next === 0) break;
    at += next;
  }
  return found;
}

/** Where the end of file stands in [MS-FSCC]'s FileStandard-, FileAll- and FileNetworkOpenInformation. */
const SIZE_IN: ReadonlyMap<number, number> = new Map([
  [5, 8],
  [18, 48],
  [34, 40],
]);

/** Where an answer to QUERY_INFO says the size of a file. */
export function sizePlace(request: Buffer, answer: Buffer): number | undefined {
  if (request[HEADER + 2] !== 1 || answer.length < HEADER + 8) return undefined;
  const within = SIZE_IN.get(request[HEADER + 3] ?? 0);
  const start = answer.readUInt16LE(HEADER + 2);
  return within === undefined || start < HEADER || start + within + 8 > answer.length ? undefined : start + within;
}
