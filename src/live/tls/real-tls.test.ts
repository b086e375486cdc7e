/** What the daemon does about a server's certificate, with openssl at both ends: who the client is shown, and what is put on record. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { getDiffieHellman } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startDaemon } from '../../testing/peers/daemon.js';
import { ended, freePort, listening, peerTest, run, scratch } from '../../testing/peers/peers.js';

interface Pair {
  readonly key: string;
  readonly certificate: string;
}

function authority(directory: string): Pair {
  const [key, certificate] = [join(directory, 'ca.key'), join(directory, 'ca.crt')];
  const subject = ['-subj', '/CN=Test CA', '-days', '30'];
  run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...subject]);
  return { key, certificate };
}

/** Signed by `ca`, or by itself. `over`: its time has passed. `extensions`: unless for the server mail.test. */
function certificateOf(
  directory: string,
  ca: Pair | undefined,
  over = false,
  name = 'mail.test',
  extensions = 'subjectAltName=DNS:mail.test\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n',
): Pair {
  const [key, request, certificate, config] = ['key', 'csr', 'crt', 'cnf'].map((kind) =>
    join(directory, `${name}.${kind}`),
  ) as [string, string, string, string];
  const made = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', request, '-subj', `/CN=${name}`];
  run('openssl', ['req', '-new', ...made]);
  writeFileSync(config, extensions);
  const signer = ca === undefined ? ['-signkey', key] : ['-CA', ca.certificate, '-CAkey', ca.key, '-set_serial', '77'];
  const sign = ['x509', '-req', '-in', request, ...signer, '-days', '30', '-extfile', config, '-out', certificate];
  if (over) run('faketime', ['60 days ago', 'openssl', ...sign]);
  else run('openssl', sign);
  return { key, certificate };
}

/** A file of certificates, one behind the other. */
function chainFile(directory: string, ...parts: readonly Pair[]): string {
  const path = join(directory, 'chain.crt');
  writeFileSync(path, parts.map(({ certificate }) => readFileSync(certificate, 'utf8')).join(''));
  return path;
}

const SMALL_GROUP = '';

/** Of 1,024 bits (RFC 2409 §6.2), as a DHParameter of PKCS #3. */
function smallGroup(directory: string): string {
  const path = join(directory, 'group.pem');
  const prime = getDiffieHellman('modp2').getPrime('hex');
  const der = Buffer.from(`308187028181${`00${prime}`}020102`, 'hex').toString('base64');
  writeFileSync(path, `-----BEGIN DH PARAMETERS-----\n${der.replace(/.{64}/g, '$&\n')}\n-----END DH PARAMETERS-----\n`);
  return path;
}

