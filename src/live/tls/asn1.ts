/** The few pieces of DER (X.690) that certificates are made of, over node-forge's tree. */
import { Buffer } from 'node:buffer';
import forge from 'node-forge';

export type Asn1 = forge.asn1.Asn1;
const { Class, Type } = forge.asn1;

export function parseDer(der: Buffer): Asn1 | undefined {
  try {
    return forge.asn1.fromDer(forge.util.createBuffer(der.toString('binary')), true);
  } catch {
    // Whoever sent it is wrong about what it is.
    return undefined;
  }
}

export function toDer(tree: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(tree).getBytes(), 'binary');
}

export function sequence(...inner: Asn1[]): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, inner);
}

export function set(...inner: Asn1[]): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.SET, true, inner);
}

export function oid(dotted: string): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.OID, false, forge.asn1.oidToDer(dotted).getBytes());
}

/** `bytes`: big-endian, its first bit 0. */
export function integer(bytes: Buffer): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.INTEGER, false, bytes.toString('binary'));
}

export function bool(value: boolean): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.BOOLEAN, false, String.fromCharCode(value ? 0xff : 0));
}

export function octets(bytes: Buffer): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, bytes.toString('binary'));
}

/** Whole bytes, but for `unused` bits of the last. */
export function bits(bytes: Buffer, unused = 0): Asn1 {
  const content = Buffer.concat([Buffer.from([unused]), bytes]).toString('binary');
  return forge.asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, content);
}

export function nothing(): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.NULL, false, '');
}

export function text(words: string): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.UTF8, false, Buffer.from(words, 'utf8').toString('binary'));
}

export function time(at: Date): Asn1 {
  return at.getUTCFullYear() < 2050
    ? forge.asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, forge.asn1.dateToUtcTime(at))
    : forge.asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, forge.asn1.dateToGeneralizedTime(at));
}

/** `[number]`, around others or with bytes of its own. */
export function tagged(number: number, inner: Asn1[] | Buffer): Asn1 {
  return Array.isArray(inner)
    ? forge.asn1.create(Class.CONTEXT_SPECIFIC, number as forge.asn1.Type, true, inner)
    : forge.asn1.create(Class.CONTEXT_SPECIFIC, number as forge.asn1.Type, false, inner.toString('binary'));
}

/** The elements of a constructed one; none of a primitive. */
export function inside(tree: Asn1 | undefined): readonly Asn1[] {
  return tree !== undefined && Array.isArray(tree.value) ? (tree.value as Asn1[]) : [];
}

/** The bytes of a primitive one. */
export function contentOf(tree: Asn1 | undefined): Buffer {
  return Buffer.from(tree === undefined || Array.isArray(tree.value) ? '' : (tree.value as string), 'binary');
}

export function oidOf(tree: Asn1 | undefined): string {
  const content = contentOf(tree);
  // Its last byte ends the last number.
  if (content.length === 0 || content.length > 64 || (content.at(-1) ?? 0) >= 0x80) return '';
  return forge.asn1.derToOid(forge.util.createBuffer(content.toString('binary')));
}

export function isTag(tree: Asn1 | undefined, number: number): boolean {
  return tree?.tagClass === Class.CONTEXT_SPECIFIC && (tree.type as number) === number;
}

export function isInteger(tree: Asn1): boolean {
  return tree.tagClass === Class.UNIVERSAL && tree.type === Type.INTEGER;
}
