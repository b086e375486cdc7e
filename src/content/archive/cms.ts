/**
 * S/MIME bodies (CMS, RFC 5652) as far as mail needs: what is signed and carried inside (`smime.p7m`, opaque signing) comes out, what is
 * enciphered is named, a signature alone (`smime.p7s`) or certificates alone have nothing in them. No signature is checked.
 */
import type { Content, Unpacker } from '../../core/file.js';
import { type ArchiveLimits, Unpacking } from './unpacking.js';

const PIECE = 256 * 1024;
/** Values within one another that are walked over. */
const DEPTH = 16;
const SEQUENCE = 0x30;
const OID = 0x06;
const OCTETS = 0x04;
const OCTETS_PIECES = 0x24;
const CONTEXT_0 = 0xa0;

/** 1.2.840.113549.1.7.x and 1.2.840.113549.1.9.16.1.x, as hex. */
const SIGNED = '2a864886f70d010702';
const ENCIPHERED = ['2a864886f70d010703', '2a864886f70d010706', '2a864886f70d0109100117'];
const COMPRESSED = '2a864886f70d0109100109';

export function cmsUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'cms',
    accepts: (_types, content) => kindOf(content) !== undefined,
    unpack(content, container) {
      const unpacking = new Unpacking(container, content.length, limits);
      if (!unpacking.mayBegin()) return;
      const kind = kindOf(content);
      if (kind === COMPRESSED) unpacking.unscannable('unhandled', 'CMS compressed data');
      else if (kind !== SIGNED) unpacking.unscannable('encrypted', 'CMS enciphered data');
      else if (!takeOut(content, unpacking)) unpacking.unscannable('corrupted', 'CMS signed data is cut or damaged');
    },
  };
}

function kindOf(content: Content): string | undefined {
  const head = content.read(0, 32);
  if (head[0] !== SEQUENCE) return undefined;
  const at = valueStart(head, 0);
  if (at === undefined || head[at] !== OID) return undefined;
  const oid = head.toString('hex', at + 2, at + 2 + head[at + 1]!);
  return oid === SIGNED || oid === COMPRESSED || ENCIPHERED.includes(oid) ? oid : undefined;
}

function valueStart(bytes: Buffer, at: number): number | undefined {
  const first = bytes[at + 1];
  if (first === undefined) return undefined;
  return first <= 0x80 ? at + 2 : at + 2 + (first & 0x7f);
}

interface Value {
  readonly tag: number;
  readonly start: number;
  /** undefined: of indefinite length. */
  readonly end: number | undefined;
}

/** The header of the value at `at`, or undefined when there is none. Tags of more than one byte do not occur here. */
function header(content: Content, at: number): Value | undefined {
  const bytes = content.read(at, 10);
  const tag = bytes[0];
  const first = bytes[1];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first };
  if (first === 0x80) return { tag, start: at + 2, end: undefined };
  const count = first & 0x7f;
  if (count > 6 || bytes.length < 2 + count) return undefined;
  return { tag, start: at + 2 + count, end: at + 2 + count + bytes.readUIntBE(2, count) };
}

/** One past the value, or undefined when it is cut. */
function past(content: Content, value: Value, depth = 0): number | undefined {
  if (value.end !== undefined) return value.end <= content.length ? value.end : undefined;
  for (let at = value.start; depth < DEPTH; ) {
    const inner = header(content, at);
    if (inner === undefined) return undefined;
    if (inner.tag === 0) return inner.start;
    const next = past(content, inner, depth + 1);
    if (next === undefined) return undefined;
    at = next;
  }
  return undefined;
}

/** ContentInfo, SignedData, EncapsulatedContentInfo, eContent (RFC 5652 §3, §5.1, §5.2). False when that cannot be walked. */
function takeOut(content: Content, unpacking: Unpacking): boolean {
  const enter = (at: number | undefined, tag: number): number | undefined => {
    const value = at === undefined ? undefined : header(content, at);
    return value?.tag === tag ? value.start : undefined;
  };
  const skip = (at: number | undefined): number | undefined => {
    const value = at === undefined ? undefined : header(content, at);
    return value === undefined ? undefined : past(content, value);
  };
  const signed = enter(enter(skip(enter(0, SEQUENCE)), CONTEXT_0), SEQUENCE);
  // version, digestAlgorithms
  const encapsulated = skip(skip(signed));
  const info = encapsulated === undefined ? undefined : header(content, encapsulated);
  if (info?.tag !== SEQUENCE) return false;
  const type = skip(info.start);
  if (type === undefined) return false;
  if (type === info.end) return true;
  const wrapped = header(content, type);
  if (wrapped === undefined) return false;
  // A signature of something that is elsewhere.
  if (wrapped.tag !== CONTEXT_0) return wrapped.tag === 0;
  const octets = header(content, wrapped.start);
  if (octets?.tag !== OCTETS && octets?.tag !== OCTETS_PIECES) return false;
  const member = unpacking.open({ name: undefined });
  if (member === undefined) return true;
  const write = (value: Value): boolean => {
    const end = value.end ?? 0;
    for (let at = value.start; at < Math.min(end, content.length); ) {
      const piece = content.read(at, Math.min(PIECE, end - at));
      if (piece.length === 0 || !member.write(piece, 0, piece.length)) return false;
      at += piece.length;
    }
    return end <= content.length;
  };
  let whole = true;
  if (octets.tag === OCTETS) whole = write(octets);
  else {
    for (let at = octets.start; whole && (octets.end === undefined || at < octets.end); ) {
      const piece = header(content, at);
      if (piece?.tag === 0 && octets.end === undefined) break;
      whole = piece?.tag === OCTETS && write(piece);
      at = piece?.end ?? at;
    }
  }
  if (whole || unpacking.stopped) member.end();
  else member.cut();
  return whole || unpacking.stopped;
}
