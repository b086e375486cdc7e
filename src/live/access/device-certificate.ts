/**
 * Whose certificate a client showed: it names the endpoint by its UID (the common name), and has to be issued by an authority of EMS, be
 * current, and be meant for clients. Whether EMS took it back is asked later, of what is known of the endpoint.
 */
import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Device } from '../../ztna/rules.js';
import { purposesOf } from '../tls/certificate.js';
import { isCurrent, leadsToTrust, type NestedCertificate, rawChain } from '../tls/defects.js';

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ANY_PURPOSE = '2.5.29.37.0';
const MOST_CHAIN = 5;

/** `now` in milliseconds since 1970. */
export function deviceOf(
  client: TLSSocket,
  authorities: readonly X509Certificate[],
  now: number,
): Device | 'empty' | 'invalid' {
  const chain = rawChain(client.getPeerCertificate(true) as NestedCertificate, MOST_CHAIN).map(
    (raw) => new X509Certificate(raw),
  );
  const [leaf] = chain;
  if (leaf === undefined) return 'empty';
  const trusted = authorities.some((root) =>
    leadsToTrust([...chain, root], (each) => each.fingerprint256 === root.fingerprint256 && isCurrent(each, now)),
  );
  const purposes = purposesOf(leaf);
  const forClients = purposes.length === 0 || purposes.includes(CLIENT_AUTH) || purposes.includes(ANY_PURPOSE);
  if (!trusted || leaf.ca || !forClients || !chain.every((each) => isCurrent(each, now))) return 'invalid';
  const name: unknown = (leaf.toLegacyObject().subject as unknown as Record<string, unknown> | undefined)?.['CN'];
  if (typeof name !== 'string' || !/^[0-9A-F]{32}$/i.test(name)) return 'invalid';
  return { uid: name.toUpperCase(), serial: leaf.serialNumber.toUpperCase() };
}
