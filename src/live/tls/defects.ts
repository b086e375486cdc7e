/**
 * What is wrong with a server's certificate: all of it. OpenSSL names one defect and stops, so that an expired certificate hides that nobody
 * trusts it; here each is looked for (RFC 5280 §6.1, the part that matters for servers), and OpenSSL's own answer has to agree.
 */
import { Buffer } from 'node:buffer';
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { pathLengthOf, purposesOf, signatureOf } from './certificate.js';

/** In FortiOS's classes; `wrong-name` is `sni-server-cert-check`'s. */
export const DEFECTS = ['expired', 'revoked', 'untrusted', 'invalid', 'wrong-name'] as const;
export type Defect = (typeof DEFECTS)[number];

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ANY_PURPOSE = '2.5.29.37.0';
/** MD2, MD4, MD5 and SHA-1, with RSA, DSA and ECDSA. */
const WEAK_SIGNATURES: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.2',
  '1.2.840.113549.1.1.3',
  '1.2.840.113549.1.1.4',
  '1.2.840.113549.1.1.5',
  '1.2.840.10040.4.3',
  '1.2.840.10045.4.1',
]);
const LEAST_RSA_BITS = 2048;
const LEAST_EC_BITS = 224;

export interface Presented {
  /** The server's own first, each signed by the next, as far as the server or the trust store had them. */
  readonly chain: readonly X509Certificate[];
  /** OpenSSL found nothing against it. */
  readonly authorized: boolean;
  /** OpenSSL's word for what it stopped at. */
  readonly complaint: string | undefined;
  /** The name that the client asked for; undefined: it asked for none. */
  readonly name: string | undefined;
  /** A stapled answer says that it was revoked. */
  readonly revoked: boolean;
}

/** `now` in milliseconds since 1970; `trusted` tells whether a certificate is a root that the system trusts. */
export function defectsOf(
  presented: Presented,
  now: number,
  trusted: (root: X509Certificate) => boolean,
): ReadonlySet<Defect> {
  const { chain, name } = presented;
  const found = new Set<Defect>();
  const [leaf] = chain;
  if (leaf === undefined) return new Set(['invalid']);
  if (presented.revoked || presented.complaint === 'CERT_REVOKED') found.add('revoked');
  for (const each of chain) if (!isCurrent(each, now)) found.add('expired');
  if (!leadsToTrust(chain, trusted)) found.add('untrusted');
  const purposes = purposesOf(leaf);
  const forServers = purposes.length === 0 || purposes.includes(SERVER_AUTH) || purposes.includes(ANY_PURPOSE);
  // A self-signed one is often marked as an authority: nobody trusts it anyway.
  const posesAsAuthority = leaf.ca && !leaf.checkIssued(leaf);
  if (!forServers || posesAsAuthority || chain.some((each, at) => isWeak(each, at === chain.length - 1)))
    found.add('invalid');
  if (name !== undefined && !carries(leaf, name)) found.add('wrong-name');
  const noticed = [...found].some((defect) => defect !== 'wrong-name');
  if (!presented.authorized && !noticed) found.add('invalid');
  return found;
}

export function isCurrent(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
}

/** Each is signed by the next, which may sign, and the last one is trusted. */
export function leadsToTrust(chain: readonly X509Certificate[], trusted: (root: X509Certificate) => boolean): boolean {
  for (const [at, each] of chain.entries()) {
    if (trusted(each)) return true;
    const issuer = chain[at + 1];
    if (issuer === undefined || !issuer.ca || !each.checkIssued(issuer) || !each.verify(issuer.publicKey)) return false;
    // How many authorities stand between it and the server's certificate.
    if ((pathLengthOf(issuer) ?? Number.POSITIVE_INFINITY) < at) return false;
  }
  return false;
}

/** The signature of a root proves nothing, so its algorithm does not matter. */
function isWeak(certificate: X509Certificate, isLast: boolean): boolean {
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_RSA_BITS) return true;
  if (asymmetricKeyType === 'ec' && (CURVE_BITS.get(asymmetricKeyDetails?.namedCurve ?? '') ?? 256) < LEAST_EC_BITS)
    return true;
  const selfSigned = isLast && certificate.checkIssued(certificate);
  return !selfSigned && WEAK_SIGNATURES.has(signatureOf(certificate));
}

const CURVE_BITS: ReadonlyMap<string, number> = new Map([
  ['prime192v1', 192],
  ['secp192k1', 192],
  ['secp160r1', 160],
  ['secp160k1', 160],
  ['secp112r1', 112],
  ['secp128r1', 128],
]);

/** In its alternative names: a common name is no server's name any more (RFC 9525 §6.3). */
function carries(leaf: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? leaf.checkHost(name, { subject: 'never' }) : leaf.checkIP(name)) !== undefined;
}

/** A certificate that Node hands out as nested plain objects. */
export interface NestedCertificate {
  readonly raw?: Buffer;
  readonly issuerCertificate?: NestedCertificate;
}

/** The certificates of a chain, the server's first; at most `most`. */
export function rawChain(leaf: NestedCertificate, most: number): Buffer[] {
  const chain: Buffer[] = [];
  let each: NestedCertificate | undefined = leaf;
  // A self-signed one names itself as its issuer.
  while (each?.raw !== undefined && Buffer.isBuffer(each.raw) && chain.length < most) {
    if (chain.some((known) => each?.raw?.equals(known) === true)) break;
    chain.push(each.raw);
    each = each.issuerCertificate;
  }
  return chain;
}
