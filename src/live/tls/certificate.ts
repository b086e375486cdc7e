/**
 * Certificates of our own (RFC 5280): the authorities that sign, and those that stand in for a server's. A stand-in has the server's subject,
 * names, purposes and validity as they were written, a key of ours of the server's kind, and our authority's signature. node-forge builds
 * the structure; node:crypto signs, thirty times as fast.
 */
import { Buffer } from 'node:buffer';
import { createHash, createPublicKey, type KeyObject, sign, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type Asn1,
  bits,
  bool,
  contentOf,
  inside,
  integer,
  isInteger,
  isTag,
  nothing,
  octets,
  oid,
  oidOf,
  parseDer,
  sequence,
  set,
  tagged,
  text,
  time,
  toDer,
} from './asn1.js';

const OID = {
  sha256WithRsa: '1.2.840.113549.1.1.11',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  purposes: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** Somebody else's bytes go into our certificate: no more than this of them. */
const MOST_COPIED = 32_768;

export interface Signer {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
}

/** A self-signed authority. `serial`: 16 random bytes. */
export function authorityCertificate(name: string, key: KeyObject, serial: Buffer, from: Date, to: Date): Buffer {
  const subject = sequence(
    set(sequence(oid(OID.organization), text('inspectd'))),
    set(sequence(oid(OID.commonName), text(name))),
  );
  const spki = publicKeyOf(key);
  return signed(
    [
      tagged(0, [integer(Buffer.from([2]))]),
      integer(positive(serial)),
      algorithmOf(key),
      subject,
      sequence(time(from), time(to)),
      subject,
      spki,
      tagged(3, [
        sequence(
          extension(OID.basicConstraints, sequence(bool(true), integer(Buffer.from([0]))), true),
          // keyCertSign and cRLSign.
          extension(OID.keyUsage, bits(Buffer.from([0x06]), 1), true),
          extension(OID.subjectKey, octets(keyId(spki))),
        ),
      ]),
    ],
    key,
  );
}

/** What a certificate that `issuedCertificate` makes is for. */
export interface Issued {
  readonly commonName: string;
  /** DNS names and IP addresses that it is good for. */
  readonly names?: readonly string[];
  readonly purpose: 'server' | 'client';
  readonly from: Date;
  readonly to: Date;
}

/** One of our own, signed by an authority of ours, for `key`. `serial`: 20 random bytes at most. */
export function issuedCertificate(issued: Issued, key: KeyObject, signer: Signer, serial: Buffer): Buffer {
  const { commonName, names = [], purpose, from, to } = issued;
  const issuer = inside(inside(parseDer(signer.certificate.raw))[0]);
  const spki = publicKeyOf(key);
  const named = names.map((name) => (isIP(name) === 0 ? tagged(2, Buffer.from(name)) : tagged(7, addressBytes(name))));
  return signed(
    [
      tagged(0, [integer(Buffer.from([2]))]),
      integer(positive(serial)),
      algorithmOf(signer.key),
      // An authority's own name is the sixth field, behind its version.
      issuer[5] ?? sequence(),
      sequence(time(from), time(to)),
      sequence(set(sequence(oid(OID.commonName), text(commonName)))),
      spki,
      tagged(3, [
        sequence(
          extension(OID.basicConstraints, sequence(), true),
          extension(OID.keyUsage, bits(Buffer.from([0x80]), 7), true),
          extension(OID.purposes, sequence(oid(purpose === 'server' ? OID.serverAuth : OID.clientAuth))),
          ...(named.length === 0 ? [] : [extension(OID.subjectNames, sequence(...named))]),
          extension(OID.subjectKey, octets(keyId(spki))),
          extension(OID.authorityKey, sequence(tagged(0, keyId(publicKeyOf(signer.key))))),
        ),
      ]),
    ],
    signer.key,
  );
}

/** Stands in for `server`, with the public half of `leafKey`. Undefined when `server` cannot be read, or copies of it would be too large. */
export function standIn(
  server: X509Certificate,
  leafKey: KeyObject,
  signer: Signer,
  serial: Buffer,
): Buffer | undefined {
  const [body] = inside(parseDer(server.raw));
  const issuer = inside(inside(parseDer(signer.certificate.raw))[0]);
  const fields = inside(body);
  const at = isTag(fields[0], 0) ? 1 : 0;
  const validity = fields[at + 3];
  const subject = fields[at + 4];
  const issuerName = issuer[isTag(issuer[0], 0) ? 5 : 4];
  if (validity === undefined || subject === undefined || issuerName === undefined) return undefined;
  const wanted = inside(inside(fields.find((field) => isTag(field, 3)))[0]).filter((each) =>
    COPIED.has(oidOf(inside(each)[0])),
  );
  const copied = [subject, ...wanted].reduce((sum, each) => sum + toDer(each).length, 0);
  if (copied > MOST_COPIED) return undefined;
  const spki = publicKeyOf(leafKey);
  // Encryption with the key itself is what RSA key exchange needs; an EC key only signs.
  const usage = leafKey.asymmetricKeyType === 'rsa' ? bits(Buffer.from([0xa0]), 5) : bits(Buffer.from([0x80]), 7);
  return signed(
    [
      tagged(0, [integer(Buffer.from([2]))]),
      integer(positive(serial)),
      algorithmOf(signer.key),
      issuerName,
      validity,
      subject,
      spki,
      tagged(3, [
        sequence(
          extension(OID.basicConstraints, sequence(), true),
          extension(OID.keyUsage, usage, true),
          ...wanted,
          extension(OID.subjectKey, octets(keyId(spki))),
          extension(OID.authorityKey, sequence(tagged(0, keyId(publicKeyOf(signer.key))))),
        ),
      ]),
    ],
    signer.key,
  );
}

const COPIED: ReadonlySet<string> = new Set([OID.subjectNames, OID.purposes]);

/** The purposes that a certificate names, dotted; none: any. */
export function purposesOf(certificate: X509Certificate): string[] {
  return inside(parseDer(extensionOf(certificate, OID.purposes) ?? Buffer.alloc(0))).map(oidOf);
}

/** The largest number of authorities below it that it allows; undefined: any. */
export function pathLengthOf(certificate: X509Certificate): number | undefined {
  // cA may be left out, so that the number is the last of what is there.
  const constraints = inside(parseDer(extensionOf(certificate, OID.basicConstraints) ?? Buffer.alloc(0)));
  const length = contentOf(constraints.find((each) => isInteger(each)));
  return length.length === 0 ? undefined : length.readUIntBE(0, Math.min(6, length.length));
}

/** The algorithm that it was signed with, dotted. */
export function signatureOf(certificate: X509Certificate): string {
  return oidOf(inside(inside(parseDer(certificate.raw))[1])[0]);
}

function extensionOf(certificate: X509Certificate, wanted: string): Buffer | undefined {
  const fields = inside(inside(parseDer(certificate.raw))[0]);
  const all = inside(inside(fields.find((field) => isTag(field, 3)))[0]);
  const found = all.find((each) => oidOf(inside(each)[0]) === wanted);
  return found === undefined ? undefined : contentOf(inside(found).at(-1));
}

function signed(fields: Asn1[], key: KeyObject): Buffer {
  const body = sequence(...fields);
  const signature = sign('sha256', toDer(body), key);
  return toDer(sequence(body, algorithmOf(key), bits(signature)));
}

function algorithmOf(key: KeyObject): Asn1 {
  return key.asymmetricKeyType === 'rsa'
    ? sequence(oid(OID.sha256WithRsa), nothing())
    : sequence(oid(OID.ecdsaWithSha256));
}

function publicKeyOf(key: KeyObject): Asn1 {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return parseDer(der)!;
}

/** RFC 5280 §4.2.1.2, method 1. */
function keyId(spki: Asn1): Buffer {
  const key = inside(spki)[1];
  const raw = key === undefined ? Buffer.alloc(0) : toDer(key).subarray(-contentOf(key).length);
  return createHash('sha1').update(raw).digest();
}

function extension(id: string, value: Asn1, critical = false): Asn1 {
  return sequence(oid(id), ...(critical ? [bool(true)] : []), octets(toDer(value)));
}

/** Four bytes or sixteen, as a certificate names an address. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [front = '', back] = address.split('::');
  const groups = (half: string): number[] =>
    half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(front);
  const behind = groups(back ?? '');
  const bytes = Buffer.alloc(16);
  for (const [at, group] of before.entries()) bytes.writeUInt16BE(group, at * 2);
  for (const [at, group] of behind.entries()) bytes.writeUInt16BE(group, 16 - (behind.length - at) * 2);
  return bytes;
}

/** A serial is a positive number of at most 20 bytes. */
function positive(serial: Buffer): Buffer {
  const bytes = Buffer.from(serial);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}
