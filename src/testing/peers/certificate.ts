/** Certificates of the test's own, made by openssl. */
import { join } from 'node:path';
import { run } from './peers.js';

/** Paths of a key and of what certifies it, both PEM. */
export interface Certificate {
  readonly key: string;
  readonly certificate: string;
}

/** One for mail.test that certifies itself. */
export function selfSigned(directory: string, kind: 'rsa' | 'ec' = 'rsa'): Certificate {
  const key = join(directory, `${kind}.key`);
  const certificate = join(directory, `${kind}.crt`);
  const algorithm = kind === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const subject = ['-subj', '/CN=mail.test', '-days', '2'];
  run('openssl', ['req', '-x509', '-newkey', ...algorithm, '-nodes', '-keyout', key, '-out', certificate, ...subject]);
  return { key, certificate };
}