/** An openssl server behind the daemon, and what a client that asks for `name` sees. */
async function shown(
  context: TestContext,
  setup: {
    readonly over?: boolean;
    readonly trusted?: boolean;
    readonly ssl?: readonly string[];
    readonly smtps?: readonly string[];
    readonly server?: readonly string[];
    readonly client?: readonly string[];
    readonly name?: string;
    readonly sections?: string;
    readonly runs?: number;
    /** How the certificates stand that are behind the server's own. */
    readonly chain?: 'reversed' | 'incomplete' | 'ours';
  },
): Promise<{ said: string; daemon: Awaited<ReturnType<typeof startDaemon>> }> {
  const directory = scratch(context, 'tls');
  const ca = authority(directory);
  const port = await freePort();
  const quoted = (path: string): string => `"${readFileSync(path, 'utf8').trim()}"`;
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtps', to: port }],
    sections: `config vpn certificate ca\n    edit "test"\n        set ca ${quoted(ca.certificate)}\n    next\nend\n${setup.sections ?? ''}`,
    ssl: [
      ...(setup.smtps === undefined ? [] : ['config smtps', ...setup.smtps.map((line) => `    ${line}`), 'end']),
      ...(setup.ssl ?? []),
    ],
  });
  const middle = certificateOf(
    directory,
    ca,
    false,
    'middle',
    'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n',
  );
  const own = join(daemon.directory, 'state/ca.pem');
  const signer = { reversed: middle, incomplete: middle, ours: { key: own, certificate: own } };
  const by = setup.chain === undefined ? (setup.trusted === false ? undefined : ca) : signer[setup.chain];
  const { key, certificate } = certificateOf(directory, by, setup.over);
  const chain = setup.chain === 'reversed' ? [ca, middle] : by === undefined || by === middle ? [] : [by];
  const files = ['-key', key, '-cert', certificate];
  if (chain.length > 0) files.push('-cert_chain', chainFile(directory, ...chain));
  const options = (setup.server ?? []).map((option) => (option === SMALL_GROUP ? smallGroup(directory) : option));
  const server = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, ...files, '-quiet', ...options], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  context.after(() => ended(server));
  await listening(port);
  let said = '';
  for (let at = 0; at < (setup.runs ?? 1); at++) {
    const name = ['-servername', setup.name ?? 'mail.test'];
    const client = ['s_client', '-connect', `127.0.0.1:${daemon.ports[0]}`, ...name, ...(setup.client ?? [])];
    said = spawnSync('openssl', client, { input: '', encoding: 'utf8', timeout: 30_000 }).stdout;
  }
  return { said, daemon };
}

const OURS = /i:O ?= ?inspectd, CN ?= ?inspectd CA [0-9A-F]{4}/;
const UNTRUSTED = /i:O ?= ?inspectd, CN ?= ?inspectd CA for untrusted servers/;
const NONE = /no peer certificate available/;

