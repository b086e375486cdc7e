/**
 * Windows executables (PE format, §3-§4): program or library, .NET, and the packers that FortiOS names, by their section names.
 * A DOS program has the same two first letters and is an `exe` too.
 */
import type { Content } from '../../core/file.js';

const DLL = 0x2000;
const SECTIONS = 96;
/** By the start of a section's name. */
const PACKERS: readonly (readonly [string, string])[] = [
  ['UPX', 'upx'],
  ['.petite', 'petite'],
  ['petite', 'petite'],
  ['.aspack', 'aspack'],
  ['.adata', 'aspack'],
  ['ASPack', 'aspack'],
];

/** Types, or nothing when it is none. */
export function executableTypes(content: Content, head: Buffer): string[] {
  if (head.length < 64 || head.toString('latin1', 0, 2) !== 'MZ') return [];
  const at = head.readUInt32LE(60);
  const bytes =
    at >= 4 && at < content.length ? Buffer.from(content.read(at, 24 + 256 + SECTIONS * 40)) : head.subarray(0, 0);
  if (bytes.length < 26 || bytes.readUInt32LE(0) !== 0x4550) {
    // Text may begin with MZ: a DOS header counts its pages, and its header has at least two paragraphs.
    const pages = head.readUInt16LE(4);
    return pages > 0 && pages <= 0x800 && head.readUInt16LE(8) >= 2 && head.readUInt16LE(8) <= 0x100 ? ['exe'] : [];
  }
  const sections = Math.min(bytes.readUInt16LE(6), SECTIONS);
  const optional = bytes.readUInt16LE(20);
  const types = [(bytes.readUInt16LE(22) & DLL) !== 0 ? 'dll' : 'exe'];
  // The fifteenth data directory is the CLR header; it lies further on in a 64-bit image.
  const directories = 24 + (bytes.readUInt16LE(24) === 0x20b ? 112 : 96);
  const clr = directories + 14 * 8;
  if (optional >= clr + 8 - 24 && clr + 8 <= bytes.length && bytes.readUInt32LE(clr) !== 0) types.push('.net');
  for (let i = 0; i < sections; i++) {
    const name = 24 + optional + i * 40;
    if (name + 40 > bytes.length) break;
    const text = bytes.toString('latin1', name, name + 8);
    const packer = PACKERS.find(([start]) => text.startsWith(start))?.[1];
    if (packer !== undefined && !types.includes(packer)) types.push(packer);
  }
  // FSG leaves its name in the DOS header, where the PE header then starts at 12.
  if (head.includes('FSG!', 0, 'latin1') && head.indexOf('FSG!', 0, 'latin1') < 512) types.push('fsg');
  return types;
}
