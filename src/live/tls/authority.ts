/**
 * Our own authorities: one whose stand-ins clients are to trust, one for servers that nobody should trust, which clients must never be told
 * to. Made on the first start, in the state directory, for this installation alone.
 */
import type { Buffer } from 'node:buffer';
import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SourceError } from '../../core/errors.js';
import { authorityCertificate, type Signer } from './certificate.js';

const YEAR = 365 * 24 * 3600 * 1000;

export interface Authorities {
  readonly trusted: Signer;
  readonly untrusted: Signer;
}

/** Reads or makes them. Several processes may start at once: whoever is first makes them. Throws SourceError. */
export function authorities(directory: string): Authorities {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return {
      trusted: authority(join(directory, 'ca.pem'), 'inspectd CA'),
      untrusted: authority(join(directory, 'untrusted-ca.pem'), 'inspectd CA for untrusted servers'),
    };
  } catch (cause) {
    if (cause instanceof SourceError) throw cause;
    throw new SourceError(`state directory ${directory}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/** The key and certificate at `path`; made, with these words in its name, when there are none. Throws SourceError. */
export function authority(path: string, name: string, suffix = randomBytes(2).toString('hex').toUpperCase()): Signer {
  let text = read(path);
  if (text === undefined) {
    make(path, suffix === '' ? name : `${name} ${suffix}`);
    text = read(path) ?? '';
  }
  // Whoever reads the key can stand in for every server to every client.
  if ((statSync(path).mode & 0o077) !== 0)
    throw new SourceError(`${path}: others may read its key (chmod 600 ${path})`);
  try {
    return { key: createPrivateKey(text), certificate: new X509Certificate(text) };
  } catch (cause) {
    throw new SourceError(`${path}: holds no key and certificate in PEM`, { cause });
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Written whole under a name of its own, then given its name, unless another process was faster. */
function make(path: string, name: string): void {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const now = Date.now();
  const der = authorityCertificate(
    name,
    privateKey,
    randomBytes(16),
    new Date(now - 24 * 3600 * 1000),
    new Date(now + 10 * YEAR),
  );
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const draft = `${path}.${process.pid}`;
  // One that a crash has left keeps the rights that it had.
  rmSync(draft, { force: true });
  writeFileSync(draft, `${key}${pem(der)}`, { mode: 0o600 });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

export function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
