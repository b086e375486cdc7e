/**
 * The simulated EMS's authority: it signs its own web certificate and those of endpoints. An endpoint's certificate names its UID as the common
 * name, and its issuer is named by the serial number of the EMS.
 */
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authority, pem } from '../../live/tls/authority.js';
import { issuedCertificate, type Issued, type Signer } from '../../live/tls/certificate.js';

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

  /** For HTTPS, under these names and addresses. */
  server(names: readonly string[]): PemPair {
    return this.#issue({ commonName: names[0] ?? 'localhost', names, purpose: 'server' }, randomBytes(16));
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

  has(uid: string): boolean {
    return existsSync(this.pathOf(uid));
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
