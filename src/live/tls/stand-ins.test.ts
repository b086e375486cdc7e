/** Stand-ins are made once for a server and a judgement, and the oldest unused is forgotten; who signs what never mixes. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { readConfig } from '../../config/config.js';
import { SourceError } from '../../core/errors.js';
import { authorities, pem } from './authority.js';
import { authorityCertificate } from './certificate.js';
import { StandIns } from './stand-ins.js';
import { TrustStore } from './trust-store.js';

function directory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'inspectd-tls-'));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function server(name: string): X509Certificate {
  const [from, to] = [new Date(Date.now() - 86_400_000), new Date(Date.now() + 86_400_000)];
  return new X509Certificate(pem(authorityCertificate(name, privateKey, randomBytes(16), from, to)));
}

test('TLS-018: the same server under another judgement, or another version, gets another stand-in', async (context) => {
  const { trusted, untrusted } = authorities(directory(context));
  const standIns = await StandIns.create(10);
  const one = server('one');
  const good = standIns.contextFor(one, trusted, {});
  assert.ok(good !== undefined);
  assert.equal(standIns.contextFor(one, trusted, {}), good);
  assert.notEqual(standIns.contextFor(one, untrusted, {}), good);
  assert.notEqual(standIns.contextFor(one, trusted, { maxVersion: 'TLSv1.2' }), good);
  // Another certificate of the same name is another server.
  assert.notEqual(standIns.contextFor(server('one'), trusted, {}), good);
});

test('TLS-020: however many servers there are, no more than the limit are kept, those in use last', async (context) => {
  const { trusted } = authorities(directory(context));
  const standIns = await StandIns.create(10);
  const first = server('in use');
  const kept = standIns.contextFor(first, trusted, {});
  for (let at = 0; at < 100; at++) {
    standIns.contextFor(server(`server ${at}`), trusted, {});
    assert.equal(standIns.contextFor(first, trusted, {}), kept);
    assert.ok(standIns.size <= 10);
  }
});

test('TLS-015: two installations have different authorities, whose keys nobody else may read', (context) => {
  const [here, there] = [directory(context), directory(context)];
  const [one, two] = [authorities(here), authorities(there)];
  for (const kind of ['trusted', 'untrusted'] as const) {
    assert.notEqual(
      one[kind].certificate.publicKey.export({ type: 'spki', format: 'der' }).toString('hex'),
      two[kind].certificate.publicKey.export({ type: 'spki', format: 'der' }).toString('hex'),
    );
    assert.notEqual(one[kind].certificate.subject, two[kind].certificate.subject);
  }
  for (const name of ['ca.pem', 'untrusted-ca.pem']) {
    assert.equal(statSync(join(here, name)).mode & 0o777, 0o600);
    assert.doesNotMatch(readFileSync(join(here, name), 'utf8'), /ENCRYPTED/);
  }
  chmodSync(join(here, 'ca.pem'), 0o644);
  assert.throws(
    () => authorities(here),
    (error) => error instanceof SourceError && /others may read its key \(chmod 600/.test(error.message),
  );
});

test('TLS-011, TLS-017: neither our own authorities nor those of known interceptors are trusted', (context) => {
  const own = authorities(directory(context));
  const text = own.trusted.certificate.toString();
  const given = `config vpn certificate ca\n    edit "ours"\n        set ca "${text}"\n    next\nend\n`;
  const store = new TrustStore(readConfig(given, 'test').config, own);
  assert.ok(!store.trusts(own.trusted.certificate));
  assert.ok(!store.trusts(own.untrusted.certificate));
  const known = rootCertificates.map((each) => new X509Certificate(each));
  assert.ok(known.every((root) => store.trusts(root)));
  const interceptors =
    /superfish|edellroot|dsdtestprovider|komodia|privdog|preact|lavasoft|mitmproxy|fortinet_ca|fortigate/i;
  for (const { subject } of known) assert.doesNotMatch(subject, interceptors);
});
