/** Stapled answers of openssl's responder: only one that says "revoked" of this very certificate counts. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { peerTest, run, scratch } from '../../testing/peers/peers.js';
import { saysRevoked } from './ocsp.js';

peerTest('a stapled answer counts when it says that this certificate was revoked', ['openssl'], async (context) => {
  const directory = scratch(context, 'ocsp');
  const at = (name: string): string => join(directory, name);
  run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
    '-subj',
    '/CN=ca',
    '-days',
    '9',
  ]);
  const answer = (name: string, serial: string, entry: string): Buffer => {
    run('openssl', [
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      at('k'),
      '-out',
      at('csr'),
      '-subj',
      `/CN=${name}`,
    ]);
    run('openssl', [
      'x509',
      '-req',
      '-in',
      at('csr'),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-set_serial',
      `0x${serial}`,
      '-days',
      '9',
      '-out',
      at(`${name}.crt`),
    ]);
    writeFileSync(at('index'), entry);
    run('openssl', ['ocsp', '-issuer', at('ca.crt'), '-cert', at(`${name}.crt`), '-reqout', at('request')]);
    const signer = ['-rsigner', at('ca.crt'), '-rkey', at('ca.key'), '-CA', at('ca.crt')];
    run('openssl', [
      'ocsp',
      '-index',
      at('index'),
      ...signer,
      '-reqin',
      at('request'),
      '-respout',
      at(`${name}.answer`),
    ]);
    return readFileSync(at(`${name}.answer`));
  };
  const line = (state: string, serial: string): string =>
    `${state}\t360101000000Z\t${state === 'R' ? '250101000000Z' : ''}\t${serial}\tunknown\t/CN=x\n`;
  const certificate = (name: string): X509Certificate => new X509Certificate(readFileSync(at(`${name}.crt`)));
  const good = answer('good', '1001', line('V', '1001'));
  const revoked = answer('revoked', '8002', line('R', '8002'));
  const unknown = answer('unknown', '1003', line('V', '1001'));
  assert.equal(saysRevoked(good, certificate('good')), false);
  assert.equal(saysRevoked(revoked, certificate('revoked')), true);
  assert.equal(saysRevoked(unknown, certificate('unknown')), false);
  // Of another certificate it says nothing.
  assert.equal(saysRevoked(revoked, certificate('good')), false);
  // Cut anywhere, or with any byte changed, it throws nothing.
  for (let cut = 0; cut < revoked.length; cut++) {
    assert.equal(saysRevoked(revoked.subarray(0, cut), certificate('revoked')), false);
    const changed = Buffer.from(revoked);
    changed[cut] = (changed[cut] ?? 0) ^ 0xff;
    saysRevoked(changed, certificate('revoked'));
  }
});
