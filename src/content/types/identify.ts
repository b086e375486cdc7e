/**
 * What a file is, by its content, in FortiOS's type names (signatures/FILE-TYPES.md); the name only helps to tell kinds of text apart.
 * A file that is several things at once has all their types. Also: whether a password is needed to read it.
 *
 * An Office document is `msofficex` and not `zip`, as FortiOS has it; jar, apk and the like are `zip`.
 */
import type { Content } from '../../core/file.js';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { otherFormat } from '../archive/other-formats.js';
import { isTarHeader } from '../archive/tar.js';
import { lasting } from '../pieces.js';
import { isEncrypted7z, isEncryptedPdf, isEncryptedRar } from './encrypted.js';
import { executableTypes } from './executable.js';
import { readOle2 } from './ole2.js';
import { fileTypeSignatures, matches, type Signature } from './signature-table.js';
import { textTypes } from './text-kinds.js';
import { readZip } from './zip-documents.js';

export interface Identity {
  /** The most telling first; `unknown` alone when none fits. */
  readonly types: readonly string[];
  /** Needs a password to be read, as far as its headers say. */
  readonly encrypted: boolean;
}

/** Types that hold files, here and there as they are (stored, not packed): a zip within one is not the file's own. */
const HOLDERS = new Set([
  'gzip',
  'xz',
  'bzip2',
  'lzip',
  'tar',
  'iso',
  '7z',
  'rar',
  'cab',
  'arj',
  'lzh',
  'xar',
  'rpm',
  'msoffice',
  'msi',
  'hwp',
  'dmg',
  'mime',
]);
/** Types that the first 4 KiB cannot show, or cannot tell from one another: what they are lies further on. */
const BEYOND_HEAD = new Set(['dmg', 'zip', 'msofficex', 'msoffice', 'msi', 'hwp', 'unknown']);
/** How far from its start a PDF's header may stand (ISO 32000-1, implementation note 13). */
const PDF_WITHIN = 1024;
const TAR_BLOCK = 512;

/** True when a file's head (limits.typeHead) shows whether the file has this type; a file filter rule for any other must see all of it. */
export function headDecides(type: string): boolean {
  const further = (signature: Signature): boolean =>
    signature.type === type && signature.reach > DEFAULT_LIMITS.typeHead;
  return !BEYOND_HEAD.has(type) && !fileTypeSignatures().some(further);
}

/** `content` may be a head alone: then the types of `headDecides` are right, and the others may be missing. */
export function identify(content: Content, name: string | undefined): Identity {
  // Kept while more is read.
  const head = headOf(content);
  const types: string[] = [];
  let encrypted = false;
  const add = (type: string): void => {
    if (!types.includes(type)) types.push(type);
  };

  for (const type of executableTypes(content, head)) add(type);
  const ole2 = readOle2(content, head);
  if (ole2 !== undefined) {
    add(ole2.type);
    encrypted ||= ole2.encrypted;
  }
  for (const signature of fileTypeSignatures()) if (matches(signature, head, content)) add(signature.type);
  if (isTar(head, types.length === 0)) add('tar');
  const pdf = head.subarray(0, PDF_WITHIN + 5).indexOf('%PDF-', 0, 'latin1');
  if (pdf >= 0 && (pdf === 0 || types.length > 0 || pdf < PDF_WITHIN)) {
    add('pdf');
    encrypted ||= isEncryptedPdf(content);
  }
  if (types.length === 0 && isMpegAudio(head)) add('mp3');
  if (isDiskImage(content)) add('dmg');
  if (types.includes('7z')) encrypted ||= isEncrypted7z(content, head);
  if (types.includes('rar')) encrypted ||= isEncryptedRar(content, head);
  const zip = readZip(content, head, types.some((type) => HOLDERS.has(type)) || otherFormat(head) !== undefined);
  if (zip !== undefined) {
    // A Chrome extension is a zip behind a header, and one thing.
    if (!types.includes('crx')) add(zip.type);
    encrypted ||= zip.encrypted;
  }
  // Text within pictures and documents is theirs; a page or a script in front of a zip is not.
  if (types.length === 0) for (const type of textTypes(head, name)) add(type);
  else if (types[0] === 'zip' && head[0] !== 0x50)
    for (const type of textTypes(head.subarray(0, Math.max(0, head.indexOf('PK', 0, 'latin1'))), name)) add(type);
  return { types: types.length > 0 ? types : ['unknown'], encrypted };
}

function headOf(content: Content): Buffer {
  const length = Math.min(content.length, DEFAULT_LIMITS.typeHead);
  return lasting(content, 0, length);
}

/** A header block, or what readers skip to find one: the magic with a wrong checksum, blocks of zeros or junk in front. */
function isTar(head: Buffer, unknown: boolean): boolean {
  if (isTarHeader(head.subarray(0, TAR_BLOCK)) || isUstar(head, 0)) return true;
  if (!unknown) return false;
  for (let at = TAR_BLOCK; at + TAR_BLOCK <= head.length; at += TAR_BLOCK)
    if (isUstar(head, at) && isTarHeader(head.subarray(at, at + TAR_BLOCK))) return true;
  return false;
}

function isUstar(head: Buffer, at: number): boolean {
  return head.length >= at + TAR_BLOCK && head.toString('latin1', at + 257, at + 262) === 'ustar';
}

/** The last 512 bytes of an Apple disk image are its `koly` block, which says its own length. */
function isDiskImage(content: Content): boolean {
  if (content.length < 512) return false;
  const trailer = content.read(content.length - 512, 12);
  return trailer.toString('latin1', 0, 4) === 'koly' && trailer.readUInt32BE(8) === 512;
}

/** kbit/s of MPEG-1 layer III (ISO 11172-3 §2.4.2.3) and of MPEG-2 layer III. */
const RATES1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const RATES2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const FREQUENCIES = [44_100, 48_000, 32_000];

/** Without a tag there is only the frame's first bits, which much else has: three frames must follow one another. */
function isMpegAudio(head: Buffer): boolean {
  let at = 0;
  for (let frames = 0; frames < 3; frames++) {
    const length = frameLength(head, at);
    if (length === undefined) return false;
    at += length;
  }
  return true;
}

function frameLength(head: Buffer, at: number): number | undefined {
  if (at + 4 > head.length || head[at] !== 0xff) return undefined;
  const second = head[at + 1]!;
  const third = head[at + 2]!;
  const version = (second >> 3) & 3;
  if ((second & 0xe0) !== 0xe0 || version === 1 || ((second >> 1) & 3) !== 1) return undefined;
  const rate = (version === 3 ? RATES1 : RATES2)[third >> 4];
  const frequency = FREQUENCIES[(third >> 2) & 3];
  if (rate === undefined || rate === 0 || frequency === undefined) return undefined;
  const divided = version === 3 ? frequency : version === 2 ? frequency / 2 : frequency / 4;
  return Math.floor(((version === 3 ? 144 : 72) * rate * 1000) / divided) + ((third >> 1) & 1);
}
