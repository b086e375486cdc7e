/**
 * The simulated EMS's authority: it signs its own web certificate and those of endpoints. An endpoint's certificate names its UID as the common
 * name, and its issuer is named by the serial number of the EMS.
 */
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authority, pem } from '../../live/tls/authority.js';
import { type Issued, issuedCertificate, type Signer } from '../../live/tls/certificate.js';

const DAY = 24 * 3600 * 1000;

export interface PemPair {
  readonly key: string;
  readonly certificate: string;
}

export class SimulatedAuthority {
  readonly #signer: Signer;
  readonly #directory: string;

  /** In `directory`: `ca.pem`, made when there is none, and `endpoints/UID.pem`. */
  constructor(directory: string, emsSerial: string) {
    mkdirSync(join(directory, 'endpoints'), { recursive: true, mode: 0o700 });
    this.#directory = directory;
    this.#signer = authority(join(directory, 'ca.pem'), emsSerial, '');
  }

  /** PEM, without its key. */
  get certificate(): string {
    return this.#signer.certificate.toString();
  }

  /** For HTTPS, under these names and addresses; kept, so that who accepted it by hand knows it again. */
  server(names: readonly string[]): PemPair {
    const path = join(this.#directory, 'server.json');
    const kept = keptPair(path, names);
    if (kept !== undefined) return kept;
    const pair = this.#issue({ commonName: names[0] ?? 'localhost', names, purpose: 'server' }, randomBytes(16));
    writeFileSync(path, JSON.stringify({ names, ...pair }), { mode: 0o600 });
    return pair;
  }

  /** Where the key and certificate of an endpoint lie, made anew, and its serial number. */
  endpoint(uid: string): { path: string; serial: string } {
    const path = this.pathOf(uid);
    const pair = this.#issue({ commonName: uid, purpose: 'client' }, randomBytes(20));
    writeFileSync(path, `${pair.key}${pair.certificate}`, { mode: 0o600 });
    return { path, serial: new X509Certificate(pair.certificate).serialNumber };
  }

  pathOf(uid: string): string {
    return join(this.#directory, 'endpoints', `${uid}.pem`);
  }

  #issue(what: Omit<Issued, 'from' | 'to'>, serial: Buffer): PemPair {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const now = Date.now();
    const issued = { ...what, from: new Date(now - DAY), to: new Date(now + 365 * DAY) };
    return {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      certificate: pem(issuedCertificate(issued, privateKey, this.#signer, serial)),
    };
  }
}

/** What was made for these names before; undefined: nothing was. */
function keptPair(path: string, names: readonly string[]): PemPair | undefined {
  if (!existsSync(path)) return undefined;
  const kept = JSON.parse(readFileSync(path, 'utf8')) as PemPair & { readonly names: readonly string[] };
  const valid = Date.parse(new X509Certificate(kept.certificate).validTo) > Date.now() + DAY;
  return valid && kept.names.join() === names.join() ? kept : undefined;
}
