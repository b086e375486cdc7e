/** Certificates of openssl's, each with what is wrong with it: all of it must be found, and nothing else. */
import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { peerTest, run, scratch } from '../../testing/peers/peers.js';
import { authorities, pem } from './authority.js';
import { standIn } from './certificate.js';
import { defectsOf } from './defects.js';

interface Made {
  readonly key: string;
  readonly path: string;
  readonly certificate: X509Certificate;
}

/** Signed by `by`, or by itself. `extensions`: lines of openssl's configuration. `days`: from now; negative: it is over. */
function make(
  directory: string,
  name: string,
  by: Made | undefined,
  extensions: string,
  options: { days?: number; digest?: string; key?: readonly string[]; start?: string } = {},
): Made {
  const [key, request, path, config] = ['key', 'csr', 'crt', 'cnf'].map((kind) =>
    join(directory, `${name}.${kind}`),
  ) as [string, string, string, string];
  run('openssl', [
    'genpkey',
    ...(options.key ?? ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']),
    '-out',
    key,
  ]);
  run('openssl', ['req', '-new', '-key', key, '-subj', `/CN=${name}`, '-out', request]);
  writeFileSync(config, extensions);
  const signer = by === undefined ? ['-signkey', key] : ['-CA', by.path, '-CAkey', by.key];
  const serial = ['-set_serial', `0x${randomBytes(8).toString('hex')}`];
  const digest = `-${options.digest ?? 'sha256'}`;
  const common = ['x509', '-req', '-in', request, ...signer, ...serial, '-extfile', config, digest, '-out', path];
  const days = String(options.days ?? 30);
  // openssl of Debian 12 makes no certificate that is over already but by a clock that is told.
  if (options.days !== undefined && options.days < 0)
    run('faketime', ['60 days ago', 'openssl', ...common, '-days', '30']);
  else run('openssl', [...common, '-days', days]);
  return { key, path, certificate: new X509Certificate(readFileSync(path)) };
}

const CA = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n';
const SERVER = 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:mail.test\n';

peerTest(
  'each defect of a server certificate is found, and none hides another',
  ['openssl', 'faketime'],
  async (context) => {
    const directory = scratch(context, 'defects');
    const root = make(directory, 'root', undefined, CA);
    const stranger = make(directory, 'stranger', undefined, CA);
    const between = make(directory, 'between', root, CA);
    const noAuthority = make(directory, 'no-authority', root, 'basicConstraints=critical,CA:FALSE\n');
    const short = make(directory, 'short', root, CA.replace('CA:TRUE', 'CA:TRUE,pathlen:0'));
    const belowShort = make(directory, 'below-short', short, CA);
    const weak = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'];
    const chains: readonly (readonly [
      name: string,
      chain: readonly Made[],
      authorized: boolean,
      expected: readonly string[],
    ])[] = [
      ['good', [make(directory, 'good', root, SERVER), root], true, []],
      ['good, through another', [make(directory, 'through', between, SERVER), between, root], true, []],
      ['over', [make(directory, 'over', root, SERVER, { days: -1 }), root], false, ['expired']],
      ['of a stranger', [make(directory, 'strange', stranger, SERVER), stranger], false, ['untrusted']],
      [
        'of a stranger and over',
        [make(directory, 'both', stranger, SERVER, { days: -1 }), stranger],
        false,
        ['expired', 'untrusted'],
      ],
      ['signed by itself', [make(directory, 'own', undefined, SERVER)], false, ['untrusted']],
      [
        'signed by itself as openssl req does it',
        [make(directory, 'own-ca', undefined, `${CA}subjectAltName=DNS:mail.test\n`)],
        false,
        ['untrusted'],
      ],
      ['without its issuer', [make(directory, 'alone', between, SERVER)], false, ['untrusted']],
      [
        'signed by one who may not',
        [make(directory, 'below-none', noAuthority, SERVER), noAuthority, root],
        false,
        ['untrusted'],
      ],
      ['too far below', [make(directory, 'deep', belowShort, SERVER), belowShort, short, root], false, ['untrusted']],
      [
        'of another name',
        [make(directory, 'name', root, SERVER.replace('mail.test', 'other.test')), root],
        true,
        ['wrong-name'],
      ],
      [
        'with a common name alone',
        [make(directory, 'mail.test', root, SERVER.replace(/subjectAltName.*/, '')), root],
        true,
        ['wrong-name'],
      ],
      [
        'for clients',
        [make(directory, 'client', root, SERVER.replace('serverAuth', 'clientAuth')), root],
        false,
        ['invalid'],
      ],
      [
        'an authority itself',
        [make(directory, 'authority', root, `${CA}subjectAltName=DNS:mail.test\n`), root],
        true,
        ['invalid'],
      ],
      ['with a key of 1,024 bits', [make(directory, 'weak', root, SERVER, { key: weak }), root], true, ['invalid']],
      ['signed with SHA-1', [make(directory, 'sha1', root, SERVER, { digest: 'sha1' }), root], true, ['invalid']],
      ['good to us and not to OpenSSL', [make(directory, 'doubt', root, SERVER), root], false, ['invalid']],
    ];
    for (const [name, chain, authorized, expected] of chains) {
      const presented = {
        chain: chain.map(({ certificate }) => certificate),
        authorized,
        complaint: undefined,
        name: 'mail.test',
        revoked: false,
      };
      const trusted = (each: X509Certificate): boolean => each.fingerprint256 === root.certificate.fingerprint256;
      assert.deepEqual([...defectsOf(presented, Date.now(), trusted)].sort(), [...expected], name);
      const revoked = defectsOf({ ...presented, revoked: true }, Date.now(), trusted);
      assert.ok(revoked.has('revoked'), name);
    }
  },
);

peerTest(
  'a stand-in has the names, times and kind of key of the server, and openssl takes it strictly',
  ['openssl'],
  async (context) => {
    const directory = scratch(context, 'stand-in');
    const state = join(directory, 'state');
    const { trusted, untrusted } = authorities(state);
    assert.equal(statSync(join(state, 'ca.pem')).mode & 0o777, 0o600);
    // The second time they are those that were made.
    assert.equal(authorities(state).trusted.certificate.fingerprint256, trusted.certificate.fingerprint256);
    assert.notEqual(trusted.certificate.subject, untrusted.certificate.subject);
    const ca = join(directory, 'ca.crt');
    writeFileSync(ca, trusted.certificate.toString());
    for (const [name, key] of [
      ['ec', undefined],
      ['rsa', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']],
    ] as const) {
      const server = make(directory, name, undefined, SERVER, key === undefined ? {} : { key });
      const der = standIn(server.certificate, createPrivateKey(readFileSync(server.key)), trusted, randomBytes(16));
      assert.ok(der !== undefined);
      const stood = new X509Certificate(der);
      for (const field of ['subject', 'subjectAltName', 'validFrom', 'validTo'] as const)
        assert.equal(stood[field], server.certificate[field], field);
      assert.deepEqual(stood.keyUsage, server.certificate.keyUsage);
      assert.equal(stood.publicKey.asymmetricKeyType, name);
      const path = join(directory, `${name}-stand-in.crt`);
      writeFileSync(path, pem(der));
      assert.match(run('openssl', ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', ca, path]), /: OK/);
    }
  },
);
