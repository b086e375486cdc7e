/**
 * What the configuration says of certificates: whom to trust beside the system (`config vpn certificate ca`), and the authorities and
 * server certificates of `config vpn certificate local`. Our own authorities sign where no other is named, and are never trusted
 * themselves: a server that shows one of theirs is no server of anybody.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Config } from '../../config/config.js';
import { ConfigError } from '../../core/errors.js';
import type { SslProfile } from '../../policy/ssl-profile.js';
import type { Authorities } from './authority.js';
import type { Signer } from './certificate.js';

/** Debian's, beside those that Node brings. */
const SYSTEM_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
/** FortiOS's names of the authorities that a device has by itself. */
const OUR_NAMES: ReadonlySet<string> = new Set(['Fortinet_CA_SSL', 'Fortinet_CA_Untrusted']);

export class TrustStore {
  readonly #own: Authorities;
  readonly #roots: readonly string[];
  readonly #fingerprints: ReadonlySet<string>;
  readonly #local: ReadonlyMap<string, Signer>;
  readonly #contexts = new Map<string, SecureContext>();
  readonly #replacements = new Map<string, SecureContext>();

  /** Throws ConfigError for a certificate or key that cannot be read. */
  constructor(config: Config, own: Authorities) {
    this.#own = own;
    const { trusted, local } = configuredCertificates(config);
    // Whoever had our authority installed here for clients of this machine did not mean servers.
    const ours = new Set([own.trusted, own.untrusted].map(({ certificate }) => certificate.fingerprint256));
    const roots = new Map<string, string>();
    for (const each of [...new Set([...rootCertificates, ...systemRoots()])])
      for (const fingerprint of fingerprints(each)) roots.set(fingerprint, each);
    for (const each of trusted) roots.set(each.fingerprint256, each.toString());
    for (const fingerprint of ours) roots.delete(fingerprint);
    this.#roots = [...roots.values()];
    this.#fingerprints = new Set(roots.keys());
    this.#local = local;
  }

  trusts(root: X509Certificate): boolean {
    return this.#fingerprints.has(root.fingerprint256);
  }

  /** For connections to servers. */
  context(options: SecureContextOptions): SecureContext {
    const key = JSON.stringify(options);
    let context = this.#contexts.get(key);
    if (context === undefined) {
      context = createSecureContext({ ...options, ca: [...this.#roots] });
      this.#contexts.set(key, context);
    }
    return context;
  }

  signer({ caname, untrustedCaname }: SslProfile, kind: 'trusted' | 'untrusted'): Signer {
    const name = kind === 'trusted' ? caname : untrustedCaname;
    return (name === undefined ? undefined : this.#local.get(name)) ?? this.#own[kind];
  }

  /** `server-cert-mode replace`: the server's own certificate, which we were given. */
  replacement({ serverCert }: SslProfile, options: SecureContextOptions): SecureContext | undefined {
    const signer = serverCert === undefined ? undefined : this.#local.get(serverCert);
    if (serverCert === undefined || signer === undefined) return undefined;
    const key = `${serverCert} ${JSON.stringify(options)}`;
    let context = this.#replacements.get(key);
    if (context === undefined) {
      context = createSecureContext({
        ...options,
        key: signer.key.export({ type: 'pkcs8', format: 'pem' }),
        cert: signer.certificate.toString(),
      });
      this.#replacements.set(key, context);
    }
    return context;
  }
}

/** `config vpn certificate`: whom to trust beside the system, and what we have the keys of. Throws ConfigError. */
export function configuredCertificates(config: Config): {
  readonly trusted: readonly X509Certificate[];
  readonly local: ReadonlyMap<string, Signer>;
} {
  const trusted = [...config.sections['vpn certificate ca'].values()].flatMap(({ key, ca }) => {
    if (ca === undefined) return [];
    const where = `config vpn certificate ca / edit "${key}"`;
    const found = pems(ca);
    if (found.length === 0) throw new ConfigError(`${where}: is no certificate in PEM`);
    return found.map((each) => parsed(each, where));
  });
  const local = new Map(
    [...config.sections['vpn certificate local'].values()].map((entry) => [entry.key, localSigner(entry)]),
  );
  for (const { name, caname, untrustedCaname, serverCert } of config.ssl.values())
    for (const each of [caname, untrustedCaname, serverCert])
      if (each !== undefined && !OUR_NAMES.has(each) && !local.has(each))
        throw new ConfigError(`ssl-ssh-profile "${name}": there is no "${each}" in "config vpn certificate local"`);
  return { trusted, local };
}

function systemRoots(): string[] {
  try {
    return pems(readFileSync(SYSTEM_BUNDLE, 'latin1'));
  } catch {
    // Not every system has it.
    return [];
  }
}

/** The certificates of a text. */
export function pems(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

function fingerprints(pem: string): string[] {
  try {
    return [new X509Certificate(pem).fingerprint256];
  } catch {
    return [];
  }
}

/** Throws ConfigError. */
export function parsed(pem: string, where: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new ConfigError(`${where}: is no certificate in PEM`, { cause });
  }
}

/** Key and certificate of an entry. Throws ConfigError. */
export function localSigner(entry: {
  readonly key: string;
  readonly certificate: string | undefined;
  readonly privateKey: string | undefined;
  readonly password: string | undefined;
}): Signer {
  const where = `config vpn certificate local / edit "${entry.key}"`;
  const certificate = parsed(entry.certificate ?? '', where);
  try {
    const key = createPrivateKey({
      key: entry.privateKey ?? '',
      format: 'pem',
      ...(entry.password === undefined ? {} : { passphrase: entry.password }),
    });
    if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec')
      throw new ConfigError(`${where}: its key is of a kind that clients do not take (RSA or EC is)`);
    if (!certificate.checkPrivateKey(key)) throw new ConfigError(`${where}: the private key is another certificate's`);
    return { key, certificate };
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`${where}: its private key cannot be read`, { cause });
  }
}