for (const [title, setup, seen, record] of [
  ['a trusted one is signed by the authority that clients trust', {}, OURS, undefined],
  [
    'TLS-001: an untrusted one by the other',
    { trusted: false },
    UNTRUSTED,
    { logid: '1700062302', action: 'resign-as-untrusted' },
  ],
  [
    'an untrusted one is blocked',
    { trusted: false, smtps: ['set untrusted-server-cert block'] },
    NONE,
    { logid: '1700062303', action: 'blocked' },
  ],
  [
    'an untrusted one is ignored: signed as if it were good',
    { trusted: false, smtps: ['set untrusted-server-cert ignore'] },
    OURS,
    undefined,
  ],
  [
    'one that is over is blocked by itself',
    { over: true },
    NONE,
    { logid: '1700062303', msg: 'SSL connection is blocked, certificate-status: expired.' },
  ],
  [
    'one that is over is allowed, and signed as untrusted',
    { over: true, smtps: ['set expired-server-cert allow'] },
    UNTRUSTED,
    { logid: '1700062302', msg: 'Server certificate is re-signed as untrusted, certificate-status: expired' },
  ],
  [
    'allowing what is over does not allow what is untrusted beside',
    { over: true, trusted: false, smtps: ['set expired-server-cert allow', 'set untrusted-server-cert block'] },
    NONE,
    { logid: '1700062303' },
  ],
  ['another name is told', { name: 'other.test' }, OURS, { logid: '1700062307' }],
  [
    'another name is blocked where names are checked strictly',
    { name: 'other.test', smtps: ['set sni-server-cert-check strict'] },
    NONE,
    { logid: '1700062304' },
  ],
  [
    'TLS 1.1 is refused',
    { client: ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'], server: ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'] },
    NONE,
    { logid: '1700062308' },
  ],
  [
    'TLS 1.1 is spoken where it was allowed',
    {
      client: ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'],
      server: ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'],
      smtps: ['set min-allowed-ssl-version tls-1.1'],
    },
    OURS,
    undefined,
  ],
  ['a server that asks for a client certificate is looked into', { server: ['-verify', '1'] }, OURS, undefined],
  [
    'a server that asks for a client certificate is blocked',
    { server: ['-verify', '1'], smtps: ['set client-certificate block'] },
    NONE,
    { logid: '1700062101', eventsubtype: 'client-certificate' },
  ],
  ...[1, 2].map(
    (runs) =>
      [
        `a server that asks for a client certificate passes unread, connection ${runs}`,
        { server: ['-verify', '1'], smtps: ['set client-certificate bypass'], runs },
        /i:CN ?= ?Test CA/,
        { logid: '1700062102' },
      ] as const,
  ),
  [
    'an exempted name passes unread, and is told',
    {
      ssl: [
        'set ssl-exemptions-log enable',
        'config ssl-exempt',
        '    edit 1',
        '        set type wildcard-fqdn',
        '        set wildcard-fqdn "*.test"',
        '    next',
        'end',
      ],
    },
    /i:CN ?= ?Test CA/,
    { logid: '1700062006' },
  ],
  [
    'TLS-014: ALPN is that of the server',
    { client: ['-alpn', 'smtp,imap'], server: ['-alpn', 'imap'] },
    /ALPN protocol: imap/,
    undefined,
  ],
  ['TLS-014: without ALPN at the server there is none', { client: ['-alpn', 'smtp'] }, /No ALPN negotiated/, undefined],
  [
    'TLS-014: protocols that the server does not speak are refused',
    { client: ['-alpn', 'smtp'], server: ['-alpn', 'imap'] },
    NONE,
    { logid: '1700062308' },
  ],
  [
    'TLS-012: the client is told of no newer version than the server speaks',
    { server: ['-tls1_2'] },
    /New, TLSv1\.2, Cipher/,
    undefined,
  ],
  ...[
    ['static RSA', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256']],
    ['CBC alone', ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA256']],
    ['a small group', ['-tls1_2', '-cipher', 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0', '-dhparam', SMALL_GROUP]],
    ['SSL of before 1.2', ['-tls1', '-cipher', 'DEFAULT@SECLEVEL=0']],
    ['no encryption', ['-tls1_2', '-cipher', 'NULL:@SECLEVEL=0']],
    ["nobody's identity", ['-tls1_2', '-cipher', 'aNULL:@SECLEVEL=0', '-nocert']],
  ].map(
    ([what, server]) =>
      [
        `TLS-008, TLS-010: a server with ${what} is refused`,
        { server: server as readonly string[] },
        NONE,
        { logid: '1700062308' },
      ] as const,
  ),
  ['TLS-003: a chain in the wrong order is put in order', { chain: 'reversed' }, OURS, undefined],
  ['TLS-003: a chain without its middle leads nowhere', { chain: 'incomplete' }, UNTRUSTED, { logid: '1700062302' }],
  ["TLS-017: one that our own authority signed is no server's", { chain: 'ours' }, UNTRUSTED, { logid: '1700062302' }],
  [
    'TLS-013: a name that is an address is no server name, and must be in the certificate',
    { name: '127.0.0.1', smtps: ['set sni-server-cert-check strict'] },
    NONE,
    { logid: '1700062304' },
  ],
] as const)
  peerTest(`a server's certificate: ${title}`, ['openssl', 'faketime'], async (context) => {
    const { said, daemon } = await shown(context, setup);
    assert.match(said, seen);
    if (record !== undefined) await daemon.record({ type: 'utm', ...record });
    else assert.ok(daemon.records().every((each) => each.get('subtype') !== 'ssl'));
  });

peerTest(
  'a certificate that was given is shown in the place of the server by server-cert-mode replace',
  ['openssl'],
  async (context) => {
    const directory = scratch(context, 'replace');
    const { key, certificate } = certificateOf(directory, undefined);
    const text = (path: string): string => `"${readFileSync(path, 'utf8').trim()}"`;
    const { said } = await shown(context, {
      ssl: ['set server-cert-mode replace', 'set server-cert "mine"'],
      sections: `config vpn certificate local\n    edit "mine"\n        set private-key ${text(key)}\n        set certificate ${text(certificate)}\n    next\nend\n`,
    });
    assert.match(said, /i:CN ?= ?mail\.test/);
  },
);
