/**
 * OLE2 compound files ([MS-CFB]): which of the documents that use this container it is, and whether it is a locked Office document.
 * Reads the directory (bounded), not the streams.
 */
import type { Content } from '../../core/file.js';

const MAGIC = Buffer.from('d0cf11e0a1b11ae1', 'hex');
/** The class of a Windows Installer database, of a patch and of a transform: {000C1084/6/2-0000-0000-C000-000000000046}. */
const INSTALLER = /^8[246]100c0000000000c000000000000046$/;
const ENTRY = 128;
/** Directory sectors that are read: 512 entries at the least. */
const SECTORS = 128;
const END_OF_CHAIN = 0xfffffffa;

export interface Ole2 {
  readonly type: 'msoffice' | 'msi' | 'hwp';
  readonly encrypted: boolean;
}

/** Undefined when it is no compound file. */
export function readOle2(content: Content, head: Buffer): Ole2 | undefined {
  if (head.length < 512 || !head.subarray(0, 8).equals(MAGIC)) return undefined;
  const shift = head.readUInt16LE(30);
  if (shift !== 9 && shift !== 12) return { type: 'msoffice', encrypted: false };
  const sectorSize = 1 << shift;
  const names = new Set<string>();
  let rootClass = '';
  let sector = head.readUInt32LE(48);
  for (let count = 0; count < SECTORS && sector < END_OF_CHAIN; count++) {
    const bytes = content.read((sector + 1) * sectorSize, sectorSize);
    for (let at = 0; at + ENTRY <= bytes.length; at += ENTRY) {
      const length = bytes.readUInt16LE(at + 64);
      if (length < 2 || length > 64) continue;
      names.add(bytes.toString('utf16le', at, at + length - 2));
      if (bytes[at + 66] === 5) rootClass = bytes.toString('hex', at + 80, at + 96);
    }
    sector = nextSector(content, head, sector, sectorSize);
  }
  if (INSTALLER.test(rootClass)) return { type: 'msi', encrypted: false };
  if (names.has('FileHeader') && names.has('DocInfo')) return { type: 'hwp', encrypted: false };
  // A locked OOXML document is an OLE2 file with the zip inside ([MS-OFFCRYPTO] §2.3.4.4).
  return { type: 'msoffice', encrypted: names.has('EncryptedPackage') && names.has('EncryptionInfo') };
}

/** By the allocation table; only the 109 sectors of it that the header names, which is 6 MiB of file and where directories begin. */
function nextSector(content: Content, head: Buffer, sector: number, sectorSize: number): number {
  const perSector = sectorSize / 4;
  const index = Math.floor(sector / perSector);
  if (index >= 109) return END_OF_CHAIN;
  const table = head.readUInt32LE(76 + 4 * index);
  if (table >= END_OF_CHAIN) return END_OF_CHAIN;
  const bytes = content.read((table + 1) * sectorSize + (sector % perSector) * 4, 4);
  return bytes.length === 4 ? bytes.readUInt32LE(0) : END_OF_CHAIN;
}
