/** Where in decoded noise a file may begin: by the first bytes of what is worth taking apart or running. */
import { Buffer } from 'node:buffer';

const MAGICS = [
  'PK\x03\x04',
  '%PDF-',
  '7z\xbc\xaf\x27\x1c',
  'Rar!\x1a\x07',
  '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1',
  '\x1f\x8b\x08',
  '\xfd7zXZ\0',
  '\x28\xb5\x2f\xfd',
  'MSCF\0\0\0\0',
  '\x7fELF',
  '{\\rtf',
  'ITSF\x03\0\0\0',
].map((magic) => Buffer.from(magic, 'latin1'));
const BZIP2 = Buffer.from('1AY&SY', 'latin1');
const PE = Buffer.from('PE\0\0', 'latin1');
const MZ = Buffer.from('MZ', 'latin1');
/** Programs for Windows say where their header is; it is looked for behind so many places. */
const MZ_PLACES = 1_000;

/** Ascending, without the very beginning: the first place of each kind. */
export function beginnings(bytes: Buffer): number[] {
  const places = new Set<number>();
  for (const magic of MAGICS) places.add(bytes.indexOf(magic));
  places.add(bytes.indexOf(BZIP2) - 4);
  places.add(program(bytes));
  return [...places].filter((at) => at > 0).sort((a, b) => a - b);
}

/** -1 when there is none. */
function program(bytes: Buffer): number {
  let looked = 0;
  for (let at = bytes.indexOf(MZ); at >= 0 && looked < MZ_PLACES; at = bytes.indexOf(MZ, at + 1), looked++) {
    if (at + 64 > bytes.length) return -1;
    const header = at + bytes.readUInt32LE(at + 60);
    if (header + 4 <= bytes.length && bytes.subarray(header, header + 4).equals(PE)) return at;
  }
  return -1;
}
