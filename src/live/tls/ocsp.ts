/**
 * A stapled OCSP answer (RFC 6960 §4.2): does it say that the certificate was revoked? Node hands it over unread. Whoever signed it, a
 * server that says of itself that it was revoked is taken at its word; no other answer changes anything, so its signature need not be
 * checked.
 */
import type { Buffer } from 'node:buffer';
import type { X509Certificate } from 'node:crypto';
import { type Asn1, contentOf, inside, isTag, parseDer } from './asn1.js';

export function saysRevoked(answer: Buffer, certificate: X509Certificate): boolean {
  // OCSPResponse: status, [0] { type, basic response in an octet string }.
  const bytes = inside(inside(inside(parseDer(answer))[1])[0])[1];
  const body = inside(inside(parseDer(contentOf(bytes)))[0]);
  // ResponseData: [0] version, responder, time, responses.
  const responses = body.find((each, at) => at > 0 && isListOfAnswers(each));
  return inside(responses).some((each) => {
    const [id, status] = inside(each);
    return isSerial(inside(id)[3], certificate) && isTag(status, REVOKED);
  });
}

const REVOKED = 1;

/** SEQUENCE OF SingleResponse, each of which begins with a CertID of four. */
function isListOfAnswers(tree: Asn1): boolean {
  const [first] = inside(tree);
  return inside(inside(first)[0]).length === 4;
}

function isSerial(tree: Asn1 | undefined, certificate: X509Certificate): boolean {
  const plain = (hex: string): string => hex.toLowerCase().replace(/^(00)+/, '');
  return plain(contentOf(tree).toString('hex')) === plain(certificate.serialNumber.padStart(2, '0'));
}
