/** The certificates that stand in for servers, ready for handshakes: made once for each server's certificate, the oldest unused forgotten. */
import { createHash, generateKeyPair, type KeyObject, randomBytes, type X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { promisify } from 'node:util';
import { pem } from './authority.js';
import { type Signer, standIn } from './certificate.js';

const makePair = promisify(generateKeyPair);

export class StandIns {
  readonly #rsa: KeyObject;
  readonly #ec: KeyObject;
  readonly #most: number;
  readonly #contexts = new Map<string, SecureContext>();

  /** Makes its keys; at most `most` certificates are kept. */
  static async create(most: number): Promise<StandIns> {
    const [rsa, ec] = await Promise.all([
      makePair('rsa', { modulusLength: 2048 }),
      makePair('ec', { namedCurve: 'P-256' }),
    ]);
    return new StandIns(rsa.privateKey, ec.privateKey, most);
  }

  private constructor(rsa: KeyObject, ec: KeyObject, most: number) {
    this.#rsa = rsa;
    this.#ec = ec;
    this.#most = most;
  }

  get size(): number {
    return this.#contexts.size;
  }

  clear(): void {
    this.#contexts.clear();
  }

  /** The same object for the same server, so that clients can resume. Undefined when the certificate cannot be mirrored. */
  contextFor(server: X509Certificate, signer: Signer, options: SecureContextOptions): SecureContext | undefined {
    const key = createHash('sha256')
      .update(server.raw)
      .update(signer.certificate.raw)
      .update(JSON.stringify([options.minVersion, options.maxVersion, options.ciphers]))
      .digest('base64');
    const known = this.#contexts.get(key);
    if (known !== undefined) {
      // The last used is the last to go.
      this.#contexts.delete(key);
      this.#contexts.set(key, known);
      return known;
    }
    const leafKey = server.publicKey.asymmetricKeyType === 'rsa' ? this.#rsa : this.#ec;
    const der = standIn(server, leafKey, signer, randomBytes(16));
    if (der === undefined) return undefined;
    const { certificate } = signer;
    const isRoot = certificate.checkIssued(certificate);
    const context = createSecureContext({
      ...options,
      key: leafKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: isRoot ? pem(der) : `${pem(der)}${certificate.toString()}`,
    });
    this.#contexts.set(key, context);
    if (this.#contexts.size > this.#most) this.#contexts.delete(this.#contexts.keys().next().value ?? '');
    return context;
  }
}
