/**
 * TNEF ([MS-OXTNEF]), Outlook's `winmail.dat`: the attachments' data under their names, and each attachment's properties, in which
 * objects and messages may lie, as a file of its own. The message body and its properties are not taken out.
 */
import { Buffer } from 'node:buffer';
import type { Content, Unpacker } from '../../core/file.js';
import { decodeName } from './names.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';

const SIGNATURE = 0x223e9f78;
const PIECE = 256 * 1024;
const NAME = 4096;

const RENDER_DATA = 0x00069002;
const TITLE = 0x00018010;
const DATA = 0x0006800f;
const PROPERTIES = 0x00069005;

export function tnefUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'tnef',
    accepts: (_types, content) => content.length >= 6 && content.read(0, 4).readUInt32LE(0) === SIGNATURE,
    unpack(content, container) {
      const unpacking = new Unpacking(container, content.length, limits);
      if (unpacking.mayBegin()) readAttributes(content, unpacking);
    },
  };
}

interface Found {
  readonly at: number;
  readonly length: number;
}

/** Each attribute: level, id, length, data, checksum of two bytes ([MS-OXTNEF] §2.1.3). */
function readAttributes(content: Content, unpacking: Unpacking): void {
  let name: string | undefined;
  /** Its title may come before or behind it. */
  let data: Found[] = [];
  const settle = (): void => {
    for (const one of data) if (!unpacking.stopped) copy(content, one, unpacking.open({ name }));
    data = [];
    name = undefined;
  };
  for (let at = 6; at < content.length && unpacking.mayGoOn(); ) {
    const head = content.read(at, 9);
    if (head.length < 9 || (head[0] !== 1 && head[0] !== 2)) {
      unpacking.unscannable('corrupted', 'TNEF attribute is cut or damaged');
      break;
    }
    const id = head.readUInt32LE(1);
    const length = head.readUInt32LE(5);
    if (at + 9 + length > content.length) unpacking.unscannable('corrupted', 'TNEF attribute is cut');
    if (id === RENDER_DATA) settle();
    else if (id === TITLE) {
      const bytes = Buffer.from(content.read(at + 9, Math.min(length, NAME)));
      const zero = bytes.indexOf(0);
      name = decodeName(zero < 0 ? bytes : bytes.subarray(0, zero));
    } else if (id === DATA || id === PROPERTIES) data.push({ at: at + 9, length });
    at += 9 + length + 2;
  }
  settle();
}

function copy(content: Content, found: Found, member: Member | undefined): void {
  if (member === undefined) return;
  const end = Math.min(content.length, found.at + found.length);
  for (let at = found.at; at < end; ) {
    const piece = content.read(at, Math.min(PIECE, end - at));
    if (piece.length === 0 || !member.write(piece, 0, piece.length)) break;
    at += piece.length;
  }
  if (end < found.at + found.length) member.cut();
  else member.end();
}
