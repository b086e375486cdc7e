/** Mail that openssl and gpg signed or enciphered: what is only signed is looked into, what needs a key is named (rows MIM-118, MIM-119). */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { EICAR } from '../../testing/archive-bytes.js';
import { base64Lines, judging, mailWith } from '../../testing/judging.js';
import { pathOf, peerTest, run, scratch } from '../../testing/peers/peers.js';

const judge = judging();
after(() => judge.close());

const attachment = (bytes: Buffer): string =>
  mailWith(
    ['Content-Type: application/octet-stream; name=a.dat', 'Content-Transfer-Encoding: base64'],
    base64Lines(bytes),
  );
const LETTER = Buffer.from('Dear Bob,\r\n- here are the figures.\r\n');

/** A directory with a key, its certificate and two messages: one infected, one not. */
function prepared(context: TestContext): (...args: readonly string[]) => Buffer {
  const directory = scratch(context, 'sealed');
  writeFileSync(join(directory, 'infected.eml'), attachment(EICAR));
  writeFileSync(join(directory, 'harmless.eml'), attachment(LETTER));
  const openssl = (...args: readonly string[]): Buffer =>
    execFileSync(pathOf('openssl')!, args, { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'] });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'key.pem',
    '-out',
    'cert.pem',
    '-days',
    '9',
    '-subj',
    '/CN=Ann/',
  );
  return openssl;
}

const SIGNED = [
  ['smime', '-sign', '-nodetach'],
  ['smime', '-sign', '-nodetach', '-stream'],
  ['cms', '-sign', '-nodetach'],
  ['cms', '-sign', '-nodetach', '-stream', '-noattr'],
  ['cms', '-sign', '-nodetach', '-keyid', '-md', 'sha512'],
  ['smime', '-sign'],
  ['cms', '-sign', '-binary'],
];

peerTest('MIM-118 what openssl signed is looked into, opaque or detached', ['openssl'], async (context) => {
  const openssl = prepared(context);
  for (const how of SIGNED)
    for (const [file, verdict] of [
      ['infected.eml', 'infected'],
      ['harmless.eml', 'clean'],
    ] as const) {
      // It writes its own lines with LF; on the wire all have CRLF.
      const message = crlf(openssl(...how, '-signer', 'cert.pem', '-inkey', 'key.pem', '-in', file));
      assert.equal((await judge(message)).verdict.split(' ')[0], verdict, how.join(' '));
    }
});

peerTest('MIM-118 what is signed twice is looked into', ['openssl'], async (context) => {
  const openssl = prepared(context);
  const once = openssl(
    'cms',
    '-sign',
    '-nodetach',
    '-signer',
    'cert.pem',
    '-inkey',
    'key.pem',
    '-in',
    'infected.eml',
    '-out',
    'once.eml',
  );
  assert.equal(once.length, 0);
  const twice = openssl('cms', '-sign', '-nodetach', '-signer', 'cert.pem', '-inkey', 'key.pem', '-in', 'once.eml');
  assert.equal((await judge(twice)).verdict, 'infected');
});

peerTest('MIM-119 what openssl enciphered is named encrypted', ['openssl'], async (context) => {
  const openssl = prepared(context);
  for (const how of [
    ['smime', '-encrypt', '-aes256'],
    ['cms', '-encrypt', '-aes128'],
    ['cms', '-encrypt', '-aes-256-gcm'],
    ['cms', '-EncryptedData_encrypt', '-aes256', '-secretkey', '00'.repeat(32)],
  ]) {
    const to = how.includes('-encrypt') ? ['cert.pem'] : [];
    const message = openssl(...how, '-in', 'harmless.eml', ...to);
    const { verdict, action, root } = await judge(message);
    assert.deepEqual([action, verdict], ['block', 'unscannable encrypted'], how.join(' '));
    assert.ok(root.children.some((child) => child.info.encrypted));
  }
});

/** gpg with a key of its own. */
function keyring(context: TestContext): (input: Buffer | string, ...args: readonly string[]) => Buffer {
  const home = scratch(context, 'gpg');
  const common = [
    '--homedir',
    home,
    '--batch',
    '--quiet',
    '--yes',
    '--trust-model',
    'always',
    '--pinentry-mode',
    'loopback',
    '--passphrase',
    '',
  ];
  const gpg = (input: Buffer | string, ...args: readonly string[]): Buffer =>
    execFileSync(pathOf('gpg')!, [...common, ...args], { input, stdio: ['pipe', 'pipe', 'ignore'] });
  context.after(() => run('gpgconf', ['--homedir', home, '--kill', 'all']));
  gpg('', '--quick-gen-key', 'ann@example.org', 'future-default', 'default', 'never');
  return gpg;
}
const crlf = (bytes: Buffer): string => bytes.toString('latin1').replace(/\r?\n/g, '\r\n');

peerTest(
  'MIM-119 what gpg enciphered is named encrypted: in a text, in PGP/MIME, as a file',
  ['gpg'],
  async (context) => {
    const gpg = keyring(context);
    const to = ['-r', 'ann@example.org'];
    for (const args of [
      ['-e', ...to],
      ['-c', '--passphrase', 'secret'],
      ['-e', '--sign', ...to],
      ['-e', '--no-mdc', '--rfc4880', ...to],
    ]) {
      const armoured = crlf(gpg(LETTER, '--armor', ...args));
      const binary = gpg(LETTER, ...args);
      for (const message of [
        mailWith(['Content-Type: text/plain'], 'x', armoured),
        mailWith(
          ['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: base64'],
          base64Lines(`Hello\r\n${armoured}`),
        ),
        mailWith(['Content-Type: application/pgp-encrypted; name=a.asc'], armoured),
        mailWith(
          ['Content-Type: application/octet-stream; name=a.gpg', 'Content-Transfer-Encoding: base64'],
          base64Lines(binary),
        ),
        pgpMime(
          'encrypted; protocol="application/pgp-encrypted"',
          'Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n',
          `Content-Type: application/octet-stream; name=encrypted.asc\r\n\r\n${armoured}`,
        ),
      ]) {
        const { verdict, action } = await judge(message);
        assert.deepEqual([action, verdict], ['block', 'unscannable encrypted'], args.join(' '));
      }
    }
  },
);

peerTest('what gpg signed in clear passes, and a virus in it does not', ['gpg'], async (context) => {
  const gpg = keyring(context);
  for (const [bytes, verdict] of [
    [LETTER, 'clean'],
    [EICAR, 'infected'],
  ] as const) {
    const clear = crlf(gpg(bytes, '--clearsign'));
    assert.equal((await judge(mailWith(['Content-Type: text/plain'], 'x', clear))).verdict, verdict);
    const part = `Content-Type: text/plain\r\n\r\n${bytes.toString('latin1')}`;
    const signature = crlf(gpg(part, '--armor', '--detach-sign'));
    const message = pgpMime(
      'signed; micalg=pgp-sha512; protocol="application/pgp-signature"',
      part,
      `Content-Type: application/pgp-signature; name=signature.asc\r\n\r\n${signature}`,
    );
    assert.equal((await judge(message)).verdict, verdict);
  }
  const key = gpg('', '--export', 'ann@example.org');
  const file = mailWith(
    ['Content-Type: application/octet-stream; name=key.gpg', 'Content-Transfer-Encoding: base64'],
    base64Lines(key),
  );
  assert.equal((await judge(file)).verdict, 'clean', 'a public key');
  const armoured = crlf(gpg('', '--armor', '--export', 'ann@example.org'));
  assert.equal((await judge(mailWith(['Content-Type: application/pgp-keys'], armoured))).verdict, 'clean');
  const detached = gpg(LETTER, '--detach-sign');
  const signature = mailWith(
    ['Content-Type: application/octet-stream; name=a.sig', 'Content-Transfer-Encoding: base64'],
    base64Lines(detached),
  );
  assert.equal((await judge(signature)).verdict, 'clean', 'a signature');
});

function pgpMime(kind: string, first: string, second: string): string {
  return [
    'From: ann@example.org',
    'To: bob@example.com',
    'Subject: sealed',
    'MIME-Version: 1.0',
    `Content-Type: multipart/${kind}; boundary=b`,
    '',
    '--b',
    first,
    '--b',
    second,
    '--b--',
    '',
  ].join('\r\n');
}

test('bytes that only begin like a session key are no message', async () => {
  for (const bytes of ['8501ff', '850003030000', 'c1ffffffffff', '8c0d04090302', '84'.repeat(40), 'ff'.repeat(40)]) {
    const file = mailWith(
      ['Content-Type: application/octet-stream', 'Content-Transfer-Encoding: base64'],
      base64Lines(Buffer.from(bytes, 'hex')),
    );
    assert.equal((await judge(file)).verdict, 'clean', bytes);
  }
});
